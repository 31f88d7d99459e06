"""The table of agencies."""

from datetime import datetime

from sqlmodel import Field

from issuer.tables import IssuerBase
from wallet_core.adapters.sql import UtcDateTime


class AgencyRow(IssuerBase, table=True):
    """An agency that issues here."""

    __tablename__ = "issuer_agency"

    id: str = Field(primary_key=True, max_length=100)
    name_ko: str = Field(max_length=200)
    name_en: str = Field(max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)
    encrypted: bool = False
