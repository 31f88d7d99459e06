"""Deferred issuance over the whole app: a request that waits, a clerk's decision, a wallet that asks again."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from issuer.app import create_app
from issuer.dependencies import build_issuer
from issuer.issuance.use_cases.expiry import expire_deferrals
from tests.support.issuing import HOST, LICENCE, IssuerUnderTest, sign_proofs, start_issuer
from wallet_core.encoding import base64url
from wallet_core.errors import PeerRefusal
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.jose import jws
from wallet_core.keys.jwk import parse_public_jwk, thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.deferral import COLLECTION_LIFETIME, DECISION_LIFETIME
from wallet_core.protocols.openid4vci.encryption import (
    MessageEncryption,
    choose_encryption,
    parse_request_encryption,
    parse_response_encryption,
)
from wallet_core.protocols.openid4vci.messages import (
    CredentialResponse,
    Deferral,
    create_credential_request,
    create_deferred_request,
    parse_credential_response,
    parse_deferred_response,
)
from wallet_core.protocols.openid4vci.pending import ProofsToSign
from wallet_core.protocols.openid4vci.proof import proof_signing_input
from wallet_core.types import CredentialConfigurationId, CredentialIssuerId, Nonce

CI = f"{HOST}/agencies/police"
KEYS = [SoftwareSigner.generate() for _ in range(2)]


def encryption_of(issuer: IssuerUnderTest, *, required: bool = True) -> MessageEncryption:
    """What a wallet that wants encryption makes of the metadata."""
    document = issuer.client.get(f"{HOST}/.well-known/openid-credential-issuer/agencies/police").json()
    found = [parse_request_encryption(document), parse_response_encryption(document)]
    chosen = choose_encryption(*(each and replace(each, required=required) for each in found))
    assert chosen is not None
    return chosen


def send(issuer: IssuerUnderTest, request: HttpRequest) -> HttpResponse:
    return issuer.send(request)


def requested(
    issuer: IssuerUnderTest, pending: ProofsToSign, encryption: MessageEncryption | None = None
) -> HttpResponse:
    """Send a Credential Request with every proof."""
    proofs = [
        jws.attach_signature(proof.signing_input, signature)
        for proof, signature in zip(pending.proofs, sign_proofs(pending, KEYS), strict=True)
    ]
    request = create_credential_request(
        f"{CI}/credential",
        pending.token.access_token,
        configuration_id=CredentialConfigurationId(LICENCE),
        credential_identifier=None,
        proofs=proofs,
        encryption=encryption,
    )
    return send(issuer, request)


def poll(
    issuer: IssuerUnderTest,
    pending: ProofsToSign,
    transaction_id: str,
    encryption: MessageEncryption | None = None,
) -> CredentialResponse | Deferral:
    request = create_deferred_request(
        f"{CI}/deferred", pending.token.access_token, transaction_id=transaction_id, encryption=encryption
    )
    return parse_deferred_response(send(issuer, request), encryption, transaction_id=transaction_id)


def deferred(issuer: IssuerUnderTest, **offer: Any) -> tuple[str, ProofsToSign, Deferral, str]:
    """Make a deferred offer and ask for it: the offer, what the wallet has, the deferral, our id of it."""
    made = issuer.offer(deferred=True, **offer)
    pending = issuer.proofs(made["uri"], KEYS)
    answer = requested(issuer, pending)
    assert answer.status == 202
    found = parse_credential_response(answer)
    assert isinstance(found, Deferral)
    status = issuer.api("GET", f"/offers/{made['id']}").json()
    assert status["state"] == "deferred"
    return made["id"], pending, found, status["deferred"][-1]["id"]


def decide(issuer: IssuerUnderTest, id_: str, decision: str, **members: Any) -> Any:
    return issuer.api("POST", f"/issuances/{id_}/decision", json={"decision": decision, **members})


def refused(issuer: IssuerUnderTest, pending: ProofsToSign, transaction_id: str) -> tuple[int, str]:
    with pytest.raises(PeerRefusal) as caught:
        poll(issuer, pending, transaction_id)
    return caught.value.status, caught.value.error


@pytest.mark.clause("vci-9.2-once")
def test_a_clerk_approves_and_the_wallet_fetches_once(issuer: IssuerUnderTest) -> None:
    offer_id, pending, found, id_ = deferred(issuer)
    assert found.interval == 30
    assert poll(issuer, pending, found.transaction_id) == found
    waiting = issuer.api("GET", "/issuances").json()["issuances"]
    assert [each["id"] for each in waiting] == [id_]
    assert waiting[0]["copies"] == 2
    shown = issuer.api("GET", f"/issuances/{id_}").json()
    assert shown["claims"]["name"]
    assert found.transaction_id not in json.dumps(shown)
    assert decide(issuer, id_, "ready").json()["state"] == "ready"
    issuer.clock.advance(60)
    answer = poll(issuer, pending, found.transaction_id)
    assert isinstance(answer, CredentialResponse)
    # M19: no notification_id in a deferred answer unless it is switched on.
    assert answer.notification_id is None
    claims = [parse_sd_jwt(each).issuer_jws.claims() for each in answer.credentials]
    bound = {thumbprint(parse_public_jwk(each["cnf"]["jwk"])) for each in claims}
    assert bound == {thumbprint(key.public_key) for key in KEYS}
    assert refused(issuer, pending, found.transaction_id) == (400, "invalid_transaction_id")
    status = issuer.api("GET", f"/offers/{offer_id}").json()
    assert (status["state"], status["deferred"][0]["state"]) == ("issued", "delivered")
    assert issuer.api("GET", "/issuances").json()["issuances"] == []
    assert len(issuer.api("GET", "/credentials").json()["credentials"]) == 2
    assert len({each["status"]["status_list"]["idx"] for each in claims}) == 2


@pytest.mark.clause("vci-9.3-denied")
def test_a_refusal_is_final(issuer: IssuerUnderTest) -> None:
    offer_id, pending, found, id_ = deferred(issuer)
    assert decide(issuer, id_, "denied").status_code == 400
    denied = decide(issuer, id_, "denied", reason="주소가 달라요")
    assert (denied.status_code, denied.json()["state"], denied.json()["can_undo"]) == (200, "denied", True)
    for _ in range(2):
        assert refused(issuer, pending, found.transaction_id) == (400, "credential_request_denied")
    assert decide(issuer, id_, "ready").status_code == 409
    assert decide(issuer, id_, "waiting").status_code == 409
    status = issuer.api("GET", f"/offers/{offer_id}").json()
    assert (status["state"], status["deferred"][0]["reason"]) == ("refused", "주소가 달라요")


def test_a_decision_is_taken_back_before_the_wallet_hears_of_it(issuer: IssuerUnderTest) -> None:
    _, pending, found, id_ = deferred(issuer)
    assert decide(issuer, id_, "denied", reason="r").status_code == 200
    assert decide(issuer, id_, "waiting").json()["state"] == "waiting"
    assert poll(issuer, pending, found.transaction_id) == found
    assert decide(issuer, id_, "ready").json()["decided_by"].startswith("API key ")
    assert decide(issuer, id_, "ready").status_code == 409
    assert isinstance(poll(issuer, pending, found.transaction_id), CredentialResponse)
    assert decide(issuer, id_, "waiting").status_code == 409


def test_the_clerk_may_mend_the_data(sqlite_issuer: IssuerUnderTest) -> None:
    _, pending, found, id_ = deferred(sqlite_issuer)
    example = sqlite_issuer.issuer.catalogue.types["drivers-licence"].example_record
    assert decide(sqlite_issuer, id_, "ready", claims={"name": 1}).status_code == 400
    assert decide(sqlite_issuer, id_, "ready", claims={**example, "name": "다시시험용"}).status_code == 200
    assert sqlite_issuer.api("GET", f"/issuances/{id_}").json()["claims"]["name"] == "다시시험용"
    answer = poll(sqlite_issuer, pending, found.transaction_id)
    assert isinstance(answer, CredentialResponse)
    assert any("다시시험용" in each for each in decoded(answer.credentials[0]))


def decoded(credential: str) -> list[str]:
    return [base64url.decode(part).decode() for part in credential.split("~")[1:-1]]


@pytest.mark.clause("vci-9.3-unknown")
def test_a_transaction_is_good_only_with_its_own_token(issuer: IssuerUnderTest) -> None:
    _, pending, found, id_ = deferred(issuer)
    _, other, _, _ = deferred(issuer)
    decide(issuer, id_, "ready")
    assert refused(issuer, other, found.transaction_id) == (400, "invalid_transaction_id")
    assert refused(issuer, pending, "x" * 43) == (400, "invalid_transaction_id")
    assert refused(issuer, pending, id_) == (400, "invalid_transaction_id")
    stranger = replace(pending, token=replace(pending.token, access_token="wrong"))
    assert refused(issuer, stranger, found.transaction_id) == (401, "invalid_token")
    request = create_deferred_request(
        f"{HOST}/agencies/city-tax/deferred", pending.token.access_token, transaction_id=found.transaction_id
    )
    assert send(issuer, request).status == 401
    assert issuer.api("GET", f"/issuances/{id_}", agency="city-tax").status_code == 404
    elsewhere = issuer.api("POST", f"/issuances/{id_}/decision", agency="city-tax", json={"decision": "ready"})
    assert elsewhere.status_code == 404
    assert isinstance(poll(issuer, pending, found.transaction_id), CredentialResponse)


@pytest.mark.clause("vci-8.3.1.2-nonce-spent")
def test_the_nonce_is_spent_when_the_request_is_deferred(issuer: IssuerUnderTest) -> None:
    pending = issuer.proofs(issuer.offer(deferred=True)["uri"], KEYS)
    assert requested(issuer, pending).status == 202
    answer = requested(issuer, pending)
    assert (answer.status, json.loads(answer.body)["error"]) == (400, "invalid_nonce")
    assert len(issuer.api("GET", "/issuances").json()["issuances"]) == 1


def test_two_workers_and_one_transaction_make_one_delivery(issuer: IssuerUnderTest) -> None:
    _, pending, found, id_ = deferred(issuer)
    decide(issuer, id_, "ready")
    second = build_issuer(issuer.issuer.settings, clock=issuer.clock)
    apps: list[FastAPI] = [issuer.app, create_app(second)]
    request = create_deferred_request(f"{CI}/deferred", pending.token.access_token, transaction_id=found.transaction_id)

    def ask(app: FastAPI) -> HttpResponse:
        with TestClient(app, base_url=HOST) as client:
            answer = client.post(request.url, content=request.body, headers=dict(request.headers))
            return HttpResponse(answer.status_code, dict(answer.headers), answer.content)

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, apps * 4))
    second.database.close()
    assert sorted(answer.status for answer in answers) == [200] + [400] * 7
    refusals = [json.loads(answer.body)["error"] for answer in answers if answer.status == 400]
    assert set(refusals) == {"invalid_transaction_id"}
    assert len(issuer.api("GET", "/credentials").json()["credentials"]) == 2


@pytest.mark.clause("vci-9.1-new-encryption")
def test_messages_of_a_deferred_issuance_are_encrypted_anew_each_time(sqlite_issuer: IssuerUnderTest) -> None:
    pending = sqlite_issuer.proofs(sqlite_issuer.offer(deferred=True)["uri"], KEYS)
    first, second = encryption_of(sqlite_issuer), encryption_of(sqlite_issuer)
    answer = requested(sqlite_issuer, pending, first)
    assert (answer.status, answer.media_type) == (202, "application/jwt")
    found = parse_credential_response(answer, first)
    assert isinstance(found, Deferral)
    decide(sqlite_issuer, sqlite_issuer.api("GET", "/issuances").json()["issuances"][0]["id"], "ready")
    # The new parameters replace the old ones.
    assert isinstance(poll(sqlite_issuer, pending, found.transaction_id, second), CredentialResponse)


@pytest.mark.clause("vci-9.1-new-encryption")
def test_without_new_parameters_the_answer_is_in_clear(sqlite_issuer: IssuerUnderTest) -> None:
    pending = sqlite_issuer.proofs(sqlite_issuer.offer(deferred=True)["uri"], KEYS)
    encryption = encryption_of(sqlite_issuer)
    found = parse_credential_response(requested(sqlite_issuer, pending, encryption), encryption)
    assert isinstance(found, Deferral)
    assert poll(sqlite_issuer, pending, found.transaction_id) == found


def test_what_nobody_decides_or_fetches_lapses_and_its_data_go(issuer: IssuerUnderTest) -> None:
    _, _, _, waiting = deferred(issuer)
    _, _, _, approved = deferred(issuer)
    decide(issuer, approved, "ready")
    storage = issuer.issuer.storage(issuer.issuer.database.unit())
    assert expire_deferrals(storage, now=issuer.clock.now()) == 0
    issuer.clock.advance((COLLECTION_LIFETIME + timedelta(minutes=1)).total_seconds())
    assert expire_deferrals(storage, now=issuer.clock.now()) == 1
    issuer.clock.advance((DECISION_LIFETIME - COLLECTION_LIFETIME).total_seconds())
    assert expire_deferrals(storage, now=issuer.clock.now()) == 1
    for id_ in (waiting, approved):
        shown = issuer.api("GET", f"/issuances/{id_}").json()
        assert (shown["state"], shown["claims"], shown["subject_id"]) == ("lapsed", None, None)
        assert decide(issuer, id_, "ready").status_code == 409


@pytest.mark.parametrize("notifications", [{}, {"deferred_notifications": True}])
def test_a_conformance_test_finds_it_ready_at_once(tmp_path: Path, notifications: dict[str, bool]) -> None:
    settings = {"insecure_approve_deferred": True, **notifications}
    issuer = start_issuer(tmp_path, f"sqlite:///{tmp_path}/issuer.db", **settings)
    _, pending, found, _ = deferred(issuer)
    answer = poll(issuer, pending, found.transaction_id)
    assert isinstance(answer, CredentialResponse)
    assert (answer.notification_id is not None) == bool(notifications)
    issuer.client.close()
    issuer.issuer.database.close()


def test_a_wallet_does_not_fill_the_clerks_list(sqlite_issuer: IssuerUnderTest) -> None:
    _, pending, _, _ = deferred(sqlite_issuer)
    for _ in range(25):
        nonce = sqlite_issuer.client.post(f"{CI}/nonce").json()["c_nonce"]
        again = replace(pending, proofs=tuple(fresh(pending, nonce, sqlite_issuer)))
        answer = requested(sqlite_issuer, again)
        if answer.status != 202:
            break
    assert json.loads(answer.body)["error"] == "credential_request_denied"
    assert len(sqlite_issuer.api("GET", "/issuances").json()["issuances"]) == 20


def fresh(pending: ProofsToSign, nonce: str, issuer: IssuerUnderTest) -> Any:
    for proof in pending.proofs:
        data = proof_signing_input(
            proof.key, audience=CredentialIssuerId(CI), nonce=Nonce(nonce), issued_at=issuer.clock.now()
        )
        yield replace(proof, signing_input=data)
