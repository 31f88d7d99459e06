"""Sessions of ISO/IEC 18013-5 over a WebSocket, until there is a radio: the mdoc listens, the reader connects.

One binary message is one session message; the session's own encryption protects it. What is here only carries bytes
and watches size and time: every decision is the machines' (``protocols.iso18013``).

The address of the listener has a secret part, and stands in the engagement: only who saw the code knows it.
"""

import asyncio
import hmac
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Final, Protocol

from websockets.asyncio import client, server
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.http11 import Request, Response

from wallet_core.adapters.http import checked_addresses, is_allowed, parse_target, tls_context
from wallet_core.errors import FetchError
from wallet_core.protocols.iso18013 import device, reader
from wallet_core.protocols.iso18013.device import ApprovedElements, AwaitingConsent, DeviceMove, DeviceState, Engaged
from wallet_core.protocols.iso18013.ending import Ended, ended_by_disconnection
from wallet_core.protocols.iso18013.reader import ReaderMove, ReceivedResponse, Scanned
from wallet_core.protocols.iso18013.session import MAX_MESSAGE_BYTES
from wallet_core.trust.anchors import TrustAnchors

OPEN_SECONDS: Final = 10.0
"""Seconds to connect and shake hands: the two stand in front of each other."""

SEND_SECONDS: Final = 20.0
"""Seconds in which the other side must take a message: the largest takes five on a bad mobile network."""

CLOSE_SECONDS: Final = 5.0
"""Seconds to say goodbye."""

MAX_QUEUED: Final = 2
"""Messages that wait unread: the sides take turns."""

# The library writes requests at level debug and refusals at info; addresses here have a secret part.
_log = logging.getLogger("jigap.proximity.websocket")
_log.setLevel(logging.CRITICAL)


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...


class ChannelClosed(FetchError):
    """The other side is gone, or sends what no session message is."""


class Channel(Protocol):
    """Carries whole messages to the other side and back. Both methods raise ``ChannelClosed`` once it is closed."""

    async def send(self, message: bytes) -> None:
        """Send one message."""
        ...

    async def receive(self) -> bytes:
        """Wait for one message. May be cancelled; nothing is lost."""
        ...


@dataclass(frozen=True, slots=True)
class Consent:
    """What the person agreed to, and the encoded DeviceResponse that shows it."""

    approved: ApprovedElements
    device_response: bytes


Decide = Callable[[AwaitingConsent], Awaitable[Consent | None]]
"""Asks the person, and signs; None is no."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader got: how the session ended, and the answer, not verified, if one came."""

    ended: Ended
    response: ReceivedResponse | None


async def run_device(channel: Channel, state: Engaged, *, decide: Decide, anchors: TrustAnchors, clock: Clock) -> Ended:
    """Drive the mdoc's side over ``channel`` until the session is over, and return how it ended.

    Whatever ``decide`` raises passes through, after the reader was told that the session is over.
    """
    current: DeviceState = state
    while not isinstance(current, Ended):
        try:
            move = await _next_device_move(channel, current, decide, anchors, clock)
            if move.send is not None:
                await channel.send(move.send)
            current = move.state
        except ChannelClosed:
            return ended_by_disconnection(now=clock.now())
        except BaseException:
            await _leave(channel, current, clock)
            raise
    return current


async def run_reader(channel: Channel, state: Scanned, device_request: bytes, *, clock: Clock) -> Reading:
    """Ask once over ``channel``, wait for the answer, end the session, and return what came."""
    response: ReceivedResponse | None = None
    move = reader.ask(state, device_request, now=clock.now())
    try:
        while True:
            if move.send is not None:
                await channel.send(move.send)
            if isinstance(move.state, Ended):
                return Reading(move.state, response)
            move = await _next_reader_move(channel, move, clock)
            response = move.response or response
    except ChannelClosed:
        return Reading(ended_by_disconnection(now=clock.now()), response)


class Listener:
    """Waits for the one reader that knows the address.

    Attributes:
        address: what goes into the engagement.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._first: asyncio.Future[server.ServerConnection] = asyncio.get_running_loop().create_future()

    async def accept(self) -> Channel:
        """Wait for the reader. How long, the caller knows: as long as it shows the code."""
        return _WebSocketChannel(await asyncio.shield(self._first))

    async def serve(self, connection: server.ServerConnection) -> None:
        """Keep a connection open that was let in: the library closes it when this returns."""
        # Two that shook hands at the same moment: the second finds the place taken.
        if not self._first.done():
            self._first.set_result(connection)
            await connection.wait_closed()

    def refuse(self, secret: str) -> Callable[[server.ServerConnection, Request], Response | None]:
        """Return what answers a handshake: nothing for the first reader with the right path, an error for others."""

        def answer(connection: server.ServerConnection, request: Request) -> Response | None:
            if not hmac.compare_digest(request.path.encode(), f"/{secret}".encode()):
                return connection.respond(HTTPStatus.NOT_FOUND, "")
            return connection.respond(HTTPStatus.CONFLICT, "") if self._first.done() else None

        return answer


@asynccontextmanager
async def listen(*, host: str, port: int, secret: str, public_url: str | None = None) -> AsyncIterator[Listener]:
    """Listen for one reader while the block runs.

    Args:
        host: to listen on.
        port: to listen on; 0 takes a free one.
        secret: the path, of characters that need no escaping in a URL and at least 128 random bits.
        public_url: where a TLS proxy offers this (``wss://…``); None gives the plain address of this machine.
    """
    bound = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    name = f"[{host}]" if ":" in host else host
    base = public_url or f"ws://{name}:{bound.getsockname()[1]}"
    listener = Listener(f"{base.rstrip('/')}/{secret}")
    async with server.serve(
        listener.serve,
        sock=bound,
        process_request=listener.refuse(secret),
        # No header Origin: readers are programs. A page in a browser always sends one.
        origins=[None],
        compression=None,
        max_size=MAX_MESSAGE_BYTES,
        max_queue=MAX_QUEUED,
        open_timeout=OPEN_SECONDS,
        close_timeout=CLOSE_SECONDS,
        server_header=None,
        logger=_log,
    ):
        yield listener


@asynccontextmanager
async def connect(address: str, *, allow_loopback: bool, tls_roots: Path | None = None) -> AsyncIterator[Channel]:
    """Connect to the mdoc whose engagement names ``address``, while the block runs.

    The address comes from a stranger's code: it must be ``wss`` and lead to public addresses only, as every URL that
    strangers name (``adapters.http``).

    Args:
        address: of the mdoc's listener.
        allow_loopback: admits ``ws`` and private or loopback addresses: for one machine's own demo and tests only.
        tls_roots: PEM file of the roots to trust instead of the system's.

    Raises:
        FetchError: the address is not allowed, or the mdoc was not reached in time.
    """
    connection = await _connection(address, allow_loopback, tls_roots)
    try:
        yield _WebSocketChannel(connection)
    finally:
        await connection.close()


@dataclass(frozen=True, slots=True)
class _WebSocketChannel:
    connection: client.ClientConnection | server.ServerConnection

    async def send(self, message: bytes) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self.connection.send(message)
        except (ConnectionClosed, TimeoutError) as exc:
            raise ChannelClosed("the connection of the session is closed") from exc

    async def receive(self) -> bytes:
        try:
            message = await self.connection.recv()
        except ConnectionClosed as exc:
            raise ChannelClosed("the connection of the session is closed") from exc
        if isinstance(message, str):
            raise ChannelClosed("the other side sent text, which no session message is")
        return message


async def _connection(address: str, allow_loopback: bool, tls_roots: Path | None) -> client.ClientConnection:  # noqa: FBT001
    if not address.startswith(("wss://", "ws://")):
        raise FetchError("the address of the mdoc is not one of a WebSocket")
    target = parse_target(f"http{address.removeprefix('ws')}", allow_loopback=allow_loopback)
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            addresses = await checked_addresses(
                target.host, target.port, lambda found: is_allowed(found, local=allow_loopback)
            )
            # A socket of our own, to the address that was checked: the library then follows no redirect either.
            connected = await _connected_socket(addresses[0], target.port)
            return await _shake_hands(
                connected, address, target.host, tls_context(tls_roots) if target.secure else None
            )
    except (WebSocketException, OSError, ValueError, TimeoutError) as exc:
        raise FetchError("the mdoc could not be reached", detail=f"{type(exc).__name__} with {target.host}") from exc


async def _shake_hands(
    connected: socket.socket, address: str, host: str, tls: ssl.SSLContext | None
) -> client.ClientConnection:
    try:
        return await client.connect(
            address,
            sock=connected,
            ssl=tls,
            server_hostname=host if tls else None,
            proxy=None,
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=MAX_QUEUED,
            open_timeout=OPEN_SECONDS,
            close_timeout=CLOSE_SECONDS,
            user_agent_header=None,
            logger=_log,
        )
    except BaseException:
        connected.close()
        raise


async def _connected_socket(address: str, port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        found.setblocking(False)
        await asyncio.get_running_loop().sock_connect(found, (address, port))
    except BaseException:
        found.close()
        raise
    return found


async def _next_device_move(
    channel: Channel, state: DeviceState, decide: Decide, anchors: TrustAnchors, clock: Clock
) -> DeviceMove:
    async def hear() -> DeviceMove:
        message = await channel.receive()
        return device.receive(state, message, anchors=anchors, now=clock.now())

    try:
        async with asyncio.timeout(_seconds_until(device.next_change(state), clock)):
            if isinstance(state, AwaitingConsent):
                return await _first_of(hear(), _decision(state, decide, clock))
            return await hear()
    except TimeoutError:
        return device.observe(state, now=clock.now())


async def _leave(channel: Channel, state: DeviceState, clock: Clock) -> None:
    farewell = device.end(state, now=clock.now()).send
    if farewell is not None:
        with suppress(ChannelClosed):
            await channel.send(farewell)


async def _decision(state: AwaitingConsent, decide: Decide, clock: Clock) -> DeviceMove:
    consent = await decide(state)
    if consent is None:
        return device.decline(state, now=clock.now())
    return device.respond(state, consent.approved, consent.device_response, now=clock.now())


async def _next_reader_move(channel: Channel, move: ReaderMove, clock: Clock) -> ReaderMove:
    if isinstance(move.state, reader.Answered):
        return reader.end(move.state, now=clock.now())
    try:
        async with asyncio.timeout(_seconds_until(reader.next_change(move.state), clock)):
            return reader.receive(move.state, await channel.receive(), now=clock.now())
    except TimeoutError:
        return reader.observe(move.state, now=clock.now())


async def _first_of(*moves: Awaitable[DeviceMove]) -> DeviceMove:
    """Return what comes first: a message that makes the person's decision needless, or the decision."""
    tasks = [asyncio.ensure_future(move) for move in moves]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _seconds_until(when: datetime | None, clock: Clock) -> float | None:
    return None if when is None else max(0.0, (when - clock.now()).total_seconds())
