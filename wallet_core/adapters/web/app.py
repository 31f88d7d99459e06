"""The FastAPI app that every app of ours begins with."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from wallet_core.adapters import log
from wallet_core.adapters.app_tables import AppTables
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import AppSettings
from wallet_core.adapters.keystore import Sealer
from wallet_core.adapters.sql import Database
from wallet_core.adapters.ui import STATIC
from wallet_core.adapters.ui.environment import STATIC_PATH, Pages, create_pages
from wallet_core.adapters.ui.messages import load_messages
from wallet_core.adapters.web import errors
from wallet_core.adapters.web.answers import html, protocol_json
from wallet_core.adapters.web.context import CallLimit, Clock, WebContext
from wallet_core.adapters.web.document import describe, scopes_of
from wallet_core.adapters.web.frame import Frame
from wallet_core.adapters.web.limits import FailureLimit
from wallet_core.adapters.web.protocol_routes import ProtocolRoutes
from wallet_core.adapters.web.server import end_with_parent, settle
from wallet_core.types import JsonObject

MAX_BODY_BYTES = 512 * 1024
"""Bytes of a request body; a route that takes files names its own ``max_body_size``."""

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    settings: AppSettings,
    *,
    name: str,
    title: str,
    about: str = "",
    examples: Mapping[str, JsonObject] | None = None,
    database: Database,
    tables: AppTables,
    sealer: Sealer | None = None,
    clock: Clock | None = None,
    template_folders: Sequence[Path] = (),
    protocol_paths: Sequence[str] = (),
    protocol_routes: Sequence[Route] = (),
    guarded_paths: Sequence[str] = (),
    call_limit: CallLimit | None = None,
    routers: Sequence[APIRouter] = (),
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """Return the app with errors, headers, pages, static files, ``/healthz``, ``/openapi.json`` and ``/docs``.

    Args:
        settings: of the app.
        name: ``issuer``, ``verifier`` or ``wallet``: in cookie and log names, and the area of its message catalogue.
        title: of the API document.
        about: what the API document says of itself.
        examples: of answers, by the name of their schema.
        database: of the app.
        tables: the shared ones of the app.
        sealer: instead of the one the settings name.
        clock: instead of the machine's.
        template_folders: of the app's features.
        protocol_paths: regular expressions of paths that wallets in a browser call (CORS; protocols.md M7).
        protocol_routes: plain Starlette routes of protocol endpoints, the hot ones.
        guarded_paths: regular expressions of paths where secrets are tried (``limits``).
        call_limit: how often one owner of API keys may call our own API; None: calls are not counted.
        routers: of the app's features.
        lifespan: what runs around serving.
    """
    pages = _pages(name, tuple(template_folders))
    web = WebContext(
        name, settings, database, tables, sealer or settings.sealer(), clock or SystemClock(), pages, call_limit
    )
    frame = Middleware(
        Frame, web=web, protocol_paths=protocol_paths, unexpected=errors.unexpected, refused=errors.http_error
    )
    app = _App(
        title=title,
        version="1",
        description=about,
        servers=[{"url": settings.public_url}],
        generate_unique_id_function=lambda route: route.name,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it answers 307, and protocol endpoints never redirect (protocols.md M6)
        # Inside the frame, unlike FastAPI's own max_body_size, so that its answer has our headers too.
        middleware=[
            frame,
            Middleware(FailureLimit, web=web, doors=guarded_paths),
            Middleware(ProtocolRoutes, routes=protocol_routes, max_body_size=MAX_BODY_BYTES),
            Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY_BYTES),
        ],
        # Nobody collects it here, and asking whether somebody does costs every request.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=lifespan,
    )
    app.state.web = web
    errors.install(app)
    app.router.routes[:0] = protocol_routes
    for router in routers:
        app.include_router(router)
    app.include_router(_common(app))
    app.openapi = partial(describe, app, scopes_of(routers), examples or {})  # type: ignore[method-assign]
    app.mount(STATIC_PATH, StaticFiles(directory=STATIC), name="static")
    _warn(web)
    end_with_parent()
    settle()
    return app


@lru_cache
def _pages(name: str, folders: tuple[Path, ...]) -> Pages:
    """Return the pages of an app: read and compiled once, however often a process makes that app."""
    return create_pages(load_messages(["base", name]), folders)


class _App(FastAPI):
    """FastAPI with our frame outermost: no error passes it, so the layers that wait for one around it do nothing."""

    def build_middleware_stack(self) -> ASGIApp:
        """Return the frame with all that is inside."""
        stack: Any = super().build_middleware_stack()
        while not isinstance(stack, Frame):
            stack = stack.app
        return stack


def _common(app: FastAPI) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def health(request: Request) -> Response:
        with request.app.state.web.database.reader() as unit:
            unit.connection.exec_driver_sql("SELECT 1")
        return protocol_json({"status": "ok"})

    @router.get("/docs")
    async def docs(request: Request) -> Response:
        return html(request, "docs.html", openapi=app.openapi())

    return router


def _warn(web: WebContext) -> None:
    for switch in web.settings.insecure_switches():
        log.get_logger(f"{web.name}.web").warning(
            "insecure setting is on; never with real people's data", setting=switch
        )
