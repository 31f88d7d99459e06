"""Where paused presentations are kept."""

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from holder_app.accounts.ports import AccountId
from holder_app.presentation.states import Presentation, PresentationState


class ErrorPosting(StrEnum):
    """What verifiers are told besides answers, and always after the person acted (OpenID4VP 15.1, protocols.md M27)."""

    NEVER = "never"
    DECLINED = "declined"
    ALL = "all"


class Presentations(Protocol):
    """Keeps presentations between two steps, sealed."""

    def add(self, presentation: Presentation) -> None:
        """Store a new presentation."""
        ...

    def get(self, account_id: AccountId, presentation_id: str) -> Presentation | None:
        """Return the presentation if it is the account's."""
        ...

    def advance(self, presentation: Presentation, state: PresentationState) -> Presentation:
        """Store its next state. Raises ``StateConflict`` if somebody else moved it since it was read."""
        ...

    def forget_expired(self, now: datetime) -> int:
        """Remove presentations whose time is over and return how many."""
        ...
