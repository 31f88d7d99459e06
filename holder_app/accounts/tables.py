"""Tables of people, sign-in codes and sessions."""

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlmodel import Field

from holder_app.tables import WalletBase
from wallet_core.adapters.sql import UtcDateTime


class AccountRow(WalletBase, table=True):
    """One person's wallet. The name is sealed."""

    __tablename__ = "wallet_account"
    id: str = Field(primary_key=True, max_length=64)
    sealed_name: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(sa_type=UtcDateTime)


class SignInCodeRow(WalletBase, table=True):
    """One open one-time code."""

    __tablename__ = "wallet_sign_in_code"
    selector: str = Field(primary_key=True, max_length=8)
    account_id: str = Field(foreign_key="wallet_account.id", max_length=64, index=True)
    digest: bytes = Field(sa_type=LargeBinary)
    tries_left: int
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class SessionRow(WalletBase, table=True):
    """One signed-in browser."""

    __tablename__ = "wallet_session"
    digest: bytes = Field(sa_type=LargeBinary, primary_key=True)
    account_id: str = Field(foreign_key="wallet_account.id", max_length=64, index=True)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
