"""The tables of the login."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field

from issuer.tables import IssuerBase
from wallet_core.adapters.sql import UtcDateTime


class LoginSessionRow(IssuerBase, table=True):
    """A browser's login for one authorization request; its id is the digest of the cookie's secret."""

    __tablename__ = "issuer_login_session"

    id: str = Field(primary_key=True, max_length=64)
    agency_id: str = Field(max_length=100)
    authorization_id: str = Field(max_length=64)
    kind: str = Field(max_length=30)
    version: int
    body: dict[str, Any] = Field(sa_type=JSON)
    expires_at: datetime = Field(index=True, sa_type=UtcDateTime)


class OneTimeCodeRow(IssuerBase, table=True):
    """A one-time code of the test login; person and code only as keyed digests."""

    __tablename__ = "issuer_test_code"

    id: str = Field(primary_key=True, max_length=64)
    code_digest: bytes
    tries_left: int
    expires_at: datetime = Field(index=True, sa_type=UtcDateTime)
