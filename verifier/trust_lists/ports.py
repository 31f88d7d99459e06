"""What the use cases of trust lists need."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from wallet_core.ports import Clock, UnitOfWork
from wallet_core.trust.policy import IssuerPolicy
from wallet_core.trust.trust_list import KnownList


@dataclass(frozen=True, slots=True)
class StoredTrustList:
    """The last good list of one source.

    Attributes:
        text: as it was signed.
        known: its sequence number and digest.
        accepted_at: when it was verified last.
        tried_at: when it was asked for last.
        problem: why the last try brought nothing; empty if it did.
    """

    text: str
    known: KnownList
    accepted_at: datetime
    tried_at: datetime
    problem: str


class TrustLists(Protocol):
    """The last good list of each source."""

    def find(self, source: str) -> StoredTrustList | None:
        """Return the last good list of ``source``."""
        ...

    def keep(self, source: str, text: str, known: KnownList, *, now: datetime) -> None:
        """Store a list that was verified. One of a lower sequence number changes nothing, whoever comes last."""
        ...

    def note_problem(self, source: str, problem: str, *, now: datetime) -> None:
        """Remember that a try brought nothing. Nothing happens where there is no list yet."""
        ...


@dataclass(frozen=True, slots=True)
class TrustStorage:
    """One transaction and the lists in it."""

    unit: UnitOfWork
    lists: TrustLists


@dataclass(frozen=True, slots=True)
class TrustPorts:
    """Everything the use cases of trust lists need.

    Attributes:
        by_hand: what the files of the settings permit.
        source: file or URL of the list; None if none is used.
        grace: how long a list still counts after its ``next_update``.
        read: returns the text behind a source. Raises ``FetchError`` or ``StorageError``.
        reading: opens a unit that only reads.
        clock: tells the time.
    """

    by_hand: IssuerPolicy
    source: str | None
    grace: timedelta
    read: Callable[[str], str]
    reading: Callable[[], TrustStorage]
    clock: Clock
