"""Answers leave in one packet, and nothing that was written stays behind."""

import asyncio
import socket
import threading
import time
from typing import Any

import pytest
import uvicorn

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


async def _app(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


def _spoken(port: int, *requests: bytes) -> list[bytes]:
    """Return what came in one piece after each request on one connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        pieces = []
        for request in requests:
            client.sendall(request)
            pieces.append(client.recv(65_536))
        return pieces


def test_a_server_answers_get_head_expectation_and_close_with_one_packet_each() -> None:
    server = uvicorn.Server(uvicorn.Config(_app, port=0, http=Connection, lifespan="off", log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    host = b" / HTTP/1.1\r\nHost: x\r\n"
    try:
        got, head, waiting, answered, closing = _spoken(
            port,
            b"GET" + host + b"\r\n",
            b"HEAD" + host + b"\r\n",
            b"POST" + host + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n",
            b"ok",
            b"GET" + host + b"Connection: close\r\n\r\n",
        )
    finally:
        server.should_exit = True
        thread.join()
    assert got.startswith(b"HTTP/1.1 200 OK\r\n")
    assert got.endswith(b"\r\n\r\nhello")
    assert head.endswith(b"\r\n\r\n")
    assert waiting == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answered.endswith(b"hello")
    assert closing.endswith(b"hello")
