"""The durable work of issuance: ending offers in time, replacing copies, forgetting used secrets and answers."""

from datetime import timedelta
from typing import Any

from issuer.dependencies import Issuer
from issuer.issuance.repository.bulk_reissuances import CONTINUE_BULK
from issuer.issuance.use_cases.bulk_reissuance import continue_bulk
from issuer.issuance.use_cases.expiry import BATCH, expire_deferrals, expire_offers, forget_authorizations
from issuer.issuance.use_cases.reissuance import OVERDUE_BATCH, revoke_overdue
from issuer.tables import APP_TABLES
from wallet_core.adapters.jobs import Cron, Job, Task, enqueue
from wallet_core.adapters.sql import UnitOfWork, delete_expired

CRONS = (
    Cron("issuance.expire_offers", every=timedelta(seconds=30)),
    Cron("issuance.revoke_overdue", every=timedelta(seconds=60)),
    Cron("issuance.expire_deferrals", every=timedelta(minutes=10)),
    Cron("issuance.forget", every=timedelta(hours=1)),
)
"""Work that comes back."""


def tasks(issuer: Issuer) -> dict[str, Task]:
    """Return the tasks of issuance by name."""

    def expire(_job: Job, unit: UnitOfWork, _prepared: Any) -> None:
        if expire_offers(issuer.storage(unit), now=issuer.clock.now()) == BATCH:
            # More is due: another job at once, so that no transaction grows with the backlog.
            enqueue(unit.connection, APP_TABLES, "issuance.expire_offers")

    def overdue(_job: Job, unit: UnitOfWork, _prepared: Any) -> None:
        if revoke_overdue(issuer.issuance, issuer.storage(unit)) == OVERDUE_BATCH:
            enqueue(unit.connection, APP_TABLES, "issuance.revoke_overdue")

    def reissue(job: Job, unit: UnitOfWork, _prepared: Any) -> None:
        id_, version = str(job.payload["id"]), int(str(job.payload["version"]))
        continue_bulk(issuer.issuance, issuer.storage(unit), id_, version)

    def lapse(_job: Job, unit: UnitOfWork, _prepared: Any) -> None:
        if expire_deferrals(issuer.storage(unit), now=issuer.clock.now()) == BATCH:
            enqueue(unit.connection, APP_TABLES, "issuance.expire_deferrals")

    def forget(_job: Job, unit: UnitOfWork, _prepared: Any) -> None:
        now = issuer.clock.now()
        counts = (
            forget_authorizations(issuer.storage(unit), now=now),
            issuer.login_storage(unit).sessions.forget(now=now, limit=BATCH),
            delete_expired(unit.connection, APP_TABLES.spent, now=now, limit=BATCH),
            delete_expired(unit.connection, APP_TABLES.idempotency, now=now, limit=BATCH),
        )
        # Sessions and their codes are counted together, each up to the limit.
        if max(counts) >= BATCH:
            enqueue(unit.connection, APP_TABLES, "issuance.forget")

    return {
        "issuance.expire_offers": Task(expire),
        "issuance.revoke_overdue": Task(overdue),
        CONTINUE_BULK: Task(reissue),
        "issuance.expire_deferrals": Task(lapse),
        "issuance.forget": Task(forget),
    }
