"""The table of presentations."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, Text, text
from sqlmodel import Field

from verifier.tables import VerifierBase
from wallet_core.adapters.sql import UtcDateTime


class PresentationRow(VerifierBase, table=True):
    """A presentation in one of the states of ``openid4vp.presentation``.

    ``sealed_key`` is the private key that its answer is encrypted to; it goes with the answer. ``sealed_claims`` goes
    when the policy says. ``session_digest`` is of the browser session that began it, ``code_digest`` of its
    response_code. ``changes_at`` is when time alone moves it on, ``delete_at`` when the row goes.

    ``webhook`` is where its relying party is told of its moves, fixed when it is made.

    ``record_notes`` is what was caught of the answer until ``record``, the sealed verification record, is made of it;
    ``record_secrets`` is the sealed secret that opens its digests, and goes with the claims.

    ``portrait_matches`` is what staff said who compared portrait and person; None where nobody did.
    """

    __tablename__ = "verifier_presentation"
    __table_args__ = (
        Index(None, "party_id", "id"),
        # Only what waits to be sealed: some seconds' worth of rows, however many there are.
        Index(
            "ix_verifier_presentation_unsealed",
            "kind",
            sqlite_where=text("record_notes IS NOT NULL"),
            postgresql_where=text("record_notes IS NOT NULL"),
        ),
    )

    id: str = Field(primary_key=True, max_length=64)
    request_id: str = Field(unique=True, max_length=64)
    party_id: str = Field(max_length=100)
    policy_id: str | None = Field(default=None, max_length=100)
    check_id: str | None = Field(default=None, index=True, max_length=64)
    kind: str = Field(max_length=30)
    version: int
    body: dict[str, Any] = Field(sa_type=JSON)
    sealed_key: bytes | None = None
    sealed_claims: bytes | None = None
    session_digest: bytes | None = None
    code_digest: bytes | None = Field(default=None, unique=True)
    created_at: datetime = Field(sa_type=UtcDateTime)
    changes_at: datetime | None = Field(default=None, index=True, sa_type=UtcDateTime)
    delete_at: datetime = Field(index=True, sa_type=UtcDateTime)
    record_notes: bytes | None = None
    record_secrets: bytes | None = None
    record: str | None = Field(default=None, sa_type=Text)
    webhook: str | None = Field(default=None, max_length=2000)
    portrait_matches: bool | None = None
