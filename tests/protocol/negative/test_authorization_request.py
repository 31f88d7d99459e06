"""Requests that differ from a good one in one parameter, as a wallet reads them (OpenID4VP 5, 8)."""

from typing import Any
from urllib.parse import urlencode

import pytest

from tests.simulators.verifier import SimulatedVerifier
from tests.support.presentations import NOW, RESPONSE_URI, query, world
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import InvalidRequest, VerificationError, VpFormatsNotSupported
from wallet_core.keys.jwk import public_jwk
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.candidates import sd_jwt_candidate
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix, verify_client
from wallet_core.protocols.openid4vp.matching import approve, match
from wallet_core.protocols.openid4vp.request import parse_authorization_request, parse_request_members
from wallet_core.protocols.openid4vp.request_object import create_request_object

WORLD = world()


def members(prefix: ClientIdPrefix = ClientIdPrefix.X509_HASH, **changes: Any) -> dict[str, Any]:
    """The parameters of a good request with some replaced; ... takes one out."""
    good = WORLD.request(prefix=prefix).to_json()
    parse_request_members(good)
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def with_keys(*keys: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return members(client_metadata={"jwks": {"keys": list(keys)}, **metadata})


@pytest.mark.clause("vp-5.3-state")
def test_no_state_where_no_holder_binding_is_asked_for() -> None:
    waived = query(("name",), require_cryptographic_holder_binding=False)
    assert parse_request_members(members(dcql_query=waived))
    with pytest.raises(InvalidRequest, match="state"):
        parse_request_members(members(dcql_query=waived, state=...))
    assert parse_request_members(members(state=...)).state is None


@pytest.mark.clause("vp-5.9.3-redirect-uri")
def test_an_answer_that_goes_elsewhere_than_to_the_redirect_uri_client() -> None:
    with pytest.raises(InvalidRequest, match="response_uri"):
        parse_request_members(members(ClientIdPrefix.REDIRECT_URI, response_uri=f"{RESPONSE_URI}/other"))


@pytest.mark.clause("vp-5.9.3-host")
def test_an_answer_that_goes_to_another_host_than_the_dns_client() -> None:
    with pytest.raises(InvalidRequest, match="host"):
        parse_request_members(members(ClientIdPrefix.X509_SAN_DNS, response_uri="https://evil.example/p"))


@pytest.mark.clause("vp-8.2-response-uri")
@pytest.mark.parametrize("uri", [..., None, "", "response", "http://verifier.example/p", "https://verifier.example/#a"])
def test_a_response_uri_that_is_none(uri) -> None:
    with pytest.raises(InvalidRequest):
        parse_request_members(members(response_uri=uri))


GOOD_KEY = WORLD.encryption.jwk
POST_QUANTUM = {"kty": "AKP", "alg": "ML-KEM-768", "kid": "pq", "pub": "AAAA"}
FOR_SIGNATURES = {**public_jwk(SoftwareSigner.generate().public_key), "kid": "sig", "use": "sig", "alg": "ES256"}
WITHOUT_ALGORITHM = {name: value for name, value in {**GOOD_KEY, "kid": "no-alg"}.items() if name != "alg"}
OFF_THE_CURVE = {**GOOD_KEY, "kid": "off", "y": GOOD_KEY["x"]}


@pytest.mark.clause("vp-8.3-usable-key", "vp-8.3-key-alg")
@pytest.mark.parametrize("other", [POST_QUANTUM, FOR_SIGNATURES, WITHOUT_ALGORITHM, OFF_THE_CURVE, "text"])
def test_a_key_that_cannot_be_used_is_passed_over(other) -> None:
    encryption = parse_request_members(with_keys(other, GOOD_KEY)).encryption
    assert encryption is not None
    assert encryption.jwk["kid"] == "enc-1"


def test_a_key_without_use_can_be_used() -> None:
    key = {name: value for name, value in GOOD_KEY.items() if name != "use"}
    assert parse_request_members(with_keys(key)).encryption


@pytest.mark.clause("vp-8.3-no-key", "vp-8.3-key-alg")
@pytest.mark.parametrize("keys", [[], [POST_QUANTUM], [FOR_SIGNATURES], [WITHOUT_ALGORITHM], [OFF_THE_CURVE]])
def test_no_key_that_can_be_used_refuses_the_request(keys) -> None:
    with pytest.raises(InvalidRequest, match="no key"):
        parse_request_members(with_keys(*keys))


@pytest.mark.clause("vp-8.3-no-key")
@pytest.mark.parametrize("values", [["A128CBC-HS256"], [], "A128GCM"])
def test_no_content_encryption_that_is_known_refuses_the_request(values) -> None:
    with pytest.raises(InvalidRequest, match="no key and encryption"):
        parse_request_members(with_keys(GOOD_KEY, encrypted_response_enc_values_supported=values))


@pytest.mark.clause("vp-14.1.2-bound")
@pytest.mark.parametrize("prefix", [ClientIdPrefix.X509_HASH, ClientIdPrefix.X509_SAN_DNS])
def test_each_presentation_is_bound_to_this_request(prefix) -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request(prefix=prefix))
    resolved = verifier.run(
        wallet.resolve_request(verifier.link, anchors=WORLD.anchors, now=NOW, wallet_nonce="w-0123456789")
    )
    held = WORLD.held()
    approved = approve(match(resolved.request.dcql_query, [sd_jwt_candidate("card", held)]))
    (item,) = wallet.create_presentation(resolved, approved, {"card": held}, now=NOW).to_sign
    claims = strict_json.loads_object(base64url.decode(item.signing_input.decode().split(".")[1]))
    assert claims["aud"] == f"{prefix}:{verifier.request.client_id.rest}"
    assert claims["nonce"] == verifier.request.nonce


def test_what_is_not_known_is_ignored_and_a_long_nonce_is_taken() -> None:
    long = "n" * 512
    request = parse_request_members(members(iss="https://other.example", unknown={"a": 1}, nonce=long, state=long))
    assert (request.nonce, request.state) == (long, long)


@pytest.mark.clause("vp-B.3.4-algorithms", "vp-B.3.4-holder-algorithms")
@pytest.mark.parametrize("name", ["sd-jwt_alg_values", "kb-jwt_alg_values"])
@pytest.mark.parametrize("values", [["RS256"], [], "ES256", ["ML-DSA-44"], ["ES384"], [-7]])
def test_algorithms_that_no_card_here_is_signed_with_find_no_match(name, values) -> None:
    good = members()["client_metadata"]
    formats = {"dc+sd-jwt": {**good["vp_formats_supported"]["dc+sd-jwt"], name: values}}
    request = parse_request_members(members(client_metadata={**good, "vp_formats_supported": formats}))
    candidate = sd_jwt_candidate("card", WORLD.held())
    assert not match(request.dcql_query, [candidate], request.formats).satisfiable
    for takes_it in ({"dc+sd-jwt": {}}, {"dc+sd-jwt": {name: ["ML-DSA-44", "ES256"]}}):
        request = parse_request_members(members(client_metadata={**good, "vp_formats_supported": takes_it}))
        assert match(request.dcql_query, [candidate], request.formats).satisfiable


@pytest.mark.clause("jose-9101.4-nested")
@pytest.mark.parametrize("member", ["request", "request_uri"])
def test_a_request_inside_the_request(member) -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request(), claims={member: "https://verifier.example/other"})
    with pytest.raises(InvalidRequest, match="another request"):
        verifier.run(wallet.resolve_request(verifier.link, anchors=WORLD.anchors, now=NOW, wallet_nonce="w-01234567"))


@pytest.mark.clause("vp-5.9.3-cannot-sign")
def test_a_signature_under_redirect_uri_proves_nothing() -> None:
    client_id = WORLD.request(prefix=ClientIdPrefix.REDIRECT_URI).client_id
    with pytest.raises(InvalidRequest, match="signed"):
        verify_client(client_id, WORLD.verifier_chain, WORLD.anchors, at=NOW)


def unsigned_link(prefix: ClientIdPrefix, **more: str) -> str:
    texts = {
        name: value if isinstance(value, str) else strict_json.dumps_text(value)
        for name, value in members(prefix).items()
    }
    return f"openid4vp://?{urlencode({**texts, **more})}"


@pytest.mark.clause("vp-5.9.3-must-sign")
@pytest.mark.parametrize("prefix", [ClientIdPrefix.X509_HASH, ClientIdPrefix.X509_SAN_DNS])
def test_a_whole_request_that_should_be_signed_and_is_not(prefix) -> None:
    assert parse_authorization_request(unsigned_link(ClientIdPrefix.REDIRECT_URI))
    with pytest.raises(InvalidRequest, match="must be signed"):
        parse_authorization_request(unsigned_link(prefix))


@pytest.mark.clause("vp-5.1-method-alone")
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_request_uri_method_without_request_uri(method) -> None:
    with pytest.raises(InvalidRequest, match="without request_uri"):
        parse_authorization_request(unsigned_link(ClientIdPrefix.REDIRECT_URI, request_uri_method=method))


@pytest.mark.clause("oauth-6749.3.1-once")
@pytest.mark.parametrize("parameter", ["nonce", "client_id", "unknown"])
def test_a_parameter_twice(parameter) -> None:
    link = unsigned_link(ClientIdPrefix.REDIRECT_URI, unknown="1")
    assert parse_authorization_request(link)
    (pair,) = [pair for pair in link.partition("?")[2].split("&") if pair.startswith(f"{parameter}=")]
    with pytest.raises(InvalidRequest, match="twice"):
        parse_authorization_request(f"{link}&{pair}")


@pytest.mark.clause("vp-5.1-formats")
def test_a_verifier_that_takes_no_format_of_ours() -> None:
    good = members()["client_metadata"]
    with pytest.raises(VpFormatsNotSupported, match="format"):
        parse_request_members(members(client_metadata={**good, "vp_formats_supported": {"ldp_vc": {}}}))


@pytest.mark.clause("vp-8.3-usable-key")
@pytest.mark.parametrize("keys", [None, 5, {}, "enc-1"])
def test_keys_that_are_no_array(keys) -> None:
    with pytest.raises(InvalidRequest, match="no key"):
        parse_request_members(members(client_metadata={"jwks": {"keys": keys}}))


@pytest.mark.clause("vp-8.3-usable-key")
@pytest.mark.parametrize("kid", [5, {}, [], True, None])
def test_a_key_whose_kid_is_no_text_is_passed_over(kid) -> None:
    (good,) = members()["client_metadata"]["jwks"]["keys"]
    encryption = parse_request_members(with_keys({**good, "kid": kid}, good)).encryption
    assert encryption is not None
    assert encryption.jwk == good


@pytest.mark.clause("vp-5.4-typ")
@pytest.mark.parametrize("typ", ["JWT", "jwt", "application/oauth-authz-req+jwt", "openid4vci-proof+jwt", None])
def test_a_request_object_of_another_type(typ) -> None:
    verifier = SimulatedVerifier(WORLD, WORLD.request(), header={"typ": typ})
    with pytest.raises(VerificationError, match="not a Request Object"):
        verifier.run(wallet.resolve_request(verifier.link, anchors=WORLD.anchors, now=NOW, wallet_nonce="w-01234567"))


@pytest.mark.clause("vp-5.10-echo")
def test_our_own_request_object_carries_the_wallets_nonce_and_none_of_its_own() -> None:
    def claims(wallet_nonce: str | None) -> dict[str, Any]:
        token = create_request_object(
            WORLD.request(),
            signer=WORLD.verifier_signer,
            chain=WORLD.verifier_chain,
            issued_at=NOW,
            expires_at=NOW,
            wallet_nonce=wallet_nonce,
        )
        return strict_json.loads_object(base64url.decode(token.split(".")[1]))

    assert claims("w-0123456789")["wallet_nonce"] == "w-0123456789"
    assert "wallet_nonce" not in claims(None)
