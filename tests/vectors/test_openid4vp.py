"""OpenID4VP by the examples of its specification, and by requests made to be accepted or refused."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import jsonschema
import pytest

from tests.support import presentations, sd_jwt
from tests.support.vectors import cases, load
from wallet_core.errors import InvalidTransactionData, WalletError
from wallet_core.formats.sd_jwt.holder import create_key_binding, index_sd_jwt
from wallet_core.formats.sd_jwt.verifier import parse_sd_jwt, verify_sd_jwt_kb
from wallet_core.jose import jwe
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.jwk import parse_private_jwk, parse_public_jwk
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp.checks import CheckStep, check_failed
from wallet_core.protocols.openid4vp.client_id import parse_client_id
from wallet_core.protocols.openid4vp.dc_api import verify_dc_api_request
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.request import parse_request_members
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
from wallet_core.types import Nonce, QueryId

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


@pytest.mark.parametrize("example", cases("openid4vp", "sd_jwt_presentations.json", "examples"))
def test_sd_jwt_presentation(example: dict[str, Any]) -> None:
    keys = load("openid4vp", "sd_jwt_transaction_data.json")
    if example["id"] == "b3_identity_credential":
        unsigned_example(example, SoftwareSigner.from_key(parse_private_jwk(keys["holder_key"])))
        return
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


def unsigned_example(example: dict[str, Any], holder: SoftwareSigner) -> None:
    """No token of it is printed: payload, Disclosures and the holder's key run under an issuer's signature of ours."""
    held = index_sd_jwt(sd_jwt.sign(example["issuer_payload"], [each["disclosure"] for each in example["disclosures"]]))
    shape = example["kb_jwt_payload_shape"]
    now = datetime.fromtimestamp(shape["iat"], UTC)
    binding = {"audience": shape["aud"], "nonce": Nonce(shape["nonce"])}
    disclosed = [(each["contents"][1],) for each in example["disclosures"]]
    to_sign = create_key_binding(held, disclosed, issued_at=now, algorithm=holder.algorithm, **binding)
    verified = sd_jwt.verify_kb(to_sign.attach(holder.sign(to_sign.signing_input)), now, **binding)
    assert verified.claims == example["processed_payload"]
    assert verified.holder_key == holder.public_key


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
