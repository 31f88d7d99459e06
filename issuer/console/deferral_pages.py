"""Pages for what waits for a decision: a list, one request with its data, and a step to confirm."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Depends, Form, Query
from starlette.requests import Request
from starlette.responses import Response

from issuer.console.desk import Desk, staff
from issuer.console.use_cases import has_ended
from issuer.issuance.use_cases import decisions
from issuer.issuance.use_cases.decisions import Decision, DeferredDetail, DeferredStatus
from wallet_core.adapters.ui.claims import claim_lines
from wallet_core.adapters.web import html, page_router, see_other
from wallet_core.catalogue import seoul_day
from wallet_core.errors import StateConflict, UnknownCredentialConfiguration
from wallet_core.protocols.openid4vci.deferral import MAX_REASON

router = page_router()

Staff = Annotated[Desk, Depends(staff)]
Wanted = Literal["ready", "denied", "waiting"]
_PAGE = "/console/issuances"


@router.get(_PAGE)
async def waiting_list(request: Request, desk: Staff, cursor: Annotated[str, Query(max_length=64)] = "") -> Response:
    """List what waits, oldest first."""
    page, following = decisions.list_waiting(desk.issuer.issuance, desk.agency, after=cursor)
    return _list(request, desk, page, following, decided=False)


@router.get(f"{_PAGE}/decided")
async def decided_list(request: Request, desk: Staff, cursor: Annotated[str, Query(max_length=64)] = "") -> Response:
    """List what was decided, newest first."""
    page, following = decisions.list_decided(desk.issuer.issuance, desk.agency, before=cursor)
    return _list(request, desk, page, following, decided=True)


@router.get(_PAGE + "/{issuance_id}")
async def issuance_page(request: Request, desk: Staff, issuance_id: str) -> Response:
    """Show one request with what would be signed, and what can be done with it."""
    found = decisions.show_deferred(desk.issuer.issuance, desk.agency, issuance_id)
    return html(request, "console/issuance.html", agency=desk.agency, issuance=_detail(desk, found))


@router.get(_PAGE + "/{issuance_id}/decision")
async def confirm_decision(
    request: Request, desk: Staff, issuance_id: str, wanted: Annotated[Wanted, Query(alias="to")]
) -> Response:
    """Ask whether it is meant, and for the reason of a refusal."""
    found = decisions.show_deferred(desk.issuer.issuance, desk.agency, issuance_id)
    if wanted not in _possible(found):
        raise StateConflict("the request was decided before, or the wallet has heard of the decision")
    shown = _detail(desk, found)
    return html(request, "console/issuance_confirm.html", agency=desk.agency, issuance=shown, wanted=wanted)


@router.post(_PAGE + "/{issuance_id}/decision")
async def decide_form(
    desk: Staff,
    issuance_id: str,
    wanted: Annotated[Wanted, Form(alias="to")],
    reason: Annotated[str, Form(max_length=MAX_REASON)] = "",
) -> Response:
    """Decide."""
    ports = desk.issuer.issuance
    decisions.decide(ports, ports.storage(), desk.agency, issuance_id, Decision(wanted, "console", reason))
    return see_other(f"{_PAGE}/{issuance_id}")


def _list(
    request: Request, desk: Desk, page: list[DeferredStatus], following: str | None, *, decided: bool
) -> Response:
    rows = [_row(desk, each) for each in page]
    return html(
        request,
        "console/issuances.html",
        agency=desk.agency,
        issuances=rows,
        next_cursor=following,
        decided=decided,
    )


def _row(desk: Desk, found: DeferredStatus) -> dict[str, Any]:
    return {
        "id": found.id,
        "subject": desk.person_name(found.subject_id, found.configuration_id),
        "type": desk.type_names([found.configuration_id])[0],
        "state": found.state,
        "requested_at": found.requested_at,
    }


def _detail(desk: Desk, found: DeferredDetail) -> Mapping[str, Any]:
    status, today = found.status, seoul_day(desk.issuer.clock.now())
    lines, ended = [], False
    if found.claims is not None:
        try:
            credential_type = desk.issuer.catalogue.by_configuration(status.configuration_id)
        except UnknownCredentialConfiguration:
            pass
        else:
            lines, ended = (
                claim_lines(credential_type, found.claims),
                has_ended(credential_type, found.claims, today=today),
            )
    return {
        **_row(desk, status),
        "offer_id": status.offer_id,
        "copies": status.copies,
        "expires_at": status.expires_at,
        "decided_at": status.decided_at,
        "decided_by": status.decided_by,
        "reason": status.reason,
        "claims": lines,
        "ended": ended,
        "possible": [each for each in _possible(found) if each != "ready" or (lines and not ended)],
    }


def _possible(found: DeferredDetail) -> tuple[str, ...]:
    if found.status.state == "waiting":
        return ("ready", "denied")
    return ("waiting",) if found.status.can_undo else ()
