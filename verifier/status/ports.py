"""What the use cases of status need."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from wallet_core.http import Flow
from wallet_core.ports import UnitOfWork

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoredList:
    """A Status List Token as it was fetched. It was verified then, and is verified again by whoever reads it."""

    uri: str
    media_type: str
    token: bytes
    fetched_at: datetime


class StoredLists(Protocol):
    """The lists that one of our workers has fetched, for all of them."""

    def find(self, uri: str, media_type: str) -> StoredList | None:
        """Return the newest copy of a list."""
        ...

    def put(self, stored: StoredList) -> None:
        """Keep a copy instead of an older one."""
        ...

    def delete_old(self, *, before: datetime, limit: int) -> int:
        """Delete up to ``limit`` copies fetched before a time, and return how many."""
        ...


@dataclass(frozen=True, slots=True)
class StatusStorage:
    """One transaction and what can be done in it."""

    unit: UnitOfWork
    lists: StoredLists


class RunFlow(Protocol):
    """Drives a flow over the network."""

    async def arun(self, flow: Flow[T]) -> T:
        """Return what the flow returns. Raises ``FetchError``."""
        ...


StorageFactory = Callable[[], StatusStorage]
