"""The durable work of the login by showing a card: what nobody took goes minutes after it was sent."""

from datetime import timedelta
from typing import Any, Final

from issuer.dependencies import Issuer
from issuer.login.presentation.ports import LoginRequestStorage
from issuer.login.presentation.repository import SqlLoginRequests
from issuer.login.presentation.use_cases.requests import BATCH, delete_old
from issuer.tables import APP_TABLES
from wallet_core.adapters.jobs import Cron, Job, Task, enqueue
from wallet_core.adapters.sql import UnitOfWork

FORGET: Final = "login.forget_requests"

CRONS = (Cron(FORGET, every=timedelta(minutes=1)),)
"""Work that comes back."""


def tasks(issuer: Issuer) -> dict[str, Task]:
    """Return the tasks of this login by name."""

    def forget(_job: Job, unit: UnitOfWork, _prepared: Any) -> None:
        storage = LoginRequestStorage(unit, SqlLoginRequests(unit, issuer.sealer))
        if delete_old(storage, now=issuer.clock.now()) == BATCH:
            enqueue(unit.connection, APP_TABLES, FORGET)

    return {FORGET: Task(forget)}
