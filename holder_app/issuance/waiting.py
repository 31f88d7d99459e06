"""Credentials that an agency decides about later (OpenID4VCI 9): asked for again by a durable job, and by hand.

The person agreed before the waiting began, so what comes goes into the wallet, with a line in the history.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from holder_app.accounts.ports import AccountId
from holder_app.credentials.ports import RecordKind
from holder_app.credentials.refreshing import GRANT_OVER
from holder_app.credentials.use_cases import new_record
from holder_app.issuance.describe import describe_receipt
from holder_app.issuance.receiving import (
    IssuancePorts,
    JudgedBatches,
    advance,
    client_of,
    fail,
    interval_of,
    not_received,
    notify,
    verify_batches,
    wait,
)
from holder_app.issuance.states import Failed, Issuance, Kept, Reason, Waiting
from holder_app.issuance.tokens import claim_token, release_token, rotate_token
from holder_app.ports import UNDER_WAY
from wallet_core.errors import FetchError, MalformedError, NotFound, PeerRefusal, StateConflict, VerificationError
from wallet_core.protocols.oauth2.token import TokenResponse
from wallet_core.protocols.openid4vci import wallet
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.protocols.openid4vci.signed_metadata import metadata_trust

_MARGIN: Final = timedelta(seconds=1)
"""By how much the clocks of database and process may differ."""

RETRY_TROUBLE: Final = timedelta(minutes=10)
"""How soon an issuer is asked again that could not be reached or made no sense; or after its interval, if longer."""


async def ask_again(
    ports: IssuancePorts, account_id: AccountId, issuance_id: str, *, reminded: bool = False
) -> Issuance:
    """Ask whether the agency has decided, and put what comes into the wallet.

    Nothing is asked before the interval that the issuer named is over. ``reminded`` tells that the durable job asks,
    which then comes back.

    Raises:
        NotFound: the account has no such issuance.
        StateConflict: somebody else is asking at the moment.
    """
    with ports.unit:
        issuance = ports.issuances.get(account_id, issuance_id)
    now = ports.clock.now()
    if issuance is None or issuance.expires_at <= now:
        raise NotFound("no such offer in this wallet, or it waited too long")
    state = issuance.state
    if not isinstance(state, Waiting):
        return issuance
    # OpenID4VCI 9.2: interval is the least time to wait.
    # vci-9.2-interval
    if now < state.next_at:
        if reminded:  # the clocks of database and process differ
            _come_again(ports, issuance, state.next_at, now)
        return issuance
    if state.asking_since is not None and now < state.asking_since + UNDER_WAY:
        if reminded:
            _come_again(ports, issuance, state.asking_since + UNDER_WAY, now)
        raise StateConflict("the issuer is being asked at the moment")
    with ports.unit:
        if is_free := claim_token(ports, account_id, state.card_ids, now):
            # Of two that ask, one gets through: an answer with credentials comes only once.
            issuance = ports.issuances.advance(issuance, replace(state, asking_since=now))
            # Should this process end in the middle, another asks.
            ports.reminders.ask_later(issuance, UNDER_WAY)
    if not is_free:
        if reminded:
            _come_again(ports, issuance, now + UNDER_WAY, now)
        raise StateConflict("new copies of a card that came before are being fetched at the moment")
    try:
        return await _ask(ports, issuance, state, now)
    finally:
        release_token(ports, account_id, state.card_ids)


def _come_again(ports: IssuancePorts, issuance: Issuance, at: datetime, now: datetime) -> None:
    """Have the durable job, which is running, come back: without it nobody asks any more by itself.

    One for each time, so that jobs do not gather; a little later, so that it is not the one that runs.
    """
    with ports.unit:
        ports.reminders.ask_later(issuance, at - now + _MARGIN, turn=at.isoformat())


async def _ask(ports: IssuancePorts, issuance: Issuance, state: Waiting, now: datetime) -> Issuance:
    state = _with_latest_token(ports, issuance.account_id, state)

    def keep(token: TokenResponse) -> None:
        nonlocal issuance, state
        renewed = replace(state, issued=replace(state.issued, token=token), asking_since=now)
        issuance, state = _keep_token(ports, issuance, state, renewed), renewed

    try:
        trust = metadata_trust(ports.anchors, at=now)
        offer = await ports.fetch.arun(wallet.resolve_today(state.issued.offer, trust=trust))
        flow = wallet.poll_deferred(
            replace(state.issued, offer=offer),
            keep=keep,
            now=now,
            client=client_of(ports, issuance.account_id, offer),
            random=ports.random,
        )
        answer = await ports.fetch.arun(flow)
    except (FetchError, PeerRefusal, MalformedError, VerificationError) as exc:
        if isinstance(exc, PeerRefusal) and exc.error in GRANT_OVER:
            return _give_up(ports, issuance, state, exc)
        pause = max(RETRY_TROUBLE, interval_of(state.issued))
        next_at = ports.clock.now() + pause
        return wait(ports, issuance, replace(state, next_at=next_at, asking_since=None, trouble=True))
    came = await verify_batches(ports, issuance, answer, state.signers)
    if isinstance(came, Issuance):
        return came
    if state.card_ids or came.cards or came.good.deferred:
        moved = _take(ports, issuance, state, came)
    else:
        moved = fail(ports, issuance, answer.offer, came.lack)
    await notify(ports, issuance.account_id, came.good, NotificationEvent.CREDENTIAL_ACCEPTED)
    await notify(ports, issuance.account_id, came.bad, NotificationEvent.CREDENTIAL_FAILURE)
    return moved


def _take(ports: IssuancePorts, issuance: Issuance, before: Waiting, came: JudgedBatches) -> Issuance:
    """Put what came into the wallet, tell what did not, and go on waiting for what is still put off."""
    now, account_id, answer, cards = ports.clock.now(), issuance.account_id, came.good, came.cards
    card_ids = before.card_ids + tuple(card.id for card in cards)
    following: Waiting | Kept = Kept(card_ids)
    if answer.deferred:
        rest = replace(answer, batches=())
        following = Waiting(rest, before.signers, before.since, now + interval_of(answer), card_ids)
    with ports.unit:
        moved = ports.issuances.advance(issuance, following)
        if isinstance(following, Waiting):
            ports.reminders.ask_later(moved, following.next_at - now)
        for card in cards:
            ports.cards.add(card)
        if cards:
            body = describe_receipt(answer.offer, cards, ports.catalogue)
            ports.history.add(new_record(ports.random, account_id, RecordKind.RECEIVED, now, body))
        if answer.failures.keys() - before.issued.failures.keys():
            ports.history.add(not_received(ports, account_id, answer.offer, came.lack.reason))
    return moved


def _give_up(ports: IssuancePorts, issuance: Issuance, state: Waiting, refusal: PeerRefusal) -> Issuance:
    """End the waiting: the token is over and nobody gives another one, so that no answer can be asked for any more."""
    if not state.card_ids:
        return fail(ports, issuance, state.issued.offer, Failed(Reason.REFUSED, refusal.detail))
    with ports.unit:
        ports.history.add(not_received(ports, issuance.account_id, state.issued.offer, Reason.REFUSED))
        return ports.issuances.advance(issuance, Kept(state.card_ids))


def _with_latest_token(ports: IssuancePorts, account_id: AccountId, state: Waiting) -> Waiting:
    """Return the state with the refresh token of the cards that came before: theirs may have been renewed since."""
    with ports.unit:
        cards = [ports.cards.get(account_id, card_id) for card_id in state.card_ids]
    grants = [card.grant for card in cards if card is not None and card.grant is not None]
    if not grants:
        return state
    token = replace(state.issued.token, refresh_token=grants[0].refresh_token)
    return replace(state, issued=replace(state.issued, token=token))


def _keep_token(ports: IssuancePorts, issuance: Issuance, before: Waiting, renewed: Waiting) -> Issuance:
    """Store a renewed token, first with the cards that have the one before it: they stay if nobody waits any more.

    Raises:
        StateConflict: the person does not wait any more.
    """
    rotate_token(ports, issuance.account_id, before.issued, renewed.issued.token)
    return advance(ports, issuance, renewed)
