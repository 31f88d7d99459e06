"""Our own API for agencies: offers and what was issued. The endpoints of wallets are in ``endpoints.py``."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from issuer.agencies.ports import Agency
from issuer.dependencies import Issuer, issuer_of
from issuer.issuance.answers import credential_json, credential_status_json, issuance_json, offer_json, status_json
from issuer.issuance.use_cases import decisions, offers, withdrawal
from issuer.issuance.use_cases.decisions import Decision
from issuer.issuance.use_cases.offers import OfferOrder
from issuer.status.use_cases.changes import MAX_REASON, StatusOrder
from wallet_core import spec_versions as spec
from wallet_core.adapters.api_keys import ApiKey
from wallet_core.adapters.idempotency import Answer
from wallet_core.adapters.web import idempotent, protocol_json, require_api_key
from wallet_core.protocols.openid4vci.deferral import MAX_REASON as MAX_REFUSAL
from wallet_core.types import CredentialConfigurationId

router = APIRouter(prefix="/api/v1/agencies/{agency_id}", tags=["issuance"])

Cursor = Annotated[str, Query(pattern=r"^[0-9a-f]{0,44}$")]


class OfferBody(BaseModel):
    """An offer to one person: `subject_id` names the agency's own record, or `claims` brings the data.

    With the grant `authorization_code` the person logs in: `subject_id` says who may take the offer, and without it
    everybody takes their own.
    """

    model_config = ConfigDict(extra="forbid")
    credential_configuration_ids: list[str]
    grant: Literal["pre-authorized_code", "authorization_code"] = "pre-authorized_code"
    tx_code: bool | None = None
    claims: dict[str, dict[str, Any]] | None = None
    subject_id: str | None = None
    by_reference: bool = True
    deferred: bool = False
    credential_offer_endpoint: str = spec.OFFER_SCHEME

    def order(self) -> OfferOrder:
        """Return the order."""
        return OfferOrder(
            tuple(CredentialConfigurationId(name) for name in self.credential_configuration_ids),
            tx_code=self.tx_code,
            claims=self.claims or {},
            subject_id=self.subject_id,
            by_reference=self.by_reference,
            credential_offer_endpoint=self.credential_offer_endpoint,
            authorization_code=self.grant == "authorization_code",
            deferred=self.deferred,
        )


class DecisionBody(BaseModel):
    """What a clerk decides: `ready`, perhaps with other `claims` to sign, or `denied` with a reason.

    `waiting` takes a decision back, as long as the wallet has not heard of it.
    """

    model_config = ConfigDict(extra="forbid")
    decision: Literal["ready", "denied", "waiting"]
    claims: dict[str, Any] | None = None
    reason: str = Field(default="", max_length=MAX_REFUSAL)


class StatusBody(BaseModel):
    """A new status of an issued credential: `suspended` can be undone (`valid`), `invalid` is for good."""

    model_config = ConfigDict(extra="forbid")
    status: Literal["valid", "suspended", "invalid"]
    reason: str = Field(default="", max_length=MAX_REASON)


@router.post("/offers", status_code=201)
async def create_offer(
    request: Request,
    agency_id: str,
    body: OfferBody,
    key: Annotated[ApiKey, Depends(require_api_key("offers:write", owner_path="agency_id"))],
) -> Response:
    """Create a Credential Offer. A repeat with the same `Idempotency-Key` returns the first answer."""
    issuer = issuer_of(request)
    agency, unit = issuer.agency(agency_id), issuer.database.unit()

    def create() -> Answer:
        """Do it the first time the key comes."""
        made = offers.create_offer(issuer.issuance, issuer.storage(unit), agency, body.order())
        return Answer(201, offer_json(made))

    return await idempotent(request, unit, key, create)


@router.get("/offers")
async def list_offers(
    request: Request,
    agency_id: str,
    _key: Annotated[ApiKey, Depends(require_api_key("offers:read", owner_path="agency_id"))],
    cursor: Cursor = "",
) -> Response:
    """List the agency's offers, newest first."""
    issuer, agency = _tenant(request, agency_id)
    page, following = offers.list_offers(issuer.issuance, agency, before=cursor)
    return protocol_json({"offers": [status_json(each) for each in page], "next_cursor": following})


@router.get("/offers/{offer_id}")
async def show_offer(
    request: Request,
    agency_id: str,
    offer_id: str,
    _key: Annotated[ApiKey, Depends(require_api_key("offers:read", owner_path="agency_id"))],
) -> Response:
    """Show what became of an offer."""
    issuer, agency = _tenant(request, agency_id)
    return protocol_json(status_json(offers.offer_status(issuer.issuance, agency, offer_id)))


@router.get("/credentials")
async def list_credentials(
    request: Request,
    agency_id: str,
    _key: Annotated[ApiKey, Depends(require_api_key("credentials:read", owner_path="agency_id"))],
    subject_id: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = None,
    cursor: Cursor = "",
) -> Response:
    """List issued credentials, in order of issue."""
    issuer, agency = _tenant(request, agency_id)
    page, following = offers.list_credentials(issuer.issuance, agency, subject_id=subject_id, after=cursor)
    return protocol_json({"credentials": [credential_json(each) for each in page], "next_cursor": following})


@router.get("/credentials/{credential_id}")
async def show_credential(
    request: Request,
    agency_id: str,
    credential_id: str,
    _key: Annotated[ApiKey, Depends(require_api_key("credentials:read", owner_path="agency_id"))],
) -> Response:
    """Show an issued credential: its status, its history with reasons, and what its status can be changed to."""
    issuer, agency = _tenant(request, agency_id)
    return protocol_json(credential_status_json(withdrawal.show_credential(issuer.issuance, agency, credential_id)))


@router.post("/credentials/{credential_id}/status")
async def set_status(
    request: Request,
    agency_id: str,
    credential_id: str,
    body: StatusBody,
    key: Annotated[ApiKey, Depends(require_api_key("credentials:write", owner_path="agency_id"))],
) -> Response:
    """Suspend, reinstate or revoke a credential. Whoever checks it knows within the `ttl` of its status list.

    A suspended SD-JWT VC can become `valid` again; `invalid` is for good. An mdoc can only become `invalid`.
    """
    issuer = issuer_of(request)
    agency, unit = issuer.agency(agency_id), issuer.database.unit()

    def change() -> Answer:
        """Do it the first time the key comes."""
        order = StatusOrder(body.status, body.reason, f"API key {key.id}")
        changed = withdrawal.change_credential_status(
            issuer.issuance, issuer.storage(unit), agency, credential_id, order
        )
        return Answer(200, credential_status_json(changed))

    return await idempotent(request, unit, key, change)


@router.get("/issuances")
async def list_issuances(
    request: Request,
    agency_id: str,
    _key: Annotated[ApiKey, Depends(require_api_key("offers:read", owner_path="agency_id"))],
    state: Literal["waiting", "decided"] = "waiting",
    cursor: Cursor = "",
) -> Response:
    """List what waits for a decision, oldest first; or with `state=decided` what was decided, newest first."""
    issuer, agency = _tenant(request, agency_id)
    if state == "waiting":
        page, following = decisions.list_waiting(issuer.issuance, agency, after=cursor)
    else:
        page, following = decisions.list_decided(issuer.issuance, agency, before=cursor)
    return protocol_json({"issuances": [issuance_json(each) for each in page], "next_cursor": following})


@router.get("/issuances/{issuance_id}")
async def show_issuance(
    request: Request,
    agency_id: str,
    issuance_id: str,
    _key: Annotated[ApiKey, Depends(require_api_key("offers:read", owner_path="agency_id"))],
) -> Response:
    """Show one deferred issuance with what would be signed today."""
    issuer, agency = _tenant(request, agency_id)
    found = decisions.show_deferred(issuer.issuance, agency, issuance_id)
    return protocol_json({**issuance_json(found.status), "claims": found.claims})


@router.post("/issuances/{issuance_id}/decision")
async def decide(
    request: Request,
    agency_id: str,
    issuance_id: str,
    body: DecisionBody,
    key: Annotated[ApiKey, Depends(require_api_key("offers:write", owner_path="agency_id"))],
) -> Response:
    """Decide a deferred issuance; the wallet learns it when it asks next."""
    issuer = issuer_of(request)
    agency, unit = issuer.agency(agency_id), issuer.database.unit()

    def change() -> Answer:
        """Do it the first time the key comes."""
        order = Decision(body.decision, f"API key {key.id}", body.reason, body.claims)
        found = decisions.decide(issuer.issuance, issuer.storage(unit), agency, issuance_id, order)
        return Answer(200, issuance_json(found))

    return await idempotent(request, unit, key, change)


def _tenant(request: Request, agency_id: str) -> tuple[Issuer, Agency]:
    issuer = issuer_of(request)
    return issuer, issuer.agency(agency_id)
