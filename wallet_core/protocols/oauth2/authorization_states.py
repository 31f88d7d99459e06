"""The states of one authorization request at the server, and the transitions between them (RFC 6749 4.1, RFC 9126).

```text
Pushed ──opened in a browser──▶ Started ──consent──▶ Approved ──code redeemed──▶ Redeemed ──code again──▶ Replayed
   │ too late                     │ refused             │ too late
   ▼                              ▼                     ▼
Expired                        Denied                Expired
```

A request that was not pushed begins as Started. A ``request_uri`` is spent when the authorization completes, not when
the page is opened. States hold no personal data and no secret in clear.
"""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from wallet_core.errors import InvalidGrant, InvalidRequest, InvalidRequestUri
from wallet_core.protocols.oauth2.authorization import AuthorizationRequest
from wallet_core.protocols.oauth2.pkce import verify_code_verifier
from wallet_core.protocols.oauth2.token import AuthorizationCodeRequest
from wallet_core.types import ClientId, CredentialConfigurationId

REQUEST_URI_LIFETIME: Final = timedelta(seconds=90)
"""How long a pushed request waits for the browser. M1: under 600 seconds, best 60 to 90."""

LOGIN_LIFETIME: Final = timedelta(minutes=15)
"""How long a person may take from opening the page to consenting: time to find a card or a phone."""

CODE_LIFETIME: Final = timedelta(seconds=60)
"""FAPI 2.0 5.3.2.1: authorization codes live at most 60 seconds."""

REPLAY_MEMORY: Final = timedelta(hours=1)
"""How long a redeemed code is remembered: as long as a token that was given for it could do harm."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, and by whom it was proved to be.

    ``instance`` and ``dpop`` are thumbprints of keys that whoever redeems the code must hold; None binds to nothing.
    """

    request: AuthorizationRequest
    configuration_ids: tuple[CredentialConfigurationId, ...]
    identified: tuple[CredentialConfigurationId, ...] = ()
    instance: bytes | None = None
    dpop: bytes | None = None


@dataclass(frozen=True, slots=True)
class Pushed:
    """A pushed request waits for its ``request_uri`` to be opened."""

    asked: Asked
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Started:
    """A person logs in. Until ``open_until`` the ``request_uri`` may be opened again."""

    asked: Asked
    open_until: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Approved:
    """The person consented; the code waits to be redeemed."""

    asked: Asked
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Redeemed:
    """Tokens were given for the code, under the grant ``grant_id``."""

    asked: Asked
    grant_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Replayed:
    """The code came a second time: the tokens of the grant are to be revoked."""

    grant_id: str


@dataclass(frozen=True, slots=True)
class Denied:
    """The person, or the server, said no; ``error`` is what the wallet was told."""

    error: str


@dataclass(frozen=True, slots=True)
class Expired:
    """Nobody came in time."""


AuthorizationState: TypeAlias = Pushed | Started | Approved | Redeemed | Replayed | Denied | Expired


def push(asked: Asked, *, now: datetime) -> Pushed:
    """Return the state of a request that was pushed (RFC 9126 2.1)."""
    return Pushed(asked, now + REQUEST_URI_LIFETIME)


def begin(asked: Asked, *, now: datetime) -> Started:
    """Return the state of a request that came through the browser (RFC 6749 4.1.1)."""
    return Started(asked, now, now + LOGIN_LIFETIME)


def open_request(state: AuthorizationState, *, client_id: ClientId, now: datetime) -> Started:
    """Return the state once the ``request_uri`` of a request is opened in a browser (RFC 9126 4).

    Raises:
        InvalidRequestUri: another client's, too late, or the authorization is over.
    """
    # M1: spent when the authorization completes; RFC 9126 4: expired or reused is refused.
    # oauth-9126.4-once
    if not isinstance(state, Pushed | Started):
        raise InvalidRequestUri("this request_uri was used", clause="RFC 9126 4")
    # RFC 9126 4: "The authorization server MUST validate ... the client_id" is the one that pushed.
    # oauth-9126.4-client
    if state.asked.request.client_id != client_id:
        raise InvalidRequestUri("this request_uri is another client's", clause="RFC 9126 2.2")
    end = state.expires_at if isinstance(state, Pushed) else state.open_until
    # oauth-9126.4-expired
    if now >= end:
        raise InvalidRequestUri("this request_uri has expired", clause="RFC 9126 4")
    return state if isinstance(state, Started) else Started(state.asked, end, now + LOGIN_LIFETIME)


def approve(state: AuthorizationState, *, now: datetime) -> Approved:
    """Return the state once the person consented; from now on the code can be redeemed.

    Raises:
        InvalidRequest: the authorization is over, or took too long.
    """
    return Approved(_started(state, now).asked, now + CODE_LIFETIME)


def deny(state: AuthorizationState, *, error: str, now: datetime) -> Denied:
    """Return the state once the person, or the server, refused.

    Raises:
        InvalidRequest: the authorization is over, or took too long.
    """
    _started(state, now)
    return Denied(error)


def redeem(
    state: AuthorizationState,
    request: AuthorizationCodeRequest,
    *,
    client_id: ClientId | None,
    instance: bytes | None,
    dpop: bytes | None,
    grant_id: str,
    now: datetime,
) -> Redeemed | Replayed:
    """Return the state after a token request with the right code (RFC 6749 4.1.3).

    A :class:`Replayed` answer means: store it, revoke what was given, then refuse with ``invalid_grant``.

    Steps:
        1. The code is redeemed once, and in time.
        2. By the client it was given to, with the keys it was bound to.
        3. With the redirect URI of the request.
        4. With the verifier of the request.

    Raises:
        InvalidGrant: a step failed.
    """
    # RFC 6749 4.1.2: "If an authorization code is used more than once, the authorization server MUST deny the request
    # and SHOULD revoke ... all tokens previously issued based on that authorization code."
    # oauth-6749.4.1.2-once
    if isinstance(state, Redeemed):
        return Replayed(state.grant_id)
    # 1. FAPI 2.0 5.3.2.1.
    # oauth-6749.4.1.2-expired
    if not isinstance(state, Approved) or now >= state.expires_at:
        raise InvalidGrant("the code was used or has expired", clause="RFC 6749 4.1.2")
    asked = state.asked
    # 2. RFC 6749 4.1.3: "ensure that the authorization code was issued to the authenticated ... client".
    # oauth-6749.4.1.3-client
    if client_id != asked.request.client_id:
        raise InvalidGrant("the code was given to another client", clause="RFC 6749 4.1.3")
    _check_keys(asked.instance, asked.dpop, instance, dpop)
    # 3. RFC 6749 4.1.3: "ensure that the redirect_uri parameter is present ... and that their values are identical".
    # oauth-6749.4.1.3-redirect-uri
    if request.redirect_uri != asked.request.redirect_uri:
        raise InvalidGrant("redirect_uri is not that of the request", clause="RFC 6749 4.1.3")
    # 4.
    verify_code_verifier(request.code_verifier, asked.request.code_challenge)
    return Redeemed(asked, grant_id, now + REPLAY_MEMORY)


def expire(state: AuthorizationState, *, now: datetime) -> AuthorizationState:
    """Return the state as time alone makes it."""
    if isinstance(state, Pushed | Started | Approved) and now >= state.expires_at:
        return Expired()
    return state


def ends_at(state: AuthorizationState) -> datetime | None:
    """Return until when the state must be remembered; None if it may be forgotten at once."""
    return state.expires_at if isinstance(state, Pushed | Started | Approved | Redeemed) else None


def check_binding(
    bound_instance: bytes | None, bound_dpop: bytes | None, *, instance: bytes | None, dpop: bytes | None
) -> None:
    """Check that whoever comes holds the keys that a code or refresh token is bound to.

    Raises:
        InvalidGrant: another key, or none.
    """
    _check_keys(bound_instance, bound_dpop, instance, dpop)


def _check_keys(
    bound_instance: bytes | None, bound_dpop: bytes | None, instance: bytes | None, dpop: bytes | None
) -> None:
    # Attestation-based client authentication 10: bound to the instance whose key the attestation names.
    # oauth-ABCA-instance
    if bound_instance is not None and not _same(bound_instance, instance):
        raise InvalidGrant("this was given to another client instance")
    # RFC 9449 10: a code that was bound to a DPoP key is redeemed with that key only.
    # oauth-9449.10-bound
    if bound_dpop is not None and not _same(bound_dpop, dpop):
        raise InvalidGrant("this is bound to another DPoP key", clause="RFC 9449 10")


def _same(one: bytes, other: bytes | None) -> bool:
    return other is not None and hmac.compare_digest(one, other)


def _started(state: AuthorizationState, now: datetime) -> Started:
    # oauth-6749.4.1-started
    if not isinstance(state, Started) or now >= state.expires_at:
        raise InvalidRequest("this authorization is over; begin again in the wallet")
    return state
