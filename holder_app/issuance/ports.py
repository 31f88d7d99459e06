"""Where paused issuances and logins under way are kept, and what asks again later."""

from collections.abc import Sequence
from datetime import datetime, timedelta
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

    def unfinished(self, account_id: AccountId) -> Sequence[Issuance]:
        """Return the account's issuances whose offer is used up and whose cards are not all in the wallet."""
        ...

    def advance(self, issuance: Issuance, state: IssuanceState, *, until: datetime | None = None) -> Issuance:
        """Store its next state, kept until then. Raises ``StateConflict`` if somebody else moved it meanwhile."""
        ...

    def forget_expired(self, now: datetime) -> int:
        """Remove issuances whose time is over, up to a limit, and return how many."""
        ...


class Logins(Protocol):
    """Remembers which browser went to log in for which issuance: ``state`` of the authorization request."""

    def add(
        self, digest: bytes, account_id: AccountId, issuance_id: str, session: bytes, *, expires_at: datetime
    ) -> None:
        """Remember the digest of a new ``state``, and of the browser's session."""
        ...

    def spend(self, digest: bytes, account_id: AccountId, session: bytes, now: datetime) -> str | None:
        """Forget it, and return the issuance: once, for the same browser, in time. None otherwise."""
        ...

    def forget_expired(self, now: datetime) -> int:
        """Remove those whose time is over, up to a limit, and return how many."""
        ...


class Reminders(Protocol):
    """Durable: asks an issuer again when it said one should."""

    def ask_later(self, issuance: Issuance, delay: timedelta, *, turn: str = "") -> None:
        """Have :func:`waiting.ask_again` called for this issuance, in the caller's transaction; once for each turn."""
        ...
