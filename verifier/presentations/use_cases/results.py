"""Reading what became of a presentation, redeeming response codes, and what time alone does."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from verifier.presentations.ports import PresentationPorts, Storage, StoredPresentation, Unreadable, Wanted
from verifier.relying_parties.ports import RelyingParty
from wallet_core.errors import NotFound, StateConflict
from wallet_core.protocols.openid4vp import presentation as states
from wallet_core.protocols.openid4vp.asking import code_digest, settle
from wallet_core.protocols.openid4vp.checks import Check
from wallet_core.protocols.openid4vp.presentation import Answered, Credentials, Presentation, Refused, Verified
from wallet_core.protocols.openid4vp.stored import credentials_of
from wallet_core.protocols.openid4vp.transaction_data import TransactionData
from wallet_core.types import QueryId

BATCH: Final = 200
"""Presentations that one job moves on or deletes: a transaction of some tens of milliseconds."""

PAGE: Final = 50
"""Rows of one page of a list."""

EVERY: Final = Wanted()
"""No presentation is left out of a list."""

# The state that a page shows of requests beside each other: of the one that got furthest.
_PROGRESS: Final = ("expired", "requested", "retrieved", "answered", "refused", "verified")


@dataclass(frozen=True, slots=True)
class Result:
    """What a relying party may know of a presentation now.

    Attributes:
        id: of the presentation.
        check_id: the page's check that it belongs to; None if a caller of our API asked.
        policy_id: the policy it followed; None for a query of its own.
        state: requested, retrieved, answered, verified, refused or expired.
        credentials: the claims, only while ``verified`` and kept; None otherwise.
        checks: the numbered checks; empty before an answer and where the wallet sent none.
        error: code of what went wrong; None if nothing did.
        error_description: one sentence on it, without personal data.
        clause: where the broken rule stands, if known.
        created_at: when it was asked.
        expires_at: until when it can or could be answered.
        ended_at: when it was verified, refused or expired; None before.
        claims_until: until when the claims are kept, or when they were deleted early; None unless verified.
        record_until: until when the presentation is kept, with its record.
        transactions: what was to be agreed to, with the query whose answer agreed to it; None before ``verified``.
        stopped: whether it is ``expired`` because whoever asked gave up.
        portrait_matches: whether the portrait is of the person at the desk, as staff said; None where nobody said.
    """

    id: str
    check_id: str | None
    policy_id: str | None
    state: str
    credentials: Credentials | None
    checks: tuple[Check, ...]
    error: str | None
    error_description: str | None
    clause: str | None
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    claims_until: datetime | None
    record_until: datetime
    transactions: tuple[tuple[TransactionData, QueryId | None], ...] = ()
    stopped: bool = False
    portrait_matches: bool | None = None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What became of the three requests of a page.

    Attributes:
        id: of the check.
        result: of the request that got furthest; the one to show.
    """

    id: str
    result: Result


@dataclass(frozen=True, slots=True)
class MovedOn:
    """How many presentations time has moved on, and the ids of those of them that could not be read."""

    count: int
    unreadable: tuple[str, ...]


def show_presentation(ports: PresentationPorts, party: RelyingParty, presentation_id: str) -> Result:
    """Return what became of a presentation.

    Raises:
        NotFound: the party has no such presentation.
    """
    storage = ports.looking()
    with storage.unit:
        # vp-14.3.3-own-only
        found = storage.presentations.by_id(party.id, presentation_id)
    if found is None:
        raise NotFound("there is no such presentation")
    return _result(found, ports.clock.now())


def show_check(ports: PresentationPorts, party: RelyingParty, check_id: str) -> CheckResult:
    """Return what became of a check that :func:`~.requests.start_check` began.

    Raises:
        NotFound: the party has no such check.
    """
    storage = ports.looking()
    with storage.unit:
        found = [one for one in storage.presentations.of_check(check_id) if one.party_id == party.id]
    if not found:
        raise NotFound("there is no such check")
    results = [_result(one, ports.clock.now()) for one in found]
    return CheckResult(check_id, max(results, key=lambda result: _PROGRESS.index(result.state)))


def list_presentations(
    ports: PresentationPorts, party: RelyingParty, *, before: str = "", wanted: Wanted = EVERY
) -> tuple[list[Result], str | None]:
    """Return a page of a party's presentations, newest first, and the cursor of the next page; pages show no claims."""
    storage = ports.reading()
    with storage.unit:
        found = (
            storage.presentations.latest(party.id, before=before, limit=PAGE + 1)
            if wanted == EVERY
            else storage.presentations.search(party.id, wanted, before=before, limit=PAGE + 1, now=ports.clock.now())
        )
    page = [_result(one, ports.clock.now()) for one in found[:PAGE]]
    return page, page[-1].id if len(found) > PAGE else None


def redeem_response_code(
    storage: Storage, party: RelyingParty, presentation_id: str, response_code: str, *, now: datetime
) -> bool:
    """Open the claims to whoever brings the response code from the wallet's redirect, once (protocols 24).

    Returns:
        Whether the code was right. A wrong one is counted, so that is no exception, which would roll the count back.

    Raises:
        NotFound: the party has no such presentation.
        StateConflict: there is nothing to redeem, or it was redeemed before.
    """
    with storage.unit:
        stored = storage.presentations.by_id(party.id, presentation_id)
        if stored is None:
            raise NotFound("there is no such presentation")
        redeemed = states.redeem(stored.state, code_digest(response_code), now=now)
        storage.presentations.advance(stored, redeemed)
    return isinstance(redeemed, Verified)


def redeem_in_browser(ports: PresentationPorts, response_code: str, *, session_digest: bytes) -> Result:
    """Return the result to the page of ours to which a wallet sent the browser back (protocols 24, HAIP 5.1).

    In a browser that did not begin the presentation it becomes ``refused``, and nothing personal is returned.

    Args:
        ports: what is needed.
        response_code: from the address.
        session_digest: SHA-256 of the session of the browser that brought it.

    Raises:
        NotFound: nobody waits for this code.
        StateConflict: it was redeemed before.
    """
    storage, now, digest = ports.storage(), ports.clock.now(), code_digest(response_code)
    with storage.unit:
        stored = storage.presentations.by_response_code(digest)
        if stored is None or stored.session_digest is None:
            raise NotFound("nobody waits for this answer")
        # x509-HAIP5.1-session
        same_browser = stored.session_digest == session_digest
        moved: Presentation = (
            states.redeem(stored.state, digest, now=now)
            if same_browser
            else states.return_elsewhere(stored.state, now=now)
        )
        storage.presentations.advance(stored, moved)
    return _result(stored.moved(moved), now)


def forget_claims(storage: Storage, party: RelyingParty, presentation_id: str, *, now: datetime) -> None:
    """Delete the claims of a presentation that has ended before their time; a repeat changes nothing.

    Its record stays, without what opens the digests in it.

    Raises:
        NotFound: the party has no such presentation.
        StateConflict: it has not ended.
    """
    with storage.unit:
        stored = storage.presentations.by_id(party.id, presentation_id)
        if stored is None:
            raise NotFound("there is no such presentation")
        settle(
            stored,
            partial(states.forget, now=now),
            advance=partial(_advance_if_moved, storage),
            read_again=lambda: storage.presentations.by_id(party.id, presentation_id),
        )


def note_portrait(storage: Storage, party: RelyingParty, presentation_id: str, *, matches: bool, now: datetime) -> None:
    """Note whether a portrait that was shared is of the person at the desk, as staff say; their last word counts.

    Nothing that was shared is kept longer for it, and the verification record, which is of what machines found, does
    not change.

    Not done here: whether what was shared holds a portrait.

    Raises:
        NotFound: the party has no such presentation.
        StateConflict: it was not verified, or what was shared is gone: then nobody can have looked.
    """
    with storage.unit:
        stored = storage.presentations.by_id(party.id, presentation_id)
        if stored is None:
            raise NotFound("there is no such presentation")
        if credentials_of(states.observe(stored.state, now=now)) is None:
            raise StateConflict("there is no portrait to compare")
        storage.presentations.note_portrait(presentation_id, matches=matches)


def _advance_if_moved(storage: Storage, stored: StoredPresentation, state: Presentation) -> None:
    if state != stored.state:
        storage.presentations.advance(stored, state)


def move_on_in_time(storage: Storage, *, now: datetime) -> MovedOn:
    """Store what time alone has done: expired requests, claims that may no longer be kept.

    At most :data:`BATCH`, in the caller's unit of work. Of one that cannot be read the claims go all the same.
    """
    found = storage.presentations.changing(now=now, limit=BATCH)
    for one in found:
        if isinstance(one, Unreadable):
            storage.presentations.forget_claims(one.id)
            continue
        moved = states.observe(one.state, now=now)
        # It was read without claims: to store it as it is would delete them before their time.
        if moved is one.state:
            continue
        try:
            storage.presentations.advance(one, moved)
        except StateConflict:
            # Somebody moved it meanwhile; if it is still due, the next run finds it.
            continue
    return MovedOn(len(found), tuple(one.id for one in found if isinstance(one, Unreadable)))


def delete_old_presentations(storage: Storage, *, now: datetime) -> int:
    """Delete presentations, records and all, that may no longer be kept, at most :data:`BATCH`, and return how many."""
    return storage.presentations.delete_old(now=now, limit=BATCH)


def _result(stored: StoredPresentation, now: datetime) -> Result:
    state = states.observe(stored.state, now=now)
    terms = state.terms
    refused = state if isinstance(state, Refused) else None
    verified = state if isinstance(state, Verified) else None
    return Result(
        id=stored.id,
        check_id=stored.check_id,
        policy_id=stored.policy_id,
        state=state.kind,
        # Protocols 24: before the code is redeemed nobody reads a claim.
        # vp-13.3-closed-claims
        credentials=credentials_of(state) if verified else None,
        checks=_checks(state),
        error=refused.error if refused else None,
        error_description=refused.description if refused else None,
        clause=refused.clause if refused else None,
        created_at=terms.created_at,
        expires_at=terms.expires_at,
        ended_at=_ended_at(state),
        claims_until=verified.keep_until if verified else None,
        record_until=stored.delete_at,
        transactions=_transactions(state),
        stopped=isinstance(state, states.Expired) and state.stopped,
        portrait_matches=stored.portrait_matches,
    )


def _transactions(state: Presentation) -> tuple[tuple[TransactionData, QueryId | None], ...]:
    asked = state.terms.request.transaction_data
    agreed = state.agreed if isinstance(state, Verified) else (None,) * len(asked)
    return tuple(zip(asked, agreed, strict=True))


def _checks(state: Presentation) -> tuple[Check, ...]:
    return state.checks if isinstance(state, Answered | Verified | Refused) else ()


def _ended_at(state: Presentation) -> datetime | None:
    match state:
        case Verified():
            return state.verified_at
        case Refused():
            return state.refused_at
        case states.Expired():
            return state.expired_at
        case _:
            return None
