"""The table of agencies."""

from datetime import datetime

from sqlalchemy import false
from sqlmodel import Field

from issuer.tables import IssuerBase
from wallet_core.adapters.sql import UtcDateTime


class AgencyRow(IssuerBase, table=True):
    """An agency that issues here. ``haip``: it serves only wallets that keep to the high-assurance profile."""

    __tablename__ = "issuer_agency"

    id: str = Field(primary_key=True, max_length=100)
    name_ko: str = Field(max_length=200)
    name_en: str = Field(max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)
    haip: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    encrypted: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
