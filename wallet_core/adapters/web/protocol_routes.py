"""The hot endpoints, answered before FastAPI's own machinery begins.

They stay routes of the app, which answers what fits none of them exactly (HEAD, another method). Here they get what
that machinery would have given them: a bounded body, and errors as answers.
"""

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from wallet_core.adapters.web import errors
from wallet_core.adapters.web.cohort import next_step
from wallet_core.errors import WalletError

_MAX_DIGITS = 18
"""Of a Content-Length: any larger one is too large as well."""


class ProtocolRoutes:
    """A middleware directly inside the frame.

    Args:
        app: what answers everything else.
        routes: in the order in which they are tried; their endpoints are coroutines, their parameters text.
        max_body_size: bytes of the body of a route that names no ``max_body_size``.
    """

    def __init__(self, app: ASGIApp, routes: Sequence[Route], max_body_size: int) -> None:
        self._app = app
        self._routes = {
            method: [
                (route.path_regex.match, route.endpoint, _limit(route, max_body_size))
                for route in routes
                if method in (route.methods or ())
            ]
            for method in ("GET", "POST")
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        for match, endpoint, limit in self._routes.get(scope.get("method", ""), ()):
            found = match(scope["path"])
            if found is not None:
                scope["endpoint"], scope["path_params"] = endpoint, found.groupdict()
                request = _ReadRequest(scope)
                try:
                    if scope["method"] == "POST":
                        await request.read(receive, limit)
                    response = await endpoint(request)
                except WalletError as exc:
                    response = await errors.wallet_error(request, exc)
                except HTTPException as exc:
                    response = await errors.http_error(request, exc)
                await next_step()
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


class _ReadRequest(Request):
    """A request whose body is there already."""

    _body = b""

    async def read(self, receive: Receive, limit: int) -> None:
        """Read the body. Raises ``HTTPException`` (413) as soon as it is known to be larger than ``limit`` bytes."""
        for name, value in self.scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value[:_MAX_DIGITS]) > limit:
                raise _too_large()
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise _too_large()
            more = message.get("more_body", False)
        self._body = b"".join(parts)


def _too_large() -> HTTPException:
    return HTTPException(413, "the request body is too large")


def _limit(route: Route, usual: int) -> int:
    return route.app.max_body_size if isinstance(route.app, RequestBodyLimitMiddleware) else usual
