"""Alembic without files of its own: each app has only ``<app>/migrations/versions/*.py``.

The version table is ``alembic_version_<app>``, so one database can hold several apps. A migration runs in one
transaction under a lock on both engines: workers that start together migrate once.
"""

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

from alembic import op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Connection, MetaData, inspect, text

from wallet_core.adapters.app_tables import AppTables, app_tables
from wallet_core.adapters.sql import NAMING_CONVENTION, Database, UtcDateTime


def migrate(database: Database, app_package: str, revision: str = "head") -> None:
    """Bring the tables of the app whose package is ``app_package`` (``"issuer"``) to ``revision``.

    Raises:
        StateConflict: the tables of the app are there but were not made by migrations.
        StorageError: the database cannot be used.
    """
    script = _script_directory(app_package)

    def upgrade(current: Any, _context: MigrationContext) -> Any:
        return script._upgrade_revs(revision, current)  # noqa: SLF001 - alembic.command.upgrade does the same

    with database.unit() as unit:
        _lock(unit.connection, app_package)
        _run(unit.connection, script, app_package, upgrade)


def revisions(database: Database, app_package: str) -> tuple[str | None, str | None]:
    """Return the revision the database is at and the newest one there is."""
    with database.reader() as unit:
        context = MigrationContext.configure(unit.connection, opts={"version_table": _version_table(app_package)})
        return context.get_current_revision(), _script_directory(app_package).get_current_head()


def create_app_tables(app: str) -> AppTables:
    """Create the tables that every app has: called by the first migration of each app."""
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    tables = app_tables(app, metadata)
    metadata.create_all(op.get_bind(), checkfirst=False)
    return tables


def add_key_use(app: str) -> None:
    """Add when an API key was used last, unless the first migration has just made it: it makes today's tables."""
    table, column = f"{app}_api_key", "last_used_at"
    if all(each["name"] != column for each in inspect(op.get_bind()).get_columns(table)):
        op.add_column(table, Column(column, UtcDateTime))


def drop_app_tables(app: str) -> None:
    """Drop what :func:`create_app_tables` created."""
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    app_tables(app, metadata)
    metadata.drop_all(op.get_bind(), checkfirst=False)


def _run(connection: Connection, script: ScriptDirectory, app_package: str, upgrade: Any) -> None:
    with EnvironmentContext(Config(), script, fn=upgrade) as environment:
        environment.configure(
            connection=connection,
            version_table=_version_table(app_package),
            render_as_batch=True,
            transactional_ddl=True,  # SQLite can, since the driver no longer commits behind our back
        )
        environment.run_migrations()


def _lock(connection: Connection, app_package: str) -> None:
    # On SQLite BEGIN IMMEDIATE is the lock.
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(hashlib.sha256(_version_table(app_package).encode()).digest()[:8], "big", signed=True)
        connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def _script_directory(app_package: str) -> ScriptDirectory:
    folder = Path(str(files(app_package))) / "migrations"
    return ScriptDirectory(str(folder), version_locations=[str(folder / "versions")])


def _version_table(app_package: str) -> str:
    return f"alembic_version_{app_package}"
