"""What the use cases of every app need from outside, as Protocols; ``adapters`` fulfil them."""

from datetime import datetime
from types import TracebackType
from typing import Protocol, Self


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


class Seal(Protocol):
    """Encrypts what must not lie in the clear, bound to where it belongs."""

    def seal(self, data: bytes, context: str) -> bytes:
        """Return ``data`` sealed for ``context``."""
        ...

    def open(self, sealed: bytes, context: str) -> bytes:
        """Return what was sealed for ``context``. Raises ``KeyUnavailable``."""
        ...
