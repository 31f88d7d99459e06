"""Pages for one issued card: what happened to it, and reporting it lost, with a step to confirm."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Form, Query
from starlette.requests import Request
from starlette.responses import Response

from issuer.console.desk import Desk, staff
from issuer.issuance.use_cases.withdrawal import CredentialStatus, change_card_status, show_credential
from issuer.status.use_cases.changes import MAX_REASON, StatusOrder
from wallet_core.adapters.web import html, page_router, see_other
from wallet_core.errors import StateConflict

router = page_router()

Staff = Annotated[Desk, Depends(staff)]
Wanted = Annotated[str, Query(alias="to", pattern="^(valid|suspended|invalid)$")]


@router.get("/console/credentials/{credential_id}")
async def credential_page(request: Request, desk: Staff, credential_id: str) -> Response:
    """Show one issued card with its history, and what can be done with it."""
    found = show_credential(desk.issuer.issuance, desk.agency, credential_id)
    return html(request, "console/credential.html", agency=desk.agency, credential=_shown(desk, found))


@router.get("/console/credentials/{credential_id}/status")
async def confirm_status(request: Request, desk: Staff, credential_id: str, wanted: Wanted) -> Response:
    """Ask for the reason, and whether it is meant."""
    found = show_credential(desk.issuer.issuance, desk.agency, credential_id)
    if wanted not in found.possible:
        raise StateConflict("the card's status cannot be changed to that")
    shown = _shown(desk, found)
    return html(request, "console/credential_confirm.html", agency=desk.agency, credential=shown, wanted=wanted)


@router.post("/console/credentials/{credential_id}/status")
async def change_status_form(
    desk: Staff,
    credential_id: str,
    wanted: Annotated[str, Form(alias="to", max_length=20)],
    reason: Annotated[str, Form(min_length=1, max_length=MAX_REASON)],
) -> Response:
    """Change the status of the card: of all copies that were issued together."""
    issuer = desk.issuer
    order = StatusOrder(wanted, reason.strip(), "console")
    change_card_status(issuer.issuance, issuer.issuance.storage(), desk.agency, credential_id, order)
    return see_other(f"/console/credentials/{credential_id}")


def _shown(desk: Desk, found: CredentialStatus) -> Mapping[str, Any]:
    credential = found.credential
    return {
        "id": credential.id,
        "subject": desk.person_name(credential.subject_id, credential.configuration_id),
        "type": desk.type_names([credential.configuration_id])[0],
        "issued_at": credential.issued_at,
        "expires_at": credential.expires_at,
        "state": "over" if credential.expires_at <= desk.issuer.clock.now() else credential.status,
        "event": credential.event,
        "history": found.history,
        "possible": found.possible,
        "replace_by": credential.replace_by,
        "ttl": desk.issuer.settings.status_ttl_seconds,
    }
