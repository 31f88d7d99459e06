"""Sessions of ISO/IEC 18013-5 under noise: a message moves a machine on or ends it, and only WalletErrors leave.

Messages are valid ones with bytes, members or embedded CBOR changed; requests and answers are encrypted again, so that
the noise gets through to what lies inside.
"""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from tests.support.fuzzing import DRAWN, repeatedly
from tests.support.mutation import ODD_VALUES, mutate_text
from tests.support.proximity import CHOICE, LATER, NOW, READER, asking, careless, engaged, request, response, scanned
from wallet_core.encoding import cbor
from wallet_core.errors import WalletError
from wallet_core.formats.mdoc.device_request import parse_device_request
from wallet_core.protocols.iso18013 import device, reader
from wallet_core.protocols.iso18013.device import AwaitingConsent
from wallet_core.protocols.iso18013.ending import Ended
from wallet_core.protocols.iso18013.engagement import RetrievalMethod, format_qr, parse_device_engagement, parse_qr
from wallet_core.protocols.iso18013.session import create_session_data, create_session_establishment

PAIR = asking()
TRANSCRIPT = PAIR.reader.session.transcript
REQUEST = request(TRANSCRIPT)
RESPONSE = response()
ANSWER = device.respond(PAIR.device, device.approve(PAIR.device, CHOICE), RESPONSE, now=NOW)
ANSWERED = reader.receive(PAIR.reader, ANSWER.send, now=NOW).state
ENGAGEMENT = engaged(
    retrieval_methods=[RetrievalMethod(2, 1, {0: True, 11: bytes(16)})], websocket="wss://wallet.example/x"
).engagement
ESTABLISHMENT = reader.ask(scanned(), REQUEST, now=NOW).send
ODD_CBOR = [*ODD_VALUES, b"", bytes(40), cbor.Undefined, cbor.Tagged(24, b"\xff"), cbor.Tagged(1004, "x"), -(2**64)]


def mutate_cbor(random: Random, data: bytes) -> bytes:
    """Return ``data`` with one to three changes, in its bytes or in what they encode."""
    for _ in range(random.randint(1, 3)):
        data = _mutate_bytes(random, data) if random.random() < 0.3 else _mutate_inside(random, data)
    return data


def _mutate_bytes(random: Random, data: bytes) -> bytes:
    start = random.randrange(len(data) + 1)
    end = min(len(data), start + random.choice([0, 1, 1, 2, 30]))
    middle = random.choice(
        [b"", random.randbytes(1), random.randbytes(9), data[start:end] * 2, b"\xff", b"\x9f", b"\xbf"]
    )
    return data[:start] + middle + data[end:]


def _mutate_inside(random: Random, data: bytes) -> bytes:
    try:
        return cbor.dumps(_mutate_value(random, cbor.loads(data)))
    except WalletError:
        return _mutate_bytes(random, data)


def _mutate_value(random: Random, value: Any) -> Any:
    if isinstance(value, cbor.Tagged) and isinstance(value.value, bytes) and value.value and random.random() < 0.8:
        return cbor.Tagged(value.tag, _mutate_inside(random, value.value))
    if not isinstance(value, dict | list) or not value or random.random() < 0.1:
        return random.choice(ODD_CBOR)
    key = random.choice(list(value)) if isinstance(value, dict) else random.randrange(len(value))
    changed = dict(value) if isinstance(value, dict) else list(value)
    if random.random() < 0.8:
        changed[key] = _mutate_value(random, changed[key])
    else:
        del changed[key]
    return changed


def to_the_mdoc(message: bytes, state: device.DeviceState) -> None:
    move = device.receive(state, message, anchors=READER.anchors, now=LATER)
    assert isinstance(move.state, Ended | AwaitingConsent)


def to_the_reader(message: bytes, state: reader.ReaderState) -> None:
    move = reader.receive(state, message, now=LATER)
    assert isinstance(move.state, Ended | reader.Answered)
    if move.response is not None:
        with_documents = cbor.loads_map(move.response.device_response)
        assert isinstance(with_documents, dict)


def encrypted_request(random: Random) -> bytes:
    at_reader = scanned()
    _, data = careless(at_reader.session.channel).seal(mutate_cbor(random, REQUEST))
    return create_session_establishment(at_reader.e_reader_key_bytes, data)


def encrypted_answer(random: Random) -> bytes:
    return create_session_data(careless(PAIR.device.session.channel).seal(mutate_cbor(random, RESPONSE))[1])


def leaves(device_response: bytes) -> None:
    device.respond(PAIR.device, device.approve(PAIR.device, CHOICE), device_response, now=LATER)


TARGETS: dict[str, tuple[Callable[[Any], object], Callable[[Random], Any]]] = {
    "qr": (parse_qr, lambda random: mutate_text(random, format_qr(ENGAGEMENT))),
    "engagement": (parse_device_engagement, lambda random: mutate_cbor(random, ENGAGEMENT.encoded)),
    "request": (parse_device_request, lambda random: mutate_cbor(random, REQUEST)),
    "establishment": (lambda m: to_the_mdoc(m, engaged()), lambda random: mutate_cbor(random, ESTABLISHMENT)),
    "establishment.request": (lambda m: to_the_mdoc(m, engaged()), encrypted_request),
    "data.at_the_mdoc": (lambda m: to_the_mdoc(m, ANSWER.state), lambda random: mutate_cbor(random, ANSWER.send)),
    "data.too_early": (lambda m: to_the_mdoc(m, PAIR.device), lambda random: mutate_cbor(random, ANSWER.send)),
    "data.at_the_reader": (lambda m: to_the_reader(m, PAIR.reader), lambda random: mutate_cbor(random, ANSWER.send)),
    "data.too_late": (lambda m: to_the_reader(m, ANSWERED), lambda random: mutate_cbor(random, ANSWER.send)),
    "data.answer": (lambda m: to_the_reader(m, PAIR.reader), encrypted_answer),
    "answer.leaves": (leaves, lambda random: mutate_cbor(random, RESPONSE)),
}


def test_the_messages_that_are_changed_are_good_ones() -> None:
    assert parse_qr(format_qr(ENGAGEMENT)) == parse_device_engagement(ENGAGEMENT.encoded) == ENGAGEMENT
    for name, message in [("request", REQUEST), ("answer.leaves", RESPONSE), ("data.at_the_reader", ANSWER.send)]:
        TARGETS[name][0](message)


# The library warns of odd certificates where it does not refuse them; a warning is no exception in production.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.fuzz
@pytest.mark.parametrize("name", TARGETS)
def test_only_wallet_errors_leave(name: str, fuzz_seconds: float) -> None:
    call, draw = TARGETS[name]

    @DRAWN
    @given(st.randoms(use_true_random=True))
    def run(random: Random) -> None:
        message = draw(random)
        note(repr(message))
        try:
            call(message)
        except WalletError:
            # A machine swallows what the other side sends; only parsers and our own mistakes raise.
            assert name in {"qr", "engagement", "request", "answer.leaves"}

    repeatedly(run, seconds=fuzz_seconds)
