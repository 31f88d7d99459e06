"""The verifier as a web app."""

import threading

from fastapi import FastAPI

from verifier.checks.assembly import check_ports
from verifier.checks.router import router as checks_router
from verifier.console import (
    TEMPLATES,
    certificate_pages,
    claims_pages,
    counter_pages,
    file_pages,
    key_pages,
    policy_pages,
)
from verifier.console.pages import router as console_router
from verifier.console.webhook_pages import router as webhook_pages
from verifier.dependencies import Verifier, build_verifier
from verifier.presentations import endpoints
from verifier.presentations.router import router as presentations_router
from verifier.presentations.shapes import EXAMPLES
from verifier.presentations.tasks import CRONS, tasks
from verifier.settings import VerifierSettings
from verifier.tables import APP_TABLES
from verifier.trust_lists import tasks as trust_lists
from verifier.webhooks import tasks as webhooks
from verifier.webhooks.repository import QUEUE
from verifier.webhooks.router import router as webhooks_router
from wallet_core.adapters import log
from wallet_core.adapters.jobs import Worker
from wallet_core.adapters.web import create_app as create_web_app

ABOUT = (
    "Ask a person's wallet for a presentation, wait for the answer, read the checked claims. Send your API key as "
    "`Authorization: Bearer`, and an `Idempotency-Key` with every POST: a repeat gets the first answer. "
    "A client in one file of Python is `verifier/client.py`."
)
"""What the API document says of itself."""


STAFF_ROUTERS = (
    file_pages.router,
    counter_pages.router,
    policy_pages.router,
    claims_pages.router,
    key_pages.router,
    certificate_pages.router,
)
"""Pages of staff beside the desk's own."""


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
        routers=[presentations_router, webhooks_router, checks_router, console_router, webhook_pages, *STAFF_ROUTERS],
    )
    app.state.verifier = verifier
    app.state.checks = check_ports(verifier)
    return app


def create_worker(verifier: Verifier) -> Worker:
    """Return a worker for the verifier's durable jobs."""
    every = tasks(verifier) | trust_lists.tasks(verifier)
    return Worker(verifier.database, APP_TABLES, every, crons=(*CRONS, *trust_lists.crons(verifier)))


def create_webhook_worker(verifier: Verifier) -> Worker:
    """Return a worker that sends webhooks and nothing else: no slow receiver keeps other work waiting."""
    queues = {QUEUE: webhooks.AT_ONCE}
    return Worker(verifier.database, APP_TABLES, webhooks.tasks(verifier), queues=queues, crons=webhooks.CRONS)


def run_workers(verifier: Verifier, stop: threading.Event) -> None:
    """Run both workers until ``stop`` is set."""
    sending = threading.Thread(target=create_webhook_worker(verifier).run, args=(stop,), name="webhooks")
    sending.start()
    try:
        create_worker(verifier).run(stop)
    finally:
        stop.set()
        sending.join()


def create() -> FastAPI:
    """Return the web app as the environment configures it: the factory that uvicorn's workers call."""
    log.configure()
    return create_app(build_verifier(VerifierSettings.from_environment()))
