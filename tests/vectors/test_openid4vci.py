"""OpenID4VCI 1.0: the specification's example messages and tokens, derived proofs, the suite's metadata fixtures."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest
from cryptography import x509

from tests.support import vectors
from wallet_core.errors import (
    InvalidCredentialRequest,
    InvalidNonce,
    InvalidProof,
    MalformedError,
    PeerRefusal,
    UnknownCredentialIdentifier,
    WalletError,
)
from wallet_core.http import HttpResponse
from wallet_core.jose import jws
from wallet_core.keys.algorithms import public_key
from wallet_core.keys.jwk import parse_public_jwk
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.form import parse_form
from wallet_core.protocols.oauth2.metadata import parse_authorization_server_metadata
from wallet_core.protocols.oauth2.token import (
    AuthorizationCodeRequest,
    TokenRequest,
    parse_bearer_token,
    parse_token_request,
    parse_token_response,
)
from wallet_core.protocols.openid4vci import messages
from wallet_core.protocols.openid4vci.metadata import (
    create_credential_issuer_metadata,
    parse_credential_issuer_metadata,
)
from wallet_core.protocols.openid4vci.offer import (
    OfferReference,
    TxCodeInput,
    create_credential_offer,
    parse_credential_offer,
    parse_offer_link,
)
from wallet_core.protocols.openid4vci.proof import proof_signing_input, verify_key_proof
from wallet_core.trust.x509 import parse_x5c
from wallet_core.types import CredentialIssuerId, JsonObject

FOLDER = "openid4vci"
ISSUER = "https://credential-issuer.example.com"
MESSAGES = {each["id"]: each for each in vectors.load(FOLDER, "messages.json")["messages"]}
PROOFS = vectors.load(FOLDER, "proof_cases.json")
TOKENS = {each["id"]: each for each in vectors.load(FOLDER, "tokens.json")["tokens"]}


def schema(name: str) -> Any:
    return vectors.load(FOLDER, f"schemas/{name}-1_0.schema.json")


def response(case: Any) -> HttpResponse:
    body = case.get("body")
    headers = {name.lower(): value for name, value in case["headers"].items()}
    return HttpResponse(case["status"], headers, b"" if body is None else json.dumps(body).encode())


def media_type(case: Any) -> str:
    return str(case["headers"].get("Content-Type", ""))


def refused(call: Callable[[], Any], error: type[WalletError]) -> None:
    with pytest.raises(error):
        call()


# --- messages: what each example must come to -------------------------------------------------------------------------


def an_offer(case: Any) -> None:
    value = case["value"] if "value" in case else case["body"]
    offer = parse_credential_offer(value)
    assert offer.credential_issuer == ISSUER
    assert list(offer.configuration_ids) == value["credential_configuration_ids"]
    grants = value.get("grants", {})
    grant = grants.get("urn:ietf:params:oauth:grant-type:pre-authorized_code")
    assert (offer.pre_authorized_code is None) == (grant is None)
    assert (offer.tx_code is None) == ("tx_code" not in (grant or {}))
    jsonschema.validate(offer.to_json(), schema("credential_offer"))


def an_offer_link(case: Any) -> None:
    link = case["value"] if "value" in case else case["target"]
    found = parse_offer_link(link)
    if "credential_offer_uri" in case["query"]:
        assert found == OfferReference(case["query"]["credential_offer_uri"])
    else:
        assert found == parse_credential_offer(json.loads(case["query"]["credential_offer"]))


def a_token_request(case: Any) -> None:
    request = parse_token_request(parse_form(media_type(case), case["body"].encode()), issuer="https://issuer.example")
    assert isinstance(request, TokenRequest)
    assert request.pre_authorized_code == case["form"]["pre-authorized_code"]
    assert request.tx_code == case["form"]["tx_code"]


def another_grant(case: Any) -> None:
    request = parse_token_request(parse_form(media_type(case), case["body"].encode()), issuer="https://issuer.example")
    assert isinstance(request, AuthorizationCodeRequest)
    assert (request.code, request.redirect_uri) == (case["form"]["code"], case["form"]["redirect_uri"])


def a_token_response(case: Any) -> None:
    token = parse_token_response(response(case))
    assert token.access_token == case["body"]["access_token"]
    assert token.credential_identifiers == {
        detail["credential_configuration_id"]: tuple(detail["credential_identifiers"])
        for detail in case["body"]["authorization_details"]
    }


def an_error(case: Any) -> None:
    with pytest.raises(PeerRefusal) as caught:
        messages.parse_credential_response(response(case))
    assert (caught.value.status, caught.value.error) == (400, case["body"]["error"])


def a_nonce_response(case: Any) -> None:
    assert messages.parse_nonce_response(response(case)) == case["body"]["c_nonce"]


def a_credential_request(case: Any) -> None:
    assert parse_bearer_token([case["headers"]["Authorization"]])
    body = case["body"]
    request = messages.parse_credential_request(media_type(case), json.dumps(body).encode())
    assert request.configuration_id == body["credential_configuration_id"]
    assert list(request.proofs) == body["proofs"]["jwt"]
    made = messages.create_credential_request(
        f"{ISSUER}/credential",
        "token",
        configuration_id=request.configuration_id,
        credential_identifier=None,
        proofs=request.proofs,
    )
    assert json.loads(made.body) == body
    jsonschema.validate(json.loads(made.body), schema("credential_request"))


def a_request_with_an_identifier(case: Any) -> None:
    body = json.dumps(case["body"]).encode()
    refused(lambda: messages.parse_credential_request(media_type(case), body), UnknownCredentialIdentifier)


def credentials_as_text(case: Any) -> None:
    answer = messages.parse_credential_response(response(case))
    assert list(answer.credentials) == [each["credential"] for each in case["body"]["credentials"]]
    assert answer.notification_id == case["body"].get("notification_id")


def credentials_as_objects(case: Any) -> None:
    refused(lambda: messages.parse_credential_response(response(case)), MalformedError)


def a_deferral(case: Any) -> None:
    body = case["body"]
    expected = messages.Deferral(body["transaction_id"], body["interval"])
    assert messages.parse_credential_response(response(case)) == expected
    again = messages.parse_deferred_response(response(case), transaction_id=body["transaction_id"])
    assert again == expected
    assert messages.create_deferral(expected.transaction_id, interval=expected.interval) == body


def a_deferred_request(case: Any) -> None:
    body = json.dumps(case["body"]).encode()
    request = messages.parse_deferred_request(media_type(case), body)
    assert request.transaction_id == case["body"]["transaction_id"]
    made = messages.create_deferred_request(ISSUER, "token", transaction_id=request.transaction_id)
    assert json.loads(made.body) == case["body"]


def a_notification(case: Any) -> None:
    body = case["body"]
    request = messages.parse_notification_request(media_type(case), json.dumps(body).encode())
    assert (request.notification_id, request.event) == (body["notification_id"], body["event"])


def configurations(case: Any) -> None:
    entries = case["value"]["credential_configurations_supported"]
    document = create_credential_issuer_metadata(CredentialIssuerId(ISSUER), configurations=entries, display=[])
    parsed = parse_credential_issuer_metadata(document, credential_issuer=CredentialIssuerId(ISSUER))
    assert {id_: each.document for id_, each in parsed.configurations.items()} == entries


def a_binding_without_proof_types(case: Any) -> None:
    # 12.2.4 demands proof_types_supported beside a binding method; these examples are shortened.
    refused(lambda: configurations(case), MalformedError)


def metadata(case: Any) -> None:
    parsed = parse_credential_issuer_metadata(case["value"], credential_issuer=CredentialIssuerId(ISSUER))
    assert parsed.batch_size == case["value"]["batch_credential_issuance"]["batch_size"]


def jwt_proofs(case: Any) -> None:
    body = {"credential_configuration_id": "a", "proofs": case["value"]}
    request = messages.parse_credential_request("application/json", json.dumps(body).encode())
    assert list(request.proofs) == case["value"]["jwt"]


def attestation_proofs(case: Any) -> None:
    # What stands in the example for the attestation is no JWT: only the form of the request is read here.
    body = {"credential_configuration_id": "a", "proofs": case["value"]}
    request = messages.parse_credential_request("application/json", json.dumps(body).encode())
    assert (request.proof_type, list(request.proofs)) == ("attestation", case["value"]["attestation"])
    made = messages.create_credential_request(
        f"{ISSUER}/credential",
        "token",
        configuration_id=request.configuration_id,
        credential_identifier=None,
        proofs=request.proofs,
        proof_type=request.proof_type,
    )
    assert json.loads(made.body) == body


def other_proofs(case: Any) -> None:
    body = json.dumps({"credential_configuration_id": "a", "proofs": case["value"]}).encode()
    refused(lambda: messages.parse_credential_request("application/json", body), InvalidCredentialRequest)


def a_proof_before_signing(case: Any) -> None:
    key = parse_public_jwk(case["header"]["jwk"])
    payload = case["payload"]
    made = proof_signing_input(
        key, audience=payload["aud"], nonce=payload["nonce"], issued_at=datetime.fromtimestamp(payload["iat"], UTC)
    )
    parsed = jws.parse(made.decode() + ".AA")
    assert parsed.header == case["header"]
    assert parsed.claims() == payload


OUTCOMES: dict[str, Callable[[Any], None]] = {
    "l_405": an_offer,
    "l_411": an_offer_link,
    "l_422": an_offer_link,
    "l_451": an_offer_link,
    "l_459": an_offer,
    "l_463": an_offer,
    "l_672": another_grant,
    "l_693": a_token_request,
    "l_728": a_token_response,
    "l_772": an_error,
    "l_813": a_nonce_response,
    "l_879": a_credential_request,
    "l_898": a_request_with_an_identifier,
    "l_921": a_request_with_an_identifier,
    "l_985": credentials_as_text,
    "l_1001": credentials_as_text,
    "l_1020": a_deferral,
    "l_1101": a_deferred_request,
    "l_1132": credentials_as_text,
    "l_1151": a_deferral,
    "l_1171": an_error,
    "l_1061": an_error,
    "l_1221": a_notification,
    "l_1235": a_notification,
    "l_1272": an_error,
    "l_1427": configurations,
    "l_2142": configurations,
    "l_2156": credentials_as_text,
    "l_2186": a_binding_without_proof_types,
    "l_2200": credentials_as_objects,
    "l_2252": a_binding_without_proof_types,
    "l_2266": credentials_as_text,
    "l_2287": configurations,
    "l_2301": credentials_as_text,
    "l_2664": jwt_proofs,
    "l_2681": a_proof_before_signing,
    "l_2733": other_proofs,
    "l_2775": attestation_proofs,
    "l_3016": metadata,
}


@pytest.mark.parametrize("case", vectors.cases(FOLDER, "messages.json", "messages"))
def test_message(case: Any) -> None:
    OUTCOMES[case["id"]](case)


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", vectors.cases(FOLDER, "tokens.json", "tokens"))
def test_token(case: Any) -> None:
    token = jws.parse(case["token"])
    if "x5c" in token.header:
        leaf = x509.load_der_x509_certificate(parse_x5c(token.header["x5c"])[0])
        key = public_key(leaf.public_key())
    else:
        key = parse_public_jwk(token.header["jwk"])
    assert jws.verify(token, key, typ=str(token.header["typ"])).claims()


def test_the_specifications_own_proof_is_accepted() -> None:
    proof = TOKENS["jwt_proof"]
    accepted = verify_key_proof(
        proof["token"],
        audience=CredentialIssuerId(ISSUER),
        algorithms=["ES256"],
        verify_nonce=lambda _: None,
        now=datetime.fromtimestamp(1701960449, UTC),
    )
    assert accepted.nonce == "LarRGSbmUPYtRYO6BQ4yn8"


# --- key proofs -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", vectors.cases(FOLDER, "proof_cases.json", "cases"))
def test_proof(case: Any) -> None:
    settings = PROOFS["issuer_settings"]

    def verify_nonce(nonce: str) -> None:
        if nonce != settings["c_nonce"]:
            raise InvalidNonce("another nonce")

    def verify() -> Any:
        return verify_key_proof(
            case["proof"],
            audience=settings["credential_issuer"],
            algorithms=settings["proof_signing_alg_values_supported"],
            verify_nonce=verify_nonce,
            now=datetime.fromtimestamp(settings["now"], UTC),
            client_id=case.get("client_id"),
        )

    if case["expect"].startswith("accept"):
        assert verify().key == parse_public_jwk({k: v for k, v in PROOFS["holder_key"].items() if k != "d"})
        return
    error = InvalidNonce if case["id"] == "wrong_nonce" else InvalidProof
    with pytest.raises(error):
        verify()


# --- metadata ---------------------------------------------------------------------------------------------------------


def parse_metadata(case: Any) -> None:
    value = case["value"]
    if case["document"] == "openid-credential-issuer":
        parse_credential_issuer_metadata(value, credential_issuer=value.get("credential_issuer"))
    else:
        parse_authorization_server_metadata(value, issuer=value.get("issuer"))


@pytest.mark.parametrize("case", vectors.cases(FOLDER, "issuer_metadata_fixtures.json", "fixtures", "name"))
def test_metadata_fixture(case: Any) -> None:
    if case["expect"].startswith("valid"):
        parse_metadata(case)
    else:
        refused(lambda: parse_metadata(case), MalformedError)


# --- schemas: what we make ourselves keeps them -----------------------------------------------------------------------


def test_our_offers_keep_the_schema() -> None:
    offer = create_credential_offer(
        CredentialIssuerId(ISSUER), ["a"], pre_authorized_code="c", tx_code=TxCodeInput("numeric", 6, "시험용")
    )
    jsonschema.validate(offer.to_json(), schema("credential_offer"))


def test_our_credential_requests_keep_the_schema() -> None:
    for identifier in (None, "id"):
        request = messages.create_credential_request(
            f"{ISSUER}/credential", "token", configuration_id="a", credential_identifier=identifier, proofs=["a.b.c"]
        )
        jsonschema.validate(json.loads(request.body), schema("credential_request"))


def test_our_metadata_keep_the_schema() -> None:
    from wallet_core.adapters.config import load_catalogue

    catalogue = load_catalogue()
    for agency in catalogue.agencies:
        entries: dict[Any, JsonObject] = {
            each.configuration_id: each.credential_configuration() for each in catalogue.issued_by(agency)
        }
        document = create_credential_issuer_metadata(
            CredentialIssuerId(f"{ISSUER}/agencies/{agency}"),
            configurations=entries,
            display=[{"name": catalogue.agencies[agency].name.ko, "locale": "ko"}],
        )
        jsonschema.validate(document, schema("credential_issuer_metadata"))


def test_a_key_of_ours_signs_what_the_vectors_check() -> None:
    key = SoftwareSigner.generate()
    data = proof_signing_input(
        key.public_key, audience=CredentialIssuerId(ISSUER), nonce=None, issued_at=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert jws.verify(jws.parse(jws.attach_signature(data, key.sign(data))), key.public_key, typ="openid4vci-proof+jwt")
