"""Tables of cards, their copies, and the history."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, LargeBinary
from sqlmodel import Field

from holder_app.tables import WalletBase
from wallet_core.adapters.sql import UtcDateTime


class CardRow(WalletBase, table=True):
    """One card; what it says about the person lies sealed in its copies, and the way to new ones in its grant."""

    __tablename__ = "wallet_card"
    id: str = Field(primary_key=True, max_length=64)
    account_id: str = Field(foreign_key="wallet_account.id", max_length=64, index=True)
    configuration_id: str = Field(max_length=200)
    format: str = Field(max_length=40)
    type: str = Field(max_length=500)
    issuer: str = Field(max_length=500)
    issuer_name: str = Field(max_length=300)
    received_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(sa_type=UtcDateTime, nullable=True)
    display: dict[str, Any] = Field(sa_type=JSON)
    status: str | None = Field(default=None, max_length=20)
    status_checked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    sealed_grant: bytes | None = Field(default=None, sa_type=LargeBinary)
    refreshed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    refresh_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    refreshing_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class CopyRow(WalletBase, table=True):
    """One signed credential and its key, both sealed."""

    __tablename__ = "wallet_copy"
    id: str = Field(primary_key=True, max_length=64)
    account_id: str = Field(foreign_key="wallet_account.id", max_length=64, index=True)
    card_id: str = Field(foreign_key="wallet_card.id", max_length=64, index=True)
    position: int
    sealed_credential: bytes = Field(sa_type=LargeBinary)
    sealed_key: bytes = Field(sa_type=LargeBinary)
    uses: int


class HistoryRow(WalletBase, table=True):
    """One line of the history, sealed but for its kind and time."""

    __tablename__ = "wallet_history"
    id: str = Field(primary_key=True, max_length=64)
    account_id: str = Field(foreign_key="wallet_account.id", max_length=64, index=True)
    kind: str = Field(max_length=30)
    at: datetime = Field(sa_type=UtcDateTime, index=True)
    sealed_body: bytes = Field(sa_type=LargeBinary)
