"""Signing in and out."""

from fastapi import Form, Request, Response

from holder_app.accounts.ports import CodeIncomplete, SignInRefused
from holder_app.accounts.use_cases import sign_in, sign_out
from holder_app.dependencies import CurrentWallet, MaybeAccount
from wallet_core.adapters.web import html, page_router, renew_session, see_other, session
from wallet_core.errors import AccessDenied

router = page_router()

MAX_CODE_CHARACTERS = 20
"""Characters that the field of the code takes."""


@router.get("/sign-in")
async def sign_in_page(
    request: Request, account: MaybeAccount, wallet: CurrentWallet, next_page: str = "/"
) -> Response:
    """Ask for the one-time code; who is signed in already goes on."""
    next_page = _own_page(request.query_params.get("next", next_page))
    if account is not None:
        return see_other(next_page)
    return html(request, "sign_in.html", next_page=next_page, demo=wallet.settings.demo, refused="")


@router.post("/sign-in")
async def sign_in_form(
    request: Request, wallet: CurrentWallet, code: str = Form(""), next_page: str = Form("/")
) -> Response:
    """Open a session under a new id."""
    if not wallet.settings.demo:  # printed codes are for the demo's invented people
        raise AccessDenied("signing in by printed code is for demos")
    browser = renew_session(request)
    try:
        sign_in(wallet.account_ports(), code, browser.id)
    except SignInRefused as exc:
        incomplete = isinstance(exc, CodeIncomplete)
        told = {"refused": "incomplete", "code": code[:MAX_CODE_CHARACTERS]} if incomplete else {"refused": "refused"}
        status = 400 if incomplete else 403
        return html(request, "sign_in.html", status=status, next_page=_own_page(next_page), demo=True, **told)
    return see_other(_own_page(next_page))


@router.get("/sign-out")
async def sign_out_page(request: Request, account: MaybeAccount, wallet: CurrentWallet) -> Response:
    """Ask whether the session is to end: coming back takes a new code."""
    if account is None:
        return see_other("/sign-in")
    return html(request, "sign_out.html", account=account, demo=wallet.settings.demo)


@router.post("/sign-out")
async def sign_out_form(request: Request, wallet: CurrentWallet) -> Response:
    """End the session."""
    browser = session(request)
    sign_out(wallet.account_ports(), browser.id)
    browser.end()
    return see_other("/sign-in")


def _own_page(address: str) -> str:
    """Return the address if it is a page of ours, the first page otherwise: no open redirect."""
    ours = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if ours and address.isascii() else "/"
