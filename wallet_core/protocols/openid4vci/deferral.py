"""The states of one deferred Credential Request at the issuer, and the transitions between them (OpenID4VCI 9).

```text
            ┌──undo──┐                 ┌────────undo, while the wallet has not heard of it────────┐
            ▼        │                 ▼                                                          │
Waiting ──ready──▶ Ready          Waiting ──denied──▶ Denied ──asked for──▶ Denied (told)         │
   │                 │ asked for                        └─────────────────────────────────────────┘
   │ too late        ▼
   ▼              Delivered
 Lapsed
```

The proven keys are kept with the state: their nonce was spent when the request was deferred, and credentials are made
for them when the wallet asks again. States hold no personal data and no secret in clear; the claims lie sealed beside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from wallet_core.encoding import base64url
from wallet_core.errors import CredentialRequestDenied, InvalidTransactionId, StateConflict
from wallet_core.protocols.openid4vci.proof import AcceptedKey
from wallet_core.types import CredentialConfigurationId, Json, JsonObject, RandomBytes

DECISION_LIFETIME: Final = timedelta(days=30)
"""How long a request may wait for a decision; then it lapses and what was kept for it is deleted."""

COLLECTION_LIFETIME: Final = timedelta(days=14)
"""How long a decision waits for the wallet: it asks at its next start, after a holiday at the latest."""

MAX_REASON: Final = 500
"""Characters of the reason for a refusal."""

_ID_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for: never changed by a transition."""

    configuration_id: CredentialConfigurationId
    keys: tuple[AcceptedKey, ...]
    requested_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nobody has decided yet."""

    request: Request
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Ready:
    """The credentials are made when the wallet asks again."""

    request: Request
    decided_at: datetime
    decided_by: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Denied:
    """There will be none. ``told_at`` is when the wallet heard of it; None before."""

    request: Request
    decided_at: datetime
    decided_by: str
    reason: str
    expires_at: datetime
    told_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The credentials were sent: the transaction is over."""

    request: Request
    decided_at: datetime
    decided_by: str
    delivered_at: datetime


@dataclass(frozen=True, slots=True)
class Lapsed:
    """Nobody decided, or the wallet never came back."""

    request: Request


DeferralState: TypeAlias = Waiting | Ready | Denied | Delivered | Lapsed


def create_transaction_id(random: RandomBytes) -> str:
    """Return a new ``transaction_id``, 43 characters that nobody can guess (OpenID4VCI 9.1)."""
    return base64url.encode(random(_ID_BYTES))


def defer(configuration_id: CredentialConfigurationId, *, keys: tuple[AcceptedKey, ...], now: datetime) -> Waiting:
    """Return the first state of a Credential Request that is not answered at once (OpenID4VCI 8.3)."""
    return Waiting(Request(configuration_id, keys, now), now + DECISION_LIFETIME)


def approve(state: DeferralState, *, decided_by: str, now: datetime) -> Ready:
    """Return the state after somebody has approved.

    Raises:
        StateConflict: it was decided before, or lapsed.
    """
    waiting = _waiting(state, now)
    return Ready(waiting.request, now, decided_by, now + COLLECTION_LIFETIME)


def deny(state: DeferralState, *, decided_by: str, reason: str, now: datetime) -> Denied:
    """Return the state after somebody has refused.

    Raises:
        StateConflict: it was decided before, or lapsed.
    """
    waiting = _waiting(state, now)
    return Denied(waiting.request, now, decided_by, reason[:MAX_REASON], now + COLLECTION_LIFETIME)


def undo(state: DeferralState, *, now: datetime) -> Waiting:
    """Return the state after a decision was taken back, which is possible until the wallet has heard of it.

    Raises:
        StateConflict: there is no decision, or the wallet has heard of it.
    """
    taken_back = isinstance(state, Ready) or (isinstance(state, Denied) and state.told_at is None)
    if not taken_back or now >= _end(state):
        raise StateConflict("the decision cannot be taken back: there is none, or the wallet has heard of it")
    return Waiting(state.request, state.request.requested_at + DECISION_LIFETIME)


def ask(state: DeferralState, *, now: datetime) -> Waiting | Ready | Denied:
    """Return what a wallet that asks again learns (OpenID4VCI 9.2, 9.3).

    A :class:`Denied` answer means: store it, then refuse with ``credential_request_denied``.

    Raises:
        InvalidTransactionId: the credentials were already fetched, or it lapsed.
        CredentialRequestDenied: it was refused, and the wallet has been told before.
    """
    # OpenID4VCI 9.2, 9.3: the transaction_id is good for nothing once the credentials have been obtained.
    # vci-9.2-once
    if isinstance(state, Delivered | Lapsed):
        raise InvalidTransactionId("the transaction is over", clause="OpenID4VCI 9.3")
    # vci-9.3-too-late
    if now >= state.expires_at:
        raise InvalidTransactionId("the transaction is over", clause="OpenID4VCI 9.3")
    # vci-9.3-denied
    if isinstance(state, Denied) and state.told_at is not None:
        raise denial()
    return state if not isinstance(state, Denied) else _told(state, now)


def deliver(state: DeferralState, *, now: datetime) -> Delivered:
    """Return the state after the credentials were made and sent (OpenID4VCI 9.2).

    Raises:
        InvalidTransactionId: they are not ready, or were sent before.
    """
    # vci-9.2-ready
    if not isinstance(state, Ready) or now >= state.expires_at:
        raise InvalidTransactionId("there is nothing to fetch", clause="OpenID4VCI 9.3")
    return Delivered(state.request, state.decided_at, state.decided_by, now)


def denial() -> CredentialRequestDenied:
    """Return the refusal that a wallet gets: final, and without the reason, which may speak of the person."""
    return CredentialRequestDenied("the agency has refused the request", clause="OpenID4VCI 9.3")


def expire(state: DeferralState, *, now: datetime) -> DeferralState:
    """Return the state as time alone makes it."""
    if isinstance(state, Waiting | Ready) and now >= state.expires_at:
        return Lapsed(state.request)
    return state


def ends_at(state: DeferralState) -> datetime | None:
    """Return when it can no longer be answered, None if that is already so. What was kept for it is then deleted."""
    return state.expires_at if isinstance(state, Waiting | Ready | Denied) else None


def can_undo(state: DeferralState, *, now: datetime) -> bool:
    """Return whether :func:`undo` is possible."""
    try:
        undo(state, now=now)
    except StateConflict:
        return False
    return True


def state_kind(state: DeferralState) -> str:
    """Return the name of a state as it is stored and shown: ``waiting``, ``ready`` and so on."""
    return type(state).__name__.lower()


def state_to_json(state: DeferralState) -> JsonObject:
    """Return a state as it is stored."""
    request = state.request
    body: JsonObject = {
        "configuration_id": request.configuration_id,
        "keys": [key.to_json() for key in request.keys],
        "requested_at": request.requested_at.isoformat(),
    }
    if isinstance(state, Ready | Denied | Delivered):
        body |= {"decided_at": state.decided_at.isoformat(), "decided_by": state.decided_by}
    if isinstance(state, Waiting | Ready | Denied):
        body["expires_at"] = state.expires_at.isoformat()
    if isinstance(state, Denied):
        body["reason"] = state.reason
        body["told_at"] = None if state.told_at is None else state.told_at.isoformat()
    if isinstance(state, Delivered):
        body["delivered_at"] = state.delivered_at.isoformat()
    return body


def state_from_json(kind: str, body: Mapping[str, Json]) -> DeferralState:
    """Return the state that :func:`state_to_json` wrote. Only for what we stored ourselves.

    Raises:
        ValueError: ``kind`` is none of the states.
    """
    keys = body["keys"]
    request = Request(
        CredentialConfigurationId(str(body["configuration_id"])),
        tuple(AcceptedKey.from_json(key) for key in keys if isinstance(key, dict)) if isinstance(keys, list) else (),
        _time(body["requested_at"]),
    )
    match kind:
        case "waiting":
            return Waiting(request, _time(body["expires_at"]))
        case "ready":
            return Ready(request, *_decision(body), _time(body["expires_at"]))
        case "denied":
            told = body["told_at"]
            told_at = None if told is None else _time(told)
            return Denied(request, *_decision(body), str(body["reason"]), _time(body["expires_at"]), told_at)
        case "delivered":
            return Delivered(request, *_decision(body), _time(body["delivered_at"]))
        case "lapsed":
            return Lapsed(request)
    raise ValueError(f"no state is called {kind}")


def _waiting(state: DeferralState, now: datetime) -> Waiting:
    if not isinstance(state, Waiting) or now >= state.expires_at:
        raise StateConflict("the request was decided before, or nobody decided in time")
    return state


def _told(state: Denied, now: datetime) -> Denied:
    return Denied(state.request, state.decided_at, state.decided_by, state.reason, state.expires_at, now)


def _end(state: DeferralState) -> datetime:
    return ends_at(state) or state.request.requested_at


def _decision(body: Mapping[str, Json]) -> tuple[datetime, str]:
    return _time(body["decided_at"]), str(body["decided_by"])


def _time(value: Json) -> datetime:
    return datetime.fromisoformat(str(value))
