"""The shape of what ``POST /api/v1/verify`` answers, for the OpenAPI document."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from verifier.presentations.shapes import CheckLine, Credential, Shape


class Copy(Shape):
    """The copy of a list that the verdict stands on."""

    fetched_at: datetime
    age_seconds: int = Field(ge=0)
    good_until: datetime | None


class CheckedFile(Shape):
    """What was found out about a credential or presentation without a session."""

    state: Literal["verified", "not_verified", "refused"]
    kind: Literal["sd_jwt_vc", "sd_jwt_kb", "mdoc_issuer_signed", "mdoc_device_response"]
    holder_binding: Literal["proven", "not_proven", "not_checked"]
    credential: Credential | None = Field(description="What it says; null if it was refused.")
    checks: list[CheckLine]
    trust_list: Copy | None = Field(description="null where no trust list is used.")
    status_list: Copy | None = Field(description="null where the credential has none, or none could be had.")
    policy: str | None
    offline: bool
    checked_at: datetime
    error: str | None
    error_description: str | None
    clause: str | None
