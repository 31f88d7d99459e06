"""Which certificates are reported at start-up."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.unit.trust.conftest import ISSUER, NOW, new_ca
from wallet_core.adapters.expiry import warn_of_expiry
from wallet_core.adapters.keystore import KeyStore
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.certificates import create_issuer_certificate

CA = new_ca()
MONTH = timedelta(days=30)


def add(store: KeyStore, name: str, days: int) -> None:
    signer = SoftwareSigner.generate()
    leaf = create_issuer_certificate(
        CA,
        issuer=ISSUER,
        organization="O",
        public_key=signer.public_key,
        now=NOW,
        random=os.urandom,
        life=timedelta(days=days),
    )
    store.add(name, signer.private_key, [leaf.public_bytes(Encoding.DER)])


class Recorder:
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def warning(self, event: str, **_facts: object) -> None:
        self.events.append(event)


def test_what_ends_soon_is_reported_soonest_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr("wallet_core.adapters.expiry.log.get_logger", lambda _name: recorder)
    store = KeyStore(tmp_path)
    add(store, "police", 29)
    add(store, "city", 31)
    add(store, "tax", 5)
    add(store, "police.mdoc", 30)
    found = warn_of_expiry(store, TrustAnchors(), now=NOW, within=MONTH, app="issuer")
    assert [(each.name, each.days_left) for each in found] == [("tax", 5), ("police", 29), ("police.mdoc", 30)]
    over = warn_of_expiry(store, TrustAnchors(), now=NOW + timedelta(days=10), within=timedelta(), app="issuer")
    assert [(each.name, each.days_left) for each in over] == [("tax", -5)]
    assert recorder.events == ["a certificate ends soon"] * 3 + ["a certificate has expired"]


def test_of_rotated_keys_the_current_one_counts(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    add(store, "police", 5)
    add(store, "police.2", 300)
    assert [each.name for each in warn_of_expiry(store, TrustAnchors(), now=NOW, within=MONTH, app="issuer")] == [
        "police"
    ]
    store.rotate("police", "police.2")
    assert warn_of_expiry(store, TrustAnchors(), now=NOW, within=MONTH, app="issuer") == []


def test_anchors_are_looked_at_too_and_keys_without_chain_are_not(tmp_path: Path) -> None:
    store = KeyStore(tmp_path)
    store.add("bare", SoftwareSigner.generate().private_key)
    anchors = TrustAnchors([TrustAnchor(CA.certificate, AnchorPurpose.MDL_ISSUER)])
    late = CA.certificate.not_valid_after_utc - timedelta(days=3)
    (found,) = warn_of_expiry(store, anchors, now=late, within=MONTH, app="verifier")
    assert (found.days_left, "mdl_issuer" in found.name) == (3, True)
    assert warn_of_expiry(None, anchors, now=NOW, within=MONTH, app="verifier") == []
