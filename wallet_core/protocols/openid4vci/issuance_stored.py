"""The states of an offer as they are stored: JSON, and back. Only for what we stored ourselves."""

from collections.abc import Mapping
from datetime import datetime

from wallet_core.encoding import base64url
from wallet_core.protocols.openid4vci.issuance import (
    ANYBODY,
    Authorized,
    Expired,
    Invited,
    Issuance,
    IssuanceState,
    Issued,
    Offered,
    RefusalReason,
    Refused,
    TokenHolder,
)
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.types import ClientId, CredentialConfigurationId, Json, JsonObject


def state_kind(state: IssuanceState) -> str:
    """Return the name of the state as our API says it: offered, authorized, issued, refused, expired."""
    return type(state).__name__.lower()


def state_to_json(state: IssuanceState) -> JsonObject:
    """Return ``state`` as it is stored; :func:`state_from_json` reads it."""
    body: JsonObject = {"configuration_ids": list(state.configuration_ids)}
    match state:
        case Offered():
            body["tx_code_digest"] = None if state.tx_code_digest is None else base64url.encode(state.tx_code_digest)
            body["tries_left"] = state.tries_left
            body["expires_at"] = state.expires_at.isoformat()
        case Invited():
            body["expires_at"] = state.expires_at.isoformat()
        case Authorized() | Issued():
            body["holder"] = _holder_to_json(state.holder)
            body["token_digest"] = base64url.encode(state.token_digest)
            body["token_expires_at"] = state.token_expires_at.isoformat()
            if isinstance(state, Issued):
                body["issuances"] = [_issuance_to_json(issuance) for issuance in state.issuances]
                body["earlier"] = state.earlier
        case Refused():
            body["reason"] = state.reason.value
        case Expired():
            pass
    return body


def state_from_json(kind: str, body: Mapping[str, Json]) -> IssuanceState:
    """Return the state that :func:`state_to_json` wrote. Only for what we stored ourselves.

    Raises:
        ValueError: ``kind`` is none of the states.
    """
    ids = tuple(CredentialConfigurationId(str(i)) for i in _list(body["configuration_ids"]))
    match kind:
        case "offered":
            sent = body["tx_code_digest"]
            tx_code_digest = None if sent is None else base64url.decode(str(sent))
            return Offered(ids, tx_code_digest, int(str(body["tries_left"])), _time(body["expires_at"]))
        case "invited":
            return Invited(ids, _time(body["expires_at"]))
        case "authorized":
            digest_, expires_at = base64url.decode(str(body["token_digest"])), _time(body["token_expires_at"])
            return Authorized(ids, digest_, expires_at, _holder_from_json(body.get("holder")))
        case "issued":
            issuances = tuple(_issuance_from_json(item) for item in _list(body["issuances"]) if isinstance(item, dict))
            digest_ = base64url.decode(str(body["token_digest"]))
            holder = _holder_from_json(body.get("holder"))
            # A row that was written before they were counted apart has no such member.
            earlier = int(str(body.get("earlier", 0)))
            return Issued(ids, digest_, _time(body["token_expires_at"]), issuances, holder, earlier)
        case "refused":
            return Refused(ids, RefusalReason(str(body["reason"])))
        case "expired":
            return Expired(ids)
    raise ValueError(f"no state is called {kind}")


def _holder_to_json(holder: TokenHolder) -> JsonObject:
    expires_at = holder.refresh_expires_at
    members: JsonObject = {
        "client_id": holder.client_id,
        "instance": _text(holder.instance),
        "dpop": _text(holder.dpop),
        "identified": list(holder.identified) or None,
        "refresh_digest": _text(holder.refresh_digest),
        "refresh_expires_at": None if expires_at is None else expires_at.isoformat(),
    }
    return {name: value for name, value in members.items() if value is not None}


def _holder_from_json(body: Json) -> TokenHolder:
    # A row that was written before there were holders has none.
    if not isinstance(body, dict) or not body:
        return ANYBODY
    client_id, expires_at = body.get("client_id"), body.get("refresh_expires_at")
    return TokenHolder(
        None if client_id is None else ClientId(str(client_id)),
        _bytes(body.get("instance")),
        _bytes(body.get("dpop")),
        tuple(CredentialConfigurationId(str(i)) for i in _list(body.get("identified"))),
        _bytes(body.get("refresh_digest")),
        None if expires_at is None else _time(expires_at),
    )


def _issuance_to_json(issuance: Issuance) -> JsonObject:
    return {
        "notification_id": issuance.notification_id,
        "configuration_id": issuance.configuration_id,
        "copies": issuance.copies,
        "issued_at": issuance.issued_at.isoformat(),
        "event": issuance.event,
        "description": issuance.description,
    }


def _issuance_from_json(body: Mapping[str, Json]) -> Issuance:
    event = body["event"]
    return Issuance(
        str(body["notification_id"]),
        CredentialConfigurationId(str(body["configuration_id"])),
        int(str(body["copies"])),
        _time(body["issued_at"]),
        None if event is None else NotificationEvent(str(event)),
        str(body.get("description", "")),
    )


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64url.encode(value)


def _bytes(value: Json) -> bytes | None:
    return None if value is None else base64url.decode(str(value))


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _time(value: Json) -> datetime:
    return datetime.fromisoformat(str(value))
