"""Pages for replacing copies, of one person or of everybody, and for a lost device; each step is confirmed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import Depends, Form
from starlette.requests import Request
from starlette.responses import Response

from issuer.console.desk import Desk, staff
from issuer.issuance.bulk import MOVES, BulkReissuance, bulk_kind
from issuer.issuance.ports import IssuedCredential
from issuer.issuance.use_cases.bulk_reissuance import count_bulk, list_bulks, move_bulk, show_bulk, start_bulk
from issuer.issuance.use_cases.reissuance import (
    GRACE,
    MAX_GRACE,
    ReplaceOrder,
    replace_copies,
    report_lost_device,
)
from issuer.issuance.use_cases.withdrawal import show_credential
from issuer.status.use_cases.changes import MAX_REASON
from wallet_core.adapters.web import html, page_router, protocol_json, see_other
from wallet_core.errors import NotFound

router = page_router()

Staff = Annotated[Desk, Depends(staff)]
TypeField = Annotated[str, Form(alias="type", max_length=100)]
ReasonField = Annotated[str, Form(min_length=1, max_length=MAX_REASON)]
DaysField = Annotated[int, Form(ge=0, le=MAX_GRACE.days)]
WHO = "console"
DAYS = (GRACE.days, 7, 30, 0)
"""For how long old copies stay good, as the pages offer it; the usual one first."""


@router.get("/console/reissuances")
async def order_list(request: Request, desk: Staff) -> Response:
    """List the orders that concern many people, newest first."""
    found = [_shown(desk, each) for each in list_bulks(desk.issuer.issuance, desk.agency)]
    return html(request, "console/reissuances.html", agency=desk.agency, reissuances=found)


@router.get("/console/reissuances/new")
async def new_order(request: Request, desk: Staff) -> Response:
    """Ask which cards, why, and how long the old copies stay good."""
    types = [each for each in desk.types if each.revocable]
    return html(request, "console/reissuance_new.html", agency=desk.agency, types=types, days=DAYS)


@router.post("/console/reissuances/confirm")
async def confirm_order(
    request: Request, desk: Staff, type_id: TypeField, reason: ReasonField, days: DaysField
) -> Response:
    """Count whom it would concern, and ask whether it is meant."""
    order = ReplaceOrder(type_id, reason.strip(), WHO, timedelta(days=days))
    counted = count_bulk(desk.issuer.issuance, desk.agency, order)
    shown = {"type": desk.type(type_id), "reason": order.reason, "days": days, "counted": counted}
    return html(request, "console/reissuance_confirm.html", agency=desk.agency, order=shown)


@router.post("/console/reissuances")
async def start_order(desk: Staff, type_id: TypeField, reason: ReasonField, days: DaysField) -> Response:
    """Begin."""
    ports = desk.issuer.issuance
    order = ReplaceOrder(type_id, reason.strip(), WHO, timedelta(days=days))
    return see_other(f"/console/reissuances/{start_bulk(ports, ports.storage(), desk.agency, order).id}")


@router.get("/console/reissuances/{reissuance_id}")
async def order_page(request: Request, desk: Staff, reissuance_id: str) -> Response:
    """Show how far it has come, and what can be done with it."""
    found = show_bulk(desk.issuer.issuance, desk.agency, reissuance_id)
    return html(request, "console/reissuance.html", agency=desk.agency, reissuance=_shown(desk, found))


@router.get("/console/reissuances/{reissuance_id}/state")
async def order_state(desk: Staff, reissuance_id: str) -> Response:
    """Tell the open page whether it moved on."""
    found = show_bulk(desk.issuer.issuance, desk.agency, reissuance_id)
    return protocol_json({"state": _progress(found)})


@router.post("/console/reissuances/{reissuance_id}/{move}")
async def move_order(desk: Staff, reissuance_id: str, move: Literal["pause", "resume", "cancel"]) -> Response:
    """Pause, resume or cancel it."""
    move_bulk(desk.issuer.issuance.storage(), desk.agency, reissuance_id, MOVES[move])
    return see_other(f"/console/reissuances/{reissuance_id}")


@router.get("/console/credentials/{credential_id}/{act}")
async def confirm_for_person(
    request: Request, desk: Staff, credential_id: str, act: Literal["replace", "lost"]
) -> Response:
    """Ask for the reason, and whether it is meant."""
    credential = show_credential(desk.issuer.issuance, desk.agency, credential_id).credential
    shown = {
        "id": credential.id,
        "subject": desk.person_name(credential.subject_id, credential.configuration_id),
        "type": desk.type_names([credential.configuration_id])[0],
    }
    return html(request, "console/person_confirm.html", agency=desk.agency, credential=shown, act=act, days=DAYS)


@router.post("/console/credentials/{credential_id}/replace")
async def replace_form(desk: Staff, credential_id: str, reason: ReasonField, days: DaysField) -> Response:
    """Have all copies of that type which the person has replaced."""
    credential, subject_id = _of_person(desk, credential_id)
    type_id = desk.issuer.catalogue.by_configuration(credential.configuration_id).id
    order, ports = ReplaceOrder(type_id, reason.strip(), WHO, timedelta(days=days)), desk.issuer.issuance
    replace_copies(ports, ports.storage(), desk.agency, subject_id, order)
    return see_other(f"/console/credentials/{credential_id}")


@router.post("/console/credentials/{credential_id}/lost")
async def lost_form(desk: Staff, credential_id: str, reason: ReasonField) -> Response:
    """Take back everything the wallet holds in which the card is."""
    _, subject_id = _of_person(desk, credential_id)
    ports = desk.issuer.issuance
    report_lost_device(
        ports,
        ports.storage(),
        desk.agency,
        subject_id,
        credential_id=credential_id,
        reason=reason.strip(),
        reported_by=WHO,
    )
    return see_other(f"/console/credentials/{credential_id}")


def _of_person(desk: Desk, credential_id: str) -> tuple[IssuedCredential, str]:
    credential = show_credential(desk.issuer.issuance, desk.agency, credential_id).credential
    if credential.subject_id is None:
        raise NotFound("the card was issued to nobody on record")
    return credential, credential.subject_id


def _shown(desk: Desk, bulk: BulkReissuance) -> Mapping[str, Any]:
    order, progress = bulk.state.order, bulk.state.progress
    configuration_ids = [each.configuration_id for each in desk.types if each.id == order.type_id]
    return {
        "id": bulk.id,
        "type": desk.type_names(configuration_ids)[0]
        if configuration_ids
        else {"ko": order.type_id, "en": order.type_id},
        "state": bulk_kind(bulk.state),
        "progress": _progress(bulk),
        "reason": order.reason,
        "days": order.grace.days,
        "subjects": order.subjects,
        "copies": order.copies,
        "subjects_done": progress.subjects,
        "copies_done": progress.copies,
        "created_at": bulk.created_at,
    }


def _progress(bulk: BulkReissuance) -> str:
    return f"{bulk_kind(bulk.state)}-{bulk.state.progress.subjects}"
