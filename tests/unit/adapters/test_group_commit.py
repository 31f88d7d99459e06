"""Several requests in one commit: each stands or falls alone, and none is answered before the commit."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select
from sqlalchemy.exc import OperationalError

from tests.support.job_programs import EFFECT, METADATA
from wallet_core.adapters.group_commit import MOST, GroupCommit
from wallet_core.adapters.sql import Database, UnitOfWork
from wallet_core.errors import InvalidRequest, StateConflict, StorageError


@pytest.fixture
def made(database: Database) -> Database:
    METADATA.create_all(database.engine)
    return database


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
