"""Paused issuances in the database."""

from dataclasses import replace
from datetime import datetime

from holder_app.accounts.ports import AccountId
from holder_app.flow_tables import SealedFlows
from holder_app.issuance.states import Issuance, IssuanceState, kind_of, state_from_json, state_to_json
from holder_app.issuance.tables import IssuanceRow
from holder_app.tables import table_of
from wallet_core.adapters.keystore import Sealer
from wallet_core.adapters.sql import UnitOfWork


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

    def advance(self, issuance: Issuance, state: IssuanceState, *, until: datetime | None = None) -> Issuance:
        """Store its next state, kept until then. Raises ``StateConflict`` if somebody else moved it meanwhile."""
        ends, body = until or issuance.expires_at, state_to_json(state)
        version = self._flows.advance(issuance.id, issuance.account_id, issuance.version, kind_of(state), body, ends)
        return replace(issuance, state=state, version=version, expires_at=ends)

    def forget_expired(self, now: datetime) -> int:
        """Remove issuances whose time is over and return how many."""
        return self._flows.forget_expired(now)
