"""The durable work of trust lists: ask for the next one."""

from datetime import timedelta
from typing import Any

from verifier.dependencies import Verifier
from verifier.trust_lists.use_cases import Fetched, fetch_trust_list, keep_trust_list
from wallet_core.adapters import log
from wallet_core.adapters.jobs import Cron, Job, Task
from wallet_core.adapters.sql import UnitOfWork

FETCH = "trust_lists.fetch"


def crons(verifier: Verifier) -> tuple[Cron, ...]:
    """Return the work that comes back: none without a list."""
    if verifier.trust_ports.source is None:
        return ()
    return (Cron(FETCH, every=timedelta(seconds=verifier.settings.trust_list_seconds)),)


def tasks(verifier: Verifier) -> dict[str, Task]:
    """Return the tasks of trust lists by name."""
    ports = verifier.trust_ports

    def fetch(_job: Job) -> Fetched | None:
        return None if ports.source is None else fetch_trust_list(ports, ports.source)

    def keep(_job: Job, unit: UnitOfWork, fetched: Any) -> None:
        if ports.source is not None and isinstance(fetched, Fetched):
            report(fetched)
            keep_trust_list(verifier.trust_storage(unit), ports.source, fetched, now=verifier.clock.now())

    return {FETCH: Task(keep, prepare=fetch)}


def report(fetched: Fetched) -> None:
    """Write to the log what a try brought."""
    logger = log.get_logger("verifier.trust")
    if fetched.problem is not None:
        logger.warning("the trust list was not renewed", detail=fetched.problem.detail)
    elif fetched.found is not None:
        content = fetched.found.content
        logger.info("trust list", sequence_number=content.sequence_number, next_update=content.next_update.isoformat())


def renew_trust_list(verifier: Verifier) -> Fetched | None:
    """Ask for the next list now and store what came; None without a list in the settings."""
    ports = verifier.trust_ports
    if ports.source is None:
        return None
    fetched = fetch_trust_list(ports, ports.source)
    report(fetched)
    keep_trust_list(verifier.trust_storage(verifier.database.unit()), ports.source, fetched, now=verifier.clock.now())
    return fetched
