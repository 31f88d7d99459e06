"""Pages of the login by showing a card: what is asked, code and link, and where a wallet sends the browser back."""

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from issuer.dependencies import issuer_of
from issuer.login.desk import Desk, LoginDesk, find_desk
from issuer.login.presentation import use_cases
from issuer.login.presentation.ports import PresentationLoginPorts
from issuer.login.use_cases import check_method, complete_login
from wallet_core.adapters.web import html, page_router, protocol_json, see_other
from wallet_core.errors import AccessDenied, NotFound, StateConflict

router = page_router(prefix="/agencies/{agency_id}/login/presentation")


@router.get("")
async def card_page(request: Request, desk: LoginDesk) -> Response:
    """Show what is asked; the code while a wallet is awaited; or log the person in once it has answered."""
    ports = _ports(desk)
    view = use_cases.show(ports, desk.agency, desk.session.id)
    match view.state:
        case "new":
            return html(request, "login/card.html", **_shown(desk), policy=ports.policy)
        case "verified":
            return _log_in(request, desk, ports)
        case "refused" | "expired":
            return html(request, "login/card_failed.html", **_shown(desk), problem=view.problem or "late")
        case _:
            return html(request, "login/card_waiting.html", **_shown(desk), view=view)


@router.post("")
async def start(desk: LoginDesk) -> Response:
    """Make the two requests: a QR code for another device, a link for this one (protocols.md M23)."""
    use_cases.start(_ports(desk), desk.agency, desk.session.id, until=desk.session.expires_at)
    return see_other(_at(desk))


@router.get("/state")
async def state(desk: LoginDesk) -> Response:
    """Tell the open page whether it moved on."""
    return protocol_json({"state": use_cases.show(_ports(desk), desk.agency, desk.session.id).state})


@router.get("/return")
async def come_back(
    request: Request, agency_id: str, response_code: Annotated[str, Query(max_length=128)] = ""
) -> Response:
    """Take the browser that a wallet on this device sent back; the code is spent at once (protocols.md 24).

    Without script: the code is in the query, and the answer leads to an address without it.
    """
    # Protocols.md 24, trap: a prefetch or an embedded request must not spend the code.
    if request.headers.get("sec-fetch-mode", "navigate") != "navigate":
        raise AccessDenied("this address is opened by a browser's navigation")
    issuer = issuer_of(request)
    if issuer.presentation_login is None:
        raise NotFound("nobody logs in by showing a card here")
    agency, desk = issuer.agency(agency_id), find_desk(request, agency_id)
    login_id = None if desk is None else desk.session.id
    try:
        same_browser = use_cases.return_in_browser(
            issuer.presentation_login, agency, response_code, login_id=login_id
        )
    except (NotFound, StateConflict):
        # A refusal comes back with a code that nobody waits for; this browser's own page tells what happened.
        if desk is not None:
            return see_other(_at(desk))
        return html(request, "login/card_back.html", status=404, kind="over")
    if not same_browser or desk is None:
        return html(request, "login/card_back.html", status=403, kind="stranger")
    return see_other(_at(desk), headers={"Referrer-Policy": "no-referrer"})


@router.get("/elsewhere")
async def go_on_elsewhere(request: Request) -> Response:
    """Tell whoever answered with another device to look at the first screen (protocols.md 24)."""
    return html(request, "login/card_back.html", kind="elsewhere")


def _log_in(request: Request, desk: Desk, ports: PresentationLoginPorts) -> Response:
    citizen = use_cases.take_citizen(ports, desk.agency, desk.session.id)
    if citizen is None:
        return html(request, "login/card_failed.html", **_shown(desk), problem="late")
    complete_login(desk.ports, desk.session, citizen, use_cases.METHOD.id)
    return see_other(desk.login_path)


def _ports(desk: Desk) -> PresentationLoginPorts:
    ports = desk.issuer.presentation_login
    if ports is None:
        raise NotFound("nobody logs in by showing a card here")
    check_method(desk.ports, desk.agency, desk.session, use_cases.METHOD.id)
    return ports


def _at(desk: Desk) -> str:
    return f"{desk.login_path}/presentation"


def _shown(desk: Desk) -> dict[str, object]:
    return {"agency": desk.agency, "at": _at(desk), "others": desk.login_path}
