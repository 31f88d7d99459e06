"""Paused issuances, logins under way and reminders in the database."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import get_args

from sqlalchemy import delete, insert

from holder_app.accounts.ports import AccountId
from holder_app.flow_tables import SealedFlows
from holder_app.issuance.states import Issuance, IssuanceState, UnfinishedState, kind_of, state_from_json, state_to_json
from holder_app.issuance.tables import IssuanceRow, LoginRow
from holder_app.tables import APP_TABLES, MOST_EXPIRED, table_of
from wallet_core.adapters import sql
from wallet_core.adapters.jobs import enqueue
from wallet_core.adapters.keystore import Sealer
from wallet_core.adapters.sql import UnitOfWork

ASK_AGAIN = "ask_again"
"""Name of the job that asks an issuer again."""

ASK_QUEUE = "ask"

_LOGIN = table_of(LoginRow)


class SqlIssuances:
    """Fulfils ``issuance.ports.Issuances`` within a unit of work."""

    def __init__(self, unit: UnitOfWork, sealer: Sealer) -> None:
        self._flows = SealedFlows(unit, sealer, table_of(IssuanceRow))

    def add(self, issuance: Issuance) -> None:
        """Store a new issuance."""
        state = issuance.state
        self._flows.insert(issuance.id, issuance.account_id, kind_of(state), state_to_json(state), issuance.expires_at)

    def get(self, account_id: AccountId, issuance_id: str) -> Issuance | None:
        """Return the issuance if it is the account's."""
        found = self._flows.find(account_id, issuance_id)
        if found is None:
            return None
        row, body = found
        return Issuance(row.id, account_id, row.version, state_from_json(row.kind, body), row.expires_at)

    def unfinished(self, account_id: AccountId) -> Sequence[Issuance]:
        """Return the account's issuances in an ``UnfinishedState``, those that end first before the others."""
        found = self._flows.of_kinds(account_id, [each.__name__.lower() for each in get_args(UnfinishedState)])
        return [
            Issuance(row.id, account_id, row.version, state_from_json(row.kind, body), row.expires_at)
            for row, body in found
        ]

    def advance(self, issuance: Issuance, state: IssuanceState, *, until: datetime | None = None) -> Issuance:
        """Store its next state, kept until then. Raises ``StateConflict`` if somebody else moved it meanwhile."""
        ends, body = until or issuance.expires_at, state_to_json(state)
        version = self._flows.advance(issuance.id, issuance.account_id, issuance.version, kind_of(state), body, ends)
        return replace(issuance, state=state, version=version, expires_at=ends)

    def forget_expired(self, now: datetime) -> int:
        """Remove issuances whose time is over, up to ``MOST_EXPIRED``, and return how many."""
        return self._flows.forget_expired(now)


class SqlLogins:
    """Fulfils ``issuance.ports.Logins`` within a unit of work."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def add(
        self, digest: bytes, account_id: AccountId, issuance_id: str, session: bytes, *, expires_at: datetime
    ) -> None:
        """Remember the digest of a new ``state``, and of the browser's session."""
        values = {
            "digest": digest,
            "account_id": account_id,
            "issuance_id": issuance_id,
            "session": session,
            "expires_at": expires_at,
        }
        self._unit.connection.execute(insert(_LOGIN), values)

    def spend(self, digest: bytes, account_id: AccountId, session: bytes, now: datetime) -> str | None:
        """Forget it, and return the issuance: once, for the same browser, in time. None otherwise."""
        same = (_LOGIN.c.digest == digest, _LOGIN.c.account_id == account_id, _LOGIN.c.session == session)
        statement = delete(_LOGIN).where(*same, _LOGIN.c.expires_at > now).returning(_LOGIN.c.issuance_id)
        found: str | None = self._unit.connection.execute(statement).scalar_one_or_none()
        return found

    def forget_expired(self, now: datetime) -> int:
        """Remove those whose time is over, up to ``MOST_EXPIRED``, and return how many."""
        return sql.delete_expired(self._unit.connection, _LOGIN, now=now, limit=MOST_EXPIRED)


class SqlReminders:
    """Fulfils ``issuance.ports.Reminders`` within a unit of work."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def ask_later(self, issuance: Issuance, delay: timedelta, *, turn: str = "") -> None:
        """Enqueue the job; one for each state, so that the job that runs can enqueue the next."""
        enqueue(
            self._unit.connection,
            APP_TABLES,
            ASK_AGAIN,
            {"account_id": issuance.account_id, "issuance_id": issuance.id},
            queue=ASK_QUEUE,
            key=f"ask:{issuance.id}:{issuance.version}:{turn}",
            delay=delay,
        )
