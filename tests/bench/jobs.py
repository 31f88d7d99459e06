"""Rates of the job worker: python -m tests.bench.jobs [DATABASE_URL]. Handlers write one row, so these are ceilings."""

import sys
import tempfile
import time
from collections.abc import Callable

from sqlalchemy import delete

from tests.support.job_programs import EFFECT, METADATA, TABLES, record_effect
from wallet_core.adapters import jobs
from wallet_core.adapters.jobs import Task, Worker
from wallet_core.adapters.sql import Database


def _rate(count: int, work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def _enqueue_singly(database: Database, count: int) -> None:
    for _ in range(count):
        with database.unit() as unit:
            jobs.enqueue(unit.connection, TABLES, "effect")


def _enqueue_in_bulk(database: Database, count: int) -> None:
    with database.unit() as unit:
        jobs.enqueue_many(unit.connection, TABLES, "effect", [{}] * count)


def _worker(database: Database, claim: int) -> Worker:
    return Worker(database, TABLES, {"effect": Task(record_effect)}, queues={"default": claim})


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder}/jobs.db")
        METADATA.create_all(database.engine)
        with database.unit() as unit:
            unit.connection.execute(delete(TABLES.job))
            unit.connection.execute(delete(EFFECT))
        singly, bulk = 1000, 20_000
        print(database.engine.dialect.name)
        print(f"enqueue one by one  {_rate(singly, lambda: _enqueue_singly(database, singly)):>8,.0f}/s")
        print(f"run, claim 1        {_rate(singly, _worker(database, 1).run_due):>8,.0f}/s")
        print(f"enqueue in bulk     {_rate(bulk, lambda: _enqueue_in_bulk(database, bulk)):>8,.0f}/s")
        print(f"run, claim 100      {_rate(bulk, _worker(database, 100).run_due):>8,.0f}/s")
        METADATA.drop_all(database.engine)
        database.close()


if __name__ == "__main__":
    main()
