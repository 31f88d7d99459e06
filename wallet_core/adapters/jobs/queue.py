"""Durable work in one lease table of the app's own database.

``due`` is both "not before" and "lease until": a dead worker's job becomes due again by itself. Each claim writes a new
random token, and the end of a job deletes the row *by that token* in the transaction of its effect; a worker that was
frozen past its lease finds no such row and its effect is rolled back. Enqueueing joins the caller's transaction, so
this is the outbox too. The database's clock is the only clock.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    RowMapping,
    Select,
    Table,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from wallet_core.adapters import log
from wallet_core.adapters.app_tables import AppTables
from wallet_core.adapters.sql import database_now, delete_some
from wallet_core.errors import NotFound, StateConflict
from wallet_core.types import Json, JsonObject

MAX_ATTEMPTS = 12
"""Tries before a job goes to the failed ones: with the waits below 32 to 64 minutes after the first."""

BACKOFF_BASE = timedelta(seconds=2)
"""The longest wait after the first try; it doubles with each, and jitter halves it at most."""

BACKOFF_CAP = timedelta(minutes=30)
"""The longest wait after any try: work that comes back (``Cron``) stands still for no longer once a fault is mended."""

MAX_ERROR_CHARACTERS = 500

DEFAULT_QUEUE = "default"

_DIED = "its worker died"


@dataclass(frozen=True, slots=True)
class Job:
    """One claimed piece of work. ``attempts`` counts this try; the id stays the same over all tries."""

    id: int
    queue: str
    name: str
    payload: JsonObject
    attempts: int
    max_attempts: int
    token: str = field(repr=False)


class LeaseLost(StateConflict):
    """Another worker has the job by now; what this one did is rolled back."""


# --- enqueueing -------------------------------------------------------------------------------------------------------


def enqueue(
    connection: Connection,
    tables: AppTables,
    name: str,
    payload: Mapping[str, Json] | None = None,
    *,
    queue: str = DEFAULT_QUEUE,
    key: str | None = None,
    priority: int = 0,
    delay: timedelta = timedelta(),
    due_at: datetime | float | None = None,
    max_attempts: int = MAX_ATTEMPTS,
) -> bool:
    """Add a job in the caller's transaction, and return whether it was added.

    Args:
        connection: of the unit of work.
        tables: of the app.
        name: of the task.
        payload: small; ids rather than data.
        queue: one for each kind of work, so that slow work never stands before quick work.
        key: at most one job with this key waits or runs; a second one is not added.
        priority: lower runs first.
        delay: from now by the database's clock.
        due_at: instead of ``delay``, a time or seconds since 1970.
        max_attempts: tries before it goes to the failed ones.
    """
    due: ColumnElement[float] = database_now() + delay.total_seconds()
    if due_at is not None:
        due = literal(due_at.timestamp() if isinstance(due_at, datetime) else due_at, Float)
    row = {"queue": queue, "name": name, "payload": dict(payload or {}), "key": key, "priority": priority}
    values = {**row, "attempts": 0, "max_attempts": max_attempts}
    table = tables.job
    made = sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
    statement = made.values(due=due, **values).on_conflict_do_nothing(index_elements=["key"])
    return connection.execute(statement.execution_options(preserve_rowcount=True)).rowcount == 1


def enqueue_many(
    connection: Connection,
    tables: AppTables,
    name: str,
    payloads: Sequence[Mapping[str, Json]],
    *,
    queue: str = DEFAULT_QUEUE,
    priority: int = 0,
) -> None:
    """Add many jobs without keys, due now, in one statement."""
    now = connection.execute(select(database_now())).scalar_one()
    row = {"queue": queue, "name": name, "priority": priority, "due": now, "attempts": 0}
    rows = [{**row, "payload": dict(payload), "max_attempts": MAX_ATTEMPTS} for payload in payloads]
    if rows:
        connection.execute(insert(tables.job), rows)


def next_slot(connection: Connection, tables: AppTables, key: str, *, interval: timedelta, burst: int = 1) -> float:
    """Take the next free moment under a rate limit and return it, in seconds since 1970: the ``due_at`` of a job.

    GCRA: one row for each key holds when the next one would be due if all came evenly; one statement advances it.

    Args:
        connection: of the unit of work.
        tables: of the app.
        key: what is limited (a receiver's host).
        interval: the long-run distance of two uses.
        burst: how many may come at once after a pause.
    """
    table, seconds = tables.rate, interval.total_seconds()
    made = sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
    now = database_now()
    later = case((table.c.next_at > now, table.c.next_at), else_=now) + seconds
    statement = made.values(key=key, next_at=now + seconds).on_conflict_do_update(
        index_elements=["key"], set_={"next_at": later}
    )
    advanced: float = connection.execute(statement.returning(table.c.next_at)).scalar_one()
    return advanced - seconds * burst


@dataclass(frozen=True, slots=True)
class Turn:
    """What became of a try under a rate limit.

    Attributes:
        taken: whether it may go on; otherwise nothing was counted.
        left: how many more may come at once now.
        wait: seconds until the next one may come; 0 if one may now.
        full_in: seconds until ``burst`` of them may come at once again.
    """

    taken: bool
    left: int
    wait: float
    full_in: float


def take_turn(connection: Connection, tables: AppTables, key: str, *, interval: timedelta, burst: int) -> Turn:
    """Take one use of a rate limit if fewer than ``burst`` are open now. Arguments as :func:`next_slot`.

    One statement, so that any number of workers count together; whoever is refused waits no longer for having asked.
    """
    table, seconds = tables.rate, interval.total_seconds()
    made = sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)
    now, room = database_now(), seconds * (burst - 1)
    later = case((table.c.next_at > now, table.c.next_at), else_=now) + seconds
    statement = made.values(key=key, next_at=now + seconds).on_conflict_do_update(
        index_elements=["key"], set_={"next_at": later}, where=table.c.next_at <= now + room
    )
    ahead = connection.execute(statement.returning(table.c.next_at - database_now())).scalar_one_or_none()
    taken = ahead is not None
    if ahead is None:
        ahead = connection.execute(select(table.c.next_at - now).where(table.c.key == key)).scalar_one()
    return Turn(taken, max(0, int(burst - ahead / seconds + _ROUNDING)), max(0.0, ahead - room), max(0.0, ahead))


_ROUNDING = 0.001
"""Of one use: SQLite's clock is exact to 40 microseconds only."""


def is_free(connection: Connection, tables: AppTables, key: str, *, interval: timedelta, burst: int) -> bool:
    """Return whether fewer than ``burst`` uses of a rate limit are open now; it takes none. Arguments as above."""
    values = {"key": key, "room": interval.total_seconds() * burst}
    return connection.execute(_crowded(tables.rate), values).first() is None


@lru_cache(maxsize=16)
def _crowded(table: Table) -> Select[Any]:
    # Built once: putting a statement together costs as much as running it.
    crowded = table.c.next_at > database_now() + bindparam("room", type_=Float())
    return select(table.c.key).where(table.c.key == bindparam("key"), crowded)


def forget_rates(connection: Connection, tables: AppTables, *, prefix: str, limit: int) -> int:
    """Delete up to ``limit`` limits whose key begins with ``prefix`` and that nobody waits for; return how many."""
    table = tables.rate
    idle = table.c.key.startswith(prefix, autoescape=True) & (table.c.next_at < database_now())
    return delete_some(connection, table, idle, limit=limit)


# --- the failed ones --------------------------------------------------------------------------------------------------


def failed_jobs(connection: Connection, tables: AppTables, *, limit: int = 100) -> Sequence[RowMapping]:
    """Return jobs that ran out of attempts, the latest first."""
    table = tables.job_failed
    return connection.execute(select(table).order_by(table.c.failed_at.desc()).limit(limit)).mappings().all()


def send_again(connection: Connection, tables: AppTables, job_id: int) -> None:
    """Put a failed job back to work with its attempts renewed.

    Where a job with its key waits already (work that comes back makes one), that one is due now instead.

    Raises:
        NotFound: there is no such failed job.
    """
    table = tables.job_failed
    row = connection.execute(delete(table).where(table.c.id == job_id).returning(table)).mappings().one_or_none()
    if row is None:
        raise NotFound("no such failed job")
    kept = {name: row[name] for name in ("queue", "name", "key", "priority", "max_attempts", "payload")}
    if not enqueue(connection, tables, **kept):
        # Not one that runs, or whose worker died: its lease says when.
        waiting = (tables.job.c.key == row["key"], tables.job.c.token.is_(None))
        connection.execute(update(tables.job).where(*waiting).values(due=database_now(), attempts=0))


# --- the lease --------------------------------------------------------------------------------------------------------


def claim(connection: Connection, tables: AppTables, queue: str, *, limit: int, lease: timedelta) -> list[Job]:
    """Lease up to ``limit`` due jobs of ``queue`` under one new token; those out of attempts go to the failed ones."""
    table, token = tables.job, secrets.token_hex(16)
    due = (
        select(table.c.id)
        .where(table.c.queue == queue, table.c.due <= database_now())
        .order_by(table.c.priority, table.c.due)
        .limit(limit)
    )
    if connection.dialect.name == "postgresql":
        due = select(due.with_for_update(skip_locked=True).cte("claimable").c.id)
    leased = {"due": database_now() + lease.total_seconds(), "token": token, "attempts": table.c.attempts + 1}
    statement = update(table).where(table.c.id.in_(due)).values(leased).returning(table)
    rows = connection.execute(statement).mappings().all()
    jobs = [_job(row) for row in sorted(rows, key=lambda row: (row["priority"], row["id"]))]
    # The attempt is counted when it begins, so a job that kills its worker runs out too.
    for job in jobs:
        if job.attempts > job.max_attempts:
            _give_up(connection, tables, job, None)
    return [job for job in jobs if job.attempts <= job.max_attempts]


def finish(connection: Connection, tables: AppTables, jobs: Sequence[Job]) -> None:
    """End jobs of one claim: in the transaction of their effect.

    Raises:
        LeaseLost: one of them is not ours any more; the transaction must be rolled back.
    """
    table = tables.job
    ended = delete(table).where(table.c.token == jobs[0].token, table.c.id.in_([job.id for job in jobs]))
    if connection.execute(ended).rowcount != len(jobs):
        raise LeaseLost("the lease of a job ran out", detail=f"{tables.app} job {jobs[0].id} and its batch")


def extend(connection: Connection, tables: AppTables, tokens: Sequence[str], *, lease: timedelta) -> None:
    """Push the leases of these claims: the heartbeat."""
    table = tables.job
    pushed = update(table).where(table.c.token.in_(tokens)).values(due=database_now() + lease.total_seconds())
    connection.execute(pushed)


def fail(connection: Connection, tables: AppTables, job: Job, error: str) -> None:
    """Set the time of the next try, or give up. Nothing happens if the job is not ours any more."""
    if job.attempts >= job.max_attempts:
        _give_up(connection, tables, job, error)
        return
    table = tables.job
    longest = min(BACKOFF_BASE * 2 ** (job.attempts - 1), BACKOFF_CAP).total_seconds()
    # Jitter: jobs that failed together must not come back together.
    wait = longest * (0.5 + secrets.randbelow(1000) / 2000)
    again = {"due": database_now() + wait, "token": None, "error": error[:MAX_ERROR_CHARACTERS]}
    connection.execute(update(table).where(table.c.id == job.id, table.c.token == job.token).values(again))


def _give_up(connection: Connection, tables: AppTables, job: Job, error: str | None) -> None:
    """Move a job to the failed ones and say so, if it is still ours: nothing and nobody tries it again by itself.

    It is said before the commit: should that fail, the job is given up and told of once more, while a crash right
    after it would swallow what nobody hears of otherwise.
    """
    table, failed = tables.job, tables.job_failed
    mine = (table.c.id == job.id, table.c.token == job.token)
    kept = [column.name for column in failed.c if column.name in table.c and column.name != "error"]
    reason = literal(error) if error else func.coalesce(table.c.error, _DIED)
    moved = select(*(table.c[name] for name in kept), reason, database_now()).where(*mine)
    connection.execute(insert(failed).from_select([*kept, "error", "failed_at"], moved))
    gone = connection.execute(delete(table).where(*mine).returning(table.c.error)).one_or_none()
    if gone is not None:
        logger = log.get_logger(f"{tables.app}.jobs")
        said = error or gone.error or _DIED
        logger.error("job given up: see `jobs failed`", job=job.id, name=job.name, tries=job.max_attempts, error=said)


def _job(row: RowMapping) -> Job:
    return Job(**{name: row[name] for name in Job.__slots__})
