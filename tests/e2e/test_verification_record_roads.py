"""Verification records of every road by which an answer comes: what an auditor finds, claims kept or gone."""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.e2e.test_dc_api import ALL, ISO, MULTISIGNED, SIGNED, UNSIGNED, ask, elsewhere, give, wallet_of
from tests.e2e.test_mdoc_presentation import Scene, new_scene
from tests.e2e.test_verification_record import CONTRACT, audit, payload_of, record_of, row, upkeep
from tests.simulators import run_flow
from tests.support.dc_api import ORIGIN, requests_of
from tests.support.mdoc_presentations import CLASSES, NAME, mdoc_query
from tests.support.presentations import NOW, query
from tests.support.registering import PARTY_ID, Register
from tests.support.verification_records import resealed
from tests.support.verifying import (
    BACK,
    PARTY,
    VerifierUnderTest,
    add_access_key,
    catalogue,
    register,
    response_code,
    start_verifier,
)
from verifier import cli
from verifier.app import create_worker
from verifier.presentations.use_cases import dc_api_answers
from verifier.relying_parties.use_cases import file_attestation
from wallet_core.keys.jwk import public_jwk
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.record_audit import Audit, AuditStep, Brought, audit_record
from wallet_core.spec_versions import DOCTYPE_MDL, NAMESPACE_MDL
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors, format_trust_anchors

FLOWS: dict[str, dict[str, Any]] = {"cross_device": {}, "same_device": {"flow": "same_device", "redirect_uri": BACK}}
ONLY_BROUGHT = {AuditStep.TRUST_LIST, AuditStep.PRESENTATIONS}
"""Steps that look at what these auditors do not bring."""


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = new_scene(tmp_path, f"sqlite:///{tmp_path}/verifier.db")
    yield made
    made.under_test.verifier.database.close()


@pytest.fixture
def attested(tmp_path: Path) -> Iterator[VerifierUnderTest]:
    """A verifier with a party that an attester vouches for."""
    others = Register()
    made: VerifierUnderTest = start_verifier(tmp_path, f"sqlite:///{tmp_path}/verifier.db", parties=())
    made.world.more_anchors = tuple(others.anchors.anchors[1:])
    keys = made.verifier.keys
    add_access_key(keys, made.world.verifier_ca, PARTY, organization_id=PARTY_ID)
    made.api_keys[PARTY] = register(made.verifier, PARTY)
    statement = others.attestation(cnf={"jwk": public_jwk(keys.signer(PARTY).public_key)})
    file_attestation(keys, made.verifier.party(PARTY), statement, anchors=made.world.anchors, now=NOW)
    made.held = made.world.held(claims=CONTRACT, selectively_disclosable=[(name,) for name in CONTRACT])
    yield made
    made.verifier.database.close()


def roots(scene: Scene) -> TrustAnchors:
    return scene.under_test.world.anchors + scene.agency.anchors


def audited(scene: Scene, record: str, *presentations: str) -> Audit:
    brought = Brought(roots(scene), presentations=presentations)
    return audit_record(record, brought, now=scene.under_test.clock.now())


def stands(found: Audit, *open_steps: AuditStep) -> dict[AuditStep, str]:
    """What each step of a record that stands found; only the steps named have nothing to look into."""
    assert [one.step for one in found.findings] == list(AuditStep)
    assert found.refused_at is None, found.findings
    assert {one.step for one in found.findings if one.ok is None} == set(open_steps), found.findings
    return {one.step: one.detail for one in found.findings}


def refused_at(found: Audit) -> AuditStep | None:
    return None if found.refused_at is None else found.refused_at.step


def keep_claims(scene: Scene, policy_id: str, **changes: Any) -> str:
    """The policy of that name, but for what it keeps: every claim, for 30 days."""
    shipped = catalogue().policies[policy_id]
    asks = tuple(replace(each, kept=True) for each in shipped.asks)
    policy = replace(shipped, asks=asks, retention=replace(shipped.retention, claims_days=30), **changes)
    scene.use(presentations=replace(scene.under_test.verifier.presentations, policies={policy.id: policy}))
    return policy.id


def redeem(under_test: VerifierUnderTest, made: dict[str, Any], redirect_uri: str | None) -> None:
    """Take up the answer as the browser that began does; before that there is no record."""
    create_worker(under_test.verifier).run_due()
    record_of(under_test, made, status=409)
    code = response_code(redirect_uri)
    redeemed = under_test.api("POST", f"/{made['id']}/redeem", json={"response_code": code})
    assert (redeemed.status_code, redeemed.json()["state"]) == (200, "verified")


def claims_go(under_test: VerifierUnderTest, made: dict[str, Any], days: int) -> str:
    """The record after the claims went, which is the old seal alone."""
    sealed = record_of(under_test, made).split("~")[0]
    under_test.clock.advance(timedelta(days=days).total_seconds())
    upkeep(under_test)
    gone = row(under_test, made)
    assert (gone.sealed_claims, gone.record_secrets) == (None, None)
    later = record_of(under_test, made, "?disclose=true")
    assert later == f"{sealed}~\n"
    return later


# --- (a) over the Digital Credentials API -----------------------------------------------------------------------------
@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The presentations that came, which a relying party kept although nothing of ours does."""
    texts: list[str] = []
    honest = dc_api_answers.validate_answer

    def keep(ports: Any, stored: Any, vp_token: Any, **options: Any) -> Any:
        texts.extend(text for several in vp_token.values() for text in several)
        return honest(ports, stored, vp_token, **options)

    monkeypatch.setattr(dc_api_answers, "validate_answer", keep)
    return texts


@pytest.mark.clause("record-4-verified-again", "record-4-origin")
@pytest.mark.parametrize("mode", ["dc_api", "dc_api.jwt"])
@pytest.mark.parametrize("protocol", ALL)
def test_an_answer_over_the_digital_credentials_api(scene: Scene, mode: str, protocol: str, kept: list[str]) -> None:
    dcql = mdoc_query({"path": list(NAME), "intent_to_retain": True}) if protocol == ISO else query(("name",))
    made = ask(scene, dcql_query=dcql, response_mode=mode, dc_api_protocols=[protocol])
    wallet_of_all = wallet_of(scene)
    call = requests_of(made)[protocol]
    scene.under_test.clock.advance(2)
    credential = wallet_of_all.answer(protocol, call)
    assert give(scene, made, credential).json()["state"] == "verified"
    scene.under_test.clock.advance(2)
    create_worker(scene.under_test.verifier).run_due()
    record = record_of(scene.under_test, made)
    said = stands(audited(scene, record), AuditStep.SHOWN_CLAIMS, *ONLY_BROUGHT)
    payload = payload_of(record)
    parameters = payload["request"]["parameters"]
    assert (parameters["response_mode"], parameters["expected_origins"]) == (mode, [ORIGIN])
    assert "response_uri" not in parameters
    assert said[AuditStep.FORM] == f"version 1, presentation {made['id']}, verified"
    assert said[AuditStep.WHO_ASKED].endswith(f"asked as {parameters['client_id']}")
    assert parameters["client_id"].startswith("x509_hash:")
    assert said[AuditStep.CHECKS] == "10 checks"
    assert said[AuditStep.QUESTION_ANSWERED] == "1 credential(s), as asked"
    assert said[AuditStep.ISSUERS] == scene.agency.name
    assert said[AuditStep.STATUS] == "the credential has no status list"
    assert payload["answer"]["received_at"] == int(NOW.timestamp()) + 2
    assert payload["iat"] == int(NOW.timestamp()) + 4
    sealed_for = {"encryption_info": call["encryptionInfo"]} if protocol == ISO else {}
    assert payload["answer"]["dc_api"] == {"protocol": protocol, "origin": ORIGIN, **sealed_for}
    every = audited(scene, record_of(scene.under_test, made, "?disclose=true"))
    assert stands(every, *ONLY_BROUGHT)[AuditStep.SHOWN_CLAIMS] == "1 claim(s) shown"
    again = audited(scene, record, *kept)
    assert stands(again, AuditStep.SHOWN_CLAIMS, AuditStep.TRUST_LIST)[AuditStep.PRESENTATIONS] == (
        "1 presentation(s) of this answer, verified again"
    )
    # A record of an earlier version does not say how the answer came: it stands, and nothing is verified again.
    earlier = deepcopy(payload)
    del earlier["answer"]["dc_api"]
    key = scene.under_test.verifier.keys.signing_key(PARTY)
    told = stands(audited(scene, resealed(earlier, key=key), *kept), AuditStep.SHOWN_CLAIMS, AuditStep.TRUST_LIST)
    assert told[AuditStep.PRESENTATIONS].endswith("so it is not verified again")
    # A party that says afterwards that another page had asked is contradicted by what the holder signed.
    payload["answer"]["dc_api"]["origin"] = "https://evil.example"
    assert refused_at(audited(scene, resealed(payload, key=key))) is AuditStep.WHO_ASKED
    parameters["expected_origins"] = ["https://evil.example"]
    assert refused_at(audited(scene, resealed(payload, key=key), *kept)) is AuditStep.PRESENTATIONS
    [[shown]] = every.claims.values()
    assert shown == ({NAMESPACE_MDL: {"family_name": "SIHEOM"}} if protocol == ISO else {"name": "홍시험"})


def test_a_policy_keeps_claims_that_came_over_the_api_and_lets_them_go(scene: Scene) -> None:
    under_test = scene.under_test
    under_test.held = under_test.world.held(claims=CONTRACT, selectively_disclosable=[(name,) for name in CONTRACT])
    made = ask(scene, policy="mobile-contract", dc_api_protocols=[SIGNED])
    assert give(scene, made, wallet_of(scene).answer(SIGNED, requests_of(made)[SIGNED])).status_code == 200
    found = audited(scene, record_of(under_test, made))
    stands(found, *ONLY_BROUGHT)
    kept = {name: value for name, value in CONTRACT.items() if name != "portrait"}
    assert found.claims == {"licence": [kept]}
    gone = audited(scene, claims_go(under_test, made, 184))
    stands(gone, AuditStep.SHOWN_CLAIMS, *ONLY_BROUGHT)
    assert gone.claims == {"licence": [{}]}


def test_an_answer_that_another_page_passed_on_has_a_record_of_its_refusal(scene: Scene, kept: list[str]) -> None:
    made = {**ask(scene, dcql_query=query(("name",))), "mode": "dc_api.jwt", "asked": query(("name",))}
    assert give(scene, made, elsewhere(scene, made, UNSIGNED)).status_code == 400
    assert len(kept) == 1
    record = record_of(scene.under_test, made, "?disclose=true")
    found = audited(scene, record)
    nothing = (AuditStep.QUESTION_ANSWERED, AuditStep.ISSUERS, AuditStep.STATUS, AuditStep.SHOWN_CLAIMS)
    assert stands(found, *nothing, *ONLY_BROUGHT)[AuditStep.CHECKS] == "refused at check 6"
    assert "홍시험" not in json.dumps(found.payload, ensure_ascii=False)
    assert (found.claims, record.count("~")) == ({}, 1)
    told = stands(audited(scene, record, *kept), *nothing, AuditStep.TRUST_LIST)
    assert told[AuditStep.PRESENTATIONS] == "of this answer, which was refused"


def test_a_wallet_that_said_no_over_the_api(scene: Scene) -> None:
    made = ask(scene, dcql_query=query(("name",)), dc_api_protocols=[MULTISIGNED])
    refusal = {"protocol": MULTISIGNED, "data": {"error": "access_denied"}}
    assert give(scene, made, refusal).json()["state"] == "refused"
    found = audited(scene, record_of(scene.under_test, made))
    nothing = (AuditStep.QUESTION_ANSWERED, AuditStep.ISSUERS, AuditStep.STATUS, AuditStep.SHOWN_CLAIMS)
    assert stands(found, *nothing, *ONLY_BROUGHT)[AuditStep.CHECKS] == "the wallet sent no presentation: access_denied"


# --- (b) under a verifier attestation ---------------------------------------------------------------------------------
@pytest.mark.parametrize("flow", FLOWS)
def test_a_request_under_a_verifier_attestation(attested: VerifierUnderTest, flow: str) -> None:
    made = attested.ask(policy="mobile-contract", client_id_prefix="verifier_attestation", **FLOWS[flow])
    pending = attested.prepare(attested.resolve(made["authorization_request"]))
    vp_token = attested.vp_token(pending)
    answer = attested.post(pending.resolved, vp_token)
    assert answer.status_code == 200
    if flow == "same_device":
        redeem(attested, made, answer.json()["redirect_uri"])
    create_worker(attested.verifier).run_due()
    record = record_of(attested, made)
    found = audit(attested, record, presentations=vp_token["licence"])
    said = stands(found, AuditStep.TRUST_LIST)
    assert found.payload["request"]["parameters"]["client_id"] == f"verifier_attestation:{PARTY_ID}"
    assert said[AuditStep.WHO_ASKED] == f"시험용 {PARTY} asked as verifier_attestation:{PARTY_ID}"
    assert said[AuditStep.SEAL].startswith(f"sealed by 시험용 {PARTY} at ")
    assert said[AuditStep.CHECKS] == "10 checks"
    assert said[AuditStep.PRESENTATIONS] == "1 presentation(s) of this answer, verified again"
    assert found.claims == {"licence": [{name: value for name, value in CONTRACT.items() if name != "portrait"}]}
    # Whoever audits later needs no root of attesters: the attestation ended long ago.
    later = claims_go(attested, made, 184)
    gone = audit_record(later, Brought(replace(attested.world, more_anchors=()).anchors), now=attested.clock.now())
    stands(gone, AuditStep.SHOWN_CLAIMS, *ONLY_BROUGHT)
    assert gone.claims == {"licence": [{}]}


# --- (c) of an mdoc ---------------------------------------------------------------------------------------------------
def shown(scene: Scene, made: dict[str, Any], flow: str = "cross_device") -> list[str]:
    """Answer with the mdoc as our wallet does, and return the presentations that were sent."""
    under_test = scene.under_test
    pending = scene.prepare(under_test.resolve(made["authorization_request"]))
    signatures = under_test.sign(pending)
    texts = [item.attach(one) for item, one in zip(pending.items, signatures, strict=True)]
    sent = run_flow(wallet.send_response(pending, signatures), under_test.send)
    if flow == "same_device":
        redeem(under_test, made, sent.redirect_uri)
    return texts


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("mode", ["direct_post", "direct_post.jwt"])
def test_an_answer_with_an_mdoc(scene: Scene, mode: str, flow: str) -> None:
    made = scene.under_test.ask(dcql_query=mdoc_query(NAME, CLASSES), response_mode=mode, **FLOWS[flow])
    presentations = shown(scene, made, flow)
    record = record_of(scene.under_test, made)
    found = audited(scene, record, *presentations)
    said = stands(found, AuditStep.SHOWN_CLAIMS, AuditStep.TRUST_LIST)
    assert said[AuditStep.QUESTION_ANSWERED] == "1 credential(s), as asked"
    assert said[AuditStep.ISSUERS] == scene.agency.name
    assert said[AuditStep.STATUS] == "the credential has no status list"
    assert said[AuditStep.PRESENTATIONS] == "1 presentation(s) of this answer, verified again"
    [credential] = found.payload["credentials"]["mdl"]
    assert (credential["format"], credential["type"], credential["holder_bound"]) == ("mso_mdoc", DOCTYPE_MDL, True)
    assert "SIHEOM" not in json.dumps(found.payload)
    every = audited(scene, record_of(scene.under_test, made, "?disclose=true"))
    assert stands(every, *ONLY_BROUGHT)[AuditStep.SHOWN_CLAIMS] == "2 claim(s) shown"
    privileges = [{"vehicle_category_code": "B", "issue_date": "2020-05-11", "codes": [{"code": "78"}]}]
    assert every.claims == {"mdl": [{NAMESPACE_MDL: {"family_name": "SIHEOM", "driving_privileges": privileges}}]}
    # The root of those who sign mdocs is enough, beside that of access certificates.
    world = scene.under_test.world
    access = TrustAnchors([one for one in world.anchors.anchors if one.purpose is AnchorPurpose.VERIFIER_ACCESS])
    enough = audit_record(record, Brought(access + scene.agency.anchors, presentations=presentations), now=NOW)
    assert stands(enough, AuditStep.SHOWN_CLAIMS, AuditStep.TRUST_LIST) == said
    # Without the root of those who sign mdocs nobody can say whose it is, and it says so.
    [issuers] = [
        one
        for one in audit_record(record, Brought(scene.under_test.world.anchors), now=NOW).findings
        if one.step is AuditStep.ISSUERS
    ]
    assert (issuers.ok, "bring the roots" in issuers.detail) == (None, True)


def test_a_policy_keeps_claims_of_an_mdoc_and_lets_them_go(scene: Scene) -> None:
    claims = [{"id": "expires", "path": [NAMESPACE_MDL, "expiry_date"]}, {"id": "name", "path": list(NAME)}]
    policy = keep_claims(scene, "car-rental", dcql_query=mdoc_query(*claims), must_match=())
    made = scene.under_test.ask(policy=policy)
    presentations = shown(scene, made)
    found = audited(scene, record_of(scene.under_test, made), *presentations)
    said = stands(found, AuditStep.TRUST_LIST)
    # The policy names the end of the licence; that the query asks for the name as well keeps nothing of it.
    assert said[AuditStep.SHOWN_CLAIMS] == "1 claim(s) shown"
    [[kept]] = found.claims.values()
    assert list(kept[NAMESPACE_MDL]) == ["expiry_date"]
    gone = audited(scene, claims_go(scene.under_test, made, 31), *presentations)
    stands(gone, AuditStep.SHOWN_CLAIMS, AuditStep.TRUST_LIST)
    assert gone.claims == {"mdl": [{NAMESPACE_MDL: {}}]}


def test_the_command_audits_the_record_of_an_mdoc(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("verifier.presentations.cli.SystemClock", lambda: scene.under_test.clock)
    made = scene.under_test.ask(dcql_query=mdoc_query(NAME))
    [presentation] = shown(scene, made)
    file, trust, kept = tmp_path / "record.jwt", tmp_path / "roots.pem", tmp_path / "mdoc"
    file.write_text(record_of(scene.under_test, made, "?disclose=true"))
    trust.write_text(format_trust_anchors(roots(scene)))
    kept.write_text(presentation)
    asked = ["audit", str(file), "--trust", str(trust), "--presentation", str(kept), "--json"]
    done = CliRunner().invoke(cli.app, asked)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["stands"] is True
    assert {one["step"]: one["ok"] for one in told["steps"]} == {
        int(step): None if step is AuditStep.TRUST_LIST else True for step in AuditStep
    }
    assert told["claims"] == {"mdl": [{NAMESPACE_MDL: {"family_name": "SIHEOM"}}]}
    # Another mdoc of the same holder is not of this answer.
    other = scene.under_test.ask(dcql_query=mdoc_query(NAME))
    kept.write_text(shown(scene, other)[0])
    refused = CliRunner().invoke(cli.app, asked)
    assert (refused.exit_code, json.loads(refused.stdout)["refused_at"]) == (1, AuditStep.PRESENTATIONS)
