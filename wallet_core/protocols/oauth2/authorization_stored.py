"""The states of an authorization request as they are stored: JSON, and back. Only for what we stored ourselves."""

from collections.abc import Mapping
from datetime import datetime

from wallet_core.encoding import base64url
from wallet_core.protocols.oauth2.authorization import AuthorizationRequest
from wallet_core.protocols.oauth2.authorization_states import (
    Approved,
    Asked,
    AuthorizationState,
    Denied,
    Expired,
    Pushed,
    Redeemed,
    Replayed,
    Started,
)
from wallet_core.types import ClientId, CredentialConfigurationId, Json, JsonObject


def state_kind(state: AuthorizationState) -> str:
    """Return the name of the state."""
    return type(state).__name__.lower()


def state_to_json(state: AuthorizationState) -> JsonObject:
    """Return ``state`` as it is stored; :func:`state_from_json` reads it."""
    match state:
        case Pushed() | Approved():
            return {"asked": _asked_to_json(state.asked), "expires_at": state.expires_at.isoformat()}
        case Started():
            return {
                "asked": _asked_to_json(state.asked),
                "open_until": state.open_until.isoformat(),
                "expires_at": state.expires_at.isoformat(),
            }
        case Redeemed():
            return {
                "asked": _asked_to_json(state.asked),
                "grant_id": state.grant_id,
                "expires_at": state.expires_at.isoformat(),
            }
        case Replayed():
            return {"grant_id": state.grant_id}
        case Denied():
            return {"error": state.error}
        case Expired():
            return {}


def state_from_json(kind: str, body: Mapping[str, Json]) -> AuthorizationState:  # noqa: PLR0911 - one for each state
    """Return the state that :func:`state_to_json` wrote. Only for what we stored ourselves.

    Raises:
        ValueError: ``kind`` is none of the states.
    """
    match kind:
        case "pushed":
            return Pushed(_asked(body), _time(body["expires_at"]))
        case "started":
            return Started(_asked(body), _time(body["open_until"]), _time(body["expires_at"]))
        case "approved":
            return Approved(_asked(body), _time(body["expires_at"]))
        case "redeemed":
            return Redeemed(_asked(body), str(body["grant_id"]), _time(body["expires_at"]))
        case "replayed":
            return Replayed(str(body["grant_id"]))
        case "denied":
            return Denied(str(body["error"]))
        case "expired":
            return Expired()
    raise ValueError(f"no state is called {kind}")


def _asked_to_json(asked: Asked) -> JsonObject:
    request = asked.request
    return {
        "client_id": request.client_id,
        "redirect_uri": request.redirect_uri,
        "state": request.state,
        "code_challenge": request.code_challenge,
        "scopes": list(request.scopes),
        "details": list(request.details),
        "issuer_state": request.issuer_state,
        "dpop_jkt": _text(request.dpop_jkt),
        "configuration_ids": list(asked.configuration_ids),
        "identified": list(asked.identified),
        "instance": _text(asked.instance),
        "dpop": _text(asked.dpop),
    }


def _asked(state: Mapping[str, Json]) -> Asked:
    body = state["asked"]
    if not isinstance(body, dict):
        raise TypeError("not a stored state")
    request = AuthorizationRequest(
        client_id=ClientId(str(body["client_id"])),
        redirect_uri=str(body["redirect_uri"]),
        state=_optional(body["state"]),
        code_challenge=str(body["code_challenge"]),
        scopes=tuple(_strings(body["scopes"])),
        details=tuple(map(CredentialConfigurationId, _strings(body["details"]))),
        issuer_state=_optional(body["issuer_state"]),
        dpop_jkt=_bytes(body["dpop_jkt"]),
    )
    ids, identified = _strings(body["configuration_ids"]), _strings(body["identified"])
    return Asked(
        request,
        tuple(map(CredentialConfigurationId, ids)),
        tuple(map(CredentialConfigurationId, identified)),
        _bytes(body["instance"]),
        _bytes(body["dpop"]),
    )


def _strings(value: Json) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []


def _optional(value: Json) -> str | None:
    return None if value is None else str(value)


def _text(value: bytes | None) -> str | None:
    return None if value is None else base64url.encode(value)


def _bytes(value: Json) -> bytes | None:
    return None if value is None else base64url.decode(str(value))


def _time(value: Json) -> datetime:
    return datetime.fromisoformat(str(value))
