"""What the use cases of status need from outside, in its own terms."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from issuer.agencies.ports import SigningKeys
from wallet_core.ports import Clock, UnitOfWork
from wallet_core.types import AgencyId, RandomBytes
from wallet_core.values import statically_frozen


@dataclass(frozen=True, slots=True)
class StatusListHead:
    """What is known of a list without its array.

    Attributes:
        agency_id: whose it is.
        number: the last part of its address.
        format: of the credentials it serves: formats never share a list, or an index would link copies.
        bits: bits of one status.
        size: how many places it has.
        version: counts its changes.
        created_at: when it was made, all valid.
    """

    agency_id: AgencyId
    number: int
    format: str
    bits: int
    size: int
    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredStatusList:
    """A list with its array, ready to be compressed and signed."""

    head: StatusListHead
    array: bytes


@statically_frozen
class StatusEntry:
    """The place of one credential."""

    agency_id: AgencyId
    number: int
    idx: int
    credential_id: str


@dataclass(frozen=True, slots=True)
class StatusChange:
    """That a place changed. ``credential_id`` is None for a decoy: a place that no credential has."""

    id: str
    agency_id: AgencyId
    number: int
    idx: int
    credential_id: str | None
    before: int
    after: int
    reason: str
    changed_by: str
    changed_at: datetime


class StatusLists(Protocol):
    """Every agency's lists, the places taken in them, and what changed."""

    def open_list(self, agency_id: AgencyId, credential_format: str) -> StatusListHead | None:
        """Return the list from which places are drawn, None if there is none."""
        ...

    def add(self, head: StatusListHead, array: bytes) -> bool:
        """Store a new list, open, and return whether its number was free."""
        ...

    def close(self, head: StatusListHead) -> None:
        """Draw no more places from a list."""
        ...

    def head(self, agency_id: AgencyId, number: int) -> StatusListHead | None:
        """Return what is known of a list, without its array."""
        ...

    def read(self, agency_id: AgencyId, number: int, *, to_change: bool = False) -> StoredStatusList | None:
        """Return a list; one ``to_change`` is locked until the transaction ends."""
        ...

    def write(self, head: StatusListHead, array: bytes) -> None:
        """Store a changed array. Raises ``StateConflict`` if the list changed since it was read."""
        ...

    def numbers(self, agency_id: AgencyId) -> Sequence[int]:
        """Return the numbers of an agency's lists, in order."""
        ...

    def taken(self, head: StatusListHead, indices: Collection[int]) -> frozenset[int]:
        """Return those of ``indices`` that a credential has."""
        ...

    def assign(self, entries: Iterable[StatusEntry]) -> None:
        """Give places to credentials. The transaction fails with ``StateConflict`` if one was taken meanwhile."""
        ...

    def entry(self, agency_id: AgencyId, credential_id: str) -> StatusEntry | None:
        """Return the place of a credential, None for one that was issued without."""
        ...

    def entries(self, agency_id: AgencyId, credential_ids: Collection[str]) -> Sequence[StatusEntry]:
        """Return the places of credentials; those that were issued without are left out."""
        ...

    def record(self, changes: Iterable[StatusChange]) -> None:
        """Keep what changed."""
        ...

    def history(self, agency_id: AgencyId, credential_id: str) -> Sequence[StatusChange]:
        """Return the changes of a credential, oldest first."""
        ...

    def changed_after(self, agency_id: AgencyId, number: int, time: datetime) -> Sequence[StatusChange]:
        """Return the changes of a list after ``time``, newest first."""
        ...


@dataclass(frozen=True, slots=True)
class StatusTerms:
    """How lists are made and published: the settings of the same names.

    Attributes:
        ttl: how long whoever fetched a list may keep it; a change is visible everywhere after that.
        life: how long after its signing a list may be relied on, where no fresh one can be had.
        list_size: places of a new list.
        history: whether a list of the past is handed out (Token Status List 8.4, 12.7).
        decoy_key: key of the MAC that says which places are decoys.
    """

    ttl: timedelta
    life: timedelta
    list_size: int
    history: bool
    decoy_key: bytes


@dataclass(frozen=True, slots=True)
class StatusStorage:
    """One transaction and what can be done in it."""

    unit: UnitOfWork
    lists: StatusLists


@dataclass(frozen=True, slots=True)
class StatusPorts:
    """Everything the use cases of status need.

    ``storage`` opens a unit that writes, ``reading`` one that only reads and waits for no writer,
    ``looking`` one for single statements that read.
    """

    storage: Callable[[], StatusStorage]
    reading: Callable[[], StatusStorage]
    looking: Callable[[], StatusStorage]
    keys: SigningKeys
    terms: StatusTerms
    clock: Clock
    random: RandomBytes
