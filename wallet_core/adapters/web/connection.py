"""uvicorn's protocol, with answers that leave in one packet and clients that cannot wait or send without end."""

import asyncio
import math
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS: Final = 30
"""From the first byte of a request until its head must be there."""

BODY_SECONDS: Final = 60
"""Between two parts of a body."""

WATCH_SECONDS: Final = 5
"""Between two looks at the time."""

MAX_HEAD_BYTES: Final = 64 * 1024
"""Bytes of a head after which no more of it is read; what had come by then is taken."""

_HEAD_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: application/json\r\n"
    b"content-length: 89\r\n"
    b"connection: close\r\n\r\n"
    b'{"error":"request_too_large","error_description":"the head of the request is too large"}\n'
)


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
    """One connection of a client, who may be slow but not for ever: uvicorn alone would wait and read without end.

    A request's head must be there after :data:`HEAD_SECONDS`, and its body must not stop for :data:`BODY_SECONDS`.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """Begin."""
        super().connection_made(cast("asyncio.Transport", JoiningTransport(transport, self.loop)))
        self._is_in_head, self._head_bytes = True, 0
        # A proxy may open connections before it needs them: they rest as long as those that were used.
        self._deadline = self.loop.time() + self.timeout_keep_alive
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._watcher.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if not self._is_in_head:
            self._deadline = self.loop.time() + BODY_SECONDS
        elif self._head_bytes > MAX_HEAD_BYTES:
            self.transport.write(_HEAD_TOO_LARGE)
            self.transport.close()
            return
        else:
            if not self._head_bytes:
                self._deadline = self.loop.time() + HEAD_SECONDS
            self._head_bytes += len(data)
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Begin to answer a request whose head is there."""
        self._is_in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Let the app take its time with a request that is there, and the client with the next one (keep-alive)."""
        self._is_in_head, self._head_bytes, self._deadline = True, 0, math.inf
        super().on_message_complete()

    def _watch(self) -> None:
        if self.loop.time() > self._deadline:
            self.transport.abort()
            return
        self._watcher = self.loop.call_later(WATCH_SECONDS, self._watch)
