"""Pages, protocol JSON and redirects."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from wallet_core.adapters.ui.display import COOKIE_SECONDS, Display, choices_to_remember, choose_display
from wallet_core.adapters.web.context import context
from wallet_core.adapters.web.sessions import check_csrf, csrf_token
from wallet_core.encoding import strict_json
from wallet_core.http import HttpResponse

_NO_STORE = (b"cache-control", b"no-store")
_JSON = (b"content-type", b"application/json")


def html(
    request: Request,
    template: str,
    /,
    *,
    status: int = 200,
    form_action: Iterable[str] = (),
    **values: Any,
) -> HTMLResponse:
    """Return the page ``template``, in the reader's language.

    Args:
        request: being answered.
        template: path below a template folder.
        status: HTTP status.
        form_action: origins (or ``scheme:``) beyond our own to which a form of this page may end up being redirected,
            already validated (protocols.md M5).
        values: what the template shows; ``now``, ``status``, ``csrf_token`` and ``posted`` are added.
    """
    web = context(request)
    display = display_of(request)
    address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    # What answers a form has no address of its own: a link to "this page" would lead elsewhere, and lose it.
    posted = request.method not in {"GET", "HEAD"}
    values = {"status": status, "now": web.clock.now(), "csrf_token": _CsrfToken(request), "posted": posted, **values}
    body = web.pages.render(template, display, address, **values)
    answer = HTMLResponse(body, status, {"Content-Security-Policy": page_policy(form_action), "Vary": "Cookie"})
    for name, value in choices_to_remember(request.query_params).items():
        answer.set_cookie(
            name, value, max_age=COOKIE_SECONDS, secure=web.settings.secure, httponly=True, samesite="lax"
        )
    return answer


def display_of(request: Request) -> Display:
    """Return how the reader wants pages shown: language, text size, theme."""
    return choose_display(request.query_params, request.cookies, request.headers.get("accept-language", ""))


class _CsrfToken:
    """Made when a form shows it: a page without forms starts no session."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def __str__(self) -> str:
        return csrf_token(self._request)

    def __html__(self) -> str:
        return str(self)


def page_policy(form_action: Iterable[str] = ()) -> str:
    """Return the Content-Security-Policy of a page: nothing inline, nothing from elsewhere."""
    targets = " ".join(["'self'", *form_action])
    # A space or a semicolon in a target would add a directive of the sender's choice.
    if ";" in targets or "," in targets or any(not " " <= character <= "~" for character in targets):
        raise ValueError("a form-action target is an origin or a scheme")
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        f"connect-src 'self'; manifest-src 'self'; form-action {targets}; base-uri 'none'; frame-ancestors 'none'"
    )


def page_router(**options: Any) -> APIRouter:
    """Return a router for pages: every form needs the session's CSRF token, and none stands in the API document."""
    return APIRouter(include_in_schema=False, dependencies=[Depends(check_csrf)], **options)


def protocol_json(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return ``body`` as compact JSON that no cache keeps (protocols.md M6)."""
    return _ProtocolJson(strict_json.dumps(body), status, headers)


class _ProtocolJson(Response):
    """JSON with a few headers, put together without looking for those that are always there."""

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str] | None) -> None:
        self.status_code, self.body, self.background = status, body, None
        length = (b"content-length", b"%d" % len(body))
        if not headers:
            self.raw_headers = [_NO_STORE, length, _JSON]
            return
        given = {name.lower().encode("latin-1"): value.encode("latin-1") for name, value in headers.items()}
        self.raw_headers = [*(dict([_NO_STORE]) | given).items(), length, _JSON]


def protocol_answer(answer: HttpResponse) -> Response:
    """Return an answer that the core made, as it is, that no cache keeps (protocols.md M6)."""
    return _ProtocolAnswer(answer)


class _ProtocolAnswer(Response):
    """An answer whose headers are there already, ``Content-Type`` among them."""

    def __init__(self, answer: HttpResponse) -> None:
        self.status_code, self.body, self.background = answer.status, answer.body, None
        given = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
        self.raw_headers = [*given, _NO_STORE, (b"content-length", b"%d" % len(self.body))]


def see_other(url: str, *, headers: Mapping[str, str] | None = None) -> RedirectResponse:
    """Return 303: the answer to a form, and never 307, which would send the form on (protocols.md M1)."""
    return RedirectResponse(url, 303, dict(headers or {}))
