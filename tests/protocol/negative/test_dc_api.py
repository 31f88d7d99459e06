"""Requests over the Digital Credentials API that a wallet refuses, one rule broken each; what the page then learns."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.dc_api import ORIGIN, PlatformWallet
from tests.support.presentations import NOW, new_world, query, world
from tests.support.registering import Register, info
from wallet_core.encoding import base64url, cbor, strict_json
from wallet_core.errors import (
    AccessDenied,
    AnswerTooLarge,
    FalseRegistration,
    InvalidRequest,
    MalformedError,
    QueryNotSatisfied,
    UntrustedError,
    VerificationError,
    WalletError,
)
from wallet_core.jose import jws
from wallet_core.keys.jwk import jwk_thumbprint
from wallet_core.keys.signer import CertifiedSigner, SoftwareSigner
from wallet_core.protocols.openid4vp import dc_api
from wallet_core.protocols.openid4vp.client_id import ClientIdentifier, ClientIdPrefix, create_client_id
from wallet_core.protocols.openid4vp.dc_api_wallet import ResolvedDcApiRequest, answer_to_error, resolve_dc_api_request
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.matching import approve, match
from wallet_core.protocols.openid4vp.verifier_info import VerifierInfo
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.trust.x509 import format_x5c

WORLD, STRANGER = world(), new_world()
SIGNED, UNSIGNED, MULTISIGNED = "openid4vp-v1-signed", "openid4vp-v1-unsigned", "openid4vp-v1-multisigned"
KEY = CertifiedSigner(WORLD.verifier_signer, WORLD.verifier_chain)
STRANGERS_KEY = CertifiedSigner(STRANGER.verifier_signer, STRANGER.verifier_chain)
TIMES = {"issued_at": NOW, "expires_at": NOW + timedelta(minutes=5)}
HASH = create_client_id(ClientIdPrefix.X509_HASH, leaf=KEY.chain[0], response_uri=ORIGIN)
SAN = create_client_id(ClientIdPrefix.X509_SAN_DNS, leaf=KEY.chain[0], response_uri=ORIGIN)
STRANGE = create_client_id(ClientIdPrefix.X509_HASH, leaf=STRANGERS_KEY.chain[0], response_uri=ORIGIN)
REQUEST = dc_api.DcApiRequest(
    client_id=HASH,
    nonce="n-0123456789abcdef0123",  # type: ignore[arg-type]
    dcql_query=parse_dcql_query(query(("name",))),
    encryption=WORLD.encryption,
    expected_origins=(ORIGIN, "https://www.verifier.example"),
)
HEADER = {"typ": "oauth-authz-req+jwt", "x5c": format_x5c(KEY.chain)}


def resolve(protocol: str, data: Any, origin: str = ORIGIN) -> ResolvedDcApiRequest:
    return resolve_dc_api_request(protocol, data, origin=origin, anchors=WORLD.anchors, now=NOW)


def claims(**changes: Any) -> dict[str, Any]:
    """The parameters of a signed request; ``...`` takes one out."""
    members = {**REQUEST.to_json(), "iat": NOW.timestamp(), "exp": NOW.timestamp() + 300, **changes}
    return {name: value for name, value in members.items() if value is not ...}


def signed(header: dict[str, Any] | None = None, signer: Any = KEY.signer, **changes: Any) -> dict[str, Any]:
    return {"request": jws.sign({**HEADER, **(header or {})}, claims(**changes), signer)}


def general(payload: dict[str, Any], *senders: tuple[ClientIdentifier | None, CertifiedSigner]) -> dict[str, Any]:
    """A multi-signed request of anybody's making."""
    body = strict_json.dumps(payload)
    signatures = []
    for client_id, key in senders:
        names = {} if client_id is None else {"client_id": client_id.full}
        header = {"alg": "ES256", "typ": "oauth-authz-req+jwt", "x5c": format_x5c(key.chain), **names}
        encoded = jws.encode_header(header)
        signature = base64url.encode(key.signer.sign(jws.signing_input_for(encoded, body)))
        signatures.append({"protected": encoded, "signature": signature})
    return {"request": {"payload": base64url.encode(body), "signatures": signatures}}


def multi(*senders: tuple[ClientIdentifier | None, CertifiedSigner], **changes: Any) -> dict[str, Any]:
    return general(claims(client_id=..., **changes), *(senders or [(HASH, KEY)]))


@pytest.mark.parametrize("client_id", [HASH, SAN])
def test_a_signed_request_names_its_sender(client_id: ClientIdentifier) -> None:
    data = dc_api.create_signed_data(replace(REQUEST, client_id=client_id), KEY, **TIMES)
    resolved = resolve(SIGNED, data)
    assert resolved.request == replace(REQUEST, client_id=client_id)
    assert (resolved.verifier.name, resolved.verifier.client_id) == ("바람렌터카 (시험용)", client_id.full)
    assert (resolved.verifier.host, resolved.origin) == ("verifier.example", ORIGIN)
    assert ResolvedDcApiRequest.from_json(json.loads(json.dumps(resolved.to_json()))) == resolved


@pytest.mark.clause("dcapi-A.2-unsigned-nameless", "dcapi-A.2-ignored")
def test_an_unsigned_request_has_no_name_and_one_that_is_there_is_ignored() -> None:
    data = dc_api.create_unsigned_data(REQUEST)
    assert {"client_id", "expected_origins", "state", "response_uri"}.isdisjoint(data)
    for sent in (data, {**data, "client_id": "origin:https://evil.example", "expected_origins": ["javascript:1"]}):
        resolved = resolve(UNSIGNED, sent)
        assert resolved.request == replace(REQUEST, client_id=None, expected_origins=())
        assert (resolved.verifier.verified, resolved.verifier.client_id) == (False, f"origin:{ORIGIN}")
        assert ResolvedDcApiRequest.from_json(json.loads(json.dumps(resolved.to_json()))) == resolved


def test_state_and_whatever_else_is_not_known_are_ignored() -> None:
    more = {"state": 7, "response_uri": "https://evil.example/", "redirect_uri": "x", "unknown": [1]}
    assert resolve(UNSIGNED, {**dc_api.create_unsigned_data(REQUEST), **more}).request.nonce == REQUEST.nonce
    assert resolve(SIGNED, signed(**more)).request == REQUEST


def test_without_proof_of_the_holder_no_state_is_needed() -> None:
    waived = {**query(("name",), require_cryptographic_holder_binding=False)}
    data = {**dc_api.create_unsigned_data(REQUEST), "dcql_query": waived}
    assert resolve(UNSIGNED, data).request.dcql_query.credentials[0].holder_binding is False


@pytest.mark.clause("dcapi-A.3.2.2-verifier-info")
def test_somebody_elses_registration_in_one_header_makes_that_sender_false() -> None:
    register = Register()
    anchors = TrustAnchors([*WORLD.anchors.anchors, *register.anchors.anchors[1:]])
    borrowed = (VerifierInfo(**info(register.registration())),)
    senders = [dc_api.Sender(HASH, KEY)]
    for data, protocol in (
        (dc_api.create_multisigned_data(replace(REQUEST, verifier_info=borrowed), senders, **TIMES), MULTISIGNED),
        (dc_api.create_signed_data(replace(REQUEST, verifier_info=borrowed), KEY, **TIMES), SIGNED),
    ):
        with pytest.raises(FalseRegistration):
            resolve_dc_api_request(protocol, data, origin=ORIGIN, anchors=anchors, now=NOW)
    unsigned = {**dc_api.create_unsigned_data(REQUEST), "verifier_info": [info("x")]}
    assert resolve(UNSIGNED, unsigned).request.verifier_info == ()


@pytest.mark.clause("dcapi-A.3.2.2-bare")
def test_a_multi_signed_request_may_be_the_data_itself() -> None:
    """Multipaz sends and expects the serialization bare, the European Commission's library in ``request``."""
    wrapped = multi((HASH, KEY))
    assert resolve(MULTISIGNED, wrapped["request"]).request == resolve(MULTISIGNED, wrapped).request
    with pytest.raises(InvalidRequest):
        resolve(MULTISIGNED, {**wrapped["request"], "request": None})


@pytest.mark.clause("dcapi-A.3.2.2-own-headers", "dcapi-A.3.2.2-verifier-info")
def test_a_multi_signed_request_names_each_sender_in_its_own_header() -> None:
    senders = [dc_api.Sender(HASH, KEY), dc_api.Sender(SAN, KEY)]
    data = dc_api.create_multisigned_data(REQUEST, senders, **TIMES)
    request: Any = data["request"]
    assert "client_id" not in json.loads(base64url.decode(request["payload"]))
    headers = [json.loads(base64url.decode(each["protected"])) for each in request["signatures"]]
    assert [header["client_id"] for header in headers] == [HASH.full, SAN.full]
    assert all(header["typ"] == "oauth-authz-req+jwt" and header["x5c"] for header in headers)
    assert resolve(MULTISIGNED, data).request == REQUEST


@pytest.mark.clause("dcapi-A.3.2.2-one-trusted")
def test_one_signature_that_is_trusted_is_enough() -> None:
    both = multi((STRANGE, STRANGERS_KEY), (HASH, KEY))
    assert resolve(MULTISIGNED, both).verifier.client_id == HASH.full
    both["request"]["signatures"].insert(0, "no signature")
    assert resolve(MULTISIGNED, both).verifier.client_id == HASH.full
    with pytest.raises(UntrustedError):
        resolve(MULTISIGNED, multi((STRANGE, STRANGERS_KEY)))


UNSAFE = [
    "http://verifier.example",
    "ftp://verifier.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "ws://a",
    "wss://a",
]

BROKEN = {
    "protocol": ("openid4vp-v2-signed", signed(), InvalidRequest),
    "protocol of old drafts": ("openid4vp", dc_api.create_unsigned_data(REQUEST), InvalidRequest),
    "data no object": (UNSIGNED, [], InvalidRequest),
    "no request": (SIGNED, {}, InvalidRequest),
    "request by value": (SIGNED, {"request": claims()}, InvalidRequest),
    "unsigned as signed": (SIGNED, dc_api.create_unsigned_data(REQUEST), InvalidRequest),
    "multi as compact": (SIGNED, multi(), InvalidRequest),
    "compact as multi": (MULTISIGNED, signed(), InvalidRequest),
    "no signatures": (MULTISIGNED, {"request": {"payload": "e30", "signatures": []}}, InvalidRequest),
    "nine signatures": (MULTISIGNED, multi(*[(HASH, KEY)] * 9), InvalidRequest),
    "signatures no text": (MULTISIGNED, {"request": {"payload": 1, "signatures": [{}]}}, MalformedError),
    "no client_id": (SIGNED, signed(client_id=...), InvalidRequest),
    "client_id of an origin": (SIGNED, signed(client_id=f"origin:{ORIGIN}"), InvalidRequest),
    "redirect_uri signs": (SIGNED, signed(client_id=f"redirect_uri:{ORIGIN}"), InvalidRequest),
    "no client_id in the header": (MULTISIGNED, multi((None, KEY)), InvalidRequest),
    "client_id in the payload": (MULTISIGNED, general(claims(), (HASH, KEY)), InvalidRequest),
    "verifier_info in the payload": (
        MULTISIGNED,
        multi(verifier_info=[{"format": "jwt", "data": "x"}]),
        InvalidRequest,
    ),
    "another client": (SIGNED, signed(client_id=STRANGE.full), UntrustedError),
    "typ": (SIGNED, signed({"typ": "JWT"}), VerificationError),
    "signature": (SIGNED, signed(signer=SoftwareSigner.generate()), VerificationError),
    "request inside": (SIGNED, signed(request="x"), InvalidRequest),
    "aud": (SIGNED, signed(aud="https://other.example"), VerificationError),
    "exp": (SIGNED, signed(exp=NOW.timestamp() - 120), VerificationError),
    "nbf": (MULTISIGNED, multi(nbf=NOW.timestamp() + 120), VerificationError),
    "no expected_origins": (SIGNED, signed(expected_origins=...), InvalidRequest),
    "empty expected_origins": (SIGNED, signed(expected_origins=[]), InvalidRequest),
    "expected_origins as text": (SIGNED, signed(expected_origins=ORIGIN), InvalidRequest),
    "expected_origins of numbers": (SIGNED, signed(expected_origins=[ORIGIN, 1]), InvalidRequest),
    "no expected_origins, multi": (MULTISIGNED, multi(expected_origins=...), InvalidRequest),
    "another origin": (SIGNED, signed(expected_origins=["https://evil.example"]), InvalidRequest),
    "another origin, multi": (MULTISIGNED, multi(expected_origins=["https://evil.example"]), InvalidRequest),
    "a slash too much": (SIGNED, signed(expected_origins=[f"{ORIGIN}/"]), InvalidRequest),
    "a capital letter": (SIGNED, signed(expected_origins=["https://Verifier.example"]), InvalidRequest),
    "the usual port": (SIGNED, signed(expected_origins=[f"{ORIGIN}:443"]), InvalidRequest),
    "response_mode": (SIGNED, signed(response_mode="direct_post.jwt"), InvalidRequest),
    "response_mode, unsigned": (UNSIGNED, {**REQUEST.to_json(), "response_mode": "direct_post"}, InvalidRequest),
    "nonce": (UNSIGNED, {**REQUEST.to_json(), "nonce": ""}, InvalidRequest),
    "no query": (SIGNED, signed(dcql_query=...), InvalidRequest),
    "no key to encrypt to": (SIGNED, signed(client_metadata={"jwks": {"keys": []}}), InvalidRequest),
    **{f"unsafe {each}": (SIGNED, signed(expected_origins=[ORIGIN, each]), InvalidRequest) for each in UNSAFE},
}


@pytest.mark.clause(
    "dcapi-A.1-protocol",
    "dcapi-A.2-signed-named",
    "dcapi-A.2-expected-origins",
    "dcapi-A.2-expected-origins-there",
    "dcapi-A.2-unsafe-scheme",
    "dcapi-A.3.2.1-compact",
    "dcapi-A.3.2.2-general",
    "dcapi-A.3.2.2-header-only",
)
@pytest.mark.parametrize("rule", BROKEN)
def test_a_request_that_breaks_a_rule_is_refused(rule: str) -> None:
    protocol, data, kind = BROKEN[rule]
    with pytest.raises(kind):
        resolve(protocol, data)


def test_local_development_may_ask_over_http() -> None:
    local = "http://localhost:8200"
    assert resolve(SIGNED, signed(expected_origins=[local]), local).origin == local


def test_an_app_has_an_origin_too() -> None:
    app = "android:apk-key-hash:Ut4fXW8SiwBcDhQ5xC6rwVZ1iZXA1Zv3sYHH8mEsl0k"
    resolved = resolve(SIGNED, signed(expected_origins=[app]), app)
    assert (resolved.origin, resolved.verifier.host) == (app, app)


@pytest.mark.clause("dcapi-A.2-no-origin")
@pytest.mark.parametrize("protocol", [SIGNED, UNSIGNED])
def test_without_an_origin_there_is_no_request(protocol: str) -> None:
    data = signed() if protocol == SIGNED else dc_api.create_unsigned_data(REQUEST)
    with pytest.raises(InvalidRequest, match="origin"):
        resolve(protocol, data, "")


@pytest.mark.clause("dcapi-15.9.2-nothing-before-the-person", "dcapi-A.4-error-alone")
def test_the_page_learns_nothing_before_the_person_acted() -> None:
    wrong = InvalidRequest("the request is for another origin")
    assert answer_to_error(SIGNED, wrong, person_acted=False) is None
    assert answer_to_error(SIGNED, wrong, person_acted=True) == {
        "protocol": SIGNED,
        "data": {"error": "invalid_request"},
    }
    with pytest.raises(QueryNotSatisfied) as nothing:
        approve(match(REQUEST.dcql_query, ()))
    # Whether nothing matches or the person says no, the platform cancels.
    for error in (nothing.value, AccessDenied("declined")):
        assert answer_to_error(SIGNED, error, person_acted=False) is None
        assert answer_to_error(SIGNED, error, person_acted=True) is None


@pytest.mark.clause("dcapi-A.2-encrypted")
@pytest.mark.parametrize("encrypted", [True, False])
def test_an_answer_is_encrypted_exactly_where_that_was_asked(*, encrypted: bool) -> None:
    wallet = PlatformWallet(WORLD.anchors, WORLD.holder, NOW, {"card": WORLD.held()})
    request = replace(REQUEST, encryption=WORLD.encryption if encrypted else None)
    credential = wallet.answer(UNSIGNED, dc_api.create_unsigned_data(request))
    assert list(credential["data"]) == (["response"] if encrypted else ["vp_token"])


def test_an_answer_that_is_too_large_to_be_encrypted_is_a_wallet_error() -> None:
    wallet = PlatformWallet(WORLD.anchors, WORLD.holder, NOW, {"card": WORLD.held(claims={"name": "a" * 150_000})})
    with pytest.raises(AnswerTooLarge):
        wallet.answer(UNSIGNED, dc_api.create_unsigned_data(REQUEST))
    plain = wallet.answer(UNSIGNED, dc_api.create_unsigned_data(replace(REQUEST, encryption=None)))
    assert list(plain["data"]) == ["vp_token"]


@pytest.mark.clause("dcapi-A.4-audience")
@pytest.mark.parametrize("protocol", [SIGNED, UNSIGNED])
def test_the_audience_is_the_origin_whoever_signed(protocol: str) -> None:
    wallet = PlatformWallet(WORLD.anchors, WORLD.holder, NOW, {"card": WORLD.held()})
    request = replace(REQUEST, encryption=None)
    data = (
        dc_api.create_signed_data(request, KEY, **TIMES) if protocol == SIGNED else dc_api.create_unsigned_data(request)
    )
    presentation = wallet.answer(protocol, data)["data"]["vp_token"]["licence"][0]
    proof = jws.parse(presentation.rpartition("~")[2]).claims()
    assert (proof["aud"], proof["nonce"]) == (f"origin:{ORIGIN}", REQUEST.nonce)


@pytest.mark.clause("dcapi-B.2.6.2-handover")
def test_the_handover_has_the_origin_the_nonce_and_the_thumbprint_of_the_key() -> None:
    assert REQUEST.encryption is not None
    for request, thumbprint in (
        (REQUEST, jwk_thumbprint(REQUEST.encryption.jwk)),
        (replace(REQUEST, encryption=None), None),
    ):
        info = cbor.dumps([ORIGIN, REQUEST.nonce, thumbprint])
        handover = ["OpenID4VPDCAPIHandover", hashlib.sha256(info).digest()]
        assert request.session_transcript(ORIGIN) == cbor.dumps([None, None, handover])


@pytest.mark.clause("dcapi-A.2-own-origin")
@pytest.mark.parametrize(
    "origin",
    [
        "https://shop.example/",
        "https://shop.example/path",
        "https://Shop.example",
        "https://shop.example:443",
        "https://shop.example?x",
        "https://user@shop.example",
        "http://localhost:80",
        "http://shop.example",
        "https:shop.example",
        "shop.example",
        "javascript:x",
        "data:x",
        "",
        "https://" + "a" * 600,
    ],
)
def test_our_verifier_asks_at_no_origin_that_is_never_met(origin: str) -> None:
    with pytest.raises(InvalidRequest):
        dc_api.parse_own_origin(origin)


@pytest.mark.parametrize(
    "origin", ["https://shop.example", "https://shop.example:8443", "http://localhost:8200", "android:apk-key-hash:Ab"]
)
def test_origins_of_ours(origin: str) -> None:
    assert dc_api.parse_own_origin(origin) == origin


def test_mistakes_of_our_own_code() -> None:
    with pytest.raises(ValueError, match="certificate"):
        dc_api.create_signed_data(replace(REQUEST, client_id=None), KEY, **TIMES)
    with pytest.raises(ValueError, match="certificate"):
        dc_api.create_multisigned_data(REQUEST, [], **TIMES)
    wrong: list[Any] = [{}, {**resolve(SIGNED, signed()).to_json(), "protocol": "other"}]
    for value in wrong:
        with pytest.raises(WalletError):
            ResolvedDcApiRequest.from_json(value)
