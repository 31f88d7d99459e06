"""The wallet's durable jobs: forget what is over, fetch new copies of cards in time, ask agencies that decide later."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

from holder_app.accounts.ports import AccountId
from holder_app.accounts.repository import SqlAccounts
from holder_app.credentials.refreshing import refresh_card
from holder_app.credentials.repository import SqlCards
from holder_app.dependencies import Wallet
from holder_app.issuance.repository import ASK_AGAIN, ASK_QUEUE, SqlIssuances, SqlLogins
from holder_app.issuance.waiting import ask_again
from holder_app.presentation.repository import SqlPresentations
from holder_app.tables import APP_TABLES, MOST_EXPIRED
from wallet_core.adapters.jobs import DEFAULT_QUEUE, Cron, Job, Task, Worker, enqueue
from wallet_core.adapters.sql import UnitOfWork, delete_expired
from wallet_core.errors import NotFound, StateConflict
from wallet_core.types import JsonObject

FORGET_EXPIRED = "forget_expired"
EVERY = timedelta(minutes=5)

FIND_DUE = "find_due_cards"
FIND_EVERY = timedelta(seconds=15)
"""How soon it is noticed that a card needs new copies: one look at an index."""
MOST_DUE = 200
"""Cards of one look; the next look finds the others."""

REFRESH = "refresh_card"
REFRESH_QUEUE = "refresh"
AT_ONCE = 8
"""Cards that are refreshed beside each other: most of the time is waiting for issuers."""


def create_worker(wallet: Wallet) -> Worker:
    """Return the worker of this wallet's database."""
    tasks = {
        FORGET_EXPIRED: Task(lambda job, unit, prepared: forget_expired(wallet, job, unit, prepared)),
        FIND_DUE: Task(lambda _job, unit, _prepared: find_due(wallet, unit)),
        # All of it lies outside the transaction of the job: each step commits for itself, and a card that is being
        # refreshed is claimed, so that a job that comes twice does it once.
        REFRESH: Task(lambda _job, _unit, _prepared: None, prepare=lambda job: refresh(wallet, job)),
        # The same holds for asking an issuer again.
        ASK_AGAIN: Task(lambda _job, _unit, _prepared: None, prepare=lambda job: ask(wallet, job)),
    }
    crons = [Cron(FORGET_EXPIRED, EVERY), Cron(FIND_DUE, FIND_EVERY)]
    return Worker(
        wallet.database,
        APP_TABLES,
        tasks,
        crons=crons,
        queues={DEFAULT_QUEUE: 1, REFRESH_QUEUE: AT_ONCE, ASK_QUEUE: AT_ONCE},
    )


def find_due(wallet: Wallet, unit: UnitOfWork) -> None:
    """Enqueue what refreshes the cards that are due, one job for each."""
    for account_id, card_id in SqlCards(unit, wallet.sealer).due(wallet.clock.now(), MOST_DUE):
        payload: JsonObject = {"account_id": account_id, "card_id": card_id}
        enqueue(unit.connection, APP_TABLES, REFRESH, payload, queue=REFRESH_QUEUE, key=f"refresh:{card_id}")


def refresh(wallet: Wallet, job: Job) -> None:
    """Refresh one card, unless it was deleted meanwhile."""
    account_id, card_id = AccountId(str(job.payload["account_id"])), str(job.payload["card_id"])
    with suppress(NotFound):
        asyncio.run(refresh_card(wallet.card_ports, wallet.reissuer(), account_id, card_id))


def ask(wallet: Wallet, job: Job) -> None:
    """Ask an issuer again that decides later, unless nobody waits any more or somebody else is asking."""
    account_id, issuance_id = AccountId(str(job.payload["account_id"])), str(job.payload["issuance_id"])
    with suppress(NotFound, StateConflict):
        asyncio.run(ask_again(wallet.issuance_ports(), account_id, issuance_id, reminded=True))


def forget_expired(wallet: Wallet, _job: Job, unit: UnitOfWork, _prepared: Any) -> None:
    """Remove sign-in codes, sessions, and offers and requests that waited too long."""
    now = wallet.clock.now()
    counts = (
        SqlAccounts(unit, wallet.sealer).forget_expired(now),
        SqlIssuances(unit, wallet.sealer).forget_expired(now),
        SqlLogins(unit).forget_expired(now),
        SqlPresentations(unit, wallet.sealer).forget_expired(now),
        delete_expired(unit.connection, APP_TABLES.spent, now=now, limit=MOST_EXPIRED),
    )
    # Codes and sessions are counted together, each up to the limit.
    if max(counts) >= MOST_EXPIRED:
        # More is due: another job at once, so that no transaction grows with the backlog.
        enqueue(unit.connection, APP_TABLES, FORGET_EXPIRED)
