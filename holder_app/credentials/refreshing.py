"""New copies of a card: before they run out, before they end, when their content changed, and after they were revoked.

The issuer cannot call: a wallet asks now and then, with the card's grant. A look takes one copy; only if it says
something else than the card, or copies are needed anyway, a whole batch is fetched. New copies are verified before old
ones go, and nothing is fetched within a transaction.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final

from holder_app.accounts.ports import AccountId
from holder_app.credentials.describe import Text, claim_at, credential_type, describe_claims, name_of
from holder_app.credentials.ports import Card, CardStatus, Grant, NewCopies, RecordKind, Reissuer
from holder_app.credentials.use_cases import CardPorts, claims_of, new_record, readable_claims
from holder_app.ports import UNDER_WAY
from wallet_core.catalogue import Catalogue, CredentialType
from wallet_core.encoding.claims_path import ConcretePath
from wallet_core.errors import NotFound, NotSupported, PeerRefusal, StateConflict, WalletError
from wallet_core.spec_versions import FORMAT_MDOC
from wallet_core.types import Json, JsonObject, RandomBytes

MAX_COPIES: Final = 10
"""Copies of one card where the catalogue names no number: more cost the issuer and our storage, and tell no more."""

LOOK_AGAIN: Final = timedelta(days=3)
"""How often a card is compared with what the issuer would say now; well within the grace of a re-issuance."""

RENEW_WITHIN: Final = timedelta(days=14)
"""How long before its end a card is renewed, or at half of its life if that is later."""

RETRY: Final = timedelta(minutes=30)
"""How soon an issuer that could not be reached, or sent something bad, is asked again."""

HIDE_USE: Final = timedelta(minutes=10)
"""Within this time after a use, at random, copies are refilled: a request at once would tell the issuer of the use."""

GRANT_OVER: Final = frozenset({"invalid_grant", "unauthorized_client"})
"""Errors after which the grant is never good again (RFC 6749 5.2)."""

CLIENT_UNKNOWN: Final = "invalid_client"
"""Error about the wallet, which somebody may mend, and not about the grant (RFC 6749 5.2)."""

_LEVEL = 1 << 16


class Refreshed(StrEnum):
    """What became of asking for new copies."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    OVER = "over"
    LATER = "later"
    NO_GRANT = "no_grant"


def copies_wanted(card_format: str, card_type: str, catalogue: Catalogue) -> int:
    """Return how many copies of a card the wallet holds at most: as the catalogue says of the type."""
    known = credential_type(catalogue, card_format, card_type)
    return MAX_COPIES if known is None else max(1, min(known.issuance.copies, MAX_COPIES))


def runs_low(card: Card, *, after_uses: int = 0) -> bool:
    """Return whether so few copies are unused that it is time to refill: a third of them, and at least one."""
    return len(card.unused) - after_uses <= max(1, len(card.copies) // 3)


def refill_time(card: Card, now: datetime, random: RandomBytes) -> datetime | None:
    """Return when copies are to be refilled after one more was used; None while there are enough.

    Somewhat later, at a time that says nothing about the use; at once if that was the last one.
    """
    if card.grant is None or not runs_low(card, after_uses=1):
        return None
    return now if len(card.unused) <= 1 else now + HIDE_USE * _part(random)


def next_refresh(card: Card, now: datetime, random: RandomBytes) -> datetime | None:
    """Return when the issuer is asked again after copies came: to look, or to renew if that is sooner."""
    if card.grant is None:
        return None
    # Not all wallets of a batch on the same minute: a tenth sooner or later.
    look = now + LOOK_AGAIN * (0.9 + 0.2 * _part(random))
    renew = renewal_time(card)
    return look if renew is None or renew <= now else min(look, renew)


def renewal_time(card: Card) -> datetime | None:
    """Return from when on a card is renewed because it is about to end; None for a card without end."""
    if card.expires_at is None:
        return None
    since = card.refreshed_at or card.received_at
    return max(card.expires_at - RENEW_WITHIN, since + (card.expires_at - since) / 2)


async def refresh_card(
    open_ports: Callable[[], CardPorts],
    reissuer: Reissuer,
    account_id: AccountId,
    card_id: str,
    *,
    asked: bool = False,
    failed: Callable[[WalletError], object] | None = None,
) -> Refreshed:
    """Ask the issuer of a card for new copies, as far as they are needed, and store what came.

    Args:
        open_ports: what is needed, a new unit of work at each call: nothing is fetched within one.
        reissuer: fetches and verifies.
        account_id: whose card.
        card_id: which one.
        asked: the person wants new copies now, needed or not.
        failed: is told why nothing came, for a person who waits for it.

    Raises:
        NotFound: the account has no such card.
    """
    card = _claim(open_ports(), account_id, card_id)
    if card is None or card.grant is None:
        return Refreshed.NO_GRANT if card is not None else Refreshed.LATER
    try:
        return await _refresh(open_ports, reissuer, card, card.grant, asked=asked)
    except WalletError as exc:
        if failed is not None:
            failed(exc)
        return _after_failure(open_ports(), card, exc)


def _after_failure(ports: CardPorts, card: Card, error: WalletError) -> Refreshed:
    """Plan when the issuer is asked again, and return what became of it."""
    if isinstance(error, PeerRefusal):
        return _refused(ports, card, error)
    if not isinstance(error, StateConflict):  # which is: deleted meanwhile
        # Where somebody at the agency decides first, each question is a line in a clerk's list.
        _plan(ports, card, LOOK_AGAIN if isinstance(error, NotSupported) else RETRY)
    return Refreshed.LATER


async def _refresh(
    open_ports: Callable[[], CardPorts], reissuer: Reissuer, card: Card, grant: Grant, *, asked: bool
) -> Refreshed:
    ports = open_ports()
    wanted = copies_wanted(card.format, card.type, ports.catalogue)
    whole = asked or _needs_batch(card, ports.clock.now())
    new = await reissuer.fetch(card, grant, wanted if whole else 1, partial(_keep, open_ports, card, grant))
    changed = changed_labels(card, _with(card, new, ports.clock.now()), ports.catalogue)
    if changed and len(new.copies) < wanted and not whole:
        # The old copies are over: the issuer says something else now.
        grant = _grant_of(open_ports(), card) or grant
        new = await reissuer.fetch(card, grant, wanted, partial(_keep, open_ports, card, grant))
    _store(open_ports(), card, new, changed, whole=whole or bool(changed))
    await new.accepted()
    return Refreshed.CHANGED if changed else Refreshed.NEW if whole else Refreshed.SAME


def _keep(open_ports: Callable[[], CardPorts], card: Card, grant: Grant, changed: Grant) -> None:
    """Store the refresh token that came for the one of ``grant``, with the cards that came together with this one."""
    with (ports := open_ports()).unit:
        ports.cards.rotate_token(card.account_id, card.issuer, grant.refresh_token, changed.refresh_token)


def _claim(ports: CardPorts, account_id: AccountId, card_id: str) -> Card | None:
    """Return the card, marked as being refreshed; None if somebody else is at it, or was faster."""
    now = ports.clock.now()
    with ports.unit:
        card = ports.cards.get(account_id, card_id)
        if card is None:
            raise NotFound("no such card in this wallet")
        if card.grant is None:
            if card.refresh_at is not None:  # the grant cannot be opened now: no reason to try all the time
                ports.cards.plan_refresh(account_id, card_id, now + LOOK_AGAIN)
            return card
        if ports.cards.claim_refresh(account_id, card_id, now, now + UNDER_WAY):
            return card
        # Perhaps another card of the issuer is at it: this one comes next, as whoever asked is told.
        ports.cards.refresh_soon(account_id, card_id, now)
        return None


def _needs_batch(card: Card, now: datetime) -> bool:
    renew = renewal_time(card)
    is_over = card.status is CardStatus.REVOKED or readable_claims(card) is None
    return is_over or runs_low(card) or (renew is not None and renew <= now)


def _with(card: Card, new: NewCopies, now: datetime) -> Card:
    """Return the card with new copies in the place of the old ones; what its issuer said of those is forgotten."""
    return replace(
        card,
        copies=new.copies,
        expires_at=new.expires_at,
        issuer_name=new.issuer_name,
        display=new.display,
        status=None,
        status_checked_at=None,
        refreshed_at=now,
    )


def _store(ports: CardPorts, card: Card, new: NewCopies, changed: tuple[Text, ...], *, whole: bool) -> None:
    now = ports.clock.now()
    with ports.unit:
        present = ports.cards.get(card.account_id, card.id)
        if present is None:
            raise StateConflict("the card is no longer in this wallet")
        renewed = _with(present, new, now)
        if whole:
            ports.cards.renew(renewed)
        elif len(present.unused) < _most(ports, card):
            # A look cost a copy that says the same; it is as good as the others.
            ports.cards.add_copies(present, new.copies)
        at = next_refresh(renewed if whole else present, now, ports.random)
        ports.cards.plan_refresh(card.account_id, card.id, at)
        if changed or card.status is CardStatus.REVOKED:
            body = _receipt(renewed, changed, ports.catalogue)
            ports.history.add(new_record(ports.random, card.account_id, RecordKind.UPDATED, now, body))


def _most(ports: CardPorts, card: Card) -> int:
    return copies_wanted(card.format, card.type, ports.catalogue)


def _grant_of(ports: CardPorts, card: Card) -> Grant | None:
    with ports.unit:
        present = ports.cards.get(card.account_id, card.id)
    return None if present is None else present.grant


def _was_renewed(ports: CardPorts, card: Card) -> bool:
    """Return whether another refresh token came since the card was read: what was refused is the one before it."""
    present = _grant_of(ports, card)
    return present is not None and card.grant is not None and present.refresh_token != card.grant.refresh_token


def _refused(ports: CardPorts, card: Card, refusal: PeerRefusal) -> Refreshed:
    """Remember that the issuer gives no new copies: for good if the grant is over, for now otherwise."""
    with ports.unit:
        over = refusal.error in GRANT_OVER and not _was_renewed(ports, card)
        denied = over or refusal.error == "credential_request_denied"
        if over:
            ports.cards.drop_grant(card.account_id, card.id)
        elif card.status is CardStatus.REVOKED and denied:
            # A revoked card is asked about once: whoever revoked it for good says no each time.
            _plan(ports, card, None)
        else:
            _plan(ports, card, LOOK_AGAIN if denied or refusal.error == CLIENT_UNKNOWN else RETRY)
    return Refreshed.OVER if denied else Refreshed.LATER


def _plan(ports: CardPorts, card: Card, after: timedelta | None) -> None:
    with ports.unit:
        at = None if after is None else ports.clock.now() + after
        ports.cards.plan_refresh(card.account_id, card.id, at)


def changed_labels(before: Card, after: Card, catalogue: Catalogue) -> tuple[Text, ...]:
    """Return the labels of what new copies say otherwise; the day of their signing is no change.

    Nothing for a card that cannot be read: nobody knows what it said.
    """
    if readable_claims(before) is None:
        return ()
    known = credential_type(catalogue, before.format, before.type)
    old, new = _values(before, known), _values(after, known)
    changed = [path for path in {**old, **new} if (path in old, path in new) != (True, True) or old[path] != new[path]]
    labels = [(old.get(path) or new[path])[0] for path in changed]
    return tuple(label for position, label in enumerate(labels) if label not in labels[:position])


def _values(card: Card, known: CredentialType | None) -> Mapping[ConcretePath, tuple[Text, Json]]:
    fields = describe_claims(claims_of(card), known, card.display, is_mdoc=card.format == FORMAT_MDOC)
    return {field.path: (field.label, field.value) for field in fields if not _is_day_of_issue(field.path, known)}


def _is_day_of_issue(path: ConcretePath, known: CredentialType | None) -> bool:
    claim = claim_at(path, known)
    return claim is not None and claim.derived is not None and claim.derived.rule == "today"


def _receipt(card: Card, changed: tuple[Text, ...], catalogue: Catalogue) -> JsonObject:
    name: JsonObject = {**name_of(card, catalogue)}
    labels: list[Json] = [{**label} for label in changed]
    return {"cards": [{"card_id": card.id, "name": name, "issuer_name": card.issuer_name}], "changed": labels}


def _part(random: RandomBytes) -> float:
    return int.from_bytes(random(2), "big") / _LEVEL
