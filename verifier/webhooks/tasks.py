"""The durable work of webhooks: sending, and forgetting what was given up long ago. In a queue of its own."""

from datetime import timedelta
from typing import Any

from verifier.dependencies import Verifier
from verifier.tables import APP_TABLES
from verifier.webhooks.repository import DELIVER, QUEUE
from verifier.webhooks.use_cases import BATCH, Attempt, delete_dead, send_delivery, settle_attempt
from wallet_core.adapters import log
from wallet_core.adapters.jobs import Cron, Job, Task, enqueue
from wallet_core.adapters.sql import UnitOfWork

FORGET = "webhooks.delete_dead"

_LOG = log.get_logger("verifier.webhooks")

AT_ONCE = 50
"""Deliveries that one worker sends at the same time."""

CRONS = (Cron(FORGET, every=timedelta(hours=1), queue=QUEUE),)
"""Work that comes back."""


def tasks(verifier: Verifier) -> dict[str, Task]:
    """Return the tasks of webhooks by name."""
    ports = verifier.webhooks

    def send(job: Job) -> Attempt | None:
        turn = job.payload.get("turn")
        attempt = send_delivery(ports, str(job.payload.get("delivery")), turn if isinstance(turn, int) else 0)
        if attempt is not None and attempt.unexpected is not None:
            _LOG.error("a webhook could not be sent", delivery=attempt.delivery.id, exc_info=attempt.unexpected)
        return attempt

    def settle(_job: Job, unit: UnitOfWork, attempt: Attempt | None) -> None:
        if attempt is not None:
            settle_attempt(verifier.webhook_storage(unit), attempt, random=ports.random, now=ports.clock.now())

    def forget(_job: Job, unit: UnitOfWork, _prepared: Any) -> None:
        kept = timedelta(days=verifier.settings.webhook_days)
        if delete_dead(verifier.webhook_storage(unit), before=ports.clock.now() - kept) == BATCH:
            enqueue(unit.connection, APP_TABLES, FORGET, queue=QUEUE)

    return {DELIVER: Task(settle, prepare=send), FORGET: Task(forget)}
