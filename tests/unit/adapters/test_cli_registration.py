"""``jigap keys new-registrar | new-registration | new-attester | new-verifier-attestation``."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from wallet_core.adapters.cli_keys import app
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import load_catalogue, load_trust_anchors
from wallet_core.adapters.keystore import KeyStore
from wallet_core.errors import InvalidRequest, KeyUnavailable, MalformedError, NotFound
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.registration import verify_registration
from wallet_core.protocols.openid4vp.verifier_attestation import verify_verifier_attestation
from wallet_core.protocols.openid4vp.verifier_info import Standing, judge_verifier, registration_info

NUMBER = "NTRKR-1101110000001"
REGISTER, ATTESTER = "https://register.example", "https://attester.example"


def jigap_keys(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an access CA, a register, an attester, and two relying parties, one without number."""
    made = tmp_path_factory.mktemp("made") / "keys"
    here = ("--store", str(made))
    named = ("--organization", "시험용", "--json")
    for name, purpose in (
        ("access", "verifier_access"), ("registers", "registrar"), ("attesters", "verifier_attester"),
    ):  # fmt: skip
        done = jigap_keys("new-ca", name, *here, *named, "--purpose", purpose, "--contact", "https://ca.example")
        assert done.exit_code == 0
    url = ("--response-uri", "https://verifier.example")
    for words in (
        ("new-registrar", "register", "--ca", "registers", "--operator", REGISTER),
        ("new-attester", "attester", "--ca", "attesters", "--operator", ATTESTER),
        ("new-verifier", "shop", "--ca", "access", *url, "--identifier", NUMBER),
        ("new-verifier", "plain", "--ca", "access", *url),
    ):
        done = jigap_keys(*words, *here, *named)
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["faults"] == []
    return made


def new_registration(
    store: Path, file: Path, *, party: str = "shop", policy: str = "adult-check", days: int = 90
) -> Result:
    return jigap_keys(
        "new-registration", str(file), "--store", str(store), "--registrar", "register", "--policy", policy,
        "--certificate", str(store / f"{party}.chain.pem"), "--privacy-policy", "https://shop.example/privacy",
        "--support", "https://shop.example/help", "--days", str(days), "--json",
    )  # fmt: skip


def new_attestation(store: Path, file: Path, *more: str, party: str = "shop") -> Result:
    return jigap_keys(
        "new-verifier-attestation", str(file), "--store", str(store), "--attester", "attester", "--certificate",
        str(store / f"{party}.chain.pem"), "--json", *more,
    )  # fmt: skip


def test_a_registration_says_what_the_policy_says(store: Path, tmp_path: Path) -> None:
    done = new_registration(store, tmp_path / "r.jwt")
    assert json.loads(done.stdout)["identifier"] == NUMBER
    token, now = (tmp_path / "r.jwt").read_text().strip(), SystemClock().now()
    anchors = load_trust_anchors([store / "registers.anchor.pem"])
    policy = load_catalogue().policies["adult-check"]
    registration = verify_registration(token, anchors, at=now)
    assert registration.purpose == {"ko": policy.purpose.ko, "en": policy.purpose.en}
    assert registration.source["registry_uri"] == REGISTER
    judgement = judge_verifier(registration_info(token), [NUMBER], anchors, now=now)
    assert judgement.standing is Standing.REGISTERED
    assert judgement.over_asked(parse_dcql_query(policy.dcql_query)) == ()
    assert judgement.over_asked(parse_dcql_query(load_catalogue().policies["account-opening"].dcql_query))


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"party": "plain"}, InvalidRequest),
        ({"policy": "unknown"}, NotFound),
        ({"days": 367}, MalformedError),
        ({"party": "nobody"}, None),
    ],
    ids=["no number", "no policy", "too long", "no certificate"],
)
def test_what_cannot_be_registered(store: Path, tmp_path: Path, how: dict[str, object], error: type | None) -> None:
    done = new_registration(store, tmp_path / "r.jwt", **how)  # type: ignore[arg-type]
    assert done.exit_code != 0
    assert error is None or isinstance(done.exception, error)
    assert not (tmp_path / "r.jwt").exists()


def test_an_attestation_is_of_the_key_in_the_certificate(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.jwt"
    done = new_attestation(store, file, "--redirect-uri", "https://verifier.example/r")
    assert json.loads(done.stdout)["client_id"] == f"verifier_attestation:{NUMBER}"
    anchors = load_trust_anchors([store / "attesters.anchor.pem"])
    attestation = verify_verifier_attestation(file.read_text().strip(), anchors, at=SystemClock().now())
    assert attestation.key == KeyStore(store).signer("shop").public_key
    assert attestation.redirect_uris == ("https://verifier.example/r",)
    named = json.loads(new_attestation(store, file, "--subject", "shop.example", party="plain").stdout)
    assert named["client_id"] == "verifier_attestation:shop.example"


def test_an_attestation_needs_a_subject_and_a_place(store: Path, tmp_path: Path) -> None:
    assert isinstance(new_attestation(store, tmp_path / "a.jwt", party="plain").exception, InvalidRequest)
    assert isinstance(new_attestation(store, tmp_path / "no" / "a.jwt").exception, KeyUnavailable)


def test_a_number_has_the_form_of_the_register(store: Path) -> None:
    done = jigap_keys(
        "new-verifier", "other", "--store", str(store), "--ca", "access", "--organization", "x", "--response-uri",
        "https://verifier.example", "--identifier", "12345",
    )  # fmt: skip
    assert done.exit_code == 2
    assert not (store / "other.key.pem").exists()
