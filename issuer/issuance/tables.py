"""The tables of offers and of the record of what was issued."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index
from sqlmodel import Field

from issuer.tables import IssuerBase
from wallet_core.adapters.sql import UtcDateTime


class OfferRow(IssuerBase, table=True):
    """An offer in one of the states of ``openid4vci.issuance``, or what a wallet got that began without one.

    ``sealed`` holds the claims and the transaction code; it goes, with ``subject_id``, when the offer has ended.
    """

    __tablename__ = "issuer_offer"
    __table_args__ = (Index(None, "agency_id", "id"), Index(None, "agency_id", "subject_id"))

    id: str = Field(primary_key=True, max_length=64)
    agency_id: str = Field(max_length=100)
    kind: str = Field(max_length=30)
    version: int
    body: dict[str, Any] = Field(sa_type=JSON)
    code_digest: bytes = Field(unique=True)
    token_digest: bytes | None = Field(default=None, unique=True)
    refresh_digest: bytes | None = Field(default=None, unique=True, index=True)
    subject_id: str | None = Field(default=None, max_length=200)
    sealed: bytes | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime | None = Field(default=None, index=True, sa_type=UtcDateTime)


class AuthorizationRow(IssuerBase, table=True):
    """An authorization request in one of the states of ``oauth2.authorization_states``; it goes in time."""

    __tablename__ = "issuer_authorization"

    id: str = Field(primary_key=True, max_length=64)
    agency_id: str = Field(max_length=100)
    kind: str = Field(max_length=30)
    version: int
    body: dict[str, Any] = Field(sa_type=JSON)
    request_digest: bytes | None = Field(default=None, unique=True)
    code_digest: bytes | None = Field(default=None, unique=True)
    subject_id: str | None = Field(default=None, max_length=200)
    offer_id: str | None = Field(default=None, max_length=64)
    ends_at: datetime = Field(index=True, sa_type=UtcDateTime)


class CredentialRow(IssuerBase, table=True):
    """That a credential was issued, to which key, until when. Never the credential itself."""

    __tablename__ = "issuer_credential"
    __table_args__ = (Index(None, "agency_id", "subject_id", "id"), Index(None, "agency_id", "event"))

    id: str = Field(primary_key=True, max_length=64)
    agency_id: str = Field(max_length=100)
    offer_id: str = Field(max_length=64, index=True)
    configuration_id: str = Field(max_length=200)
    subject_id: str | None = Field(default=None, max_length=200)
    key_thumbprint: bytes
    status: str = Field(max_length=20)
    issued_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    replace_by: datetime | None = Field(default=None, index=True, sa_type=UtcDateTime)
    replace_reason: str | None = Field(default=None, max_length=500)
    notification_id: str | None = Field(default=None, max_length=64)
    event: str | None = Field(default=None, max_length=30)


class BulkReissuanceRow(IssuerBase, table=True):
    """An order to replace the copies of many people, in one of the states of ``issuance.bulk``."""

    __tablename__ = "issuer_reissuance"
    __table_args__ = (Index(None, "agency_id", "id"),)

    id: str = Field(primary_key=True, max_length=64)
    agency_id: str = Field(max_length=100)
    kind: str = Field(max_length=30)
    version: int
    body: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)


class DeferredRow(IssuerBase, table=True):
    """A deferred Credential Request in one of the states of ``openid4vci.deferral``.

    ``sealed`` holds the claims to sign; it goes, with ``subject_id``, when the request has ended.
    """

    __tablename__ = "issuer_deferred"
    __table_args__ = (Index(None, "agency_id", "kind", "id"), Index(None, "offer_id"))

    id: str = Field(primary_key=True, max_length=64)
    agency_id: str = Field(max_length=100)
    offer_id: str = Field(max_length=64)
    kind: str = Field(max_length=30)
    version: int
    body: dict[str, Any] = Field(sa_type=JSON)
    transaction_digest: bytes = Field(unique=True)
    subject_id: str | None = Field(default=None, max_length=200)
    sealed: bytes | None = None
    ends_at: datetime | None = Field(default=None, index=True, sa_type=UtcDateTime)
