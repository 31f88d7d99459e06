"""Pages of the login at an OpenID provider: the way there, and the way back."""

from starlette.requests import Request
from starlette.responses import Response

from issuer.login.openid import use_cases
from issuer.login.openid.ports import OpenIdLoginPorts
from issuer.login.openid.use_cases import MissingClaims
from issuer.login.pages import Current, Login
from issuer.login.ports import Choosing
from issuer.login.use_cases import check_method, complete_login
from wallet_core.adapters import log
from wallet_core.adapters.web import html, page_router, see_other
from wallet_core.errors import AccessDenied, NotFound, OutsideError, PeerRefusal, StateConflict, WalletError

router = page_router(prefix="/agencies/{agency_id}/login/openid")

_MAX_PARAMETERS = 16


@router.get("")
async def leave(request: Request, here: Current) -> Response:
    """Send the browser to the provider; what its answer must fit is kept in the login session."""
    if not isinstance(here.session.state, Choosing):
        return see_other(_root(here))
    ports = _ports(here)
    try:
        asked = await here.issuer.http.arun(use_cases.begin(ports, here.agency))
    except WalletError as exc:
        return _failed(request, here, "away", exc)
    use_cases.remember_request(ports, here.session, asked)
    return see_other(asked.url)


@router.get("/callback")
async def come_back(request: Request, here: Current) -> Response:
    """Take the browser that the provider sent back, and log the person in."""
    if not isinstance(here.session.state, Choosing):
        return see_other(_root(here))
    ports = _ports(here)
    try:
        parameters = _parameters(request)
        asked, session = use_cases.take_request(ports, here.session, parameters.get("state", ""))
        citizen = await here.issuer.http.arun(use_cases.finish(ports, here.agency, asked, parameters))
    except WalletError as exc:
        return _failed(request, here, _problem(exc), exc)
    complete_login(here.ports, session, citizen, use_cases.METHOD)
    return see_other(_root(here), headers={"Referrer-Policy": "no-referrer"})


def _ports(here: Login) -> OpenIdLoginPorts:
    ports = here.issuer.openid_login
    if ports is None:
        raise NotFound("there is no OpenID provider here")
    check_method(here.ports, here.agency, here.session, use_cases.METHOD)
    return ports


def _parameters(request: Request) -> dict[str, str]:
    pairs = request.query_params.multi_items()
    parameters = dict(pairs)
    # RFC 6749 3.1: "Request and response parameters MUST NOT be included more than once."
    if len(parameters) != len(pairs) or len(pairs) > _MAX_PARAMETERS:
        raise StateConflict("a parameter of the answer is there twice", clause="RFC 6749 3.1")
    return parameters


def _problem(error: WalletError) -> str:
    match error:
        case MissingClaims():
            return "missing"
        case AccessDenied():
            return "declined"
        case StateConflict():
            return "over"
        case PeerRefusal():
            return "refused"
        case OutsideError():
            return "away"
        case _:
            return "refused"


def _failed(request: Request, here: Login, problem: str, error: WalletError) -> Response:
    said = error.detail or error.description
    log.get_logger("issuer.login").warning("failed at the OpenID provider", kind=type(error).__name__, detail=said)
    status = 502 if problem == "away" else 403
    return html(
        request,
        "login/openid_failed.html",
        status=status,
        agency=here.agency,
        provider=here.issuer.settings.openid_name,
        problem=problem,
        at=f"{_root(here)}/openid",
        others=_root(here),
    )


def _root(here: Login) -> str:
    return f"{here.root}/login"
