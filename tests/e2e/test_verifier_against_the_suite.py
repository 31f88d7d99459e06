"""What the conformance suite and HAIP look at in a verifier, and what pages of several requests must keep apart."""

import hashlib
import os
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.presentations import NOW, Agency
from tests.support.verifying import BACK, HOST, PARTY, VerifierUnderTest, add_access_key, register, response_code
from verifier.presentations.use_cases import requests, results
from wallet_core.errors import NotFound, StateConflict, UntrustedError
from wallet_core.formats.sd_jwt.holder import index_sd_jwt
from wallet_core.protocols.openid4vp.response import create_response

OURS, OTHERS = (hashlib.sha256(session).digest() for session in (b"our browser", b"another browser"))
POLICY = "adult-check"


def prepared(verifier: VerifierUnderTest, made):
    resolved = verifier.resolve(made["authorization_request"])
    return resolved, verifier.vp_token(verifier.prepare(resolved))


def refused(answer, status: int = 400) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request")


@pytest.mark.clause("vp-5.2-fresh-nonce", "haip-5-fresh-key")
def test_no_two_requests_share_nonce_state_or_key(sqlite_verifier: VerifierUnderTest) -> None:
    asked = [sqlite_verifier.resolve(sqlite_verifier.ask()["authorization_request"]).request for _ in range(3)]
    assert len({request.nonce for request in asked}) == 3
    assert len({request.state for request in asked}) == 3
    assert len({request.encryption.jwk["x"] for request in asked}) == 3
    assert all(16 <= len(request.nonce) <= 43 for request in asked)
    # HAIP 5: both content encryptions are listed, and a key on P-256.
    assert all(request.encryption.enc_values == ("A128GCM", "A256GCM") for request in asked)
    assert all(request.encryption.jwk["crv"] == "P-256" for request in asked)
    plain = sqlite_verifier.ask(response_mode="direct_post")
    assert sqlite_verifier.resolve(plain["authorization_request"]).request.encryption is None


@pytest.mark.clause("vp-5.9.3-not-by-reference")
def test_a_request_that_cannot_be_signed_is_not_served(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask(client_id_prefix="redirect_uri")
    state = sqlite_verifier.resolve(made["authorization_request"]).request.state
    assert sqlite_verifier.client.get(f"{HOST}/openid4vp/requests/{state}").status_code == 404


@pytest.mark.clause("vp-5.3-state-back")
@pytest.mark.parametrize("state", ["other", None])
def test_an_answer_with_another_state(sqlite_verifier: VerifierUnderTest, state) -> None:
    made = sqlite_verifier.ask()
    resolved, vp_token = prepared(sqlite_verifier, made)
    body = create_response(replace(resolved.request, state=state), vp_token)
    refused(sqlite_verifier.client.post(resolved.request.response_uri, data=body))
    assert sqlite_verifier.result(made["id"])["state"] == "retrieved"
    assert sqlite_verifier.post(resolved, vp_token).status_code == 200


@pytest.mark.clause("vp-8.3.1-no-clear-answer")
def test_an_answer_in_clear_where_encryption_was_asked_for(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask()
    resolved, vp_token = prepared(sqlite_verifier, made)
    body = create_response(replace(resolved.request, encryption=None), vp_token)
    refused(sqlite_verifier.client.post(resolved.request.response_uri, data=body))
    assert sqlite_verifier.result(made["id"])["state"] == "retrieved"


@pytest.mark.clause("vp-13.3-once")
def test_an_answer_twice(sqlite_verifier: VerifierUnderTest) -> None:
    resolved, vp_token = prepared(sqlite_verifier, sqlite_verifier.ask())
    assert sqlite_verifier.post(resolved, vp_token).status_code == 200
    refused(sqlite_verifier.post(resolved, vp_token), 409)


@pytest.mark.clause("vp-8.6-issuer")
def test_a_credential_signed_under_a_verifiers_certificate(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask()
    resolved = sqlite_verifier.resolve(made["authorization_request"])
    world = sqlite_verifier.world
    imposter = index_sd_jwt(Agency(world.verifier_ca, now=NOW).issue(world.holder))
    refused(sqlite_verifier.post(resolved, sqlite_verifier.vp_token(sqlite_verifier.prepare(resolved, imposter))))
    assert [check["step"] for check in sqlite_verifier.result(made["id"])["checks"] if check["ok"] is False] == [2]
    honest = sqlite_verifier.ask()
    sqlite_verifier.present(honest["authorization_request"])
    assert sqlite_verifier.result(honest["id"])["state"] == "verified"


@pytest.mark.clause("vp-13.3-way-back")
def test_a_same_device_request_without_a_way_back(sqlite_verifier: VerifierUnderTest) -> None:
    body = {"policy": POLICY, "flow": "same_device"}
    refused(sqlite_verifier.api("POST", json=body))
    assert sqlite_verifier.api("POST", json={**body, "redirect_uri": BACK}).status_code == 201


@pytest.mark.clause("vp-13.3-closed-claims", "vp-13.3-same-device")
def test_claims_stay_closed_until_the_code_comes_back(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask(flow="same_device", redirect_uri=BACK)
    sent = sqlite_verifier.present(made["authorization_request"])
    waiting = sqlite_verifier.result(made["id"])
    assert (waiting["state"], waiting["credentials"]) == ("answered", None)
    wrong = sqlite_verifier.api("POST", f"/{made['id']}/redeem", json={"response_code": "guess"})
    assert wrong.status_code == 404
    assert sqlite_verifier.result(made["id"])["credentials"] is None
    code = response_code(sent.redirect_uri)
    right = sqlite_verifier.api("POST", f"/{made['id']}/redeem", json={"response_code": code})
    assert right.json()["credentials"]


def ordered(verifier: VerifierUnderTest, session: bytes = OURS):
    ports, party = verifier.verifier.presentations, verifier.verifier.party(PARTY)
    return requests.start_check(ports, party, POLICY, session_digest=session, return_uri=f"{HOST}/back")


def licence(verifier: VerifierUnderTest):
    """A card that answers the policy: whatever it asks of a licence is in it."""
    policy = verifier.verifier.catalogue.policies[POLICY].dcql_query
    wanted = next(entry for entry in policy["credentials"] if entry["format"] == "dc+sd-jwt")
    claims = {}
    for claim in wanted["claims"]:
        claims[claim["path"][0]] = claim.get("values", [True])[0]
    types = wanted["meta"]["vct_values"]
    return verifier.world.held(vct=types[0], claims=claims, selectively_disclosable=[(name,) for name in claims])


@pytest.mark.clause("vp-13.3-one-of-two")
@pytest.mark.parametrize("answered", ["qr", "link"])
def test_of_two_requests_the_first_answered_ends_the_other(sqlite_verifier: VerifierUnderTest, answered) -> None:
    check = ordered(sqlite_verifier)
    first, second = (check.qr, check.link) if answered == "qr" else (check.link, check.qr)
    resolved = sqlite_verifier.resolve(second.authorization_request)
    card = licence(sqlite_verifier)
    late = sqlite_verifier.vp_token(sqlite_verifier.prepare(resolved, card))
    sqlite_verifier.present(first.authorization_request, card)
    refused(sqlite_verifier.post(resolved, late), 409)
    assert sqlite_verifier.result(second.id)["state"] == "expired"


@pytest.mark.clause("x509-HAIP5.1-session", "x509-HAIP5.1-other-browser")
def test_only_the_browser_that_began_may_finish(sqlite_verifier: VerifierUnderTest) -> None:
    ports, card = sqlite_verifier.verifier.presentations, licence(sqlite_verifier)
    stolen = sqlite_verifier.present(ordered(sqlite_verifier).link.authorization_request, card)
    elsewhere = results.redeem_in_browser(ports, response_code(stolen.redirect_uri), session_digest=OTHERS)
    assert (elsewhere.state, elsewhere.credentials, elsewhere.error) == ("refused", None, "access_denied")
    own = sqlite_verifier.present(ordered(sqlite_verifier).link.authorization_request, card)
    finished = results.redeem_in_browser(ports, response_code(own.redirect_uri), session_digest=OURS)
    assert finished.state == "verified"
    assert finished.credentials
    # Once, and in no browser afterwards.
    for session in (OURS, OTHERS):
        with pytest.raises((StateConflict, NotFound)):
            results.redeem_in_browser(ports, response_code(own.redirect_uri), session_digest=session)


@pytest.mark.clause("vp-5.9.3-own-host")
def test_a_relying_party_with_a_certificate_for_another_host(sqlite_verifier: VerifierUnderTest) -> None:
    verifier = sqlite_verifier.verifier
    add_access_key(verifier.keys, sqlite_verifier.world.verifier_ca, "noeul", public_url="https://elsewhere.example")
    with pytest.raises(UntrustedError):
        register(verifier, "noeul")


@pytest.mark.clause("vp-5.9.3-own-certificate")
def test_a_relying_party_with_a_certificate_for_issuers(sqlite_verifier: VerifierUnderTest) -> None:
    verifier, key = sqlite_verifier.verifier, ec.generate_private_key(ec.SECP256R1())
    from cryptography.hazmat.primitives.serialization import Encoding

    from wallet_core.keys.algorithms import PublicKey
    from wallet_core.trust.certificates import create_issuer_certificate

    certificate = create_issuer_certificate(
        sqlite_verifier.world.issuer_ca,
        issuer=HOST,
        organization="시험용",
        public_key=PublicKey(key.public_key()),
        now=NOW - timedelta(days=1),
        random=os.urandom,
    )
    verifier.keys.add("noeul", key, [certificate.public_bytes(Encoding.DER)])
    with pytest.raises(UntrustedError):
        register(verifier, "noeul")
