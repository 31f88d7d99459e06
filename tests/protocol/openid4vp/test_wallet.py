"""The wallet's flows against a verifier that is honest, and against one that is not."""

import json
from dataclasses import replace
from urllib.parse import parse_qs

import pytest

from tests.simulators.verifier import SimulatedVerifier, refusal
from tests.support.presentations import NOW, REQUEST_URI, RESPONSE_URI, new_ca, new_world, query, world
from wallet_core.encoding import base64url
from wallet_core.errors import (
    InvalidRequest,
    InvalidRequestUriMethod,
    InvalidTransactionData,
    MalformedError,
    PeerRefusal,
    UntrustedError,
    VerificationError,
    WalletError,
)
from wallet_core.http import HttpResponse
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.candidates import sd_jwt_candidate
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix
from wallet_core.protocols.openid4vp.matching import approve, match
from wallet_core.protocols.openid4vp.pending import PresentationToSign, ResolvedRequest
from wallet_core.protocols.openid4vp.request import create_unsigned_link
from wallet_core.protocols.openid4vp.response import ErrorResponse, PresentationResponse, create_response

WORLD = world()
HELD = WORLD.held()


def resolve(verifier, link=None, **changes):
    arguments = {"anchors": WORLD.anchors, "now": NOW, "wallet_nonce": "w-nonce", **changes}
    return verifier.run(wallet.resolve_request(link or verifier.link, **arguments))


def present(verifier, resolved, held=HELD, holder=WORLD.holder):
    approved = approve(match(resolved.request.dcql_query, [sd_jwt_candidate("card", held)]))
    pending = wallet.create_presentation(resolved, approved, {"card": held}, now=NOW)
    pending = PresentationToSign.from_json(json.loads(json.dumps(pending.to_json())))
    signatures = [holder.sign(item.signing_input) for item in pending.to_sign]
    return verifier.run(wallet.send_response(pending, signatures))


@pytest.mark.clause("vp-8.3.1-response-only", "vp-8.2-state-back", "vp-5.10-echo")
@pytest.mark.clause("vp-5.1-method-used", "vp-8.2-form", "vp-8.3-top-level")
@pytest.mark.parametrize("prefix", [ClientIdPrefix.X509_HASH, ClientIdPrefix.X509_SAN_DNS])
@pytest.mark.parametrize("encrypted", [True, False])
@pytest.mark.parametrize("post", [True, False])
def test_a_whole_presentation(prefix, encrypted, post) -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request(prefix=prefix, encrypted=encrypted))
    resolved = resolve(verifier, verifier.link + ("&request_uri_method=post" if post else ""))
    assert verifier.seen[0].method == ("POST" if post else "GET")
    assert (resolved.verifier.name, resolved.verifier.verified) == ("바람렌터카 (시험용)", True)
    resolved = ResolvedRequest.from_json(json.loads(json.dumps(resolved.to_json())))
    sent = present(verifier, resolved)
    assert sent.redirect_uri == "https://verifier.example/back"
    fields = parse_qs(verifier.seen[-1].body.decode())
    # 8.3.1: nothing but `response` is posted when encrypted.
    assert set(fields) == ({"response"} if encrypted else {"vp_token", "state"})
    received = verifier.received()
    assert isinstance(received, PresentationResponse)
    assert received.state == "request-1"
    assert list(received.vp_token) == ["licence"]


@pytest.mark.clause("vp-8.2-state-back")
def test_no_state_comes_back_where_none_was_sent() -> None:
    request = replace(WORLD.request(encrypted=False), state=None)
    assert set(create_response(request, {"licence": ["x"]})) == {"vp_token"}


@pytest.mark.clause("vp-5.10-post")
def test_wallet_metadata_and_nonce_are_posted() -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request())
    resolve(verifier, verifier.link + "&request_uri_method=post")
    fields = parse_qs(verifier.seen[0].body.decode())
    assert fields["wallet_nonce"] == ["w-nonce"]
    assert "dc+sd-jwt" in json.loads(fields["wallet_metadata"][0])["vp_formats_supported"]
    assert verifier.seen[0].headers["Accept"] == "application/oauth-authz-req+jwt"


@pytest.mark.clause("vp-5.1-serialised")
def test_an_unsigned_request_names_nobody() -> None:
    request = WORLD.request(prefix=ClientIdPrefix.REDIRECT_URI)
    verifier = SimulatedVerifier(WORLD, request)
    resolved = resolve(verifier, create_unsigned_link("https://wallet.example/authorize", request))
    assert verifier.seen == []
    assert (resolved.verifier.verified, resolved.verifier.host) == (False, "verifier.example")
    assert resolved.request == request
    present(verifier, resolved)
    assert isinstance(verifier.received(), PresentationResponse)


def test_the_same_link_without_response_uri_is_the_same_request() -> None:
    request = WORLD.request(prefix=ClientIdPrefix.REDIRECT_URI)
    link = create_unsigned_link("openid4vp://", request)
    shorter = link.replace("response_uri=", "ignored=")
    assert resolve(SimulatedVerifier(WORLD, request), shorter).request == request


@pytest.mark.parametrize("encrypted", [True, False])
def test_declining_says_access_denied_and_no_more(encrypted) -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request(encrypted=encrypted))
    sent = verifier.run(wallet.decline(resolve(verifier)))
    assert sent.redirect_uri == "https://verifier.example/back"
    assert verifier.received() == ErrorResponse("access_denied", "request-1")


OTHER_CA = new_ca("다른 인증기관")
OTHER = new_world()
SAN = ClientIdPrefix.X509_SAN_DNS

# One rule broken each, named as the rule; the second value is the kind of refusal.
BROKEN = {
    "typ": ({"header": {"typ": "JWT"}}, VerificationError),
    "typ missing": ({"header": {"typ": None}}, VerificationError),
    "alg none": ({"header": {"alg": "none"}}, VerificationError),
    "alg of another key": ({"header": {"alg": "ES384"}}, VerificationError),
    "crit": ({"header": {"crit": ["exp"]}}, VerificationError),
    "x5c missing": ({"header": {"x5c": None}}, MalformedError),
    "x5c of nobody": ({"header": {"x5c": ["AAAA"]}}, MalformedError),
    "untrusted chain": ({"chain": OTHER.verifier_chain}, UntrustedError),
    "chain for another purpose": ({"chain": WORLD.agency.chain()}, UntrustedError),
    "another signer": ({"signer": SoftwareSigner.generate()}, VerificationError),
    "client_id inside": ({"claims": {"client_id": "x509_san_dns:verifier.example"}}, VerificationError),
    "wallet_nonce": ({"echo_wallet_nonce": False}, VerificationError),
    "wallet_nonce of another": ({"claims": {"wallet_nonce": "other"}}, VerificationError),
    "aud": ({"claims": {"aud": "https://other.example"}}, VerificationError),
    "aud another place": ({"claims": {"aud": f"{REQUEST_URI}0"}}, VerificationError),
    "exp": ({"claims": {"exp": NOW.timestamp() - 120}}, VerificationError),
    "nbf": ({"claims": {"nbf": NOW.timestamp() + 120}}, VerificationError),
    "iat": ({"claims": {"iat": NOW.timestamp() + 120}}, VerificationError),
    "exp no number": ({"claims": {"exp": "soon"}}, MalformedError),
    "response_type": ({"claims": {"response_type": "code"}}, InvalidRequest),
    "response_mode": ({"claims": {"response_mode": "fragment"}}, InvalidRequest),
    "response_mode missing": ({"without": ("response_mode",)}, InvalidRequest),
    "dc_api": ({"claims": {"response_mode": "dc_api"}}, InvalidRequest),
    "nonce missing": ({"without": ("nonce",)}, InvalidRequest),
    "nonce not URL safe": ({"claims": {"nonce": "a b"}}, InvalidRequest),
    "state not URL safe": ({"claims": {"state": "a b"}}, InvalidRequest),
    "state no text": ({"claims": {"state": 1}}, InvalidRequest),
    "redirect_uri": ({"claims": {"redirect_uri": "https://verifier.example/cb"}}, InvalidRequest),
    "response_uri missing": ({"without": ("response_uri",)}, InvalidRequest),
    "response_uri http": ({"claims": {"response_uri": "http://verifier.example/p"}}, InvalidRequest),
    "no query": ({"without": ("dcql_query",)}, InvalidRequest),
    "query and scope": ({"claims": {"scope": "x"}}, InvalidRequest),
    "query broken": ({"claims": {"dcql_query": {"credentials": []}}}, InvalidRequest),
    "client_metadata no object": ({"claims": {"client_metadata": []}}, InvalidRequest),
    "other formats only": ({"claims": {"client_metadata": {"vp_formats_supported": {"ldp_vc": {}}}}}, WalletError),
    "no key to encrypt to": ({"claims": {"client_metadata": {"jwks": {"keys": []}}}}, InvalidRequest),
    "transaction_data": ({"claims": {"transaction_data": ["e30"]}}, InvalidTransactionData),
    "empty transaction_data": ({"claims": {"transaction_data": []}}, InvalidTransactionData),
    "content type": ({"content_type": "text/plain"}, MalformedError),
    "not a JWT": ({"change_token": lambda token: "hello"}, MalformedError),
    "changed": ({"change_token": lambda token: token[:-4] + "AAAA"}, VerificationError),
    "status": ({"status": 404}, PeerRefusal),
    "redirect": ({"status": 302}, PeerRefusal),
}


@pytest.mark.clause(
    "vp-5.1-query",
    "vp-5.1-formats",
    "vp-5.2-response-type",
    "vp-5.2-response-mode",
    "vp-5.2-url-safe",
    "vp-5.4-typ",
    "vp-5.8-aud",
    "vp-5.10.1-client-id",
    "vp-5.10.1-signature",
    "vp-5.10.1-wallet-nonce",
    "vp-5.10.1-media-type",
    "vp-5.10.2-http-error",
    "vp-5.10.1-expired",
    "vp-5.10.1-not-yet",
    "vp-5.9.3-chain",
    "vp-8.2-redirect-uri",
    "vp-8.3-no-key",
    "vp-8.4-transaction-data",
)
@pytest.mark.parametrize("rule", BROKEN)
def test_a_request_that_breaks_a_rule_is_refused_and_nothing_is_posted(rule) -> None:
    members, kind = BROKEN[rule]
    verifier = SimulatedVerifier(WORLD, WORLD.request(), **members)
    with pytest.raises(kind):
        resolve(verifier, verifier.link + "&request_uri_method=post")
    # M27: in none of these cases is anything posted to response_uri.
    assert all(request.url != RESPONSE_URI for request in verifier.seen)


@pytest.mark.clause("vp-5.9.3-host", "vp-8.2-response-uri")
def test_san_dns_needs_the_host_of_response_uri() -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request(prefix=SAN), claims={"response_uri": "https://evil.example/p"})
    with pytest.raises(InvalidRequest, match="host"):
        resolve(verifier)


@pytest.mark.clause("vp-5.9.3-x509-hash")
def test_a_hash_of_another_certificate_is_refused() -> None:
    request = OTHER.request()
    verifier = SimulatedVerifier(OTHER, request, chain=WORLD.verifier_chain, signer=WORLD.verifier_signer)
    with pytest.raises(UntrustedError):
        resolve(verifier)


@pytest.mark.parametrize("post", [False, True])
def test_a_request_may_name_the_place_where_it_was_fetched(post) -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request(), claims={"aud": REQUEST_URI})
    assert resolve(verifier, verifier.link + ("&request_uri_method=post" if post else "")).request == verifier.request


def test_our_own_audience_is_accepted() -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request(), claims={"aud": ["x", "https://wallet.example"]})
    assert resolve(verifier, audiences=("https://wallet.example",))


JSON = {"content-type": "application/json"}
UNSIGNED = "openid4vp://?client_id=redirect_uri:https://v.example/r&response_type=vp_token&response_mode=direct_post"
LINKS = {
    "no query": ("openid4vp://", InvalidRequest),
    "no client_id": ("openid4vp://?request_uri=https%3A%2F%2Fv.example%2Fr", InvalidRequest),
    "client_id twice": ("openid4vp://?client_id=x509_hash:a&client_id=x509_hash:a", InvalidRequest),
    "no prefix": ("openid4vp://?client_id=bank&request_uri=https://v.example/r", InvalidRequest),
    "origin": ("openid4vp://?client_id=origin:https://v.example&request_uri=https://v.example/r", InvalidRequest),
    "unknown prefix": ("openid4vp://?client_id=did:x&request_uri=https://v.example/r", InvalidRequest),
    "method": (
        "openid4vp://?client_id=x509_hash:a&request_uri=https://v.example/r&request_uri_method=POST",
        InvalidRequestUriMethod,
    ),
    "method without request_uri": ("openid4vp://?client_id=x509_hash:a&request_uri_method=post", InvalidRequest),
    "http": ("openid4vp://?client_id=x509_hash:a&request_uri=http://v.example/r", InvalidRequest),
    "both": ("openid4vp://?client_id=x509_hash:a&request_uri=https://v.example/r&request=a.b.c", InvalidRequest),
    "unsigned under a certificate": ("openid4vp://?client_id=x509_hash:a&nonce=a", InvalidRequest),
    "signed under redirect_uri": (
        "openid4vp://?client_id=redirect_uri:https://v.example/r&request_uri=https://v.example/r",
        InvalidRequest,
    ),
    "Request Object under redirect_uri": (
        "openid4vp://?client_id=redirect_uri:https://v.example/r&request=e30.e30.AA",
        WalletError,
    ),
    "broken query": (
        UNSIGNED + "&nonce=n&dcql_query=%7B",
        InvalidRequest,
    ),
    "bad percent": ("openid4vp://?client_id=%FF", InvalidRequest),
    "too long": ("openid4vp://?client_id=" + "a" * 70_000, InvalidRequest),
}


@pytest.mark.clause(
    "vp-5.1-method-alone",
    "vp-5.1-method",
    "vp-5.9.2-prefix",
    "vp-5.9.3-must-sign",
    "vp-5.9.3-redirect-reference",
    "vp-5.9.3-cannot-sign",
    "oauth-6749.3.1-once",
    "jose-9101.5-one",
)
@pytest.mark.parametrize("link", LINKS)
def test_a_link_that_breaks_a_rule_is_refused_and_nothing_is_fetched(link) -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request())
    text, kind = LINKS[link]
    with pytest.raises(kind):
        resolve(verifier, text)
    assert verifier.seen == []


@pytest.mark.parametrize(
    "answer",
    [refusal(400, "invalid_request"), HttpResponse(302, {"location": "https://evil.example"})],
)
def test_a_verifier_that_does_not_take_the_answer_is_an_error(answer) -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request(), answer=answer)
    with pytest.raises(PeerRefusal):
        present(verifier, resolve(verifier))


@pytest.mark.clause("vp-8.2-follow")
@pytest.mark.parametrize(
    "answer",
    [
        HttpResponse(200, {}, b""),
        HttpResponse(200, {"content-type": "text/html"}, b"{}"),
        HttpResponse(200, {"content-type": "application/json"}, b"[]"),
        *(
            HttpResponse(200, {"content-type": "application/json"}, json.dumps({"redirect_uri": uri}).encode())
            for uri in ("javascript:alert(1)", "http://evil.example", "/relative", 7, "https://", "https://a@b.example")
        ),
    ],
)
def test_an_answer_that_was_taken_is_sent_even_if_the_way_back_is_bad(answer) -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request(), answer=answer)
    assert present(verifier, resolve(verifier)).redirect_uri is None


def test_no_redirect_is_fine() -> None:
    answer = HttpResponse(200, {"content-type": "application/json; charset=utf-8"}, b"{}")
    verifier = SimulatedVerifier(WORLD, WORLD.request(), answer=answer)
    assert present(verifier, resolve(verifier)).redirect_uri is None


def test_each_presentation_needs_its_signature() -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request())
    resolved = resolve(verifier)
    approved = approve(match(resolved.request.dcql_query, [sd_jwt_candidate("card", HELD)]))
    pending = wallet.create_presentation(resolved, approved, {"card": HELD}, now=NOW)
    with pytest.raises(ValueError, match="signature"):
        next(wallet.send_response(pending, []))


def test_a_credential_without_key_is_presented_without_key_binding() -> None:
    held = WORLD.held(holder_key=None)
    verifier = SimulatedVerifier(
        WORLD, WORLD.request(query(("name",), require_cryptographic_holder_binding=False), encrypted=False)
    )
    present(verifier, resolve(verifier), held)
    presented = verifier.received().vp_token["licence"][0]
    assert presented.endswith("~")
    # Nothing but what was asked for: one Disclosure.
    assert presented.count("~") == 2


def test_the_request_object_may_come_by_value() -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request())
    link = f"openid4vp://?client_id={verifier.request.client_id.full}&request={verifier.token()}"
    assert resolve(verifier, link).request == verifier.request
    assert verifier.seen == []


def test_stored_values_that_were_changed_are_refused() -> None:
    resolved = resolve(SimulatedVerifier(WORLD, WORLD.request()))
    for change in ({}, {"request": []}, {"request": resolved.to_json()["request"], "verifier": {"host": 1}}):
        with pytest.raises(WalletError):
            ResolvedRequest.from_json(change)
    for items in (
        None,
        [1],
        [{"query_id": "a"}],
        [{"query_id": "a", "credential_id": "b", "sd_jwt": "c", "signing_input": 1}],
    ):
        with pytest.raises(WalletError):
            PresentationToSign.from_json({"resolved": resolved.to_json(), "items": items})


def test_the_hash_prefix_is_that_of_the_leaf() -> None:
    digest = WORLD.request().client_id.rest
    assert len(base64url.decode(digest)) == 32
