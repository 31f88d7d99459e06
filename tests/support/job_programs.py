"""Worker processes for the soaks: started from a server that has imported everything, so that kills can come fast."""

import multiprocessing
import secrets
import threading
import time
from datetime import timedelta
from multiprocessing.process import BaseProcess
from typing import Any

from sqlalchemy import Column, Integer, MetaData, String, Table, insert

from wallet_core.adapters.app_tables import app_tables
from wallet_core.adapters.jobs import Job, Task, Worker
from wallet_core.adapters.sql import NAMING_CONVENTION, Database, UnitOfWork

METADATA = MetaData(naming_convention=NAMING_CONVENTION)
TABLES = app_tables("soak", METADATA)
EFFECT = Table(
    "soak_effect",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("job", Integer, nullable=False),
    Column("worker", String(20), nullable=False),
)


def start(url: str, task: str, *, lease: float, claim: int = 1) -> BaseProcess:
    """Start a worker process for the task of that name (a function below)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.job_programs"])
    process = context.Process(target=_work, args=(url, task, lease, claim), daemon=True)
    process.start()
    return process


def _work(url: str, task: str, lease: float, claim: int) -> None:
    tasks = {"effect": Task(_effect), "chunk": Task(_chunk), "slow": Task(_record, prepare=_slow)}
    worker = Worker(
        Database(url),
        TABLES,
        {task: tasks[task]},
        queues={"default": claim},
        lease=timedelta(seconds=lease),
        poll=timedelta(seconds=0.05),
    )
    worker.run(threading.Event())


def record_effect(job: Job, unit: UnitOfWork, _prepared: Any) -> None:
    """Write one row and nothing else."""
    unit.connection.execute(insert(EFFECT), {"job": job.id, "worker": "w"})


def _effect(job: Job, unit: UnitOfWork, _prepared: Any) -> None:
    unit.connection.execute(insert(EFFECT), {"job": job.id, "worker": "w"})
    # Some time for the kill to fall between the effect and the end.
    time.sleep(0.005 + secrets.randbelow(20) / 1000)


def _chunk(job: Job, unit: UnitOfWork, _prepared: Any) -> None:
    rows = job.payload["rows"]
    assert isinstance(rows, int)
    unit.connection.execute(insert(EFFECT), [{"job": job.id, "worker": "w"} for _ in range(rows)])


def _slow(_job: Job) -> str:
    time.sleep(1)
    return "prepared"


def _record(job: Job, unit: UnitOfWork, prepared: Any) -> None:
    unit.connection.execute(insert(EFFECT), {"job": job.id, "worker": str(prepared)})
