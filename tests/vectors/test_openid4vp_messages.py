"""OpenID4VP 1.0: what each example message of the specification must come to."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support import sd_jwt, vectors
from wallet_core.errors import InvalidRequest, VpFormatsNotSupported, WalletError
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt, verify_sd_jwt
from wallet_core.http import HttpResponse
from wallet_core.jose import jwe, jws
from wallet_core.keys.jwk import jwk_thumbprint, parse_private_jwk, parse_public_jwk, thumbprint
from wallet_core.protocols.openid4vp.dc_api import DcApiProtocol, parse_dc_api_members, parse_dc_api_response
from wallet_core.protocols.openid4vp.dc_api import verify_dc_api_request as verify_over_dc_api
from wallet_core.protocols.openid4vp.dcql import DcqlQuery, parse_dcql_query, validate_own_query
from wallet_core.protocols.openid4vp.request import (
    AuthorizationRequest,
    RequestObject,
    RequestReference,
    parse_authorization_request,
    parse_request_members,
)
from wallet_core.protocols.openid4vp.request_object import verify_request_object
from wallet_core.protocols.openid4vp.response import (
    EncryptedResponse,
    ErrorResponse,
    PresentationResponse,
    decrypt_response,
    parse_posted_response,
    parse_response_answer,
    parse_response_members,
)
from wallet_core.protocols.openid4vp.vp_formats import COSE_ALGORITHMS, parse_vp_formats
from wallet_core.protocols.openid4vp.wallet_metadata import parse_request_uri_post
from wallet_core.trust.anchors import TrustAnchors

FOLDER = "openid4vp"
FORM = "application/x-www-form-urlencoded"
MESSAGES = {each["id"]: each for each in vectors.load(FOLDER, "messages.json")["messages"]}
PRESENTATIONS = {each["id"]: each for each in vectors.load(FOLDER, "sd_jwt_presentations.json")["examples"]}
RESPONSE_URI = "https://client.example.org/post"
ANYBODY = TrustAnchors([])


def refused(call: Callable[[], Any], error: type[WalletError] = InvalidRequest) -> None:
    with pytest.raises(error):
        call()


def link(case: Any) -> str:
    return "openid4vp://?" + (case["target"] if "target" in case else case["value"]).partition("?")[2]


def completed(case: Any) -> Any:
    """The JSON of a message, with the query of another message where the source has an ellipsis."""
    return json.loads(case["value"].replace("{...}", json.dumps(MESSAGES["l_1138"]["value"])))


# --- requests ---------------------------------------------------------------------------------------------------------


def a_refused_request(case: Any) -> None:
    # Pre-registered clients, scopes, answers through the front channel and SIOPv2 are not supported.
    refused(lambda: parse_authorization_request(link(case)))


def a_reference(case: Any) -> None:
    found = parse_authorization_request(link(case))
    assert isinstance(found, RequestReference)
    query = case["query"]
    assert (found.client_id.full, found.request_uri) == (query["client_id"], query["request_uri"])
    assert found.method == query["request_uri_method"]


def a_request_by_value(case: Any) -> None:
    found = parse_authorization_request(link(case))
    assert isinstance(found, RequestObject)
    assert (found.client_id.full, found.token) == (case["query"]["client_id"], case["query"]["request"])
    at = datetime(2026, 1, 1, tzinfo=UTC)
    # The Request Object is abbreviated; and under this prefix, whoever signs is nobody that is known (5.9.3).
    refused(lambda: verify_request_object(found.token, client_id=found.client_id, anchors=ANYBODY, now=at), WalletError)


def a_payload_for_the_front_channel(case: Any) -> None:
    refused(lambda: parse_request_members(case["value"]))
    posted = {name: value for name, value in case["value"].items() if name != "redirect_uri"}
    request = parse_request_members(posted | {"response_mode": "direct_post"})
    assert (request.client_id.full, request.nonce) == (case["value"]["client_id"], case["value"]["nonce"])
    assert request.dcql_query.source == case["value"]["dcql_query"]


def a_payload(case: Any) -> None:
    members = completed(case)
    request = parse_request_members(members)
    assert isinstance(request, AuthorizationRequest)
    assert (request.client_id.full, request.response_uri) == (members["client_id"], members["response_uri"])
    assert (request.response_mode, request.nonce) == (members["response_mode"], members["nonce"])
    assert (request.state, request.dcql_query.source) == (members["state"], members["dcql_query"])


def a_request_over_the_api(case: Any) -> None:
    members = case["value"]
    request, client = verify_over_dc_api(
        DcApiProtocol.UNSIGNED,
        members,
        origin="https://client.example.org",
        anchors=ANYBODY,
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert client is None
    assert (request.client_id, request.nonce) == (None, members["nonce"])
    assert request.encryption is not None
    assert request.encryption.jwk == members["client_metadata"]["jwks"]["keys"][0]
    assert request.encryption.enc == "A128GCM"


def a_signed_payload_over_the_api(case: Any) -> None:
    # Of many signatures each names its client in its own header, which is another message (A.3.2.2).
    members = MESSAGES["l_2564"]["value"] | completed(case)
    request = parse_dc_api_members(members)
    assert request.client_id is not None
    assert request.client_id.full == members["client_id"] == "x509_san_dns:rp.example.com"
    assert list(request.expected_origins) == members["expected_origins"]
    assert (request.encryption, request.dcql_query.source) == (None, members["dcql_query"])


# --- queries ----------------------------------------------------------------------------------------------------------


def parsed_query(value: Any) -> DcqlQuery:
    query = parse_dcql_query(value)
    assert [entry.id for entry in query.credentials] == [entry["id"] for entry in value["credentials"]]
    assert query.source == value
    return query


def a_query(case: Any) -> None:
    validate_own_query(parsed_query(case["value"]))


def a_query_for_another_format(case: Any) -> None:
    # It is read, for a wallet may hold nothing that matches; our verifiers never send it.
    query = parsed_query(case["value"])
    assert [entry.types for entry in query.credentials] == [()]
    refused(lambda: validate_own_query(query))


def types_of_another_format(case: Any) -> None:
    query = MESSAGES["l_2723"]["value"]["credentials"][0] | {"meta": json.loads("{" + case["value"] + "}")}
    a_query_for_another_format({"value": {"credentials": [query]}})


def with_authority(case: Any) -> DcqlQuery:
    query = MESSAGES["l_1138"]["value"]["credentials"][0] | {"trusted_authorities": [case["value"]]}
    parsed = parsed_query({"credentials": [query]})
    (authority,) = parsed.credentials[0].trusted_authorities
    assert (authority.type, list(authority.values)) == (case["value"]["type"], case["value"]["values"])
    return parsed


def an_authority(case: Any) -> None:
    validate_own_query(with_authority(case))


def an_authority_that_is_not_looked_up(case: Any) -> None:
    refused(lambda: validate_own_query(with_authority(case)))


# --- what each side can do --------------------------------------------------------------------------------------------


def a_post_to_the_request_uri(case: Any) -> None:
    posted = parse_request_uri_post(case["headers"]["Content-Type"], case["body"].encode())
    assert posted.wallet_nonce == case["form"]["wallet_nonce"]
    assert posted.metadata.formats == {"dc+sd-jwt"}


def metadata_of_a_wallet(case: Any) -> None:
    body = urlencode({"wallet_metadata": json.dumps(case["value"])}).encode()
    claimed = parse_request_uri_post(FORM, body).metadata
    assert claimed.formats == set(case["value"]["vp_formats_supported"])
    assert claimed.signing_algorithms == set(case["value"]["request_object_signing_alg_values_supported"])


def with_metadata(case: Any) -> AuthorizationRequest:
    members = completed(MESSAGES["l_1236"])
    return parse_request_members(members | {"client_metadata": case["value"]})


def metadata_of_a_verifier(case: Any) -> None:
    formats = with_metadata(case).formats
    assert formats is not None
    assert formats.to_json() == case["value"]["vp_formats_supported"]


def metadata_with_another_format(case: Any) -> None:
    refused(lambda: with_metadata(case), VpFormatsNotSupported)


def algorithms_of_devices(case: Any) -> None:
    accepted = parse_vp_formats({"mso_mdoc": case["value"]})
    assert accepted is not None
    of_mdocs = accepted.by_format["mso_mdoc"]
    assert list(of_mdocs.holder or ()) == case["value"]["deviceauth_alg_values"]
    # Over these protocols our wallet's devices sign and do not authenticate with a MAC, so -9 is what both know.
    assert of_mdocs.takes_holder(COSE_ALGORITHMS) == (-9 in case["value"]["deviceauth_alg_values"])


# --- encryption -------------------------------------------------------------------------------------------------------


def an_encryption_key(case: Any) -> None:
    public = {name: value for name, value in case["value"].items() if name != "d"}
    assert jwe.is_usable(public)
    assert public == MESSAGES["l_1330"]["value"]["client_metadata"]["jwks"]["keys"][0]


def a_key_with_its_thumbprint(case: Any) -> None:
    assert jwe.is_usable(case["value"])
    expected = [
        vector["jwk_thumbprint_hex"]
        for vector in vectors.load(FOLDER, "handover_transcripts.json")["vectors"]
        if vector["inputs"].get("verifier_encryption_jwk") == case["value"]
    ]
    assert expected
    assert {jwk_thumbprint(case["value"]).hex()} == set(expected)
    assert (
        thumbprint(parse_public_jwk({k: v for k, v in case["value"].items() if k in "kty crv x y"})).hex() in expected
    )


def an_encrypted_answer(case: Any) -> None:
    token = case["value"]["response"]
    for found in (
        parse_posted_response(FORM, urlencode({"response": token}).encode()),
        parse_dc_api_response(case["value"]),
    ):
        assert found == EncryptedResponse(token)


def a_header_of_an_encrypted_answer(case: Any) -> None:
    assert jwe.parse_header(MESSAGES["l_1382"]["value"]["response"]) == case["value"]


def a_decrypted_answer(case: Any) -> None:
    jwk = {name: MESSAGES["l_1394"]["value"][name] for name in ("kty", "crv", "x", "y", "d")}
    encrypted = EncryptedResponse(MESSAGES["l_1382"]["value"]["response"])
    response = decrypt_response(encrypted, {"ac": parse_private_jwk(jwk)})
    assert isinstance(response, PresentationResponse)
    assert {name: list(texts) for name, texts in response.vp_token.items()} == case["value"]["vp_token"]


def an_encrypted_post(case: Any) -> None:
    found = parse_posted_response(case["headers"]["Content-Type"], case["body"].encode())
    assert found == EncryptedResponse(case["form"]["response"])


# --- answers ----------------------------------------------------------------------------------------------------------


def presented(value: Any) -> None:
    """What stands in a VP Token is not looked at where it is parsed: neither abbreviated text nor another format."""
    response = parse_response_members({"vp_token": value})
    assert isinstance(response, PresentationResponse)
    assert {name: list(texts) for name, texts in response.vp_token.items()} == value


def a_vp_token(case: Any) -> None:
    presented(case["value"])


def a_vp_token_with_more(case: Any) -> None:
    presented(json.loads(case["value"].replace(", ...]", "]")))


def a_payload_with_a_vp_token(case: Any) -> None:
    presented(case["value"]["vp_token"])


def a_posted_answer(case: Any) -> None:
    refused(lambda: parse_posted_response(FORM, case["body"].encode()), WalletError)
    # With the VP Token of another message where the source has an ellipsis.
    body = case["body"].replace("...&", urlencode({"": json.dumps(MESSAGES["l_1192"]["value"])})[1:] + "&")
    response = parse_posted_response(case["headers"]["Content-Type"], body.encode())
    assert isinstance(response, PresentationResponse)
    assert (response.state, list(response.vp_token)) == (case["form"]["state"], ["my_credential"])


def a_posted_error(case: Any) -> None:
    found = parse_posted_response(case["headers"]["Content-Type"], case["body"].encode())
    assert found == ErrorResponse(case["form"]["error"], case["form"]["state"])


def an_error_over_the_api(case: Any) -> None:
    assert parse_dc_api_response(case["value"]) == ErrorResponse(case["value"]["error"], None)


def a_way_back(case: Any) -> None:
    headers = {name.lower(): value for name, value in case["headers"].items()}
    answer = HttpResponse(case["status"], headers, json.dumps(case["body"]).encode())
    assert parse_response_answer(answer) == case["body"]["redirect_uri"]


# --- the credentials that the examples present ------------------------------------------------------------------------


def content_of_an_sd_jwt(case: Any) -> None:
    """What the issuer was told: with our signature over the published digests it comes out again."""
    example = PRESENTATIONS["b3_identity_credential"]
    disclosures = [each["disclosure"] for each in example["disclosures"]]
    verified = sd_jwt.verify(
        sd_jwt.sign(example["issuer_payload"], disclosures), datetime.fromtimestamp(1700000000, UTC)
    )
    assert case["value"] == example["unsecured_payload"]
    assert case["value"].items() <= verified.claims.items()


def payload_of_an_sd_jwt(case: Any) -> None:
    assert case["value"] == PRESENTATIONS["b3_identity_credential"]["issuer_payload"]
    verified = sd_jwt.verify(sd_jwt.sign(case["value"]), datetime.fromtimestamp(1700000000, UTC))
    # Without any Disclosure nothing but what is always visible stays.
    assert verified.claims == {name: value for name, value in case["value"].items() if name not in {"_sd", "_sd_alg"}}


def issued_ld() -> Any:
    example = PRESENTATIONS["b3_sd_jwt_vcld"]
    issuer = parse_public_jwk({name: value for name, value in example["issuer_key"].items() if name != "d"})
    at = datetime.fromtimestamp(1700000000, UTC)
    return verify_sd_jwt(parse_sd_jwt(example["sd_jwt"]), issuer_key=issuer, now=at)


def content_of_an_sd_jwt_with_ld(case: Any) -> None:
    assert case["value"].items() <= issued_ld().claims.items()


def payload_of_an_sd_jwt_with_ld(case: Any) -> None:
    text = PRESENTATIONS["b3_sd_jwt_vcld"]["sd_jwt"]
    assert jws.parse(text.partition("~")[0]).claims() == case["value"]


OUTCOMES: dict[str, Callable[[Any], None]] = {
    "l_426": a_refused_request,
    "l_438": a_request_by_value,
    "l_446": a_payload_for_the_front_channel,
    "l_473": a_reference,
    "l_481": a_post_to_the_request_uri,
    "l_510": a_refused_request,
    "l_650": a_post_to_the_request_uri,
    "l_667": a_payload,
    "l_835": an_authority,
    "l_855": an_authority,
    "l_875": an_authority_that_is_not_looked_up,
    "l_1138": a_query,
    "l_1192": a_vp_token,
    "l_1202": a_vp_token_with_more,
    "l_1236": a_payload,
    "l_1250": a_refused_request,
    "l_1258": a_posted_answer,
    "l_1269": a_posted_error,
    "l_1294": a_way_back,
    "l_1330": a_request_over_the_api,
    "l_1382": an_encrypted_answer,
    "l_1394": an_encryption_key,
    "l_1405": a_header_of_an_encrypted_answer,
    "l_1421": a_decrypted_answer,
    "l_1441": an_encrypted_post,
    "l_1451": a_payload_with_a_vp_token,
    "l_1641": metadata_of_a_wallet,
    "l_2528": a_signed_payload_over_the_api,
    "l_2577": a_signed_payload_over_the_api,
    "l_2587": an_error_over_the_api,
    "l_2633": types_of_another_format,
    "l_2715": metadata_with_another_format,
    "l_2723": a_query_for_another_format,
    "l_2734": a_vp_token,
    "l_2769": metadata_with_another_format,
    "l_2777": a_query_for_another_format,
    "l_2829": algorithms_of_devices,
    "l_2837": algorithms_of_devices,
    "l_2845": metadata_of_a_verifier,
    "l_2867": a_vp_token,
    "l_2926": a_key_with_its_thumbprint,
    "l_3052": a_key_with_its_thumbprint,
    "l_3144": content_of_an_sd_jwt,
    "l_3148": payload_of_an_sd_jwt,
    "l_3206": metadata_of_a_verifier,
    "l_3277": content_of_an_sd_jwt_with_ld,
    "l_3281": payload_of_an_sd_jwt_with_ld,
    "l_3293": a_refused_request,
    "l_3345": a_query,
    "l_3350": a_query,
    "l_3357": a_query,
    "l_3362": a_query,
    "l_3369": a_query,
    "l_3374": a_query,
}


@pytest.mark.parametrize("case", vectors.cases(FOLDER, "messages.json", "messages"))
def test_message(case: Any) -> None:
    OUTCOMES[case["id"]](case)
