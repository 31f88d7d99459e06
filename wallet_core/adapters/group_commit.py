"""Several requests of one worker in one commit: waiting for the disk is the dearest part of a short request.

Each is answered only after the commit. If one of them is refused, what all did is taken back and done again, each in a
savepoint, so that it leaves the others as they are: savepoints cost two statements a request, and hardly any is
refused this late. Nothing is kept beyond that: a crash before the commit loses all of them, and none was answered.

While a group waits for a lock its worker serves nobody, so it does not wait long. Where another worker writes to the
SQLite file, the group tries again a moment later, grown by those who came. On PostgreSQL, where two groups may hold
what the other wants, a request that met a lock runs in a transaction of its own after the others.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast
from weakref import WeakKeyDictionary

from sqlalchemy.exc import SQLAlchemyError

from wallet_core.adapters.sql import BUSY_TIMEOUT_MS, Database, DatabaseBusy, UnitOfWork, Writes, storage_error

S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)
T = TypeVar("T")

WAIT_SECONDS = 0.003
"""How long the first request of a group waits for others: two commits' time. A millisecond makes smaller groups, which
cost PostgreSQL a sixth of its rate."""

AGAIN_SECONDS = 0.001
"""When a group tries again that found the database busy."""

BUSY_SECONDS = BUSY_TIMEOUT_MS / 1000
"""How long it tries."""

LOCK_MS = 100
"""How long a statement of a group waits for a lock on PostgreSQL: some commits of other workers."""

LOCK_MS_ALONE = 1000
"""How long one of a request that is alone then does: long beside any commit. Only the first that waits in vain."""

MOST = 64
"""Requests of one group: beyond that others would wait too long for a lock."""


class Commit(Protocol[S_co]):
    """Runs work in a transaction, perhaps with that of other requests, and returns its result once it is committed."""

    async def __call__(self, work: Callable[[S_co], T]) -> T:
        """Run ``work`` on a storage. Raises what it raises, after its part was rolled back."""
        ...


class CommitTogether(Generic[S]):
    """The :class:`GroupCommit` of each event loop, for work on an app's storage.

    Args:
        database: that the work is for.
        storage: returns what is done in a unit of work.
    """

    def __init__(self, database: Database, storage: Callable[[UnitOfWork], S]) -> None:
        self._database = database
        self._storage = storage
        self._groups: WeakKeyDictionary[asyncio.AbstractEventLoop, GroupCommit] = WeakKeyDictionary()

    async def __call__(self, work: Callable[[S], T]) -> T:
        """Run ``work`` in the next group; see :meth:`GroupCommit.run`."""
        loop = asyncio.get_running_loop()
        group = self._groups.get(loop)
        if group is None:
            group = self._groups[loop] = GroupCommit(self._database)
        return await group.run(lambda unit: work(self._storage(unit)))


@dataclass(slots=True)
class _Entry:
    work: Callable[[UnitOfWork], Any]
    future: asyncio.Future[Any]
    result: Any = None
    error: Exception | None = None


class _RefusedError(Exception):
    """One request of a group was refused."""


class GroupCommit:
    """One for each worker process and database.

    Args:
        database: that the work is for.
        wait: seconds, see :data:`WAIT_SECONDS`.
    """

    def __init__(self, database: Database, *, wait: float = WAIT_SECONDS) -> None:
        self._is_sqlite = database.is_sqlite
        self._unit = database.unit_at_once()
        self._wait = wait
        self._waiting: list[_Entry] = []
        self._busy_since: float | None = None

    async def run(self, work: Callable[[UnitOfWork], T]) -> T:
        """Return what ``work`` returns, after it was committed; raise what it raises, after it was rolled back.

        ``work`` may enter the unit itself: it then joins the group's transaction. It may run twice, must do nothing
        that is not rolled back, and lets every error of the database out, ``StateConflict`` too. Where it wrote by
        ``sql.write_together`` it may still find everything as it was.

        Raises:
            StorageError: the commit failed, and none of the group happened.
        """
        loop = asyncio.get_running_loop()
        entry = _Entry(work, loop.create_future())
        self._waiting.append(entry)
        if len(self._waiting) == 1:
            loop.call_later(self._wait, self._commit)
        elif len(self._waiting) == MOST and self._busy_since is None:
            self._commit()
        return cast("T", await entry.future)

    def _commit(self) -> None:
        entries, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        if not entries:
            return
        try:
            self._store(entries)
        except DatabaseBusy as exc:
            if self._comes_again():
                self._waiting = entries + self._waiting
                return
            entries, self._waiting = entries + self._waiting, []
            _fail(entries, exc)
        except Exception as exc:  # noqa: BLE001 - it goes to the callers, as it is: none of them may wait for ever
            _fail(entries, exc)
        self._busy_since = None
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._commit)
        _answer(entries)

    def _comes_again(self) -> bool:
        """Try once more in a moment, and return True, unless the database has been busy for too long."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._busy_since is None:
            self._busy_since = now
        if now - self._busy_since > BUSY_SECONDS:
            return False
        loop.call_later(AGAIN_SECONDS, self._commit)
        return True

    def _store(self, entries: Sequence[_Entry]) -> None:
        """Do the work of a group. Raises :class:`DatabaseBusy` only before any of it is done."""
        with self._unit:
            connection = self._unit.connection
            # In one round trip.
            limit = "" if self._is_sqlite else f"SET LOCAL lock_timeout = {LOCK_MS}; "
            connection.exec_driver_sql(f"{limit}SAVEPOINT every")
            try:
                self._run_all(entries)
            except _RefusedError:
                connection.exec_driver_sql("ROLLBACK TO SAVEPOINT every")
                for entry in entries:
                    self._run_in_savepoint(entry)
        for entry in entries:
            if isinstance(entry.error, DatabaseBusy):
                self._run_alone(entry)
                # The lock stays. The others that met one are told to come again, or this worker would serve nobody.
                if isinstance(entry.error, DatabaseBusy):
                    break

    def _run_all(self, entries: Sequence[_Entry]) -> None:
        self._unit.writes = writes = Writes()
        try:
            for entry in entries:
                entry.result = entry.work(self._unit)
            writes.make(self._unit.connection)
        except Exception as exc:
            raise _RefusedError from exc
        finally:
            self._unit.writes = None

    def _run_in_savepoint(self, entry: _Entry) -> None:
        connection = self._unit.connection
        connection.exec_driver_sql("SAVEPOINT one")
        try:
            entry.result = entry.work(self._unit)
        except Exception as exc:  # noqa: BLE001 - it goes to the caller, as it is
            entry.error = storage_error(exc) if isinstance(exc, SQLAlchemyError) else exc
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT one")
        connection.exec_driver_sql("RELEASE SAVEPOINT one")

    def _run_alone(self, entry: _Entry) -> None:
        entry.error = None
        try:
            with self._unit:
                # Only PostgreSQL has a lock to meet here: on SQLite a group has the whole file.
                self._unit.connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MS_ALONE}")
                entry.result = entry.work(self._unit)
        except Exception as exc:  # noqa: BLE001 - it goes to the caller, as it is
            entry.error = exc


def _fail(entries: Sequence[_Entry], error: Exception) -> None:
    for entry in entries:
        entry.error = error


def _answer(entries: Sequence[_Entry]) -> None:
    for entry in entries:
        if entry.future.done():  # the caller went away; the work is done all the same
            continue
        if entry.error is not None:
            entry.future.set_exception(entry.error)
        else:
            entry.future.set_result(entry.result)
