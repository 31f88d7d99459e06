"""The shapes of what our API for relying parties answers: its OpenAPI document is made of them.

The answers themselves are built in ``answers.py``; a test compares every one with its shape, so a member that is new
there is documented here.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from wallet_core.types import JsonObject

State = Literal["requested", "retrieved", "answered", "verified", "refused", "expired"]


class Shape(BaseModel):
    """An answer: every member is always there, and there are no others."""

    model_config = ConfigDict(extra="forbid")


class CreatedPresentation(Shape):
    """A request as it is handed to the person, as a QR code or behind a button."""

    id: str = Field(description="For you only: never show it to the wallet or in an address.")
    authorization_request: str | None = Field(
        description="The link of the QR code or the button; null over the Digital Credentials API."
    )
    request_uri: str | None = Field(description="Where the link finds the request; null if the link carries it whole.")
    qr_svg: str | None = Field(description="The QR code of the link, as an SVG image; null where there is no link.")
    dc_api_request: dict[str, Any] | None = Field(
        description="What your page passes to navigator.credentials.get; null for the other response modes."
    )
    expires_at: datetime = Field(description="Until when it can be answered.")


class CheckLine(Shape):
    """One of the numbered checks."""

    step: int = Field(ge=1, description="Its number.")
    name: str = Field(description="A stable name, such as issuer_trusted.")
    clause: str = Field(description="Where the specification asks for it.")
    ok: bool | None = Field(description="true passed, false failed, null not reached because an earlier one failed.")
    detail: str = Field(description="What was found, in English, without personal data.")
    query_id: str | None = Field(description="The query's credential id whose answer failed; null: the whole answer.")


class Credential(Shape):
    """What one credential says, as far as it was asked for."""

    format: Literal["dc+sd-jwt", "mso_mdoc"]
    type: str = Field(description="vct or doctype.")
    claims: dict[str, Any] = Field(description="The claims that were asked for, as the issuer wrote them.")
    issuer: str | None = Field(description="iss; null where the certificate alone names the issuer.")
    issuer_name: str = Field(description="The organisation in the issuer's certificate.")
    status: Literal["none", "valid", "unknown"]
    status_checked_at: datetime | None = Field(description="When the status list was fetched.")
    valid_until: datetime | None


class Transaction(Shape):
    """What was to be agreed to, and what agreed to it."""

    transaction: dict[str, Any] = Field(description="As it was sent to the wallet.")
    agreed_with: str | None = Field(description="The query's credential id that agreed; null before `verified`.")


class Presentation(Shape):
    """What became of a presentation."""

    id: str
    state: State
    policy: str | None = Field(description="The policy it followed; null for a query of your own.")
    credentials: dict[str, list[Credential]] | None = Field(
        description="By the query's credential id; null unless verified, and once they may no longer be kept."
    )
    transaction_data: list[Transaction] = Field(description="Empty where nothing was to be agreed to.")
    checks: list[CheckLine] = Field(description="Empty before an answer, and where the wallet sent none.")
    error: str | None = Field(description="Code of what went wrong.")
    error_description: str | None
    clause: str | None = Field(description="Where the broken rule stands.")
    created_at: datetime
    expires_at: datetime = Field(description="Until when it can or could be answered.")
    ended_at: datetime | None = Field(description="When it was verified, refused or expired.")
    claims_until: datetime | None = Field(
        description="Until when the claims can be read; where they were deleted early, when that was."
    )
    record_until: datetime = Field(description="Until when the fact of the check can be read.")
    portrait_matches: bool | None = Field(
        description="What your staff said at the desk who compared the portrait with the person: false means that the "
        "check is not passed, although it is `verified`; null where nobody was asked or nobody said."
    )


class ListedPresentation(Presentation):
    """A presentation in a list: without its claims."""

    credentials: None = Field(description="Always null: a list has no claims.")


class PresentationList(Shape):
    """A page of presentations, newest first."""

    presentations: list[ListedPresentation]
    next_cursor: str | None = Field(description="For `cursor` of the next page; null on the last one.")


_ID = "019aa6f1c6400f1e2d3c4b5a69788796"
_CREDENTIAL: JsonObject = {
    "format": "dc+sd-jwt",
    "type": "urn:jigap:vct:drivers-licence:1",
    "claims": {"adult_by_year": True},
    "issuer": "https://issuer.example/agencies/police",
    "issuer_name": "경찰청 (시험용)",
    "status": "valid",
    "status_checked_at": "2026-11-22T02:30:58+00:00",
    "valid_until": "2029-12-31T00:00:00+00:00",
}
EXAMPLES: Final[Mapping[str, JsonObject]] = {
    "CreatedPresentation": {
        "id": _ID,
        "authorization_request": "openid4vp://?client_id=x509_hash%3AkZ3n&request_uri=https%3A%2F%2Fverifier.example%2F…",
        "request_uri": "https://verifier.example/openid4vp/requests/abCd",
        "qr_svg": "<svg/>",
        "dc_api_request": None,
        "expires_at": "2026-11-22T02:35:00+00:00",
    },
    "Presentation": {
        "id": _ID,
        "state": "verified",
        "policy": "adult-check",
        "credentials": {"licence": [_CREDENTIAL]},
        "transaction_data": [],
        "checks": [
            {
                "step": 1,
                "name": "answer_fits_request",
                "clause": "OpenID4VP 8.1, 8.2",
                "ok": True,
                "detail": "",
                "query_id": None,
            },
        ],
        "error": None,
        "error_description": None,
        "clause": None,
        "created_at": "2026-11-22T02:30:00+00:00",
        "expires_at": "2026-11-22T02:35:00+00:00",
        "ended_at": "2026-11-22T02:31:00+00:00",
        "claims_until": "2026-11-22T02:36:00+00:00",
        "record_until": "2027-02-20T02:36:00+00:00",
        "portrait_matches": None,
    },
}
"""An example of an answer by the name of its shape. FastAPI would drop every null of them."""
