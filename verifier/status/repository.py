"""Fetched status lists in the database: row ↔ state, nothing else."""

import hashlib
from datetime import datetime

from sqlalchemy import bindparam, select, update

from verifier.status.ports import StoredList
from verifier.status.tables import StatusListRow
from verifier.tables import table_of
from wallet_core.adapters.sql import UnitOfWork, delete_some, insert_if_absent

_TABLE = table_of(StatusListRow)
_FIND = select(_TABLE).where(_TABLE.c.digest == bindparam("wanted"))
_PUT = (
    update(_TABLE)
    .where(_TABLE.c.digest == bindparam("wanted"), _TABLE.c.fetched_at <= bindparam("at"))
    .values(token=bindparam("token"), fetched_at=bindparam("at"))
)


class SqlStoredLists:
    """The lists that one of our workers has fetched, for all of them."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def find(self, uri: str, media_type: str) -> StoredList | None:
        """Return the newest copy of a list."""
        row = self._unit.connection.execute(_FIND, {"wanted": _digest(uri, media_type)}).one_or_none()
        return None if row is None else StoredList(row.uri, row.media_type, row.token, row.fetched_at)

    def put(self, stored: StoredList) -> None:
        """Keep a copy instead of an older one."""
        digest = _digest(stored.uri, stored.media_type)
        row = {
            "digest": digest,
            "uri": stored.uri,
            "media_type": stored.media_type,
            "token": stored.token,
            "fetched_at": stored.fetched_at,
        }
        # Two workers may fetch the same list at once: the later copy stays, whoever comes first.
        if not insert_if_absent(self._unit.connection, _TABLE, row):
            values = {"wanted": digest, "token": stored.token, "at": stored.fetched_at}
            self._unit.connection.execute(_PUT, values)

    def delete_old(self, *, before: datetime, limit: int) -> int:
        """Delete up to ``limit`` copies fetched before a time, and return how many."""
        return delete_some(self._unit.connection, _TABLE, _TABLE.c.fetched_at < before, limit=limit)


def _digest(uri: str, media_type: str) -> bytes:
    return hashlib.sha256(f"{media_type} {uri}".encode()).digest()
