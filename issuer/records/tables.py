"""The table of agencies' records."""

from datetime import datetime

from sqlmodel import Field

from issuer.tables import IssuerBase
from wallet_core.adapters.sql import UtcDateTime


class RecordRow(IssuerBase, table=True):
    """What an agency knows of one person for one credential type, sealed."""

    __tablename__ = "issuer_record"

    agency_id: str = Field(primary_key=True, max_length=100)
    type_id: str = Field(primary_key=True, max_length=100)
    subject_id: str = Field(primary_key=True, max_length=200)
    sealed: bytes
    imported_at: datetime = Field(sa_type=UtcDateTime)
