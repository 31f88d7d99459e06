"""OpenID4VP by the examples of its specification, and by requests made to be accepted or refused."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import jsonschema
import pytest

from tests.support import presentations
from tests.support.vectors import cases, load
from wallet_core.errors import InvalidRequest, InvalidTransactionData, WalletError
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt, verify_sd_jwt_kb
from wallet_core.jose import jwe
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.jwk import parse_private_jwk, parse_public_jwk
from wallet_core.protocols.openid4vp.checks import CheckStep, check_failed
from wallet_core.protocols.openid4vp.client_id import parse_client_id
from wallet_core.protocols.openid4vp.dc_api import verify_dc_api_request
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.request import RequestReference, parse_authorization_request, parse_request_members
from wallet_core.protocols.openid4vp.request_object import verify_request_object
from wallet_core.protocols.openid4vp.response import (
    EncryptedResponse,
    PresentationResponse,
    decrypt_response,
    parse_posted_response,
)
from wallet_core.protocols.openid4vp.transaction_data import (
    NO_TYPES,
    PresentedBinding,
    understand,
    validate_agreement,
)
from wallet_core.protocols.openid4vp.verifier_info import VerifierInfo, parse_verifier_info, registration_info
from wallet_core.trust.anchors import AnchorPurpose, parse_trust_anchors
from wallet_core.types import QueryId

FORM = "application/x-www-form-urlencoded"
REQUESTS = load("openid4vp", "request_objects.json")


def test_encrypted_response() -> None:
    vector = load("openid4vp", "encrypted_response.json")
    key = parse_private_jwk({k: v for k, v in vector["private_jwk"].items() if k in {"kty", "crv", "x", "y", "d"}})
    assert jwe.decrypt(vector["jwe"], {"ac": key}).decode() == vector["plaintext_utf8"]
    assert jwe.parse_header(vector["jwe"]) == vector["protected_header"]
    response = decrypt_response(EncryptedResponse(vector["jwe"]), {"ac": key})
    assert isinstance(response, PresentationResponse)
    assert {k: list(v) for k, v in response.vp_token.items()} == vector["payload"]["vp_token"]


def test_encryption_keys_of_the_request() -> None:
    vector = load("openid4vp", "encrypted_response.json")
    members = {
        **vector["request"],
        "response_mode": "direct_post.jwt",
        "response_uri": "https://client.example.org/post",
        "client_id": "x509_san_dns:client.example.org",
    }
    encryption = parse_request_members(members).encryption
    assert encryption is not None
    assert (encryption.jwk["kid"], encryption.enc) == ("ac", "A128GCM")
    usable = [key["kid"] for key in vector["request"]["client_metadata"]["jwks"]["keys"] if jwe.is_usable(key)]
    assert usable == ["ac", "jc"]


@pytest.mark.parametrize("case", cases("openid4vp", "request_objects.json", "cases"))
def test_request_object(case: dict[str, Any]) -> None:
    anchors = parse_trust_anchors(REQUESTS["trust_anchor_pem"], purpose=AnchorPurpose.VERIFIER_ACCESS)

    def read() -> None:
        if case.get("transport") == "dc_api":
            data = {"request": case["request_object"]}
            at = datetime.fromtimestamp(REQUESTS["evaluate_at"], UTC)
            over_api, _ = verify_dc_api_request(
                "openid4vp-v1-signed", data, origin=case["origin"], anchors=anchors, now=at
            )
            assert over_api.client_id == parse_client_id(case["outer_client_id"])
            return
        verify_request_object(
            case["request_object"],
            client_id=parse_client_id(case["outer_client_id"]),
            anchors=anchors,
            now=datetime.fromtimestamp(REQUESTS["evaluate_at"], UTC),
            wallet_nonce=case.get("sent_wallet_nonce"),
        )

    if case["expect"] == "accept":
        read()
        return
    with pytest.raises(WalletError) as caught:
        read()
    if "(" in case["expect"]:
        assert caught.value.code == case["expect"].partition("(")[2].rstrip(")")


def messages(wanted: Callable[[dict[str, Any]], bool]) -> list[Any]:
    """The messages that are whole, not abbreviated, and of the wanted kind."""
    whole = [m for m in load("openid4vp", "messages.json")["messages"] if not m.get("abbreviated")]
    return [pytest.param(m, id=m["id"]) for m in whole if m["kind"] != "text" and wanted(m)]


def has_value(message: dict[str, Any], *members: str) -> bool:
    value = message.get("value")
    return isinstance(value, dict) and all(member in value for member in members)


@pytest.mark.parametrize("message", messages(lambda m: has_value(m, "credentials")))
def test_query_among_the_messages(message: dict[str, Any]) -> None:
    query = parse_dcql_query(message["value"])
    assert [entry.id for entry in query.credentials] == [entry["id"] for entry in message["value"]["credentials"]]


@pytest.mark.parametrize("message", messages(lambda m: has_value(m, "alg", "kty")))
def test_encryption_key_among_the_messages(message: dict[str, Any]) -> None:
    assert jwe.is_usable({k: v for k, v in message["value"].items() if k != "d"})


@pytest.mark.parametrize("message", messages(lambda m: has_value(m, "response")))
def test_encrypted_response_among_the_messages(message: dict[str, Any]) -> None:
    body = f"response={message['value']['response']}".encode()
    assert isinstance(parse_posted_response(FORM, body), EncryptedResponse)


@pytest.mark.parametrize("message", messages(lambda m: "client_id" in m.get("query", {})))
def test_request_among_the_messages(message: dict[str, Any]) -> None:
    link = f"openid4vp://?{message.get('target', message.get('value')).partition('?')[2]}"
    if message["query"]["client_id"].startswith("x509_san_dns:") and "request_uri" in message["query"]:
        assert isinstance(parse_authorization_request(link), RequestReference)
    else:
        # Pre-registered clients, scopes and redirects of the front channel are not supported.
        with pytest.raises(InvalidRequest):
            parse_authorization_request(link)


def test_sd_jwt_presentation() -> None:
    example = load("openid4vp", "sd_jwt_presentations.json")["examples"][1]
    keys = load("openid4vp", "sd_jwt_transaction_data.json")
    issuer = parse_public_jwk({k: v for k, v in keys["issuer_key"].items() if k != "d"})
    verified = verify_sd_jwt_kb(
        parse_sd_jwt(example["presentation"]),
        issuer_key=issuer,
        audience=example["kb_jwt_payload"]["aud"],
        nonce=example["kb_jwt_payload"]["nonce"],
        now=datetime.fromtimestamp(example["kb_jwt_payload"]["iat"], UTC),
    )
    assert verified.claims == example["processed_payload"]
    assert PublicKey(parse_private_jwk(keys["holder_key"]).public_key()) == verified.holder_key


TRANSACTION = load("openid4vp", "sd_jwt_transaction_data.json")


def test_transaction_data_of_a_type_that_is_not_known_is_refused() -> None:
    request = parse_request_members(TRANSACTION["request"])
    (entry,) = request.transaction_data
    assert entry.members == TRANSACTION["transaction_data_decoded"]
    with pytest.raises(InvalidTransactionData):
        understand(request.transaction_data, NO_TYPES)


@pytest.mark.clause("vp-8.4-agreed", "vp-B.3.3.1-over-the-text", "vp-B.3.3.1-alg-named")
@pytest.mark.parametrize("case", cases("openid4vp", "sd_jwt_transaction_data.json", "cases"))
def test_answer_to_transaction_data(case: dict[str, Any]) -> None:
    request = parse_request_members(TRANSACTION["request"])
    issuer = parse_public_jwk({k: v for k, v in TRANSACTION["issuer_key"].items() if k != "d"})
    now = datetime.fromtimestamp(TRANSACTION["evaluate_at"], UTC)

    def check() -> None:
        body = urlencode({"vp_token": json.dumps(case["vp_token"])}).encode()
        response = parse_posted_response(FORM, body)
        assert isinstance(response, PresentationResponse)
        for query_id, texts in response.vp_token.items():
            if request.dcql_query.credential(query_id) is None or len(texts) > 1:
                raise check_failed(CheckStep.ANSWER_FITS_REQUEST, "not asked for")
            verified = verify_sd_jwt_kb(
                parse_sd_jwt(texts[0]),
                issuer_key=issuer,
                audience=request.client_id.full,
                nonce=request.nonce,
                now=now,
            )
            agreed = validate_agreement(request.transaction_data, [PresentedBinding(query_id, verified.key_binding)])
            assert agreed == ("my_credential",)

    if case["expect"] == "accept":
        check()
        return
    with pytest.raises(WalletError):
        check()


def test_our_verifier_info_fits_the_schema() -> None:
    schema = load("openid4vp", "schemas/verifier_info.schema.json")
    (entry,) = registration_info("a.b.c")
    about_one = VerifierInfo(entry.format, entry.data, (QueryId("licence"),))
    jsonschema.validate({"verifier_info": [entry.to_json(), about_one.to_json()]}, schema)
    for wrong in ([], [{"format": entry.format}], [{**entry.to_json(), "credential_ids": []}]):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"verifier_info": wrong}, schema)
        with pytest.raises(WalletError):
            parse_verifier_info(wrong, parse_dcql_query(presentations.query(("name",))))


def test_our_queries_fit_the_schema() -> None:
    schema = load("openid4vp", "schemas/dcql_request.schema.json")
    for source in load("openid4vp", "dcql_queries.json")["queries"].values():
        jsonschema.validate(source, schema)
    jsonschema.validate(presentations.query(("name",), {"path": ["classes", None], "values": ["1종 보통"]}), schema)
