"""The one HTTP client: it fetches what strangers name, so it trusts neither address, size nor duration.

The name in a URL is resolved here, every address it resolves to is checked, and the connection goes to a checked
address, so a name that answers differently a second time (DNS rebinding) gains nothing. Host header, SNI and
certificate check keep the name. No redirects, no cookies, no proxies, no product name. It stands on
httpcore2, the engine below httpx2, because only there can the connecting be replaced without touching private parts.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias, TypeVar
from urllib.parse import urlsplit

import httpcore2

from wallet_core.errors import AddressNotAllowed, FetchError
from wallet_core.http import Flow, HttpRequest, HttpResponse, has_sound_labels

T = TypeVar("T")
IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
SocketOption: TypeAlias = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]

DEFAULT_TIMEOUT = 10.0
"""Seconds for one request as a whole, from resolving the name to the last byte: a person is waiting."""

MAX_URL_CHARACTERS = 8192
"""Characters of a URL; requests passed by value are the longest honest ones, about 4 kB."""

# RFC 9325 4.2.1 and FAPI: with TLS 1.2 only forward secrecy and authenticated encryption (protocols.md M8).
TLS12_CIPHERS = "ECDHE+AESGCM"
"""OpenSSL's name for the suites of TLS 1.2 that we offer and accept."""

# Addresses that only wrap an IPv4 address the check would not see.
_WRAPPING_NETWORKS = tuple(
    ipaddress.IPv6Network(text) for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")
)


@dataclass(frozen=True, slots=True)
class _Target:
    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.secure else 80) else f"{name}:{self.port}"


class HttpClient:
    """Drives flows over real connections.

    Args:
        allow_loopback: admits ``http`` and private or loopback addresses: for one machine's own demo and tests only.
        timeout: seconds for one request as a whole.
        tls_roots: PEM file of the roots to trust instead of the system's.
    """

    def __init__(
        self, *, allow_loopback: bool, timeout: float = DEFAULT_TIMEOUT, tls_roots: Path | None = None
    ) -> None:
        self._allow_loopback = allow_loopback
        self._timeout = timeout
        self._tls_roots = tls_roots

    def run(self, flow: Flow[T]) -> T:
        """Drive ``flow`` to its result, blocking. In a coroutine ``await arun(flow)`` instead.

        Raises:
            FetchError: as :meth:`fetch`; whatever the flow raises passes through.
        """
        # In a thread of its own: this one may have an event loop (a notebook, a browser driver).
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(self.arun(flow))).result()

    async def arun(self, flow: Flow[T]) -> T:
        """Drive ``flow`` to its result. A failed request is raised inside the flow, which may catch it."""
        async with self._pool() as pool:
            try:
                request = next(flow)
                while True:
                    try:
                        response = await self._fetch(pool, request)
                    except FetchError as exc:
                        request = flow.throw(exc)
                    else:
                        request = flow.send(response)
            except StopIteration as stop:
                result: T = stop.value
                return result
            finally:
                flow.close()

    async def fetch(self, request: HttpRequest) -> HttpResponse:
        """Make one request.

        Raises:
            FetchError: the URL or an address of its host is not allowed, the server was not reached in time, or its
                answer broke a limit.
        """
        async with self._pool() as pool:
            return await self._fetch(pool, request)

    def _pool(self) -> httpcore2.AsyncConnectionPool:
        # One pool for each flow: its requests share connections, and nothing outlives the event loop it belongs to.
        return httpcore2.AsyncConnectionPool(
            ssl_context=tls_context(self._tls_roots),
            network_backend=_CheckedBackend(lambda address: is_allowed(address, local=self._allow_loopback)),
        )

    async def _fetch(self, pool: httpcore2.AsyncConnectionPool, request: HttpRequest) -> HttpResponse:
        target = parse_target(request.url, allow_loopback=self._allow_loopback)
        try:
            async with asyncio.timeout(self._timeout):
                return await _exchange(pool, request, target)
        except TimeoutError as exc:
            raise FetchError(
                "the other server did not answer in time", detail=f"no whole answer of {target.host} in time"
            ) from exc
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError) as exc:
            raise FetchError(
                "the other server could not be reached", detail=f"{type(exc).__name__} with {target.host}"
            ) from exc


async def _exchange(pool: httpcore2.AsyncConnectionPool, request: HttpRequest, target: _Target) -> HttpResponse:
    # vp-15.8-no-product
    headers = {"Accept-Encoding": "identity", "Host": target.authority, **request.headers}
    if request.body or request.method == "POST":
        headers["Content-Length"] = str(len(request.body))
    url = httpcore2.URL(
        scheme=b"https" if target.secure else b"http",
        host=target.host.encode(),
        port=target.port,
        target=target.path.encode(),
    )
    async with pool.stream(
        request.method,
        url,
        headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        content=request.body,
    ) as response:
        return await _read(response, request.response_limit, target)


async def _read(response: httpcore2.Response, limit: int, target: _Target) -> HttpResponse:
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("ascii").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    # A compressed answer could be small on the wire and huge in memory; we asked for none.
    if headers.get("content-encoding", "identity") != "identity":
        raise FetchError("the answer is compressed although that was not asked for", detail=f"by {target.host}")
    body = bytearray()
    async for part in response.aiter_stream():
        body += part
        if len(body) > limit:
            raise FetchError(f"the answer is larger than {limit} bytes", detail=f"of {target.host}")
    return HttpResponse(response.status, headers, bytes(body))


def parse_target(url: str, *, allow_loopback: bool) -> _Target:
    """Return the parts of a URL we may fetch.

    Raises:
        FetchError: not https (or http with ``allow_loopback``), or it has user information, a fragment, no host, a host
            that is no name, or characters a URL does not have.
    """
    if len(url) > MAX_URL_CHARACTERS or any(not "!" <= character <= "~" for character in url) or "\\" in url:
        raise FetchError("a URL is too long or holds a character that a URL does not have")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as exc:
        raise FetchError("a URL does not parse") from exc
    if parts.scheme != "https" and not (allow_loopback and parts.scheme == "http"):
        raise AddressNotAllowed("only https URLs are fetched")
    if not host or parts.username is not None or parts.password is not None or "#" in url:
        raise FetchError("a URL has no host, or has user information or a fragment")
    if not has_sound_labels(host):
        raise FetchError("the host of a URL is not a name")
    secure = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(secure, host, port or (443 if secure else 80), path)


def is_allowed(address: IpAddress, *, local: bool) -> bool:
    """Return whether a connection to ``address`` may be made; ``local`` admits loopback and private ones."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_allowed(address.ipv4_mapped, local=local)
        if not address.is_loopback and any(address in network for network in _WRAPPING_NETWORKS):
            return False
    if address.is_multicast or address.is_unspecified or address.is_link_local or address.is_reserved:
        return False
    return address.is_global or (local and (address.is_loopback or address.is_private))


class _CheckedBackend(httpcore2.AsyncNetworkBackend):
    """Resolves, checks every address, and connects to a checked one."""

    def __init__(self, is_allowed: Callable[[IpAddress], bool]) -> None:
        self._is_allowed = is_allowed
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await checked_addresses(host, port, self._is_allowed)
        for address in addresses[:-1]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore2.NetworkError:
                continue
        return await self._inner.connect_tcp(addresses[-1], port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        del path, timeout, socket_options
        raise FetchError("only TCP connections are made")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def checked_addresses(host: str, port: int, is_allowed: Callable[[IpAddress], bool]) -> list[str]:
    """Return the addresses of ``host``, all of them allowed.

    Raises:
        FetchError: it has none, or one that is not allowed, or ``host`` is no name.
        OSError: the name does not resolve.
    """
    try:
        answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as exc:  # what Python's own codec for names refuses is a ValueError to it
        raise FetchError("the host of a URL is not a name") from exc
    # A scope id ("fe80::1%eth0") belongs to link-local addresses, which are refused anyway.
    addresses = list(dict.fromkeys(str(answer[4][0]).partition("%")[0] for answer in answers))
    # Every address, not the first: a name with one public and one private address is an attack, not a server.
    if not addresses or not all(is_allowed(ipaddress.ip_address(address)) for address in addresses):
        raise AddressNotAllowed("the host of a URL has an address that is not allowed", detail=f"addresses of {host}")
    return addresses


@lru_cache(maxsize=8)
def tls_context(roots: Path | None) -> ssl.SSLContext:
    """Return the TLS settings of every connection we make; ``roots`` instead of the system's."""
    context = ssl.create_default_context(cafile=str(roots) if roots else None)
    # vp-14.6-tls
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TLS12_CIPHERS)
    return context
