"""uvicorn's protocol, with answers that leave in one packet."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class JoiningTransport:
    """A transport that sends what one turn of the event loop writes at its end, in one go.

    uvicorn writes the head of an answer and then its body: two calls of the kernel and two packets, and a wallet far
    away must wait for both. Sent at the end of a turn, the answers of a cohort also leave one right after the other
    (decision 0115).
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._call_soon = loop.call_soon
        self._parts: list[bytes] = []
        # uvicorn asks with every answer.
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Send ``data`` when this turn ends."""
        self._parts.append(data)
        if len(self._parts) == 1:
            self._call_soon(self._send)

    def close(self) -> None:
        """Close the connection once everything is sent."""
        self._send()
        self._transport.close()

    def _send(self) -> None:
        parts, self._parts = self._parts, []
        if parts and not self.is_closing():
            self._transport.write(b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        """Be the transport in everything else."""
        return getattr(self._transport, name)


class Connection(HttpToolsProtocol):
    """One connection of a client."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """Begin."""
        super().connection_made(cast("asyncio.Transport", JoiningTransport(transport, self.loop)))
