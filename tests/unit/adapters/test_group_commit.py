"""Several requests in one commit: each stands or falls alone, and none is answered before the commit."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import JSON, Column, Integer, String, Table, event, func, insert, select, update
from sqlalchemy.exc import OperationalError

from tests.support.job_programs import EFFECT, METADATA, TABLES
from wallet_core.adapters import group_commit, sql
from wallet_core.adapters.group_commit import MOST, WAIT_SECONDS, GroupCommit
from wallet_core.adapters.sql import Database, DatabaseBusy, UnitOfWork
from wallet_core.errors import InvalidRequest, StateConflict, StorageError

NOW = datetime(2026, 11, 28, tzinfo=UTC)
ADD_EFFECT = insert(EFFECT).execution_options(preserve_rowcount=True)
STATE = Table(
    "soak_state",
    METADATA,
    Column("id", String(20), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("body", JSON, nullable=False),
)


@pytest.fixture
def made(database: Database) -> Database:
    METADATA.create_all(database.engine)
    return database


@pytest.fixture
def file_database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/shared.db")
    METADATA.create_all(database.engine)
    yield database
    database.close()


@pytest.fixture
def other(tmp_path: Path, file_database: Database) -> Iterator[Database]:
    """The same file, as another worker has it open."""
    del file_database
    database = Database(f"sqlite:///{tmp_path}/shared.db")
    yield database
    database.close()


@pytest.fixture
def commits(made: Database) -> list[Any]:
    seen: list[Any] = []
    event.listen(made.engine, "commit", seen.append)
    return seen


def _count(database: Database) -> int:
    with database.reader() as unit:
        return unit.connection.execute(select(func.count()).select_from(EFFECT)).scalar_one()


def _write(unit: UnitOfWork, number: int) -> int:
    with unit:
        unit.connection.execute(insert(EFFECT), {"id": number, "job": number, "worker": "g"})
    return number


async def _all(group: GroupCommit, numbers: range) -> list[Any]:
    work = [group.run(lambda unit, n=number: _write(unit, n)) for number in numbers]
    return await asyncio.gather(*work, return_exceptions=True)


def test_requests_that_come_together_share_a_commit(made: Database, commits: list[Any]) -> None:
    assert asyncio.run(_all(GroupCommit(made), range(10))) == list(range(10))
    assert len(commits) == 1
    assert _count(made) == 10


def test_a_group_is_not_larger_than_its_limit(made: Database, commits: list[Any]) -> None:
    results = asyncio.run(_all(GroupCommit(made), range(MOST + 5)))
    assert results == list(range(MOST + 5))
    assert len(commits) == 2


def test_a_refused_request_leaves_the_others_as_they_are(made: Database) -> None:
    def refuse(unit: UnitOfWork) -> None:
        _write(unit, 100)
        raise InvalidRequest("no")

    def collide(unit: UnitOfWork) -> None:
        _write(unit, 101)
        _write(unit, 1)

    async def mixed() -> list[Any]:
        group = GroupCommit(made)
        first = group.run(lambda unit: _write(unit, 1))
        others = [group.run(refuse), group.run(collide), group.run(lambda unit: _write(unit, 2))]
        return await asyncio.gather(first, *others, return_exceptions=True)

    one, refused, collided, two = asyncio.run(mixed())
    assert (one, two) == (1, 2)
    assert isinstance(refused, InvalidRequest)
    assert isinstance(collided, StateConflict)
    assert _count(made) == 2


def _move(unit: UnitOfWork, row: str, kind: str) -> None:
    with unit:
        sql.advance_together(unit, STATE, id=row, version=1, kind=kind, body={"to": kind})


def _stand(database: Database) -> dict[str, tuple[int, str]]:
    with database.reader() as unit:
        rows = unit.connection.execute(select(STATE.c.id, STATE.c.version, STATE.c.kind))
        return {row.id: (row.version, row.kind) for row in rows}


@pytest.fixture
def states(made: Database) -> Database:
    with made.unit() as unit:
        rows = [{"id": name, "version": 1, "kind": "open", "body": {}} for name in "abc"]
        unit.connection.execute(insert(STATE), rows)
    return made


def test_moves_of_one_group_are_made_by_one_statement(states: Database) -> None:
    seen: list[tuple[str, bool]] = []
    event.listen(states.engine, "before_cursor_execute", lambda *call: seen.append((call[2][:6], call[5])))

    async def every() -> None:
        group = GroupCommit(states)
        await asyncio.gather(*[group.run(lambda unit, n=name: _move(unit, n, n * 2)) for name in "abc"])

    asyncio.run(every())
    assert [many for text, many in seen if text == "UPDATE"] == [True]
    assert _stand(states) == {"a": (2, "aa"), "b": (2, "bb"), "c": (2, "cc")}


def test_of_two_moves_of_one_row_in_a_group_the_second_is_refused_alone(states: Database) -> None:
    async def twice() -> list[Any]:
        group = GroupCommit(states)
        work = [("a", "first"), ("a", "second"), ("b", "other")]
        moves = [group.run(lambda unit, r=row, k=kind: _move(unit, r, k)) for row, kind in work]
        return await asyncio.gather(*moves, return_exceptions=True)

    first, second, other = asyncio.run(twice())
    assert (first, other) == (None, None)
    assert isinstance(second, StateConflict)
    assert _stand(states) == {"a": (2, "first"), "b": (2, "other"), "c": (1, "open")}


def _spend_and_add(unit: UnitOfWork, digest: bytes, *numbers: int) -> int:
    with unit:
        sql.spend_together(unit, TABLES.spent, [digest], expires_at=NOW)
        sql.write_together(unit, ADD_EFFECT, [{"id": number, "job": 1, "worker": "g"} for number in numbers])
    return len(numbers)


def test_secrets_and_rows_of_one_group_are_written_by_one_statement_each(made: Database) -> None:
    seen: list[str] = []
    event.listen(made.engine, "before_cursor_execute", lambda *call: seen.append(call[2][:6]))

    async def every() -> list[int]:
        group = GroupCommit(made)
        work = [(b"a", 1), (b"b", 2, 3), (b"c",)]
        return await asyncio.gather(*[group.run(lambda unit, w=each: _spend_and_add(unit, *w)) for each in work])

    assert asyncio.run(every()) == [1, 2, 0]
    assert seen.count("INSERT") == 2
    assert _count(made) == 3


def test_a_group_that_adds_no_row_is_not_taken_back(made: Database) -> None:
    seen: list[str] = []
    event.listen(made.engine, "before_cursor_execute", lambda *call: seen.append(call[2]))

    async def every() -> list[int]:
        group = GroupCommit(made)
        return await asyncio.gather(*[group.run(lambda unit, d=each: _spend_and_add(unit, d)) for each in (b"a", b"b")])

    assert asyncio.run(every()) == [0, 0]
    assert not [text for text in seen if text.startswith("ROLLBACK")]


@pytest.mark.parametrize("second", [(b"a", 2), (b"b", 1)], ids=["a secret again", "a row again"])
def test_of_two_that_write_the_same_in_a_group_the_second_is_refused_alone(
    made: Database, second: tuple[bytes, int]
) -> None:
    async def every() -> list[Any]:
        group = GroupCommit(made)
        work = [(b"a", 1), second, (b"c", 3)]
        running = [group.run(lambda unit, w=each: _spend_and_add(unit, *w)) for each in work]
        return await asyncio.gather(*running, return_exceptions=True)

    first, refused, other = asyncio.run(every())
    assert (first, other) == (1, 1)
    assert isinstance(refused, StateConflict)
    with made.unit() as unit:
        assert set(unit.connection.execute(select(EFFECT.c.id)).scalars()) == {1, 3}
        assert sql.delete_expired(unit.connection, TABLES.spent, now=NOW + timedelta(seconds=1), limit=9) == 2


def test_a_move_is_made_at_once_where_nobody_shares_the_unit(states: Database) -> None:
    unit = states.unit()
    with unit:
        _move(unit, "a", "moved")
        with pytest.raises(StateConflict):
            _move(unit, "a", "again")
    assert _stand(states)["a"] == (2, "moved")


def test_no_answer_before_the_commit(made: Database) -> None:
    order: list[str] = []
    event.listen(made.engine, "commit", lambda _connection: order.append("commit"))

    async def one() -> None:
        await GroupCommit(made).run(lambda unit: _write(unit, 1))
        order.append("answer")

    asyncio.run(one())
    assert order == ["commit", "answer"]


def test_a_failing_commit_fails_the_whole_group(made: Database) -> None:
    def fail(_connection: Any) -> None:
        raise OperationalError("COMMIT", {}, Exception())

    event.listen(made.engine, "commit", fail)
    results = asyncio.run(_all(GroupCommit(made), range(3)))
    assert all(isinstance(result, StorageError) for result in results)
    event.remove(made.engine, "commit", fail)
    assert _count(made) == 0


def test_a_caller_that_went_away_harms_nobody(made: Database) -> None:
    async def impatient() -> int:
        group = GroupCommit(made)
        gone = asyncio.ensure_future(group.run(lambda unit: _write(unit, 1)))
        await asyncio.sleep(0)
        gone.cancel()
        return await group.run(lambda unit: _write(unit, 2))

    assert asyncio.run(impatient()) == 2
    assert _count(made) == 2


def test_a_database_that_another_process_writes_to_is_not_waited_for(file_database: Database, other: Database) -> None:
    """The loop serves others meanwhile, and those who come are in the same commit."""
    seen: list[Any] = []
    event.listen(file_database.engine, "commit", seen.append)

    async def meanwhile() -> list[int]:
        group = GroupCommit(file_database)
        with other.unit():
            first = asyncio.ensure_future(group.run(lambda unit: _write(unit, 1)))
            await asyncio.sleep(20 * WAIT_SECONDS)
            assert not first.done()
            second = asyncio.ensure_future(group.run(lambda unit: _write(unit, 2)))
            await asyncio.sleep(5 * WAIT_SECONDS)
        return await asyncio.gather(first, second)

    assert asyncio.run(meanwhile()) == [1, 2]
    assert (len(seen), _count(file_database)) == (1, 2)


def test_more_than_a_group_that_waited_is_stored_group_by_group(file_database: Database, other: Database) -> None:
    seen: list[Any] = []
    event.listen(file_database.engine, "commit", seen.append)

    async def many() -> list[Any]:
        group = GroupCommit(file_database)
        with other.unit():
            waiting = [asyncio.ensure_future(group.run(lambda unit, n=n: _write(unit, n))) for n in range(2 * MOST + 5)]
            await asyncio.sleep(20 * WAIT_SECONDS)
        return await asyncio.gather(*waiting)

    assert asyncio.run(many()) == list(range(2 * MOST + 5))
    assert len(seen) == 3


def test_a_database_that_stays_busy_fails_the_group(
    file_database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "BUSY_SECONDS", 0.02)

    async def refused() -> list[Any]:
        group = GroupCommit(file_database)
        with other.unit():
            results = await _all(group, range(3))
        return [*results, await group.run(lambda unit: _write(unit, 3))]

    *failed, later = asyncio.run(refused())
    assert all(isinstance(result, DatabaseBusy) for result in failed)
    assert later == 3
    assert _count(file_database) == 1


class _Recovering:
    """What a connection of the driver is while another process recovers the file after a crash."""

    def execute(self, statement: str) -> None:
        if statement.startswith("BEGIN"):
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY_RECOVERY
            raise error


def test_a_file_that_is_recovered_after_a_crash_is_busy_too() -> None:
    connection: Any = SimpleNamespace(
        get_execution_options=lambda: {sql._AT_ONCE: True},
        info={sql._READ_ONLY: False},
        connection=SimpleNamespace(dbapi_connection=_Recovering()),
    )
    with pytest.raises(DatabaseBusy):
        sql._begin_sqlite(connection)


def test_two_groups_that_hold_what_the_other_wants_both_come_to_their_end(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL: SQLite has one writer."""
    monkeypatch.setattr(group_commit, "LOCK_MS", 50)
    made = Database(postgres_url)
    METADATA.create_all(made.engine)
    with made.unit() as unit:
        unit.connection.execute(insert(EFFECT), [{"id": n, "job": 0, "worker": ""} for n in (1, 2)])
    both_hold = threading.Barrier(2, timeout=5)

    def move(unit: UnitOfWork, row: int, meet: list[int]) -> int:
        unit.connection.execute(update(EFFECT).where(EFFECT.c.id == row).values(job=EFFECT.c.job + 1))
        if meet:
            meet.pop()
            both_hold.wait()
        return row

    def worker(first: int, second: int) -> list[Any]:
        database, meet = Database(postgres_url), [1]

        async def run() -> list[Any]:
            group = GroupCommit(database)
            work = [group.run(lambda unit, row=row: move(unit, row, meet)) for row in (first, second)]
            return await asyncio.gather(*work, return_exceptions=True)

        try:
            return asyncio.run(run())
        finally:
            database.close()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(worker, (1, 2), (2, 1))) == [[1, 2], [2, 1]]
    with made.reader() as unit:
        assert unit.connection.execute(select(EFFECT.c.job)).scalars().all() == [2, 2]
    made.close()


async def _move_all(states: Database) -> list[Any]:
    group = GroupCommit(states)
    moves = [group.run(lambda unit, n=name: _move(unit, n, "moved")) for name in "abc"]
    return await asyncio.gather(*moves, return_exceptions=True)


@pytest.fixture
def postgres_states(postgres_url: str) -> Iterator[Database]:
    database = Database(postgres_url)
    METADATA.create_all(database.engine)
    with database.unit() as unit:
        rows = [{"id": name, "version": 1, "kind": "open", "body": {}} for name in "abc"]
        unit.connection.execute(insert(STATE), rows)
    yield database
    database.close()


def test_who_meets_a_lock_that_stays_is_refused_and_the_others_are_not(
    postgres_states: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL: the moves at a group's end meet it."""
    monkeypatch.setattr(group_commit, "LOCK_MS", 20)
    monkeypatch.setattr(group_commit, "LOCK_MS_ALONE", 50)
    holder = Database(postgres_url)

    with holder.unit() as unit:
        unit.connection.execute(update(STATE).where(STATE.c.id == "b").values(kind="held"))
        first, busy, last = asyncio.run(_move_all(postgres_states))
    holder.close()
    assert (first, last) == (None, None)
    assert isinstance(busy, DatabaseBusy)
    assert _stand(postgres_states) == {"a": (2, "moved"), "b": (1, "held"), "c": (2, "moved")}


def test_after_the_first_who_waits_in_vain_nobody_waits(
    postgres_states: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "LOCK_MS", 20)
    monkeypatch.setattr(group_commit, "LOCK_MS_ALONE", 1500)
    holder = Database(postgres_url)

    with holder.unit() as unit:
        unit.connection.execute(update(STATE).values(kind="held"))
        began = time.monotonic()
        assert [type(result) for result in asyncio.run(_move_all(postgres_states))] == [DatabaseBusy] * 3
        assert time.monotonic() - began < 2 * 1.5
    holder.close()


def test_who_meets_a_lock_that_goes_is_served_after_the_others(
    postgres_states: Database, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "LOCK_MS", 20)
    holder, held = Database(postgres_url), threading.Event()

    def hold() -> None:
        with holder.unit() as unit:
            unit.connection.execute(update(STATE).where(STATE.c.id == "b").values(kind="held"))
            held.set()
            threading.Event().wait(0.2)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        assert held.wait(5)
        assert asyncio.run(_move_all(postgres_states)) == [None] * 3
        holding.result()
    holder.close()
    assert _stand(postgres_states) == dict.fromkeys("abc", (2, "moved"))


def test_an_error_that_nobody_expected_reaches_every_caller(made: Database) -> None:
    def fail(_connection: Any) -> None:
        raise ZeroDivisionError

    event.listen(made.engine, "commit", fail)
    results = asyncio.run(_all(GroupCommit(made), range(3)))
    event.remove(made.engine, "commit", fail)
    assert [type(result) for result in results] == [ZeroDivisionError] * 3
