"""Protocol routes before FastAPI's machinery: the body is bounded however it comes, and errors are answers."""

import asyncio
import json
from typing import Any

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from wallet_core.adapters.web.protocol_routes import ProtocolRoutes

LIMIT = 10


async def echo(request: Request) -> Response:
    """Answer with the body and the parameter."""
    return Response(await request.body() + b"/" + request.path_params["name"].encode())


async def elsewhere(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 299, "headers": []})


ROUTES = ProtocolRoutes(
    elsewhere,
    [Route("/usual/{name}", echo, methods=["POST"]), Route("/own/{name}", echo, methods=["POST"], max_body_size=4)],
    LIMIT,
)


def call(path: str, *chunks: bytes, method: str = "POST", length: bytes | None = None) -> tuple[int, bytes]:
    messages = [
        {"type": "http.request", "body": chunk, "more_body": place < len(chunks)}
        for place, chunk in enumerate(chunks, 1)
    ] or [{"type": "http.disconnect"}]
    headers = [] if length is None else [(b"content-length", length)]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b"", "app": None}
    asyncio.run(ROUTES(scope, receive, send))
    return sent[0]["status"], sent[-1].get("body", b"")


def test_a_body_in_parts_arrives_whole() -> None:
    assert call("/usual/x", b"01234", b"56789") == (200, b"0123456789/x")


@pytest.mark.parametrize(
    ("path", "chunks", "length"),
    [
        ("/usual/x", (b"0123456789", b"a"), None),
        ("/usual/x", (b"",), b"11"),
        ("/usual/x", (b"",), b"9" * 5000),
        ("/own/x", (b"01234",), b"5"),
    ],
)
def test_a_body_that_is_too_large_is_refused(path: str, chunks: tuple[bytes, ...], length: bytes | None) -> None:
    status, body = call(path, *chunks, length=length)
    assert (status, json.loads(body)["error"]) == (413, "request_too_large")


@pytest.mark.parametrize(("path", "method"), [("/usual/x", "GET"), ("/usual/x", "HEAD"), ("/usual/x/y", "POST")])
def test_what_fits_no_route_is_the_apps(path: str, method: str) -> None:
    assert call(path, b"", method=method)[0] == 299


def test_a_caller_who_left_gets_nothing() -> None:
    with pytest.raises(ClientDisconnect):
        call("/usual/x")
