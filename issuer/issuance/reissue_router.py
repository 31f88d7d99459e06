"""Our own API for agencies: have copies replaced, of one person or of many, and take back what a lost device holds."""

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from issuer.dependencies import issuer_of
from issuer.issuance.answers import bulk_json, lost_json, order_json, replaced_json
from issuer.issuance.bulk import MOVES
from issuer.issuance.use_cases.bulk_reissuance import count_bulk, list_bulks, move_bulk, show_bulk, start_bulk
from issuer.issuance.use_cases.reissuance import (
    GRACE,
    MAX_GRACE,
    ReplaceOrder,
    replace_copies,
    report_lost_device,
)
from issuer.status.use_cases.changes import MAX_REASON
from wallet_core.adapters.api_keys import ApiKey
from wallet_core.adapters.idempotency import Answer
from wallet_core.adapters.web import idempotent, protocol_json, require_api_key

router = APIRouter(prefix="/api/v1/agencies/{agency_id}", tags=["re-issuance"])

MayWrite = Annotated[ApiKey, Depends(require_api_key("credentials:write", owner_path="agency_id"))]
MayRead = Annotated[ApiKey, Depends(require_api_key("credentials:read", owner_path="agency_id"))]


class ReplaceBody(BaseModel):
    """Copies of one credential type, in all its forms, are to be replaced.

    Old copies stay good for `grace_seconds` while wallets fetch new ones; with 0 they are revoked at once.
    """

    model_config = ConfigDict(extra="forbid")
    credential_type: str = Field(max_length=100)
    reason: str = Field(min_length=1, max_length=MAX_REASON)
    grace_seconds: int = Field(default=int(GRACE.total_seconds()), ge=0, le=int(MAX_GRACE.total_seconds()))

    def order(self, ordered_by: str) -> ReplaceOrder:
        """Return the order."""
        return ReplaceOrder(self.credential_type, self.reason, ordered_by, timedelta(seconds=self.grace_seconds))


class LostDeviceBody(BaseModel):
    """A device was lost. `credential_id` names one that it holds; without it, all wallets of the person."""

    model_config = ConfigDict(extra="forbid")
    credential_id: str | None = Field(default=None, max_length=64)
    reason: str = Field(min_length=1, max_length=MAX_REASON)


@router.post("/subjects/{subject_id}/reissue")
async def reissue_person(
    request: Request, agency_id: str, subject_id: str, body: ReplaceBody, key: MayWrite
) -> Response:
    """Have all copies that a person has of a type replaced: import the new data first."""
    issuer = issuer_of(request)
    agency, unit = issuer.agency(agency_id), issuer.database.unit()

    def replace() -> Answer:
        """Do it the first time the key comes."""
        order = body.order(f"API key {key.id}")
        return Answer(
            200, replaced_json(replace_copies(issuer.issuance, issuer.storage(unit), agency, subject_id, order))
        )

    return await idempotent(request, unit, key, replace)


@router.post("/subjects/{subject_id}/lost-device")
async def lose_device(
    request: Request, agency_id: str, subject_id: str, body: LostDeviceBody, key: MayWrite
) -> Response:
    """Revoke all copies that a lost wallet holds, of all types, and end its codes and tokens, in one step."""
    issuer = issuer_of(request)
    agency, unit = issuer.agency(agency_id), issuer.database.unit()

    def take_back() -> Answer:
        """Do it the first time the key comes."""
        lost = report_lost_device(
            issuer.issuance,
            issuer.storage(unit),
            agency,
            subject_id,
            credential_id=body.credential_id,
            reason=body.reason,
            reported_by=f"API key {key.id}",
        )
        return Answer(200, lost_json(lost))

    return await idempotent(request, unit, key, take_back)


@router.post("/reissuances", status_code=201)
async def reissue_many(
    request: Request,
    agency_id: str,
    body: ReplaceBody,
    key: MayWrite,
    *,
    dry_run: Annotated[bool, Query()] = False,
) -> Response:
    """Have the copies of everybody who has a type replaced. With `dry_run` they are only counted."""
    issuer = issuer_of(request)
    agency, unit = issuer.agency(agency_id), issuer.database.unit()

    def start() -> Answer:
        """Do it the first time the key comes."""
        order = body.order(f"API key {key.id}")
        if dry_run:
            return Answer(200, order_json(count_bulk(issuer.issuance, agency, order)))
        return Answer(201, bulk_json(start_bulk(issuer.issuance, issuer.storage(unit), agency, order)))

    return await idempotent(request, unit, key, start)


@router.get("/reissuances")
async def list_reissuances(request: Request, agency_id: str, _key: MayRead) -> Response:
    """List the agency's latest orders."""
    issuer = issuer_of(request)
    found = list_bulks(issuer.issuance, issuer.agency(agency_id))
    return protocol_json({"reissuances": [bulk_json(each) for each in found]})


@router.get("/reissuances/{reissuance_id}")
async def show_reissuance(request: Request, agency_id: str, reissuance_id: str, _key: MayRead) -> Response:
    """Show how far an order has come."""
    issuer = issuer_of(request)
    return protocol_json(bulk_json(show_bulk(issuer.issuance, issuer.agency(agency_id), reissuance_id)))


@router.post("/reissuances/{reissuance_id}/{move}")
async def move_reissuance(
    request: Request,
    agency_id: str,
    reissuance_id: str,
    move: Literal["pause", "resume", "cancel"],
    key: MayWrite,
) -> Response:
    """Pause, resume or cancel an order. What was marked stays marked."""
    issuer = issuer_of(request)
    agency, unit = issuer.agency(agency_id), issuer.database.unit()

    def change() -> Answer:
        """Do it the first time the key comes."""
        return Answer(200, bulk_json(move_bulk(issuer.storage(unit), agency, reissuance_id, MOVES[move])))

    return await idempotent(request, unit, key, change)
