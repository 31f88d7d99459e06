"""The table of agencies' records."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from issuer.tables import IssuerBase
from wallet_core.adapters.sql import UtcDateTime


class RecordRow(IssuerBase, table=True):
    """What an agency knows of one person for one credential type, sealed.

    ``citizen_digest`` is a keyed digest of name and date of birth, by which a login finds the person.
    """

    __tablename__ = "issuer_record"
    __table_args__ = (Index(None, "agency_id", "citizen_digest"),)

    agency_id: str = Field(primary_key=True, max_length=100)
    type_id: str = Field(primary_key=True, max_length=100)
    subject_id: str = Field(primary_key=True, max_length=200)
    sealed: bytes
    citizen_digest: bytes | None = None
    imported_at: datetime = Field(sa_type=UtcDateTime)
