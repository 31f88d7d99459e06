"""What every feature of the wallet needs from outside, as Protocols."""

from typing import Protocol, TypeVar

from wallet_core.http import Flow

T = TypeVar("T")


class Fetch(Protocol):
    """Runs the requests of a flow over a real client, or over a script in a test."""

    async def arun(self, flow: Flow[T]) -> T:
        """Return what the flow returns. Raises ``FetchError`` if a server cannot be reached or breaks a limit."""
        ...
