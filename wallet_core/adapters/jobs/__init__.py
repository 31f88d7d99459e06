"""Durable work: `queue` is the lease table's protocol, `worker` runs it."""

from wallet_core.adapters.jobs.queue import (
    DEFAULT_QUEUE,
    Job,
    LeaseLost,
    enqueue,
    enqueue_many,
    failed_jobs,
    next_slot,
    send_again,
)
from wallet_core.adapters.jobs.worker import Cron, Task, Worker

__all__ = [
    "DEFAULT_QUEUE",
    "Cron",
    "Job",
    "LeaseLost",
    "Task",
    "Worker",
    "enqueue",
    "enqueue_many",
    "failed_jobs",
    "next_slot",
    "send_again",
]
