"""Bodies of the Nonce, Credential, Deferred Credential and Notification Endpoints, both sides (OpenID4VCI 7 to 11).

The ``parse_`` functions of the issuer raise the error code that the specification names for each mistake.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from wallet_core import spec_versions as spec
from wallet_core.encoding import strict_json
from wallet_core.errors import (
    InvalidCredentialRequest,
    InvalidEncryptionParameters,
    InvalidNotificationRequest,
    InvalidProof,
    InvalidTransactionId,
    MalformedError,
    UnknownCredentialIdentifier,
    VerificationError,
    peer_text,
)
from wallet_core.http import HttpRequest, HttpResponse, post_json
from wallet_core.protocols.oauth2.answers import parse_answer, peer_refusal
from wallet_core.protocols.oauth2.details import identified_configuration
from wallet_core.protocols.openid4vci import members
from wallet_core.protocols.openid4vci.encryption import (
    MAX_ENCRYPTED_REQUEST_BYTES,
    MAX_ENCRYPTED_RESPONSE_BYTES,
    MAX_REQUEST_BYTES,
    MAX_RESPONSE_BYTES,
    EncryptionParameters,
    MessageEncryption,
    RequestDecryption,
    encrypt_message,
    parse_encryption_parameters,
)
from wallet_core.protocols.openid4vci.metadata import BATCH_SIZE
from wallet_core.types import CredentialConfigurationId, Json, JsonObject, Nonce
from wallet_core.values import statically_frozen

MAX_NOTIFICATION_BYTES: Final = 16 * 1024
"""Bytes of a Notification Request."""

MAX_EVENT_DESCRIPTION: Final = 500
"""Characters of an ``event_description`` that are kept."""

MAX_TRANSACTION_ID: Final = 200
"""Characters of a ``transaction_id`` of ours, with room."""

MAX_INTERVAL: Final = 7 * 24 * 3600
"""Longest ``interval`` in seconds that a wallet waits between two questions; a longer one counts as this."""

# OpenID4VCI 11.1: event_description has no characters outside %x20-21 / %x23-5B / %x5D-7E.
_DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*\Z")


class NotificationEvent(StrEnum):
    """What became of credentials that were sent (OpenID4VCI 11.1)."""

    CREDENTIAL_ACCEPTED = "credential_accepted"
    CREDENTIAL_FAILURE = "credential_failure"
    CREDENTIAL_DELETED = "credential_deleted"


@statically_frozen
class CredentialRequest:
    """A Credential Request for one configuration, with the proofs it came with, of one type, not yet verified.

    ``by_identifier`` says that it named the configuration by a ``credential_identifier`` of the token response,
    ``response_encryption`` how to encrypt the answer; None for an answer in clear.
    """

    configuration_id: CredentialConfigurationId
    proofs: tuple[str, ...]
    by_identifier: bool = False
    proof_type: str = spec.PROOF_TYPE_JWT
    response_encryption: EncryptionParameters | None = None


@dataclass(frozen=True, slots=True)
class DeferredRequest:
    """A Deferred Credential Request (OpenID4VCI 9.1). Its ``response_encryption`` replaces the earlier one."""

    transaction_id: str
    response_encryption: EncryptionParameters | None = None


@dataclass(frozen=True, slots=True)
class NotificationRequest:
    """A Notification Request (OpenID4VCI 11.1)."""

    notification_id: str
    event: NotificationEvent
    description: str = ""


@dataclass(frozen=True, slots=True)
class CredentialResponse:
    """A Credential Response with credentials (OpenID4VCI 8.3), each as it will be stored."""

    credentials: tuple[str, ...]
    notification_id: str | None


@dataclass(frozen=True, slots=True)
class Deferral:
    """An answer that says: ask again under ``transaction_id``, after ``interval`` seconds (OpenID4VCI 8.3, 9.2)."""

    transaction_id: str
    interval: int


def create_nonce_response(nonce: Nonce) -> JsonObject:
    """Return the body of a Nonce Response (OpenID4VCI 7.2)."""
    return {"c_nonce": nonce}


def parse_nonce_response(response: HttpResponse) -> Nonce:
    """Return the ``c_nonce`` in a Nonce Endpoint's answer.

    Raises:
        PeerRefusal: the issuer refused.
        MalformedError: there is none.
    """
    answer = parse_answer(response, who="the nonce endpoint")
    return Nonce(members.string(answer, "c_nonce", clause="OpenID4VCI 7.2"))


def parse_credential_request(
    media_type: str, body: bytes, decryption: RequestDecryption | None = None
) -> CredentialRequest:
    """Return the Credential Request in a body. Unknown members are ignored (OpenID4VCI 8.2).

    Args:
        media_type: of the body.
        body: as received.
        decryption: the issuer's keys; None for an issuer whose metadata publish no encryption.

    Raises:
        InvalidCredentialRequest: not JSON, no configuration, both kinds of identifier, or proofs of a wrong shape.
        UnknownCredentialIdentifier: a ``credential_identifier`` that is none of ours.
        InvalidEncryptionParameters: the request or its answer is not encrypted as the metadata say.
        InvalidProof: ``proofs`` is empty.
    """
    request, is_encrypted = _open_request(media_type, body, decryption, what="Credential Request")
    try:
        configuration_id, by_identifier = _requested_configuration(request)
        proofs = members.optional_object(request, "proofs", clause="OpenID4VCI 8.2")
    except MalformedError as exc:
        raise InvalidCredentialRequest(exc.description, clause=exc.clause or "OpenID4VCI 8.2") from exc
    encryption = _response_encryption(request, decryption, is_encrypted=is_encrypted)
    proof_type, values = _proofs(proofs)
    return CredentialRequest(configuration_id, values, by_identifier, proof_type, encryption)


def parse_deferred_request(
    media_type: str, body: bytes, decryption: RequestDecryption | None = None
) -> DeferredRequest:
    """Return the Deferred Credential Request in a body. Unknown members are ignored (OpenID4VCI 9.1).

    Raises:
        InvalidCredentialRequest: not JSON, or no ``transaction_id``.
        InvalidTransactionId: one that is none of ours.
        InvalidEncryptionParameters: the request or its answer is not encrypted as the metadata say.
    """
    request, is_encrypted = _open_request(media_type, body, decryption, what="Deferred Credential Request")
    transaction_id = request.get("transaction_id")
    # vci-9.1-transaction-id
    if not isinstance(transaction_id, str) or not transaction_id:
        raise InvalidCredentialRequest("transaction_id is missing or not text", clause="OpenID4VCI 9.1")
    # 9.3: "was not issued by the respective Credential Issuer".
    # vci-9.3-not-ours
    if len(transaction_id) > MAX_TRANSACTION_ID:
        raise InvalidTransactionId("transaction_id is not one of ours", clause="OpenID4VCI 9.3")
    return DeferredRequest(transaction_id, _response_encryption(request, decryption, is_encrypted=is_encrypted))


def create_answer(payload: JsonObject, encryption: EncryptionParameters | None, *, status: int = 200) -> HttpResponse:
    """Return a Credential Response or Deferred Credential Response, encrypted if ``encryption`` says how (10).

    Raises:
        MalformedError: the key to encrypt to is none.
    """
    if encryption is None:
        return HttpResponse(status, {"content-type": spec.JSON}, strict_json.dumps(payload))
    token = encrypt_message(
        payload, encryption.jwk, enc=encryption.enc, zip_=encryption.zip, max_bytes=MAX_RESPONSE_BYTES
    )
    # vci-10-media-type
    return HttpResponse(status, {"content-type": spec.JWT_MEDIA_TYPE}, token.encode())


def create_credential_response(credentials: Sequence[str], *, notification_id: str | None) -> JsonObject:
    """Return the body of a Credential Response (OpenID4VCI 8.3)."""
    body: JsonObject = {"credentials": [{"credential": credential} for credential in credentials]}
    return body if notification_id is None else {**body, "notification_id": notification_id}


def create_deferral(transaction_id: str, *, interval: int) -> JsonObject:
    """Return the body of an answer with status 202: it is not decided yet (OpenID4VCI 8.3, 9.2)."""
    return {"transaction_id": transaction_id, "interval": interval}


def create_credential_request(
    endpoint: str,
    access_token: str,
    *,
    configuration_id: CredentialConfigurationId,
    credential_identifier: str | None,
    proofs: Sequence[str],
    proof_type: str = spec.PROOF_TYPE_JWT,
    encryption: MessageEncryption | None = None,
) -> HttpRequest:
    """Return a Credential Request (OpenID4VCI 8.2).

    Args:
        endpoint: where to send it.
        access_token: sent as a Bearer token, unless whoever sends the request knows better (``oauth2.client``).
        configuration_id: what is asked for.
        credential_identifier: named instead of the configuration if the token response returned one.
        proofs: signed ``jwt`` proofs, or the one key attestation of an ``attestation`` proof.
        proof_type: which of them.
        encryption: what ``encryption.choose_encryption`` returned.
    """
    # OpenID4VCI 8.2: each excludes the other.
    body: dict[str, Json] = (
        {"credential_configuration_id": configuration_id}
        if credential_identifier is None
        else {"credential_identifier": credential_identifier}
    )
    if proofs:
        body["proofs"] = {proof_type: list(proofs)}
    return _wallet_request(endpoint, access_token, body, encryption)


def create_deferred_request(
    endpoint: str, access_token: str, *, transaction_id: str, encryption: MessageEncryption | None = None
) -> HttpRequest:
    """Return a Deferred Credential Request (OpenID4VCI 9.1). Parameters as for :func:`create_credential_request`."""
    return _wallet_request(endpoint, access_token, {"transaction_id": transaction_id}, encryption)


def is_invalid_nonce(response: HttpResponse) -> bool:
    """Return whether a fresh ``c_nonce`` is what the issuer asks for (OpenID4VCI 8.3.1.2)."""
    return response.status == 400 and peer_refusal(response, who="the issuer").error == "invalid_nonce"


def parse_credential_response(
    response: HttpResponse, encryption: MessageEncryption | None = None
) -> CredentialResponse | Deferral:
    """Return the credentials in a Credential Endpoint's answer, or when to ask again (OpenID4VCI 8.3).

    Unknown members are ignored.

    Args:
        response: the answer.
        encryption: what the request was made with.

    Raises:
        PeerRefusal: the issuer refused.
        MalformedError, VerificationError: neither credentials nor a transaction, a credential that is no string, or the
            answer is not encrypted as was asked for.
    """
    if not response.ok:
        raise peer_refusal(response, who="the credential endpoint")
    return _credential_response(response, encryption)


def parse_deferred_response(
    response: HttpResponse, encryption: MessageEncryption | None = None, *, transaction_id: str
) -> CredentialResponse | Deferral:
    """Return the credentials in a Deferred Credential Endpoint's answer, or when to ask again (OpenID4VCI 9.2).

    Raises:
        PeerRefusal: the issuer refused; ``credential_request_denied`` and ``invalid_transaction_id`` are for good.
        MalformedError, VerificationError: as :func:`parse_credential_response`, or it speaks of another transaction.
    """
    if not response.ok:
        raise peer_refusal(response, who="the deferred credential endpoint")
    answer = _credential_response(response, encryption)
    # OpenID4VCI 9.2: the transaction_id MUST be the one of the request.
    # vci-9.2-same-transaction
    if isinstance(answer, Deferral) and answer.transaction_id != transaction_id:
        raise MalformedError("the issuer names another transaction", clause="OpenID4VCI 9.2")
    return answer


def parse_notification_request(media_type: str, body: bytes) -> NotificationRequest:
    """Return the Notification Request in a body. Unknown members are ignored (OpenID4VCI 11.1).

    Raises:
        InvalidNotificationRequest: not JSON, or a member is missing or of the wrong type, or the event is unknown, or
            the description has characters that it must not have.
    """
    # vci-11.1-media-type
    if media_type != spec.JSON:
        raise InvalidNotificationRequest(f"the body is not {spec.JSON}", clause="OpenID4VCI 11.1")
    try:
        request = strict_json.loads_object(body, what="Notification Request", max_bytes=MAX_NOTIFICATION_BYTES)
        notification_id = members.string(request, "notification_id", clause="OpenID4VCI 11.1")
        event = NotificationEvent(members.string(request, "event", clause="OpenID4VCI 11.1"))
        description = request.get("event_description", "")
    except MalformedError as exc:
        raise InvalidNotificationRequest(exc.description, clause="OpenID4VCI 11.1") from exc
    except ValueError as exc:
        # OpenID4VCI 11.1: event is one of three case-sensitive strings.
        # vci-11.1-event
        raise InvalidNotificationRequest("the event is unknown", clause="OpenID4VCI 11.1") from exc
    # OpenID4VCI 11.1: event_description is ASCII text without quotation mark and backslash.
    # vci-11.1-description
    if not isinstance(description, str) or not _DESCRIPTION.match(description):
        raise InvalidNotificationRequest("event_description is not plain ASCII text", clause="OpenID4VCI 11.1")
    return NotificationRequest(notification_id, event, description[:MAX_EVENT_DESCRIPTION])


def create_notification_request(
    endpoint: str, access_token: str, *, notification_id: str, event: NotificationEvent, description: str = ""
) -> HttpRequest:
    """Return a Notification Request (OpenID4VCI 11.1). Characters that a description must not have become ``?``."""
    body: dict[str, Json] = {"notification_id": notification_id, "event": event.value}
    if description:
        body["event_description"] = peer_text(description)[:MAX_EVENT_DESCRIPTION]
    return post_json(endpoint, strict_json.dumps(body), headers={"Authorization": f"Bearer {access_token}"})


def _open_request(
    media_type: str, body: bytes, decryption: RequestDecryption | None, *, what: str
) -> tuple[JsonObject, bool]:
    """Return the JSON object of a request, and whether it came encrypted (OpenID4VCI 8.2, 9.1, 10)."""
    is_encrypted = media_type == spec.JWT_MEDIA_TYPE
    # vci-8.2-media-type
    if not is_encrypted and media_type != spec.JSON:
        raise InvalidCredentialRequest(f"the body is not {spec.JSON}", clause="OpenID4VCI 8.2")
    # OpenID4VCI 10: a message in clear where encryption is required SHOULD be refused.
    # vci-10-clear-refused
    if not is_encrypted and decryption is not None and decryption.required:
        raise InvalidEncryptionParameters("requests to this issuer are encrypted", clause="OpenID4VCI 10")
    plaintext = _decrypted(body, decryption) if is_encrypted else body
    try:
        request = strict_json.loads_object(plaintext, what=what, max_bytes=MAX_REQUEST_BYTES)
    except MalformedError as exc:
        raise InvalidCredentialRequest(exc.description, clause=exc.clause or "OpenID4VCI 8.2") from exc
    return request, is_encrypted


def _decrypted(body: bytes, decryption: RequestDecryption | None) -> bytes:
    # vci-8.2-encrypted
    if decryption is None:
        raise InvalidEncryptionParameters("encrypted requests are not supported here", clause="OpenID4VCI 10")
    try:
        return decryption.decrypt(body[: MAX_ENCRYPTED_REQUEST_BYTES + 1].decode("ascii"))
    except (MalformedError, VerificationError) as exc:
        # vci-8.3.1.2-encryption-parameters
        raise InvalidEncryptionParameters(
            "the request is not encrypted as the metadata say", detail=exc.description, clause="OpenID4VCI 10"
        ) from exc
    except UnicodeDecodeError as exc:
        raise InvalidEncryptionParameters("the request is no compact JWE", clause="OpenID4VCI 10") from exc


def _response_encryption(
    request: JsonObject, decryption: RequestDecryption | None, *, is_encrypted: bool
) -> EncryptionParameters | None:
    if "credential_response_encryption" not in request:
        # OpenID4VCI 8.3.1.2: parameters that the issuer requires are missing.
        # vci-8.3.1.2-encryption-missing
        if decryption is not None and decryption.required:
            raise InvalidEncryptionParameters("credential_response_encryption is missing", clause="OpenID4VCI 8.3.1.2")
        return None
    # vci-8.2-response-encryption
    if decryption is None:
        raise InvalidEncryptionParameters("encrypted responses are not supported here", clause="OpenID4VCI 8.2")
    parameters = parse_encryption_parameters(request["credential_response_encryption"])
    # OpenID4VCI 8.2: "If this request element is present ... the Credential Request MUST be encrypted": whoever could
    # change the request on its way would name a key of their own.
    # vci-8.2-request-encrypted-too
    if not is_encrypted:
        text = "a request for an encrypted response is encrypted itself"
        raise InvalidEncryptionParameters(text, clause="OpenID4VCI 8.2")
    return parameters


def _wallet_request(
    endpoint: str, access_token: str, body: JsonObject, encryption: MessageEncryption | None
) -> HttpRequest:
    authorization = {"Authorization": f"Bearer {access_token}"}
    limit = MAX_ENCRYPTED_RESPONSE_BYTES
    if encryption is None:
        return replace(post_json(endpoint, strict_json.dumps(body), headers=authorization), response_limit=limit)
    headers: Mapping[str, str] = {
        "Accept": f"{spec.JWT_MEDIA_TYPE}, {spec.JSON}",
        "Content-Type": spec.JWT_MEDIA_TYPE,
        **authorization,
    }
    return HttpRequest("POST", endpoint, headers, encryption.encrypt_request(body).encode(), limit)


def _credential_response(response: HttpResponse, encryption: MessageEncryption | None) -> CredentialResponse | Deferral:
    body = _open_response(response, encryption)
    # OpenID4VCI 8.3: 202 defers, and then there are no credentials.
    # vci-8.3-deferred
    if response.status == 202 and "credentials" not in body:
        transaction_id = members.string(body, "transaction_id", clause="OpenID4VCI 8.3")
        # vci-8.3-interval
        interval = members.integer(body, "interval", at_least=1, clause="OpenID4VCI 8.3")
        return Deferral(transaction_id, min(interval, MAX_INTERVAL))
    entries = members.objects(body, "credentials", clause="OpenID4VCI 8.3")
    credentials = tuple(entry.get("credential") for entry in entries)
    strings = tuple(c for c in credentials if isinstance(c, str) and c)
    # OpenID4VCI 8.3: a non-empty array of objects, each with a credential; those of dc+sd-jwt are strings (A.3.4).
    # vci-8.3-credentials
    if not strings or len(strings) != len(credentials):
        raise MalformedError("the Credential Response holds no credentials", clause="OpenID4VCI 8.3")
    return CredentialResponse(strings, members.optional_string(body, "notification_id", clause="OpenID4VCI 8.3"))


def _open_response(response: HttpResponse, encryption: MessageEncryption | None) -> JsonObject:
    asked = encryption is not None and encryption.response_key is not None
    # OpenID4VCI 10: an answer in clear where an encrypted one was asked for SHOULD be refused.
    # vci-10-clear-answer
    if response.media_type != (spec.JWT_MEDIA_TYPE if asked else spec.JSON):
        wanted = spec.JWT_MEDIA_TYPE if asked else spec.JSON
        raise MalformedError(f"the Credential Response is not {wanted}", clause="OpenID4VCI 8.3")
    if encryption is None or encryption.response_key is None:
        return strict_json.loads_object(response.body, what="Credential Response", max_bytes=MAX_RESPONSE_BYTES)
    try:
        text = response.body.decode("ascii")
    except UnicodeDecodeError as exc:
        raise MalformedError("the Credential Response is no compact JWE", clause="OpenID4VCI 10") from exc
    return encryption.decrypt_response(text)


def _requested_configuration(request: JsonObject) -> tuple[CredentialConfigurationId, bool]:
    # OpenID4VCI 8.2: credential_identifier and credential_configuration_id exclude each other; one is there.
    if "credential_identifier" in request:
        # vci-8.2-identifier-excludes
        if "credential_configuration_id" in request:
            raise MalformedError("both kinds of identifier are there", clause="OpenID4VCI 8.2")
        identifier = members.string(request, "credential_identifier", clause="OpenID4VCI 8.2")
        found = identified_configuration(identifier)
        # vci-8.3.1.2-unknown-identifier
        if found is None:
            raise UnknownCredentialIdentifier("no such credential identifier", clause="OpenID4VCI 8.3.1.2")
        return found, True
    # vci-8.2-configuration
    name = members.string(request, "credential_configuration_id", clause="OpenID4VCI 8.2")
    return CredentialConfigurationId(name), False


def _proofs(proofs: JsonObject | None) -> tuple[str, tuple[str, ...]]:
    """Return the type of the proofs and the proofs."""
    if proofs is None:
        return spec.PROOF_TYPE_JWT, ()
    # OpenID4VCI 8.2: exactly one member, named by the proof type, whose value is an array.
    # vci-8.2-one-proof-type
    if len(proofs) != 1 or not proofs.keys() <= {spec.PROOF_TYPE_JWT, spec.PROOF_TYPE_ATTESTATION}:
        raise InvalidCredentialRequest("proofs has exactly one member, jwt or attestation", clause="OpenID4VCI 8.2")
    proof_type, jwts = next(iter(proofs.items()))
    # vci-8.2-proofs-array
    if not isinstance(jwts, list) or not {str}.issuperset(map(type, jwts)):
        raise InvalidCredentialRequest("proofs holds something else than an array of strings", clause="OpenID4VCI 8.2")
    # vci-8.2-proofs-empty
    if not jwts:
        raise InvalidProof("proofs is empty", clause="OpenID4VCI 8.2")
    # OpenID4VCI 12.2.4: batch_size is the longest array; refused before any signature is looked at.
    # vci-12.2.4-batch-limit
    if len(jwts) > BATCH_SIZE:
        raise InvalidCredentialRequest(f"at most {BATCH_SIZE} proofs in one request", clause="OpenID4VCI 12.2.4")
    return proof_type, tuple(map(str, jwts))
