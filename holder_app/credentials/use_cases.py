"""List cards, show one, delete one, and read the history."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from holder_app.accounts.ports import AccountId
from holder_app.credentials.describe import CardView, Field, describe_card, name_of
from holder_app.credentials.ports import Card, CardCopy, Cards, History, HistoryRecord, RecordKind
from wallet_core.catalogue import Catalogue
from wallet_core.encoding import base64url
from wallet_core.errors import KeyUnavailable, MalformedError, NotFound, VerificationError
from wallet_core.formats.mdoc.holder import HeldMdoc, index_mdoc
from wallet_core.formats.mdoc.verifier import claims_to_json
from wallet_core.formats.sd_jwt.holder import index_sd_jwt
from wallet_core.ports import Clock, UnitOfWork
from wallet_core.protocols.openid4vp.candidates import HeldCredential
from wallet_core.spec_versions import FORMAT_MDOC
from wallet_core.types import JsonObject, RandomBytes

ID_BYTES = 9
"""Random bytes of our own row ids: 72 bits, so that nobody guesses one, although each look-up names the account too."""

PAGE = 50
"""Lines of one page of the history; each is opened."""

MOST = 500
"""Lines of the history that are opened where a page needs a few of them: some 20 ms."""

UNREADABLE: Final = (MalformedError, VerificationError, KeyUnavailable)
"""Why a card of our own cannot be read: its rows are damaged, or its key is lost. It must be in no other's way."""


@dataclass(frozen=True, slots=True)
class CardPorts:
    """What the use cases of this package need."""

    unit: UnitOfWork
    cards: Cards
    history: History
    catalogue: Catalogue
    clock: Clock
    random: RandomBytes


def list_cards(ports: CardPorts, account_id: AccountId) -> tuple[CardView, ...]:
    """Return the account's cards, newest first; one that cannot be read says so and hides no other."""
    with ports.unit:
        cards = ports.cards.of_account(account_id)
    return tuple(view_card(ports, card) for card in cards)


def show_card(ports: CardPorts, account_id: AccountId, card_id: str) -> CardView:
    """Return one card with all its claims.

    Raises:
        NotFound: the account has no such card.
    """
    with ports.unit:
        card = ports.cards.get(account_id, card_id)
    if card is None:
        raise NotFound("no such card in this wallet")
    return view_card(ports, card)


def delete_card(ports: CardPorts, account_id: AccountId, card_id: str) -> HistoryRecord:
    """Remove a card, its copies and their keys for good, and say so in the history.

    Raises:
        NotFound: the account has no such card, or another tab deleted it.
    """
    with ports.unit:
        card = ports.cards.get(account_id, card_id)
        if card is None or not ports.cards.delete(account_id, card_id):
            raise NotFound("no such card in this wallet")
        name = name_of(card, ports.catalogue)
        body: JsonObject = {"cards": [{"name": dict(name), "issuer_name": card.issuer_name}]}
        record = new_record(ports.random, account_id, RecordKind.DELETED, ports.clock.now(), body)
        ports.history.add(record)
    return record


def list_history(
    ports: CardPorts, account_id: AccountId, kinds: Sequence[RecordKind] | None = None, *, limit: int = MOST
) -> tuple[HistoryRecord, ...]:
    """Return the account's newest lines, newest first; only of ``kinds`` if given."""
    with ports.unit:
        return tuple(ports.history.of_account(account_id, kinds=kinds, limit=limit))


def page_history(
    ports: CardPorts,
    account_id: AccountId,
    kinds: Sequence[RecordKind] | None = None,
    *,
    before: str = "",
    size: int = PAGE,
) -> tuple[tuple[HistoryRecord, ...], str | None]:
    """Return a page of the account's history, newest first, and the cursor of the next page (None at the end).

    Args:
        ports: what is needed.
        account_id: whose history.
        kinds: only lines of these; None for all.
        before: the cursor that the page before gave; empty for the newest lines.
        size: lines of a page.
    """
    # What is no id of ours is not worth asking the database, which refuses some texts with an error.
    if before and not (before.isascii() and before.isalnum()):
        return (), None
    with ports.unit:
        found = ports.history.of_account(account_id, kinds=kinds, before=before, limit=size + 1)
    return tuple(found[:size]), found[size - 1].id if len(found) > size else None


def show_record(ports: CardPorts, account_id: AccountId, record_id: str) -> HistoryRecord:
    """Return one line of the history.

    Raises:
        NotFound: the account has no such record.
    """
    with ports.unit:
        record = ports.history.get(account_id, record_id)
    if record is None:
        raise NotFound("no such record in this wallet")
    return record


def view_card(ports: CardPorts, card: Card) -> CardView:
    """Return a card in words; one that cannot be read without its claims."""
    return describe_card(card, readable_claims(card), ports.catalogue, ports.clock.now())


def readable_claims(card: Card) -> JsonObject | None:
    """Return every claim the card holds; None for a card that cannot be read."""
    try:
        return claims_of(card)
    except UNREADABLE:
        return None


def claims_of(card: Card) -> JsonObject:
    """Return every claim the card holds, the hidden ones too.

    Raises:
        KeyUnavailable: none of its copies can be opened.
        MalformedError, VerificationError: a copy is not what was stored.
    """
    if not card.copies:
        raise KeyUnavailable("no copy of the card can be opened")
    held = open_copy(card, card.copies[0])
    return {**claims_to_json(held.claims)} if isinstance(held, HeldMdoc) else held.claims


def open_copy(card: Card, copy: CardCopy) -> HeldCredential:
    """Return one copy of a card, indexed for presenting.

    Raises:
        MalformedError, VerificationError: it is not what was stored.
    """
    if card.format == FORMAT_MDOC:
        return index_mdoc(base64url.decode(copy.credential, what="a stored mdoc"))
    return index_sd_jwt(copy.credential)


def new_record(
    random: RandomBytes, account_id: AccountId, kind: RecordKind, at: datetime, body: JsonObject
) -> HistoryRecord:
    """Return a new line of the history."""
    return HistoryRecord(random(ID_BYTES).hex(), account_id, kind, at, body)


def settled(record: HistoryRecord, kind: RecordKind, **members: str | None) -> HistoryRecord:
    """Return the record with what became of it."""
    return replace(record, kind=kind, body={**record.body, **members})


def card_summary(
    name: dict[str, str],
    issuer_name: str,
    sent: Sequence[Field],
    anyway: Sequence[Field],
    hidden: Sequence[Field],
) -> JsonObject:
    """Return one card of a receipt: what was asked for and what was shown anyway, with values; what was hidden."""
    return {
        "name": dict(name),
        "issuer_name": issuer_name,
        "sent": [field.to_json() for field in sent],
        "anyway": [field.to_json() for field in anyway],
        "hidden": [{"path": list(field.path), "label": dict(field.label)} for field in hidden],
    }
