"""What every feature of the wallet needs from outside, as Protocols."""

from datetime import datetime
from types import TracebackType
from typing import Protocol, Self, TypeVar

from wallet_core.http import Flow

T = TypeVar("T")


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present time, aware, in UTC."""
        ...


class UnitOfWork(Protocol):
    """One transaction: ``with unit:`` begins it, commits at the end, and rolls back if the body raises."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> bool | None:
        """Commit, or roll back if ``error`` is given."""
        ...


class Fetch(Protocol):
    """Runs the requests of a flow over a real client, or over a script in a test."""

    async def arun(self, flow: Flow[T]) -> T:
        """Return what the flow returns. Raises ``FetchError`` if a server cannot be reached or breaks a limit."""
        ...
