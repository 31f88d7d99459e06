"""Bodies of the Nonce, Credential and Notification Endpoints, both sides (OpenID4VCI 7, 8, 11).

The ``parse_`` functions of the issuer raise the error code that the specification names for each mistake.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from wallet_core import spec_versions as spec
from wallet_core.encoding import strict_json
from wallet_core.errors import (
    InvalidCredentialRequest,
    InvalidEncryptionParameters,
    InvalidNotificationRequest,
    InvalidProof,
    MalformedError,
    UnknownCredentialIdentifier,
)
from wallet_core.http import DEFAULT_RESPONSE_LIMIT, HttpRequest, HttpResponse, post_json
from wallet_core.protocols.oauth2.answers import parse_answer, peer_refusal
from wallet_core.protocols.oauth2.details import identified_configuration
from wallet_core.protocols.openid4vci import members
from wallet_core.protocols.openid4vci.metadata import BATCH_SIZE
from wallet_core.types import CredentialConfigurationId, Json, JsonObject, Nonce

MAX_REQUEST_BYTES: Final = 128 * 1024
"""Bytes of a Credential Request: ten proofs of about 500 bytes, with room for key attestations."""

MAX_NOTIFICATION_BYTES: Final = 16 * 1024
"""Bytes of a Notification Request."""


class NotificationEvent(StrEnum):
    """What became of credentials that were sent (OpenID4VCI 11.1)."""

    CREDENTIAL_ACCEPTED = "credential_accepted"
    CREDENTIAL_FAILURE = "credential_failure"
    CREDENTIAL_DELETED = "credential_deleted"


@dataclass(frozen=True, slots=True)
class CredentialRequest:
    """A Credential Request for one configuration, with the ``jwt`` proofs it came with, not yet verified.

    ``by_identifier`` says that it named the configuration by a ``credential_identifier`` of the token response.
    """

    configuration_id: CredentialConfigurationId
    proofs: tuple[str, ...]
    by_identifier: bool = False


@dataclass(frozen=True, slots=True)
class NotificationRequest:
    """A Notification Request (OpenID4VCI 11.1)."""

    notification_id: str
    event: NotificationEvent


@dataclass(frozen=True, slots=True)
class CredentialResponse:
    """A Credential Response with credentials (OpenID4VCI 8.3), each as it will be stored."""

    credentials: tuple[str, ...]
    notification_id: str | None


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


def parse_credential_request(media_type: str, body: bytes) -> CredentialRequest:
    """Return the Credential Request in a body. Unknown members are ignored (OpenID4VCI 8.2).

    Raises:
        InvalidCredentialRequest: not JSON, no configuration, both kinds of identifier, or proofs of a wrong shape.
        UnknownCredentialIdentifier: a ``credential_identifier`` that is none of ours.
        InvalidEncryptionParameters: an encrypted request, or an encrypted response is asked for.
        InvalidProof: ``proofs`` is empty.
    """
    # OpenID4VCI 8.2, 10: application/json, or application/jwt where the metadata publish encryption; ours do not.
    # vci-8.2-encrypted
    if media_type == spec.JWT_MEDIA_TYPE:
        raise InvalidEncryptionParameters("encrypted requests are not supported here", clause="OpenID4VCI 10")
    # vci-8.2-media-type
    if media_type != spec.JSON:
        raise InvalidCredentialRequest(f"the body is not {spec.JSON}", clause="OpenID4VCI 8.2")
    try:
        request = strict_json.loads_object(body, what="Credential Request", max_bytes=MAX_REQUEST_BYTES)
        configuration_id, by_identifier = _requested_configuration(request)
        proofs = members.optional_object(request, "proofs", clause="OpenID4VCI 8.2")
    except MalformedError as exc:
        raise InvalidCredentialRequest(exc.description, clause=exc.clause or "OpenID4VCI 8.2") from exc
    # vci-8.2-response-encryption
    if "credential_response_encryption" in request:
        raise InvalidEncryptionParameters("encrypted responses are not supported here", clause="OpenID4VCI 8.2")
    return CredentialRequest(configuration_id, _jwt_proofs(proofs), by_identifier)


def create_credential_response(credentials: Sequence[str], *, notification_id: str) -> JsonObject:
    """Return the body of a Credential Response (OpenID4VCI 8.3)."""
    return {
        "credentials": [{"credential": credential} for credential in credentials],
        "notification_id": notification_id,
    }


def create_credential_request(
    endpoint: str,
    access_token: str,
    *,
    configuration_id: CredentialConfigurationId,
    credential_identifier: str | None,
    proofs: Sequence[str],
) -> HttpRequest:
    """Return a Credential Request (OpenID4VCI 8.2).

    ``credential_identifier`` is named instead of the configuration if the token response returned one.
    """
    # OpenID4VCI 8.2: each excludes the other.
    body: dict[str, Json] = (
        {"credential_configuration_id": configuration_id}
        if credential_identifier is None
        else {"credential_identifier": credential_identifier}
    )
    if proofs:
        body["proofs"] = {"jwt": list(proofs)}
    return post_json(endpoint, strict_json.dumps(body), headers={"Authorization": f"Bearer {access_token}"})


def is_invalid_nonce(response: HttpResponse) -> bool:
    """Return whether a fresh ``c_nonce`` is what the issuer asks for (OpenID4VCI 8.3.1.2)."""
    return response.status == 400 and peer_refusal(response, who="the issuer").error == "invalid_nonce"


def parse_credential_response(response: HttpResponse) -> CredentialResponse:
    """Return the credentials in a Credential Endpoint's answer. Unknown members are ignored (OpenID4VCI 8.3).

    Raises:
        PeerRefusal: the issuer refused.
        MalformedError: no credentials, one that is no string, or the issuer asks to come back later.
    """
    # OpenID4VCI 8.3: 202 defers; this wallet cannot come back later yet.
    # vci-8.3-deferred
    if response.status == 202:
        raise MalformedError("the issuer defers the credential, which is not supported yet", clause="OpenID4VCI 9")
    if not response.ok:
        raise peer_refusal(response, who="the credential endpoint")
    if response.media_type != spec.JSON:
        raise MalformedError(f"the Credential Response is not {spec.JSON}", clause="OpenID4VCI 8.3")
    body = strict_json.loads_object(response.body, what="Credential Response", max_bytes=DEFAULT_RESPONSE_LIMIT)
    entries = members.objects(body, "credentials", clause="OpenID4VCI 8.3")
    credentials = tuple(entry.get("credential") for entry in entries)
    strings = tuple(c for c in credentials if isinstance(c, str) and c)
    # OpenID4VCI 8.3: a non-empty array of objects, each with a credential; those of dc+sd-jwt are strings (A.3.4).
    # vci-8.3-credentials
    if not strings or len(strings) != len(credentials):
        raise MalformedError("the Credential Response holds no credentials", clause="OpenID4VCI 8.3")
    return CredentialResponse(strings, members.optional_string(body, "notification_id", clause="OpenID4VCI 8.3"))


def parse_notification_request(media_type: str, body: bytes) -> NotificationRequest:
    """Return the Notification Request in a body. Unknown members are ignored (OpenID4VCI 11.1).

    Raises:
        InvalidNotificationRequest: not JSON, or a member is missing or of the wrong type, or the event is unknown.
    """
    # vci-11.1-media-type
    if media_type != spec.JSON:
        raise InvalidNotificationRequest(f"the body is not {spec.JSON}", clause="OpenID4VCI 11.1")
    try:
        request = strict_json.loads_object(body, what="Notification Request", max_bytes=MAX_NOTIFICATION_BYTES)
        notification_id = members.string(request, "notification_id", clause="OpenID4VCI 11.1")
        event = NotificationEvent(members.string(request, "event", clause="OpenID4VCI 11.1"))
    except MalformedError as exc:
        raise InvalidNotificationRequest(exc.description, clause="OpenID4VCI 11.1") from exc
    except ValueError as exc:
        # OpenID4VCI 11.1: event is one of three case-sensitive strings.
        # vci-11.1-event
        raise InvalidNotificationRequest("the event is unknown", clause="OpenID4VCI 11.1") from exc
    return NotificationRequest(notification_id, event)


def create_notification_request(
    endpoint: str, access_token: str, *, notification_id: str, event: NotificationEvent
) -> HttpRequest:
    """Return a Notification Request (OpenID4VCI 11.1)."""
    body = strict_json.dumps({"notification_id": notification_id, "event": event.value})
    return post_json(endpoint, body, headers={"Authorization": f"Bearer {access_token}"})


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


def _jwt_proofs(proofs: JsonObject | None) -> tuple[str, ...]:
    if proofs is None:
        return ()
    # OpenID4VCI 8.2: exactly one member, named by the proof type, whose value is an array.
    # vci-8.2-one-proof-type
    if set(proofs) != {"jwt"}:
        raise InvalidCredentialRequest("proofs has exactly one member, jwt", clause="OpenID4VCI 8.2")
    jwts = proofs["jwt"]
    # vci-8.2-proofs-array
    if not isinstance(jwts, list) or not all(isinstance(jwt, str) for jwt in jwts):
        raise InvalidCredentialRequest("proofs.jwt is not an array of strings", clause="OpenID4VCI 8.2")
    # vci-8.2-proofs-empty
    if not jwts:
        raise InvalidProof("proofs.jwt is empty", clause="OpenID4VCI 8.2")
    # OpenID4VCI 12.2.4: batch_size is the longest array; refused before any signature is looked at.
    # vci-12.2.4-batch-limit
    if len(jwts) > BATCH_SIZE:
        raise InvalidCredentialRequest(f"at most {BATCH_SIZE} proofs in one request", clause="OpenID4VCI 12.2.4")
    return tuple(str(jwt) for jwt in jwts)
