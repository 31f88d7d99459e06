"""Bad readers, bad mdocs and whoever stands between them: one attack, one test."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.proximity import (
    ASKED,
    CHOICE,
    DOC_TYPE,
    LATER,
    NAME_SPACE,
    NOW,
    READER,
    READER_NAME,
    asking,
    careless,
    certify,
    engaged,
    new_reader,
    request,
    response,
    scanned,
)
from wallet_core.cose import sign1
from wallet_core.encoding import cbor
from wallet_core.errors import (
    Expired,
    InvalidSignature,
    MalformedError,
    NotYetValid,
    QueryNotSatisfied,
    StateConflict,
    UntrustedError,
    VerificationError,
)
from wallet_core.formats.mdoc.device_request import parse_device_request, reader_authentication_bytes
from wallet_core.formats.mdoc.document import parse_device_response
from wallet_core.protocols.iso18013 import device, ephemeral, reader, session
from wallet_core.protocols.iso18013.ending import Ended, EndReason
from wallet_core.protocols.iso18013.reader_auth import (
    UnknownReader,
    VerifiedReader,
    verify_reader,
)
from wallet_core.protocols.iso18013.session import SecureChannel, create_session_data, create_session_establishment
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.trust.profiles import EKU_CREDENTIAL_ISSUER, EKU_MDL_DOCUMENT_SIGNER, EKU_VERIFIER_ACCESS

PAIR = asking()
TRANSCRIPT = PAIR.reader.session.transcript
ANSWER = device.respond(PAIR.device, device.approve(PAIR.device, CHOICE), response(), now=NOW)
ESTABLISHMENT = reader.ask(scanned(), request(scanned().session.transcript), now=NOW).send


def at_the_mdoc(message: bytes, state=None) -> device.DeviceMove:
    return device.receive(state or engaged(), message, anchors=READER.anchors, now=LATER)


def at_the_reader(message: bytes) -> reader.ReaderMove:
    return reader.receive(PAIR.reader, message, now=LATER)


def told(move) -> int:
    return cbor.loads(move.send)["status"]


def encrypted(plaintext: bytes) -> bytes:
    """A SessionEstablishment of our reader with another content."""
    at_reader = scanned()
    _, data = careless(at_reader.session.channel).seal(plaintext)
    return create_session_establishment(at_reader.e_reader_key_bytes, data)


def changed(message: bytes, at: int) -> bytes:
    return message[:at] + bytes([message[at] ^ 1]) + message[at + 1 :]


# --- session encryption ----------------------------------------------------------------------------------------------


@pytest.mark.clause("iso18013-9.1.1.5-tag")
@pytest.mark.parametrize("at", [-1, -16, -17, -200])
def test_a_changed_request(at) -> None:
    move = at_the_mdoc(changed(ESTABLISHMENT, len(ESTABLISHMENT) + at))
    assert (move.state.reason, told(move)) == (EndReason.NOT_DECRYPTED, 10)


@pytest.mark.clause("iso18013-9.1.1.5-tag")
@pytest.mark.parametrize("at", [-1, -16, -17, -50])
def test_a_changed_answer(at) -> None:
    move = at_the_reader(changed(ANSWER.send, len(ANSWER.send) + at))
    assert (move.state.reason, told(move), move.response) == (EndReason.NOT_DECRYPTED, 10, None)


@pytest.mark.clause("iso18013-9.1.1.5-tag-whole")
@pytest.mark.parametrize("size", [0, 1, 15])
def test_less_than_a_tag(size) -> None:
    assert at_the_reader(create_session_data(bytes(size))).state.description == "the message is shorter than its tag"


@pytest.mark.parametrize("size", [0, 1, 20, -1])
def test_a_truncated_message(size) -> None:
    assert told(at_the_mdoc(ESTABLISHMENT[:size])) == 11
    assert told(at_the_reader(ANSWER.send[:size])) == 11


def test_bytes_after_the_end() -> None:
    assert told(at_the_mdoc(ESTABLISHMENT + b"\0")) == 11
    assert told(at_the_reader(ANSWER.send + b"\0")) == 11


def test_a_message_that_is_too_long() -> None:
    assert told(at_the_reader(create_session_data(bytes(session.MAX_MESSAGE_BYTES)))) == 11


@pytest.mark.clause("iso18013-9.1.1.5-tag", "iso18013-9.1.1.5-counter")
def test_an_answer_a_second_time() -> None:
    """The reader asks again, and gets the bytes of the first answer."""
    again = reader.ask(at_the_reader(ANSWER.send).state, request(TRANSCRIPT), now=LATER)
    move = reader.receive(again.state, ANSWER.send, now=LATER)
    assert move.state.reason is EndReason.NOT_DECRYPTED


@pytest.mark.clause("iso18013-9.1.1.5-tag", "iso18013-9.1.1.5-counter")
def test_a_request_a_second_time() -> None:
    data = session.parse_session_establishment(ESTABLISHMENT).data
    assert at_the_mdoc(create_session_data(data), ANSWER.state).state.reason is EndReason.NOT_DECRYPTED


@pytest.mark.clause("iso18013-9.1.1.5-tag")
def test_a_request_that_was_left_out() -> None:
    at_reader = at_the_reader(ANSWER.send).state
    at_reader = replace(at_reader, session=replace(at_reader.session, channel=careless(at_reader.session.channel)))
    skipped = reader.ask(at_reader, request(TRANSCRIPT), now=LATER).state
    second = reader.ask(replace(at_reader, session=skipped.session), request(TRANSCRIPT), now=LATER)
    assert second.state.session.channel.sent == 3
    assert at_the_mdoc(second.send, ANSWER.state).state.reason is EndReason.NOT_DECRYPTED


@pytest.mark.clause("iso18013-9.1.1.5-tag")
def test_an_answer_thrown_back_at_who_sent_it() -> None:
    """Each side has its own key and its own first half of the initialization vector."""
    assert at_the_mdoc(ANSWER.send, ANSWER.state).state.reason is EndReason.NOT_DECRYPTED


@pytest.mark.clause("iso18013-9.1.1.5-tag")
def test_the_key_of_another_reader() -> None:
    """Whoever puts a key of its own into the first message has not the request's key."""
    other = cbor.embed(ephemeral.encode(ephemeral.generate().public_key))
    data = session.parse_session_establishment(ESTABLISHMENT).data
    assert told(at_the_mdoc(create_session_establishment(other, data))) == 10


@pytest.mark.clause("iso18013-9.1.1.5-tag")
def test_a_reader_that_saw_another_code() -> None:
    other = device.engage(ephemeral.generate(), now=NOW)
    assert told(at_the_mdoc(ESTABLISHMENT, other)) == 10


@pytest.mark.clause("iso18013-9.1.1.5-tag")
def test_another_handover() -> None:
    """The same keys, another transcript: whoever moved the code from one channel to another is found out."""
    other = engaged(handover=cbor.dumps([b"select", None]))
    assert told(at_the_mdoc(ESTABLISHMENT, other)) == 10


@pytest.mark.clause("iso18013-9.1.1.4-curve", "iso18013-9.1.5.2-curves")
@pytest.mark.parametrize(
    "key",
    [
        ephemeral.encode(ephemeral.generate(ephemeral.AgreementCurve.P384).public_key),
        cbor.dumps({1: 2, -1: 1, -2: bytes(32), -3: bytes(32)}),
        cbor.dumps({1: 2, -1: 9, -2: bytes(32), -3: bytes(32)}),
        b"\xff",
    ],
)
def test_a_key_of_the_reader_that_is_none(key) -> None:
    move = at_the_mdoc(create_session_establishment(cbor.embed(key), bytes(40)))
    assert (move.state.reason, told(move)) == (EndReason.NOT_DECRYPTED, 10)


# --- after the end, out of turn --------------------------------------------------------------------------------------


@pytest.mark.clause("iso18013-9.1.1.4-over")
def test_a_message_after_the_end() -> None:
    over = device.end(ANSWER.state, now=LATER).state
    with pytest.raises(StateConflict):
        at_the_mdoc(ESTABLISHMENT, over)
    with pytest.raises(StateConflict):
        reader.receive(Ended(EndReason.ENDED, NOW), ANSWER.send, now=LATER)


@pytest.mark.clause("iso18013-9.1.1.4-turn")
def test_a_second_request_while_the_person_decides() -> None:
    channel, data = careless(PAIR.reader.session.channel).seal(request(TRANSCRIPT))
    assert channel.sent == 2
    move = at_the_mdoc(create_session_data(data), PAIR.device)
    assert (move.state.reason, told(move)) == (EndReason.OUT_OF_TURN, 20)


@pytest.mark.clause("iso18013-9.1.1.4-status-ends")
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (20, EndReason.ENDED_BY_PEER),
        (10, EndReason.REFUSED_BY_PEER),
        (11, EndReason.REFUSED_BY_PEER),
        (0, EndReason.REFUSED_BY_PEER),
        (99, EndReason.REFUSED_BY_PEER),
    ],
)
def test_every_status_ends_the_session(status, reason) -> None:
    message = cbor.dumps({"status": status})
    for state in (PAIR.device, ANSWER.state):
        move = at_the_mdoc(message, state)
        assert (move.state.reason, move.send) == (reason, None)
    assert at_the_reader(message).state.reason is reason


def test_an_answer_beside_the_status_of_an_error_is_not_believed() -> None:
    data = session.parse_session_data(ANSWER.send).data
    move = at_the_reader(cbor.dumps({"data": data, "status": 10}))
    assert (move.response, move.state.reason) == (None, EndReason.REFUSED_BY_PEER)


# --- what was decrypted ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plaintext", "status"),
    [
        (b"", 11),
        (b"\xff", 11),
        (b"\xa0\0", 11),
        (b"\xa1\x61a\x01" * 2, 11),
        (b"\xa2\x61a\x01\x61a\x02", 11),
        (b"\xbf\xff", 11),
        (b"\xa0", 12),
        (b"\x80", 12),
    ],
)
def test_a_request_that_decrypts_but_is_none(plaintext, status) -> None:
    """The mdoc answers with a status and no document, and ends the session."""
    move = at_the_mdoc(encrypted(plaintext))
    assert move.state.reason is EndReason.NOT_DECODED
    answer = at_the_reader(move.send)
    assert cbor.loads(answer.response.device_response) == {"version": "1.0", "status": status}
    assert answer.state.reason is EndReason.ENDED_BY_PEER


@pytest.mark.parametrize("plaintext", [b"", b"\x80", b"\xa0\0", b"\xff", b"\xa2\x61a\x01\x61a\x02"])
def test_an_answer_that_decrypts_but_is_none(plaintext) -> None:
    _, data = careless(PAIR.device.session.channel).seal(plaintext)
    move = at_the_reader(create_session_data(data))
    assert (move.state.reason, told(move), move.response) == (EndReason.NOT_DECODED, 11, None)


@pytest.mark.clause("iso18013-8.3.2.1.2.2-shown-asked")
@pytest.mark.parametrize(
    "asked",
    [
        [],
        [("org.iso.23220.photoid.1", ASKED)],
        [(DOC_TYPE, {NAME_SPACE: {"family_name": True}})],
        [(DOC_TYPE, {NAME_SPACE: {"age_over_19": True}}), ("org.iso.23220.photoid.1", ASKED)],
    ],
)
def test_an_answer_that_shows_more_than_was_asked(asked) -> None:
    documents = parse_device_response(response()).documents
    reader.validate_asked(documents, [(DOC_TYPE, ASKED)])
    two = [(DOC_TYPE, {NAME_SPACE: {"family_name": True}}), (DOC_TYPE, {NAME_SPACE: {"age_over_65": True}})]
    reader.validate_asked(documents, two)
    with pytest.raises(QueryNotSatisfied):
        reader.validate_asked(documents, asked)


# --- who asks --------------------------------------------------------------------------------------------------------


def doc_request(identity, *, over=None, asked=None):
    (found,) = parse_device_request(
        request(over or TRANSCRIPT, signed_by=identity, asked=asked or (ASKED,))
    ).doc_requests
    return found


def verify(found, *, anchors=READER.anchors, now=NOW, transcript=TRANSCRIPT) -> VerifiedReader:
    return verify_reader(found, session_transcript=transcript, anchors=anchors, now=now)


@pytest.mark.clause("iso18013-9.1.4.4-chain", "iso18013-9.1.4.4-signature")
def test_a_good_reader() -> None:
    assert verify(doc_request(READER)).certificate.public_key == READER.signer.public_key
    assert verify(doc_request(certify(READER))).name == READER_NAME


@pytest.mark.clause("iso18013-B.1.7-usage")
@pytest.mark.parametrize("usages", [None, (EKU_VERIFIER_ACCESS,)])
def test_a_certificate_without_the_usage_of_readers(usages) -> None:
    with pytest.raises(UntrustedError, match="not for reader authentication") as refusal:
        verify(doc_request(certify(READER, usages=usages)))
    assert refusal.value.step == 3


@pytest.mark.parametrize("usages", [(EKU_MDL_DOCUMENT_SIGNER,), (EKU_CREDENTIAL_ISSUER,)])
def test_a_certificate_of_an_issuer(usages) -> None:
    with pytest.raises(UntrustedError):
        verify(doc_request(certify(READER, usages=usages)))


@pytest.mark.clause("iso18013-9.1.4.4-chain")
def test_an_expired_certificate() -> None:
    with pytest.raises(Expired):
        verify(doc_request(certify(READER, until=NOW - timedelta(seconds=1))))


@pytest.mark.clause("iso18013-9.1.4.4-chain")
def test_a_certificate_of_tomorrow() -> None:
    with pytest.raises(NotYetValid):
        verify(doc_request(certify(READER, start=NOW + timedelta(seconds=1))))


@pytest.mark.clause("iso18013-9.1.4.4-chain")
@pytest.mark.parametrize("anchors", [new_reader().anchors, TrustAnchors()])
def test_a_reader_that_nobody_vouches_for(anchors) -> None:
    with pytest.raises(UntrustedError):
        verify(doc_request(READER), anchors=anchors)


@pytest.mark.clause("iso18013-9.1.4.4-signature")
def test_a_signature_over_the_transcript_of_another_session() -> None:
    other = reader.scan(engaged().engagement, ephemeral.generate(), now=NOW).session.transcript
    with pytest.raises(InvalidSignature) as refusal:
        verify(doc_request(READER, over=other))
    assert refusal.value.step == 5


@pytest.mark.clause("iso18013-9.1.4.4-signature")
def test_a_signature_over_another_request() -> None:
    signed = doc_request(READER, asked=({NAME_SPACE: {"age_over_19": False}},))
    with pytest.raises(InvalidSignature):
        verify(replace(doc_request(READER), reader_auth=signed.reader_auth))


@pytest.mark.clause("iso18013-9.1.4.4-signature")
def test_the_certificate_of_another_reader() -> None:
    impostor = replace(new_reader(), certificate=READER.certificate)
    with pytest.raises(InvalidSignature):
        verify(doc_request(impostor))


@pytest.mark.clause("iso18013-9.1.4.4-detached")
def test_a_signature_that_carries_its_content() -> None:
    found = doc_request(READER)
    content = reader_authentication_bytes(TRANSCRIPT, found.items_request_bytes)
    header = sign1.x5chain_header([READER.certificate])
    whole = sign1.parse(sign1.sign(content, READER.signer, unprotected=header), tagged=False)
    with pytest.raises(VerificationError, match="carries its content") as refusal:
        verify(replace(found, reader_auth=whole))
    assert refusal.value.step == 4


def test_a_request_without_signature_or_certificate() -> None:
    with pytest.raises(VerificationError, match="not signed"):
        verify(doc_request(None))
    bare = replace(doc_request(READER).reader_auth, unprotected={})
    with pytest.raises(VerificationError, match="no certificate"):
        verify(replace(doc_request(READER), reader_auth=bare))


@pytest.mark.parametrize("chain", [b"", b"\x30\x00", [], [b"x"] * 9, "x", 1])
def test_a_certificate_that_is_none(chain) -> None:
    broken = replace(doc_request(READER).reader_auth, unprotected={33: chain})
    with pytest.raises(MalformedError):
        verify(replace(doc_request(READER), reader_auth=broken))


@pytest.mark.clause("iso18013-7.2.1-not-a-precondition")
@pytest.mark.parametrize(
    "identity",
    [
        certify(READER, usages=None),
        certify(READER, until=NOW - timedelta(seconds=1)),
        replace(READER, certificate=b"\x30\x00"),
        replace(new_reader(), certificate=READER.certificate),
        new_reader(),
    ],
)
def test_every_one_of_them_may_ask_as_unknown(identity) -> None:
    (asked,) = asking(signed_by=identity).device.asked
    assert isinstance(asked.reader, UnknownReader)
    assert asked.reader.reason


def test_each_document_has_its_own_reader() -> None:
    """One signed part beside one that is not: the signature says nothing about the other."""
    at_reader = scanned()
    signed = cbor.loads(request(at_reader.session.transcript))
    unsigned = cbor.loads(
        request(at_reader.session.transcript, signed_by=None, asked=({NAME_SPACE: {"portrait": True}},))
    )
    both = cbor.dumps({**signed, "docRequests": [*signed["docRequests"], *unsigned["docRequests"]]})
    asked = at_the_mdoc(reader.ask(at_reader, both, now=NOW).send).state.asked
    assert [type(each.reader) for each in asked] == [VerifiedReader, UnknownReader]


def test_a_channel_of_the_wrong_side_opens_nothing() -> None:
    keys = session.derive_session_keys(ephemeral.generate(), ephemeral.generate().public_key, TRANSCRIPT)
    _, data = SecureChannel.of_reader(keys).seal(b"x")
    with pytest.raises(VerificationError):
        SecureChannel.of_reader(keys).open(data)
