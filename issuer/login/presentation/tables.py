"""The table of requests for a presentation within a login."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field

from issuer.tables import IssuerBase
from wallet_core.adapters.sql import UtcDateTime


class LoginRequestRow(IssuerBase, table=True):
    """A request in one of the states of ``openid4vp.presentation``.

    ``sealed_key`` is the private key that its answer is encrypted to; it goes with the answer. ``sealed_claims`` are
    name and date of birth; they go with the row, as soon as the login has read them. ``delete_at`` is minutes away.
    """

    __tablename__ = "issuer_login_request"

    id: str = Field(primary_key=True, max_length=64)
    login_id: str = Field(index=True, max_length=64)
    agency_id: str = Field(max_length=100)
    kind: str = Field(max_length=30)
    version: int
    body: dict[str, Any] = Field(sa_type=JSON)
    sealed_key: bytes | None = None
    sealed_claims: bytes | None = None
    code_digest: bytes | None = Field(default=None, unique=True)
    delete_at: datetime = Field(index=True, sa_type=UtcDateTime)
