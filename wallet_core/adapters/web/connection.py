"""uvicorn's protocol, with answers that leave in one packet and clients that cannot wait or send without end."""

import asyncio
import math
import re
from typing import Any, Final, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from wallet_core.encoding import strict_json

HEAD_SECONDS: Final = 30
"""From the first byte of a request until its head must be there."""

BODY_SECONDS: Final = 60
"""Between a head and its body, between two parts of a body, and between two that the client reads of an answer."""

BODY_RATE: Final = 1000
"""Bytes of a body in a second, in the long run: whoever sends fewer has :data:`BODY_SECONDS` for all of it."""

WATCH_SECONDS: Final = 5
"""Between two looks at the time."""

MAX_HEAD_BYTES: Final = 64 * 1024
"""Bytes of a head, or of what stands between the parts of a body and after it (chunks' extensions, trailers), after
which no more is read; what had come by then is taken."""

MAX_HEADERS: Final = 128
"""Lines of a head, and of trailers: the shortest take thirty times their bytes, for as long as the connection rests."""

MAX_WAITING: Final = 16
"""Requests that may be sent ahead while one is answered."""

MAX_PARTS: Final = 16
"""Writes of one turn that are joined: whoever writes more without waiting has to meet a full buffer."""

_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")
"""RFC 9112 3.2, RFC 3986 3.2.2: a name or address, and perhaps a port; empty where the target has none."""


def _refusal(status: bytes, error: str, description: str) -> bytes:
    body = strict_json.dumps({"error": error, "error_description": description})
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return head % (status, len(body)) + body


_UNREADABLE: Final = _refusal(b"400 Bad Request", "invalid_request", "the request cannot be read")
_NO_PROXY: Final = _refusal(b"400 Bad Request", "invalid_request", "CONNECT is for proxies")
_HEAD_TOO_LARGE: Final = _refusal(
    b"431 Request Header Fields Too Large", "request_too_large", "the head of the request is too large"
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
        elif len(self._parts) == MAX_PARTS:
            self._send()

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


async def _refuse_in_turn(_scope: Scope, _receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


class Connection(HttpToolsProtocol):
    """One connection of a client, who may be slow but must come on: uvicorn alone would wait and read without end.

    A request's head must be there after :data:`HEAD_SECONDS`; a body, and a client that reads its answer, must not stop
    for :data:`BODY_SECONDS`. Relies on ``ws="none"``: a connection stays ours.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """Begin."""
        super().connection_made(cast("asyncio.Transport", JoiningTransport(transport, self.loop)))
        self._bytes_beside_bodies = self._unsent = 0
        self._read_on_at = now = self.loop.time()
        # A proxy may open connections before it needs them: they rest as long as those that were used.
        self._deadline = now + self.timeout_keep_alive
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._watcher.cancel()
        self._unset_keepalive_if_required()  # uvicorn leaves it where the connection was reset, and with it all of this
        super().connection_lost(exc)

    @property
    def _last(self) -> RequestResponseCycle | None:
        """The last request whose head was read; None before the first."""
        return cast("RequestResponseCycle | None", self.cycle)

    def eof_received(self) -> bool:  # type: ignore[override]  # as asyncio declares it
        """Answer also whoever has sent all and says so; over TLS, asyncio closes in any case."""
        last = self._last
        is_due = last and not last.response_complete and not (last.more_body and not self.pipeline)
        if not is_due or self.scheme == "https":
            self.transport.close()  # what this turn wrote leaves first
            return False
        self._end_in_turn()
        return True

    def data_received(self, data: bytes) -> None:
        """Read on."""
        if self._bytes_beside_bodies > MAX_HEAD_BYTES:
            self._refuse(_HEAD_TOO_LARGE)
            return
        self._bytes_beside_bodies += len(data)
        if self._deadline == math.inf and self.cycle.response_complete:
            # Whatever came, uvicorn no longer looks at the time: an empty line before a request begins nothing.
            self._deadline = self.loop.time() + HEAD_SECONDS
        self._unset_keepalive_if_required()
        self._parse(data)

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except HttpParserError:
            self._refuse(_UNREADABLE)
        except HttpParserUpgrade as exc:
            if self.scope["method"] == "CONNECT":
                self._refuse(_NO_PROXY)
            else:
                self._parse(self._without_upgrade(data[exc.args[0] :]))

    def _should_upgrade(self) -> bool:
        """Say yes, so that uvicorn leaves alone a request that asks for another protocol: it is read again."""
        return True

    def _without_upgrade(self, rest: bytes) -> bytes:
        """Return the request whose head was read as one that asks for no other protocol (RFC 9110 7.8), and ``rest``.

        The parser ended it after its head: what follows would be taken for the next request, and is its body. Clients
        of Java and ``curl --http2`` ask so with each request over http.
        """
        head = [b"%b %b HTTP/%b" % (self.scope["method"].encode(), self.url, self.parser.get_http_version().encode())]
        head += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        # One that asks to close as well (or HTTP/1.0) was the last for that parser: it swallows what follows.
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn sets its own
        return b"\r\n".join([*head, b"", rest])

    def _refuse(self, refusal: bytes) -> None:
        """End with a refusal where the next answer may be one; else with the last answer that is due.

        A refusal must not stand in an answer that is on its way, nor in the place of one to a request that is whole.
        """
        last = self._last
        is_read_alone = last is not None and last.more_body and not self.pipeline
        is_begun = last is not None and last.response_started
        if last is None or (last.response_complete and not last.more_body) or (is_read_alone and not is_begun):
            self.transport.write(refusal)
            self.transport.close()
        elif is_read_alone:
            self.transport.close()
        else:
            self._end_in_turn()
            self.flow.pause_reading()

    def _end_in_turn(self) -> None:
        """Answer those that are due, and no more; the last is refused if it waits and never will be whole."""
        if self.cycle.more_body:
            self.pipeline[0] = (self.cycle, _refuse_in_turn)
        self.cycle.keep_alive = False

    def on_message_begin(self) -> None:
        """Begin to read a head."""
        self._deadline = self.loop.time() + HEAD_SECONDS
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Read a line of a head, or a trailer."""
        if len(self.headers) >= MAX_HEADERS:
            raise ValueError("the request has too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer a request whose head is there."""
        self._bytes_beside_bodies = 0
        self._deadline = self.loop.time() + BODY_SECONDS
        is_old = self.parser.get_http_version() == "1.0"
        hosts = [value.strip(b" \t") for name, value in self.headers if name == b"host"]
        # RFC 9112 3.2: "MUST respond with a 400 (Bad Request)" to none, to several, and to one that is no host.
        if (hosts or not is_old) and (len(hosts) != 1 or not _HOST.fullmatch(hosts[0])):
            raise ValueError("the request does not name one host")
        if is_old:  # RFC 9110 10.1.1: it "MUST ignore that expectation"
            self.expect_100_continue = False
        if len(self.pipeline) >= MAX_WAITING:
            raise ValueError("too many requests were sent ahead")
        super().on_headers_complete()
        if self.parser.should_upgrade():  # it is read again
            return
        # The request has its own list; what comes now are trailers, which RFC 9110 6.5.1 forbids to merge into it.
        self.headers = []
        self._keeps_after_body = self.expect_100_continue and self.cycle.keep_alive
        if self.expect_100_continue:
            # Whoever hears the answer instead of "go on" sends no body: what comes next would be taken for it.
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Read a part of a body. The rest of one that was answered already gets no more time."""
        self._bytes_beside_bodies = 0
        if not self.cycle.response_complete:
            self._deadline = min(self._deadline + len(body) / BODY_RATE, self.loop.time() + BODY_SECONDS)
        self._note_body()
        super().on_body(body)

    def _note_body(self) -> None:
        if self._keeps_after_body and not self.cycle.response_started:
            # It does not hear the answer instead.
            self._keeps_after_body, self.cycle.keep_alive = False, True

    def shutdown(self) -> None:
        """End with the answer that is due."""
        self._keeps_after_body = False
        super().shutdown()

    def on_message_complete(self) -> None:
        """Let the app take its time with a request that is there, and the client with the next one (keep-alive)."""
        self._bytes_beside_bodies = 0
        if self.parser.should_upgrade():  # it is read again
            return
        # Where the answer came first, nobody else looks at the time any more.
        self._deadline = self.loop.time() + self.timeout_keep_alive if self.cycle.response_complete else math.inf
        self._note_body()
        super().on_message_complete()
        self.cycle.more_body = False  # also where the answer came first

    def _watch(self) -> None:
        now, unsent = self.loop.time(), self.transport.get_write_buffer_size()
        last = self._last
        is_due = last and not last.response_complete and (last.waiting_for_100_continue or not last.more_body)
        # It is us who do not read, answer or say "go on", or the client who reads.
        if self.flow.read_paused or unsent or is_due:
            self._deadline = max(self._deadline, now + BODY_SECONDS)
        if unsent == 0 or unsent < self._unsent:
            self._read_on_at = now
        self._unsent = unsent
        if now > self._deadline or now - self._read_on_at > BODY_SECONDS:
            self.transport.abort()
            return
        self._watcher = self.loop.call_later(WATCH_SECONDS, self._watch)
