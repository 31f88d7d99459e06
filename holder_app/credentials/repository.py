"""Cards and history in the database. What tells something about the person is sealed, bound to its row and account."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from sqlalchemy import ColumnElement, Row, delete, false, func, insert, or_, select, update

from holder_app.accounts.ports import AccountId
from holder_app.credentials.keys import grant_from_json, grant_to_json, key_from_text, key_to_text
from holder_app.credentials.ports import Card, CardCopy, CardStatus, Grant, HistoryRecord, RecordKind
from holder_app.credentials.tables import CardRow, CopyRow, HistoryRow
from holder_app.tables import table_of
from wallet_core.adapters.keystore import Sealer
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.encoding import strict_json
from wallet_core.errors import KeyUnavailable, MalformedError, StateConflict
from wallet_core.types import CredentialConfigurationId, CredentialIssuerId

_CARD = table_of(CardRow)
_COPY = table_of(CopyRow)
_HISTORY = table_of(HistoryRow)


class SqlCards:
    """Fulfils ``credentials.ports.Cards`` within a unit of work."""

    def __init__(self, unit: UnitOfWork, sealer: Sealer) -> None:
        self._unit = unit
        self._sealer = sealer

    def add(self, card: Card) -> None:
        """Store a card with its copies."""
        values = {
            "id": card.id,
            "account_id": card.account_id,
            "configuration_id": card.configuration_id,
            "format": card.format,
            "type": card.type,
            "issuer": card.issuer,
            "issuer_name": card.issuer_name,
            "received_at": card.received_at,
            "expires_at": card.expires_at,
            "display": card.display,
            "sealed_grant": self._seal_grant(card.account_id, card.id, card.grant),
            "refreshed_at": card.refreshed_at,
            "refresh_at": card.refresh_at,
        }
        self._unit.connection.execute(insert(_CARD), values)
        self._insert_copies(card, card.copies, first=0)

    def of_account(self, account_id: AccountId) -> Sequence[Card]:
        """Return the account's cards, newest first."""
        return self._cards(_CARD.c.account_id == account_id)

    def of_types(self, account_id: AccountId, types: Collection[tuple[str, str]]) -> Sequence[Card]:
        """Return the account's cards of these formats and types, newest first; no other card is opened."""
        wanted = [(_CARD.c.format == format_) & (_CARD.c.type == type_) for format_, type_ in sorted(types)]
        return self._cards((_CARD.c.account_id == account_id) & or_(false(), *wanted))

    def get(self, account_id: AccountId, card_id: str) -> Card | None:
        """Return the card if it is the account's."""
        found = self._cards((_CARD.c.account_id == account_id) & (_CARD.c.id == card_id))
        return found[0] if found else None

    def take(self, account_id: AccountId, copy: CardCopy) -> bool:
        """Note that a copy is presented; false if it is gone, or was presented since it was read."""
        mine = (_COPY.c.account_id == account_id, _COPY.c.id == copy.id, _COPY.c.uses == copy.uses)
        # Of two simultaneous presentations one finds the number it read.
        # haip-4-taken-once
        return self._unit.connection.execute(update(_COPY).where(*mine).values(uses=copy.uses + 1)).rowcount == 1

    def renew(self, card: Card) -> None:
        """Put new copies in the place of all that the card had."""
        values = {
            "issuer_name": card.issuer_name,
            "expires_at": card.expires_at,
            "display": card.display,
            "status": card.status,
            "status_checked_at": card.status_checked_at,
            "refreshed_at": card.refreshed_at,
        }
        connection, mine = self._unit.connection, self._mine(card.account_id, card.id)
        if connection.execute(update(_CARD).where(*mine).values(values)).rowcount != 1:
            raise StateConflict("the card is no longer in this wallet")
        connection.execute(delete(_COPY).where(_COPY.c.account_id == card.account_id, _COPY.c.card_id == card.id))
        self._insert_copies(card, card.copies, first=0)

    def add_copies(self, card: Card, copies: Sequence[CardCopy]) -> None:
        """Store further copies of a card, to be used after those it has."""
        last = select(func.max(_COPY.c.position)).where(_COPY.c.card_id == card.id)
        self._insert_copies(card, copies, first=(self._unit.connection.execute(last).scalar() or 0) + 1)

    def rotate_token(self, account_id: AccountId, issuer: CredentialIssuerId, old: str, new: str) -> None:
        """Store another refresh token with every card of the account and the issuer that had the old one."""
        connection = self._unit.connection
        mine = (_CARD.c.account_id == account_id, _CARD.c.issuer == issuer, _CARD.c.sealed_grant.is_not(None))
        for row in connection.execute(select(_CARD).where(*mine).order_by(_CARD.c.id).with_for_update()).all():
            grant = self._readable_grant(row)
            if grant is not None and grant.refresh_token == old:
                sealed = self._seal_grant(account_id, row.id, replace(grant, refresh_token=new))
                connection.execute(update(_CARD).where(*self._mine(account_id, row.id)).values(sealed_grant=sealed))

    def drop_grant(self, account_id: AccountId, card_id: str) -> None:
        """Forget with what new copies are fetched: they cannot be any more."""
        values = {"sealed_grant": None, "refresh_at": None, "refreshing_until": None}
        self._unit.connection.execute(update(_CARD).where(*self._mine(account_id, card_id)).values(values))

    def refresh_soon(self, account_id: AccountId, card_id: str, at: datetime) -> None:
        """Have new copies fetched at that time or earlier; nothing for a card without grant."""
        later = (_CARD.c.refresh_at.is_(None) | (_CARD.c.refresh_at > at), _CARD.c.sealed_grant.is_not(None))
        statement = update(_CARD).where(*self._mine(account_id, card_id), *later)
        self._unit.connection.execute(statement.values(refresh_at=at))

    def claim_refresh(self, account_id: AccountId, card_id: str, now: datetime, until: datetime) -> bool:
        """Note that new copies are being fetched, until then at most; false if somebody else is at it."""
        connection, mine = self._unit.connection, self._mine(account_id, card_id)
        issuer = select(_CARD.c.issuer).where(*mine).scalar_subquery()
        beside = select(_CARD.c.refreshing_until).where(_CARD.c.account_id == account_id, _CARD.c.issuer == issuer)
        # Locked in one order: of two that claim at once, the second sees what the first wrote.
        found = connection.execute(beside.order_by(_CARD.c.id).with_for_update()).scalars().all()
        if any(busy_until is not None and busy_until > now for busy_until in found):
            return False
        return connection.execute(update(_CARD).where(*mine).values(refreshing_until=until)).rowcount == 1

    def plan_refresh(self, account_id: AccountId, card_id: str, at: datetime | None) -> None:
        """Set when new copies are asked for next, and that nobody is at it any more."""
        values = {"refresh_at": at, "refreshing_until": None}
        self._unit.connection.execute(update(_CARD).where(*self._mine(account_id, card_id)).values(values))

    def due(self, now: datetime, limit: int) -> Sequence[tuple[AccountId, str]]:
        """Return whose cards should get new copies by now, the longest due first."""
        free = _CARD.c.refreshing_until.is_(None) | (_CARD.c.refreshing_until <= now)
        wanted = select(_CARD.c.account_id, _CARD.c.id).where(_CARD.c.refresh_at <= now, free)
        rows = self._unit.connection.execute(wanted.order_by(_CARD.c.refresh_at).limit(limit))
        return [(AccountId(row.account_id), row.id) for row in rows]

    def set_status(self, account_id: AccountId, card_id: str, status: CardStatus, *, checked_at: datetime) -> None:
        """Note what the issuer says of a card; nothing if the account has no such card any more."""
        statement = update(_CARD).where(_CARD.c.account_id == account_id, _CARD.c.id == card_id)
        self._unit.connection.execute(statement.values(status=status, status_checked_at=checked_at))

    def delete(self, account_id: AccountId, card_id: str) -> bool:
        """Remove the card, its copies and their keys for good; false if the account has no such card."""
        connection = self._unit.connection
        connection.execute(delete(_COPY).where(_COPY.c.account_id == account_id, _COPY.c.card_id == card_id))
        statement = delete(_CARD).where(_CARD.c.account_id == account_id, _CARD.c.id == card_id)
        return connection.execute(statement).rowcount == 1

    def _cards(self, condition: ColumnElement[bool]) -> list[Card]:
        connection = self._unit.connection
        order = (_CARD.c.received_at.desc(), _CARD.c.id)
        rows = connection.execute(select(_CARD).where(condition).order_by(*order)).all()
        wanted = select(_CARD.c.id).where(condition)
        copies: dict[str, list[CardCopy]] = defaultdict(list)
        for row in connection.execute(select(_COPY).where(_COPY.c.card_id.in_(wanted)).order_by(_COPY.c.position)):
            # One that cannot be opened, damaged or sealed under a key that is lost, is in no other's way.
            with suppress(KeyUnavailable):
                copies[row.card_id].append(self._copy(row))
        return [_card(row, tuple(copies[row.id]), self._readable_grant(row)) for row in rows]

    def _readable_grant(self, row: Row[tuple[object, ...]]) -> Grant | None:
        """Return the grant of a card; None if it has none, or one that cannot be opened."""
        try:
            return self._open_grant(row)
        except KeyUnavailable:
            return None

    @staticmethod
    def _mine(account_id: AccountId, card_id: str) -> tuple[ColumnElement[bool], ...]:
        return _CARD.c.account_id == account_id, _CARD.c.id == card_id

    def _insert_copies(self, card: Card, copies: Sequence[CardCopy], *, first: int) -> None:
        rows = [self._copy_values(card, copy, position) for position, copy in enumerate(copies, first)]
        if rows:
            self._unit.connection.execute(insert(_COPY), rows)

    def _seal_grant(self, account_id: AccountId, card_id: str, grant: Grant | None) -> bytes | None:
        if grant is None:
            return None
        return self._sealer.seal(strict_json.dumps(grant_to_json(grant)), _grant_context(account_id, card_id))

    def _open_grant(self, row: Row[tuple[object, ...]]) -> Grant | None:
        if row.sealed_grant is None:
            return None
        opened = self._sealer.open(row.sealed_grant, _grant_context(row.account_id, row.id))
        return grant_from_json(strict_json.loads_object(opened, what="grant"))

    def _copy_values(self, card: Card, copy: CardCopy, position: int) -> dict[str, object]:
        context = _copy_context(card.account_id, card.id, copy.id)
        return {
            "id": copy.id,
            "account_id": card.account_id,
            "card_id": card.id,
            "position": position,
            "sealed_credential": self._sealer.seal(copy.credential.encode(), f"{context}/credential"),
            "sealed_key": self._sealer.seal(key_to_text(copy.signer).encode(), f"{context}/key"),
            "uses": copy.uses,
        }

    def _copy(self, row: Row[tuple[object, ...]]) -> CardCopy:
        context = _copy_context(row.account_id, row.card_id, row.id)
        credential = self._sealer.open(row.sealed_credential, f"{context}/credential").decode()
        key = key_from_text(self._sealer.open(row.sealed_key, f"{context}/key").decode())
        return CardCopy(row.id, credential, key, row.uses)


class SqlHistory:
    """Fulfils ``credentials.ports.History`` within a unit of work."""

    def __init__(self, unit: UnitOfWork, sealer: Sealer) -> None:
        self._unit = unit
        self._sealer = sealer

    def add(self, record: HistoryRecord) -> None:
        """Store a record."""
        values = {
            "id": record.id,
            "account_id": record.account_id,
            "kind": record.kind,
            "at": record.at,
            "sealed_body": self._seal(record),
        }
        self._unit.connection.execute(insert(_HISTORY), values)

    def settle(self, record: HistoryRecord) -> None:
        """Replace kind and body of the record of that id."""
        statement = update(_HISTORY).where(_HISTORY.c.account_id == record.account_id, _HISTORY.c.id == record.id)
        self._unit.connection.execute(statement.values(kind=record.kind, sealed_body=self._seal(record)))

    def of_account(
        self, account_id: AccountId, *, kinds: Sequence[RecordKind] | None = None, before: str = "", limit: int = 500
    ) -> Sequence[HistoryRecord]:
        """Return the account's newest records, newest first, of ``kinds`` and from the one after ``before``."""
        conditions = [_HISTORY.c.account_id == account_id]
        if kinds is not None:
            conditions.append(_HISTORY.c.kind.in_(kinds))
        if before:
            last = select(_HISTORY.c.at).where(_HISTORY.c.account_id == account_id, _HISTORY.c.id == before)
            at = last.scalar_subquery()
            # Of those of one moment the id decides, here and in the order: no line is shown twice or left out.
            conditions.append((_HISTORY.c.at < at) | ((_HISTORY.c.at == at) & (_HISTORY.c.id > before)))
        statement = select(_HISTORY).where(*conditions).order_by(_HISTORY.c.at.desc(), _HISTORY.c.id).limit(limit)
        return [self._record(row) for row in self._unit.connection.execute(statement)]

    def get(self, account_id: AccountId, record_id: str) -> HistoryRecord | None:
        """Return the record if it is the account's."""
        statement = select(_HISTORY).where(_HISTORY.c.account_id == account_id, _HISTORY.c.id == record_id)
        row = self._unit.connection.execute(statement).one_or_none()
        return None if row is None else self._record(row)

    def _seal(self, record: HistoryRecord) -> bytes:
        return self._sealer.seal(strict_json.dumps(record.body), _history_context(record.account_id, record.id))

    def _record(self, row: Row[tuple[object, ...]]) -> HistoryRecord:
        line = HistoryRecord(row.id, AccountId(row.account_id), RecordKind(row.kind), row.at, {}, is_readable=False)
        # One that cannot be opened is in no other's way.
        with suppress(KeyUnavailable, MalformedError):
            text = self._sealer.open(row.sealed_body, _history_context(row.account_id, row.id))
            line = replace(line, body=strict_json.loads_object(text, what="history record"), is_readable=True)
        return line


def _card(row: Row[tuple[object, ...]], copies: tuple[CardCopy, ...], grant: Grant | None) -> Card:
    return Card(
        row.id,
        AccountId(row.account_id),
        CredentialConfigurationId(row.configuration_id),
        row.format,
        row.type,
        CredentialIssuerId(row.issuer),
        row.issuer_name,
        row.received_at,
        row.expires_at,
        row.display,
        copies,
        None if row.status is None else CardStatus(row.status),
        row.status_checked_at,
        grant,
        row.refreshed_at,
        row.refresh_at,
    )


def _grant_context(account_id: str, card_id: str) -> str:
    return f"wallet_card/{account_id}/{card_id}/grant"


def _copy_context(account_id: str, card_id: str, copy_id: str) -> str:
    return f"wallet_copy/{account_id}/{card_id}/{copy_id}"


def _history_context(account_id: str, record_id: str) -> str:
    return f"wallet_history/{account_id}/{record_id}"
