"""Requests and answers that are not where they belong: stolen, mixed up, repeated, too large (OpenID4VP 13, 14)."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from tests.simulators import run_flow
from tests.simulators.verifier import SimulatedVerifier
from tests.support.presentations import NOW, der, query, world
from tests.support.verifying import (
    BACK,
    FORM,
    HOST,
    PARTY,
    VerifierUnderTest,
    add_access_key,
    catalogue,
    register,
    response_code,
)
from verifier.app import create_app
from verifier.dependencies import build_verifier
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import MalformedError, PeerRefusal, UntrustedError, VerificationError
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix
from wallet_core.protocols.openid4vp.response import create_response
from wallet_core.trust.certificates import create_verifier_certificate


def refused(answer, status: int = 400, code: str = "invalid_request") -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text


def failed_steps(verifier: VerifierUnderTest, presentation_id: str, party: str = PARTY) -> list[int]:
    checks = verifier.result(presentation_id, party)["checks"]
    return [check["step"] for check in checks if check["ok"] is False]


@pytest.fixture
def second_worker(verifier: VerifierUnderTest) -> Iterator[TestClient]:
    """Another process on the same database, as far as a test in one process can have one: nothing else is shared."""
    other = build_verifier(verifier.verifier.settings, clock=verifier.clock, catalogue=catalogue())
    client = TestClient(create_app(other), base_url=HOST, follow_redirects=False)
    yield client
    client.close()
    other.database.close()


@pytest.mark.parametrize("mode", ["direct_post", "direct_post.jwt"])
def test_an_answer_replayed_at_a_second_worker(verifier: VerifierUnderTest, second_worker: TestClient, mode) -> None:
    made = verifier.ask(response_mode=mode, flow="same_device", redirect_uri=BACK)
    sent = verifier.present(made["authorization_request"])
    replayed = verifier.sent[-1]
    refused(second_worker.post(replayed.url, content=replayed.body, headers=dict(replayed.headers)), 409)
    refused(second_worker.get(made["request_uri"]), 409)
    # The code works at either worker, and at both together once.
    redeem = f"{HOST}/api/v1/presentations/{made['id']}/redeem"
    authorization = {"Authorization": f"Bearer {verifier.api_keys[PARTY]}"}
    body = {"response_code": response_code(sent.redirect_uri)}
    assert second_worker.post(redeem, json=body, headers=authorization).json()["credentials"]
    assert verifier.api("POST", f"/{made['id']}/redeem", json=body).status_code == 409


def test_a_request_fetched_at_two_workers_is_one(verifier: VerifierUnderTest, second_worker: TestClient) -> None:
    made = verifier.ask()

    def at_the_other(request: HttpRequest) -> HttpResponse:
        answer = second_worker.request(request.method, request.url, headers=dict(request.headers))
        return HttpResponse(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content)

    arguments = {"anchors": verifier.world.anchors, "now": NOW, "wallet_nonce": "w-0123456789"}
    elsewhere = run_flow(wallet.resolve_request(made["authorization_request"], **arguments), at_the_other)
    assert elsewhere == verifier.resolve(made["authorization_request"])


def test_an_answer_to_the_request_of_another_party(sqlite_verifier: VerifierUnderTest) -> None:
    """Encrypted for, and posted to, one party; signed for another: whoever was shown a card cannot show it on."""
    rental, bank = sqlite_verifier.ask(), sqlite_verifier.ask(party="dodam-bank")
    for_bank = sqlite_verifier.prepare(sqlite_verifier.resolve(bank["authorization_request"]))
    at_rental = sqlite_verifier.resolve(rental["authorization_request"])
    refused(sqlite_verifier.post(at_rental, sqlite_verifier.vp_token(for_bank)))
    assert failed_steps(sqlite_verifier, rental["id"]) == [6]
    # The answer as it was posted, sent to the other party's address: it is encrypted to a key that is not there.
    again = sqlite_verifier.ask()
    sqlite_verifier.present(bank["authorization_request"])
    posted = sqlite_verifier.sent[-1]
    elsewhere = again["request_uri"].replace("/requests/", "/responses/")
    refused(sqlite_verifier.client.post(elsewhere, content=posted.body, headers=dict(posted.headers)))
    assert sqlite_verifier.result(again["id"])["state"] == "requested"


@pytest.mark.clause("vp-5.10.1-client-id")
def test_a_stolen_request_uri_under_another_client_id(sqlite_verifier: VerifierUnderTest) -> None:
    """A stranger's link that leads to an honest party's request: the wallet stops before anybody is named."""
    bank, rental = sqlite_verifier.ask(party="dodam-bank"), sqlite_verifier.ask()
    client_id = sqlite_verifier.resolve(rental["authorization_request"]).request.client_id.full
    with pytest.raises(VerificationError, match="another one"):
        sqlite_verifier.resolve(f"openid4vp://?client_id={client_id}&request_uri={bank['request_uri']}")
    with pytest.raises(VerificationError, match="another one"):
        sqlite_verifier.resolve(
            f"openid4vp://?client_id=x509_san_dns:verifier.example&request_uri={bank['request_uri']}"
        )


def test_a_stolen_request_uri_answered_by_the_thief(sqlite_verifier: VerifierUnderTest) -> None:
    """Who photographs a same-device link can answer it with a card of their own, and gets nowhere with it."""
    made = sqlite_verifier.ask(flow="same_device", redirect_uri=BACK)
    thief_sent = sqlite_verifier.present(made["authorization_request"])
    # The code went to the thief's browser. The page that began has none, and so reads nothing.
    assert response_code(thief_sent.redirect_uri)
    assert sqlite_verifier.result(made["id"])["credentials"] is None
    refused(sqlite_verifier.api("POST", f"/{made['id']}/redeem", json={"response_code": "x"}), 404, "not_found")
    # And the person whose request it was is not answered for: theirs is over, and a new one is asked.
    with pytest.raises(PeerRefusal):
        sqlite_verifier.present(made["authorization_request"])
    sqlite_verifier.clock.advance(301)
    assert sqlite_verifier.result(made["id"])["state"] == "expired"


@pytest.mark.clause("vp-8.3-our-kid")
def test_an_answer_encrypted_to_an_old_key(sqlite_verifier: VerifierUnderTest) -> None:
    old = sqlite_verifier.resolve(sqlite_verifier.ask()["authorization_request"]).request.encryption
    made = sqlite_verifier.ask()
    resolved = sqlite_verifier.resolve(made["authorization_request"])
    vp_token = sqlite_verifier.vp_token(sqlite_verifier.prepare(resolved))
    own_kid = str(resolved.request.encryption.jwk["kid"])
    for jwk in (old.jwk, {**old.jwk, "kid": own_kid}):
        stale = replace(resolved.request, encryption=replace(old, jwk=jwk))
        body = create_response(stale, vp_token)
        refused(sqlite_verifier.client.post(resolved.request.response_uri, data=body))
    assert sqlite_verifier.result(made["id"])["state"] == "retrieved"
    assert sqlite_verifier.post(resolved, vp_token).status_code == 200
    # Once answered, the key is gone: what is sent again cannot be opened.
    refused(sqlite_verifier.post(resolved, vp_token), 409)


@pytest.mark.parametrize("enc", ["A128GCM", "A256GCM"])
def test_either_content_encryption_is_taken(sqlite_verifier: VerifierUnderTest, enc) -> None:
    made = sqlite_verifier.ask()
    resolved = sqlite_verifier.resolve(made["authorization_request"])
    assert resolved.request.encryption.enc_values == ("A128GCM", "A256GCM")
    vp_token = sqlite_verifier.vp_token(sqlite_verifier.prepare(resolved))
    only = replace(resolved.request, encryption=replace(resolved.request.encryption, enc_values=(enc,)))
    body = create_response(only, vp_token)
    assert sqlite_verifier.client.post(resolved.request.response_uri, data=body).status_code == 200


@pytest.mark.parametrize("start", [b"response=", b"vp_token=", b"", b"error=access_denied&state="])
def test_five_megabytes_as_an_answer(sqlite_verifier: VerifierUnderTest, start) -> None:
    made = sqlite_verifier.ask()
    address = made["request_uri"].replace("/requests/", "/responses/")
    answer = sqlite_verifier.client.post(address, content=start + b"A" * 5_000_000, headers=FORM)
    refused(answer, 413, "request_too_large")
    assert answer.headers["content-type"] == "application/json"
    asked = sqlite_verifier.client.post(made["request_uri"], content=start + b"A" * 5_000_000, headers=FORM)
    refused(asked, 413, "request_too_large")
    assert sqlite_verifier.present(made["authorization_request"])


@pytest.mark.parametrize("method", ["get", "post"])
def test_five_megabytes_as_a_request(method) -> None:
    """A wallet reads no more of a Request Object than it can be (and its HTTP client stops before)."""
    verifier = SimulatedVerifier(world(), world().request(), change_token=lambda token: token + "A" * 5_000_000)
    link = f"{verifier.link}&request_uri_method={method}"
    flow = wallet.resolve_request(link, anchors=world().anchors, now=NOW, wallet_nonce="w-0123456789")
    with pytest.raises(MalformedError, match="not a Request Object"):
        verifier.run(flow)
    assert verifier.seen[0].response_limit == wallet.REQUEST_OBJECT_LIMIT


@pytest.mark.clause("vp-5.9.3-x509-san-dns", "vp-5.9.3-own-host")
def test_a_verifier_whose_certificate_names_another_host(sqlite_verifier: VerifierUnderTest) -> None:
    """At the wallet: a trusted certificate for another name. At the verifier: such a party cannot be registered."""
    the_world = world()
    certificate = create_verifier_certificate(
        the_world.verifier_ca,
        response_uri="https://other.example/",
        organization="다른 회사 (시험용)",
        public_key=the_world.verifier_signer.public_key,
        now=NOW - timedelta(days=1),
        random=lambda size: b"\7" * size,
    )
    request = the_world.request(prefix=ClientIdPrefix.X509_SAN_DNS)
    honest, imposter = (SimulatedVerifier(the_world, request, chain=chain) for chain in (None, (der(certificate),)))
    arguments = {"anchors": the_world.anchors, "now": NOW, "wallet_nonce": "w-0123456789"}
    assert honest.run(wallet.resolve_request(honest.link, **arguments))
    with pytest.raises(UntrustedError):
        imposter.run(wallet.resolve_request(imposter.link, **arguments))
    assert [each.url for each in imposter.seen] == [honest.seen[0].url]
    add_access_key(
        sqlite_verifier.verifier.keys,
        sqlite_verifier.world.verifier_ca,
        "noeul",
        public_url="https://elsewhere.example",
    )
    with pytest.raises(UntrustedError):
        register(sqlite_verifier.verifier, "noeul")


def test_what_stands_beside_a_request_object_counts_for_nothing() -> None:
    the_world = world()
    verifier = SimulatedVerifier(the_world, the_world.request())
    evil = "&nonce=evil&state=evil&response_uri=https%3A%2F%2Fevil.example%2Fp&response_mode=direct_post"
    more = f"{evil}&client_metadata=%7B%7D&dcql_query={json.dumps(query(('licence_no',)))}"
    arguments = {"anchors": the_world.anchors, "now": NOW, "wallet_nonce": "w-0123456789"}
    resolved = verifier.run(wallet.resolve_request(verifier.link + more, **arguments))
    assert resolved.request == verifier.request


@pytest.mark.clause(
    "vp-5-typ-sent",
    "vp-5.8-static",
    "vp-5.1-kid",
    "vp-5.1-enc-values",
    "vp-5.10.1-own-media-type",
    "vp-13.3-two-numbers",
    "haip-5-encrypts",
    "haip-5-x509-hash",
)
def test_what_our_request_holds(sqlite_verifier: VerifierUnderTest) -> None:
    made = sqlite_verifier.ask()
    answer = sqlite_verifier.client.get(made["request_uri"])
    assert answer.headers["content-type"] == "application/oauth-authz-req+jwt"
    assert answer.headers["cache-control"] == "no-store"
    header, claims = (strict_json.loads_object(base64url.decode(part)) for part in answer.text.split(".")[:2])
    assert header["typ"] == "oauth-authz-req+jwt"
    assert claims["aud"] == "https://self-issued.me/v2"
    assert "iss" not in claims
    assert claims["response_mode"] == "direct_post.jwt"
    assert claims["client_id"].startswith("x509_hash:")
    metadata = claims["client_metadata"]
    assert all(jwk["kid"] for jwk in metadata["jwks"]["keys"])
    assert metadata["encrypted_response_enc_values_supported"] == ["A128GCM", "A256GCM"]
    # 13.3: what the wallet knows is not what opens the result.
    assert claims["state"] != made["id"]
    assert made["id"] not in answer.text


@pytest.mark.clause("vp-8.2-answer", "vp-8.2-fresh-code", "vp-14.3.3-own-only")
@pytest.mark.parametrize("flow", ["same_device", "cross_device"])
def test_what_the_wallet_is_told(sqlite_verifier: VerifierUnderTest, flow) -> None:
    codes = set()
    for _ in range(2):
        made = sqlite_verifier.ask(flow=flow, **({"redirect_uri": BACK} if flow == "same_device" else {}))
        resolved = sqlite_verifier.resolve(made["authorization_request"])
        answer = sqlite_verifier.post(resolved, sqlite_verifier.vp_token(sqlite_verifier.prepare(resolved)))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert list(answer.json()) == ["redirect_uri"]
        codes.add(response_code(answer.json()["redirect_uri"]))
        assert sqlite_verifier.api("GET", f"/{made['id']}", party="dodam-bank").status_code == 404
    # 8.2: fresh and at least 128 bits.
    assert len(codes) == 2
    assert all(len(code) >= 22 for code in codes)
