"""The Verifier's side of one presentation: its states and how it moves between them (OpenID4VP 1.0 sections 8.2, 13.3).

```text
Requested ──retrieve──▶ Retrieved ──answer──▶ Verified                       (cross device)
    │                       │     └─answer──▶ Answered ──redeem──▶ Verified   (same device: protocols 24)
    └──────── refuse ───────┴──▶ Refused ◀──too many wrong codes, another browser──┘
    └── end, stop, or time ─┴──▶ Expired ◀──never redeemed──┘
```

A ``Verified`` one loses its claims by time (:func:`observe`) or before it (:func:`forget`), and stays ``Verified``.

Transitions are pure. One that must be remembered returns a state; one that must not raises.
"""

import hmac
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final, TypeAlias

from wallet_core.errors import Expired as ExpiredError
from wallet_core.errors import NotFound, StateConflict, VerificationError, WalletError
from wallet_core.protocols.openid4vp.checks import Checks, CheckStep, failed_checks
from wallet_core.protocols.openid4vp.dc_api import DcApiOffer, DcApiRequest
from wallet_core.protocols.openid4vp.presented import PresentedCredential
from wallet_core.protocols.openid4vp.request import AuthorizationRequest, RequestUriMethod
from wallet_core.protocols.openid4vp.validation import ValidatedResponse
from wallet_core.types import QueryId

REDEEM_WITHIN: Final = timedelta(minutes=5)
"""How long a response_code may be redeemed: the wallet's redirect takes seconds."""

MAX_WRONG_CODES: Final = 5
"""Wrong response codes after which a presentation is refused. A code has 192 bits (``asking.SECRET_BYTES``), so this
stops noise, not luck."""

Credentials: TypeAlias = dict[QueryId, tuple[PresentedCredential, ...]]


class PresentationFlow(StrEnum):
    """Where the wallet is, seen from the page that asks. Fixed when the request is made (M23)."""

    CROSS_DEVICE = "cross_device"
    SAME_DEVICE = "same_device"


@dataclass(frozen=True, slots=True)
class Terms:
    """What is fixed when a presentation is requested.

    Attributes:
        request: what the wallet is asked. ``state`` in it, if it has one, is the request-id of OpenID4VP 13.3, never
            the id of the presentation, which is the transaction-id there and never reaches a wallet.
        flow: same device or cross device.
        request_uri_method: how the wallet is to fetch the Request Object.
        redirect_uri: where the caller wants the browser back; None for our own pages.
        created_at: when.
        expires_at: until when the wallet may answer.
        keep_for: how long claims are kept once they may be read.
        dc_api: how the request is offered to the browser; None where the wallet fetches it and posts its answer.
    """

    request: AuthorizationRequest | DcApiRequest
    flow: PresentationFlow
    request_uri_method: RequestUriMethod
    redirect_uri: str | None
    created_at: datetime
    expires_at: datetime
    keep_for: timedelta
    dc_api: DcApiOffer | None = None

    @property
    def linked_request(self) -> AuthorizationRequest:
        """The request, where a link leads a wallet to it: the wallet fetches it and posts its answer.

        Raises:
            NotFound: it went through the browser's Digital Credentials API: nobody fetches it, nobody posts to it.
        """
        # dcapi-A.2-no-response-uri
        if not isinstance(self.request, AuthorizationRequest):
            raise NotFound("there is no such request", clause="OpenID4VP A.2")
        return self.request


@dataclass(frozen=True, slots=True)
class Requested:
    """Made; no wallet has fetched it."""

    kind: ClassVar[str] = "requested"
    terms: Terms


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A wallet has fetched it, perhaps more than once (M24)."""

    kind: ClassVar[str] = "retrieved"
    terms: Terms
    retrieved_at: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """Same device: the answer is good, but the browser that started has not come back with the response code.

    ``agreed`` as in :class:`Verified`.
    """

    kind: ClassVar[str] = "answered"
    terms: Terms
    checks: Checks
    credentials: Credentials
    answered_at: datetime
    response_code_digest: bytes
    wrong_codes: int = 0
    agreed: tuple[QueryId, ...] = ()


@dataclass(frozen=True, slots=True)
class Verified:
    """The answer is good. Its claims may be read until ``keep_until``; ``credentials`` is None once they are gone.

    ``agreed`` has, for each entry of the request's ``transaction_data``, the query whose answer agreed to it.
    """

    kind: ClassVar[str] = "verified"
    terms: Terms
    checks: Checks
    credentials: Credentials | None
    verified_at: datetime
    keep_until: datetime
    agreed: tuple[QueryId, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """It failed: a check did, the wallet said no, or the wrong browser came back.

    ``error`` is a code, ``description`` a sentence without personal data, ``clause`` where the rule stands if known.
    """

    kind: ClassVar[str] = "refused"
    terms: Terms
    error: str
    description: str
    clause: str | None
    checks: Checks
    refused_at: datetime


@dataclass(frozen=True, slots=True)
class Expired:
    """Nobody answered in time, another one that stood beside it was answered (M23), or whoever asked ``stopped``."""

    kind: ClassVar[str] = "expired"
    terms: Terms
    expired_at: datetime
    stopped: bool = False


Presentation: TypeAlias = Requested | Retrieved | Answered | Verified | Refused | Expired
Open: TypeAlias = Requested | Retrieved
Redeemed: TypeAlias = Verified | Answered | Refused | Expired


def require_open(state: Presentation, *, now: datetime) -> Open:
    """Return ``state`` if a wallet may still answer it.

    Raises:
        StateConflict: it was answered, refused or ended: a second answer is refused (M25).
        ExpiredError: its time is over.
    """
    if isinstance(state, Expired) and state.stopped:
        raise StateConflict("whoever asked has stopped this request", clause="OpenID4VP 13.3")
    # vp-13.3-once
    if not isinstance(state, Requested | Retrieved):
        raise StateConflict("this request was answered or has ended", clause="OpenID4VP 13.3")
    # vp-13.3-expired
    if now >= state.terms.expires_at:
        raise ExpiredError("this request has expired", clause="OpenID4VP 13.3")
    return state


def retrieve(state: Presentation, *, now: datetime) -> Retrieved:
    """Return the state after a wallet fetched the request, the first time or again. Raises as :func:`require_open`."""
    is_open = require_open(state, now=now)
    return is_open if isinstance(is_open, Retrieved) else Retrieved(is_open.terms, now)


def answer(
    state: Presentation, validated: ValidatedResponse, *, response_code_digest: bytes, now: datetime
) -> Answered | Verified:
    """Return the state after an answer that passed every check.

    In the same-device flow the claims stay closed until the browser that started brings the response code (13.3).
    Raises as :func:`require_open`.
    """
    terms = require_open(state, now=now).terms
    # vp-13.3-same-device
    if terms.flow is PresentationFlow.SAME_DEVICE:
        return Answered(
            terms, validated.checks, dict(validated.credentials), now, response_code_digest, agreed=validated.agreed
        )
    keep_until = now + terms.keep_for
    return Verified(terms, validated.checks, dict(validated.credentials), now, keep_until, validated.agreed)


def refuse(state: Presentation, error: WalletError, *, now: datetime) -> Refused:
    """Return the state after an answer that failed. Raises as :func:`require_open`."""
    terms = require_open(state, now=now).terms
    asked = {CheckStep.TRANSACTION_AGREED} if terms.request.transaction_data else ()
    checks = failed_checks(error, asked) if isinstance(error, VerificationError) else Checks()
    return Refused(terms, error.code, error.description, error.clause, checks, now)


def decline(state: Presentation, error: str, *, now: datetime) -> Refused:
    """Return the state after the wallet sent an error response (8.5). Raises as :func:`require_open`."""
    terms = require_open(state, now=now).terms
    return Refused(terms, error, "the wallet did not answer the request", "OpenID4VP 8.5", Checks(), now)


def end(state: Presentation, *, now: datetime) -> Expired:
    """Return the state after the request that stood beside this one was answered (M23).

    Raises:
        StateConflict: this one was answered itself.
    """
    if not isinstance(state, Requested | Retrieved):
        raise StateConflict("this request was answered or has ended")
    return Expired(state.terms, now)


def stop(state: Presentation, *, now: datetime) -> Expired:
    """Return the state after whoever asked gave up waiting. Raises as :func:`require_open`: an answer stays."""
    return Expired(require_open(state, now=now).terms, now, stopped=True)


def redeem(
    state: Presentation, response_code_digest: bytes, *, now: datetime
) -> Verified | Answered | Refused | Expired:
    """Return the state after somebody brought a response code.

    A wrong code is counted, so it returns a state: ``Answered`` still, or ``Refused`` after too many. One brought too
    late ends it.

    Raises:
        StateConflict: there is nothing to redeem, or it was redeemed before.
    """
    if not isinstance(state, Answered):
        raise StateConflict("there is no answer to redeem", clause="OpenID4VP 13.3")
    # vp-13.3-redeem-late
    if now >= state.answered_at + REDEEM_WITHIN:
        return Expired(state.terms, now)
    # vp-13.3-response-code
    if hmac.compare_digest(response_code_digest, state.response_code_digest):
        return Verified(state.terms, state.checks, state.credentials, now, now + state.terms.keep_for, state.agreed)
    counted = replace(state, wrong_codes=state.wrong_codes + 1)
    if counted.wrong_codes < MAX_WRONG_CODES:
        return counted
    return _withdraw(counted, "too many wrong codes", "OpenID4VP 13.3", now)


def return_elsewhere(state: Presentation, *, now: datetime) -> Refused:
    """Return the state after the wallet's redirect came back in a browser that did not start it (HAIP 5.1).

    Raises:
        StateConflict: there is no answer that waits for a browser.
    """
    if not isinstance(state, Answered):
        raise StateConflict("there is no answer to redeem", clause="OpenID4VP 13.3")
    # x509-HAIP5.1-other-browser
    return _withdraw(state, "the answer came back in another browser", "HAIP 5.1", now)


def forget(state: Presentation, *, now: datetime) -> Verified | Refused | Expired:
    """Return the state after whoever asked needs the claims no more, though they might be kept longer.

    One that has ended and holds none is what :func:`observe` says.

    Raises:
        StateConflict: it has not ended.
    """
    ended = observe(state, now=now)
    if not isinstance(ended, Verified | Refused | Expired):
        raise StateConflict("this presentation has not ended: there are no claims to delete yet")
    if isinstance(ended, Verified) and ended.credentials is not None:
        return replace(ended, credentials=None, keep_until=now)
    return ended


def observe(state: Presentation, *, now: datetime) -> Presentation:
    """Return ``state`` as time has left it: expired, or without claims that may no longer be kept."""
    if isinstance(state, Requested | Retrieved) and now >= state.terms.expires_at:
        return Expired(state.terms, state.terms.expires_at)
    if isinstance(state, Answered) and now >= state.answered_at + REDEEM_WITHIN:
        return Expired(state.terms, state.answered_at + REDEEM_WITHIN)
    if isinstance(state, Verified) and now >= state.keep_until:
        return replace(state, credentials=None)
    return state


def next_change(state: Presentation) -> datetime | None:
    """Return when :func:`observe` will first give another value than ``state``; None if never."""
    if isinstance(state, Requested | Retrieved):
        return state.terms.expires_at
    if isinstance(state, Answered):
        return state.answered_at + REDEEM_WITHIN
    return state.keep_until if isinstance(state, Verified) and state.credentials is not None else None


def _withdraw(state: Answered, why: str, clause: str, now: datetime) -> Refused:
    return Refused(state.terms, "access_denied", why, clause, state.checks, now)
