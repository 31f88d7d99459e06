"""The HTTP client against real sockets of this machine: what it refuses, what it limits, what it sends."""

import asyncio
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.adapters import http as http_adapter
from wallet_core.adapters.http import HttpClient, parse_target
from wallet_core.errors import FetchError
from wallet_core.http import Flow, HttpRequest, HttpResponse, get, post_json

Server = Callable[[bytes], str]


def _fetch(request: HttpRequest) -> Flow[HttpResponse]:
    return (yield request)


class Canned:
    """Answers every connection with the same bytes and keeps what it was sent."""

    def __init__(
        self, answer: bytes, tls: ssl.SSLContext | None = None, drip: float = 0, host: str = "127.0.0.1"
    ) -> None:
        self.requests: list[bytes] = []
        self._answer, self._tls, self._drip = answer, tls, drip
        self._socket = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                try:
                    self._answer_one(self._tls.wrap_socket(connection, server_side=True) if self._tls else connection)
                except OSError:
                    continue

    def _answer_one(self, connection: socket.socket) -> None:
        with connection:
            self.requests.append(_read(connection))
            if self._drip:
                for byte in self._answer:
                    connection.sendall(bytes([byte]))
                    time.sleep(self._drip)
            else:
                connection.sendall(self._answer)

    def close(self) -> None:
        # A shutdown wakes the accept; a close alone does not.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


def _read(connection: socket.socket) -> bytes:
    request = connection.recv(65536)
    length = re.search(rb"content-length: (\d+)", request.lower())
    while length and len(request.partition(b"\r\n\r\n")[2]) < int(length[1]):
        request += connection.recv(65536)
    return request


OK = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
    b"Content-Length: 2\r\nConnection: close\r\n\r\n{}"
)


@pytest.fixture
def canned() -> Iterator[Callable[..., Canned]]:
    servers: list[Canned] = []

    def make(answer: bytes = OK, **options: Any) -> Canned:
        servers.append(Canned(answer, **options))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


def _run(url: str, *, allow: bool = True, **options: Any) -> HttpResponse:
    client = HttpClient(allow_loopback=allow, timeout=options.pop("timeout", 5), tls_roots=options.pop("roots", None))
    return client.run(_fetch(HttpRequest("GET", url, **options)))


@pytest.mark.clause("vp-15.8-no-product")
def test_a_request_names_host_and_no_product(canned: Callable[..., Canned]) -> None:
    server = canned()
    answer = _run(f"http://localhost:{server.port}/a?b=c", headers={"Accept": "application/json"})
    assert (answer.status, answer.media_type, answer.body) == (200, "application/json", b"{}")
    sent = server.requests[0].decode().lower()
    assert sent.startswith("get /a?b=c http/1.1\r\n")
    assert f"host: localhost:{server.port}\r\n" in sent
    assert "accept-encoding: identity\r\n" in sent
    assert "user-agent" not in sent


def test_an_ipv6_host_stands_in_brackets(canned: Callable[..., Canned], monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(host: str, *_ignored: object) -> list[str]:  # this address is never allowed
        return [host]

    monkeypatch.setattr(http_adapter, "checked_addresses", found)
    server = canned(host="::1")
    _run(f"http://[::1]:{server.port}/")
    assert f"host: [::1]:{server.port}\r\n".encode() in server.requests[0].lower()


def test_a_body_is_sent_with_its_length(canned: Callable[..., Canned]) -> None:
    server = canned()
    client = HttpClient(allow_loopback=True)
    client.run(_fetch(post_json(f"http://127.0.0.1:{server.port}/", b'{"a":1}')))
    assert b"content-length: 7\r\n" in server.requests[0].lower()
    assert server.requests[0].endswith(b'{"a":1}')


def test_a_flow_gets_the_error_and_may_go_on(canned: Callable[..., Canned]) -> None:
    server = canned()

    def flow() -> Flow[str]:
        try:
            yield get("ftp://localhost/", accept="*/*")
        except FetchError:
            answer = yield get(f"http://localhost:{server.port}/", accept="*/*")
            return f"second {answer.status}"
        return "first"

    assert HttpClient(allow_loopback=True).run(flow()) == "second 200"


def test_a_thread_with_an_event_loop_may_run_a_flow_too(canned: Callable[..., Canned]) -> None:
    server = canned()

    async def inside() -> int:
        return _run(f"http://localhost:{server.port}/").status

    assert asyncio.run(inside()) == 200


def test_redirects_are_answers_and_nothing_more(canned: Callable[..., Canned]) -> None:
    server = canned(b"HTTP/1.1 302 Found\r\nLocation: http://localhost:1/\r\nContent-Length: 0\r\n\r\n")
    answer = _run(f"http://localhost:{server.port}/")
    assert (answer.status, len(server.requests)) == (302, 1)


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 5000", b"Transfer-Encoding: chunked"],
)
def test_a_large_answer_is_cut_off(canned: Callable[..., Canned], head: bytes) -> None:
    body = b"1388\r\n" + b"x" * 5000 + b"\r\n0\r\n\r\n" if b"chunked" in head else b"x" * 5000
    server = canned(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body)
    with pytest.raises(FetchError):
        _run(f"http://localhost:{server.port}/", response_limit=4999)
    assert _run(f"http://localhost:{server.port}/", response_limit=5000).body == b"x" * 5000


def test_a_compressed_answer_is_refused(canned: Callable[..., Canned]) -> None:
    server = canned(OK.replace(b"Connection", b"Content-Encoding: gzip\r\nConnection"))
    with pytest.raises(FetchError) as refused:
        _run(f"http://localhost:{server.port}/")
    assert "compressed" in refused.value.description


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx"])
def test_what_is_no_http_is_a_fetch_error(canned: Callable[..., Canned], answer: bytes) -> None:
    with pytest.raises(FetchError):
        _run(f"http://localhost:{canned(answer).port}/")


def test_a_dripping_server_is_left_in_time(canned: Callable[..., Canned]) -> None:
    server = canned(OK, drip=0.05)
    began = time.monotonic()
    with pytest.raises(FetchError) as refused:
        _run(f"http://localhost:{server.port}/", timeout=0.5)
    assert "in time" in refused.value.description
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "https://user@example.com/",
        "https://user:secret@example.com/",
        "https://example.com/#part",
        "https:///path",
        "https://exa mple.com/",
        "https://example.com/\r\nHost: other",
        "https://example.com\\@other.example/",
        "https://[::1/",
        "https://example.com:99999/",
        "https://예시.kr/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "",
        "https://example.com/" + "a" * 9000,
    ],
)
def test_urls_that_are_never_fetched(url: str) -> None:
    with pytest.raises(FetchError):
        parse_target(url, allow_loopback=False)


NO_NAMES = [f"{'a' * 64}.example", ".example", "a..example", "a.example..", "."]


@pytest.mark.parametrize("host", NO_NAMES)
def test_a_host_that_is_no_name_is_a_fetch_error(host: str) -> None:
    with pytest.raises(FetchError):
        _run(f"https://{host}/", allow=False)
    with pytest.raises(FetchError):
        parse_target(f"https://{host}/", allow_loopback=False)


@pytest.mark.parametrize("host", NO_NAMES[:4])
def test_what_the_resolver_takes_for_no_name_is_a_fetch_error(host: str) -> None:
    with pytest.raises(FetchError):
        asyncio.run(http_adapter.checked_addresses(host, 443, lambda _address: True))


@given(st.text(max_size=60) | st.from_regex(r"https?://[\w.:@\[\]/?#%-]{0,40}", fullmatch=True))
def test_any_text_is_a_target_or_a_fetch_error(url: str) -> None:
    try:
        target = parse_target(url, allow_loopback=True)
    except FetchError:
        return
    assert target.host
    assert target.path.startswith("/")
    assert not set(target.host + target.path) & set("\r\n @")


INNER = [
    "127.0.0.1", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "::7f00:1", "198.18.0.1", "240.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("address", INNER)
def test_inner_addresses_are_refused(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(FetchError) as refused:
        _run(f"https://{host}/", allow=False)
    assert "not allowed" in refused.value.description


@pytest.mark.parametrize("address", ["169.254.169.254", "0.0.0.0", "224.0.0.1", "fe80::1", "64:ff9b::7f00:1"])
def test_the_switch_admits_private_addresses_and_no_others(address: str) -> None:
    assert not http_adapter.is_allowed(ipaddress.ip_address(address), local=True)
    assert http_adapter.is_allowed(ipaddress.ip_address("192.168.1.1"), local=True)
    assert http_adapter.is_allowed(ipaddress.ip_address("8.8.8.8"), local=False)


def test_a_name_with_one_inner_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: answers)
    with pytest.raises(FetchError) as refused:
        _run("https://two.example/", allow=False)
    assert "not allowed" in refused.value.description


def test_a_name_is_resolved_once_so_rebinding_gains_nothing(
    monkeypatch: pytest.MonkeyPatch, canned: Callable[..., Canned]
) -> None:
    server = canned()
    asked: list[str] = []

    def resolve(host: str, port: int, *_rest: Any, **_options: Any) -> list[Any]:
        if host == "rebinding.example":
            asked.append(host)
        address = "127.0.0.1" if len(asked) < 2 else "10.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert _run(f"http://rebinding.example:{server.port}/").status == 200
    assert len(asked) == 1


def test_an_unknown_name_is_a_fetch_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(*_rest: Any, **_options: Any) -> list[Any]:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(FetchError):
        _run("https://unknown.example/")


def test_tls_keeps_the_name_while_the_connection_goes_to_the_address(
    monkeypatch: pytest.MonkeyPatch, canned: Callable[..., Canned], certificate: tuple[ssl.SSLContext, Path]
) -> None:
    context, root = certificate
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    server = canned(tls=context)
    local = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: local)
    assert _run(f"https://shop.example:{server.port}/", roots=root).status == 200
    assert names == ["shop.example"]
    assert f"host: shop.example:{server.port}".encode() in server.requests[0].lower()
    for url, roots in ((f"https://other.example:{server.port}/", root), (f"https://shop.example:{server.port}/", None)):
        with pytest.raises(FetchError):
            _run(url, roots=roots)


@pytest.mark.clause("vp-14.6-tls")
def test_old_tls_is_not_spoken(certificate: tuple[ssl.SSLContext, Path]) -> None:
    context = http_adapter.tls_context(certificate[1])
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    old = [cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] == "TLSv1.2"]
    assert old
    assert all("ECDHE" in name and "GCM" in name for name in old)
