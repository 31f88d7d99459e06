"""The lease table: order, keys, retries, failed jobs, batches, outside work, repeats, rate limits. On both engines."""

import io
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from tests.support.job_programs import EFFECT, METADATA, TABLES
from wallet_core.adapters import jobs, log
from wallet_core.adapters.jobs import Cron, Job, Task, Worker
from wallet_core.adapters.jobs.queue import (
    BACKOFF_BASE,
    BACKOFF_CAP,
    MAX_ATTEMPTS,
    LeaseLost,
    claim,
    extend,
    fail,
    finish,
    forget_rates,
)
from wallet_core.adapters.sql import Database, UnitOfWork, database_now
from wallet_core.errors import NotFound, StorageError

LEASE = timedelta(seconds=10)


@pytest.fixture
def made(database: Database) -> Database:
    METADATA.create_all(database.engine)
    return database


def _add(database: Database, name: str = "effect", **options: Any) -> bool:
    with database.unit() as unit:
        return jobs.enqueue(unit.connection, TABLES, name, **options)


def _count(database: Database, table: Any) -> int:
    with database.reader() as unit:
        return unit.connection.execute(select(func.count()).select_from(table)).scalar_one()


def _make_due(database: Database) -> None:
    with database.unit() as unit:
        unit.connection.execute(update(TABLES.job).values(due=0.0))


def _effect(job: Job, unit: UnitOfWork, _prepared: Any) -> None:
    unit.connection.execute(insert(EFFECT), {"job": job.id, "worker": str(job.payload.get("n", ""))})


def _worker(database: Database, run: Callable[..., None] = _effect, **options: Any) -> Worker:
    return Worker(database, TABLES, {"effect": Task(run)}, **options)


def test_a_job_runs_once_and_is_gone(made: Database) -> None:
    _add(made, payload={"n": 1})
    assert _worker(made).run_due() == 1
    assert _worker(made).run_due() == 0
    assert (_count(made, EFFECT), _count(made, TABLES.job)) == (1, 0)


def test_enqueueing_joins_the_transaction(made: Database) -> None:
    with pytest.raises(KeyError), made.unit() as unit:  # noqa: PT012
        jobs.enqueue(unit.connection, TABLES, "effect")
        raise KeyError
    assert _count(made, TABLES.job) == 0


def test_priority_first_then_time(made: Database) -> None:
    for n, priority in ((1, 5), (2, 0), (3, 5), (4, -1)):
        _add(made, payload={"n": n}, priority=priority)
    _worker(made).run_due()
    with made.reader() as unit:
        order = unit.connection.execute(select(EFFECT.c.worker).order_by(EFFECT.c.id)).scalars().all()
    assert order == ["4", "2", "1", "3"]


def test_a_delayed_job_waits(made: Database) -> None:
    _add(made, delay=timedelta(hours=1))
    _add(made, due_at=4e9)
    assert _worker(made).run_due() == 0
    _make_due(made)
    assert _worker(made).run_due() == 2


def test_a_key_is_enqueued_once_until_it_ran(made: Database) -> None:
    assert _add(made, key="k")
    assert not _add(made, key="k")
    _worker(made).run_due()
    assert _add(made, key="k")


def test_a_failing_job_is_rolled_back_waits_and_comes_again(made: Database) -> None:
    outcomes = iter([KeyError("홍길동"), None])

    def run(job: Job, unit: UnitOfWork, prepared: Any) -> None:
        _effect(job, unit, prepared)
        if error := next(outcomes):
            raise error

    _add(made)
    worker = _worker(made, run)
    worker.run_due()
    assert _count(made, EFFECT) == 0
    with made.reader() as unit:
        row = unit.connection.execute(select(TABLES.job, database_now().label("now"))).one()
    assert (row.attempts, row.error, row.token) == (1, "KeyError", None)
    assert 0 < row.due - row.now <= 2.1
    assert worker.run_due() == 0
    _make_due(made)
    worker.run_due()
    assert _count(made, EFFECT) == 1


def test_a_job_that_keeps_failing_goes_to_the_failed_and_can_be_sent_again(made: Database) -> None:
    def run(job: Job, unit: UnitOfWork, prepared: Any) -> None:
        raise StorageError("no", detail="what to change")

    _add(made, max_attempts=2, key="k", payload={"n": 7})
    for _ in range(2):
        _make_due(made)
        _worker(made, run).run_due()
    with made.unit() as unit:
        (failed,) = jobs.failed_jobs(unit.connection, TABLES)
        assert failed["error"] == "StorageError: what to change"
        assert failed["payload"] == {"n": 7}
        jobs.send_again(unit.connection, TABLES, failed["id"])
        with pytest.raises(NotFound):
            jobs.send_again(unit.connection, TABLES, failed["id"])
    assert _worker(made).run_due() == 1
    assert _count(made, EFFECT) == 1


def test_a_failed_job_sent_again_makes_one_with_its_key_due_that_waits(made: Database) -> None:
    """Work that comes back has made the next one by then, which waits for its next try."""

    def run(job: Job, unit: UnitOfWork, prepared: Any) -> None:
        raise KeyError

    for tries in (1, 9):
        _add(made, max_attempts=tries, key="k")
        _worker(made, run).run_due()
    assert _worker(made).run_due() == 0
    with made.unit() as unit:
        (failed,) = jobs.failed_jobs(unit.connection, TABLES)
        jobs.send_again(unit.connection, TABLES, failed["id"])
    assert _worker(made).run_due() == 1
    assert _count(made, EFFECT) == 1


def test_the_tries_of_a_job_end_when_it_is_written_that_they_do(made: Database) -> None:
    """The text at ``MAX_ATTEMPTS`` says from when to when, and no wait is beyond the cap."""

    def run(job: Job, unit: UnitOfWork, prepared: Any) -> None:
        raise KeyError

    _add(made)
    longest = []
    for attempt in range(1, MAX_ATTEMPTS):
        _worker(made, run).run_due()
        with made.reader() as unit:
            row = unit.connection.execute(select(TABLES.job, database_now().label("now"))).one()
        longest.append(min(BACKOFF_BASE * 2 ** (attempt - 1), BACKOFF_CAP).total_seconds())
        assert longest[-1] / 2 - 5 <= row.due - row.now <= longest[-1]
        _make_due(made)
    _worker(made, run).run_due()
    assert _count(made, TABLES.job) == 0
    assert _count(made, TABLES.job_failed) == 1
    assert longest[-1] == BACKOFF_CAP.total_seconds()
    assert [round(sum(longest) * share / 60) for share in (0.5, 1)] == [32, 64]


def _said(stream: io.StringIO) -> list[tuple[str, str]]:
    return [(line["level"], line["event"]) for line in map(json.loads, stream.getvalue().splitlines())]


def test_giving_up_is_said_in_words_of_its_own(made: Database) -> None:
    def run(job: Job, unit: UnitOfWork, prepared: Any) -> None:
        raise KeyError("홍길동")

    said = io.StringIO()
    log.configure(stream=said)
    _add(made, max_attempts=2)
    for _ in range(2):
        _make_due(made)
        _worker(made, run).run_due()
    given_up = ("error", "job given up: see `jobs failed`")
    assert _said(said) == [("warning", "job failed"), ("warning", "job failed"), given_up]
    last = json.loads(said.getvalue().splitlines()[-1])
    assert (last["name"], last["tries"], last["error"]) == ("effect", 2, "KeyError")


def test_a_worker_that_died_is_said_too(made: Database) -> None:
    said = io.StringIO()
    log.configure(stream=said)
    _add(made, max_attempts=1)
    with made.unit() as unit:
        claim(unit.connection, TABLES, "default", limit=1, lease=LEASE)
    _make_due(made)
    _worker(made).run_due()
    assert _said(said) == [("error", "job given up: see `jobs failed`")]
    assert json.loads(said.getvalue())["error"] == "its worker died"


def test_who_lost_the_lease_gives_nothing_up(made: Database) -> None:
    said = io.StringIO()
    log.configure(stream=said)
    _add(made, max_attempts=1)
    with made.unit() as unit:
        (job,) = claim(unit.connection, TABLES, "default", limit=1, lease=LEASE)
        unit.connection.execute(update(TABLES.job).values(token="another's"))
        fail(unit.connection, TABLES, job, "KeyError")
    assert (_count(made, TABLES.job), _count(made, TABLES.job_failed), _said(said)) == (1, 0, [])


def test_the_id_of_a_job_is_never_used_again(made: Database) -> None:
    def run(job: Job, unit: UnitOfWork, prepared: Any) -> None:
        raise KeyError

    for _ in range(3):
        _add(made, max_attempts=1)
        _worker(made, run).run_due()
    with made.reader() as unit:
        ids = [failed["id"] for failed in jobs.failed_jobs(unit.connection, TABLES)]
    assert len(set(ids)) == 3


def test_a_job_that_kills_its_worker_runs_out_too(made: Database) -> None:
    _add(made, max_attempts=1)
    with made.unit() as unit:
        assert len(claim(unit.connection, TABLES, "default", limit=1, lease=LEASE)) == 1
    _make_due(made)
    assert _worker(made).run_due() == 0
    with made.reader() as unit:
        (failed,) = jobs.failed_jobs(unit.connection, TABLES)
    assert failed["error"] == "its worker died"


def test_an_unknown_name_fails_and_harms_nothing_else(made: Database) -> None:
    _add(made, "nobody")
    _add(made)
    _worker(made, queues={"default": 10}).run_due()
    assert (_count(made, EFFECT), _count(made, TABLES.job)) == (1, 1)


def test_a_bad_job_does_not_spoil_its_batch(made: Database) -> None:
    def run(job: Job, unit: UnitOfWork, prepared: Any) -> None:
        _effect(job, unit, prepared)
        if job.payload["n"] == 3:
            raise KeyError

    with made.unit() as unit:
        jobs.enqueue_many(unit.connection, TABLES, "effect", [{"n": n} for n in range(10)])
    assert _worker(made, run, queues={"default": 10}).run_due() == 10
    assert (_count(made, EFFECT), _count(made, TABLES.job)) == (9, 1)


def test_a_lease_that_ran_out_cannot_be_finished(made: Database) -> None:
    _add(made)
    with made.unit() as unit:
        first = claim(unit.connection, TABLES, "default", limit=1, lease=LEASE)
    _make_due(made)
    with made.unit() as unit:
        second = claim(unit.connection, TABLES, "default", limit=1, lease=LEASE)
    with pytest.raises(LeaseLost), made.unit() as unit:  # noqa: PT012
        _effect(first[0], unit, None)
        finish(unit.connection, TABLES, first)
    with made.unit() as unit:
        finish(unit.connection, TABLES, second)
    assert _count(made, EFFECT) == 0


def test_a_heartbeat_keeps_the_lease(made: Database) -> None:
    _add(made)
    with made.unit() as unit:
        (job,) = claim(unit.connection, TABLES, "default", limit=1, lease=timedelta())
        extend(unit.connection, TABLES, [job.token], lease=LEASE)
        assert claim(unit.connection, TABLES, "default", limit=1, lease=LEASE) == []


def test_outside_work_happens_in_no_transaction_and_all_at_once(made: Database) -> None:
    together = threading.Barrier(3, timeout=10)

    def prepare(job: Job) -> str:
        together.wait()
        with made.unit():  # would wait for ever if the worker held one
            return f"answer {job.payload['n']}"

    def run(job: Job, unit: UnitOfWork, prepared: Any) -> None:
        unit.connection.execute(insert(EFFECT), {"job": job.id, "worker": prepared})

    with made.unit() as unit:
        jobs.enqueue_many(unit.connection, TABLES, "send", [{"n": n} for n in range(3)])
    Worker(made, TABLES, {"send": Task(run, prepare)}, queues={"default": 3}).run_due()
    with made.reader() as unit:
        answers = unit.connection.execute(select(EFFECT.c.worker)).scalars().all()
    assert sorted(answers) == ["answer 0", "answer 1", "answer 2"]


def test_failed_outside_work_is_tried_again_alone(made: Database) -> None:
    def prepare(job: Job) -> None:
        if job.payload["n"] == 1:
            raise StorageError("no")

    with made.unit() as unit:
        jobs.enqueue_many(unit.connection, TABLES, "send", [{"n": n} for n in range(3)])
    Worker(made, TABLES, {"send": Task(_effect, prepare)}, queues={"default": 3}).run_due()
    assert (_count(made, EFFECT), _count(made, TABLES.job)) == (2, 1)


def test_a_repeated_task_is_enqueued_once_however_many_tick(made: Database) -> None:
    cron = Cron("effect", timedelta(hours=1))
    workers = [_worker(made, crons=[cron]) for _ in range(3)]
    for worker in workers:
        worker.run_due()
    assert _count(made, EFFECT) == 1
    with made.unit() as unit:  # as if nobody had worked for three hours
        unit.connection.execute(update(TABLES.cron).values(next_at=TABLES.cron.c.next_at - 3 * 3600))
    for worker in workers:
        worker.run_due()
    assert _count(made, EFFECT) == 2
    with made.reader() as unit:
        ahead = unit.connection.execute(select(TABLES.cron.c.next_at - database_now())).scalar_one()
    assert 0 < ahead <= 3600


def test_a_rate_limit_spaces_what_comes_at_once(made: Database) -> None:
    second = timedelta(seconds=1)
    with made.unit() as unit:
        now = unit.connection.execute(select(database_now())).scalar_one()
        slots = [jobs.next_slot(unit.connection, TABLES, "host", interval=second) - now for _ in range(3)]
        bursts = [jobs.next_slot(unit.connection, TABLES, "other", interval=second, burst=3) - now for _ in range(5)]
    assert slots == pytest.approx([0, 1, 2], abs=0.3)
    assert [max(0, slot) for slot in bursts] == pytest.approx([0, 0, 0, 1, 2], abs=0.3)


def test_limits_that_nobody_waits_for_are_forgotten_in_parts(made: Database) -> None:
    with made.unit() as unit:
        now = unit.connection.execute(select(database_now())).scalar_one()
        keys = [*((f"a/{n}", now - 1) for n in range(3)), ("a/waits", now + 60), ("b/0", now - 1)]
        unit.connection.execute(insert(TABLES.rate), [{"key": key, "next_at": at} for key, at in keys])
        assert [forget_rates(unit.connection, TABLES, prefix="a/", limit=2) for _ in range(3)] == [2, 1, 0]
        assert set(unit.connection.execute(select(TABLES.rate.c.key)).scalars()) == {"a/waits", "b/0"}


def test_a_worker_stops_when_told_and_waits_for_a_database_that_is_away(made: Database) -> None:
    stop = threading.Event()
    away = Database("postgresql://nobody@127.0.0.1:1/none")
    threads = [
        threading.Thread(target=_worker(database, poll=timedelta(seconds=0.05)).run, args=(stop,))
        for database in (made, away)
    ]
    for thread in threads:
        thread.start()
    _add(made)
    waited = threading.Event()
    for _ in range(200):
        if _count(made, EFFECT):
            break
        waited.wait(0.05)
    assert all(thread.is_alive() for thread in threads)
    stop.set()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert _count(made, EFFECT) == 1
