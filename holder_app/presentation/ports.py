"""What the use cases of presentations need: where paused ones are kept, and the rest of the wallet."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from holder_app.accounts.ports import AccountId
from holder_app.credentials.ports import Cards, History
from holder_app.ports import Fetch
from holder_app.presentation.states import Presentation, PresentationState
from wallet_core.catalogue import Catalogue
from wallet_core.ports import Clock, UnitOfWork
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.trust.policy import IssuerPolicy
from wallet_core.types import RandomBytes


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
        """Remove presentations whose time is over, up to a limit, and return how many."""
        ...


@dataclass(frozen=True, slots=True)
class PresentationPorts:
    """What the use cases of this package need.

    ``issuer`` is this wallet's own identifier, an accepted ``aud``; ``issuers`` whom it trusts to issue;
    ``post_errors`` what verifiers are told besides answers; ``haip`` whether only requests of the high-assurance
    profile are taken.
    """

    unit: UnitOfWork
    presentations: Presentations
    cards: Cards
    history: History
    catalogue: Catalogue
    anchors: TrustAnchors
    fetch: Fetch
    clock: Clock
    random: RandomBytes
    issuer: str
    issuers: IssuerPolicy
    post_errors: ErrorPosting = ErrorPosting.DECLINED
    haip: bool = False
