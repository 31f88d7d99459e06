"""Migrations: from nothing to the newest, twice, by several at once, and equal to the tables in code."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData

from tests.support.tables import own_tables
from wallet_core.adapters.app_tables import app_tables
from wallet_core.adapters.migrations import migrate, revisions
from wallet_core.adapters.sql import NAMING_CONVENTION, Database

FIRST = """
revision = "0001"
down_revision = None
def upgrade():
    from wallet_core.adapters.migrations import create_app_tables
    create_app_tables("sample")
def downgrade():
    from wallet_core.adapters.migrations import drop_app_tables
    drop_app_tables("sample")
"""
SECOND = """
import sqlalchemy as sa
from alembic import op
revision = "0002"
down_revision = "0001"
def upgrade():
    with op.batch_alter_table("sample_spent") as table:
        table.add_column(sa.Column("note", sa.String(10)))
    {more}
def downgrade():
    pass
"""


@pytest.fixture
def sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    versions = tmp_path / "sample" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "sample" / "__init__.py").touch()
    (versions / "0001_first.py").write_text(FIRST)
    monkeypatch.syspath_prepend(tmp_path)
    yield versions
    sys.modules.pop("sample", None)


def _tables(database: Database) -> set[str]:
    metadata = MetaData()
    metadata.reflect(database.engine)
    return set(metadata.tables)


def test_the_first_migration_makes_the_tables_of_the_code(database: Database, sample: Path) -> None:
    migrate(database, "sample")
    migrate(database, "sample")
    assert revisions(database, "sample") == ("0001", "0001")
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    app_tables("sample", metadata)
    with database.reader() as unit:
        context = MigrationContext.configure(unit.connection, opts=own_tables("sample", "sample"))
        assert compare_metadata(context, metadata) == []


def test_a_failing_migration_leaves_nothing_behind(database: Database, sample: Path) -> None:
    migrate(database, "sample")
    (sample / "0002_second.py").write_text(SECOND.format(more="raise KeyError"))
    with pytest.raises(KeyError):
        migrate(database, "sample")
    assert revisions(database, "sample") == ("0001", "0002")
    (sample / "0002_second.py").write_text(SECOND.format(more=""))
    migrate(database, "sample")
    assert revisions(database, "sample") == ("0002", "0002")


def test_processes_that_start_together_migrate_once(database: Database, sample: Path) -> None:
    # Alembic's proxies are one per process, so the other starter is played by a lock held outside.
    errors: list[BaseException] = []

    def hold() -> None:
        with database.unit() as unit:
            from wallet_core.adapters.migrations import _lock

            _lock(unit.connection, "sample")
            held.set()
            release.wait(10)

    held, release = threading.Event(), threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)

    def start() -> None:
        try:
            migrate(database, "sample")
        except BaseException as exc:  # noqa: BLE001
            errors.append(exc)

    starter = threading.Thread(target=start)
    starter.start()
    starter.join(0.3)
    assert starter.is_alive(), "it must wait for the one that migrates"
    release.set()
    starter.join(30)
    holder.join()
    assert errors == []
    assert "sample_job" in _tables(database)
