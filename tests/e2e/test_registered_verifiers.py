"""Relying parties that are registered and attested: what the verifier keeps and sends, and what the wallet reads."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.dc_api import ORIGIN, requests_of
from tests.support.presentations import CLAIMS, NOW, new_world, query
from tests.support.registering import (
    OTHER_ID,
    PARTY_ID,
    register,
    registration_claims,
    signer_below,
)
from tests.support.verifying import PARTY, VerifierUnderTest, add_access_key, start_verifier
from tests.support.verifying import register as register_party
from verifier import cli
from verifier.relying_parties.use_cases import file_attestation, file_registration
from wallet_core.adapters.expiry import warn_of_expiry
from wallet_core.adapters.keystore import KeyStore
from wallet_core.catalogue import Policy
from wallet_core.errors import FalseRegistration, InvalidRequest, KeyUnavailable, NotFound, VerificationError
from wallet_core.jose import jws
from wallet_core.keys.jwk import public_jwk
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp.dc_api_wallet import ResolvedDcApiRequest, resolve_dc_api_request
from wallet_core.protocols.openid4vp.registration import create_registration_certificate, registration_of_policy
from wallet_core.protocols.openid4vp.verifier_info import Standing
from wallet_core.trust.profiles import CertificateRole

REGISTER = register()
POLICY = "adult-check"
NUMBERLESS = "numberless"
OVER_DC_API = {"response_mode": "dc_api.jwt", "expected_origins": [ORIGIN]}
ALL_SIGNED = {"dc_api_protocols": ["openid4vp-v1-signed", "openid4vp-v1-multisigned", "openid4vp-v1-unsigned"]}


@pytest.fixture
def desk(tmp_path: Path) -> VerifierUnderTest:
    """A verifier with a party that has a registered number, and one that has none."""
    world = new_world()
    others = tuple(REGISTER.anchors.anchors[1:])
    under_test: VerifierUnderTest = start_verifier(
        tmp_path, f"sqlite:///{tmp_path}/verifier.db", parties=(), world=replace(world, more_anchors=others)
    )
    keys = under_test.verifier.keys
    add_access_key(keys, world.verifier_ca, PARTY, organization_id=PARTY_ID)
    add_access_key(keys, world.verifier_ca, NUMBERLESS)
    for party in (PARTY, NUMBERLESS):
        under_test.api_keys[party] = register_party(under_test.verifier, party)
    under_test.held = world.held(
        claims={**CLAIMS, "adult_by_year": True}, selectively_disclosable=[("name",), ("adult_by_year",), ("address",)]
    )
    return under_test


def policy(desk: VerifierUnderTest) -> Policy:
    return desk.verifier.catalogue.policies[POLICY]


def registration(desk: VerifierUnderTest, identifier: str = PARTY_ID, **times: Any) -> str:
    made = registration_of_policy(
        policy(desk),
        identifier=identifier,
        registry_uri="https://registrar.example",
        privacy_policy="https://gaon.example/privacy",
        support="https://gaon.example/help",
        **{"issued_at": NOW - timedelta(days=1), "expires_at": NOW + timedelta(days=100), **times},
    )
    return create_registration_certificate(made, REGISTER.registrar)


def filed(desk: VerifierUnderTest, text: str, party: str = PARTY) -> Any:
    verifier = desk.verifier
    return file_registration(
        verifier.keys, verifier.party(party), policy(desk), text, anchors=verifier.anchors, now=NOW
    )


def attested(desk: VerifierUnderTest, **changes: Any) -> str:
    """An attestation of the party's access key."""
    key = desk.verifier.keys.signer(PARTY).public_key
    return REGISTER.attestation(**{"cnf": {"jwk": public_jwk(key)}, **changes})


def file(desk: VerifierUnderTest, text: str, party: str = PARTY) -> Any:
    verifier = desk.verifier
    return file_attestation(verifier.keys, verifier.party(party), text, anchors=verifier.anchors, now=NOW)


def test_a_registration_goes_with_every_request_under_its_policy(desk: VerifierUnderTest) -> None:
    filed(desk, registration(desk) + "\n")
    for prefix in ("x509_hash", "x509_san_dns"):
        resolved = desk.resolve(desk.ask(policy=POLICY, client_id_prefix=prefix)["authorization_request"])
        assert resolved.judgement.standing is Standing.REGISTERED
        assert resolved.judgement.over_asked(resolved.request.dcql_query) == ()
        known = resolved.judgement.registration
        assert known is not None
        assert known.purpose["ko"] == policy(desk).purpose.ko
        assert known.name["en"] == policy(desk).party.name.en
        assert (known.use_id, known.retention and known.retention.days) == (POLICY, policy(desk).retention.claims_days)
    assert desk.present(desk.ask(policy=POLICY)["authorization_request"])


@pytest.mark.clause("dcapi-A.3.2.2-verifier-info")
def test_it_goes_with_signed_requests_over_the_digital_credentials_api(desk: VerifierUnderTest) -> None:
    filed(desk, registration(desk))
    asked = desk.ask(dcql_query=query(("adult_by_year",), ("name",)), registration=POLICY, **OVER_DC_API, **ALL_SIGNED)
    for protocol, data in requests_of(asked).items():
        resolved = resolve_dc_api_request(protocol, data, origin=ORIGIN, anchors=desk.world.anchors, now=NOW)
        assert ResolvedDcApiRequest.from_json(json.loads(json.dumps(resolved.to_json()))) == resolved
        over = [one.path for one in resolved.judgement.over_asked(resolved.request.dcql_query)]
        signed = protocol != "openid4vp-v1-unsigned"
        assert over == ([("name",)] if signed else [])
        assert (resolved.judgement.standing is Standing.REGISTERED) == signed
        assert bool(resolved.request.verifier_info) == signed


def test_it_does_not_go_with_requests_of_another_policy_party_or_prefix(desk: VerifierUnderTest) -> None:
    filed(desk, registration(desk))
    for asked in (
        desk.ask(policy="car-rental"),
        desk.ask(("name",)),
        desk.ask(policy=POLICY, party=NUMBERLESS),
        desk.ask(("name",), registration=POLICY, client_id_prefix="redirect_uri", response_mode="direct_post"),
    ):
        resolved = desk.resolve(asked["authorization_request"])
        assert resolved.request.verifier_info == ()
        assert resolved.judgement.standing is Standing.UNREGISTERED


def test_a_query_of_its_own_can_be_asked_under_a_registration(desk: VerifierUnderTest) -> None:
    filed(desk, registration(desk))
    asked = desk.ask(dcql_query=query(("adult_by_year",), ("name",)), registration=POLICY)
    resolved = desk.resolve(asked["authorization_request"])
    assert [one.path for one in resolved.judgement.over_asked(resolved.request.dcql_query)] == [("name",)]


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"dcql_query": query(("name",)), "registration": "car-rental"}, 400),
        ({"dcql_query": query(("name",)), "registration": "unknown"}, 404),
        ({"policy": POLICY, "registration": POLICY}, 400),
        ({"dcql_query": query(("name",)), "client_id_prefix": "verifier_attestation"}, 400),
        ({"dcql_query": query(("name",)), "client_id_prefix": "verifier_attestation", **OVER_DC_API}, 400),
    ],
    ids=["none filed", "no policy", "both", "no attestation", "attested over DC API"],
)
def test_what_was_never_filed_cannot_be_used(desk: VerifierUnderTest, members: Any, status: int) -> None:
    filed(desk, registration(desk))
    assert desk.api("POST", json=members).status_code == status


@pytest.mark.clause("vp-5.1-info-own")
def test_only_a_registration_that_wallets_count_is_kept(desk: VerifierUnderTest) -> None:
    stranger = signer_below(REGISTER.access_ca, CertificateRole.REGISTRAR, "https://registrar.example")
    claims = jws.parse(registration(desk)).claims()
    with pytest.raises(FalseRegistration):
        filed(desk, registration(desk, OTHER_ID))
    with pytest.raises(FalseRegistration):
        filed(desk, registration(desk), NUMBERLESS)
    for text in (
        "x",
        REGISTER.registration(claims, by=stranger),
        registration(desk, expires_at=NOW),
    ):
        with pytest.raises(InvalidRequest, match="no wallet would count"):
            filed(desk, text)
    with pytest.raises(InvalidRequest, match="asks for licence"):
        filed(desk, REGISTER.registration(registration_claims(("adult_by_year",))))
    assert desk.verifier.keys.statements() == []


def test_a_renewed_registration_counts_at_once(desk: VerifierUnderTest) -> None:
    filed(desk, registration(desk, expires_at=NOW + timedelta(days=1)))
    filed(desk, registration(desk, expires_at=NOW + timedelta(days=50)))
    known = desk.resolve(desk.ask(policy=POLICY)["authorization_request"]).judgement.registration
    assert known is not None
    assert known.expires_at == NOW + timedelta(days=50)


def test_one_that_ended_meanwhile_looks_so(desk: VerifierUnderTest) -> None:
    filed(desk, registration(desk, expires_at=NOW + timedelta(minutes=1)))
    asked = desk.ask(policy=POLICY)
    desk.clock.time = NOW + timedelta(minutes=2)
    assert desk.resolve(asked["authorization_request"]).judgement.standing is Standing.EXPIRED


def test_its_end_is_warned_of_like_that_of_certificates(desk: VerifierUnderTest) -> None:
    filed(desk, registration(desk, expires_at=NOW + timedelta(days=10)))
    file(desk, attested(desk, exp=int((NOW + timedelta(days=5)).timestamp())))
    desk.verifier.keys.add_statement(PARTY, "broken", "x")
    within = timedelta(days=30)
    endings = warn_of_expiry(desk.verifier.keys, desk.verifier.anchors, now=NOW, within=within, app="verifier")
    assert [(one.name, one.days_left) for one in endings] == [
        (f"{PARTY}.attestation", 5),
        (f"{PARTY}.registration.{POLICY}", 10),
    ]
    short = timedelta(days=1)
    assert not warn_of_expiry(desk.verifier.keys, desk.verifier.anchors, now=NOW, within=short, app="verifier")


# --- verifier_attestation ---------------------------------------------------------------------------------------------
def test_a_presentation_under_a_verifier_attestation(desk: VerifierUnderTest) -> None:
    file(desk, attested(desk))
    filed(desk, registration(desk))
    made = desk.ask(policy=POLICY, client_id_prefix="verifier_attestation")
    resolved = desk.resolve(made["authorization_request"])
    assert resolved.request.client_id.full == f"verifier_attestation:{PARTY_ID}"
    assert resolved.judgement.standing is Standing.REGISTERED
    desk.present(made["authorization_request"])
    assert desk.result(made["id"])["state"] == "verified"


@pytest.mark.clause("vp-5.9.3-own-attestation")
def test_only_an_attestation_of_the_access_key_is_kept(desk: VerifierUnderTest) -> None:
    other = {"jwk": public_jwk(SoftwareSigner.generate().public_key)}
    for changes, why in (
        ({"cnf": other}, "another key"),
        ({"sub": OTHER_ID}, "another number"),
        ({"redirect_uris": ["https://verifier.example/"]}, "differs for every request"),
    ):
        with pytest.raises(InvalidRequest, match=why):
            file(desk, attested(desk, **changes))
    with pytest.raises(VerificationError):
        file(desk, attested(desk, exp=int((NOW - timedelta(days=1)).timestamp())))
    assert desk.verifier.keys.statements() == []


@pytest.mark.clause("vp-12-own")
def test_nobody_asks_under_an_attestation_that_has_ended(desk: VerifierUnderTest) -> None:
    body = {"dcql_query": query(("name",)), "client_id_prefix": "verifier_attestation"}
    assert desk.api("POST", json=body).status_code == 400
    file(desk, attested(desk, exp=int((NOW + timedelta(minutes=1)).timestamp())))
    assert desk.api("POST", json=body).status_code == 201
    desk.clock.time = NOW + timedelta(minutes=1)
    refused = desk.api("POST", json=body)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")


# --- the store and the commands ---------------------------------------------------------------------------------------
def test_statements_lie_beside_the_keys(tmp_path: Path) -> None:
    keys = KeyStore(tmp_path)
    assert keys.statement("a", "attestation") is None
    keys.add_statement("a", "registration.x", "1")
    keys.add_statement("a", "registration.x", "2")
    assert keys.statement("a", "registration.x") == "2"
    assert keys.statements() == [("a.registration.x", "2")]
    assert keys.names() == []
    for name, kind in (("../a", "x"), ("a", "../x"), ("a", "x/y")):
        with pytest.raises(KeyUnavailable):
            keys.statement(name, kind)
    (tmp_path / "a.bad.jwt").write_bytes(b"\xff")
    with pytest.raises(KeyUnavailable):
        keys.statement("a", "bad")
    with pytest.raises(KeyUnavailable):
        KeyStore(tmp_path / "nowhere").add_statement("a", "x", "1")


def test_the_commands_keep_both(desk: VerifierUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "_verifier", lambda: desk.verifier)
    files = {"registration": registration(desk), "attestation": attested(desk)}
    for name, text in files.items():
        (tmp_path / name).write_text(f"{text}\n", encoding="ascii")
    runner = CliRunner()
    done = runner.invoke(cli.app, ["party", "register", PARTY, POLICY, str(tmp_path / "registration"), "--json"])
    assert json.loads(done.stdout)["identifier"] == PARTY_ID
    done = runner.invoke(cli.app, ["party", "attest", PARTY, str(tmp_path / "attestation"), "--json"])
    assert json.loads(done.stdout)["client_id"] == f"verifier_attestation:{PARTY_ID}"
    asked = runner.invoke(
        cli.app,
        ["request", "create", "--party", PARTY, "--policy", POLICY, "--prefix", "verifier_attestation", "--json"],
    )
    link = json.loads(asked.stdout)["authorization_request"]
    assert desk.resolve(link).judgement.standing is Standing.REGISTERED
    unknown = runner.invoke(cli.app, ["party", "register", PARTY, "unknown", str(tmp_path / "registration")])
    assert isinstance(unknown.exception, NotFound)
