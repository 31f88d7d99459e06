"""Engagement, ephemeral keys, session messages and requests: what is read and what is refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support.proximity import ASKED, DEVICE_KEY, DOC_TYPE, NAME_SPACE, READER, READER_KEY
from wallet_core.encoding import base64url, cbor
from wallet_core.errors import MalformedError, VerificationError
from wallet_core.formats.mdoc.device_request import MAX_ELEMENTS, parse_device_request
from wallet_core.protocols.iso18013 import ephemeral, session
from wallet_core.protocols.iso18013.engagement import (
    MAX_ENGAGEMENT_BYTES,
    WEBSOCKET_KEY,
    RetrievalMethod,
    create_device_engagement,
    format_qr,
    parse_device_engagement,
    parse_qr,
)
from wallet_core.protocols.iso18013.reader_auth import create_device_request
from wallet_core.protocols.iso18013.session import SessionStatus

BLE = RetrievalMethod(2, 1, {0: False, 1: True, 11: bytes(16)})
E_DEVICE_KEY = cbor.Tagged(24, ephemeral.encode(DEVICE_KEY.public_key))
E_READER_KEY = cbor.Tagged(24, ephemeral.encode(READER_KEY.public_key))


def engagement(**changes) -> bytes:
    members = {0: "1.0", 1: [1, E_DEVICE_KEY]} | {int(key[1:]): value for key, value in changes.items()}
    return cbor.dumps({key: value for key, value in members.items() if value is not None})


def test_an_engagement_goes_through_a_qr_code() -> None:
    made = create_device_engagement(
        DEVICE_KEY.public_key, retrieval_methods=[BLE], websocket="wss://wallet.example/proximity/AbC"
    )
    text = format_qr(made)
    assert text.startswith("mdoc:")
    assert "=" not in text
    assert parse_qr(text) == made
    assert parse_qr("MDOC:" + text[5:]) == made


def test_what_is_unknown_in_an_engagement_is_ignored() -> None:
    later = parse_device_engagement(engagement(_0="1.1", _5=[], _6={3: True}))
    assert later.version == "1.1"
    other_extension = cbor.dumps({0: "1.0", 1: [1, E_DEVICE_KEY], WEBSOCKET_KEY: {"not": "ours"}, -1: "x"})
    assert parse_device_engagement(other_extension).websocket is None
    longer = cbor.dumps({0: "1.0", 1: [1, E_DEVICE_KEY, "more"]})
    assert parse_device_engagement(longer).e_device_key == DEVICE_KEY.public_key


@pytest.mark.clause(
    "iso18013-8.2.1.1-version",
    "iso18013-8.2.1.1-methods",
    "iso18013-8.2.1.1-method-once",
    "iso18013-9.1.5.2-cipher-suite",
    "iso18013-9.1.5.2-curves",
    "iso18013-9.1.1.4-public",
)
@pytest.mark.parametrize(
    "data",
    [
        engagement(_0="2.0"),
        engagement(_0=1),
        engagement(_0=None),
        engagement(_1=None),
        engagement(_1=[1]),
        engagement(_1=[2, E_DEVICE_KEY]),
        engagement(_1=[True, E_DEVICE_KEY]),
        engagement(_1=[1, E_DEVICE_KEY.value]),
        engagement(_1=[1, cbor.Tagged(24, b"")]),
        engagement(_1=[1, cbor.Tagged(24, cbor.dumps({1: 2, -1: 6, -2: bytes(32)}))]),
        engagement(_1=[1, cbor.Tagged(24, cbor.dumps({1: 1, -1: 1, -2: bytes(32)}))]),
        engagement(_1=[1, cbor.Tagged(24, cbor.dumps({1: 2, -1: 257, -2: bytes(40), -3: bytes(40)}))]),
        engagement(_1=[1, cbor.Tagged(24, cbor.dumps({1: 2, -1: True, -2: bytes(32), -3: bytes(32)}))]),
        engagement(_1=[1, cbor.Tagged(24, cbor.dumps({1: 2, -1: 1, -2: bytes(32), -3: bytes(32)}))]),
        engagement(_1=[1, cbor.Tagged(24, cbor.dumps({1: 2, -1: 1, -2: bytes(31), -3: bytes(32)}))]),
        engagement(_1=[1, cbor.Tagged(24, cbor.dumps({**cbor.loads(E_DEVICE_KEY.value), -4: bytes(32)}))]),
        engagement(_2=[]),
        engagement(_2={}),
        engagement(_2=[[2, 1]]),
        engagement(_2=[["2", 1, {}]]),
        engagement(_2=[[2, 1, {}], [2, 1, {}]]),
        engagement() + b"\0",
        engagement(_9=bytes(MAX_ENGAGEMENT_BYTES)),
        b"",
        cbor.dumps([]),
    ],
)
def test_what_is_no_engagement(data) -> None:
    with pytest.raises(MalformedError):
        parse_device_engagement(data)


@pytest.mark.clause("iso18013-8.2.2.3-scheme")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "mdoc",
        "mdoc:",
        "mdoc:=",
        "mdoc://AAAA",
        f"openid4vp:{base64url.encode(engagement())}",
        "mdoc:" + "A" * 5000,
        f"mdic:{base64url.encode(engagement())}",
    ],
)
def test_what_is_no_code_of_an_mdoc(text) -> None:
    with pytest.raises(MalformedError):
        parse_qr(text)


def test_an_engagement_of_ours_is_a_good_one() -> None:
    with pytest.raises(ValueError, match="only once"):
        create_device_engagement(DEVICE_KEY.public_key, retrieval_methods=[BLE, BLE])
    with pytest.raises(ValueError, match="WebSocket"):
        create_device_engagement(DEVICE_KEY.public_key, websocket="https://wallet.example")


def test_a_compressed_key_is_read() -> None:
    raw = DEVICE_KEY.public_key.raw
    point = raw.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    data = cbor.dumps({1: 2, -1: 1, -2: point[1:], -3: point[0] == 3})
    assert ephemeral.parse(data, what="key") == DEVICE_KEY.public_key


@pytest.mark.clause("iso18013-9.1.1.4-curve")
def test_keys_of_two_curves_never_meet() -> None:
    with pytest.raises(VerificationError, match="two curves"):
        ephemeral.agree(DEVICE_KEY, ephemeral.generate(ephemeral.AgreementCurve.P384).public_key)
    # The same length of coordinates on another curve.
    with pytest.raises(VerificationError, match="two curves"):
        ephemeral.agree(DEVICE_KEY, ephemeral.generate(ephemeral.AgreementCurve.BRAINPOOL_P256R1).public_key)


@pytest.mark.parametrize(("curve", "size"), [(4, 32), (5, 56)])
def test_a_point_that_agrees_on_nothing(curve, size) -> None:
    nothing = ephemeral.parse(cbor.dumps({1: 1, -1: curve, -2: bytes(size)}), what="key")
    with pytest.raises(VerificationError, match="nothing secret"):
        ephemeral.agree(ephemeral.generate(nothing.curve), nothing)


def test_a_key_that_does_not_belong_to_its_curve() -> None:
    wrong = ephemeral.EphemeralPublicKey(ephemeral.AgreementCurve.P256, ephemeral.generate().public_key.raw)
    assert ephemeral.agree(DEVICE_KEY, wrong)
    x25519 = ephemeral.generate(ephemeral.AgreementCurve.X25519).public_key.raw
    with pytest.raises(TypeError):
        ephemeral.agree(DEVICE_KEY, ephemeral.EphemeralPublicKey(ephemeral.AgreementCurve.P256, x25519))
    with pytest.raises(KeyError):
        _ = ephemeral.EphemeralPrivateKey(ec.generate_private_key(ec.SECP256K1())).public_key


@pytest.mark.clause("iso18013-9.1.1.4-establishment")
@pytest.mark.parametrize(
    "members",
    [
        {"data": b"x"},
        {"eReaderKey": E_READER_KEY},
        {"eReaderKey": E_READER_KEY, "data": "x"},
        {"eReaderKey": E_READER_KEY.value, "data": b"x"},
        {"eReaderKey": cbor.Tagged(24, "x"), "data": b"x"},
        [],
    ],
)
def test_what_is_no_session_establishment(members) -> None:
    with pytest.raises(MalformedError):
        session.parse_session_establishment(cbor.dumps(members))


def test_the_readers_key_stays_as_it_came() -> None:
    """A longer head than necessary: the transcript has the bytes that were sent."""
    inner = E_READER_KEY.value
    written = b"\xd8\x18\x59\x00" + bytes([len(inner)]) + inner
    message = b"\xa2\x6aeReaderKey" + written + cbor.dumps("data") + cbor.dumps(b"x")
    found = session.parse_session_establishment(message)
    assert (found.e_reader_key_bytes, found.e_reader_key) == (written, inner)
    # An unknown member is for later editions.
    more = cbor.dumps({"eReaderKey": E_READER_KEY, "data": b"x", "more": 1})
    assert session.parse_session_establishment(more).data == b"x"


@pytest.mark.clause("iso18013-9.1.1.4-empty")
@pytest.mark.parametrize(
    "members",
    [{}, {"more": 1}, {"data": "x"}, {"status": "20"}, {"status": -1}, {"status": True}, {"data": 1, "status": 20}, []],
)
def test_what_is_no_session_data(members) -> None:
    with pytest.raises(MalformedError):
        session.parse_session_data(cbor.dumps(members))


@pytest.mark.clause("iso18013-9.1.1.4-error-without-data")
@pytest.mark.parametrize(("status", "data"), [(10, None), (11, None), (20, b"x"), (99, b"x")])
def test_data_beside_an_error_is_not_looked_at(status, data) -> None:
    found = session.parse_session_data(cbor.dumps({"data": b"x", "status": status}))
    assert (found.data, found.status) == (data, status)


def test_session_data_of_ours_is_good() -> None:
    for data, status in [(None, None), (b"x", SessionStatus.DECODING_ERROR), (b"x", SessionStatus.ENCRYPTION_ERROR)]:
        with pytest.raises(ValueError, match="SessionData"):
            session.create_session_data(data, status)
    with_both = session.parse_session_data(session.create_session_data(b"x", SessionStatus.TERMINATION))
    assert (with_both.data, with_both.status) == (b"x", 20)


@pytest.mark.clause("iso18013-8.3.2.1.2.1-elements")
@pytest.mark.parametrize(
    "name_spaces", [{}, {NAME_SPACE: {}}, {NAME_SPACE: {f"e{n}": True for n in range(MAX_ELEMENTS + 1)}}]
)
def test_a_request_names_some_elements_and_not_too_many(name_spaces) -> None:
    items_request = cbor.Tagged(24, cbor.dumps({"docType": DOC_TYPE, "nameSpaces": name_spaces}))
    with pytest.raises(MalformedError):
        parse_device_request(cbor.dumps({"version": "1.0", "docRequests": [{"itemsRequest": items_request}]}))


def test_what_is_unknown_in_a_request_is_passed_over() -> None:
    inside = {"docType": DOC_TYPE, "nameSpaces": ASKED, "requestInfo": {"zkRequest": {}}, "more": 1}
    items_request = cbor.Tagged(24, cbor.dumps(inside))
    members = {"version": "1.1", "docRequests": [{"itemsRequest": items_request, "more": 1}], "readerAuthAll": ["x"]}
    (found,) = parse_device_request(cbor.dumps(members)).doc_requests
    assert (found.doc_type, found.name_spaces, found.reader_auth) == (DOC_TYPE, ASKED, None)


def test_a_reader_that_signs_has_a_certificate() -> None:
    with pytest.raises(ValueError, match="x5chain"):
        create_device_request([(DOC_TYPE, ASKED)], session_transcript=b"\xf6", signer=READER.signer)
