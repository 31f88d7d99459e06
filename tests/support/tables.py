"""Migrated databases: migrations run once in a test process, and what they made is copied after that."""

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from wallet_core.adapters import migrations
from wallet_core.adapters.sql import Database

APPS = ("issuer", "verifier", "holder_app")


def migrate(database: Database, app: str) -> None:
    """As ``migrations.migrate``; an SQLite file that is not there yet becomes a copy of one that was migrated."""
    file = Path(database.engine.url.database or "")
    if database.engine.dialect.name == "sqlite" and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(Path(_migrated(app).name, "migrated.db"), file)
    migrations.migrate(database, app)


def migrate_all(url: str) -> None:
    """Make the tables of all three apps in one database."""
    database = Database(url)
    for app in APPS:
        migrations.migrate(database, app)
    database.close()


def own_tables(app: str, prefix: str) -> dict[str, Any]:
    """Options of a ``MigrationContext`` that sees the tables of one app only."""
    return {
        "version_table": f"alembic_version_{app}",
        "include_name": lambda name, kind, _: kind != "table" or str(name).startswith(f"{prefix}_"),
    }


@cache
def _migrated(app: str) -> "tempfile.TemporaryDirectory[str]":
    folder = tempfile.TemporaryDirectory(prefix="jigap-migrated-")
    database = Database(f"sqlite:///{folder.name}/migrated.db")
    migrations.migrate(database, app)
    database.close()
    return folder
