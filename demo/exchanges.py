"""An HTTP client that remembers what went over the wire, for the story to tell, and for a replay to steal."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from wallet_core.adapters.http import HttpClient
from wallet_core.encoding import strict_json
from wallet_core.errors import FetchError, MalformedError
from wallet_core.http import Flow, HttpRequest, HttpResponse

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request with its answer, and how long the answer took in milliseconds."""

    request: HttpRequest
    response: HttpResponse
    milliseconds: float

    @property
    def error(self) -> str:
        """The ``error`` member of the answer; empty if there is none."""
        try:
            value = strict_json.loads_object(self.response.body).get("error", "")
        except MalformedError:
            return ""
        return value if isinstance(value, str) else ""


class RecordingClient:
    """Runs flows over real connections, as the wallet's and the verifier's own client does, and remembers.

    Args:
        watch: called before each request leaves, by tests that pull a plug at that moment.
        tls_roots: PEM file of the roots to trust instead of the system's.
    """

    def __init__(self, watch: Callable[[HttpRequest], None] | None = None, tls_roots: Path | None = None) -> None:
        self._client = HttpClient(allow_loopback=True, tls_roots=tls_roots)
        self._watch = watch or (lambda _request: None)
        self._instead: Callable[[HttpRequest], HttpResponse | None] = lambda _request: None
        self.exchanges: list[Exchange] = []
        self.interrupted = False
        """Whether a server was not reached, or failed, since the last :meth:`forget`."""

    def forget(self) -> None:
        """Start a new record."""
        self.exchanges = []
        self.interrupted = False

    @property
    def last(self) -> Exchange:
        """The latest exchange."""
        return self.exchanges[-1]

    def run(self, flow: Flow[T]) -> T:
        """Run ``flow``, blocking. Raises what it raises."""
        return self._client.run(self._recorded(flow))

    async def arun(self, flow: Flow[T]) -> T:
        """Run ``flow``. Raises what it raises."""
        return await self._client.arun(self._recorded(flow))

    @contextlib.contextmanager
    def answering(self, instead: Callable[[HttpRequest], HttpResponse | None]) -> Iterator[None]:
        """Answer in the place of the servers: where ``instead`` returns an answer, nothing leaves, or is remembered."""
        before, self._instead = self._instead, instead
        try:
            yield
        finally:
            self._instead = before

    def send(self, request: HttpRequest) -> HttpResponse:
        """Make one request. Raises ``FetchError``."""

        def once() -> Flow[HttpResponse]:
            return (yield request)

        return self.run(once())

    def _recorded(self, flow: Flow[T]) -> Flow[T]:
        try:
            request = next(flow)
            while True:
                if (forged := self._instead(request)) is not None:
                    request = flow.send(forged)
                    continue
                self._watch(request)
                start = time.perf_counter()
                try:
                    response = yield request
                except FetchError as exc:
                    self.interrupted = True
                    request = flow.throw(exc)
                    continue
                self.exchanges.append(Exchange(request, response, (time.perf_counter() - start) * 1000))
                self.interrupted |= response.status >= 500
                request = flow.send(response)
        except StopIteration as stop:
            result: T = stop.value
            return result
