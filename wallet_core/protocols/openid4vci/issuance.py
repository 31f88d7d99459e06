"""The states of one offer at the issuer, and the transitions between them (OpenID4VCI 4 to 11).

```text
Offered ──wrong tx_code──▶ Offered (one try less) ──last try──▶ Refused
   │ right code                 │ too late
   ▼                            ▼
Authorized ──too late──▶ Expired
   │ credential request
   ▼
Issued ──credential request, notification──▶ Issued
```

A transition raises when nothing must be remembered and returns a state when it must: a wrong transaction code has to be
counted, and an exception would roll the counter back. States hold no personal data and no secret in clear.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias

from wallet_core.encoding import base64url
from wallet_core.errors import (
    CredentialRequestDenied,
    InvalidGrant,
    InvalidNotificationId,
    InvalidRequest,
    InvalidToken,
    UnknownCredentialConfiguration,
)
from wallet_core.protocols.oauth2.token import ACCESS_TOKEN_LIFETIME
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.types import CredentialConfigurationId, Json, JsonObject, RandomBytes

OFFER_LIFETIME: Final = timedelta(minutes=30)
"""How long an offer waits: time to open the wallet at the counter. OpenID4VCI 4.1.1 asks for a short-lived code."""

TX_CODE_TRIES: Final = 5
"""Wrong transaction codes until the pre-authorized code dies: of a million codes, five may be tried."""

TX_CODE_DIGITS: Final = 6
"""Length of a transaction code."""

MAX_ISSUANCES: Final = 100
"""Credential Requests answered under one access token. The conformance suite makes about 30."""

_SECRET_BYTES: Final = 32


class RefusalReason(StrEnum):
    """Why an offer was refused for good."""

    TOO_MANY_TRIES = "too_many_tries"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Issuance:
    """One answered Credential Request: what was sent, when, and what the wallet said became of it."""

    notification_id: str
    configuration_id: CredentialConfigurationId
    copies: int
    issued_at: datetime
    event: NotificationEvent | None = None


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer waits for its code. ``tx_code_digest`` is None if no transaction code is asked for."""

    configuration_ids: tuple[CredentialConfigurationId, ...]
    tx_code_digest: bytes | None
    tries_left: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Authorized:
    """The code was redeemed; whoever has the access token may ask for the credentials."""

    configuration_ids: tuple[CredentialConfigurationId, ...]
    token_digest: bytes
    token_expires_at: datetime


@dataclass(frozen=True, slots=True)
class Issued:
    """Credentials were sent. The token stays good until it expires."""

    configuration_ids: tuple[CredentialConfigurationId, ...]
    token_digest: bytes
    token_expires_at: datetime
    issuances: tuple[Issuance, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The offer is dead."""

    configuration_ids: tuple[CredentialConfigurationId, ...]
    reason: RefusalReason


@dataclass(frozen=True, slots=True)
class Expired:
    """Nobody came in time."""

    configuration_ids: tuple[CredentialConfigurationId, ...]


IssuanceState: TypeAlias = Offered | Authorized | Issued | Refused | Expired


def create_offered(
    configuration_ids: tuple[CredentialConfigurationId, ...], *, tx_code_digest: bytes | None, now: datetime
) -> Offered:
    """Return the first state of an offer."""
    return Offered(configuration_ids, tx_code_digest, TX_CODE_TRIES, now + OFFER_LIFETIME)


def redeem_code(
    state: IssuanceState, *, tx_code_digest: bytes | None, token_digest: bytes, now: datetime
) -> Offered | Authorized | Refused:
    """Return the state after a token request with the right pre-authorized code (OpenID4VCI 6.1, 6.3).

    An :class:`Offered` or :class:`Refused` answer means: store it, then refuse with ``invalid_grant``.

    Args:
        state: the state of the offer.
        tx_code_digest: :func:`digest_tx_code` of what was sent, None if nothing was.
        token_digest: :func:`digest` of the access token that will be given out.
        now: the time.

    Raises:
        InvalidGrant: the code was used, has expired or is dead.
        InvalidRequest: a transaction code is missing, or was sent without being asked for.
    """
    # OpenID4VCI 4.1.1, 6.3: the code is short-lived and single-use.
    # vci-6.3-once
    if not isinstance(state, Offered):
        raise InvalidGrant("the pre-authorized code was used or is no longer good", clause="OpenID4VCI 6.3")
    # vci-6.3-expired
    if now >= state.expires_at:
        raise InvalidGrant("the pre-authorized code has expired", clause="OpenID4VCI 6.3")
    # OpenID4VCI 6.3: invalid_request if a transaction code is sent but not expected, or expected but not sent.
    # vci-6.3-tx-code-expected
    if (tx_code_digest is None) != (state.tx_code_digest is None):
        problem = "tx_code is missing" if tx_code_digest is None else "no tx_code is expected"
        raise InvalidRequest(problem, clause="OpenID4VCI 6.3")
    # vci-6.3-tx-code-wrong
    if tx_code_digest is not None and not _same(tx_code_digest, state.tx_code_digest):
        # OpenID4VCI 13.6.1 (errata): tries are limited, then the code dies.
        # vci-13.6-tries
        if state.tries_left <= 1:
            return Refused(state.configuration_ids, RefusalReason.TOO_MANY_TRIES)
        return replace(state, tries_left=state.tries_left - 1)
    return Authorized(state.configuration_ids, token_digest, now + ACCESS_TOKEN_LIFETIME)


def validate_token(state: IssuanceState, *, now: datetime) -> Authorized | Issued:
    """Return ``state`` if its access token may still be used (OpenID4VCI 8.3.1.1, RFC 6750 3.1).

    Raises:
        InvalidToken: there is none, or it has expired.
    """
    # vci-8.3.1.1-token
    if not isinstance(state, Authorized | Issued) or now >= state.token_expires_at:
        raise InvalidToken("the access token has expired", clause="RFC 6750 3.1")
    return state


def validate_configuration(state: Authorized | Issued, configuration_id: CredentialConfigurationId) -> None:
    """Check that the offer under this token names the configuration (OpenID4VCI 8.2).

    Raises:
        UnknownCredentialConfiguration: it does not.
    """
    # vci-8.3.1.2-unknown-configuration
    if configuration_id not in state.configuration_ids:
        raise UnknownCredentialConfiguration(
            "this offer has no such credential configuration", clause="OpenID4VCI 8.3.1.2"
        )


def issue(
    state: IssuanceState,
    *,
    configuration_id: CredentialConfigurationId,
    copies: int,
    notification_id: str,
    now: datetime,
) -> Issued:
    """Return the state after a Credential Request that is answered with ``copies`` credentials (OpenID4VCI 8).

    An access token is not one-shot: it may ask again until it expires. Earlier copies stay as they are.

    Raises:
        InvalidToken: the token has expired.
        UnknownCredentialConfiguration: the offer does not name the configuration.
        CredentialRequestDenied: the token has asked too often.
    """
    live = validate_token(state, now=now)
    validate_configuration(live, configuration_id)
    before = live.issuances if isinstance(live, Issued) else ()
    # Protocols M9: asking again is normal, but not without end.
    # vci-M9-asked-too-often
    if len(before) >= MAX_ISSUANCES:
        raise CredentialRequestDenied("this access token has asked too often", clause="OpenID4VCI 8.3.1.2")
    latest = Issuance(notification_id, configuration_id, copies, now)
    return Issued(live.configuration_ids, live.token_digest, live.token_expires_at, (*before, latest))


def notify(state: IssuanceState, *, notification_id: str, event: NotificationEvent, now: datetime) -> Issued:
    """Return the state after a notification (OpenID4VCI 11). A repeated one changes nothing (11.1).

    Raises:
        InvalidToken: the token has expired.
        InvalidNotificationId: nothing was sent under that id with this token.
    """
    live = validate_token(state, now=now)
    issuances = live.issuances if isinstance(live, Issued) else ()
    # OpenID4VCI 11.3: an unknown notification_id is invalid_notification_id.
    # vci-11.3-unknown-id
    if not isinstance(live, Issued) or all(i.notification_id != notification_id for i in issuances):
        raise InvalidNotificationId("no such notification_id", clause="OpenID4VCI 11.3")
    return replace(
        live,
        issuances=tuple(replace(i, event=event) if i.notification_id == notification_id else i for i in issuances),
    )


def expire(state: IssuanceState, *, now: datetime) -> IssuanceState:
    """Return the state as time alone makes it: an offer nobody used in time is :class:`Expired`."""
    end = ends_at(state)
    if isinstance(state, Offered | Authorized) and end is not None and now >= end:
        return Expired(state.configuration_ids)
    return state


def end_access(state: IssuanceState, *, now: datetime) -> IssuanceState:
    """Return the state after the issuer took back what an offer gives: no code and no token is good any more.

    What was issued stays on record; revoking it is the status list's.
    """
    if isinstance(state, Offered | Authorized):
        return Refused(state.configuration_ids, RefusalReason.WITHDRAWN)
    if isinstance(state, Issued):
        return replace(state, token_expires_at=min(now, state.token_expires_at))
    return state


def ends_at(state: IssuanceState) -> datetime | None:
    """Return when the offer can no longer be used, None if that is already so.

    From then on the claims kept for it have no purpose and are deleted.
    """
    if isinstance(state, Offered):
        return state.expires_at
    return state.token_expires_at if isinstance(state, Authorized | Issued) else None


def create_pre_authorized_code(secret: bytes, offer_id: str) -> str:
    """Return the code of an offer, 43 characters: derived, so that an offer can be shown again without storing it."""
    return base64url.encode(hmac.digest(secret, b"pre-authorized_code\x00" + offer_id.encode(), "sha256"))


def create_access_token(random: RandomBytes) -> str:
    """Return a new access token of 256 random bits."""
    return base64url.encode(random(_SECRET_BYTES))


def create_tx_code(random: RandomBytes) -> str:
    """Return a new transaction code of six digits."""
    return str(int.from_bytes(random(16), "big") % 10**TX_CODE_DIGITS).zfill(TX_CODE_DIGITS)


def digest(secret_text: str) -> bytes:
    """Return the SHA-256 digest under which a code or token of high entropy is stored and found, 32 bytes."""
    return hashlib.sha256(secret_text.encode()).digest()


def digest_tx_code(secret: bytes, offer_id: str, tx_code: str) -> bytes:
    """Return the keyed digest of a transaction code, 32 bytes: a plain one could be guessed in a second."""
    return hmac.digest(secret, b"tx_code\x00" + offer_id.encode() + b"\x00" + tx_code.encode(), "sha256")


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
        case Authorized() | Issued():
            body["token_digest"] = base64url.encode(state.token_digest)
            body["token_expires_at"] = state.token_expires_at.isoformat()
            if isinstance(state, Issued):
                body["issuances"] = [_issuance_to_json(issuance) for issuance in state.issuances]
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
        case "authorized":
            return Authorized(ids, base64url.decode(str(body["token_digest"])), _time(body["token_expires_at"]))
        case "issued":
            issuances = tuple(_issuance_from_json(item) for item in _list(body["issuances"]) if isinstance(item, dict))
            digest_ = base64url.decode(str(body["token_digest"]))
            return Issued(ids, digest_, _time(body["token_expires_at"]), issuances)
        case "refused":
            return Refused(ids, RefusalReason(str(body["reason"])))
        case "expired":
            return Expired(ids)
    raise ValueError(f"no state is called {kind}")


def _issuance_to_json(issuance: Issuance) -> JsonObject:
    return {
        "notification_id": issuance.notification_id,
        "configuration_id": issuance.configuration_id,
        "copies": issuance.copies,
        "issued_at": issuance.issued_at.isoformat(),
        "event": issuance.event,
    }


def _issuance_from_json(body: Mapping[str, Json]) -> Issuance:
    event = body["event"]
    return Issuance(
        str(body["notification_id"]),
        CredentialConfigurationId(str(body["configuration_id"])),
        int(str(body["copies"])),
        _time(body["issued_at"]),
        None if event is None else NotificationEvent(str(event)),
    )


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _time(value: Json) -> datetime:
    return datetime.fromisoformat(str(value))


def _same(one: bytes, other: bytes | None) -> bool:
    return other is not None and hmac.compare_digest(one, other)
