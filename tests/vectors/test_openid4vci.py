"""OpenID4VCI 1.0: the specification's example messages and tokens, derived proofs, the suite's metadata fixtures."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support import vectors
from tests.support.proofs import verify_proof
from tests.support.wallet_providers import Provider
from wallet_core.encoding import strict_json
from wallet_core.errors import (
    InvalidAuthorizationDetails,
    InvalidClientAttestation,
    InvalidCredentialRequest,
    InvalidNonce,
    InvalidProof,
    InvalidRequest,
    MalformedError,
    PeerRefusal,
    UnknownCredentialIdentifier,
    UntrustedError,
    WalletError,
)
from wallet_core.http import HttpResponse
from wallet_core.jose import jws
from wallet_core.keys.algorithms import public_key
from wallet_core.keys.jwk import parse_private_jwk, parse_public_jwk, public_jwk, thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.authorization import (
    AuthorizationRequest,
    create_code_url,
    create_error_url,
    parse_authorization_request,
    parse_client_id,
    requested_credentials,
)
from wallet_core.protocols.oauth2.authorization_response import parse_callback, validate_authorization_response
from wallet_core.protocols.oauth2.client_attestation import verify_client_attestation
from wallet_core.protocols.oauth2.clients import RegisteredClient
from wallet_core.protocols.oauth2.details import create_authorization_details, parse_authorization_details
from wallet_core.protocols.oauth2.form import parse_form, parse_query
from wallet_core.protocols.oauth2.metadata import parse_authorization_server_metadata
from wallet_core.protocols.oauth2.par import (
    check_pushed_parameters,
    create_pushed_response,
    parse_pushed_response,
    parse_request_uri,
)
from wallet_core.protocols.oauth2.pkce import verify_code_verifier
from wallet_core.protocols.oauth2.token import (
    AuthorizationCodeRequest,
    TokenRequest,
    parse_access_token,
    parse_token_request,
    parse_token_response,
)
from wallet_core.protocols.openid4vci import messages
from wallet_core.protocols.openid4vci.key_attestation import KeyAttestationRequirements, verify_key_attestation
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
from wallet_core.protocols.openid4vci.proof import (
    AcceptedKey,
    ProofPolicy,
    proof_signing_input,
    verify_key_proofs,
)
from wallet_core.protocols.openid4vci.signed_metadata import verify_signed_metadata
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.certificates import create_issuer_certificate
from wallet_core.trust.wallet_providers import WalletProviders
from wallet_core.trust.x509 import format_x5c, load_certificate, parse_x5c
from wallet_core.types import ClientId, CredentialConfigurationId, CredentialIssuerId, JsonObject

FOLDER = "openid4vci"
ISSUER = "https://credential-issuer.example.com"
CONFIGURATION = CredentialConfigurationId("UniversityDegreeCredential")
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
    assert parse_access_token([case["headers"]["Authorization"]]).scheme == "Bearer"
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


# --- the authorization code flow among the messages -------------------------------------------------------------------

REDIRECT_URI = "https://wallet.example.org/cb"


def registered(client_id: str) -> RegisteredClient:
    return RegisteredClient(ClientId(client_id), "시험용", "for tests", (REDIRECT_URI,))


def details(case: Any) -> None:
    value = case["value"]
    expected = tuple(each["credential_configuration_id"] for each in value)
    assert parse_authorization_details(json.dumps(value), issuer=ISSUER) == expected
    # claims are ignored and not sent; where the metadata list servers, openid4vci.authorizing adds locations.
    ours = [{name: each[name] for name in ("type", "credential_configuration_id")} for each in value]
    assert create_authorization_details(expected) == ours


def details_with_locations(case: Any) -> None:
    details(case)
    text = json.dumps(case["value"])
    refused(lambda: parse_authorization_details(text, issuer="https://another.example"), InvalidRequest)


def authorization_request(parameters: dict[str, str]) -> AuthorizationRequest:
    client = registered(parse_client_id(parameters))
    return parse_authorization_request(
        parameters, client=client, redirect_uri=parameters["redirect_uri"], issuer=ISSUER
    )


def an_authorization_request(case: Any) -> None:
    query = case["query"]
    parameters = parse_query(urlsplit(case["target"]).query.encode())
    assert parameters == query
    request = authorization_request(parameters)
    asked = requested_credentials(
        request,
        scopes={"UniversityDegreeCredential": CONFIGURATION},
        configuration_ids=[CONFIGURATION],
    )
    assert asked.configuration_ids == (CONFIGURATION,)
    assert asked.identified == ((CONFIGURATION,) if "authorization_details" in query else ())
    # The verifier of this challenge stands in the token request of the same section.
    verify_code_verifier(MESSAGES["l_672"]["form"]["code_verifier"], request.code_challenge)


def a_pushed_request(case: Any) -> None:
    parameters = parse_form(media_type(case), case["body"].encode())
    assert parameters == case["form"]
    check_pushed_parameters(parameters)
    # The details are left out in the example: refused as they stand there, accepted with those of another example.
    refused(lambda: authorization_request(parameters), InvalidAuthorizationDetails)
    parameters["authorization_details"] = strict_json.dumps_text(MESSAGES["l_500"]["value"])
    request = authorization_request(parameters)
    assert (request.client_id, request.details) == (case["form"]["client_id"], (CONFIGURATION,))


def a_pushed_response(case: Any) -> None:
    pushed = parse_pushed_response(response(case))
    assert create_pushed_response(pushed.request_uri, lifetime=timedelta(seconds=pushed.expires_in)) == case["body"]


def a_request_that_was_pushed(case: Any) -> None:
    parameters = parse_query(urlsplit(case["target"]).query.encode())
    assert parse_client_id(parameters) == case["query"]["client_id"]
    assert parse_request_uri(parameters) == case["query"]["request_uri"] == MESSAGES["l_599"]["body"]["request_uri"]


def answered(case: Any, *, state: str | None) -> str:
    callback = parse_callback(urlsplit(case["headers"]["Location"]).query)
    sent = callback if state is None else callback | {"state": state}
    return validate_authorization_response(sent, state="s", issuer=ISSUER, iss_promised=False)


def a_code(case: Any) -> None:
    # Our wallet always sends a state, so an answer without one is not to its request.
    refused(lambda: answered(case, state=None), UntrustedError)
    code = answered(case, state="s")
    assert code == MESSAGES["l_672"]["form"]["code"]
    request = AuthorizationRequest(ClientId("s6BhdRkqt3"), REDIRECT_URI, None, "")
    # Ours says in addition who answers (RFC 9207).
    ours = create_code_url(request, code=code, issuer=ISSUER)
    assert ours == case["headers"]["Location"] + "&iss=https%3A%2F%2Fcredential-issuer.example.com"


def a_refusal(case: Any) -> None:
    refused(lambda: answered(case, state=None), UntrustedError)
    with pytest.raises(PeerRefusal) as caught:
        answered(case, state="s")
    assert (caught.value.error, caught.value.error_description) == (
        "invalid_request",
        "Unsupported response_type value",
    )
    request = AuthorizationRequest(ClientId("s6BhdRkqt3"), REDIRECT_URI, None, "")
    ours = create_error_url(
        request, error=caught.value.error, description=caught.value.error_description, issuer=ISSUER
    )
    callback = parse_callback(urlsplit(case["headers"]["Location"]).query)
    assert parse_callback(urlsplit(ours).query) == callback | {"iss": ISSUER}


# --- attestations and signed metadata among the messages --------------------------------------------------------------
#
# The keys that sign these examples are unknown or stand in self-signed certificates, which HAIP refuses: nobody can
# trust them. What runs is the same header and claims, signed below authorities made here.


def certified(token: JsonObject, claims: JsonObject, provider: Provider) -> str:
    """Return header and claims of an example, signed by a provider of ours with its certificate in ``x5c``."""
    header = {name: value for name, value in token.items() if name not in {"kid", "x5c"}}
    return jws.sign(header | {"x5c": format_x5c(provider.chain)}, claims, provider.signer)


def a_wallet_attestation(header: JsonObject, claims: Any) -> None:
    now = datetime.fromtimestamp(claims["nbf"] + 60, UTC)
    provider, instance = Provider(now, url=claims["iss"], client_id=claims["sub"]), SoftwareSigner.generate()
    assert parse_public_jwk(claims["cnf"]["jwk"])
    # The private key of the instance is unknown too: one of ours takes its place.
    attestation = certified(header, claims | {"cnf": {"jwk": public_jwk(instance.public_key)}}, provider)
    proof = {"iss": claims["sub"], "aud": ISSUER, "jti": "1", "iat": claims["nbf"] + 60}
    client = verify_client_attestation(
        [attestation],
        [jws.sign({"typ": "oauth-client-attestation-pop+jwt"}, proof, instance)],
        audience=ISSUER,
        now=now,
        trust=provider.trusted(),
        verify_challenge=lambda _: None,
        client_id=claims["sub"],
    )
    assert (client.client_id, client.instance) == (claims["sub"], thumbprint(instance.public_key))
    assert client.wallet == provider.wallet()


def a_decoded_wallet_attestation(case: Any) -> None:
    a_wallet_attestation(case["header"], case["payload"])


def a_signed_wallet_attestation(case: Any) -> None:
    token = TOKENS["wallet_attestation"]
    assert case["value"] == token["token"]
    a_wallet_attestation(token["header"], token["payload"])
    now = datetime.fromtimestamp(token["payload"]["nbf"] + 60, UTC)
    root = load_certificate(parse_x5c(token["header"]["x5c"])[0])
    trust = WalletProviders(TrustAnchors([TrustAnchor(root, AnchorPurpose.WALLET_PROVIDER)]))
    with pytest.raises(InvalidClientAttestation, match="self-signed"):
        verify_client_attestation(
            [case["value"]],
            [TOKENS["jwt_proof"]["token"]],
            audience=ISSUER,
            now=now,
            trust=trust,
            verify_challenge=lambda _: None,
        )


def a_key_attestation(case: Any) -> None:
    claims = case["payload"]
    now = datetime.fromtimestamp(claims["iat"] + 60, UTC)
    provider = Provider(now)

    def verify(**changes: Any) -> Any:
        return verify_key_attestation(
            certified(case["header"], claims | changes, provider),
            algorithms=["ES256"],
            verify_nonce=lambda _: None,
            now=now,
            trust=provider.trusted(),
            required=KeyAttestationRequirements(tuple(claims["key_storage"]), tuple(claims["user_authentication"])),
            with_proof=True,
        )

    # Our issuers have a nonce endpoint, so an attestation needs a nonce, which the example has not.
    with pytest.raises(InvalidProof, match="no nonce"):
        verify()
    keys = [parse_public_jwk(jwk) for jwk in claims["attested_keys"]]
    assert [each.key for each in verify(nonce="n").keys] == keys


def a_proof_with_key_attestation(case: Any) -> None:
    # Header and claims stand one after the other, with words in place of the attestation.
    header, claims = case["value"].replace("<key attestation in JWT format>", '""').split("}.\n{")
    payload = json.loads("{" + claims)
    now = datetime.fromtimestamp(payload["iat"], UTC)
    provider, holder = Provider(now), SoftwareSigner.generate()
    attestation = provider.attest_keys(holder, nonce=payload["nonce"])
    proof = jws.sign(json.loads(header + "}") | {"key_attestation": attestation}, payload, holder)
    (accepted,) = attested_proof(
        proof, provider, audience=payload["aud"], nonce=payload["nonce"], now=now, client_id=payload["iss"]
    )
    assert accepted.key == holder.public_key


def attested_proof(
    proof: str, provider: Provider, *, audience: str, nonce: str, now: datetime, client_id: str | None = None
) -> tuple[AcceptedKey, ...]:
    def verify_nonce(sent: str) -> None:
        if sent != nonce:
            raise InvalidNonce("another nonce")

    return verify_key_proofs(
        [proof],
        proof_type="jwt",
        audience=CredentialIssuerId(audience),
        policy=ProofPolicy({"jwt": ["ES256"]}, KeyAttestationRequirements()),
        trust=provider.trusted(),
        verify_nonce=verify_nonce,
        now=now,
        client_id=client_id,
        limit=10,
    )


def signed_metadata(case: Any) -> None:
    token = TOKENS["signed_issuer_metadata"]
    assert case["value"] == token["token"]
    claims = token["payload"]
    at = datetime(2026, 1, 1, tzinfo=UTC)
    root = load_certificate(parse_x5c(token["header"]["x5c"])[0])
    alone = TrustAnchors([TrustAnchor(root, AnchorPurpose.CREDENTIAL_ISSUER)])
    with pytest.raises(UntrustedError, match="self-signed"):
        verify_signed_metadata(case["value"], credential_issuer=CredentialIssuerId(ISSUER), anchors=alone, at=at)
    provider, signer = Provider(at), SoftwareSigner.generate()
    leaf = create_issuer_certificate(
        provider.ca,
        issuer=CredentialIssuerId(ISSUER),
        organization="시험용",
        public_key=signer.public_key,
        now=at,
        random=os.urandom,
    )
    ours = TrustAnchors([TrustAnchor(provider.ca.certificate, AnchorPurpose.CREDENTIAL_ISSUER)])
    again = jws.sign(token["header"] | {"x5c": format_x5c([leaf.public_bytes(Encoding.DER)])}, claims, signer)
    document = verify_signed_metadata(again, credential_issuer=CredentialIssuerId(ISSUER), anchors=ours, at=at)
    assert document == {name: value for name, value in claims.items() if name not in {"sub", "iat"}}
    parsed = parse_credential_issuer_metadata(document, credential_issuer=CredentialIssuerId(ISSUER))
    assert set(parsed.configurations) == set(claims["credential_configurations_supported"])


OUTCOMES: dict[str, Callable[[Any], None]] = {
    "l_405": an_offer,
    "l_411": an_offer_link,
    "l_422": an_offer_link,
    "l_451": an_offer_link,
    "l_459": an_offer,
    "l_463": an_offer,
    "l_500": details,
    "l_504": details_with_locations,
    "l_508": an_authorization_request,
    "l_523": details,
    "l_550": an_authorization_request,
    "l_582": a_pushed_request,
    "l_599": a_pushed_response,
    "l_612": a_request_that_was_pushed,
    "l_624": a_code,
    "l_636": a_refusal,
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
    "l_2148": details,
    "l_2156": credentials_as_text,
    "l_2186": a_binding_without_proof_types,
    "l_2192": details,
    "l_2200": credentials_as_objects,
    "l_2252": a_binding_without_proof_types,
    "l_2258": details,
    "l_2266": credentials_as_text,
    "l_2287": configurations,
    "l_2293": details,
    "l_2301": credentials_as_text,
    "l_2529": a_key_attestation,
    "l_2585": a_decoded_wallet_attestation,
    "l_2664": jwt_proofs,
    "l_2681": a_proof_before_signing,
    "l_2700": a_proof_with_key_attestation,
    "l_2733": other_proofs,
    "l_2775": attestation_proofs,
    "l_3012": signed_metadata,
    "l_3016": metadata,
    "l_3022": a_signed_wallet_attestation,
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
    accepted = verify_proof(proof["token"], audience=ISSUER, now=datetime.fromtimestamp(1701960449, UTC))
    assert accepted.nonce == "LarRGSbmUPYtRYO6BQ4yn8"


# --- key proofs -------------------------------------------------------------------------------------------------------


HOLDER = SoftwareSigner.from_key(parse_private_jwk(PROOFS["holder_key"]))


def attested_proof_case(case: Any) -> None:
    """The attester is named by ``kid``; HAIP 4.5.1 asks for ``x5c``. So it is signed again with that, and the proof."""
    settings = PROOFS["issuer_settings"]
    now = datetime.fromtimestamp(settings["now"], UTC)
    provider, printed = Provider(now), jws.parse(case["proof"])

    def verify(proof: str) -> tuple[AcceptedKey, ...]:
        return attested_proof(
            proof, provider, audience=settings["credential_issuer"], nonce=settings["c_nonce"], now=now
        )

    with pytest.raises(InvalidProof, match="x5c"):
        verify(case["proof"])
    attestation = jws.parse(str(printed.header["key_attestation"]))
    changed = {"key_attestation": certified(attestation.header, attestation.claims(), provider)}
    again = jws.sign(printed.header | changed, printed.claims(), HOLDER)
    if case["expect"].startswith("accept"):
        (accepted,) = verify(again)
        assert accepted.key == HOLDER.public_key
        return
    # kid 0 is the first attested key, and the holder's is not attested.
    with pytest.raises(InvalidProof, match="signature"):
        verify(again)
    named = {name: value for name, value in printed.header.items() if name != "kid"} | changed
    with pytest.raises(InvalidProof, match="attested"):
        verify(jws.sign(named | {"jwk": public_jwk(HOLDER.public_key)}, printed.claims(), HOLDER))


@pytest.mark.parametrize("case", vectors.cases(FOLDER, "proof_cases.json", "cases"))
def test_proof(case: Any) -> None:
    settings = PROOFS["issuer_settings"]

    def verify_nonce(nonce: str) -> None:
        if nonce != settings["c_nonce"]:
            raise InvalidNonce("another nonce")

    def verify() -> Any:
        return verify_proof(
            case["proof"],
            audience=settings["credential_issuer"],
            algorithms=settings["proof_signing_alg_values_supported"],
            verify_nonce=verify_nonce,
            now=datetime.fromtimestamp(settings["now"], UTC),
            client_id=case.get("client_id"),
        )

    if "key_attestation" in case["id"]:
        attested_proof_case(case)
        return
    if case["expect"].startswith("accept"):
        assert verify().key == HOLDER.public_key
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
