"""Status lists in the database: row ↔ state, nothing else."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from issuer.status.ports import StatusChange, StatusEntry, StatusListHead, StoredStatusList
from issuer.status.tables import StatusChangeRow, StatusEntryRow, StatusListRow
from issuer.tables import table_of
from wallet_core.adapters.sql import UnitOfWork, chunks, insert_if_absent, write_together
from wallet_core.errors import StateConflict
from wallet_core.types import AgencyId

_LIST = table_of(StatusListRow)
_ENTRY = table_of(StatusEntryRow)
_CHANGE = table_of(StatusChangeRow)

# Built once: putting a statement together costs as much as running it. The array is read only where it is wanted.
_HEAD_COLUMNS = [column for column in _LIST.c if column.name not in {"array", "is_open"}]
_ONE = _LIST.c.agency_id == bindparam("of_agency"), _LIST.c.number == bindparam("of_number")
_HEAD = select(*_HEAD_COLUMNS).where(*_ONE)
_READ = select(*_HEAD_COLUMNS, _LIST.c.array).where(*_ONE)
_READ_TO_CHANGE = _READ.with_for_update()
_OPEN = (
    select(*_HEAD_COLUMNS)
    .where(_LIST.c.agency_id == bindparam("of_agency"), _LIST.c.format == bindparam("of_format"), _LIST.c.is_open)
    .order_by(_LIST.c.number.desc())
    .limit(1)
)
_WRITE = (
    update(_LIST)
    .where(*_ONE, _LIST.c.version == bindparam("seen"))
    .values(array=bindparam("array"), version=bindparam("version"))
)
_CLOSE = update(_LIST).where(*_ONE).values(is_open=False)
_NUMBERS = select(_LIST.c.number).where(_LIST.c.agency_id == bindparam("of_agency")).order_by(_LIST.c.number)
_TAKEN = select(_ENTRY.c.idx).where(
    _ENTRY.c.agency_id == bindparam("of_agency"),
    _ENTRY.c.number == bindparam("of_number"),
    _ENTRY.c.idx.in_(bindparam("indices", expanding=True)),
)
_ENTRY_OF = select(_ENTRY).where(
    _ENTRY.c.agency_id == bindparam("of_agency"), _ENTRY.c.credential_id == bindparam("of_credential")
)
_ENTRIES_OF = select(_ENTRY).where(
    _ENTRY.c.agency_id == bindparam("of_agency"), _ENTRY.c.credential_id.in_(bindparam("wanted", expanding=True))
)
_ASSIGN = insert(_ENTRY).execution_options(preserve_rowcount=True)
_RECORD = insert(_CHANGE)
_HISTORY = (
    select(_CHANGE)
    .where(_CHANGE.c.agency_id == bindparam("of_agency"), _CHANGE.c.credential_id == bindparam("of_credential"))
    .order_by(_CHANGE.c.id)
)
_CHANGED_AFTER = (
    select(_CHANGE)
    .where(
        _CHANGE.c.agency_id == bindparam("of_agency"),
        _CHANGE.c.number == bindparam("of_number"),
        _CHANGE.c.changed_at > bindparam("time"),
    )
    .order_by(_CHANGE.c.id.desc())
)


class SqlStatusLists:
    """Every agency's lists, the places taken in them, and what changed."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def open_list(self, agency_id: AgencyId, credential_format: str) -> StatusListHead | None:
        """Return the list from which places are drawn, None if there is none."""
        return self._head(_OPEN, of_agency=agency_id, of_format=credential_format)

    def add(self, head: StatusListHead, array: bytes) -> bool:
        """Store a new list, open, and return whether its number was free."""
        row = {
            "agency_id": head.agency_id,
            "number": head.number,
            "format": head.format,
            "bits": head.bits,
            "size": head.size,
            "is_open": True,
            "array": array,
            "version": head.version,
            "created_at": head.created_at,
        }
        return insert_if_absent(self._unit.connection, _LIST, row)

    def close(self, head: StatusListHead) -> None:
        """Draw no more places from a list."""
        self._unit.connection.execute(_CLOSE, {"of_agency": head.agency_id, "of_number": head.number})

    def head(self, agency_id: AgencyId, number: int) -> StatusListHead | None:
        """Return what is known of a list, without its array."""
        return self._head(_HEAD, of_agency=agency_id, of_number=number)

    def read(self, agency_id: AgencyId, number: int, *, to_change: bool = False) -> StoredStatusList | None:
        """Return a list; one ``to_change`` is locked until the transaction ends."""
        statement = _READ_TO_CHANGE if to_change else _READ
        row = self._unit.connection.execute(statement, {"of_agency": agency_id, "of_number": number}).one_or_none()
        return None if row is None else StoredStatusList(_as_head(row), row.array)

    def write(self, head: StatusListHead, array: bytes) -> None:
        """Store a changed array."""
        values = {
            "of_agency": head.agency_id,
            "of_number": head.number,
            "seen": head.version,
            "version": head.version + 1,
            "array": array,
        }
        if self._unit.connection.execute(_WRITE, values).rowcount != 1:
            raise StateConflict("the status list changed meanwhile")

    def numbers(self, agency_id: AgencyId) -> Sequence[int]:
        """Return the numbers of an agency's lists, in order."""
        return list(self._unit.connection.execute(_NUMBERS, {"of_agency": agency_id}).scalars())

    def taken(self, head: StatusListHead, indices: Collection[int]) -> frozenset[int]:
        """Return those of ``indices`` that a credential has."""
        values = {"of_agency": head.agency_id, "of_number": head.number, "indices": list(indices)}
        return frozenset(self._unit.connection.execute(_TAKEN, values).scalars())

    def assign(self, entries: Iterable[StatusEntry]) -> None:
        """Give places to credentials."""
        rows = [
            {"agency_id": one.agency_id, "number": one.number, "idx": one.idx, "credential_id": one.credential_id}
            for one in entries
        ]
        write_together(self._unit, _ASSIGN, rows)

    def entry(self, agency_id: AgencyId, credential_id: str) -> StatusEntry | None:
        """Return the place of a credential, None for one that was issued without."""
        values = {"of_agency": agency_id, "of_credential": credential_id}
        row = self._unit.connection.execute(_ENTRY_OF, values).one_or_none()
        return None if row is None else _as_entry(row)

    def entries(self, agency_id: AgencyId, credential_ids: Collection[str]) -> Sequence[StatusEntry]:
        """Return the places of credentials; those that were issued without are left out."""
        found = list[StatusEntry]()
        for chunk in chunks(credential_ids):
            values = {"of_agency": agency_id, "wanted": chunk}
            found += [_as_entry(row) for row in self._unit.connection.execute(_ENTRIES_OF, values)]
        return found

    def record(self, changes: Iterable[StatusChange]) -> None:
        """Keep what changed."""
        rows = [
            {
                "id": one.id,
                "agency_id": one.agency_id,
                "number": one.number,
                "idx": one.idx,
                "credential_id": one.credential_id,
                "before": one.before,
                "after": one.after,
                "reason": one.reason,
                "changed_by": one.changed_by,
                "changed_at": one.changed_at,
            }
            for one in changes
        ]
        self._unit.connection.execute(_RECORD, rows)

    def history(self, agency_id: AgencyId, credential_id: str) -> Sequence[StatusChange]:
        """Return the changes of a credential, oldest first."""
        return self._changes(_HISTORY, of_agency=agency_id, of_credential=credential_id)

    def changed_after(self, agency_id: AgencyId, number: int, time: datetime) -> Sequence[StatusChange]:
        """Return the changes of a list after ``time``, newest first."""
        return self._changes(_CHANGED_AFTER, of_agency=agency_id, of_number=number, time=time)

    def _head(self, statement: Any, **values: Any) -> StatusListHead | None:
        row = self._unit.connection.execute(statement, values).one_or_none()
        return None if row is None else _as_head(row)

    def _changes(self, statement: Any, **values: Any) -> list[StatusChange]:
        return [
            StatusChange(
                row.id,
                AgencyId(row.agency_id),
                row.number,
                row.idx,
                row.credential_id,
                row.before,
                row.after,
                row.reason,
                row.changed_by,
                row.changed_at,
            )
            for row in self._unit.connection.execute(statement, values)
        ]


def _as_entry(row: Any) -> StatusEntry:
    return StatusEntry(AgencyId(row.agency_id), row.number, row.idx, row.credential_id)


def _as_head(row: Any) -> StatusListHead:
    return StatusListHead(
        AgencyId(row.agency_id), row.number, row.format, row.bits, row.size, row.version, row.created_at
    )
