"""The table of relying parties."""

from datetime import datetime

from sqlmodel import Field

from verifier.tables import VerifierBase
from wallet_core.adapters.sql import UtcDateTime


class RelyingPartyRow(VerifierBase, table=True):
    """A relying party that asks here."""

    __tablename__ = "verifier_relying_party"

    id: str = Field(primary_key=True, max_length=100)
    name_ko: str = Field(max_length=200)
    name_en: str = Field(max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)
