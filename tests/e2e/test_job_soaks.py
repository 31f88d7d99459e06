"""Workers killed at random and frozen past their lease: nothing lost, nothing doubled. JIGAP_LONG=1: long form."""

import os
import secrets
import signal
import time
from collections.abc import Iterator

import pytest
from sqlalchemy import distinct, func, select

from tests.support import job_programs
from tests.support.job_programs import EFFECT, METADATA, TABLES
from wallet_core.adapters import jobs
from wallet_core.adapters.sql import Database

LONG = os.environ.get("JIGAP_LONG") == "1"  # noqa: TID251
PATIENCE = 300 if LONG else 120
"""Seconds after which a soak that does not end is a failure."""

pytestmark = pytest.mark.soak


class Crew:
    """Workers that are replaced when they die."""

    def __init__(self, url: str, task: str, size: int, lease: float) -> None:
        self._start = lambda: job_programs.start(url, task, lease=lease)
        self.workers = [self._start() for _ in range(size)]
        self.kills = 0

    def kill_one(self) -> None:
        place = secrets.randbelow(len(self.workers))
        self.workers[place].kill()
        self.workers[place].join()
        self.workers[place] = self._start()
        self.kills += 1

    def end(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.join()


@pytest.fixture
def soaked(database: Database) -> Iterator[Database]:
    METADATA.create_all(database.engine)
    yield database
    database.close()


def _left(database: Database) -> int:
    with database.reader() as unit:
        return unit.connection.execute(select(func.count()).select_from(TABLES.job)).scalar_one()


def _effects(database: Database) -> tuple[int, int]:
    with database.reader() as unit:
        query = select(func.count(), func.count(distinct(EFFECT.c.job)))
        every, different = unit.connection.execute(query).one()
        return every, different


def _soak(database: Database, crew: Crew, pause: tuple[float, float]) -> float:
    """Kill at random until nothing is left; between kills something must have ended, or a job runs out of attempts."""
    began, before = time.monotonic(), _left(database)
    try:
        while (left := _left(database)) and time.monotonic() - began < PATIENCE:
            time.sleep(pause[0] + (pause[1] - pause[0]) * secrets.randbelow(1000) / 1000)
            if left < before:
                before = left
                crew.kill_one()
    finally:
        crew.end()
    return time.monotonic() - began


def test_small_jobs_under_random_kills(soaked: Database, database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    count = 500 if LONG else 120
    with soaked.unit() as unit:
        jobs.enqueue_many(unit.connection, TABLES, "effect", [{}] * count)
    crew = Crew(database_url, "effect", 3, lease=1.5)
    seconds = _soak(soaked, crew, (0.05, 0.25))
    with capsys.disabled():
        print(f"\nsmall jobs, {soaked.engine.dialect.name}: {count} jobs, {crew.kills} kills, {seconds:.0f} s")
    assert _left(soaked) == 0
    assert _effects(soaked) == (count, count)
    assert crew.kills >= 3
    with soaked.reader() as unit:
        assert jobs.failed_jobs(unit.connection, TABLES) == []


def test_chunks_under_random_kills(soaked: Database, database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    chunks, rows = (100, 10_000) if LONG else (15, 10_000)
    with soaked.unit() as unit:
        jobs.enqueue_many(unit.connection, TABLES, "chunk", [{"rows": rows}] * chunks)
    crew = Crew(database_url, "chunk", 2, lease=3)
    seconds = _soak(soaked, crew, (1.0, 2.0) if LONG else (0.3, 0.6))
    with capsys.disabled():
        print(f"\nchunks, {soaked.engine.dialect.name}: {chunks * rows} rows, {crew.kills} kills, {seconds:.0f} s")
    assert _left(soaked) == 0
    assert _effects(soaked) == (chunks * rows, chunks)
    with soaked.reader() as unit:
        assert jobs.failed_jobs(unit.connection, TABLES) == []


def test_a_worker_frozen_past_its_lease_changes_nothing(soaked: Database, database_url: str) -> None:
    with soaked.unit() as unit:
        jobs.enqueue(unit.connection, TABLES, "slow")
    frozen = job_programs.start(database_url, "slow", lease=1.0)
    assert frozen.pid
    other = None
    try:
        _wait(lambda: _is_claimed(soaked))
        os.kill(frozen.pid, signal.SIGSTOP)
        other = job_programs.start(database_url, "slow", lease=1.0)
        _wait(lambda: _left(soaked) == 0)
        assert _effects(soaked) == (1, 1)
        os.kill(frozen.pid, signal.SIGCONT)
        time.sleep(2)
        assert _effects(soaked) == (1, 1)
        assert frozen.is_alive(), "it goes on with other work"
    finally:
        for process in filter(None, (frozen, other)):
            process.kill()
            process.join()


def _is_claimed(database: Database) -> bool:
    with database.reader() as unit:
        return unit.connection.execute(select(TABLES.job.c.token)).scalar_one_or_none() is not None


def _wait(condition: object) -> None:
    assert callable(condition)
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)
