"""Whose each row of the wallet is stands in the row itself, so that every query can ask for one account's only."""

from pathlib import Path

import pytest
from sqlalchemy import Inspector, inspect

from tests.support.tables import migrate
from wallet_core.adapters.sql import Database

OF_NOBODY = {
    "alembic_version_holder_app": "which migrations ran",
    "wallet_account": "the account itself: its id is what the others name",
    "wallet_api_key": "a table of every app; the wallet gives out no API keys",
    "wallet_cron": "when repeated work of the whole app is due",
    "wallet_idempotency": "a table of every app; the wallet has no API of which answers are repeated",
    "wallet_job": "work of the whole app; a job for one account names it in its payload",
    "wallet_job_failed": "the same, once it has failed",
    "wallet_rate": "rate limits, of addresses too",
    "wallet_spent": "digests of used secrets, which lead to nobody",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Inspector:
    folder: Path = tmp_path_factory.mktemp("tables")
    database = Database(f"sqlite:///{folder}/wallet.db")
    migrate(database, "holder_app")
    inspector = inspect(database.engine)
    # What was asked is remembered; the file is not needed for more.
    for name in inspector.get_table_names():
        inspector.get_columns(name)
        inspector.get_foreign_keys(name)
    database.close()
    return inspector


def test_every_row_of_the_wallet_has_an_account_or_its_table_says_why_not(found: Inspector) -> None:
    tables = set(found.get_table_names())
    assert OF_NOBODY.keys() <= tables
    for table in tables - OF_NOBODY.keys():
        columns = {column["name"]: column for column in found.get_columns(table)}
        assert "account_id" in columns, table
        assert not columns["account_id"]["nullable"], table
        keys = {(*key["constrained_columns"], key["referred_table"]) for key in found.get_foreign_keys(table)}
        assert ("account_id", "wallet_account") in keys, table
