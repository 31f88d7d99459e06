"""Only WalletError leaves a parser or a verification, whatever it is given.

The messages are valid ones with small changes, signed again where a signature would stop them at the door. A normal run
draws a few hundred for each target; ``make fuzz MINUTES=10`` goes on for half of that time in all, and guided.py, whose
messages are guided by coverage, for the other half.
"""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, note
from hypothesis import strategies as st

from holder_app.issuance import states as wallet_states
from tests.simulators import run_flow
from tests.simulators.issuer import SimulatedIssuer
from tests.simulators.openid_provider import ISSUER as PROVIDER_ID
from tests.simulators.openid_provider import SimulatedProvider, rsa_jwk
from tests.support import mdoc, vectors
from tests.support import sd_jwt as samples
from tests.support.cbor_mutation import CborBytes, CborValue, as_mdoc, as_sign1, verify_mac0, verify_sign1
from tests.support.fuzzing import DRAWN, repeatedly
from tests.support.mutation import encode, json_bytes, mutate_json, mutate_text, mutate_token
from tests.support.presentations import NOW as REGISTERED_AT
from tests.support.proofs import verify_proof
from tests.support.registering import register, registration_claims
from tests.support.transactions import DOCUMENT, digest, encoded, transaction, transaction_types
from tests.support.trust import ListOperator, listed, new_list
from tests.support.verification_records import ANSWER, KEY, PAYLOAD, RECORD, ROOTS
from tests.support.verification_records import LATER as YEARS_LATER
from tests.support.verification_records import TRUST_LIST as RECORDED_LIST
from tests.support.wallet_providers import Provider
from wallet_core import spec_versions as spec
from wallet_core.cose import mac0, sign1
from wallet_core.encoding import base64url, cbor, strict_json
from wallet_core.encoding.claims_path import parse_claims_path, resolve
from wallet_core.errors import VerificationError, WalletError
from wallet_core.formats.mdoc.device_request import encode_device_request, encode_items_request, parse_device_request
from wallet_core.formats.mdoc.document import parse_device_response
from wallet_core.formats.mdoc.holder import index_mdoc
from wallet_core.formats.mdoc.mdl import lint_mdl, mso_size
from wallet_core.formats.mdoc.session_transcript import dcapi_transcript
from wallet_core.formats.mdoc.structures import parse_issuer_signed, parse_mso
from wallet_core.formats.mdoc.verifier import claims_to_json
from wallet_core.formats.sd_jwt.holder import create_key_binding, index_sd_jwt
from wallet_core.formats.sd_jwt.json_serialization import flattened_json, parse_sd_jwt_json
from wallet_core.formats.sd_jwt.vc import validate_sd_jwt_vc
from wallet_core.formats.sd_jwt.verifier import UnverifiedSdJwt, parse_sd_jwt, verify_sd_jwt_kb
from wallet_core.http import HttpResponse
from wallet_core.jose import jwe, jws
from wallet_core.keys import hpke
from wallet_core.keys.cose_key import cose_key, parse_cose_key
from wallet_core.keys.jwk import parse_private_jwk, parse_public_jwk, public_jwk
from wallet_core.keys.signer import CertifiedSigner, SoftwareSigner
from wallet_core.protocols.iso18013.dc_api import (
    create_encryption_info,
    create_request_data,
    open_response_data,
    parse_encryption_info,
    parse_request_data,
)
from wallet_core.protocols.oauth2.authorization import (
    parse_authorization_request as parse_oauth_request,
)
from wallet_core.protocols.oauth2.authorization import parse_client_id as parse_client_id_parameter
from wallet_core.protocols.oauth2.authorization import requested_credentials
from wallet_core.protocols.oauth2.authorization_response import parse_callback, validate_authorization_response
from wallet_core.protocols.oauth2.client import ClientMemory
from wallet_core.protocols.oauth2.client_attestation import (
    create_client_attestation_pop,
    parse_challenge_response,
    verify_client_attestation,
)
from wallet_core.protocols.oauth2.clients import parse_registered_clients, validate_redirect_uri
from wallet_core.protocols.oauth2.details import parse_authorization_details
from wallet_core.protocols.oauth2.dpop import create_dpop_proof, verify_dpop_proof
from wallet_core.protocols.oauth2.form import parse_form, parse_query
from wallet_core.protocols.oauth2.metadata import parse_authorization_server_metadata
from wallet_core.protocols.oauth2.openid_connect import (
    parse_authentication_response,
    parse_provider_keys,
    parse_provider_metadata,
    verify_id_token,
)
from wallet_core.protocols.oauth2.par import check_pushed_parameters, parse_pushed_response, parse_request_uri
from wallet_core.protocols.oauth2.token import (
    parse_access_token,
    parse_token_request,
    parse_token_response,
)
from wallet_core.protocols.openid4vci.encryption import (
    MessageEncryption,
    RequestDecryption,
    create_request_encryption,
    create_response_encryption,
    encrypt_message,
    encryption_jwk,
    parse_encryption_parameters,
    parse_request_encryption,
    parse_response_encryption,
)
from wallet_core.protocols.openid4vci.messages import (
    parse_credential_request,
    parse_credential_response,
    parse_deferred_request,
    parse_deferred_response,
    parse_nonce_response,
    parse_notification_request,
)
from wallet_core.protocols.openid4vci.metadata import parse_credential_issuer_metadata
from wallet_core.protocols.openid4vci.offer import parse_credential_offer, parse_offer_link
from wallet_core.protocols.openid4vci.pending import (
    AuthorizationStarted,
    DeferredCredential,
    IssuedCredentials,
    ProofsToSign,
    ResolvedOffer,
)
from wallet_core.protocols.openid4vci.proof import (
    ProofPolicy,
    parse_proof_types,
    proof_signing_input,
    verify_key_proofs,
)
from wallet_core.protocols.openid4vci.signed_metadata import (
    create_signed_metadata,
    preferred_languages,
    read_metadata,
    verify_signed_metadata,
    wants_signed,
)
from wallet_core.protocols.openid4vci.wallet import receive_credentials, request_proofs, resolve_offer
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix, create_client_id
from wallet_core.protocols.openid4vp.dc_api import (
    DcApiProtocol,
    parse_dc_api_members,
    parse_dc_api_response,
    verify_dc_api_request,
)
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.record_audit import Brought, audit_record
from wallet_core.protocols.openid4vp.registration import verify_registration
from wallet_core.protocols.openid4vp.request import parse_authorization_request, parse_request_members
from wallet_core.protocols.openid4vp.request_object import verify_request_object
from wallet_core.protocols.openid4vp.response import parse_posted_response, parse_response_answer
from wallet_core.protocols.openid4vp.standalone import recognise
from wallet_core.protocols.openid4vp.transaction_data import (
    PresentedBinding,
    parse_transaction_data,
    understand,
    validate_agreement,
)
from wallet_core.protocols.openid4vp.verifier_attestation import verify_verifier_attestation
from wallet_core.protocols.openid4vp.verifier_info import parse_verifier_info
from wallet_core.protocols.openid4vp.wallet import wallet_metadata
from wallet_core.protocols.openid4vp.wallet_metadata import encrypt_request_object, parse_request_uri_post
from wallet_core.trust.anchors import (
    AnchorPurpose,
    TrustAnchor,
    TrustAnchors,
    format_trust_anchors,
    parse_trust_anchors,
)
from wallet_core.trust.certificates import create_ca, create_issuer_certificate, create_verifier_certificate
from wallet_core.trust.profiles import CertificateRole
from wallet_core.trust.trust_list import trust_list_payload, verify_trust_list
from wallet_core.trust.vical import Vical, VicalCertificate, create_vical, verify_vical
from wallet_core.trust.x509 import format_x5c, parse_x5c, verify_chain
from wallet_core.types import CredentialIssuerId

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
ISSUER_ID = CredentialIssuerId("https://issuer.example/agencies/test")
DCQL = {
    "credentials": [
        {
            "id": "licence",
            "format": "dc+sd-jwt",
            "meta": {"vct_values": ["urn:jigap:vct:test:1"]},
            "claims": [
                {"id": "a", "path": ["family_name"], "values": ["시험"]},
                {"id": "b", "path": ["list", None, 0]},
            ],
            "claim_sets": [["a", "b"], ["a"]],
            "multiple": False,
            "trusted_authorities": [{"type": "aki", "values": ["AAAA"]}],
        }
    ],
    "credential_sets": [{"options": [["licence"]], "required": True}],
}
REQUEST = {
    "client_id": "redirect_uri:https://verifier.example/response",
    "response_type": "vp_token",
    "response_mode": "direct_post",
    "response_uri": "https://verifier.example/response",
    "nonce": "n-0S6_WzA2Mj-0000000",
    "state": "s",
    "dcql_query": DCQL,
    "client_metadata": {
        "vp_formats_supported": {"dc+sd-jwt": {"sd-jwt_alg_values": ["ES256"], "kb-jwt_alg_values": ["ES256"]}},
        "jwks": {"keys": [{**public_jwk(samples.HOLDER.public_key), "kid": "1", "alg": "ECDH-ES", "use": "enc"}]},
        "encrypted_response_enc_values_supported": ["A128GCM"],
    },
}
OFFER = {
    "credential_issuer": ISSUER_ID,
    "credential_configuration_ids": ["licence"],
    "grants": {
        "urn:ietf:params:oauth:grant-type:pre-authorized_code": {
            "pre-authorized_code": "code",
            "tx_code": {"input_mode": "numeric", "length": 6, "description": "text"},
        }
    },
}
ISSUER_METADATA = {
    "credential_issuer": ISSUER_ID,
    "credential_endpoint": f"{ISSUER_ID}/credential",
    "nonce_endpoint": f"{ISSUER_ID}/nonce",
    "notification_endpoint": f"{ISSUER_ID}/notification",
    "display": [{"name": "시험 기관", "locale": "ko"}],
    "credential_configurations_supported": {
        "licence": {
            "format": "dc+sd-jwt",
            "vct": "urn:jigap:vct:test:1",
            "scope": "licence",
            "cryptographic_binding_methods_supported": ["jwk"],
            "credential_signing_alg_values_supported": ["ES256"],
            "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": ["ES256"]}},
            "credential_metadata": {
                "display": [{"name": "면허", "locale": "ko"}],
                "claims": [{"path": ["family_name"], "mandatory": True, "display": [{"name": "성", "locale": "ko"}]}],
            },
        }
    },
}
STORED_AUTHORIZATION = {
    "resolved": {
        "offer": {"credential_issuer": ISSUER_ID, "credential_configuration_ids": ["licence"]},
        "issuer": ISSUER_METADATA,
        "server": {"issuer": ISSUER_ID, "token_endpoint": f"{ISSUER_ID}/oauth/token"},
    },
    "configuration_ids": ["licence"],
    "url": f"{ISSUER_ID}/authorize",
    "state": "s",
    "code_verifier": "v" * 43,
    "redirect_uri": "https://wallet.example/callback",
    "expires_at": "2026-11-22T03:00:00+00:00",
    "memory": {"dpop_nonces": {}, "challenge": None},
}
SIMULATED = SimulatedIssuer()
RESOLVED = run_flow(
    resolve_offer("openid-credential-offer://?credential_offer=" + quote(json.dumps(SIMULATED.offer))), SIMULATED
)
TO_SIGN = run_flow(
    request_proofs(RESOLVED, {"licence": [samples.HOLDER.public_key]}, tx_code=SIMULATED.tx_code, now=samples.NOW),
    SIMULATED,
)
RECEIVED = run_flow(
    receive_credentials(TO_SIGN, [samples.HOLDER.sign(TO_SIGN.proofs[0].signing_input)], now=samples.NOW), SIMULATED
)
LATER = replace(RECEIVED, deferred=(DeferredCredential(TO_SIGN.pending[0], "t", 60, 1),))
STORED_ISSUANCES: dict[str, wallet_states.IssuanceState] = {
    "reviewed": wallet_states.Reviewed(RESOLVED, 1, 4, "late"),
    "redeeming": wallet_states.Redeeming(RESOLVED, samples.NOW, 1),
    "signing": wallet_states.Signing(TO_SIGN, (samples.HOLDER,)),
    "preview": wallet_states.Preview(RECEIVED, (), (samples.HOLDER,)),
    "waiting": wallet_states.Waiting(LATER, (samples.HOLDER,), samples.NOW, samples.NOW, ("c",), samples.NOW),
}


def stored_issuance(kind: str) -> "Target":
    """What the wallet reads of a state of an issuance that it stored."""
    body = wallet_states.state_to_json(STORED_ISSUANCES[kind])
    return Target(lambda value: wallet_states.state_from_json(kind, value), Members(body))


SERVER_METADATA = {
    "issuer": ISSUER_ID,
    "token_endpoint": f"{ISSUER_ID}/token",
    "grant_types_supported": ["urn:ietf:params:oauth:grant-type:pre-authorized_code"],
    "pre-authorized_grant_anonymous_access_supported": True,
}
TOKEN_FORM = {"grant_type": "urn:ietf:params:oauth:grant-type:pre-authorized_code", "pre-authorized_code": "c"}
TOKEN_ANSWER = {"access_token": "t", "token_type": "Bearer", "expires_in": 300, "scope": "a"}
AT = samples.NOW + timedelta(minutes=1)
HELD = index_sd_jwt(samples.issue())
PRESENTATION = samples.bind(HELD, [("address",), ("licence_classes", 0)])
JWE_KEY = samples.HOLDER.private_key
JWE_TOKEN = jwe.encrypt(b'{"vp_token":{}}', {**public_jwk(samples.HOLDER.public_key), "kid": "1"}, enc="A128GCM")

VCI_JWK = encryption_jwk(JWE_KEY)
DECRYPTION = RequestDecryption({str(VCI_JWK["kid"]): JWE_KEY})
ENCRYPTION = MessageEncryption(VCI_JWK, "A128GCM", None, response_key=JWE_KEY)
VCI_ENCRYPTION = {
    "credential_request_encryption": create_request_encryption([JWE_KEY], required=True),
    "credential_response_encryption": create_response_encryption(required=True),
}
CREDENTIAL_REQUEST = {
    "credential_configuration_id": "licence",
    "proofs": {"jwt": ["a.b.c"]},
    "credential_response_encryption": {"jwk": VCI_JWK, "enc": "A256GCM", "zip": "DEF"},
}
VCI_TOKEN = encrypt_message(CREDENTIAL_REQUEST, VCI_JWK, enc="A128GCM", zip_="DEF", max_bytes=9999)


def as_encrypted_request(random: Random) -> bytes:
    """A request with members changed, encrypted as it should be."""
    changed = mutate_json(random, CREDENTIAL_REQUEST)
    return jwe.encrypt(json_bytes(changed), VCI_JWK, enc="A128GCM", deflate=True).encode()


@dataclass(frozen=True)
class Text:
    """Text with characters changed."""

    valid: str

    def __call__(self, random: Random) -> str:
        return mutate_text(random, self.valid)


@dataclass(frozen=True)
class Token:
    """A token with one part changed."""

    valid: str

    def __call__(self, random: Random) -> str:
        return mutate_token(random, self.valid)


@dataclass(frozen=True)
class Value:
    """A JSON value with members changed."""

    valid: Any

    def __call__(self, random: Random) -> Any:
        return mutate_json(random, self.valid)


@dataclass(frozen=True)
class Members(Value):
    """The same for a function that is only given objects."""

    def __call__(self, random: Random) -> Any:
        changed = super().__call__(random)
        return changed if isinstance(changed, dict) else {"": changed}


class JsonBytes:
    """JSON with members or characters changed."""

    def __init__(self, value: Any) -> None:
        self.value = value
        self.valid = json_bytes(value)

    def __call__(self, random: Random) -> bytes:
        if random.random() < 0.3:
            return mutate_text(random, self.valid.decode()).encode(errors="surrogatepass")
        return json_bytes(mutate_json(random, self.value))


class Form:
    """A form with fields or characters changed."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields
        self.valid = urlencode(fields).encode()

    def __call__(self, random: Random) -> bytes:
        if random.random() < 0.5:
            return mutate_text(random, self.valid.decode()).encode(errors="surrogatepass")
        changed = mutate_json(random, self.fields)
        pairs = changed if isinstance(changed, dict) else {"a": changed}
        return urlencode({name: str(value) for name, value in pairs.items()}, errors="surrogatepass").encode()


def as_sd_jwt(random: Random) -> str:
    """A presentation with changed payload or Disclosures, whose signatures and hashes fit again."""
    parsed = parse_sd_jwt(PRESENTATION)
    payload, disclosures = parsed.issuer_jws.claims(), list(parsed.disclosures)
    if random.random() < 0.6:
        at = random.randrange(len(disclosures))
        changed = encode(mutate_json(random, strict_json.loads(base64url.decode(disclosures[at]))))
        text = strict_json.dumps_text([payload, disclosures])
        text = text.replace(samples.digest(disclosures[at]), samples.digest(changed))
        payload, disclosures = strict_json.loads(text)  # type: ignore[misc, assignment]
        disclosures[at] = changed
    else:
        payload = mutate_json(random, payload)
    if random.random() < 0.1:
        disclosures.append(random.choice(disclosures))
    data = f"{encode({'alg': 'ES256', 'typ': 'dc+sd-jwt'})}.{encode(payload)}".encode()
    return bind_again(random, "~".join([jws.attach_signature(data, samples.ISSUER.sign(data)), *disclosures, ""]))


def as_general_json() -> dict[str, Any]:
    """The presentation with a second signature, which nobody looks at."""
    payload = (members := flattened_json(PRESENTATION)).pop("payload")
    return {"payload": payload, "signatures": [members, {"protected": "e30", "signature": "AAAA"}]}


def bind_again(random: Random, sd_jwt: str) -> str:
    claims: Any = {"iat": int(samples.NOW.timestamp()), "aud": samples.AUDIENCE, "nonce": samples.NONCE}
    claims["sd_hash"] = samples.digest(sd_jwt)
    if random.random() < 0.3:
        claims = mutate_json(random, claims)
    data = f"{encode({'alg': 'ES256', 'typ': 'kb+jwt'})}.{encode(claims)}".encode()
    return sd_jwt + jws.attach_signature(data, samples.HOLDER.sign(data))


def verify_presentation(text: str) -> None:
    verify_parsed(parse_sd_jwt(text))


def verify_parsed(sd_jwt: UnverifiedSdJwt) -> None:
    sd_jwt.x5c()
    verified = verify_sd_jwt_kb(
        sd_jwt,
        issuer_key=samples.ISSUER.public_key,
        audience=samples.AUDIENCE,
        nonce=samples.NONCE,
        now=samples.NOW,
    )
    validate_sd_jwt_vc(verified)


def hold(text: str) -> None:
    held = index_sd_jwt(text)
    create_key_binding(
        held,
        held.paths,
        audience=samples.AUDIENCE,
        nonce=samples.NONCE,
        issued_at=samples.NOW,
        algorithm=samples.HOLDER.algorithm,
    )


def read_transactions(value: Any) -> None:
    entries = parse_transaction_data(value, parse_dcql_query(DCQL))
    for each in understand(entries, transaction_types()):
        assert "{amount}" not in each.type.words(each.values).ko or "{amount}" in str(each.values)
        each.type.lines(each.values)


BILL_TEXT = encoded(transaction())


def agree(key_binding: Any) -> None:
    entries = parse_transaction_data([BILL_TEXT], parse_dcql_query(DCQL))
    validate_agreement(entries, [PresentedBinding(entries[0].credential_ids[0], key_binding)])


def as_proof(random: Random) -> str:
    data = proof_signing_input(
        samples.HOLDER.public_key, audience=ISSUER_ID, nonce=samples.NONCE, issued_at=samples.NOW
    )
    header, claims = (strict_json.loads(base64url.decode(part)) for part in data.decode().split("."))
    if random.random() < 0.5:
        header = mutate_json(random, header)
    else:
        claims = mutate_json(random, claims)
    data = f"{encode(header)}.{encode(claims)}".encode()
    return jws.attach_signature(data, samples.HOLDER.sign(data))


def verify_one_proof(proof: str) -> None:
    verify_proof(proof, audience=ISSUER_ID, now=samples.NOW)


def resigned(random: Random, token: str, signer: SoftwareSigner) -> str:
    """A token with header or claims changed, whose signature fits again."""
    header, claims = (strict_json.loads(base64url.decode(part)) for part in token.split(".")[:2])
    if random.random() < 0.3:
        header = mutate_json(random, header)
    else:
        claims = mutate_json(random, claims)
    data = f"{encode(header)}.{encode(claims)}".encode()
    return jws.attach_signature(data, signer.sign(data))


WALLET_PROVIDER = Provider(samples.NOW)
WALLET_PROVIDERS = WALLET_PROVIDER.trusted()
ATTESTATION = WALLET_PROVIDER.attest_instance(samples.HOLDER)
KEY_ATTESTATION = WALLET_PROVIDER.attest_keys(samples.HOLDER, nonce=samples.NONCE)
DPOP = create_dpop_proof(
    samples.HOLDER, method="POST", url=ISSUER_ID, issued_at=samples.NOW, random=os.urandom, access_token="t"
)
POP = create_client_attestation_pop(
    samples.HOLDER,
    client_id=WALLET_PROVIDER.client_id,
    audience=ISSUER_ID,
    issued_at=samples.NOW,
    random=os.urandom,
    challenge="c",
)


def check_dpop(text: str) -> None:
    verify_dpop_proof([text], method="POST", url=ISSUER_ID, now=AT, verify_nonce=lambda _: None, access_token="t")


def check_client(attestation: str, pop: str) -> None:
    verify_client_attestation(
        [attestation], [pop], audience=ISSUER_ID, now=AT, trust=WALLET_PROVIDERS, verify_challenge=lambda _: None
    )


def check_proofs(proof_type: str, text: str) -> None:
    verify_key_proofs(
        [text],
        proof_type=proof_type,
        audience=ISSUER_ID,
        policy=ProofPolicy({proof_type: ["ES256"]}),
        trust=WALLET_PROVIDERS,
        verify_nonce=lambda _: None,
        now=AT,
        limit=10,
    )


def attested_proof(text: str) -> str:
    data = proof_signing_input(
        samples.HOLDER.public_key,
        audience=ISSUER_ID,
        nonce=samples.NONCE,
        issued_at=samples.NOW,
        key_attestation=text,
    )
    return jws.attach_signature(data, samples.HOLDER.sign(data))


OPENID = parse_provider_metadata(SimulatedProvider().document(), issuer=PROVIDER_ID)
ID_CLAIMS = {
    "iss": PROVIDER_ID,
    "sub": "s",
    "aud": "client",
    "azp": "client",
    "iat": int(samples.NOW.timestamp()),
    "exp": int(samples.NOW.timestamp()) + 60,
    "nonce": samples.NONCE,
    "name": "n",
    "birthdate": "1993-05-14",
}
PROVIDER_KEY = {**public_jwk(samples.ISSUER.public_key), "kid": "k", "use": "sig", "alg": "ES256"}


def as_id_token(random: Random) -> tuple[str, list[Any]]:
    """An ID Token with changed header, claims or key, signed again."""
    header, claims, key = {"alg": "ES256", "kid": "k"}, ID_CLAIMS, PROVIDER_KEY
    changed = random.randrange(3)
    data = ".".join(
        encode(mutate_json(random, part) if position == changed else part)
        for position, part in enumerate((header, claims))
    ).encode()
    return jws.attach_signature(data, samples.ISSUER.sign(data)), [mutate_json(random, key) if changed == 2 else key]


def verify_identity(token_and_keys: tuple[str, list[Any]]) -> None:
    token, keys = token_and_keys
    verify_id_token(
        token,
        parse_provider_keys({"keys": keys}),
        issuer=PROVIDER_ID,
        client_id="client",
        nonce=samples.NONCE,
        now=samples.NOW,
    )


def answer(parser: Callable[[HttpResponse], object]) -> Callable[[bytes], object]:
    return lambda body: parser(HttpResponse(200, {"content-type": JSON}, body))


def request_parameters(members: dict[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json_bytes(value).decode() for name, value in members.items()}


class Parameters(Members):
    """URL parameters with members changed."""

    def __call__(self, random: Random) -> dict[str, str]:
        return request_parameters(super().__call__(random))


@dataclass(frozen=True)
class Target:
    """What is called, and with what: a valid message's changes, or messages drawn by a function."""

    call: Callable[[Any], object]
    draw: Callable[[Random], Any]


PRIVATE_JWK = vectors.load("rfc9901", "keys.json")["holder_key"]
CA = create_ca(
    organization="Test",
    common_name="Test CA",
    contact="https://ca.example",
    private_key=SoftwareSigner.generate().private_key,
    now=samples.NOW,
    random=os.urandom,
)
ANCHORS = TrustAnchors([TrustAnchor(CA.certificate, AnchorPurpose.VERIFIER_ACCESS)])
LEAF = create_verifier_certificate(
    CA,
    response_uri="https://verifier.example/response",
    organization="Test",
    public_key=samples.HOLDER.public_key,
    now=samples.NOW,
    random=os.urandom,
).public_bytes(Encoding.DER)
CLIENT = create_client_id(ClientIdPrefix.X509_HASH, leaf=LEAF, response_uri="https://verifier.example/response")
REQUEST_OBJECT = {
    **REQUEST,
    "client_id": CLIENT.full,
    "aud": "https://self-issued.me/v2",
    "iat": int(samples.NOW.timestamp()),
    "exp": int(samples.NOW.timestamp()) + 300,
}


ISSUER_ANCHORS = TrustAnchors([TrustAnchor(CA.certificate, AnchorPurpose.CREDENTIAL_ISSUER)])
ISSUER_SIGNER = CertifiedSigner(
    samples.ISSUER,
    (
        create_issuer_certificate(
            CA,
            issuer=ISSUER_ID,
            organization="Test",
            public_key=samples.ISSUER.public_key,
            now=samples.NOW,
            random=os.urandom,
        ).public_bytes(Encoding.DER),
    ),
)


def check_chain(der: bytes) -> None:
    verify_chain([der], ANCHORS, purpose=AnchorPurpose.VERIFIER_ACCESS, at=AT)


def change_bytes(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(changed))
        changed[at : at + random.randint(0, 2)] = random.randbytes(random.randint(0, 2))
    return bytes(changed)


class Der:
    """A certificate with octets changed."""

    valid = LEAF

    def __call__(self, random: Random) -> bytes:
        return change_bytes(random, self.valid)


def as_request_object(random: Random) -> str:
    header: Any = {"alg": "ES256", "typ": "oauth-authz-req+jwt", "x5c": format_x5c([LEAF])}
    claims: Any = REQUEST_OBJECT
    if random.random() < 0.3:
        header = mutate_json(random, header)
    else:
        claims = mutate_json(random, claims)
    data = f"{encode(header)}.{encode(claims)}".encode()
    return jws.attach_signature(data, samples.HOLDER.sign(data))


def check_request_object(token: str) -> None:
    verify_request_object(token, client_id=CLIENT, anchors=ANCHORS, now=AT)


REGISTER = register()
REGISTRATION = registration_claims()
VERIFIER_ATTESTATION = REGISTER.attestation()
VERIFIER_INFO = [{"format": "registration_cert", "data": "a.b.c", "credential_ids": ["licence"]}]
INFO_QUERY = parse_dcql_query({"credentials": [{"id": "licence", "format": "x", "meta": {}}]})


def as_registration(random: Random) -> str:
    header = jws.parse(REGISTER.registration()).header
    data = f"{encode(header)}.{encode(mutate_json(random, REGISTRATION))}".encode()
    return jws.attach_signature(data, REGISTER.registrar.signer.sign(data))


def check_registration(token: str) -> None:
    found = verify_registration(token, REGISTER.anchors, at=REGISTERED_AT)
    found.covers(INFO_QUERY.credentials[0], ("name",))


def as_verifier_attestation(random: Random) -> str:
    claims: Any = mutate_json(random, jws.parse(VERIFIER_ATTESTATION).claims())
    header = jws.parse(VERIFIER_ATTESTATION).header
    data = f"{encode(header)}.{encode(claims)}".encode()
    return jws.attach_signature(data, REGISTER.attester.signer.sign(data))


def check_verifier_attestation(token: str) -> None:
    verify_verifier_attestation(token, REGISTER.anchors, at=REGISTERED_AT)


ORIGIN = "https://verifier.example"
DC_API_UNSIGNED = {
    **{k: v for k, v in REQUEST.items() if k not in {"response_uri", "state"}},
    "response_mode": "dc_api",
}
DC_API_REQUEST = {**DC_API_UNSIGNED, "client_id": CLIENT.full, "expected_origins": [ORIGIN]}


def as_dc_api_request(random: Random) -> dict[str, Any]:
    """A signed request over the API with changed parameters, signed again."""
    header: Any = {"alg": "ES256", "typ": "oauth-authz-req+jwt", "x5c": format_x5c([LEAF])}
    data = f"{encode(header)}.{encode(mutate_json(random, DC_API_REQUEST))}".encode()
    return {"request": jws.attach_signature(data, samples.HOLDER.sign(data))}


def as_multisigned_request(random: Random) -> Any:
    """A request in general JSON serialization, changed before or after it was signed."""
    header: Any = {
        "alg": "ES256", "typ": "oauth-authz-req+jwt", "x5c": format_x5c([LEAF]), "client_id": CLIENT.full
    }  # fmt: skip
    payload: Any = {name: value for name, value in DC_API_REQUEST.items() if name != "client_id"}
    changed = random.randrange(3)
    protected, body = (
        encode(mutate_json(random, header) if changed == 0 else header),
        encode(mutate_json(random, payload) if changed == 1 else payload),
    )
    signature = base64url.encode(samples.HOLDER.sign(f"{protected}.{body}".encode()))
    data = {"request": {"payload": body, "signatures": [{"protected": protected, "signature": signature}]}}
    return mutate_json(random, data) if changed == 2 else data


def check_dc_api(protocol: str, data: Any) -> None:
    verify_dc_api_request(protocol, data, origin=ORIGIN, anchors=ANCHORS, now=AT)


ISO_KEY = ec.generate_private_key(ec.SECP256R1())
ISO_INFO = create_encryption_info(ISO_KEY.public_key(), bytes(16))
ISO_REQUEST: dict[str, Any] = create_request_data(
    [(mdoc.MDL, {"org.iso.18013.5.1": {"portrait": False}})],
    encryption_info=ISO_INFO,
    origin=ORIGIN,
    signer=samples.HOLDER,
    x5chain=[LEAF],
)
ISO_SEALED = hpke.seal(
    mdoc.RESPONSE, ISO_KEY.public_key(), info=dcapi_transcript(encryption_info=ISO_INFO, origin=ORIGIN)
)
ISO_ANSWER = {
    "response": base64url.encode(cbor.dumps(["dcapi", {"enc": ISO_SEALED.enc, "cipherText": ISO_SEALED.ciphertext}]))
}


def as_iso_request(random: Random) -> Any:
    """``data`` of the ISO protocol with nodes of the request changed, or members of the whole."""
    if random.random() < 0.2:
        return mutate_json(random, ISO_REQUEST)
    request = CborBytes(base64url.decode(ISO_REQUEST["deviceRequest"]))(random)
    return {**ISO_REQUEST, "deviceRequest": base64url.encode(request)}


def check_iso_request(data: Any) -> None:
    parse_request_data(data, origin=ORIGIN, anchors=ANCHORS, now=AT)


def check_iso_response(data: Any) -> None:
    open_response_data(data, ISO_KEY, encryption_info=ISO_INFO, origin=ORIGIN)


OPERATOR = ListOperator(samples.NOW)
TRUST_LIST = new_list(
    samples.NOW,
    TrustAnchor(CA.certificate, AnchorPurpose.CREDENTIAL_ISSUER),
    agencies=(listed(ISSUER_ID, "urn:jigap:vct:test:1", certificates=(b"\x01" * 32,), authorities=(b"\x02" * 32,)),),
    wallets=(WALLET_PROVIDER.wallet(),),
)


def as_trust_list(random: Random) -> str:
    header: Any = {"alg": "ES256", "typ": "jigap-trust-list+jwt", "x5c": format_x5c(OPERATOR.chain)}
    data = f"{encode(header)}.{encode(mutate_json(random, trust_list_payload(TRUST_LIST)))}".encode()
    return jws.attach_signature(data, OPERATOR.signer.sign(data))


def check_trust_list(text: str) -> None:
    verify_trust_list(text, OPERATOR.anchors, at=AT)


def as_record(random: Random) -> str:
    """A verification record with members changed and sealed again, some with a disclosure."""
    disclosed = "".join(f"{one.text}~" for one in ANSWER.disclosures() if random.random() < 0.5)
    header: Any = {"alg": "ES256", "typ": spec.TYP_VERIFICATION_RECORD, "x5c": format_x5c(KEY.chain)}
    data = f"{encode(header)}.{encode(mutate_json(random, PAYLOAD))}".encode()
    return f"{jws.attach_signature(data, KEY.signer.sign(data))}~{disclosed}"


def check_record(text: str) -> None:
    """An audit refuses by what it returns; a record that stands, and only that, is none to be refused here."""
    brought = Brought(ROOTS, [RECORDED_LIST], [ANSWER.text])
    refused = audit_record(text, brought, now=YEARS_LATER).refused_at
    if refused is not None:
        raise VerificationError(refused.detail)


PROVIDER = ListOperator(samples.NOW, CertificateRole.VICAL_SIGNER, AnchorPurpose.VICAL_PROVIDER)


class VicalBytes:
    """A VICAL with octets of its payload changed and signed again, or octets of the whole."""

    content = Vical("Test", samples.NOW, (VicalCertificate(CA.certificate, ("org.iso.18013.5.1.mDL",)),), issue_id=1)
    valid = create_vical(content, signer=PROVIDER.signer, chain=PROVIDER.chain)

    def __call__(self, random: Random) -> bytes:
        if random.random() < 0.3:
            return change_bytes(random, self.valid)
        payload = change_bytes(random, sign1.parse(self.valid, tagged=False).payload or b"")
        return sign1.sign(payload, PROVIDER.signer, unprotected=sign1.x5chain_header(PROVIDER.chain))


def check_vical(data: bytes) -> None:
    verify_vical(data, PROVIDER.anchors, at=AT)


def verify_mdoc(data: bytes) -> None:
    verified = mdoc.verify(data)
    claims_to_json(verified.claims)


def hold_mdoc(data: bytes) -> None:
    held = index_mdoc(data)
    mdoc.present(held, list(held.items))
    lint_mdl(held.claims)
    mso_size(parse_issuer_signed(data))


def read_device_response(data: bytes) -> None:
    for document in parse_device_response(data).documents:
        document.issuer_signed.x5chain()
        parse_mso(document.issuer_signed.issuer_auth.payload)


ITEMS_REQUEST = encode_items_request(mdoc.MDL, {"org.iso.18013.5.1": {"portrait": False, "age_over_19": True}})
READER_AUTH = sign1.sign(b"", mdoc.STRANGER, unprotected={33: b"leaf"})
DETAILS = json.dumps(
    [{"type": "openid_credential", "credential_configuration_id": "licence", "locations": [ISSUER_ID]}]
)
CLIENTS = """[[clients]]
client_id = "w"
name = { ko = "지갑", en = "Wallet" }
redirect_uris = ["https://wallet.example/callback", "http://127.0.0.1/cb", "w.app:/cb"]
"""
OAUTH_CLIENT = parse_registered_clients(CLIENTS)["w"]
OAUTH_REQUEST = {
    "response_type": "code",
    "client_id": "w",
    "redirect_uri": "https://wallet.example/callback",
    "code_challenge": "A" * 43,
    "code_challenge_method": "S256",
    "scope": "licence other",
    "state": "s",
    "dpop_jkt": "A" * 43,
    "resource": ISSUER_ID,
    "issuer_state": "i",
    "authorization_details": DETAILS,
}


def read_oauth_request(parameters: dict[str, str]) -> object:
    """What the authorization server does with a request before it looks anything up."""
    check_pushed_parameters(parameters)
    parse_request_uri(parameters)
    parse_client_id_parameter(parameters)
    redirect_uri = validate_redirect_uri(OAUTH_CLIENT, parameters.get("redirect_uri"))
    request = parse_oauth_request(parameters, client=OAUTH_CLIENT, redirect_uri=redirect_uri, issuer=ISSUER_ID)
    return requested_credentials(request, scopes={"licence": "licence"}, configuration_ids=["licence"])


WALLET_METADATA: Any = {
    **wallet_metadata(),
    "jwks": {"keys": [{**public_jwk(samples.HOLDER.public_key), "alg": "ECDH-ES", "kid": "w"}]},
    "request_object_encryption_enc_values_supported": ["A128GCM"],
}


def read_wallet_metadata(metadata: Any) -> None:
    """Metadata as a wallet posts them, up to the request encrypted to its key."""
    body = urlencode({"wallet_metadata": json.dumps(metadata)}).encode()
    encrypt_request_object("a.b.c", parse_request_uri_post(FORM, body).metadata)


TARGETS = {
    "base64url": Target(base64url.decode, Text("AQIDBAUG")),
    "strict_json": Target(strict_json.loads, JsonBytes(ISSUER_METADATA)),
    "claims_path": Target(parse_claims_path, Value(["a", None, 0])),
    "claims_path.resolve": Target(
        lambda value: resolve(value, ("credentials", None, "claims", None, "path", 0)), Value(DCQL)
    ),
    "jwk": Target(parse_public_jwk, Value(public_jwk(samples.HOLDER.public_key))),
    "private_jwk": Target(parse_private_jwk, Members(PRIVATE_JWK)),
    "jws": Target(lambda text: jws.parse(text).claims(), Token(PRESENTATION.split("~")[0])),
    "jwe": Target(lambda text: jwe.decrypt(text, {"1": JWE_KEY}), Token(JWE_TOKEN)),
    "sd_jwt.text": Target(verify_presentation, Token(PRESENTATION)),
    "sd_jwt.signed": Target(verify_presentation, as_sd_jwt),
    "sd_jwt.holder": Target(hold, lambda random: as_sd_jwt(random).rpartition("~")[0] + "~"),
    "sd_jwt.json": Target(lambda data: verify_parsed(parse_sd_jwt_json(data)), JsonBytes(flattened_json(PRESENTATION))),
    "sd_jwt.json.general": Target(lambda data: verify_parsed(parse_sd_jwt_json(data)), JsonBytes(as_general_json())),
    "given": Target(lambda text: recognise(text.encode(errors="surrogatepass")), Token(PRESENTATION)),
    "x5c": Target(parse_x5c, Value(["AAAA", "AAAA"])),
    "trust_anchors": Target(parse_trust_anchors, Text(format_trust_anchors(ANCHORS))),
    "chain": Target(check_chain, Der()),
    "vical": Target(check_vical, VicalBytes()),
    "trust_list": Target(check_trust_list, Token(OPERATOR.sign(TRUST_LIST))),
    "trust_list.signed": Target(check_trust_list, as_trust_list),
    "request_object": Target(check_request_object, as_request_object),
    "verification_record": Target(check_record, Token(RECORD)),
    "verification_record.signed": Target(check_record, as_record),
    "verifier_info": Target(lambda value: parse_verifier_info(value, INFO_QUERY), Value(VERIFIER_INFO)),
    "registration": Target(check_registration, Token(REGISTER.registration())),
    "registration.signed": Target(check_registration, as_registration),
    "verifier_attestation": Target(check_verifier_attestation, Token(VERIFIER_ATTESTATION)),
    "verifier_attestation.signed": Target(check_verifier_attestation, as_verifier_attestation),
    "form": Target(lambda body: parse_form(FORM, body), Form({"a": "b", "가": "나"})),
    "authorization_server": Target(
        lambda value: parse_authorization_server_metadata(value, issuer=ISSUER_ID), Members(SERVER_METADATA)
    ),
    "openid.provider": Target(
        lambda value: parse_provider_metadata(value, issuer=PROVIDER_ID), Members(SimulatedProvider().document())
    ),
    "openid.keys": Target(parse_provider_keys, Members({"keys": [rsa_jwk(), PROVIDER_KEY]})),
    "openid.answer": Target(
        lambda value: parse_authentication_response(value, state="s", provider=OPENID),
        Parameters({"state": "s", "code": "c", "iss": PROVIDER_ID}),
    ),
    "openid.id_token": Target(verify_identity, as_id_token),
    "token_request": Target(
        lambda body: parse_token_request(parse_form(FORM, body), issuer=ISSUER_ID), Form({**TOKEN_FORM, "tx_code": "1"})
    ),
    "refresh_request": Target(
        lambda body: parse_token_request(parse_form(FORM, body), issuer=ISSUER_ID),
        Form({"grant_type": "refresh_token", "refresh_token": "r", "client_id": "c", "scope": "a"}),
    ),
    "code_request": Target(
        lambda body: parse_token_request(parse_form(FORM, body), issuer=ISSUER_ID),
        Form(
            {
                "grant_type": "authorization_code",
                "code": "c",
                "redirect_uri": "https://wallet.example/callback",
                "code_verifier": "v" * 43,
                "authorization_details": DETAILS,
            }
        ),
    ),
    "oauth_request": Target(lambda body: read_oauth_request(parse_form(FORM, body)), Form(OAUTH_REQUEST)),
    "query": Target(lambda body: read_oauth_request(parse_query(body)), Form(OAUTH_REQUEST)),
    "authorization_details": Target(lambda text: parse_authorization_details(text, issuer=ISSUER_ID), Text(DETAILS)),
    "callback": Target(
        lambda text: validate_authorization_response(
            parse_callback(text), state="s", issuer=ISSUER_ID, iss_promised=True
        ),
        Text(f"code=c&state=s&iss={quote(ISSUER_ID, safe='')}"),
    ),
    "stored_authorization": Target(AuthorizationStarted.from_json, Members(STORED_AUTHORIZATION)),
    "stored_offer": Target(ResolvedOffer.from_json, Members(RESOLVED.to_json())),
    "stored_proofs": Target(ProofsToSign.from_json, Members(TO_SIGN.to_json())),
    "stored_credentials": Target(IssuedCredentials.from_json, Members(LATER.to_json())),
    **{f"stored_issuance.{kind}": stored_issuance(kind) for kind in STORED_ISSUANCES},
    "client_memory": Target(
        ClientMemory.from_json, Members({"dpop_nonces": {"https://issuer.example": "n"}, "challenge": "c"})
    ),
    "pushed_response": Target(answer(parse_pushed_response), JsonBytes({"request_uri": "urn:x", "expires_in": 90})),
    "clients": Target(parse_registered_clients, Text(CLIENTS)),
    "redirect_uri": Target(lambda text: validate_redirect_uri(OAUTH_CLIENT, text), Text("http://127.0.0.1:80/cb")),
    "access_token": Target(lambda value: parse_access_token([value]), Text("DPoP abc.def-ghi_jkl~mno+pqr/=")),
    "token_response": Target(answer(parse_token_response), JsonBytes(TOKEN_ANSWER)),
    "nonce_response": Target(answer(parse_nonce_response), JsonBytes({"c_nonce": "n"})),
    "credential_request": Target(
        lambda body: parse_credential_request(JSON, body),
        JsonBytes({"credential_configuration_id": "licence", "proofs": {"jwt": ["a.b.c", "d.e.f"]}}),
    ),
    "credential_request.encrypted": Target(
        lambda body: parse_credential_request("application/jwt", body.encode(errors="surrogatepass"), DECRYPTION),
        Token(VCI_TOKEN),
    ),
    "credential_request.sealed": Target(
        lambda body: parse_credential_request("application/jwt", body, DECRYPTION), as_encrypted_request
    ),
    "deferred_request": Target(
        lambda body: parse_deferred_request("application/json", body, DECRYPTION), JsonBytes({"transaction_id": "t"})
    ),
    "deferred_response": Target(
        lambda body: parse_deferred_response(HttpResponse(202, {"content-type": JSON}, body), transaction_id="t"),
        JsonBytes({"transaction_id": "t", "interval": 5}),
    ),
    "deferred_request.encrypted": Target(
        lambda text: parse_deferred_request("application/jwt", text.encode(errors="surrogatepass"), DECRYPTION),
        Token(encrypt_message({"transaction_id": "t"}, VCI_JWK, enc="A256GCM", zip_=None, max_bytes=9999)),
    ),
    "metadata_answer": Target(
        lambda text: read_metadata(
            HttpResponse(200, {"content-type": "application/jwt"}, text.encode(errors="surrogatepass")),
            credential_issuer=ISSUER_ID,
            anchors=ISSUER_ANCHORS,
            at=AT,
        ),
        Token(create_signed_metadata(ISSUER_METADATA, ISSUER_SIGNER, now=samples.NOW)),
    ),
    "credential_response.encrypted": Target(
        lambda text: parse_credential_response(
            HttpResponse(200, {"content-type": "application/jwt"}, text.encode(errors="surrogatepass")), ENCRYPTION
        ),
        Token(
            encrypt_message({"credentials": [{"credential": "a~"}]}, VCI_JWK, enc="A128GCM", zip_=None, max_bytes=9999)
        ),
    ),
    "signed_metadata": Target(
        lambda text: verify_signed_metadata(text, credential_issuer=ISSUER_ID, anchors=ISSUER_ANCHORS, at=AT),
        Token(create_signed_metadata(ISSUER_METADATA, ISSUER_SIGNER, now=samples.NOW)),
    ),
    "languages": Target(
        lambda text: (wants_signed(text), preferred_languages(text, ("ko", "en"))),
        Text("application/jwt;q=0.5, en-GB;q=0.7, *;q=0.1"),
    ),
    "issuer_encryption": Target(
        lambda value: (parse_request_encryption(value), parse_response_encryption(value)), Members(VCI_ENCRYPTION)
    ),
    "response_encryption": Target(parse_encryption_parameters, Value({"jwk": VCI_JWK, "enc": "A128GCM", "zip": "DEF"})),
    "credential_response": Target(
        answer(parse_credential_response), JsonBytes({"credentials": [{"credential": "a~"}], "notification_id": "n"})
    ),
    "notification": Target(
        lambda body: parse_notification_request(JSON, body),
        JsonBytes({"notification_id": "n", "event": "credential_accepted"}),
    ),
    "issuer_metadata": Target(
        lambda value: parse_credential_issuer_metadata(value, credential_issuer=ISSUER_ID), Members(ISSUER_METADATA)
    ),
    "offer": Target(parse_credential_offer, Value(OFFER)),
    "offer_link": Target(
        parse_offer_link, Text("openid-credential-offer://?credential_offer=" + quote(json_bytes(OFFER).decode()))
    ),
    "key_proof": Target(verify_one_proof, as_proof),
    "dpop": Target(check_dpop, Token(DPOP)),
    "dpop.signed": Target(check_dpop, lambda random: resigned(random, DPOP, samples.HOLDER)),
    "client_attestation": Target(lambda text: check_client(text, POP), Token(ATTESTATION)),
    "client_attestation.signed": Target(
        lambda text: check_client(text, POP), lambda random: resigned(random, ATTESTATION, WALLET_PROVIDER.signer)
    ),
    "client_attestation_pop": Target(lambda text: check_client(ATTESTATION, text), Token(POP)),
    "client_attestation_pop.signed": Target(
        lambda text: check_client(ATTESTATION, text), lambda random: resigned(random, POP, samples.HOLDER)
    ),
    "challenge_response": Target(answer(parse_challenge_response), JsonBytes({"attestation_challenge": "c" * 43})),
    "key_attestation": Target(lambda text: check_proofs("attestation", text), Token(KEY_ATTESTATION)),
    "key_attestation.signed": Target(
        lambda text: check_proofs("attestation", text),
        lambda random: resigned(random, KEY_ATTESTATION, WALLET_PROVIDER.signer),
    ),
    "key_attestation.proof": Target(
        lambda text: check_proofs("jwt", text),
        lambda random: resigned(random, attested_proof(KEY_ATTESTATION), samples.HOLDER),
    ),
    "proof_types": Target(
        parse_proof_types,
        Members(
            {
                "proof_types_supported": {
                    "jwt": {
                        "proof_signing_alg_values_supported": ["ES256"],
                        "key_attestations_required": {"key_storage": ["iso_18045_basic"]},
                    },
                    "attestation": {"proof_signing_alg_values_supported": ["ES256"]},
                }
            }
        ),
    ),
    "dcql": Target(parse_dcql_query, Value(DCQL)),
    "authorization_request": Target(parse_authorization_request, Parameters(request_parameters(REQUEST))),
    "authorization_request.nested": Target(
        parse_authorization_request, lambda random: request_parameters(Members(REQUEST)(random))
    ),
    "authorization_request.link": Target(
        parse_authorization_request, Text("openid4vp://?" + urlencode(request_parameters(REQUEST)))
    ),
    "request_members": Target(parse_request_members, Members(REQUEST)),
    "dc_api.members": Target(parse_dc_api_members, Members(DC_API_REQUEST)),
    "dc_api.unsigned": Target(lambda data: check_dc_api(DcApiProtocol.UNSIGNED, data), Members(DC_API_UNSIGNED)),
    "dc_api.signed": Target(lambda data: check_dc_api(DcApiProtocol.SIGNED, data), as_dc_api_request),
    "dc_api.multisigned": Target(lambda data: check_dc_api(DcApiProtocol.MULTISIGNED, data), as_multisigned_request),
    "dc_api.response": Target(parse_dc_api_response, Members({"vp_token": {"licence": ["a~"]}, "state": "s"})),
    "iso_mdoc.request": Target(check_iso_request, as_iso_request),
    "iso_mdoc.encryption_info": Target(
        lambda data: parse_encryption_info(base64url.encode(data)), CborBytes(base64url.decode(ISO_INFO))
    ),
    "iso_mdoc.response": Target(
        lambda data: check_iso_response({"response": base64url.encode(data)}),
        CborBytes(base64url.decode(ISO_ANSWER["response"])),
    ),
    "request_uri_post": Target(
        lambda body: parse_request_uri_post(FORM, body),
        Form({"wallet_nonce": "n", "wallet_metadata": json.dumps(WALLET_METADATA)}),
    ),
    "wallet_metadata": Target(read_wallet_metadata, Value(WALLET_METADATA)),
    "transaction_data": Target(read_transactions, Value([encoded(transaction()), encoded(transaction(DOCUMENT))])),
    "transaction_data.members": Target(
        lambda value: read_transactions([base64url.encode(value)]),
        JsonBytes(transaction(transaction_data_hashes_alg=["sha-256"], bank="은행")),
    ),
    "transaction_data.agreed": Target(
        agree,
        Members({"transaction_data_hashes": [digest(BILL_TEXT)], "transaction_data_hashes_alg": "sha-256"}),
    ),
    "posted_response": Target(
        lambda body: parse_posted_response(FORM, body), Form({"vp_token": '{"licence":["a~"]}', "state": "s"})
    ),
    "cbor": Target(lambda data: cbor.to_json(cbor.loads(data)), CborBytes(mdoc.RESPONSE)),
    "cbor.each": Target(lambda data: cbor.loads_each([data, b"\x01"]), CborBytes(cbor.dumps({"a": [1, b"x", 1.5]}))),
    "cbor.tdate": Target(lambda value: cbor.parse_tdate(value, what="x"), CborValue(cbor.tdate(mdoc.NOW))),
    "cbor.full_date": Target(
        lambda value: cbor.parse_full_date(value, what="x"), CborValue(cbor.full_date(mdoc.NOW.date()))
    ),
    "cose_key": Target(parse_cose_key, CborValue(cose_key(samples.HOLDER.public_key))),
    "sign1": Target(verify_sign1, CborBytes(sign1.sign(b"content", mdoc.ISSUER, unprotected={33: b"leaf"}))),
    "sign1.signed": Target(verify_sign1, as_sign1),
    "mac0": Target(verify_mac0, CborBytes(mac0.create(b"content", bytes(32)))),
    "mdoc.response": Target(read_device_response, CborBytes(mdoc.RESPONSE)),
    "mdoc.verified": Target(verify_mdoc, CborBytes(mdoc.RESPONSE)),
    "mdoc.signed": Target(verify_mdoc, as_mdoc),
    "mdoc.holder": Target(hold_mdoc, CborBytes(mdoc.ISSUER_SIGNED)),
    "mdoc.request": Target(parse_device_request, CborBytes(encode_device_request([(ITEMS_REQUEST, READER_AUTH)]))),
    "response_answer": Target(answer(parse_response_answer), JsonBytes({"redirect_uri": "https://verifier.example"})),
}


@pytest.mark.parametrize("name", [name for name, target in TARGETS.items() if hasattr(target.draw, "valid")])
def test_the_message_that_is_changed_is_a_good_one(name: str) -> None:
    target = TARGETS[name]
    target.call(target.draw.valid)  # type: ignore[attr-defined]


def test_what_is_signed_again_can_be_good() -> None:
    random = Random(0)  # noqa: S311 - reproducible, nothing secret
    for name in (
        "sd_jwt.signed",
        "sd_jwt.holder",
        "key_proof",
        "dpop.signed",
        "registration.signed",
        "verifier_attestation.signed",
        "client_attestation.signed",
        "client_attestation_pop.signed",
        "key_attestation.signed",
        "key_attestation.proof",
        "request_object",
        "dc_api.signed",
        "dc_api.multisigned",
        "trust_list.signed",
        "verification_record.signed",
        "mdoc.signed",
        "sign1.signed",
    ):
        accepted = 0
        for _ in range(400):
            try:
                TARGETS[name].call(TARGETS[name].draw(random))
            except WalletError:
                continue
            accepted += 1
        assert accepted, name


def only_wallet_errors(target: Target, seconds: float) -> None:
    """Draw messages for one target; nothing but ``WalletError`` may leave it."""

    @DRAWN
    @given(st.randoms(use_true_random=True))
    def run(random: Random) -> None:
        message = target.draw(random)
        note(repr(message))
        with suppress(WalletError):
            target.call(message)

    repeatedly(run, seconds=seconds)


# The library warns of odd certificates where it does not refuse them; a warning is no exception in production.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.fuzz
@pytest.mark.parametrize("name", TARGETS)
def test_only_wallet_errors_leave(name: str, fuzz_seconds: float) -> None:
    only_wallet_errors(TARGETS[name], fuzz_seconds)
