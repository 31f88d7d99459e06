"""Answers leave in one packet, nothing that was written stays behind, and nobody is waited for without end."""

import asyncio
import contextlib
import gc
import json
import socket
import struct
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.serving import serving
from wallet_core.adapters.web import connection
from wallet_core.adapters.web.connection import Connection, JoiningTransport


class _Transport:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str) -> str:
        return f"the {name}"


@pytest.fixture
def inner() -> Any:
    return _Transport()


def test_what_one_turn_writes_is_sent_in_one_go_at_its_end(inner: Any) -> None:
    async def turns() -> None:
        joining = JoiningTransport(inner, asyncio.get_running_loop())
        joining.write(b"head ")
        joining.write(b"body")
        assert inner.sent == []
        await asyncio.sleep(0)
        assert inner.sent == [b"head body"]
        joining.write(b"head alone")
        await asyncio.sleep(0)

    asyncio.run(turns())
    assert inner.sent == [b"head body", b"head alone"]


def test_a_connection_is_closed_after_what_was_written_to_it(inner: Any) -> None:
    async def turns() -> None:
        joining = JoiningTransport(inner, asyncio.get_running_loop())
        joining.write(b"last words")
        joining.close()
        assert (inner.sent, inner.closed) == ([b"last words"], True)
        joining.write(b"too late")
        await asyncio.sleep(0)

    asyncio.run(turns())
    assert inner.sent == [b"last words"]


def test_it_is_the_transport_in_everything_else(inner: Any) -> None:
    async def asked() -> str:
        return str(JoiningTransport(inner, asyncio.get_running_loop()).get_extra_info("peername"))

    assert asyncio.run(asked()) == "the peername"


LARGE = b"x" * 8_000_000
WRITTEN: list[int] = []
"""Parts of the answers that have no end."""


async def _app(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    if scope["path"] == "/large":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8000000")]})
        await send({"type": "http.response.body", "body": LARGE})
        return
    if scope["path"] == "/endless":
        WRITTEN.append(0)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while WRITTEN[-1] < 4000:
            await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
            WRITTEN[-1] += 1
        return
    if scope["path"] == "/slow":
        await asyncio.sleep(0.6)
    body, more = b"", scope["path"] != "/early"
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if scope["path"] == "/read-and-slow":
        await asyncio.sleep(0.3)
    told = {"/echo": body, "/headers": b" ".join(name for name, _ in scope["headers"])}
    answer = told.get(scope["path"], b"hello")
    length = (b"content-length", b"%d" % len(answer))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": answer})


def _spoken(port: int, *requests: bytes) -> list[bytes]:
    """Return what came in one piece after each request on one connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        pieces = []
        for request in requests:
            client.sendall(request)
            pieces.append(client.recv(65_536))
        return pieces


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a server that says hello once it has the whole request."""
    with serving(_app, http=Connection, timeout_keep_alive=1) as found:
        yield found


HOST = b" / HTTP/1.1\r\nHost: x\r\n"


def test_a_server_answers_get_head_expectation_and_close_with_one_packet_each(port: int) -> None:
    got, head, waiting, answered = _spoken(
        port,
        b"GET" + HOST + b"\r\n",
        b"HEAD" + HOST + b"\r\n",
        b"POST" + HOST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n",
        b"ok",
    )
    (closing,) = _spoken(port, b"GET" + HOST + b"Connection: close\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert got.endswith(b"\r\n\r\nhello")
    assert head.endswith(b"\r\n\r\n")
    assert waiting == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answered.endswith(b"hello")
    assert closing.endswith(b"hello")
    assert b"connection: close" not in answered


def test_who_hears_an_answer_instead_of_go_on_is_left(port: int) -> None:
    """What it sends next would be taken for the body that it was to send."""
    head = b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    (answer,) = _everything(port, head)
    assert b"connection: close" in answer
    # RFC 9110 10.1.1: HTTP/1.0 knows no 100.
    (answer,) = _everything(port, b"POST / HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", b"ok")
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_head_without_end_is_refused_and_a_large_body_is_not(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"POST" + HOST + b"Content-Length: 300000\r\n\r\n" + b"x" * 300_000)
        assert client.recv(65_536).endswith(b"hello")
        client.sendall(b"GET" + HOST)
        answer = b""
        while not answer:
            client.sendall(b"X: " + b"a" * 20_000 + b"\r\n")
            client.settimeout(0.05)
            with contextlib.suppress(TimeoutError):
                answer = client.recv(65_536)
        head, body = answer.split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert f"content-length: {len(body)}".encode() in head
    assert json.loads(body)["error"] == "request_too_large"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("HEAD_SECONDS", 0.2), ("BODY_SECONDS", 0.2), ("WATCH_SECONDS", 0.02)):
        monkeypatch.setattr(connection, name, value)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"", b""),
        (b"GET" + HOST, b"X: y\r\n"),
        (b"GET" + HOST + b"\r\nGET" + HOST, b"X: y\r\n"),
        (b"GET" + HOST + b"\r\n", b"\r\n"),
        (b"POST" + HOST + b"Content-Length: 9\r\n\r\nx", b""),
        (b"POST" + HOST + b"Content-Length: 999\r\n\r\n", b"x"),
        (b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n", b"x"),
        (b"POST" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
    ],
)
def test_a_client_that_does_not_come_to_an_end_is_left(port: int, first: bytes, drop: bytes) -> None:
    """It sends nothing, a head bit by bit, the same after a whole request, empty lines after one, half a body, a
    body bit by bit, the same after its answer, or trailers without end."""
    with socket.create_connection(("127.0.0.1", port), timeout=0.05) as client:
        client.sendall(first)
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 5:
                client.sendall(drop)
                with contextlib.suppress(TimeoutError):
                    if not client.recv(65_536):
                        break
        assert time.monotonic() - began < 4


def test_trailers_without_end_are_refused(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"POST" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while time.monotonic() - began < 5:
                client.sendall(b"X: " + b"a" * 20_000 + b"\r\n")
                time.sleep(0.01)
        assert time.monotonic() - began < 4


def _is_closed(client: socket.socket) -> bool:
    """Whether the other side closes before the time that ``client`` waits is over."""
    try:
        while client.recv(65_536):
            pass
    except TimeoutError:
        return False
    except ConnectionError:
        return True
    return True


@pytest.mark.usefixtures("impatient")
def test_a_body_that_comes_after_its_answer_leaves_no_connection_behind(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        assert client.recv(65_536).endswith(b"hello")
        time.sleep(0.05)
        client.sendall(b"ok")
        assert _is_closed(client)


@pytest.mark.usefixtures("impatient")
def test_a_client_that_does_not_read_its_answer_is_left(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(1)
        read = 0
        with contextlib.suppress(ConnectionError):
            while part := client.recv(65_536):
                read += len(part)
        assert read < len(LARGE)


@pytest.mark.usefixtures("impatient")
def test_an_answer_that_takes_its_time_is_waited_for(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(65_536).endswith(b"hello")
        # Of a large body not all is read before the app asks for it: that is our time, not the client's.
        client.sendall(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000)
        assert client.recv(65_536).endswith(b"hello")


def test_requests_sent_ahead_are_some_and_not_many(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall((b"GET" + HOST + b"\r\n") * 10)
        answers = b""
        while answers.count(b"hello") < 10:
            answers += client.recv(65_536)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall((b"GET" + HOST + b"\r\n") * 2000)
        assert _is_closed(client)


@pytest.mark.usefixtures("impatient")
def test_a_slow_body_and_a_rest_between_requests_are_waited_for(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BODY_RATE", 5)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"POST" + HOST + b"Content-Length: 6\r\n\r\n")
        for _ in range(6):
            time.sleep(0.1)
            client.sendall(b"x")
        assert client.recv(65_536).endswith(b"hello")
        time.sleep(0.5)
        client.sendall(b"GET" + HOST + b"\r\n")
        assert client.recv(65_536).endswith(b"hello")


SLOW = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
READ_AND_SLOW = b"GET /read-and-slow HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
OTHER = b"GET /other HTTP/1.1\r\nHost: x\r\n\r\n"


def _everything(port: int, *parts: bytes) -> list[bytes]:
    """Send the parts, wait a moment after each, and return all answers until the other side rests."""
    with socket.create_connection(("127.0.0.1", port), timeout=0.5) as client:
        answers = b""
        for part in parts:
            client.sendall(part)
            time.sleep(0.1)
        with contextlib.suppress(TimeoutError, ConnectionError):
            while piece := client.recv(65_536):
                answers += piece
    return [b"HTTP/1.1 " + each for each in answers.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("chunked", [False, True])
def test_the_body_of_a_request_that_asks_for_another_protocol_is_no_request(port: int, *, chunked: bool) -> None:
    length = b"Transfer-Encoding: chunked\r\n" if chunked else b"Content-Length: %d\r\n" % len(OTHER)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(OTHER), OTHER) if chunked else OTHER
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\n" + UPGRADE + length + b"\r\n"
    for parts in ((head, body), (head + body,), (head[:20], head[20:] + body[:5], body[5:])):
        (answer,) = _everything(port, *parts)
        assert answer.endswith(OTHER)
    # What is sent ahead behind it is answered.
    both = _everything(port, head + body + b"GET" + HOST + UPGRADE + b"\r\n" + b"GET" + HOST + b"\r\n")
    assert [each.rpartition(b"\r\n\r\n")[2] for each in both] == [b"", b"hello", b"hello"]
    assert OTHER in both[0]


def test_there_are_no_tunnels(port: int) -> None:
    (refused,) = _everything(port, b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n")
    assert refused.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("parts", "answered"),
    [
        ((b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nok\n\0",), [b"200"]),
        ((b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", b"\1\r\n\r\n"), [b"200"]),
        ((b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000, b"a", b"a"), [b"200"]),
        ((b"POST /early HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz\r\n"), [b"200"]),
        ((b"POST" + HOST + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n"), [b"400"]),
        ((b"GET" + HOST + b"\r\n", b"\1\r\n\r\n"), [b"200", b"400"]),
        (((b"GET" + HOST + b"\r\n") * 40,), [b"200"] * 17),
        ((SLOW + b"POST" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",), [b"200", b"400"]),
        ((b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n", b"ok", b"\1\r\n"), [b"200", b"400"]),
    ],
    ids=[
        "behind it",
        "while it waits",
        "a head too long",
        "after its answer",
        "in its body",
        "later",
        "too many",
        "in a body behind it",
        "after an early answer",
    ],
)
def test_what_cannot_be_read_takes_no_answer_from_what_could(
    port: int, parts: tuple[bytes, ...], answered: list[bytes]
) -> None:
    answers = _everything(port, *parts, b"")
    assert [each[9:12] for each in answers] == answered


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (SLOW, [b"200"]),
        (b"GET" + HOST + b"\r\n", [b"200"]),
        (SLOW + b"GET" + HOST, [b"200"]),
        (SLOW + b"POST" + HOST + b"Content-Length: 9\r\n\r\nx", [b"200"]),
        (READ_AND_SLOW + b"POST" + HOST + b"Content-Length: 9\r\n\r\nx", [b"200", b"400"]),
    ],
    ids=["slow", "at once", "half a head", "half a body", "half a body, seen early"],
)
def test_who_sends_no_more_still_gets_the_answer(port: int, sent: bytes, answered: list[bytes]) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(sent)
        client.shutdown(socket.SHUT_WR)
        answers = b""
        while piece := client.recv(65_536):
            answers += piece
    assert [each[:3] for each in answers.split(b"HTTP/1.1 ")[1:]] == answered


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nConnection: close, Upgrade\r\n",
        b"GET / HTTP/1.0\r\nConnection: Upgrade\r\n",
    ],
)
def test_who_asks_for_another_protocol_may_ask_to_close(port: int, head: bytes) -> None:
    (answer,) = _spoken(port, head + b"Host: x\r\nUpgrade: h2c\r\n\r\n")
    assert answer.endswith(b"hello")


def test_a_head_has_some_lines_and_not_many(port: int) -> None:
    some, many = (b"GET" + HOST + b"a:\r\n" * count + b"\r\n" for count in (100, 2000))
    assert [_everything(port, head)[0][9:12] for head in (some, many)] == [b"200", b"400"]


def test_trailers_are_no_headers(port: int) -> None:
    chunked = b"POST /headers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n"
    (answer,) = _spoken(port, chunked + b"X-Forwarded-For: 192.0.2.1\r\nHost: y\r\n\r\n")
    assert answer.endswith(b"\r\n\r\nhost transfer-encoding")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "sent",
    [
        b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n",
        SLOW + b"GET / HT",
    ],
    ids=["go on", "half a head"],
)
def test_nobody_is_left_while_an_answer_is_due(port: int, sent: bytes) -> None:
    (answer,) = _spoken(port, sent)
    assert answer.startswith(b"HTTP/1.1 ")


def test_a_connection_that_was_reset_leaves_nothing_behind(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: weakref.WeakSet[Connection] = weakref.WeakSet()
    begin = Connection.connection_made

    def remember(connection: Connection, transport: asyncio.Transport) -> None:
        made.add(connection)
        begin(connection, transport)

    monkeypatch.setattr(Connection, "connection_made", remember)
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(b"GET" + HOST + b"\r\n")
            client.recv(65_536)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    time.sleep(0.2)
    gc.collect()
    assert len(made) == 0


@pytest.mark.usefixtures("impatient")
def test_who_reads_slowly_may_send_ahead_meanwhile(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.05)
        client.sendall(b"GET / HTT")
        read = 0
        with contextlib.suppress(ConnectionError):
            while part := client.recv(200_000):
                read += len(part)
                time.sleep(0.01)
    assert read > len(LARGE)


def test_an_app_that_writes_without_end_meets_a_full_buffer(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(1)
        assert WRITTEN[-1] < 1000


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n",
        b"GET / HTTP/1.1\r\nhost: a b\r\n",
        b"GET / HTTP/1.1\r\nhost: a/c\r\n",
        b"GET / HTTP/1.1\r\nhost: user@a\r\n",
        b"GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\n",
    ],
)
def test_a_request_names_one_host(port: int, head: bytes) -> None:
    (refused,) = _spoken(port, head + b"\r\n")
    assert refused.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.0\r\n",
        b"GET / HTTP/1.1\r\nhost:\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost:8100\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost \t\r\n",
        b"GET / HTTP/1.1\r\nhost: [::1]:8100\r\n",
    ],
)
def test_a_request_with_a_host_is_answered(port: int, head: bytes) -> None:
    (answer,) = _spoken(port, head + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
