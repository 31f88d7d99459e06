"""Paused presentations in the database."""

from dataclasses import replace
from datetime import datetime

from holder_app.accounts.ports import AccountId
from holder_app.flow_tables import SealedFlows
from holder_app.presentation.states import Presentation, PresentationState, kind_of, state_from_json, state_to_json
from holder_app.presentation.tables import PresentationRow
from holder_app.tables import table_of
from wallet_core.adapters.keystore import Sealer
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.types import JsonObject

_SAME_DEVICE = "same_device"


class SqlPresentations:
    """Fulfils ``presentation.ports.Presentations`` within a unit of work."""

    def __init__(self, unit: UnitOfWork, sealer: Sealer) -> None:
        self._flows = SealedFlows(unit, sealer, table_of(PresentationRow))

    def add(self, presentation: Presentation) -> None:
        """Store a new presentation."""
        kind = kind_of(presentation.state)
        body = _body(presentation.state, same_device=presentation.same_device)
        self._flows.insert(presentation.id, presentation.account_id, kind, body, presentation.expires_at)

    def get(self, account_id: AccountId, presentation_id: str) -> Presentation | None:
        """Return the presentation if it is the account's."""
        found = self._flows.find(account_id, presentation_id)
        if found is None:
            return None
        row, body = found
        state = state_from_json(row.kind, body)
        return Presentation(row.id, account_id, row.version, state, body.get(_SAME_DEVICE) is True, row.expires_at)

    def advance(self, presentation: Presentation, state: PresentationState) -> Presentation:
        """Store its next state. Raises ``StateConflict`` if somebody else moved it since it was read."""
        version = self._flows.advance(
            presentation.id,
            presentation.account_id,
            presentation.version,
            kind_of(state),
            _body(state, same_device=presentation.same_device),
            presentation.expires_at,
        )
        return replace(presentation, state=state, version=version)

    def forget_expired(self, now: datetime) -> int:
        """Remove presentations whose time is over, up to a limit, and return how many."""
        return self._flows.forget_expired(now)


def _body(state: PresentationState, *, same_device: bool) -> JsonObject:
    return {**state_to_json(state), _SAME_DEVICE: same_device}
