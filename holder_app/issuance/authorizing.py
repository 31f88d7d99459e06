"""Log in at an agency: to its authorization server with the browser, and back with a code.

The browser that comes back must be the one that went (protocols.md 24, 25): ``state`` is remembered with the session,
and works once. As elsewhere each step commits before it talks to another server and again after it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from holder_app.accounts.ports import AccountId
from holder_app.issuance.receiving import (
    IssuancePorts,
    advance,
    client_of,
    fail,
    new_signers,
    public_keys,
    receive,
    signing,
)
from holder_app.issuance.states import Authorizing, Exchanging, Failed, Issuance, Reason, Reviewed, Signing
from holder_app.ports import UNDER_WAY
from wallet_core.errors import AccessDenied, FetchError, MalformedError, PeerRefusal, StateConflict, UntrustedError
from wallet_core.protocols.openid4vci import wallet

LOGIN_TIME: Final = timedelta(hours=1)
"""How long an issuance is kept while the person logs in."""

_CANCELLED: Final = frozenset({"access_denied"})
_LATER: Final = frozenset({"server_error", "temporarily_unavailable"})


class NoSuchLogin(AccessDenied):
    """The answer of a login that this browser did not begin, that came before, or that is too old."""


async def start_login(ports: IssuancePorts, issuance: Issuance, session: str) -> Issuance:
    """Announce the login and remember this browser; ``Authorizing`` follows, with the address to go to.

    Raises:
        StateConflict: the issuance is not open.
        FetchError: the server was not reached; it can be tried again.
    """
    state = issuance.state
    if not isinstance(state, Reviewed | Authorizing | Exchanging):
        raise StateConflict("this offer is not open")
    offer = state.offer if isinstance(state, Reviewed) else state.started.offer
    names = tuple(new_signers(ports, offer))
    now = ports.clock.now()
    try:
        flow = wallet.start_authorization(
            offer,
            client_of(ports, issuance.account_id, offer),
            configuration_ids=names,
            now=now,
            random=ports.random,
        )
        started = await ports.fetch.arun(flow)
    except (PeerRefusal, MalformedError) as exc:
        return fail(ports, issuance, offer, Failed(Reason.LOGIN_REFUSED, exc.detail))
    with ports.unit:
        ports.logins.add(
            _digest(started.state),
            issuance.account_id,
            issuance.id,
            _digest(session),
            expires_at=started.expires_at,
        )
        return ports.issuances.advance(issuance, Authorizing(started), until=now + LOGIN_TIME)


def take_answer(ports: IssuancePorts, account_id: AccountId, session: str, callback: Mapping[str, str]) -> Issuance:
    """Take what the browser brought back; ``Exchanging`` follows, for :func:`exchange`.

    Raises:
        NoSuchLogin: the browser did not go from here, or was here already.
    """
    now = ports.clock.now()
    with ports.unit:
        digest = _digest(callback.get("state", ""))
        # RFC 6749 10.12, OpenID4VCI 13: for the browser it was given to, and once.
        # oauth-6749.10.12-session
        issuance_id = ports.logins.spend(digest, account_id, _digest(session), now)
        issuance = ports.issuances.get(account_id, issuance_id) if issuance_id is not None else None
        if issuance is None or not isinstance(issuance.state, Authorizing) or issuance.expires_at <= now:
            raise NoSuchLogin("this browser did not begin this login, or it was finished before")
        started = issuance.state.started
        if started.state != callback.get("state"):
            # The person began again: the older answer is for nothing.
            raise NoSuchLogin("a newer login was begun since")
        return ports.issuances.advance(issuance, Exchanging(started, callback, now))


async def exchange(ports: IssuancePorts, issuance: Issuance) -> Issuance:
    """Redeem the code that the browser brought, and receive the credentials.

    The result is as that of accepting an offer; ``Reviewed`` again if the person cancelled there.

    Raises:
        StateConflict: there is no code to redeem.
        FetchError: a server was not reached; the code may still be good.
    """
    state = issuance.state
    if not isinstance(state, Exchanging):
        raise StateConflict("there is no code to redeem")
    offer = state.started.offer
    signers = new_signers(ports, offer, only=state.started.configuration_ids)
    try:
        flow = wallet.finish_authorization(
            state.started,
            state.callback,
            public_keys(signers),
            client_of(ports, issuance.account_id, offer),
            now=ports.clock.now(),
            random=ports.random,
        )
        pending = await ports.fetch.arun(flow)
    except FetchError:
        # Nobody is at it any more: the person may try again at once.
        advance(ports, issuance, replace(state, since=state.since - UNDER_WAY))
        raise
    except UntrustedError as exc:
        return fail(ports, issuance, offer, Failed(Reason.MIXED_UP, exc.detail))
    except PeerRefusal as exc:
        return _after_refusal(ports, issuance, state, exc)
    except MalformedError as exc:
        return fail(ports, issuance, offer, Failed(Reason.BAD_ANSWER, exc.detail))
    issuance = advance(ports, issuance, signing(pending, signers))
    return await receive(ports, issuance) if isinstance(issuance.state, Signing) else issuance


def claim_exchange(ports: IssuancePorts, issuance: Issuance) -> Issuance:
    """Mark that the code is on its way once more: of two windows, one gets through."""
    state, now = issuance.state, ports.clock.now()
    if not isinstance(state, Exchanging):
        raise StateConflict("there is no code to redeem")
    if now < state.since + UNDER_WAY:
        raise StateConflict("this login is being finished at the moment")
    return advance(ports, issuance, Exchanging(state.started, state.callback, now))


def _after_refusal(ports: IssuancePorts, issuance: Issuance, state: Exchanging, refusal: PeerRefusal) -> Issuance:
    """Let the person try again where that helps."""
    offer = state.started.offer
    if refusal.error in _CANCELLED:
        return advance(ports, issuance, Reviewed(offer, notice="cancelled"))
    if refusal.error in _LATER or refusal.status >= 500:
        return advance(ports, issuance, Reviewed(offer, notice="unavailable"))
    if refusal.error == "invalid_grant":
        return advance(ports, issuance, Reviewed(offer, notice="late"))
    return fail(ports, issuance, offer, Failed(Reason.LOGIN_REFUSED, refusal.description))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
