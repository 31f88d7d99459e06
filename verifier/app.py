"""The verifier as a web app."""

from fastapi import FastAPI

from verifier.checks.assembly import check_ports
from verifier.checks.router import router as checks_router
from verifier.console import TEMPLATES, counter_pages
from verifier.console.file_pages import router as file_router
from verifier.console.pages import router as console_router
from verifier.dependencies import Verifier, build_verifier
from verifier.presentations import endpoints
from verifier.presentations.router import router as presentations_router
from verifier.presentations.shapes import EXAMPLES
from verifier.presentations.tasks import CRONS, tasks
from verifier.settings import VerifierSettings
from verifier.tables import APP_TABLES
from verifier.trust_lists import tasks as trust_lists
from wallet_core.adapters import log
from wallet_core.adapters.jobs import Worker
from wallet_core.adapters.web import create_app as create_web_app

ABOUT = (
    "Ask a person's wallet for a presentation, wait for the answer, read the checked claims. Send your API key as "
    "`Authorization: Bearer`, and an `Idempotency-Key` with every POST: a repeat gets the first answer. "
    "A client in one file of Python is `verifier/client.py`."
)
"""What the API document says of itself."""


def create_app(verifier: Verifier) -> FastAPI:
    """Return the web app of a verifier. Its tables must have been migrated."""
    app = create_web_app(
        verifier.settings,
        name="verifier",
        title="Jigap verifier",
        about=ABOUT,
        examples=EXAMPLES,
        database=verifier.database,
        tables=APP_TABLES,
        sealer=verifier.sealer,
        clock=verifier.clock,
        protocol_paths=endpoints.PROTOCOL_PATHS,
        protocol_routes=endpoints.ROUTES,
        template_folders=[TEMPLATES],
        guarded_paths=("/console/sign-in", counter_pages.GUARDED),
        call_limit=verifier.settings.call_limit,
        routers=[presentations_router, checks_router, console_router, file_router, counter_pages.router],
    )
    app.state.verifier = verifier
    app.state.checks = check_ports(verifier)
    return app


def create_worker(verifier: Verifier) -> Worker:
    """Return a worker for the verifier's durable jobs."""
    every = tasks(verifier) | trust_lists.tasks(verifier)
    return Worker(verifier.database, APP_TABLES, every, crons=(*CRONS, *trust_lists.crons(verifier)))


def create() -> FastAPI:
    """Return the web app as the environment configures it: the factory that uvicorn's workers call."""
    log.configure()
    return create_app(build_verifier(VerifierSettings.from_environment()))
