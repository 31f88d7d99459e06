"""The tables of status: lists, places, changes."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from issuer.tables import IssuerBase
from wallet_core.adapters.sql import UtcDateTime


class StatusListRow(IssuerBase, table=True):
    """A list. ``array`` is what is compressed and signed: a change writes it, and nothing is counted from rows."""

    __tablename__ = "issuer_status_list"

    agency_id: str = Field(primary_key=True, max_length=100)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    format: str = Field(max_length=30)
    bits: int
    size: int
    is_open: bool
    array: bytes
    version: int
    created_at: datetime = Field(sa_type=UtcDateTime)


class StatusEntryRow(IssuerBase, table=True):
    """Which place a credential has. The key refuses a second credential for a place."""

    __tablename__ = "issuer_status_entry"
    __table_args__ = (Index(None, "agency_id", "credential_id", unique=True),)

    agency_id: str = Field(primary_key=True, max_length=100)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    idx: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    credential_id: str = Field(max_length=64)


class StatusChangeRow(IssuerBase, table=True):
    """That a place changed, why and by whom; ``credential_id`` is NULL for a decoy."""

    __tablename__ = "issuer_status_change"
    __table_args__ = (Index(None, "agency_id", "credential_id", "id"), Index(None, "agency_id", "number", "changed_at"))

    id: str = Field(primary_key=True, max_length=64)
    agency_id: str = Field(max_length=100)
    number: int
    idx: int
    credential_id: str | None = Field(default=None, max_length=64)
    before: int
    after: int
    reason: str = Field(max_length=500)
    changed_by: str = Field(max_length=100)
    changed_at: datetime = Field(sa_type=UtcDateTime)
