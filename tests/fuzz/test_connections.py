"""Requests sent ahead, cut anywhere, the last one perhaps broken: each whole one is answered, in its turn."""

import itertools
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.serving import serving
from wallet_core.adapters.web.connection import Connection

HEAD = b"POST /%b HTTP/1.1\r\nHost: x\r\n"
UPGRADES = [
    b"",
    b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n",
]
# What looks like a request stands in a body too.
BODIES = [b"", b"GET / HTTP/1.1\r\nHost: y\r\n\r\n", bytes(range(256)) * 12, b"large" * 20_000]
BROKEN = [
    b"",
    b"\1\r\n\r\n",
    b"GET / HT",
    b"GET / HTTP/1.1\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    HEAD % b"echo" + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\nzz\r\n",
    HEAD % b"echo" + b"Transfer-Encoding: unknown\r\n\r\n",
    HEAD % b"echo" + b"Content-Length: 9\r\n\r\nab",
]
WHOLE = st.tuples(st.sampled_from([b"echo", b"early", b"slow"]), st.sampled_from(BODIES), st.sampled_from(UPGRADES))


async def _app(scope: Any, receive: Any, send: Any) -> None:
    body, more = b"", scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message.get("body", b""), message.get("more_body", False)
    if scope["path"] == "/slow":
        threading.Event().wait(0.001)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """The port of a server that sends back what it was sent, or nothing where it does not look."""
    with serving(_app, http=Connection, loop="uvloop") as found:
        yield found


def _on_the_wire(path: bytes, body: bytes, upgrade: bytes, chunk: int) -> bytes:
    head = HEAD % path + upgrade
    if chunk == 0:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    parts = [body[at : at + chunk] for at in range(0, len(body), chunk)]
    chunks = b"".join(b"%x;a=b\r\n%b\r\n" % (len(part), part) for part in parts)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nTrailer: x\r\n\r\n"


def _answers(sent: bytes) -> list[tuple[bytes, bytes]]:
    """Return status and body of each answer."""
    found = []
    while sent:
        head, _, rest = sent.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        found.append((head[9:12], rest[:length]))
        sent = rest[length:]
    return found


def _exchange(port: int, parts: Sequence[bytes]) -> bytes:
    """Send the parts and no more, and return all that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        came: list[bytes] = []

        def read() -> None:
            with suppress(ConnectionError):
                while piece := client.recv(1 << 20):
                    came.append(piece)

        reader = threading.Thread(target=read)
        reader.start()
        with suppress(OSError):  # what was refused is closed, and nobody reads on
            for part in parts:
                client.sendall(part)
                time.sleep(0.0005)
            client.shutdown(socket.SHUT_WR)
        reader.join()
        return b"".join(came)


@given(
    requests=st.lists(st.tuples(WHOLE, st.sampled_from([0, 1000, 70_000])), max_size=6),
    broken=st.sampled_from(BROKEN),
    cuts=st.lists(st.integers(0, 400_000), max_size=4),
)
def test_every_whole_request_is_answered_in_its_turn(
    port: int, requests: list[tuple[tuple[bytes, bytes, bytes], int]], broken: bytes, cuts: list[int]
) -> None:
    sent = b"".join(_on_the_wire(*one, chunk) for one, chunk in requests) + broken
    at = [0, *sorted(cut % (len(sent) + 1) for cut in cuts), len(sent)]
    answers = _answers(_exchange(port, [sent[a:b] for a, b in itertools.pairwise(at)]))
    wanted = [(b"200", b"" if path == b"early" else body) for (path, body, _), _ in requests]
    assert answers[: len(wanted)] == wanted
    assert [status for status, _ in answers[len(wanted) :]] in ([], [b"400"])
