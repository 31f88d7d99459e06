"""The states of one offer at the issuer, and the transitions between them (OpenID4VCI 4 to 11).

```text
Offered ──wrong tx_code──▶ Offered (one try less) ──last try──▶ Refused
   │ right code                 │ too late
   ▼                            ▼
Authorized ──too late──▶ Expired        Invited ──authorization code redeemed──▶ Authorized
   │ credential request
   ▼
Issued ──credential request, notification, refresh token──▶ Issued ──its code was replayed──▶ Refused
```

An offer under the authorization code grant is Invited until a code is redeemed; a wallet that began without an offer
has a state that begins as Authorized.

A transition raises when nothing must be remembered and returns a state when it must: a wrong transaction code has to be
counted, and an exception would roll the counter back. States hold no personal data and no secret in clear.
"""

import hashlib
import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, TypeAlias

from wallet_core.encoding import base64url
from wallet_core.errors import (
    CredentialRequestDenied,
    InvalidAuthorizationDetails,
    InvalidGrant,
    InvalidNotificationId,
    InvalidRequest,
    InvalidToken,
    UnknownCredentialConfiguration,
    UnknownCredentialIdentifier,
)
from wallet_core.protocols.oauth2.authorization_states import check_binding
from wallet_core.protocols.oauth2.token import token_lifetime
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.types import ClientId, CredentialConfigurationId, RandomBytes

OFFER_LIFETIME: Final = timedelta(minutes=30)
"""How long an offer waits: time to open the wallet at the counter. OpenID4VCI 4.1.1 asks for a short-lived code."""

TX_CODE_TRIES: Final = 5
"""Wrong transaction codes until the pre-authorized code dies: of a million codes, five may be tried."""

TX_CODE_DIGITS: Final = 6
"""Length of a transaction code."""

MAX_ISSUANCES: Final = 100
"""Credential Requests answered under one access token. The conformance suite makes about 30."""

KEPT_ISSUANCES: Final = 50
"""Answered requests that are remembered over a refresh."""

REFRESH_TOKEN_LIFETIME: Final = timedelta(days=90)
"""How long a refresh token lives: three lives of a licence's copies. Then the person logs in again."""

_SECRET_BYTES: Final = 32


class RefusalReason(StrEnum):
    """Why an offer was refused for good."""

    TOO_MANY_TRIES = "too_many_tries"
    WITHDRAWN = "withdrawn"
    CODE_REPLAYED = "code_replayed"


@dataclass(frozen=True, slots=True)
class Issuance:
    """One answered Credential Request: what was sent, when, and what the wallet said became of it."""

    notification_id: str
    configuration_id: CredentialConfigurationId
    copies: int
    issued_at: datetime
    event: NotificationEvent | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Offered:
    """An offer waits for its code. ``tx_code_digest`` is None if no transaction code is asked for."""

    configuration_ids: tuple[CredentialConfigurationId, ...]
    tx_code_digest: bytes | None
    tries_left: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Invited:
    """An offer under the authorization code grant waits for somebody to log in and consent."""

    configuration_ids: tuple[CredentialConfigurationId, ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class TokenHolder:
    """To whom tokens were given, and on what terms.

    Attributes:
        client_id: which client; None for an anonymous one.
        instance: thumbprint of the client instance key that a refresh must be made with; None if there is none.
        dpop: thumbprint of the key that tokens are bound to; None for Bearer tokens.
        identified: configurations that are asked for by ``credential_identifier`` (OpenID4VCI 6.2).
        refresh_digest: :func:`digest` of the refresh token; None if none was given.
        refresh_expires_at: until when it is good.
    """

    client_id: ClientId | None = None
    instance: bytes | None = None
    dpop: bytes | None = None
    identified: tuple[CredentialConfigurationId, ...] = ()
    refresh_digest: bytes | None = None
    refresh_expires_at: datetime | None = None


ANYBODY: Final = TokenHolder()
"""Whoever has the access token: an anonymous client with a Bearer token."""


@dataclass(frozen=True, slots=True)
class Authorized:
    """The code was redeemed; whoever has the access token may ask for the credentials."""

    configuration_ids: tuple[CredentialConfigurationId, ...]
    token_digest: bytes
    token_expires_at: datetime
    holder: TokenHolder = ANYBODY


@dataclass(frozen=True, slots=True)
class Issued:
    """Credentials were sent. The token stays good until it expires.

    ``earlier`` is how many of ``issuances``, the first ones, were answered under access tokens before this one.
    """

    configuration_ids: tuple[CredentialConfigurationId, ...]
    token_digest: bytes
    token_expires_at: datetime
    issuances: tuple[Issuance, ...]
    holder: TokenHolder = ANYBODY
    earlier: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """The offer is dead."""

    configuration_ids: tuple[CredentialConfigurationId, ...]
    reason: RefusalReason


@dataclass(frozen=True, slots=True)
class Expired:
    """Nobody came in time."""

    configuration_ids: tuple[CredentialConfigurationId, ...]


IssuanceState: TypeAlias = Offered | Invited | Authorized | Issued | Refused | Expired


def create_offered(
    configuration_ids: tuple[CredentialConfigurationId, ...], *, tx_code_digest: bytes | None, now: datetime
) -> Offered:
    """Return the first state of an offer."""
    return Offered(configuration_ids, tx_code_digest, TX_CODE_TRIES, now + OFFER_LIFETIME)


def create_invited(configuration_ids: tuple[CredentialConfigurationId, ...], *, now: datetime) -> Invited:
    """Return the first state of an offer under the authorization code grant."""
    return Invited(configuration_ids, now + OFFER_LIFETIME)


def redeem_code(
    state: IssuanceState,
    *,
    tx_code_digest: bytes | None,
    token_digest: bytes,
    now: datetime,
    holder: TokenHolder = ANYBODY,
    details: tuple[CredentialConfigurationId, ...] | None = None,
) -> Offered | Authorized | Refused:
    """Return the state after a token request with the right pre-authorized code (OpenID4VCI 6.1, 6.3).

    An :class:`Offered` or :class:`Refused` answer means: store it, then refuse with ``invalid_grant``.

    Args:
        state: the state of the offer.
        tx_code_digest: :func:`digest_tx_code` of what was sent, None if nothing was.
        token_digest: :func:`digest` of the access token that will be given out.
        now: the time.
        holder: to whom it will be given.
        details: the configurations that ``authorization_details`` pick; None for all of the offer.

    Raises:
        InvalidGrant: the code was used, has expired or is dead.
        InvalidRequest: a transaction code is missing, or was sent without being asked for.
        InvalidAuthorizationDetails: they pick what is not in the offer.
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
    picked, holder = pick(state.configuration_ids, details, holder)
    return Authorized(picked, token_digest, now + token_lifetime(dpop=holder.dpop), holder)


def pick(
    configuration_ids: tuple[CredentialConfigurationId, ...],
    details: tuple[CredentialConfigurationId, ...] | None,
    holder: TokenHolder,
) -> tuple[tuple[CredentialConfigurationId, ...], TokenHolder]:
    """Return what ``authorization_details`` of a token request leave of what was granted (OpenID4VCI 6.1).

    Raises:
        InvalidAuthorizationDetails: they pick what was not granted.
    """
    if details is None:
        return configuration_ids, holder
    # RFC 9396 6.1: a token request narrows what was granted, and never widens it.
    # vci-6.1-subset
    if not set(details) <= set(configuration_ids):
        raise InvalidAuthorizationDetails("authorization_details ask for more than was granted", clause="RFC 9396 6.1")
    return details, replace(holder, identified=details)


def identify(state: Authorized | Issued, details: tuple[CredentialConfigurationId, ...] | None) -> Authorized | Issued:
    """Return ``state`` with identifiers for what ``authorization_details`` of a refresh request name (OpenID4VCI 6.2).

    All that was granted stays granted.

    Raises:
        InvalidAuthorizationDetails: they name what was not granted.
    """
    _, named = pick(state.configuration_ids, details, state.holder)
    identified = tuple(dict.fromkeys((*state.holder.identified, *named.identified)))
    return replace(state, holder=replace(named, identified=identified))


def grant(
    configuration_ids: tuple[CredentialConfigurationId, ...],
    *,
    token_digest: bytes,
    holder: TokenHolder,
    now: datetime,
) -> Authorized:
    """Return the state after an authorization code was redeemed, whether an offer stood at the beginning or not."""
    return Authorized(configuration_ids, token_digest, now + token_lifetime(dpop=holder.dpop), holder)


def validate_invitation(state: IssuanceState, *, now: datetime) -> Invited:
    """Return ``state`` if an authorization may still begin, or end, with it (OpenID4VCI 5.1.3).

    Raises:
        InvalidGrant: the offer was used or has expired.
    """
    # vci-5.1.3-open
    if not isinstance(state, Invited) or now >= state.expires_at:
        raise InvalidGrant("the offer was used or has expired", clause="OpenID4VCI 5.1.3")
    return state


def refresh(state: IssuanceState, *, token_digest: bytes, holder: TokenHolder, now: datetime) -> Authorized | Issued:
    """Return the state after a request with the right refresh token (RFC 6749 6). The refresh token stays as it is.

    The earlier access token ends. ``holder`` says who asks: only its client and keys count.

    Raises:
        InvalidGrant: the refresh token has expired or been revoked, or is another client's or another key's.
    """
    # RFC 6749 6, 5.2: "invalid, expired, revoked".
    # oauth-6749.6-expired
    if not isinstance(state, Authorized | Issued) or not _refreshable(state.holder, now):
        raise InvalidGrant("the refresh token has expired or was revoked", clause="RFC 6749 5.2")
    # RFC 6749 10.4: "the authorization server MUST maintain the binding between a refresh token and the client".
    # oauth-6749.10.4-client
    if holder.client_id != state.holder.client_id:
        raise InvalidGrant("the refresh token was given to another client", clause="RFC 6749 10.4")
    check_binding(state.holder.instance, state.holder.dpop, instance=holder.instance, dpop=holder.dpop)
    expires_at = now + token_lifetime(dpop=state.holder.dpop)
    fresh = replace(state, token_digest=token_digest, token_expires_at=expires_at)
    if isinstance(fresh, Authorized):
        return fresh
    # The wallet may still tell what became of what it received last; the cap is one access token's and begins anew.
    kept = fresh.issuances[-KEPT_ISSUANCES:]
    return replace(fresh, issuances=kept, earlier=len(kept))


def revoke(state: IssuanceState) -> Refused:
    """Return the state once the tokens that were given for a code must work no longer (RFC 6749 4.1.2)."""
    return Refused(state.configuration_ids, RefusalReason.CODE_REPLAYED)


def validate_token(state: IssuanceState, *, now: datetime) -> Authorized | Issued:
    """Return ``state`` if its access token may still be used (OpenID4VCI 8.3.1.1, RFC 6750 3.1).

    Raises:
        InvalidToken: there is none, or it has expired.
    """
    # vci-8.3.1.1-token
    if not isinstance(state, Authorized | Issued) or now >= state.token_expires_at:
        raise InvalidToken("the access token has expired", clause="RFC 6750 3.1")
    return state


def validate_configuration(
    state: Authorized | Issued, configuration_id: CredentialConfigurationId, *, by_identifier: bool = False
) -> None:
    """Check that the configuration was granted with this token (OpenID4VCI 8.2).

    A configuration with an identifier may be named by its id as well: it has no other identifier (decision 0111).

    Raises:
        UnknownCredentialConfiguration: it was not granted.
        UnknownCredentialIdentifier: the token response returned no such identifier.
    """
    # vci-8.3.1.2-identifier-not-given
    if by_identifier and configuration_id not in state.holder.identified:
        raise UnknownCredentialIdentifier("no such credential identifier", clause="OpenID4VCI 8.3.1.2")
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
    by_identifier: bool = False,
) -> Issued:
    """Return the state after a Credential Request that is answered with ``copies`` credentials (OpenID4VCI 8).

    An access token is not one-shot: it may ask again until it expires. Earlier copies stay as they are.

    Raises:
        InvalidToken: the token has expired.
        UnknownCredentialConfiguration: the offer does not name the configuration.
        CredentialRequestDenied: the token has asked too often.
    """
    live = validate_token(state, now=now)
    validate_configuration(live, configuration_id, by_identifier=by_identifier)
    before, earlier = (live.issuances, live.earlier) if isinstance(live, Issued) else ((), 0)
    # Protocols M9: asking again is normal, but not without end.
    # vci-M9-asked-too-often
    if len(before) - earlier >= MAX_ISSUANCES:
        raise CredentialRequestDenied("this access token has asked too often", clause="OpenID4VCI 8.3.1.2")
    latest = Issuance(notification_id, configuration_id, copies, now)
    issuances = (*before, latest)
    return Issued(live.configuration_ids, live.token_digest, live.token_expires_at, issuances, live.holder, earlier)


def notify(
    state: IssuanceState, *, notification_id: str, event: NotificationEvent, now: datetime, description: str = ""
) -> Issued:
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
        issuances=tuple(
            replace(i, event=event, description=description) if i.notification_id == notification_id else i
            for i in issuances
        ),
    )


def expire(state: IssuanceState, *, now: datetime) -> IssuanceState:
    """Return the state as time alone makes it: an offer nobody used in time is :class:`Expired`."""
    end = ends_at(state)
    if isinstance(state, Offered | Invited | Authorized) and end is not None and now >= end:
        return Expired(state.configuration_ids)
    return state


def end_access(state: IssuanceState, *, now: datetime) -> IssuanceState:
    """Return the state after the issuer took back what an offer gives: no code and no token is good any more.

    What was issued stays on record; revoking it is the status list's.
    """
    if isinstance(state, Offered | Invited | Authorized):
        return Refused(state.configuration_ids, RefusalReason.WITHDRAWN)
    if isinstance(state, Issued):
        holder = replace(state.holder, refresh_digest=None, refresh_expires_at=None)
        return replace(state, token_expires_at=min(now, state.token_expires_at), holder=holder)
    return state


def ends_at(state: IssuanceState) -> datetime | None:
    """Return when the offer can no longer be used, None if that is already so.

    From then on the claims kept for it have no purpose and are deleted.
    """
    match state:
        case Offered() | Invited():
            return state.expires_at
        case Authorized() | Issued():
            return max(state.token_expires_at, state.holder.refresh_expires_at or state.token_expires_at)
        case _:
            return None


def create_pre_authorized_code(secret: bytes, offer_id: str) -> str:
    """Return the code of an offer, 43 characters: derived, so that an offer can be shown again without storing it."""
    return base64url.encode(hmac.digest(secret, b"pre-authorized_code\x00" + offer_id.encode(), "sha256"))


def create_issuer_state(secret: bytes, offer_id: str) -> str:
    """Return the ``issuer_state`` of an offer, 43 characters, derived like its code and never equal to one."""
    return base64url.encode(hmac.digest(secret, b"issuer_state\x00" + offer_id.encode(), "sha256"))


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


def _refreshable(holder: TokenHolder, now: datetime) -> bool:
    return holder.refresh_expires_at is not None and now < holder.refresh_expires_at


def _same(one: bytes, other: bytes | None) -> bool:
    return other is not None and hmac.compare_digest(one, other)
