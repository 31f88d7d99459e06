import json
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner, Result

from tests.support import vectors
from wallet_core.adapters.cli_certificates import PURPOSES, ROLES, RULES
from wallet_core.adapters.cli_keys import app
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import load_trust_anchors
from wallet_core.adapters.keystore import KeyStore
from wallet_core.errors import KeyUnavailable, UntrustedError
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.profiles import CertificateRole, ProfileRule
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


def test_a_wallet_providers_key_is_trusted_by_the_cas_anchor(store: Path) -> None:
    provider = "https://provider.example"
    made = jigap_keys(
        "new-ca", "wallets", "--store", str(store), "--organization", "시험용", "--contact", provider,
        "--purpose", "wallet_provider",
    )  # fmt: skip
    assert made.exit_code == 0
    result = jigap_keys(
        "new-wallet-provider", "wallet", "--store", str(store), "--ca", "wallets", "--provider", provider,
        "--organization", "지갑 제공자 (시험용)", "--json",
    )  # fmt: skip
    said = json.loads(result.stdout)
    assert (said["role"], said["speaks_for"], said["faults"]) == ("wallet_provider", [provider], [])
    anchors, chain = load_trust_anchors([store / "wallets.anchor.pem"]), KeyStore(store).chain("wallet")
    now = SystemClock().now()
    assert verify_chain(chain, anchors, purpose=AnchorPurpose.WALLET_PROVIDER, at=now).uris == (provider,)
    other = TrustAnchors(TrustAnchor(each.certificate, AnchorPurpose.CREDENTIAL_ISSUER) for each in anchors.anchors)
    with pytest.raises(UntrustedError, match="purpose"):
        verify_chain(chain, other, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=now)


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


# --- profiles, rotation, words ----------------------------------------------------------------------------------------
@pytest.fixture
def iaca(store: Path) -> Path:
    result = jigap_keys(
        "new-iaca", "mdl", "--store", str(store), "--organization", "시험 인증기관", "--contact", "https://ca.example",
        "--revocation-list", "https://ca.example/crl",
    )  # fmt: skip
    assert result.exit_code == 0
    return store


def test_a_document_signer_is_trusted_for_mdocs(iaca: Path) -> None:
    result = jigap_keys(
        "new-document-signer", "police.mdoc", "--store", str(iaca), "--ca", "mdl", "--issuer", ISSUER,
        "--organization", "경찰 (시험용)", "--json",
    )  # fmt: skip
    assert result.exit_code == 0
    assert json.loads(result.stdout)["role"] == "document_signer"
    anchors = load_trust_anchors([iaca / "mdl.anchor.pem"])
    chain = KeyStore(iaca).chain("police.mdoc")
    trusted = verify_chain(chain, anchors, purpose=AnchorPurpose.MDL_ISSUER, at=SystemClock().now())
    assert trusted.uris == (ISSUER,)
    # a CA that is no IACA certifies no document signer
    other = jigap_keys(
        "new-document-signer", "city.mdoc", "--store", str(iaca), "--ca", "issuers", "--issuer", ISSUER,
        "--organization", "x",
    )  # fmt: skip
    assert other.exit_code == 2
    assert not (iaca / "city.mdoc.key.pem").exists()


@pytest.mark.parametrize("role", ["trust_list_signer", "vical_signer", "status_list_signer"])
def test_signers_of_lists(store: Path, role: str) -> None:
    words = ("--operator", "https://lists.example", "--organization", "시험용", "--json")
    result = jigap_keys("new-list-signer", "lists", "--store", str(store), "--ca", "issuers", "--role", role, *words)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["speaks_for"] == ["https://lists.example"]
    wrong = jigap_keys("new-list-signer", "x", "--store", str(store), "--ca", "issuers", "--role", "iaca", *words)
    assert wrong.exit_code == 2


def test_the_next_key_signs_after_the_rotation(store: Path) -> None:
    new_issuer(store)
    first = KeyStore(store).chain("police")
    made = json.loads(jigap_keys("next", "police", "--store", str(store), "--ca", "issuers", "--json").stdout)
    assert (made["name"], made["speaks_for"]) == ("police.2", [ISSUER, "localhost"])
    assert KeyStore(store).chain("police") == first
    rotated = json.loads(jigap_keys("rotate", "police", "--store", str(store), "--json").stdout)
    assert rotated == {"name": "police", "before": "police", "current": "police.2"}
    assert KeyStore(store).chain("police") != first
    assert len(KeyStore(store).published("police")) == 2
    third = json.loads(jigap_keys("next", "police", "--store", str(store), "--ca", "issuers", "--json").stdout)
    assert third["name"] == "police.3"
    again = jigap_keys("rotate", "police", "--store", str(store), "--to", "police.2")
    assert isinstance(again.exception, KeyUnavailable)
    back = jigap_keys("rotate", "police", "--store", str(store), "--to", "police")
    assert back.exit_code == 0
    assert KeyStore(store).chain("police") == first
    nothing = jigap_keys("rotate", "police", "--store", str(store), "--to", "issuers")
    assert isinstance(nothing.exception, KeyUnavailable)


def test_a_key_whose_certificate_is_over_is_not_rotated_to(store: Path) -> None:
    new_issuer(store)
    jigap_keys("next", "police", "--store", str(store), "--ca", "issuers", "--days", "-1")
    result = jigap_keys("rotate", "police", "--store", str(store))
    assert isinstance(result.exception, KeyUnavailable)
    assert "not valid now" in result.exception.detail


def test_show_tells_purposes_days_and_faults(iaca: Path) -> None:
    new_issuer(iaca)
    described = {
        each["file"]: each for each in json.loads(jigap_keys("show", str(iaca), "--json").stdout)["certificates"]
    }
    assert described["mdl.chain.pem"]["purposes"] == ["mdl_issuer"]
    assert (described["mdl.chain.pem"]["role"], described["mdl.chain.pem"]["faults"]) == ("iaca", [])
    assert described["police.chain.pem"]["days_left"] in {364, 365}
    assert not described["police.chain.pem"]["ends_soon"]
    english = jigap_keys("show", str(iaca / "mdl.anchor.pem"), "--lang", "en").stderr
    assert "trusted for   agencies that sign mdocs" in english
    assert "days left" in english
    korean = jigap_keys("show", str(iaca), "--lang", "ko_KR.UTF-8").stderr
    assert "모바일 신분증 인증기관 IACA" in korean
    assert "일 남음" in korean


def test_show_names_what_is_wrong(store: Path, tmp_path: Path) -> None:
    jigap_keys(
        "new-issuer", "short", "--store", str(store), "--ca", "issuers", "--issuer", ISSUER, "--organization", "x",
        "--days", "20",
    )  # fmt: skip
    assert "renew it" in jigap_keys("show", str(store / "short.chain.pem")).stderr
    assert "새로 만드세요" in jigap_keys("show", str(store / "short.chain.pem"), "--lang", "ko").stderr
    for name in ("isomdl_incorrect_iaca_signer", "isomdl_iaca_signer"):
        pem = vectors.load("iso18013_5", "certificates.json")["certificates"][name]["pem"]
        (tmp_path / f"{name}.pem").write_text(pem)
    words = jigap_keys("show", str(tmp_path / "isomdl_iaca_signer.pem")).stderr
    assert "expired" in words
    assert "faults" not in words
    found = json.loads(jigap_keys("show", str(tmp_path / "isomdl_incorrect_iaca_signer.pem"), "--json").stdout)
    assert "key_usage" in found["certificates"][0]["faults"]


def test_every_role_purpose_and_rule_has_words() -> None:
    assert ROLES.keys() == set(CertificateRole)
    assert PURPOSES.keys() == set(AnchorPurpose)
    assert RULES.keys() == set(ProfileRule)
