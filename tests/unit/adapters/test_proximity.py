"""A session over a real port: the whole way from code to verified answer, and what the carrier itself refuses."""

import asyncio
import os
import socket
from datetime import datetime, timedelta

import pytest
from websockets.asyncio import client, server
from websockets.exceptions import InvalidStatus

from tests.support.proximity import (
    CHOICE,
    DEVICE_KEY,
    NAME_SPACE,
    NOW,
    READER,
    READER_KEY,
    READER_NAME,
    engaged,
    request,
    response,
    scanned,
    verified,
)
from wallet_core.adapters import proximity
from wallet_core.adapters.proximity import ChannelClosed, Consent, connect, listen, run_device, run_reader
from wallet_core.encoding import base64url
from wallet_core.errors import FetchError
from wallet_core.protocols.iso18013 import device, reader
from wallet_core.protocols.iso18013.ending import EndReason
from wallet_core.protocols.iso18013.engagement import format_qr, parse_qr
from wallet_core.protocols.iso18013.session import MAX_MESSAGE_BYTES


class Clock:
    """Stands still, or jumps once somebody waits."""

    def __init__(self, *times: datetime) -> None:
        self.times = list(times or [NOW])

    def now(self) -> datetime:
        return self.times.pop(0) if len(self.times) > 1 else self.times[0]


def secret() -> str:
    return base64url.encode(os.urandom(16))


def listening():
    return listen(host="127.0.0.1", port=0, secret=secret())


def connecting(address: str):
    return connect(address, allow_loopback=True)


async def yes(state: device.AwaitingConsent) -> Consent:
    approved = device.approve(state, CHOICE)
    return Consent(approved, response(transcript=state.session.transcript))


async def no(_state: device.AwaitingConsent) -> None:
    return None


async def never(_state: device.AwaitingConsent) -> None:
    await asyncio.Event().wait()


async def show(listener, *, decide=yes, clock=None) -> device.Ended:
    channel = await listener.accept()
    state = device.engage(DEVICE_KEY, now=NOW, websocket=listener.address)
    return await run_device(channel, state, decide=decide, anchors=READER.anchors, clock=clock or Clock())


async def read(text: str) -> proximity.Reading:
    engagement = parse_qr(text)
    at_reader = reader.scan(engagement, READER_KEY, now=NOW)
    async with connecting(engagement.websocket) as channel:
        return await run_reader(channel, at_reader, request(at_reader.session.transcript), clock=Clock())


async def both(decide):
    async with listening() as listener:
        code = format_qr(device.engage(DEVICE_KEY, now=NOW, websocket=listener.address).engagement)
        return await asyncio.gather(show(listener, decide=decide), read(code))


def test_from_the_code_to_the_verified_answer() -> None:
    seen = []

    async def decide(state):
        seen.append(state.asked[0].reader.name)
        return await yes(state)

    over, reading = asyncio.run(both(decide))
    assert seen == [READER_NAME]
    assert verified(reading.response).claims == {NAME_SPACE: {"family_name": "시험", "age_over_19": True}}
    assert (over.reason, reading.ended.reason) == (EndReason.ENDED_BY_PEER, EndReason.ENDED)


def test_the_person_says_no() -> None:
    over, reading = asyncio.run(both(no))
    assert reading.response is None
    assert (over.reason, reading.ended.reason) == (EndReason.DECLINED, EndReason.ENDED_BY_PEER)


def test_what_goes_wrong_with_the_person_passes_through_and_the_reader_is_told() -> None:
    async def fails(_state):
        raise FetchError("the signing service is away")

    async def run():
        async with listening() as listener:
            code = format_qr(device.engage(DEVICE_KEY, now=NOW, websocket=listener.address).engagement)
            return await asyncio.gather(show(listener, decide=fails), read(code), return_exceptions=True)

    failure, reading = asyncio.run(run())
    assert isinstance(failure, FetchError)
    assert reading.ended.reason is EndReason.ENDED_BY_PEER


def test_the_reader_leaves_while_the_person_decides() -> None:
    async def run():
        async with listening() as listener, connecting(listener.address) as channel:
            shown = asyncio.create_task(show(listener, decide=never))
            at_reader = reader.scan(
                device.engage(DEVICE_KEY, now=NOW, websocket=listener.address).engagement, READER_KEY, now=NOW
            )
            asked = reader.ask(at_reader, request(at_reader.session.transcript), now=NOW)
            await channel.send(asked.send)
            await channel.send(reader.end(asked.state, now=NOW).send)
            return await shown

    assert asyncio.run(run()).reason is EndReason.ENDED_BY_PEER


def test_the_connection_is_gone() -> None:
    async def run():
        async with listening() as listener:
            shown = asyncio.create_task(show(listener))
            async with connecting(listener.address):
                pass
            return await shown

    assert asyncio.run(run()).reason is EndReason.DISCONNECTED


def test_the_mdoc_is_gone() -> None:
    async def run():
        async with listening() as listener:

            async def leave():
                channel = await listener.accept()
                await channel.receive()
                await channel.connection.close()

            leaving = asyncio.create_task(leave())
            async with connecting(listener.address) as channel:
                reading = await run_reader(channel, scanned(), b"\xa0", clock=Clock())
            await leaving
            return reading

    reading = asyncio.run(run())
    assert (reading.ended.reason, reading.response) == (EndReason.DISCONNECTED, None)


@pytest.mark.parametrize("message", [bytes(MAX_MESSAGE_BYTES + 1), "text"], ids=["too large", "text"])
def test_what_no_session_message_is_ends_the_connection(message) -> None:
    async def run():
        async with listening() as listener:
            shown = asyncio.create_task(show(listener))
            async with client.connect(listener.address, proxy=None) as rude:
                await rude.send(message)
                return await shown

    assert asyncio.run(run()).reason is EndReason.DISCONNECTED


def test_nothing_comes_for_too_long() -> None:
    async def run():
        async with listening() as listener, connecting(listener.address):
            late = Clock(NOW + device.ENGAGED_FOR - timedelta(milliseconds=50), NOW + device.ENGAGED_FOR)
            return await show(listener, clock=late)

    assert asyncio.run(run()).reason is EndReason.TIMED_OUT


def test_no_answer_comes_for_too_long() -> None:
    async def run():
        async with listening() as listener, connecting(listener.address) as channel:
            late = Clock(NOW, NOW + device.IDLE_FOR - timedelta(milliseconds=50), NOW + device.IDLE_FOR)
            reading = await run_reader(channel, scanned(), b"\xa0", clock=late)
            first = await listener.accept()
            return reading, [await first.receive(), await first.receive()]

    reading, heard = asyncio.run(run())
    assert (reading.ended.reason, reading.response) == (EndReason.TIMED_OUT, None)
    # The mdoc is told.
    assert heard[1] == bytes.fromhex("a16673746174757314")


def test_a_side_that_takes_no_message() -> None:
    class Stuck:
        async def send(self, _message):
            await asyncio.Event().wait()

    async def run():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(proximity, "SEND_SECONDS", 0.05)
            with pytest.raises(ChannelClosed):
                await proximity._WebSocketChannel(Stuck()).send(b"x")

    asyncio.run(run())


@pytest.mark.parametrize("path", ["", "/", "/wrong", "/{}x", "/{}?x=1", "/{}/"])
def test_whoever_did_not_see_the_code_finds_nothing(path) -> None:
    async def run():
        async with listening() as listener:
            base, _, right = listener.address.rpartition("/")
            with pytest.raises(FetchError, match="InvalidStatus"):
                async with connecting(base + path.format(right)):
                    pass

    asyncio.run(run())


def test_a_page_in_a_browser_finds_nothing() -> None:
    async def run():
        async with listening() as listener:
            with pytest.raises(InvalidStatus) as refusal:
                async with client.connect(listener.address, origin="https://evil.example", proxy=None):
                    pass
            return refusal.value.response.status_code

    assert asyncio.run(run()) == 403


def test_a_second_reader_is_turned_away() -> None:
    async def run():
        async with listening() as listener, connecting(listener.address):
            await listener.accept()
            with pytest.raises(FetchError):
                async with connecting(listener.address):
                    pass

    asyncio.run(run())


def test_the_address_behind_a_proxy() -> None:
    async def run():
        async with listen(host="127.0.0.1", port=0, secret="abc", public_url="wss://wallet.example/near/") as listener:
            return listener.address

    assert asyncio.run(run()) == "wss://wallet.example/near/abc"


@pytest.mark.parametrize(
    ("address", "allow_loopback"),
    [
        ("https://127.0.0.1/x", True),
        ("ws://127.0.0.1:1/x", False),
        ("wss://127.0.0.1:1/x", False),
        ("wss://[::1]:1/x", False),
        ("wss://169.254.169.254/x", True),
        ("wss://user@127.0.0.1:1/x", True),
        ("ws://127.0.0.1:1/x", True),
        ("ws://127.0.0.1:1/x#y", True),
    ],
)
def test_an_address_that_is_not_connected_to(address, allow_loopback) -> None:
    async def run():
        with pytest.raises(FetchError):
            async with connect(address, allow_loopback=allow_loopback):
                pass

    asyncio.run(run())


def test_tls_keeps_the_name_while_the_connection_goes_to_the_address(monkeypatch, certificate) -> None:
    context, root = certificate

    async def run(host: str, roots, answers):
        async def greet(connection):
            await connection.send(b"hello")

        async with server.serve(greet, "127.0.0.1", 0, ssl=context) as secure:
            port = secure.sockets[0].getsockname()[1]
            answers.append((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)))
            async with connect(f"wss://{host}:{port}/x", allow_loopback=True, tls_roots=roots) as channel:
                return await channel.receive()

    answers: list = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: answers[-1:])
    assert asyncio.run(run("shop.example", root, answers)) == b"hello"
    for host, roots in (("other.example", root), ("shop.example", None)):
        with pytest.raises(FetchError):
            asyncio.run(run(host, roots, answers))


def test_no_redirect_is_followed() -> None:
    async def run():
        async with listening() as listener:

            def redirect(connection, _request):
                answer = connection.respond(302, "")
                answer.headers["Location"] = listener.address
                return answer

            async with server.serve(lambda _: None, "127.0.0.1", 0, process_request=redirect) as other:
                port = other.sockets[0].getsockname()[1]
                with pytest.raises(FetchError):
                    async with connecting(f"ws://127.0.0.1:{port}/x"):
                        pass

    asyncio.run(run())


def test_a_server_that_never_shakes_hands(monkeypatch) -> None:
    monkeypatch.setattr(proximity, "OPEN_SECONDS", 0.2)

    # It listens and takes nothing.
    with socket.create_server(("127.0.0.1", 0)) as quiet:
        address = f"ws://127.0.0.1:{quiet.getsockname()[1]}/x"

        async def run():
            with pytest.raises(FetchError):
                async with connecting(address):
                    pass

        asyncio.run(run())


def test_states_do_not_know_what_carries_them() -> None:
    """The loop of two machines and the WebSocket speak the same bytes."""
    assert engaged().engagement.websocket is None
    assert scanned(device.engage(DEVICE_KEY, now=NOW, websocket="wss://x.example/y")).kind == "scanned"
