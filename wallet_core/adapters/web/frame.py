"""What surrounds every answer: trace id, security headers, session cookie, CORS of protocol paths, one log line."""

import os
import re
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wallet_core.adapters import log
from wallet_core.adapters.ui.environment import STATIC_PATH
from wallet_core.adapters.web.answers import page_policy
from wallet_core.adapters.web.context import ANSWER_HEADERS, PROTOCOL, WebContext
from wallet_core.adapters.web.sessions import session_cookie
from wallet_core.encoding import strict_json
from wallet_core.types import JsonObject

OWN_API = "/api/"
"""Below it are our own APIs, whose errors say more than a protocol's may."""

Header = tuple[bytes, bytes]

# protocols.md M7: wallets in a browser; without credentials, so a cookie is never sent along.
_CORS: tuple[Header, ...] = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"DPoP-Nonce, OAuth-Client-Attestation-Challenge, WWW-Authenticate"),
)
_PREFLIGHT: tuple[Header, ...] = (
    *_CORS,
    (b"access-control-allow-methods", b"GET, POST"),
    (
        b"access-control-allow-headers",
        b"Authorization, DPoP, Content-Type, OAuth-Client-Attestation, OAuth-Client-Attestation-PoP",
    ),
    (b"access-control-max-age", b"600"),
    (b"content-length", b"0"),
)
_ALWAYS: tuple[Header, ...] = ((b"x-content-type-options", b"nosniff"),)
# Of everything but what programs read: a browser comes from nowhere else. Not no-referrer: browsers then send
# `Origin: null` with our own forms.
_REFERRER: Header = (b"referrer-policy", b"same-origin")
_PAGE: tuple[Header, ...] = (
    (b"content-security-policy", page_policy().encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"x-frame-options", b"DENY"),
)
_DATA: tuple[Header, ...] = ((b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),)
_STRICT_TRANSPORT: Header = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_TOO_LARGE: JsonObject = {"error": "request_too_large", "error_description": "the request body is too large"}
_NO_STORE: Header = (b"cache-control", b"no-store")
_KEEP: Header = (b"cache-control", b"public, max-age=31536000, immutable")


class Frame:
    """The outermost middleware.

    Args:
        app: what it surrounds.
        web: the app's context.
        protocol_paths: regular expressions of paths that wallets in a browser call; a whole path must match.
        unexpected: makes the answer to an exception that is none of ours.
        refused: makes the answer to a refusal of the framework.
    """

    def __init__(
        self,
        app: ASGIApp,
        web: WebContext,
        protocol_paths: Sequence[str],
        unexpected: Callable[[Request, Exception], Awaitable[Response]],
        refused: Callable[[Request, Exception], Awaitable[Response]],
    ) -> None:
        self._app = app
        self._web = web
        self._is_protocol = re.compile("|".join(f"(?:{path})" for path in protocol_paths) or r"(?!)").fullmatch
        self._unexpected = unexpected
        self._refused = refused
        always = (*_ALWAYS, _STRICT_TRANSPORT) if web.settings.secure else _ALWAYS
        self._wanted = {
            (is_page, is_protocol): (
                *always,
                *(_PAGE if is_page else _DATA),
                *(_CORS if is_protocol else ()),
                *((_REFERRER,) if is_page or not is_protocol else ()),
            )
            for is_page in (False, True)
            for is_protocol in (False, True)
        }
        self._name = f"{web.name}.web"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace = os.urandom(8).hex()
        token = log.trace_id.set(trace)
        scope[PROTOCOL] = self._is_protocol(scope["path"]) is not None
        answer = _Answer(self, scope, send, trace)
        started = time.perf_counter()
        try:
            await self._serve(scope, receive, answer)
        finally:
            milliseconds = round((time.perf_counter() - started) * 1000, 1)
            log.note_request(
                self._name, method=scope["method"], path=_template(scope), status=answer.status, ms=milliseconds
            )
            log.trace_id.reset(token)

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        if scope["method"] == "OPTIONS" and scope[PROTOCOL]:
            await answer({"type": "http.response.start", "status": 204, "headers": list(_PREFLIGHT)})
            await answer({"type": "http.response.body", "body": b""})
            return
        # No name or cursor of ours holds a NUL, and PostgreSQL takes none: it would be our error, not the caller's.
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            refusal = HTTPException(404) if "\0" in scope["path"] else HTTPException(400, "the query holds a NUL")
            await (await self._refused(Request(scope), refusal))(scope, receive, answer)
            return
        try:
            await self._app(scope, receive, answer)
        except ClientDisconnect:
            # Whoever broke off an upload hears no answer, and nobody has to mend anything.
            return
        except Exception as exc:  # the last resort: whatever it is, the caller gets our shape of error
            if answer.status:
                raise
            await (await self._unexpected(Request(scope), exc))(scope, receive, answer)

    def headers(self, scope: Scope, present: Collection[Header], trace: str) -> list[Header]:
        """Return the headers to add to an answer that has ``present`` ones."""
        names = dict(present)
        is_page = names.get(b"content-type", b"").startswith(b"text/html")
        wanted = (*self._wanted[is_page, scope[PROTOCOL]], *scope.get(ANSWER_HEADERS, ()))
        added = [header for header in wanted if header[0] not in names]
        added.append((b"trace-id", trace.encode()))
        if b"cache-control" not in names:
            versioned = scope["query_string"].startswith(b"v=") and scope["path"].startswith(f"{STATIC_PATH}/")
            # vci-7.2-no-store
            added.append(_KEEP if versioned else _NO_STORE)
        if cookie := session_cookie(scope, self._web):
            added.append((b"set-cookie", cookie.encode()))
        return added


class _Answer:
    """The ``send`` of one request, which completes the headers."""

    def __init__(self, frame: Frame, scope: Scope, send: Send, trace: str) -> None:
        self._frame = frame
        self._scope = scope
        self._send = send
        self._trace = trace
        self.status = 0
        self._body: bytes | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: list[Header] = list(message.get("headers", ()))
            if message["status"] == 413 and (b"content-type", b"text/plain; charset=utf-8") in headers:
                # Starlette answers a body that is too large in plain text, past every error mapping.
                self._body = strict_json.dumps(_TOO_LARGE | own_api_members(self._scope["path"], self._trace))
                headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(self._body))]
            headers += self._frame.headers(self._scope, headers, self._trace)
            message = {**message, "headers": headers}
            self.status = message["status"]
        elif self._body is not None:
            message = {**message, "body": self._body}
        await self._send(message)


def own_api_members(path: str, trace: str) -> JsonObject:
    """Return what an error of our own APIs has beyond the two members of a protocol's; empty for other paths."""
    return {"trace_id": trace, "fault": "you"} if path.startswith(OWN_API) else {}


def _template(scope: Scope) -> str:
    """The route's pattern, not the path: a path holds ids. A plain Starlette route leaves only its endpoint's name."""
    route: Any = scope.get("route")
    return str(getattr(route, "path", "") or getattr(scope.get("endpoint"), "__name__", "")) or "(none)"
