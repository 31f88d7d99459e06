"""What the verifier's tables stand on: one base, and the tables that every app has."""

from sqlalchemy import Table
from sqlmodel import SQLModel

from wallet_core.adapters.app_tables import app_tables
from wallet_core.adapters.sql import app_registry


class VerifierBase(SQLModel, registry=app_registry()):
    """Base of the verifier's tables; their names begin with ``verifier_``."""


APP_TABLES = app_tables("verifier", VerifierBase.metadata)


def table_of(row: type[SQLModel]) -> Table:
    """Return the SQLAlchemy table of a row class, for statements of SQLAlchemy Core."""
    return VerifierBase.metadata.tables[str(row.__tablename__)]
