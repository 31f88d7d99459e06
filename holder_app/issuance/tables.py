"""The tables of paused issuances and of logins under way."""

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlmodel import Field

from holder_app.flow_tables import FlowRow
from holder_app.tables import WalletBase
from wallet_core.adapters.sql import UtcDateTime


class IssuanceRow(FlowRow, table=True):
    """One issuance between two steps."""

    __tablename__ = "wallet_issuance"


class LoginRow(WalletBase, table=True):
    """One browser that went to an authorization server. ``digest`` is of ``state``, ``session`` of the session's id."""

    __tablename__ = "wallet_login"
    digest: bytes = Field(sa_type=LargeBinary, primary_key=True)
    account_id: str = Field(foreign_key="wallet_account.id", max_length=64, index=True)
    issuance_id: str = Field(max_length=64)
    session: bytes = Field(sa_type=LargeBinary)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
