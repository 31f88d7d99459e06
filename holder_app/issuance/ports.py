"""Where paused issuances are kept."""

from datetime import datetime
from typing import Protocol

from holder_app.accounts.ports import AccountId
from holder_app.issuance.states import Issuance, IssuanceState


class Issuances(Protocol):
    """Keeps issuances between two steps, sealed."""

    def add(self, issuance: Issuance) -> None:
        """Store a new issuance."""
        ...

    def get(self, account_id: AccountId, issuance_id: str) -> Issuance | None:
        """Return the issuance if it is the account's."""
        ...

    def advance(self, issuance: Issuance, state: IssuanceState, *, until: datetime | None = None) -> Issuance:
        """Store its next state, kept until then. Raises ``StateConflict`` if somebody else moved it meanwhile."""
        ...

    def forget_expired(self, now: datetime) -> int:
        """Remove issuances whose time is over and return how many."""
        ...
