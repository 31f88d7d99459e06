"""Sign what the person agreed to and send it.

The signed answer and its line in the history are stored before anything leaves; what is sent again is the same.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from holder_app.accounts.ports import AccountId
from holder_app.credentials.describe import name_of
from holder_app.credentials.ports import Card, CardCopy, RecordKind
from holder_app.credentials.refreshing import refill_time
from holder_app.credentials.use_cases import card_summary, new_record, settled
from holder_app.links import origin_of
from holder_app.presentation.choices import SHOWN_FIELD, choice_of, create_groups, digest_of
from holder_app.presentation.describe import describe_receipt, divide_fields, policy_of
from holder_app.presentation.held import HeldCards, held_cards
from holder_app.presentation.ports import PresentationPorts
from holder_app.presentation.states import Answered, Answering, Failed, Presentation, PresentationState, Reviewed
from wallet_core.catalogue import Policy
from wallet_core.errors import FetchError, MalformedError, PeerRefusal, StateConflict
from wallet_core.protocols.openid4vp import matching, wallet
from wallet_core.protocols.openid4vp.matching import ApprovedCredential, ApprovedDisclosure
from wallet_core.protocols.openid4vp.pending import ResolvedRequest
from wallet_core.types import JsonObject

RETRY_AFTER = timedelta(seconds=30)
"""After this an answer that seems to be on its way is sent again: three times the client's time limit."""

NOT_ACCEPTED = "not_accepted"
"""Reason in the history: the verifier has what was sent, and refused it."""


MAX_RACES = 10
"""Times that an answer is signed again because another one took the copy; each loss means that another one was sent."""


class CopyTaken(StateConflict):
    """The copy that was signed with was taken by another presentation, or replaced."""


class CopiesUsedUp(StateConflict):
    """Every copy of a card was shown before; the person decides whether one is shown again."""


class ShownChanged(StateConflict):
    """What an answer would send is not what the person saw; the person looks again."""


def sign(ports: PresentationPorts, presentation: Presentation, answers: Mapping[str, str]) -> Presentation:
    """Approve the choice, sign it, and store it with its line in the history, before anything is sent.

    Raises:
        MalformedError: a choice that was not offered, or a card that cannot be read.
        QueryNotSatisfied: nothing in the wallet answers, or the choice leaves out what is required.
        ShownChanged: the answers are about something else than what would be sent now.
        AnswerTooLarge: the verifier could not read it all; nothing was stored and no copy used.
        CopiesUsedUp: a copy that others have seen would be sent, and the person was not asked about it.
        StateConflict: another window decided meanwhile.
    """
    for _ in range(MAX_RACES):
        # Another presentation took the copy meanwhile: choose and sign again.
        with suppress(CopyTaken):
            return _sign(ports, presentation, answers)
    raise StateConflict("other requests are being answered with the same card")


def _sign(ports: PresentationPorts, presentation: Presentation, answers: Mapping[str, str]) -> Presentation:
    resolved, account_id, now = resolved_of(presentation), presentation.account_id, ports.clock.now()
    held = held_for(ports, account_id, resolved)
    matches = held.matches()
    groups = create_groups(matches, held.withdrawn) if matches.satisfiable else ()
    # A card may have been renewed, revoked or removed since: the answer names places of the list that was shown.
    if answers.get(SHOWN_FIELD) != digest_of(groups, held.candidates, held.withdrawn):
        raise ShownChanged("what would be sent has changed since it was shown")
    approved = matching.approve(matches, choice_of(groups, answers))
    _check_reuse(held, approved, answers)
    pending = wallet.create_presentation(
        resolved, approved, held.indexed, now=now, transaction_types=ports.catalogue.transaction_types
    )
    signatures = tuple(
        held.copies[item.credential_id].signer.sign(_bytes(item.signing_input)) for item in pending.to_sign
    )
    wallet.validate_answer(pending, signatures)
    record = new_record(
        ports.random, account_id, RecordKind.SENDING, now, _receipt(ports, resolved, approved, held, now)
    )
    with ports.unit:
        signed = ports.presentations.advance(presentation, Answering(pending, signatures, record.id, now))
        ports.history.add(record)
        for card_id in {one.credential_id for one in approved.credentials}:
            _take(ports, held.cards[card_id], held.copies[card_id], now)
    return signed


def _check_reuse(held: HeldCards, approved: ApprovedDisclosure, answers: Mapping[str, str]) -> None:
    """Refuse to show a copy again unless the person was told that it can be linked, and sent it all the same."""
    for card_id in {one.credential_id for one in approved.credentials}:
        # haip-4-reuse-asked
        if held.copies[card_id].uses and reuse_field(card_id) not in answers:
            raise CopiesUsedUp("the single-use copies of a card are used up")


def reuse_field(card_id: str) -> str:
    """Return the name of the field that says that the person was told about a copy that is shown again."""
    return f"reuse-{card_id}"


def _take(ports: PresentationPorts, card: Card, copy: CardCopy, now: datetime) -> None:
    """Count a copy as used: whatever becomes of the answer, it may have been read."""
    if not ports.cards.take(card.account_id, copy):
        raise CopyTaken("another presentation took the copy")
    refill_at = refill_time(card, now, ports.random)
    if refill_at is not None:
        ports.cards.refresh_soon(card.account_id, card.id, refill_at)


async def send(ports: PresentationPorts, presentation: Presentation) -> Presentation:
    """Post the signed answer and store what the verifier said.

    Raises:
        StateConflict: it is not signed, or another window settled it.
        FetchError: the verifier was not reached; it can be tried again at once.
    """
    state = presentation.state
    if not isinstance(state, Answering):
        raise StateConflict("this request is decided already")
    try:
        sent = await ports.fetch.arun(wallet.send_response(state.pending, state.signatures))
    except FetchError:
        advance(ports, presentation, replace(state, since=state.since - RETRY_AFTER))
        raise
    except PeerRefusal as exc:
        # A second sending may be refused because the first one arrived: then nobody knows, and the history says so.
        # A first one that is refused was read all the same: it must not look as if nothing had been shown.
        kind = RecordKind.FAILED if state.tries == 1 else RecordKind.SENDING
        reason = NOT_ACCEPTED if state.tries == 1 else None
        return _settle(ports, presentation, Failed(state.record_id, exc.detail), kind, reason)
    except MalformedError as exc:  # before anything was posted
        return _settle(ports, presentation, Failed(state.record_id, exc.detail), RecordKind.FAILED)
    origin = origin_of(state.pending.resolved.request.response_uri)
    return _settle(ports, presentation, Answered(state.record_id, sent.redirect_uri, origin), RecordKind.SENT)


def claim_again(ports: PresentationPorts, presentation: Presentation) -> Presentation:
    """Mark that a signed answer is sent once more; of two windows, one gets through."""
    state, now = presentation.state, ports.clock.now()
    if not isinstance(state, Answering) or now < state.since + RETRY_AFTER:
        raise StateConflict("the answer is being sent at the moment")
    return advance(ports, presentation, replace(state, since=now, tries=state.tries + 1))


def _settle(
    ports: PresentationPorts,
    presentation: Presentation,
    state: Answered | Failed,
    kind: RecordKind,
    reason: str | None = None,
) -> Presentation:
    with ports.unit:
        done = ports.presentations.advance(presentation, state)
        record = ports.history.get(presentation.account_id, state.record_id)
        if record is not None:
            ports.history.settle(settled(record, kind, reason=reason) if reason else settled(record, kind))
    return done


def advance(ports: PresentationPorts, presentation: Presentation, state: PresentationState) -> Presentation:
    """Store the next state in a transaction of its own. Raises ``StateConflict`` if somebody else was first."""
    with ports.unit:
        return ports.presentations.advance(presentation, state)


def held_for(ports: PresentationPorts, account_id: AccountId, resolved: ResolvedRequest) -> HeldCards:
    """Return the account's cards that could answer a request."""
    return held_cards(
        ports.unit,
        ports.cards,
        account_id,
        resolved.request,
        ports.catalogue,
        ports.issuers,
        ports.clock.now(),
    )


def resolved_of(presentation: Presentation) -> ResolvedRequest:
    """Return the request that waits for a decision. Raises ``StateConflict`` if there is none."""
    if not isinstance(presentation.state, Reviewed):
        raise StateConflict("this request was not looked at yet, or is decided already")
    return presentation.state.resolved


def _receipt(
    ports: PresentationPorts, resolved: ResolvedRequest, approved: ApprovedDisclosure, held: HeldCards, now: datetime
) -> JsonObject:
    policy = policy_of(resolved, ports.catalogue)
    cards = [_card_receipt(ports, one, held, policy) for one in approved.credentials]
    return describe_receipt(resolved, ports.catalogue, cards, now)


def _card_receipt(
    ports: PresentationPorts, approved: ApprovedCredential, held: HeldCards, policy: Policy | None
) -> JsonObject:
    card = held.cards[approved.credential_id]
    claims = held.candidates[card.id].claims
    sent, anyway, hidden = divide_fields(
        card, claims, approved.selected, approved.always_shown, ports.catalogue, policy
    )
    name = name_of(card, ports.catalogue)
    return {"card_id": card.id, **card_summary(name, card.issuer_name, sent, anyway, hidden)}


def _bytes(signing_input: bytes | None) -> bytes:
    if signing_input is None:
        raise TypeError("only items that need a signature are signed")
    return signing_input
