"""The issuer as a web app."""

from fastapi import FastAPI

from issuer.console import TEMPLATES
from issuer.console.deferral_pages import router as deferral_pages_router
from issuer.console.pages import router as console_router
from issuer.console.record_pages import router as record_pages_router
from issuer.console.reissue_pages import router as reissue_pages_router
from issuer.console.status_pages import router as status_pages_router
from issuer.dependencies import Issuer, build_issuer
from issuer.issuance import endpoints
from issuer.issuance.reissue_router import router as reissue_router
from issuer.issuance.router import router as issuance_router
from issuer.issuance.tasks import CRONS, tasks
from issuer.login import TEMPLATES as LOGIN_TEMPLATES
from issuer.login.openid.pages import router as openid_router
from issuer.login.pages import router as login_router
from issuer.login.presentation import endpoints as presentation_endpoints
from issuer.login.presentation import tasks as presentation_tasks
from issuer.login.presentation.pages import router as presentation_router
from issuer.records.router import router as records_router
from issuer.settings import IssuerSettings
from issuer.status import endpoints as status_endpoints
from issuer.tables import APP_TABLES
from wallet_core.adapters import log
from wallet_core.adapters.jobs import Worker
from wallet_core.adapters.web import create_app as create_web_app

PROTOCOL_MODULES = (endpoints, status_endpoints, presentation_endpoints)
"""Where the endpoints are that wallets call."""


def create_app(issuer: Issuer) -> FastAPI:
    """Return the web app of an issuer. Its tables must have been migrated."""
    app = create_web_app(
        issuer.settings,
        name="issuer",
        title="Jigap issuer",
        database=issuer.database,
        tables=APP_TABLES,
        sealer=issuer.sealer,
        clock=issuer.clock,
        protocol_paths=[path for module in PROTOCOL_MODULES for path in module.PROTOCOL_PATHS],
        guarded_paths=(*endpoints.GUARDED_PATHS, "/console/sign-in"),
        template_folders=[TEMPLATES, LOGIN_TEMPLATES],
        protocol_routes=[route for module in PROTOCOL_MODULES for route in module.ROUTES],
        routers=[
            login_router,
            openid_router,
            presentation_router,
            records_router,
            issuance_router,
            reissue_router,
            console_router,
            record_pages_router,
            status_pages_router,
            deferral_pages_router,
            reissue_pages_router,
        ],
    )
    app.state.issuer = issuer
    return app


def create_worker(issuer: Issuer) -> Worker:
    """Return a worker for the issuer's durable jobs."""
    every = tasks(issuer) | presentation_tasks.tasks(issuer)
    return Worker(issuer.database, APP_TABLES, every, crons=(*CRONS, *presentation_tasks.CRONS))


def create() -> FastAPI:
    """Return the web app as the environment configures it: the factory that uvicorn's workers call."""
    log.configure()
    return create_app(build_issuer(IssuerSettings.from_environment()))
