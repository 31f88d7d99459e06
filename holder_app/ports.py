"""What every feature of the wallet needs from outside, as Protocols."""

from datetime import timedelta
from typing import Final, Protocol, TypeVar

from wallet_core.http import Flow

T = TypeVar("T")

UNDER_WAY: Final = timedelta(minutes=2)
"""For how long somebody counts as talking with an issuer: up to ten requests, each with the client's time limit.

Metadata, challenge, token, nonce and every card are asked for in turn, and some of them twice. Whoever began earlier
would spend what works once, a code or a refresh token, while the other one's answer could not be stored any more.
"""


class Fetch(Protocol):
    """Runs the requests of a flow over a real client, or over a script in a test."""

    async def arun(self, flow: Flow[T]) -> T:
        """Return what the flow returns. Raises ``FetchError`` if a server cannot be reached or breaks a limit."""
        ...
