"""What the issuer's tables stand on: one base, and the tables that every app has."""

from sqlalchemy import Table
from sqlmodel import SQLModel

from wallet_core.adapters.app_tables import app_tables
from wallet_core.adapters.sql import app_registry


class IssuerBase(SQLModel, registry=app_registry()):
    """Base of the issuer's tables; their names begin with ``issuer_``."""


APP_TABLES = app_tables("issuer", IssuerBase.metadata)


def table_of(row: type[SQLModel]) -> Table:
    """Return the SQLAlchemy table of a row class, for statements of SQLAlchemy Core."""
    return IssuerBase.metadata.tables[str(row.__tablename__)]
