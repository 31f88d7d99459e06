"""Trust lists in the database."""

from datetime import datetime

from sqlalchemy import bindparam, select, update

from verifier.tables import table_of
from verifier.trust_lists.ports import StoredTrustList
from verifier.trust_lists.tables import TrustListRow
from wallet_core.adapters.sql import UnitOfWork, insert_if_absent
from wallet_core.trust.trust_list import KnownList

_LIST = table_of(TrustListRow)
_FIND = select(_LIST).where(_LIST.c.source == bindparam("source"))


class SqlTrustLists:
    """The last good list of each source."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def find(self, source: str) -> StoredTrustList | None:
        """Return the last good list of ``source``."""
        row = self._unit.connection.execute(_FIND, {"source": source}).one_or_none()
        if row is None:
            return None
        known = KnownList(row.sequence_number, row.digest)
        return StoredTrustList(row.text, known, row.accepted_at, row.tried_at, row.problem)

    def keep(self, source: str, text: str, known: KnownList, *, now: datetime) -> None:
        """Store a list that was verified."""
        values = {
            "text": text,
            "sequence_number": known.sequence_number,
            "digest": known.digest,
            "accepted_at": now,
            "tried_at": now,
            "problem": "",
        }
        if not insert_if_absent(self._unit.connection, _LIST, {"source": source, **values}):
            # Two workers may have fetched at once: the higher number stays.
            newer = _LIST.c.sequence_number <= known.sequence_number
            self._unit.connection.execute(update(_LIST).where(_LIST.c.source == source, newer).values(**values))

    def note_problem(self, source: str, problem: str, *, now: datetime) -> None:
        """Remember that a try brought nothing."""
        values = {"problem": problem[:500], "tried_at": now}
        self._unit.connection.execute(update(_LIST).where(_LIST.c.source == source).values(**values))
