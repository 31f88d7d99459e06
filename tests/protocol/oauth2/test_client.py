"""A client instance at an authorization server and a resource: one test per rule (RFC 9449, ABCA 07)."""

import hashlib
import json
from datetime import UTC, datetime

import pytest

from tests.simulators import run_flow
from tests.simulators.authorizing import claims_of
from wallet_core.encoding import base64url
from wallet_core.errors import MalformedError, PeerRefusal
from wallet_core.http import HttpRequest, HttpResponse, post_json
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.client import ClientInstance, ClientMemory, ClientSession
from wallet_core.protocols.oauth2.metadata import AuthorizationServer
from wallet_core.protocols.oauth2.token import TokenResponse

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
AS = "https://as.example"
CLIENT = ClientInstance("https://wallet.example/client", "https://wallet.example/callback", SoftwareSigner.generate())
ATTESTED = ClientInstance(CLIENT.client_id, CLIENT.redirect_uri, CLIENT.signer, "the-attestation")
TOKEN = TokenResponse("token", 300, {}, token_type="DPoP")


def server(**changes) -> AuthorizationServer:
    members = {
        "issuer": AS,
        "token_endpoint": f"{AS}/token",
        "grant_types": (),
        "anonymous_pre_authorized": True,
        "auth_methods": ("none", "attest_jwt_client_auth"),
        "dpop_algorithms": ("ES256",),
        **changes,
    }
    return AuthorizationServer(**members)


class Counter:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, length: int) -> bytes:
        self.calls += 1
        return self.calls.to_bytes(length, "big")


def session(client=CLIENT, memory=None, **changes) -> ClientSession:
    return ClientSession(client, server(**changes), NOW, Counter(), memory or ClientMemory())


class Script:
    """Answers in order, and keeps what was asked."""

    def __init__(self, *answers: HttpResponse) -> None:
        self.answers = list(answers)
        self.seen: list[HttpRequest] = []

    def __call__(self, request: HttpRequest) -> HttpResponse:
        self.seen.append(request)
        return self.answers.pop(0)


def answer(status=200, body=None, **headers: str) -> HttpResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(status, {"content-type": "application/json", **named}, json.dumps(body or {}).encode())


def test_nobody_in_particular_sends_neither_name_nor_proof():
    script = Script(answer())
    run_flow(session(None).post_form(f"{AS}/token", {"a": "b"}), script)
    assert script.seen[0].body == b"a=b"
    assert not {"DPoP", "OAuth-Client-Attestation"} & set(script.seen[0].headers)


@pytest.mark.clause("haip-4.3-dpop-wallet")
def test_dpop_is_used_where_the_server_lists_our_algorithm_and_only_there():
    script = Script(answer(), answer())
    run_flow(session().post_form(f"{AS}/token", {}), script)
    run_flow(session(dpop_algorithms=("RS256",)).post_form(f"{AS}/token", {}), script)
    claims = claims_of(script.seen[0].headers["DPoP"])
    assert (claims["htm"], claims["htu"], claims["iat"]) == ("POST", f"{AS}/token", int(NOW.timestamp()))
    assert "ath" not in claims
    assert "DPoP" not in script.seen[1].headers


@pytest.mark.clause("dpop-9449.8-retry", "dpop-9449.8.2-newest")
def test_a_nonce_the_server_asks_for_is_used_once_more_with_a_new_proof():
    script = Script(answer(400, {"error": "use_dpop_nonce"}, dpop_nonce="n-1"), answer(dpop_nonce="n-2"))
    talk = session()
    assert run_flow(talk.post_form(f"{AS}/token", {}), script).ok
    first, second = (claims_of(request.headers["DPoP"]) for request in script.seen)
    assert "nonce" not in first
    assert second["nonce"] == "n-1"
    assert first["jti"] != second["jti"]
    assert talk.memory.dpop_nonces == {AS: "n-2"}


@pytest.mark.clause("dpop-9449.8-retry")
def test_a_server_that_asks_twice_gets_its_refusal_back():
    script = Script(*(answer(400, {"error": "use_dpop_nonce"}, dpop_nonce=f"n-{n}") for n in range(3)))
    assert run_flow(session().post_form(f"{AS}/token", {}), script).status == 400
    assert len(script.seen) == 2


def test_a_server_that_asks_without_bringing_a_nonce_is_not_asked_again():
    script = Script(answer(400, {"error": "use_dpop_nonce"}))
    assert run_flow(session().post_form(f"{AS}/token", {}), script).status == 400


@pytest.mark.clause("dpop-9449.7.1-scheme-wallet", "dpop-9449.8-retry")
def test_a_bound_token_goes_with_its_hash_and_the_resource_may_ask_for_a_nonce():
    challenge = 'DPoP error="use_dpop_nonce", algs="ES256"'
    script = Script(HttpResponse(401, {"www-authenticate": challenge, "dpop-nonce": "r-1"}), answer())
    assert run_flow(session().send(post_json("https://rs.example/credential", b"{}"), TOKEN), script).ok
    claims = [claims_of(request.headers["DPoP"]) for request in script.seen]
    assert {request.headers["Authorization"] for request in script.seen} == {"DPoP token"}
    assert claims[1]["nonce"] == "r-1"
    assert claims[1]["ath"] == base64url.encode(hashlib.sha256(b"token").digest())
    assert "OAuth-Client-Attestation" not in script.seen[1].headers


@pytest.mark.clause("dpop-9449.7.1-scheme-wallet")
def test_a_bearer_token_goes_without_proof():
    script = Script(answer())
    run_flow(session().send(post_json(f"{AS}/credential", b"{}"), TokenResponse("token", 300, {})), script)
    assert script.seen[0].headers["Authorization"] == "Bearer token"
    assert "DPoP" not in script.seen[0].headers


def test_nonces_are_remembered_for_each_origin():
    talk = session(memory=ClientMemory({AS: "a", "https://rs.example": "r"}))
    script = Script(answer(dpop_nonce="r-2"), answer())
    run_flow(talk.send(post_json("https://rs.example/credential", b"{}"), TOKEN), script)
    run_flow(talk.post_form(f"{AS}/token", {}), script)
    assert [claims_of(request.headers["DPoP"])["nonce"] for request in script.seen] == ["r", "a"]
    assert talk.memory.dpop_nonces == {AS: "a", "https://rs.example": "r-2"}


def test_a_nonce_that_may_not_stand_in_a_proof_is_not_kept():
    memory = ClientMemory({AS: "a"}).after(f"{AS}/token", answer(dpop_nonce='with "quotes"'))
    assert memory.dpop_nonces == {AS: "a"}
    assert ClientMemory().after(f"{AS}/x", answer(dpop_nonce="n" * 513)) == ClientMemory()


def test_the_memory_is_bounded():
    memory = ClientMemory()
    for number in range(20):
        memory = memory.after(f"https://{number}.example/x", answer(dpop_nonce="n"))
    assert list(memory.dpop_nonces) == [f"https://{number}.example" for number in range(12, 20)]


@pytest.mark.clause("abca-07.8.1-endpoint", "abca-07.8-newest")
def test_a_challenge_is_fetched_where_there_is_an_endpoint_and_the_newest_one_is_used():
    talk = session(ATTESTED, challenge_endpoint=f"{AS}/challenge")
    script = Script(
        answer(body={"attestation_challenge": "challenge-number-1"}),
        answer(oauth_client_attestation_challenge="c-2"),
        answer(),
    )
    run_flow(talk.post_form(f"{AS}/par", {}), script)
    run_flow(talk.post_form(f"{AS}/token", {}), script)
    assert [request.url for request in script.seen] == [f"{AS}/challenge", f"{AS}/par", f"{AS}/token"]
    proofs = [claims_of(request.headers["OAuth-Client-Attestation-PoP"]) for request in script.seen[1:]]
    assert [proof["challenge"] for proof in proofs] == ["challenge-number-1", "c-2"]
    assert {proof["aud"] for proof in proofs} == {AS}
    assert {request.headers["OAuth-Client-Attestation"] for request in script.seen[1:]} == {"the-attestation"}


@pytest.mark.clause("dpop-9449.8-retry", "abca-07.8-newest")
def test_nonce_and_challenge_may_each_be_asked_for_once():
    script = Script(
        answer(400, {"error": "use_dpop_nonce"}, dpop_nonce="n-1"),
        answer(400, {"error": "use_attestation_challenge"}, oauth_client_attestation_challenge="c-1"),
        answer(),
    )
    assert run_flow(session(ATTESTED).post_form(f"{AS}/par", {}), script).ok
    assert claims_of(script.seen[2].headers["OAuth-Client-Attestation-PoP"])["challenge"] == "c-1"
    assert claims_of(script.seen[2].headers["DPoP"])["nonce"] == "n-1"


@pytest.mark.parametrize("body", [{}, {"attestation_challenge": 1}, {"attestation_challenge": "c" * 600}])
def test_a_challenge_that_is_none_is_refused(body):
    talk = session(ATTESTED, challenge_endpoint=f"{AS}/challenge")
    with pytest.raises(MalformedError, match="attestation_challenge"):
        run_flow(talk.post_form(f"{AS}/par", {}), Script(answer(body=body)))
    with pytest.raises(PeerRefusal):
        run_flow(talk.post_form(f"{AS}/par", {}), Script(answer(500)))


def test_an_attestation_is_shown_only_to_a_server_that_takes_one():
    script = Script(answer(), answer())
    run_flow(session(ATTESTED, auth_methods=("none",)).post_form(f"{AS}/token", {}), script)
    run_flow(session(ATTESTED, auth_methods=()).post_form(f"{AS}/token", {}), script)
    assert all("OAuth-Client-Attestation" not in request.headers for request in script.seen)


@pytest.mark.clause("oauth-8414.2-client-method")
@pytest.mark.parametrize("methods", [("attest_jwt_client_auth",), ("client_secret_basic", "private_key_jwt")])
def test_a_server_that_wants_what_we_do_not_have_is_not_asked(methods):
    with pytest.raises(MalformedError, match="no way"):
        run_flow(session(auth_methods=methods).post_form(f"{AS}/par", {}), Script())


def test_the_memory_survives_storage_and_nonsense_in_it_is_forgotten():
    memory = ClientMemory({AS: "n"}, "c")
    assert ClientMemory.from_json(json.loads(json.dumps(memory.to_json()))) == memory
    assert ClientMemory.from_json({"dpop_nonces": {AS: 1, "x": "a b"}, "challenge": []}) == ClientMemory()
    assert ClientMemory.from_json({}) == ClientMemory()
