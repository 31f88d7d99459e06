"""The table of fetched status lists."""

from datetime import datetime

from sqlmodel import Field

from verifier.tables import VerifierBase
from wallet_core.adapters.sql import UtcDateTime


class StatusListRow(VerifierBase, table=True):
    """A Status List Token as it was fetched; ``digest`` is SHA-256 of its form and address."""

    __tablename__ = "verifier_status_list"

    digest: bytes = Field(primary_key=True)
    uri: str = Field(max_length=2048)
    media_type: str = Field(max_length=100)
    token: bytes
    fetched_at: datetime = Field(index=True, sa_type=UtcDateTime)
