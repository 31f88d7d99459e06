"""What the wallet's tables stand on: one base, and the tables that every app has."""

from typing import Final

from sqlalchemy import Table
from sqlmodel import SQLModel

from wallet_core.adapters.app_tables import app_tables
from wallet_core.adapters.sql import app_registry


class WalletBase(SQLModel, registry=app_registry()):
    """Base of the wallet's tables; their names begin with ``wallet_`` and every row carries an ``account_id``."""


MOST_EXPIRED: Final = 200
"""Rows of one table that one transaction deletes because their time is over: a person's request waits for it."""

APP_TABLES = app_tables("wallet", WalletBase.metadata)


def table_of(row: type[SQLModel]) -> Table:
    """Return the SQLAlchemy table of a row class, for statements of SQLAlchemy Core."""
    return WalletBase.metadata.tables[str(row.__tablename__)]
