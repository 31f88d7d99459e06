"""The worker: claims, works, ends, keeps its leases alive, and enqueues what repeats."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, select, update

from wallet_core.adapters import log
from wallet_core.adapters.app_tables import AppTables
from wallet_core.adapters.jobs.queue import DEFAULT_QUEUE, Job, LeaseLost, claim, enqueue, extend, fail, finish
from wallet_core.adapters.sql import Database, UnitOfWork, database_now, insert_if_absent
from wallet_core.errors import NotFound, StorageError, WalletError
from wallet_core.types import JsonObject

LEASE = timedelta(seconds=10)
"""How long a claim holds without a heartbeat; longer than the longest write transaction."""

HEARTBEATS_PER_LEASE = 3
POLL = timedelta(seconds=0.5)
"""How long a worker with nothing to do waits."""


@dataclass(frozen=True, slots=True)
class Task:
    """What a job's name stands for.

    Attributes:
        run: does the work in the unit of work that also ends the job, all or nothing. Gets what ``prepare`` returned.
        prepare: work outside the database (a webhook), before that transaction and in none, several jobs at once. It
            may happen again for the same job: receivers tell repeats by the job's id.
    """

    run: Callable[[Job, UnitOfWork, Any], None]
    prepare: Callable[[Job], Any] | None = None


@dataclass(frozen=True, slots=True)
class Cron:
    """Work that comes back: a job of that name every so often, enqueued once however many workers tick."""

    name: str
    every: timedelta
    payload: JsonObject = field(default_factory=dict)
    queue: str = DEFAULT_QUEUE


class Worker:
    """Claims, works, ends; any number of them beside each other.

    Args:
        database: of the app.
        tables: of the app.
        tasks: by the name of the job.
        queues: how many jobs of a queue are claimed at a time: 1 for large ones, 50 to 100 for small ones and webhooks.
        crons: work that comes back.
        lease: see :data:`LEASE`.
        poll: see :data:`POLL`.
    """

    def __init__(
        self,
        database: Database,
        tables: AppTables,
        tasks: Mapping[str, Task],
        *,
        queues: Mapping[str, int] | None = None,
        crons: Sequence[Cron] = (),
        lease: timedelta = LEASE,
        poll: timedelta = POLL,
    ) -> None:
        self._database = database
        self._tables = tables
        self._tasks = tasks
        self._queues = dict(queues or {DEFAULT_QUEUE: 1})
        self._crons = crons
        self._lease = lease
        self._poll = poll
        self._claims: set[str] = set()
        self._log = log.get_logger(f"{tables.app}.jobs")

    def run(self, stop: threading.Event) -> None:
        """Work until ``stop`` is set; the job in hand is finished first. An unreachable database is waited for."""
        ended = threading.Event()
        heartbeat = threading.Thread(target=self._beat, args=(ended,), name="heartbeat", daemon=True)
        heartbeat.start()
        try:
            while not stop.is_set():
                try:
                    worked = self.run_due(stop)
                except Exception as error:  # noqa: BLE001 - a worker that ended unnoticed would be worse
                    self._log.error("the worker could not go on", error=_reason(error))
                    worked = 0
                if not worked:
                    stop.wait(self._poll.total_seconds())
        finally:
            ended.set()
            heartbeat.join()

    def run_until_signal(self) -> None:
        """Work until SIGTERM or Ctrl-C; the job in hand is finished first. For a process that does nothing else."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda _number, _frame: stop.set())
        self.run(stop)

    def run_due(self, stop: threading.Event | None = None) -> int:
        """Do what is due now, queue by queue in turn, until nothing is, and return how many jobs were claimed."""
        self._tick()
        total = 0
        while not (stop and stop.is_set()):
            claimed = sum(self._work(queue, limit) for queue, limit in self._queues.items() if self._is_due(queue))
            if not claimed:
                break
            total += claimed
        return total

    def _work(self, queue: str, limit: int) -> int:
        with self._database.unit() as unit:
            jobs = claim(unit.connection, self._tables, queue, limit=limit, lease=self._lease)
        if jobs:
            with self._kept_alive(jobs[0].token):
                self._do(jobs)
        return len(jobs)

    def _is_due(self, queue: str) -> bool:
        """A look without a lock: workers with nothing to do must not make writers wait."""
        table = self._tables.job
        query = select(table.c.id).where(table.c.queue == queue, table.c.due <= database_now()).limit(1)
        with self._database.reader() as unit:
            return unit.connection.execute(query).first() is not None

    def _do(self, jobs: Sequence[Job]) -> None:
        prepared = self._prepare(jobs)
        ready = [job for job in jobs if job.id in prepared]
        if len(ready) > 1:
            try:
                self._run_and_finish(ready, prepared)
            except Exception as exc:  # noqa: BLE001 - a job may fail in any way
                # One of them spoils the batch: each gets a transaction of its own, and the error its own job.
                self._log.info("batch split", jobs=len(ready), error=_reason(exc))
            else:
                return
        for job in ready:
            try:
                self._run_and_finish([job], prepared)
            except LeaseLost as exc:
                self._log.warning("lease lost", job=job.id, name=job.name, detail=exc.detail)
            except Exception as exc:  # noqa: BLE001 - a job may fail in any way
                self._fail(job, exc)

    def _prepare(self, jobs: Sequence[Job]) -> dict[int, Any]:
        """What lies outside the database, all at once and in no transaction. Jobs that fail here are left out."""
        prepared: dict[int, Any] = {}
        outside: list[tuple[Job, Callable[[Job], Any]]] = []
        for job in jobs:
            task = self._tasks.get(job.name)
            if task is None:
                self._fail(job, NotFound(f"no task is named {job.name}"))
            elif task.prepare is None:
                prepared[job.id] = None
            else:
                outside.append((job, task.prepare))
        if outside:
            with ThreadPoolExecutor(len(outside)) as pool:
                futures = [(job, pool.submit(prepare, job)) for job, prepare in outside]
            for job, future in futures:
                if error := future.exception():
                    self._fail(job, error)
                else:
                    prepared[job.id] = future.result()
        return prepared

    def _run_and_finish(self, jobs: Sequence[Job], prepared: Mapping[int, Any]) -> None:
        with self._database.unit() as unit:
            for job in jobs:
                self._tasks[job.name].run(job, unit, prepared[job.id])
            finish(unit.connection, self._tables, jobs)

    def _fail(self, job: Job, error: BaseException) -> None:
        self._log.warning("job failed", job=job.id, name=job.name, attempt=job.attempts, error=_reason(error))
        with self._database.unit() as unit:
            fail(unit.connection, self._tables, job, _reason(error))

    @contextmanager
    def _kept_alive(self, token: str) -> Iterator[None]:
        self._claims.add(token)
        try:
            yield
        finally:
            self._claims.discard(token)

    def _beat(self, ended: threading.Event) -> None:
        while not ended.wait(self._lease.total_seconds() / HEARTBEATS_PER_LEASE):
            if not (tokens := list(self._claims)):
                continue
            try:
                with self._database.unit() as unit:
                    extend(unit.connection, self._tables, tokens, lease=self._lease)
            except StorageError as error:
                self._log.warning("heartbeat missed", detail=error.detail)

    def _tick(self) -> None:
        """Enqueue what repeats. Whoever moves the row enqueues; any worker may, and none is special."""
        if not self._crons:
            return
        table = self._tables.cron
        with self._database.reader() as unit:
            now = unit.connection.execute(select(database_now())).scalar_one()
            seen = {row.name: row.next_at for row in unit.connection.execute(select(table))}
        for cron in self._crons:
            if seen.get(cron.name, 0.0) <= now:
                self._enqueue_cron(cron, seen.get(cron.name), now)

    def _enqueue_cron(self, cron: Cron, seen: float | None, now: float) -> None:
        table, step = self._tables.cron, cron.every.total_seconds()
        with self._database.unit() as unit:
            if seen is None:
                moved = insert_if_absent(unit.connection, table, {"name": cron.name, "next_at": now + step})
            else:
                # Runs missed while nothing worked are made up for once, not one by one.
                following = now + step - (now - seen) % step
                mine = update(table).where(table.c.name == bindparam("cron"), table.c.next_at == bindparam("seen"))
                values = {"cron": cron.name, "seen": seen, "next_at": following}
                moved = unit.connection.execute(mine.values(next_at=bindparam("next_at")), values).rowcount == 1
            if moved:
                key = f"cron:{cron.name}"
                enqueue(unit.connection, self._tables, cron.name, cron.payload, queue=cron.queue, key=key)


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error.detail}" if isinstance(error, WalletError) else type(error).__name__
