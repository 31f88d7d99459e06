import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner, Result

from wallet_core.adapters.cli_keys import app
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import load_trust_anchors
from wallet_core.adapters.keystore import KeyStore
from wallet_core.errors import KeyUnavailable
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.x509 import validate_dns_name, validate_issuer_name, verify_chain
from wallet_core.types import CredentialIssuerId

ISSUER = "http://localhost:8100/agencies/police"


def jigap_keys(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    made = tmp_path / "keys"
    for name, purpose in (("issuers", "credential_issuer"), ("verifiers", "verifier_access")):
        result = jigap_keys(
            "new-ca", name, "--store", str(made), "--organization", "시험 인증기관", "--purpose", purpose,
            "--contact", "https://ca.example",
        )  # fmt: skip
        assert result.exit_code == 0
    return made


def new_issuer(store: Path, name: str = "police") -> Result:
    return jigap_keys(
        "new-issuer", name, "--store", str(store), "--ca", "issuers", "--issuer", ISSUER, "--organization",
        "경찰 (시험용)", "--json",
    )  # fmt: skip


def test_an_issuers_key_is_trusted_by_the_cas_anchor(store: Path) -> None:
    assert new_issuer(store).exit_code == 0
    anchors = load_trust_anchors([store / "issuers.anchor.pem"])
    keys = KeyStore(store)
    trusted = verify_chain(
        keys.chain("police"), anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=SystemClock().now()
    )
    validate_issuer_name(trusted, CredentialIssuerId(ISSUER))
    assert (trusted.name, trusted.public_key) == ("경찰 (시험용)", keys.signer("police").public_key)


def test_a_verifiers_key_is_trusted_by_the_cas_anchor(store: Path) -> None:
    result = jigap_keys(
        "new-verifier", "bank", "--store", str(store), "--ca", "verifiers", "--response-uri",
        "http://localhost:8200/response", "--organization", "도담은행 (시험용)",
    )  # fmt: skip
    assert result.exit_code == 0
    anchors = load_trust_anchors([store / "verifiers.anchor.pem"])
    trusted = verify_chain(
        KeyStore(store).chain("bank"), anchors, purpose=AnchorPurpose.VERIFIER_ACCESS, at=SystemClock().now()
    )
    validate_dns_name(trusted, "localhost")


def test_private_keys_are_for_their_owner_only(store: Path) -> None:
    assert {stat.S_IMODE(path.stat().st_mode) for path in store.glob("*.key.pem")} == {0o600}
    assert all(b"BEGIN PRIVATE KEY" in path.read_bytes() for path in store.glob("*.key.pem"))


def test_an_existing_key_is_kept(store: Path) -> None:
    new_issuer(store)
    before = {path.name: path.read_bytes() for path in store.iterdir()}
    result = new_issuer(store)
    assert isinstance(result.exception, KeyUnavailable)
    assert "kept" in result.exception.detail
    assert {path.name: path.read_bytes() for path in store.iterdir()} == before


@pytest.mark.parametrize("ca", ["police", "nobody"])
def test_only_a_ca_certifies(store: Path, ca: str) -> None:
    new_issuer(store)
    result = jigap_keys(
        "new-issuer", "city", "--store", str(store), "--ca", ca, "--issuer", ISSUER, "--organization", "x"
    )
    assert isinstance(result.exception, KeyUnavailable)
    assert not (store / "city.key.pem").exists()


def test_wrong_options_are_wrong_usage(store: Path) -> None:
    result = jigap_keys(
        "new-issuer", "city", "--store", str(store), "--ca", "issuers", "--issuer", "nowhere", "--organization", "x"
    )
    assert result.exit_code == 2


def test_show_says_it_in_words_and_in_json(store: Path) -> None:
    new_issuer(store)
    words = jigap_keys("show", str(store)).stderr
    assert "A certification authority (trust anchor)" in words
    assert f"speaks for    {ISSUER}, localhost" in words
    described = json.loads(jigap_keys("show", str(store / "police.chain.pem"), "--json").stdout)["certificates"]
    assert [each["self_signed"] for each in described] == [False]


def test_show_refuses_what_is_no_certificate(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing")
    assert jigap_keys("show", str(tmp_path / "x.pem")).exit_code == 1
    assert jigap_keys("show", str(tmp_path / "absent.pem")).exit_code == 1


def test_the_anchor_file_holds_the_ca_certificate(store: Path) -> None:
    (anchor,) = load_trust_anchors([store / "issuers.anchor.pem"]).anchors
    assert anchor.certificate.public_bytes(Encoding.DER) == KeyStore(store).chain("issuers")[0]
    assert anchor.certificate == x509.load_pem_x509_certificate((store / "issuers.chain.pem").read_bytes())
