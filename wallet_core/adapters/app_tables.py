"""The tables that every app has, each app its own: work, used secrets, repeated answers, API keys."""

from dataclasses import dataclass

from sqlalchemy import JSON, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table

from wallet_core.adapters.sql import UtcDateTime

# Every queue on PostgreSQL dies of dead rows: vacuum after a fixed number, not a share of the table.
_POSTGRESQL_QUEUE = {
    "autovacuum_vacuum_scale_factor": 0,
    "autovacuum_vacuum_threshold": 1000,
    "autovacuum_vacuum_cost_delay": 0,
}


@dataclass(frozen=True, slots=True)
class AppTables:
    """The tables that every app has, prefixed with its name.

    Attributes:
        app: name of the app, the prefix.
        job: durable work that is due or leased (``adapters.jobs``).
        job_failed: work that ran out of attempts.
        cron: when each repeated piece of work is due next.
        rate: the next free moment of each rate limit.
        spent: digests of secrets that were used.
        idempotency: sealed answers by Idempotency-Key.
        api_key: digests of API keys with their owner and scopes.
    """

    app: str
    job: Table
    job_failed: Table
    cron: Table
    rate: Table
    spent: Table
    idempotency: Table
    api_key: Table


def app_tables(app: str, metadata: MetaData) -> AppTables:
    """Define the shared tables of ``app`` in its metadata. The first migration of each app creates the same ones."""
    return AppTables(
        app=app,
        job=_job_table(app, metadata),
        job_failed=_job_failed_table(app, metadata),
        cron=Table(
            f"{app}_cron",
            metadata,
            Column("name", String(100), primary_key=True),
            Column("next_at", Float(53), nullable=False),
        ),
        rate=Table(
            f"{app}_rate",
            metadata,
            Column("key", String(200), primary_key=True),
            Column("next_at", Float(53), nullable=False),
        ),
        spent=Table(
            f"{app}_spent",
            metadata,
            Column("digest", LargeBinary(32), primary_key=True),
            Column("expires_at", UtcDateTime, nullable=False, index=True),
        ),
        idempotency=_idempotency_table(app, metadata),
        api_key=_api_key_table(app, metadata),
    )


def _job_table(app: str, metadata: MetaData) -> Table:
    table = Table(
        f"{app}_job",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("queue", String(50), nullable=False),
        Column("name", String(100), nullable=False),
        Column("payload", JSON, nullable=False),
        Column("key", String(200), unique=True),
        Column("priority", Integer, nullable=False),
        Column("due", Float(53), nullable=False),
        Column("token", String(32)),
        Column("attempts", Integer, nullable=False),
        Column("max_attempts", Integer, nullable=False),
        Column("error", String(500)),
        postgresql_with=_POSTGRESQL_QUEUE,
        sqlite_autoincrement=True,  # an id is never used again: receivers tell repeats by it
    )
    Index(None, table.c.queue, table.c.priority, table.c.due)
    Index(None, table.c.token)
    return table


def _job_failed_table(app: str, metadata: MetaData) -> Table:
    return Table(
        f"{app}_job_failed",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("queue", String(50), nullable=False),
        Column("name", String(100), nullable=False),
        Column("payload", JSON, nullable=False),
        Column("key", String(200)),
        Column("priority", Integer, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("max_attempts", Integer, nullable=False),
        Column("error", String(500)),
        Column("failed_at", Float(53), nullable=False),
    )


def _idempotency_table(app: str, metadata: MetaData) -> Table:
    return Table(
        f"{app}_idempotency",
        metadata,
        Column("digest", LargeBinary(32), primary_key=True),
        Column("request_digest", LargeBinary(32), nullable=False),
        Column("answer", LargeBinary),
        Column("expires_at", UtcDateTime, nullable=False, index=True),
    )


def _api_key_table(app: str, metadata: MetaData) -> Table:
    return Table(
        f"{app}_api_key",
        metadata,
        Column("id", String(32), primary_key=True),
        Column("digest", LargeBinary(32), nullable=False, unique=True),
        Column("owner", String(100), nullable=False, index=True),
        Column("label", String(100), nullable=False),
        Column("scopes", JSON, nullable=False),
        Column("created_at", UtcDateTime, nullable=False),
        Column("expires_at", UtcDateTime),
        Column("revoked_at", UtcDateTime),
        Column("last_used_at", UtcDateTime),
    )
