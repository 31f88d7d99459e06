import contextlib

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.trust.conftest import Pki
from wallet_core.errors import MalformedError, WalletError
from wallet_core.trust.anchors import (
    MAX_ANCHOR_TEXT,
    AnchorPurpose,
    TrustAnchor,
    TrustAnchors,
    format_trust_anchors,
    parse_trust_anchors,
)


def pem(pki: Pki) -> str:
    return pki.issuer_ca.certificate.public_bytes(Encoding.PEM).decode()


def test_round_trip(pki: Pki) -> None:
    assert parse_trust_anchors(format_trust_anchors(pki.anchors)) == pki.anchors


def test_two_purposes_make_two_anchors(pki: Pki) -> None:
    anchors = parse_trust_anchors(f"Purpose: credential_issuer\nPurpose: verifier_access\n{pem(pki)}")
    assert [anchor.purpose for anchor in anchors.anchors] == [
        AnchorPurpose.CREDENTIAL_ISSUER,
        AnchorPurpose.VERIFIER_ACCESS,
    ]


def test_a_purpose_holds_for_the_next_block_only(pki: Pki) -> None:
    with pytest.raises(MalformedError, match="no purpose"):
        parse_trust_anchors(f"Purpose: credential_issuer\n{pem(pki)}{pem(pki)}")


def test_the_callers_purpose_stands_in_for_a_missing_one(pki: Pki) -> None:
    anchors = parse_trust_anchors(pem(pki), purpose=AnchorPurpose.VERIFIER_ACCESS)
    assert anchors.anchors == (TrustAnchor(pki.issuer_ca.certificate, AnchorPurpose.VERIFIER_ACCESS),)


def test_the_fingerprint_changes_with_purpose_and_certificate(pki: Pki) -> None:
    certificates = (pki.issuer_ca.certificate, pki.verifier_ca.certificate)
    prints = {
        TrustAnchors([TrustAnchor(each, purpose)]).fingerprint for each in certificates for purpose in AnchorPurpose
    }
    assert len(prints) == 2 * len(AnchorPurpose)


def test_anchors_add_up(pki: Pki) -> None:
    both = TrustAnchors(pki.anchors.anchors[:1]) + TrustAnchors(pki.anchors.anchors[1:])
    assert both == pki.anchors
    assert both.fingerprint == pki.anchors.fingerprint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no block",
        "Purpose: everything\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "Purpose: credential_issuer\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "x" * (MAX_ANCHOR_TEXT + 1),
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_trust_anchors(text)


@given(st.text())
def test_only_wallet_errors_leave(body: str) -> None:
    with contextlib.suppress(WalletError):
        parse_trust_anchors(
            f"Purpose: credential_issuer\n-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----"
        )
