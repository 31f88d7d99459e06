"""The table of trust lists."""

from datetime import datetime

from sqlalchemy import Text
from sqlmodel import Field

from verifier.tables import VerifierBase
from wallet_core.adapters.sql import UtcDateTime


class TrustListRow(VerifierBase, table=True):
    """The last good list of one source. ``digest`` is SHA-256 of its payload."""

    __tablename__ = "verifier_trust_list"

    source: str = Field(primary_key=True, max_length=2000)
    text: str = Field(sa_type=Text)
    sequence_number: int
    digest: bytes
    accepted_at: datetime = Field(sa_type=UtcDateTime)
    tried_at: datetime = Field(sa_type=UtcDateTime)
    problem: str = Field(max_length=500)
