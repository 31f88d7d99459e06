"""Credentials that an agency decides about later (OpenID4VCI 9): asked for again by a durable job, and by hand.

The person agreed before the waiting began, so what comes goes into the wallet, with a line in the history.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from holder_app.accounts.ports import AccountId
from holder_app.credentials.ports import RecordKind
from holder_app.credentials.use_cases import new_record
from holder_app.issuance.describe import describe_receipt
from holder_app.issuance.receiving import (
    RETRY_AFTER,
    IssuancePorts,
    advance,
    client_of,
    fail,
    interval_of,
    notify,
    verified_cards,
    wait,
)
from holder_app.issuance.states import Failed, Issuance, Kept, Waiting
from wallet_core.errors import FetchError, MalformedError, NotFound, PeerRefusal, StateConflict, VerificationError
from wallet_core.protocols.oauth2.token import TokenResponse
from wallet_core.protocols.openid4vci import wallet
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.protocols.openid4vci.pending import IssuedCredentials
from wallet_core.protocols.openid4vci.signed_metadata import metadata_trust

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
            with ports.unit:
                ports.reminders.ask_later(issuance, state.next_at - now, turn=now.isoformat())
        return issuance
    if state.asking_since is not None and now < state.asking_since + RETRY_AFTER:
        raise StateConflict("the issuer is being asked at the moment")
    with ports.unit:
        # Of two that ask, one gets through: an answer with credentials comes only once.
        issuance = ports.issuances.advance(issuance, replace(state, asking_since=now))
        # Should this process end in the middle, another asks.
        ports.reminders.ask_later(issuance, RETRY_AFTER)
    return await _ask(ports, issuance, state)


async def _ask(ports: IssuancePorts, issuance: Issuance, state: Waiting) -> Issuance:
    now = ports.clock.now()
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
    except (FetchError, PeerRefusal, MalformedError, VerificationError):
        pause = max(RETRY_TROUBLE, interval_of(state.issued))
        next_at = ports.clock.now() + pause
        return wait(ports, issuance, replace(state, next_at=next_at, asking_since=None, trouble=True))
    cards = await verified_cards(ports, issuance, answer, state.signers)
    if isinstance(cards, Issuance):
        return cards
    card_ids = state.card_ids + tuple(card.id for card in cards)
    rest = replace(answer, batches=())
    if not card_ids and not answer.deferred:
        return fail(ports, issuance, answer.offer, Failed("denied", _why(answer)))
    now = ports.clock.now()
    with ports.unit:
        if answer.deferred:
            next_at = now + interval_of(answer)
            following: Waiting | Kept = Waiting(rest, state.signers, state.since, next_at, card_ids)
        else:
            following = Kept(card_ids)
        moved = ports.issuances.advance(issuance, following)
        if isinstance(following, Waiting):
            ports.reminders.ask_later(moved, following.next_at - now)
        for card in cards:
            ports.cards.add(card)
        if cards:
            body = describe_receipt(answer.offer, cards, ports.catalogue)
            ports.history.add(new_record(ports.random, issuance.account_id, RecordKind.RECEIVED, now, body))
    if cards:
        await notify(ports, issuance.account_id, answer, NotificationEvent.CREDENTIAL_ACCEPTED)
    return moved


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
    issuer, old = before.issued.offer.offer.credential_issuer, before.issued.token.refresh_token
    new = renewed.issued.token.refresh_token
    if old is not None and new is not None and new != old:
        with ports.unit:
            ports.cards.rotate_token(issuance.account_id, issuer, old, new)
    return advance(ports, issuance, renewed)


def _why(answer: IssuedCredentials) -> str:
    return "; ".join(answer.failures.values()) or "the issuer sent no credential"
