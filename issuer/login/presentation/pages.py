"""Pages of the login by showing a card: what is asked, code and link, and where a wallet sends the browser back."""

from typing import Annotated, Any

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from issuer.dependencies import issuer_of
from issuer.issuance.use_cases.authorization import show_authorization
from issuer.login.pages import Current, Login, current
from issuer.login.ports import Choosing
from issuer.login.presentation.ports import PresentationLoginPorts
from issuer.login.presentation.use_cases import requests, results
from issuer.login.use_cases import check_method, complete_login
from wallet_core.adapters.web import html, is_opened, page_router, protocol_json, see_other
from wallet_core.errors import AccessDenied, NotFound, StateConflict

router = page_router(prefix="/agencies/{agency_id}/login/presentation")


@router.get("")
async def card_page(request: Request, here: Current) -> Response:
    """Show what is asked; the code while a wallet is awaited; or log the person in once it has answered."""
    if not isinstance(here.session.state, Choosing):
        return see_other(_root(here))
    ports = _ports(here)
    view = results.show(ports, here.agency, here.session.id)
    match view.state:
        case "new":
            return html(request, "login/card.html", **_shown(here), policy=ports.policy)
        case "verified":
            return _log_in(request, here, ports)
        case "refused" | "expired":
            return html(request, "login/card_failed.html", **_shown(here), problem=view.problem or "late")
        case _:
            return html(request, "login/card_waiting.html", **_shown(here), view=view)


@router.post("")
async def start(here: Current) -> Response:
    """Make the two requests: a QR code for another device, a link for this one (protocols.md M23)."""
    ports, until = _ports(here), here.session.expires_at
    requests.start(ports, here.agency, here.session.id, types=_good_enough(here), until=until)
    return see_other(_at(here))


@router.get("/state")
async def state(here: Current) -> Response:
    """Tell the open page whether it moved on."""
    return protocol_json({"state": results.show(_ports(here), here.agency, here.session.id).state})


@router.get("/return")
async def come_back(
    request: Request, agency_id: str, response_code: Annotated[str, Query(max_length=128)] = ""
) -> Response:
    """Take the browser that a wallet on this device sent back; the code is spent at once (protocols.md 24).

    Without script: the code is in the query, and the answer leads to an address without it.
    """
    # vp-13.3-opened
    if not is_opened(request):
        raise AccessDenied("this address is opened by a browser's navigation")
    issuer = issuer_of(request)
    if issuer.presentation_login is None:
        raise NotFound("nobody logs in by showing a card here")
    agency, here = issuer.agency(agency_id), await _begun(request, agency_id)
    login_id = None if here is None else here.session.id
    try:
        same_browser = results.return_in_browser(issuer.presentation_login, agency, response_code, login_id=login_id)
    except (NotFound, StateConflict):
        # A refusal comes back with a code that nobody waits for; this browser's own page tells what happened.
        if here is not None:
            return see_other(_at(here))
        return html(request, "login/card_back.html", status=404, kind="over")
    if not same_browser or here is None:
        return html(request, "login/card_back.html", status=403, kind="stranger")
    return see_other(_at(here), headers={"Referrer-Policy": "no-referrer"})


@router.get("/elsewhere")
async def go_on_elsewhere(request: Request) -> Response:
    """Tell whoever answered with another device to look at the first screen (protocols.md 24)."""
    return html(request, "login/card_back.html", kind="elsewhere")


def _log_in(request: Request, here: Login, ports: PresentationLoginPorts) -> Response:
    citizen = results.take_citizen(ports, here.agency, here.session.id)
    if citizen is None:
        return html(request, "login/card_failed.html", **_shown(here), problem="late")
    complete_login(here.ports, here.session, citizen, requests.METHOD.id)
    return see_other(_root(here))


def _good_enough(here: Login) -> set[str]:
    """Return which cards the catalogue accepts for everything that the wallet asked for."""
    shown = show_authorization(here.issuer.issuance, here.agency, here.session.authorization_id)
    return set.intersection(*(set(each.type.issuance.login_by_credential) for each in shown.issued))


async def _begun(request: Request, agency_id: str) -> Login | None:
    """Return the login of this browser, if it has one."""
    try:
        return await current(request, agency_id)
    except NotFound:
        return None


def _ports(here: Login) -> PresentationLoginPorts:
    ports = here.issuer.presentation_login
    if ports is None:
        raise NotFound("nobody logs in by showing a card here")
    check_method(here.ports, here.agency, here.session, requests.METHOD.id)
    return ports


def _at(here: Login) -> str:
    return f"{_root(here)}/presentation"


def _shown(here: Login) -> dict[str, Any]:
    return {"agency": here.agency, "at": _at(here), "others": _root(here)}


def _root(here: Login) -> str:
    return f"{here.root}/login"
