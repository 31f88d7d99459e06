"""Receive cards: take a link, fetch the offer, accept or decline, look at what came, keep it.

How a code becomes cards stands in ``receiving``.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from holder_app.accounts.ports import AccountId
from holder_app.credentials.ports import RecordKind
from holder_app.credentials.use_cases import new_record
from holder_app.issuance.authorizing import claim_exchange, exchange
from holder_app.issuance.describe import describe_receipt
from holder_app.issuance.receiving import (
    ID_BYTES,
    WAITED,
    IssuancePorts,
    advance,
    claim,
    interval_of,
    keeps,
    missing_anchor,
    receive,
    redeem,
)
from holder_app.issuance.states import (
    Authorizing,
    Declined,
    Exchanging,
    Failed,
    Given,
    Issuance,
    IssuanceState,
    Kept,
    Preview,
    Reason,
    Redeeming,
    Reviewed,
    Signing,
    Waiting,
)
from holder_app.issuance.tokens import notify_late
from holder_app.links import LinkKind, host_of, parse_link
from wallet_core.errors import MalformedError, NotFound, PeerRefusal, StateConflict, VerificationError
from wallet_core.protocols.openid4vci import wallet
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.protocols.openid4vci.offer import OfferReference, TxCodeInput, parse_offer_link
from wallet_core.protocols.openid4vci.pending import IssuedCredentials, ResolvedOffer
from wallet_core.protocols.openid4vci.signed_metadata import metadata_trust

UNDECIDED = timedelta(hours=1)
"""How long a link or an offer waits for the person."""


def take_offer_link(ports: IssuancePorts, account_id: AccountId, text: str) -> Issuance:
    """Store an offer link. Nothing is fetched (OpenID4VCI 13.5, protocols.md M21).

    Raises:
        MalformedError: the text is no offer.
    """
    host, link, now = offer_host(text), parse_link(text).text, ports.clock.now()
    issuance = Issuance(ports.random(ID_BYTES).hex(), account_id, 1, Given(link, host), now + UNDECIDED)
    with ports.unit:
        ports.issuances.forget_expired(now)
        ports.issuances.add(issuance)
    return issuance


def offer_host(text: str) -> str:
    """Return the host that an offer link leads to.

    Raises:
        MalformedError: the text is no offer.
    """
    link = parse_link(text)
    if link.kind is not LinkKind.OFFER:
        raise MalformedError("the text is not an offer")
    found = parse_offer_link(link.text)
    return host_of(found.url if isinstance(found, OfferReference) else found.credential_issuer)


def show_issuance(ports: IssuancePorts, account_id: AccountId, issuance_id: str) -> Issuance:
    """Return an issuance of the account.

    Raises:
        NotFound: the account has no such issuance, or its time is over.
    """
    with ports.unit:
        issuance = ports.issuances.get(account_id, issuance_id)
    if issuance is None or issuance.expires_at <= ports.clock.now():
        raise NotFound("no such offer in this wallet, or it waited too long")
    return issuance


def list_unfinished(ports: IssuancePorts, account_id: AccountId) -> Sequence[Issuance]:
    """Return what the account agreed to and does not have yet, what ends first before the others."""
    with ports.unit:
        found = ports.issuances.unfinished(account_id)
    return [issuance for issuance in found if issuance.expires_at > ports.clock.now()]


async def fetch_offer(ports: IssuancePorts, account_id: AccountId, issuance_id: str) -> Issuance:
    """Fetch the offer and the issuer's metadata, now that the person asked for it.

    Raises:
        NotFound: as :func:`show_issuance`.
        FetchError: the server was not reached; it can be tried again.
    """
    issuance = show_issuance(ports, account_id, issuance_id)
    if not isinstance(issuance.state, Given):
        return issuance
    trust = metadata_trust(ports.anchors, at=ports.clock.now())
    try:
        offer = await ports.fetch.arun(wallet.resolve_offer(issuance.state.link, trust=trust))
        next_state = _reviewed(ports, offer)
    except (MalformedError, PeerRefusal, VerificationError) as exc:
        # Where an offer by reference is gone, it was used or is too old (OpenID4VCI 4.1.3).
        gone = isinstance(exc, PeerRefusal) and exc.status in {404, 410}
        next_state = Failed(Reason.CODE_GONE if gone else Reason.BAD_OFFER, exc.detail)
    return advance(ports, issuance, next_state)


def _reviewed(ports: IssuancePorts, offer: ResolvedOffer) -> IssuanceState:
    """Return the offer for the person to decide, if the wallet could keep any of it."""
    if not any(map(keeps(ports), offer.configurations)):
        return Failed(Reason.UNSUPPORTED)
    # Before the code is spent: what comes could not be verified, and the code is good only once.
    purpose = missing_anchor(ports, offer)
    return Reviewed(offer) if purpose is None else Failed(Reason.NO_ANCHOR, f"no anchor for {purpose}")


class UnfitCode(MalformedError):
    """A transaction code that cannot be right, by what the offer tells of it. Nothing was sent, and no try is lost."""

    code = "unfit_tx_code"
    fault = "you"

    def __init__(self, wanted: TxCodeInput) -> None:
        """``wanted`` is what the offer tells of it."""
        super().__init__("the transaction code is not as the offer describes it")
        self.wanted = wanted


async def accept_offer(
    ports: IssuancePorts, account_id: AccountId, issuance_id: str, tx_code: str | None = None
) -> Issuance:
    """Redeem the code, prove possession of new keys, receive and verify the credentials.

    Going on after an interruption is the same call. The result is a ``Preview``, ``Waiting`` where the agency decides
    later, a ``Failed``, or ``Reviewed`` again if the transaction code was wrong.

    Raises:
        NotFound: as :func:`show_issuance`.
        StateConflict: another window does this at the moment, or the offer was declined.
        UnfitCode: the transaction code has another length than the offer says, or other characters.
        FetchError: a server was not reached; it can be tried again.
    """
    issuance = show_issuance(ports, account_id, issuance_id)
    if isinstance(issuance.state, Exchanging):
        return await exchange(ports, claim_exchange(ports, issuance))
    if isinstance(issuance.state, Reviewed) and missing_anchor(ports, issuance.state.offer) is not None:
        return advance(ports, issuance, _reviewed(ports, issuance.state.offer))  # a root went since it was looked at
    if isinstance(issuance.state, Reviewed | Redeeming):
        _validate_code(issuance.state.offer, (tx_code or "").strip())
        issuance = await redeem(ports, claim(ports, issuance), tx_code)
    if isinstance(issuance.state, Signing):
        issuance = await receive(ports, issuance)
    if isinstance(issuance.state, Given | Declined | Authorizing):
        raise StateConflict("the offer is not open any more, or was not looked at yet")
    return issuance


def _validate_code(offer: ResolvedOffer, code: str) -> None:
    wanted = offer.offer.tx_code
    if wanted is not None and code and not wanted.admits(code):
        raise UnfitCode(wanted)


async def keep_cards(ports: IssuancePorts, account_id: AccountId, issuance_id: str) -> Issuance:
    """Put the cards that were looked at into the wallet, and tell the issuer. What is deferred is waited for.

    Raises:
        NotFound: as :func:`show_issuance`.
        StateConflict: there is nothing to keep.
    """
    issuance = show_issuance(ports, account_id, issuance_id)
    state = issuance.state
    if isinstance(state, Kept | Waiting):
        return issuance
    if not isinstance(state, Preview):
        raise StateConflict("there is no card to keep")
    now, card_ids = ports.clock.now(), tuple(card.id for card in state.cards)
    with ports.unit:
        if state.issued.deferred:
            pause = interval_of(state.issued)
            rest = replace(state.issued, batches=())
            waiting = Waiting(rest, state.signers, now, now + pause, card_ids)
            kept = ports.issuances.advance(issuance, waiting, until=now + WAITED)
            ports.reminders.ask_later(kept, pause)
        else:
            kept = ports.issuances.advance(issuance, Kept(card_ids))
        for card in state.cards:
            ports.cards.add(card)
        body = describe_receipt(state.issued.offer, state.cards, ports.catalogue)
        ports.history.add(new_record(ports.random, account_id, RecordKind.RECEIVED, now, body))
    await notify_late(ports, account_id, state.issued, NotificationEvent.CREDENTIAL_ACCEPTED, card_ids)
    return kept


async def decline_offer(ports: IssuancePorts, account_id: AccountId, issuance_id: str) -> Issuance:
    """Say no, at any point before the cards are kept. An issuer that sent cards already is told.

    Raises:
        NotFound: as :func:`show_issuance`.
        StateConflict: the cards are in the wallet already.
    """
    issuance = show_issuance(ports, account_id, issuance_id)
    state = issuance.state
    if isinstance(state, Declined | Failed):
        return issuance
    if isinstance(state, Kept):
        raise StateConflict("the cards are in the wallet already; delete them there")
    with ports.unit:
        declined = ports.issuances.advance(issuance, Declined())
        if not isinstance(state, Given):
            body = describe_receipt(_offer_of(state), (), ports.catalogue)
            now = ports.clock.now()
            ports.history.add(new_record(ports.random, account_id, RecordKind.OFFER_DECLINED, now, body))
    if isinstance(state, Preview | Signing):
        # OpenID4VCI 11.1: the failure was caused by the person.
        await notify_late(ports, account_id, _sent(state), NotificationEvent.CREDENTIAL_DELETED)
    return declined


def _sent(state: Preview | Signing) -> IssuedCredentials:
    """Return what the issuer sent before the person said no; before all came that may be nothing."""
    if isinstance(state, Preview):
        return state.issued
    pending = state.pending
    return IssuedCredentials(pending.offer, pending.token, pending.issued, memory=pending.memory)


def _offer_of(
    state: Reviewed | Redeeming | Authorizing | Exchanging | Signing | Preview | Waiting,
) -> ResolvedOffer:
    match state:
        case Signing(pending):
            return pending.offer
        case Authorizing(started) | Exchanging(started):
            return started.offer
        case Preview(issued) | Waiting(issued):
            return issued.offer
        case _:
            return state.offer
