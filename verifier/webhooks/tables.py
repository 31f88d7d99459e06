"""The tables of webhooks: where each relying party is told, and what it has not heard yet."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from verifier.tables import VerifierBase
from wallet_core.adapters.sql import UtcDateTime


class WebhookRow(VerifierBase, table=True):
    """Where a relying party is told, and the sealed secrets that sign; the previous one counts until its time."""

    __tablename__ = "verifier_webhook"

    party_id: str = Field(primary_key=True, max_length=100)
    url: str | None = Field(default=None, max_length=2000)
    sealed_secret: bytes
    sealed_previous: bytes | None = None
    previous_until: datetime | None = Field(default=None, sa_type=UtcDateTime)


class WebhookDeliveryRow(VerifierBase, table=True):
    """Something a relying party has not heard yet. It goes as soon as it was heard.

    ``turn`` grows with every try, so that one job at most is about it. ``dead_at`` is when we gave up.
    """

    __tablename__ = "verifier_webhook_delivery"
    __table_args__ = (Index(None, "party_id", "id"),)

    id: str = Field(primary_key=True, max_length=64)
    party_id: str = Field(max_length=100)
    presentation_id: str = Field(max_length=64)
    event: str = Field(max_length=40)
    url: str = Field(max_length=2000)
    body: bytes
    created_at: datetime = Field(sa_type=UtcDateTime)
    turn: int
    tries: int
    next_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    status: int | None = None
    problem: str = Field(default="", max_length=300)
    dead_at: datetime | None = Field(default=None, index=True, sa_type=UtcDateTime)
