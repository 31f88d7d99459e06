"""The wallet's durable jobs: forget what is over."""

from datetime import timedelta
from typing import Any

from holder_app.accounts.repository import SqlAccounts
from holder_app.dependencies import Wallet
from holder_app.issuance.repository import SqlIssuances
from holder_app.presentation.repository import SqlPresentations
from holder_app.tables import APP_TABLES
from wallet_core.adapters.jobs import Cron, Job, Task, Worker
from wallet_core.adapters.sql import UnitOfWork, forget_spent

FORGET_EXPIRED = "forget_expired"
EVERY = timedelta(minutes=5)


def create_worker(wallet: Wallet) -> Worker:
    """Return the worker of this wallet's database."""
    tasks = {FORGET_EXPIRED: Task(lambda job, unit, prepared: forget_expired(wallet, job, unit, prepared))}
    return Worker(wallet.database, APP_TABLES, tasks, crons=[Cron(FORGET_EXPIRED, EVERY)])


def forget_expired(wallet: Wallet, _job: Job, unit: UnitOfWork, _prepared: Any) -> None:
    """Remove sign-in codes, sessions, and offers and requests that waited too long."""
    now = wallet.clock.now()
    SqlAccounts(unit, wallet.sealer).forget_expired(now)
    SqlIssuances(unit, wallet.sealer).forget_expired(now)
    SqlPresentations(unit, wallet.sealer).forget_expired(now)
    forget_spent(unit.connection, APP_TABLES.spent, now=now)
