"""The durable work of presentations: records are sealed, claims and whole presentations go when the policy says."""

from datetime import timedelta
from typing import Any

from verifier.dependencies import Verifier
from verifier.presentations.use_cases.records import Sealed, keep_sealed, seal_waiting
from verifier.presentations.use_cases.results import BATCH, delete_old_presentations, move_on_in_time
from verifier.status.use_cases import BATCH as LISTS
from verifier.status.use_cases import delete_old_lists
from verifier.tables import APP_TABLES
from wallet_core.adapters import log
from wallet_core.adapters.jobs import Cron, Job, Task, enqueue
from wallet_core.adapters.sql import UnitOfWork, delete_expired

MOVE_ON = "presentations.move_on_in_time"
DELETE_OLD = "presentations.delete_old_records"  # as rows of jobs have it
FORGET = "presentations.forget_answers"
SEAL = "presentations.seal_records"
FORGET_LISTS = "status.delete_old_lists"

_LOG = "verifier.presentations"

_REASONS = 5
"""Different reasons that one line of the log names."""

CRONS = (
    Cron(MOVE_ON, every=timedelta(seconds=5)),
    Cron(SEAL, every=timedelta(seconds=5)),
    Cron(DELETE_OLD, every=timedelta(minutes=10)),
    Cron(FORGET, every=timedelta(hours=1)),
    Cron(FORGET_LISTS, every=timedelta(hours=1)),
)
"""Work that comes back."""


def tasks(verifier: Verifier) -> dict[str, Task]:
    """Return the tasks of presentations by name."""
    logger = log.get_logger(_LOG)

    # More may be due than one batch: another job at once, so that no transaction grows with the backlog.
    def move_on(_job: Job, unit: UnitOfWork, _prepared: Any) -> None:
        moved = move_on_in_time(verifier.storage(unit), now=verifier.clock.now())
        if moved.unreadable:
            logger.warning("presentations that cannot be read lost their claims in time", ids=moved.unreadable)
        if moved.count == BATCH:
            enqueue(unit.connection, APP_TABLES, MOVE_ON)

    def delete_old(_job: Job, unit: UnitOfWork, _prepared: Any) -> None:
        if delete_old_presentations(verifier.storage(unit), now=verifier.clock.now()) == BATCH:
            enqueue(unit.connection, APP_TABLES, DELETE_OLD)

    def forget(_job: Job, unit: UnitOfWork, _prepared: Any) -> None:
        now = verifier.clock.now()
        if delete_expired(unit.connection, APP_TABLES.idempotency, now=now, limit=BATCH) == BATCH:
            enqueue(unit.connection, APP_TABLES, FORGET)

    def forget_lists(_job: Job, unit: UnitOfWork, _prepared: Any) -> None:
        if delete_old_lists(verifier.status_storage(unit), now=verifier.clock.now()) == LISTS:
            enqueue(unit.connection, APP_TABLES, FORGET_LISTS)

    return {
        MOVE_ON: Task(move_on),
        SEAL: _sealing(verifier),
        DELETE_OLD: Task(delete_old),
        FORGET: Task(forget),
        FORGET_LISTS: Task(forget_lists),
    }


def _sealing(verifier: Verifier) -> Task:
    logger = log.get_logger(_LOG)

    # Signing is outside of the transaction: a key in an HSM takes its time.
    def seal(job: Job) -> Sealed:
        return seal_waiting(verifier.presentations, after=str(job.payload.get("after", "")))

    def keep(_job: Job, unit: UnitOfWork, sealed: Sealed) -> None:
        keep_sealed(verifier.storage(unit), sealed)
        if sealed.problems:
            reasons = [*dict.fromkeys(sealed.problems)][:_REASONS]
            logger.warning("verification records could not be sealed", count=len(sealed.problems), reasons=reasons)
        if sealed.following is not None:
            enqueue(unit.connection, APP_TABLES, SEAL, {"after": sealed.following})

    return Task(keep, prepare=seal)
