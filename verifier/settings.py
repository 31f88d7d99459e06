"""Settings of the verifier: ``JIGAP_VERIFIER_…``."""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from wallet_core.adapters.config import AppSettings, Origin
from wallet_core.adapters.web.context import CallLimit


class VerifierSettings(AppSettings):
    """What the verifier is configured with. ``key_store`` holds one access key for each relying party, under its id.

    Attributes:
        request_seconds: how long a wallet may answer a request.
        result_seconds: how long claims can be read where the policy keeps them for no day, or there is no policy.
        record_days: how long the fact of a check is kept where no policy says.
        wallet: origin of the web wallet that our pages link to; without one they show only the QR code.
        trust_list: file or https URL of a trust list (specs/trust-list.md). With one, only listed issuers count; its
            operator's root is among ``trust_anchors``.
        trust_list_seconds: how often the next list is asked for.
        party_calls_per_minute: how often one relying party may call the API in the long run, with all its keys.
        party_calls_at_once: how many calls it may make at once after a pause.
        trust_list_grace_hours: how long a list still counts after its ``next_update`` where no new one can be had.
    """

    prefix: ClassVar[str] = "JIGAP_VERIFIER_"
    request_seconds: int = Field(default=300, ge=10, le=3600)
    result_seconds: int = Field(default=300, ge=10, le=86_400)
    record_days: int = Field(default=90, ge=1, le=3660)
    wallet: Origin | None = None
    party_calls_per_minute: int = Field(default=600, ge=1, le=600_000)
    party_calls_at_once: int = Field(default=200, ge=1, le=60_000)
    trust_list: str | None = Field(default=None, min_length=1, max_length=2000)
    trust_list_seconds: int = Field(default=3600, ge=1, le=604_800)
    trust_list_grace_hours: int = Field(default=0, ge=0, le=720)

    @property
    def call_limit(self) -> CallLimit:
        """How often one relying party may call the API."""
        return CallLimit(timedelta(minutes=1) / self.party_calls_per_minute, self.party_calls_at_once)
