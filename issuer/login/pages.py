"""The authorization endpoint and the pages of the login: choose a way, log in, consent, go back to the wallet.

Every page binds to the browser by the login's own cookie, and names in ``form-action`` where the wallet is (M5), for
every form here may end there.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Form
from starlette.requests import Request
from starlette.responses import Response

from issuer.agencies.ports import Agency
from issuer.dependencies import Issuer, issuer_of
from issuer.issuance.use_cases.authorization import (
    SentBack,
    ShownAuthorization,
    begin_authorization,
    show_authorization,
)
from issuer.login.ports import Choosing, LoginPorts, LoginSession, Stranger
from issuer.login.use_cases import session as login
from issuer.login.use_cases.by_code import Refused, log_in_by_code
from issuer.records.use_cases import NAME_CLAIMS
from wallet_core.adapters.ui.masking import mask
from wallet_core.adapters.web import html, page_router, see_other
from wallet_core.errors import InvalidRequest
from wallet_core.protocols.oauth2.authorization_states import LOGIN_LIFETIME

router = page_router(prefix="/agencies/{agency_id}")


@dataclass(frozen=True, slots=True)
class Login:
    """The login of one browser at one agency."""

    issuer: Issuer
    agency: Agency
    session: LoginSession

    @property
    def ports(self) -> LoginPorts:
        """What the use cases need."""
        return self.issuer.login

    @property
    def root(self) -> str:
        """The path below which the agency's addresses lie."""
        return _root(self.agency)


def cookie_name(issuer: Issuer) -> str:
    """Return the name of the login's cookie."""
    return "__Host-jigap-issuer-login" if issuer.settings.secure else "jigap-issuer-login"


async def current(request: Request, agency_id: str) -> Login:
    """Return the login of this browser. Raises ``NotFound``."""
    issuer = issuer_of(request)
    agency = issuer.agency(agency_id)
    secret = request.cookies.get(cookie_name(issuer))
    return Login(issuer, agency, login.find_login(issuer.login, agency, secret))


Current = Annotated[Login, Depends(current)]


@router.get("/authorize")
async def authorize(request: Request, agency_id: str) -> Response:
    """Authorization Endpoint (RFC 6749 3.1): to the login, or back to the wallet with an error."""
    issuer = issuer_of(request)
    agency = issuer.agency(agency_id)
    begun = begin_authorization(issuer.issuance, agency, request.scope["query_string"])
    if isinstance(begun, SentBack):
        return see_other(begun.url)
    secret, _ = login.begin_login(issuer.login, agency, begun)
    answer = see_other(f"{_root(agency)}/login")
    answer.set_cookie(
        cookie_name(issuer),
        secret,
        max_age=int(LOGIN_LIFETIME.total_seconds()),
        path="/",
        secure=issuer.settings.secure,
        httponly=True,
        samesite="lax",
    )
    return answer


@router.get("/login")
async def choose(request: Request, here: Current) -> Response:
    """Let the person choose how to log in."""
    if not isinstance(here.session.state, Choosing):
        return see_other(f"{here.root}/login/consent")
    shown = _shown(here)
    methods = login.methods_for(here.ports, shown)
    return _page(request, here, "login/choose.html", shown, methods=methods)


@router.get("/login/test")
async def by_code(request: Request, here: Current) -> Response:
    """Ask for name, date of birth and one-time code."""
    shown = login.check_method(here.ports, here.agency, here.session, login.TEST.id)
    return _by_code(request, here, shown)


@router.post("/login/test")
async def by_code_form(
    request: Request,
    here: Current,
    name: Annotated[str, Form(max_length=200)] = "",
    birth_date: Annotated[str, Form(max_length=20)] = "",
    code: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Log in by the test login; after too many tries the wallet is told."""
    try:
        found = log_in_by_code(here.ports, here.agency, here.session, name=name, birth_date=birth_date, code=code)
    except InvalidRequest:
        return _by_code(request, here, _shown(here), status=400, name=name, birth_date=birth_date, malformed=True)
    if not isinstance(found, Refused):
        return see_other(f"{here.root}/login/consent")
    if found.tries_left == 0:
        return _leave(here, login.cancel(here.ports, here.agency, here.session))
    return _by_code(request, here, _shown(here), status=401, name=name, birth_date=birth_date, left=found.tries_left)


@router.get("/login/consent")
async def consent(request: Request, here: Current) -> Response:
    """Show what will go to which wallet."""
    if isinstance(here.session.state, Choosing):
        return see_other(f"{here.root}/login")
    if isinstance(here.session.state, Stranger):
        return _page(request, here, "login/stranger.html", _shown(here))
    asked = login.ask_consent(here.ports, here.agency, here.session)
    return _page(request, here, "login/consent.html", asked.shown, consent=asked, person=_person(asked))


@router.post("/login/consent")
async def decide(here: Current, decision: Annotated[str, Form(max_length=10)]) -> Response:
    """Go back to the wallet, with a code if the person said yes."""
    if decision != "yes":
        return _leave(here, login.cancel(here.ports, here.agency, here.session))
    return _leave(here, login.confirm(here.ports, here.agency, here.session))


@router.post("/login/cancel")
async def cancel(here: Current) -> Response:
    """Go back to the wallet without a code."""
    return _leave(here, login.cancel(here.ports, here.agency, here.session))


def _by_code(
    request: Request,
    here: Login,
    shown: ShownAuthorization,
    *,
    status: int = 200,
    name: str = "",
    birth_date: str = "",
    left: int | None = None,
    malformed: bool = False,
) -> Response:
    return _page(
        request,
        here,
        "login/by_code.html",
        shown,
        status=status,
        name=name,
        birth_date=birth_date,
        left=left,
        malformed=malformed,
    )


def _shown(here: Login) -> ShownAuthorization:
    return show_authorization(here.issuer.issuance, here.agency, here.session.authorization_id)


def _page(
    request: Request, here: Login, template: str, shown: ShownAuthorization, *, status: int = 200, **values: Any
) -> Response:
    values = {"agency": here.agency, "root": here.root, "shown": shown, **values}
    return html(request, template, status=status, form_action=[shown.target], **values)


def _leave(here: Login, url: str) -> Response:
    """Send the browser to the wallet and forget the login (303, never 307: M1)."""
    answer = see_other(url)
    answer.delete_cookie(
        cookie_name(here.issuer), path="/", secure=here.issuer.settings.secure, httponly=True, samesite="lax"
    )
    return answer


def _person(asked: login.Consent) -> str:
    """Return the covered name of who logged in, as the records have it."""
    for record in asked.records:
        for claim in NAME_CLAIMS:
            if isinstance(name := record.get(claim), str) and name:
                return mask(name, "name", "ko")
    return asked.subject_id


def _root(agency: Agency) -> str:
    return f"/agencies/{agency.id}"
