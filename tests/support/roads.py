"""A wallet's two ways out: to an agency in memory, and over real connections to everybody else."""

from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from tests.support.wallets import Network
from wallet_core.http import Flow, HttpRequest


class RunFlow(Protocol):
    """Runs flows over real connections."""

    async def arun(self, flow: Flow[Any]) -> Any:
        """Drive a flow."""
        ...


@dataclass
class Roads:
    """A ``Fetch`` port that looks where the first request of a flow goes."""

    network: Network
    outside: RunFlow

    async def arun(self, flow: Flow[Any]) -> Any:
        """Drive a flow."""
        request = next(flow)
        known = urlsplit(request.url).hostname in self.network.hosts
        return await (self.network if known else self.outside).arun(_again(request, flow))


def _again(first: HttpRequest, flow: Flow[Any]) -> Flow[Any]:
    """The same flow, whose first request was looked at already."""
    request = first
    try:
        while True:
            request = flow.send((yield request))
    except StopIteration as stop:
        return stop.value
