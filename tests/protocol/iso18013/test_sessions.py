"""Both machines: every state against every input, two of them joined in memory, and time."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.proximity import (
    ASKED,
    CHOICE,
    DEVICE_KEY,
    DEVICE_SIGNER,
    DOC_TYPE,
    LATER,
    MDOC,
    NAME_SPACE,
    NOW,
    OTHER_NAME_SPACE,
    READER,
    READER_KEY,
    READER_NAME,
    SHOWN,
    asking,
    engaged,
    request,
    response,
    scanned,
    verified,
)
from wallet_core.errors import (
    HolderBindingError,
    LocalProtocolError,
    MalformedError,
    StateConflict,
    VerificationError,
    WalletError,
)
from wallet_core.formats.mdoc.document import encode_device_response
from wallet_core.formats.mdoc.holder import create_maced_document
from wallet_core.formats.mdoc.verifier import DeviceAuth
from wallet_core.keys.algorithms import PublicKey
from wallet_core.protocols.iso18013 import device, ephemeral, reader
from wallet_core.protocols.iso18013.device import ApprovedElements
from wallet_core.protocols.iso18013.ending import ENGAGED_FOR, IDLE_FOR, Ended, EndReason
from wallet_core.protocols.iso18013.ephemeral import AgreementCurve, EphemeralPrivateKey
from wallet_core.protocols.iso18013.reader_auth import UnknownReader, VerifiedReader
from wallet_core.protocols.iso18013.session import SecureChannel, SessionStatus, create_session_data

PAIR = asking()
APPROVED = device.approve(PAIR.device, CHOICE)
RESPONSE = response()
ANSWER = device.respond(PAIR.device, APPROVED, RESPONSE, now=NOW)
LAST_ANSWER = device.respond(PAIR.device, APPROVED, RESPONSE, now=NOW, last=True)
ANSWERED = reader.receive(PAIR.reader, ANSWER.send, now=NOW)
AGAIN = request(PAIR.reader.session.transcript)
SECOND_REQUEST = reader.ask(ANSWERED.state, AGAIN, now=NOW)
TERMINATION = create_session_data(status=SessionStatus.TERMINATION)
ESTABLISHMENT = reader.ask(scanned(), request(scanned().session.transcript), now=NOW).send
OVER = Ended(EndReason.ENDED, NOW)

DEVICE_STATES = {"engaged": engaged(), "awaiting_consent": PAIR.device, "answered": ANSWER.state, "ended": OVER}
DEVICE_INPUTS = {
    "establishment": lambda state: device.receive(state, ESTABLISHMENT, anchors=READER.anchors, now=LATER),
    "next request": lambda state: device.receive(state, SECOND_REQUEST.send, anchors=READER.anchors, now=LATER),
    "status": lambda state: device.receive(state, TERMINATION, anchors=READER.anchors, now=LATER),
    "noise": lambda state: device.receive(state, b"\xff", anchors=READER.anchors, now=LATER),
    "respond": lambda state: device.respond(state, APPROVED, RESPONSE, now=LATER),
    "decline": lambda state: device.decline(state, now=LATER),
    "end": lambda state: device.end(state, now=LATER),
    "time": lambda state: device.observe(state, now=NOW + timedelta(hours=1)),
}
DEVICE_TABLE = {
    "engaged": {
        "establishment": "awaiting_consent",
        "next request": EndReason.NOT_DECODED,
        "status": EndReason.NOT_DECODED,
        "noise": EndReason.NOT_DECODED,
        "end": EndReason.ENDED,
        "time": EndReason.TIMED_OUT,
    },
    "awaiting_consent": {
        "establishment": EndReason.OUT_OF_TURN,
        "next request": EndReason.OUT_OF_TURN,
        "status": EndReason.ENDED_BY_PEER,
        "noise": EndReason.NOT_DECODED,
        "respond": "answered",
        "decline": EndReason.DECLINED,
        "end": EndReason.ENDED,
        "time": EndReason.TIMED_OUT,
    },
    "answered": {
        "establishment": EndReason.NOT_DECRYPTED,
        "next request": "awaiting_consent",
        "status": EndReason.ENDED_BY_PEER,
        "noise": EndReason.NOT_DECODED,
        "end": EndReason.ENDED,
        "time": EndReason.TIMED_OUT,
    },
    "ended": {"time": EndReason.ENDED},
}

READER_STATES = {"scanned": scanned(), "waiting": PAIR.reader, "answered": ANSWERED.state, "ended": OVER}
READER_INPUTS = {
    "ask": lambda state: reader.ask(state, AGAIN, now=LATER),
    "answer": lambda state: reader.receive(state, ANSWER.send, now=LATER),
    "last answer": lambda state: reader.receive(state, LAST_ANSWER.send, now=LATER),
    "status": lambda state: reader.receive(state, TERMINATION, now=LATER),
    "noise": lambda state: reader.receive(state, b"\xff", now=LATER),
    "end": lambda state: reader.end(state, now=LATER),
    "time": lambda state: reader.observe(state, now=NOW + timedelta(hours=1)),
}
READER_TABLE = {
    "scanned": {"ask": "waiting", "end": EndReason.ENDED, "time": EndReason.TIMED_OUT},
    "waiting": {
        "answer": "answered",
        "last answer": EndReason.ENDED_BY_PEER,
        "status": EndReason.ENDED_BY_PEER,
        "noise": EndReason.NOT_DECODED,
        "end": EndReason.ENDED,
        "time": EndReason.TIMED_OUT,
    },
    "answered": {
        "ask": "waiting",
        "answer": EndReason.OUT_OF_TURN,
        "last answer": EndReason.OUT_OF_TURN,
        "status": EndReason.ENDED_BY_PEER,
        "noise": EndReason.NOT_DECODED,
        "end": EndReason.ENDED,
        "time": EndReason.TIMED_OUT,
    },
    "ended": {"time": EndReason.ENDED},
}


def outcome(state) -> str:
    return state.reason if isinstance(state, Ended) else state.kind


@pytest.mark.clause("iso18013-9.1.1.4-over", "iso18013-9.1.1.4-turn", "iso18013-9.1.1.4-time")
@pytest.mark.parametrize("given", DEVICE_INPUTS)
@pytest.mark.parametrize("name", DEVICE_STATES)
def test_every_state_and_input_of_the_mdoc(name, given) -> None:
    if given in DEVICE_TABLE[name]:
        assert outcome(DEVICE_INPUTS[given](DEVICE_STATES[name]).state) == DEVICE_TABLE[name][given]
    else:
        with pytest.raises(StateConflict):
            DEVICE_INPUTS[given](DEVICE_STATES[name])


@pytest.mark.clause(
    "iso18013-9.1.1.4-one-request",
    "iso18013-9.1.1.4-reader-first",
    "iso18013-9.1.1.4-reader-turn",
    "iso18013-9.1.1.4-reader-time",
)
@pytest.mark.parametrize("given", READER_INPUTS)
@pytest.mark.parametrize("name", READER_STATES)
def test_every_state_and_input_of_the_reader(name, given) -> None:
    if given in READER_TABLE[name]:
        assert outcome(READER_INPUTS[given](READER_STATES[name]).state) == READER_TABLE[name][given]
    else:
        with pytest.raises(StateConflict):
            READER_INPUTS[given](READER_STATES[name])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(DEVICE_INPUTS))), st.binary(max_size=200))
def test_however_the_inputs_come_the_mdoc_ends_or_refuses(inputs, noise) -> None:
    state = DEVICE_STATES["engaged"]
    for name in inputs:
        try:
            move = DEVICE_INPUTS[name](state)
        except StateConflict:
            continue
        except LocalProtocolError:
            # The consent was to the first request, and another one came.
            assert name == "respond"
            continue
        state = move.state
        if isinstance(state, Ended):
            assert not hasattr(state, "session")
    if not isinstance(state, Ended):
        assert isinstance(device.receive(state, noise, anchors=READER.anchors, now=LATER).state, Ended)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(READER_INPUTS))), st.binary(max_size=200))
def test_however_the_inputs_come_the_reader_ends_or_refuses(inputs, noise) -> None:
    state = READER_STATES["scanned"]
    for name in inputs:
        try:
            state = READER_INPUTS[name](state).state
        except StateConflict:
            continue
    if isinstance(state, reader.Waiting | reader.Answered):
        assert isinstance(reader.receive(state, noise, now=LATER).state, Ended)


@pytest.mark.parametrize("curve", AgreementCurve)
def test_a_session_on_every_curve(curve) -> None:
    device_key, reader_key = ephemeral.generate(curve), ephemeral.generate(curve)
    at_device = device.engage(device_key, now=NOW)
    at_reader = reader.scan(at_device.engagement, reader_key, now=NOW)
    asked = reader.ask(at_reader, request(at_reader.session.transcript), now=NOW)
    waiting = device.receive(at_device, asked.send, anchors=READER.anchors, now=NOW).state
    assert ephemeral.parse(ephemeral.encode(waiting.session.e_reader_key), what="key").curve is curve
    answer = device.respond(waiting, device.approve(waiting, CHOICE), RESPONSE, now=NOW)
    assert reader.receive(asked.state, answer.send, now=NOW).response.device_response == RESPONSE


@pytest.mark.clause("iso18013-9.1.1.5-counter")
def test_requests_and_answers_go_on_in_one_session_and_no_counter_comes_twice() -> None:
    at_device, at_reader, seen = engaged(), scanned(), set()
    for count in range(1, 6):
        asked = reader.ask(at_reader, request(scanned().session.transcript), now=NOW)
        waiting = device.receive(at_device, asked.send, anchors=READER.anchors, now=NOW).state
        answer = device.respond(waiting, device.approve(waiting, CHOICE), RESPONSE, now=NOW)
        received = reader.receive(asked.state, answer.send, now=NOW)
        assert received.response.device_response == RESPONSE
        at_device, at_reader = answer.state, received.state
        assert at_device.session.channel.sent == at_device.session.channel.received == count
        assert at_reader.session.channel.sent == at_reader.session.channel.received == count
        seen |= {asked.send, answer.send}
    # The same plaintexts, and never the same message.
    assert len(seen) == 10
    farewell = reader.end(at_reader, now=NOW)
    over = device.receive(at_device, farewell.send, anchors=READER.anchors, now=NOW)
    assert (over.state.reason, over.send) == (EndReason.ENDED_BY_PEER, None)


def test_the_answer_is_verified_with_what_the_reader_got() -> None:
    found = verified(ANSWERED.response)
    assert found.claims == {NAME_SPACE: {"family_name": "시험", "age_over_19": True}}
    assert found.device_auth is DeviceAuth.SIGNATURE


def test_the_device_may_prove_itself_by_a_mac() -> None:
    pair = asking()
    session, approved = pair.device.session, device.approve(pair.device, CHOICE)
    key = session.mac_key(EphemeralPrivateKey(DEVICE_SIGNER.private_key))
    document = create_maced_document(MDOC, SHOWN, session_transcript=session.transcript, mac_key=key)
    answer = device.respond(pair.device, approved, encode_device_response([document]), now=NOW)
    received = reader.receive(pair.reader, answer.send, now=NOW).response
    assert verified(received).device_auth is DeviceAuth.MAC
    other = replace(received, private_key=ephemeral.generate())
    with pytest.raises(HolderBindingError):
        verified(other)


def test_a_device_key_on_another_curve_makes_no_mac() -> None:
    with pytest.raises(VerificationError):
        PAIR.device.session.mac_key(ephemeral.generate(AgreementCurve.P384))
    with pytest.raises(VerificationError):
        ephemeral.of_device_key(PublicKey(ed25519.Ed25519PrivateKey.generate().public_key()))


def test_an_answer_that_was_made_for_another_session() -> None:
    other = reader.scan(engaged().engagement, ephemeral.generate(), now=NOW).session.transcript
    pair = asking()
    approved = device.approve(pair.device, CHOICE)
    answer = device.respond(pair.device, approved, response(transcript=other), now=NOW)
    received = reader.receive(pair.reader, answer.send, now=NOW).response
    with pytest.raises(HolderBindingError):
        verified(received)


def test_the_mdoc_says_who_asks_for_what() -> None:
    (asked,) = PAIR.device.asked
    assert (asked.doc_type, asked.name_spaces) == (DOC_TYPE, ASKED)
    assert isinstance(asked.reader, VerifiedReader)
    assert asked.reader.name == READER_NAME


@pytest.mark.clause("iso18013-7.2.1-not-a-precondition")
def test_an_unknown_reader_may_ask_and_be_answered() -> None:
    pair = asking(signed_by=None)
    assert pair.device.asked[0].reader == UnknownReader("the request is not signed", "ISO/IEC 18013-5 9.1.4.4")
    answer = device.respond(pair.device, device.approve(pair.device, CHOICE), RESPONSE, now=NOW)
    assert reader.receive(pair.reader, answer.send, now=NOW).response.device_response == RESPONSE


@pytest.mark.clause("iso18013-9.1.1.4-time", "iso18013-9.1.1.4-reader-time")
@pytest.mark.parametrize("side", ["device", "reader"])
def test_time_alone(side) -> None:
    machine, states = (device, DEVICE_STATES) if side == "device" else (reader, READER_STATES)
    for name, state in states.items():
        change = machine.next_change(state)
        assert machine.observe(state, now=NOW).state == state
        if change is None:
            assert name == "ended"
            continue
        assert change - NOW in {ENGAGED_FOR, IDLE_FOR}
        assert machine.observe(state, now=change - timedelta(seconds=1)).state == state
        over = machine.observe(state, now=change)
        assert over.state == Ended(EndReason.TIMED_OUT, change)
        # Nobody is told who has not come yet.
        assert over.send == (None if name in {"engaged", "scanned"} else TERMINATION)


LATE = NOW + IDLE_FOR


@pytest.mark.clause("iso18013-9.1.1.4-late", "iso18013-9.1.1.4-late-consent", "iso18013-9.1.1.4-reader-late")
@pytest.mark.parametrize(
    "late",
    [
        lambda: device.receive(engaged(), ESTABLISHMENT, anchors=READER.anchors, now=NOW + ENGAGED_FOR),
        lambda: device.receive(ANSWER.state, SECOND_REQUEST.send, anchors=READER.anchors, now=LATE),
        lambda: device.respond(PAIR.device, APPROVED, RESPONSE, now=LATE),
        lambda: reader.receive(PAIR.reader, ANSWER.send, now=LATE),
    ],
)
def test_what_comes_too_late_is_not_looked_at(late) -> None:
    move = late()
    assert move.state.reason is EndReason.TIMED_OUT
    assert move.send in {None, TERMINATION}


def test_the_person_says_no_and_the_reader_learns_only_that() -> None:
    move = device.decline(PAIR.device, now=NOW)
    assert move == device.DeviceMove(Ended(EndReason.DECLINED, NOW), TERMINATION)
    assert reader.receive(PAIR.reader, move.send, now=NOW).state.reason is EndReason.ENDED_BY_PEER


def test_an_answer_may_end_the_session() -> None:
    assert LAST_ANSWER.state == Ended(EndReason.ENDED, NOW)
    move = reader.receive(PAIR.reader, LAST_ANSWER.send, now=NOW)
    assert (move.state.reason, move.response.device_response) == (EndReason.ENDED_BY_PEER, RESPONSE)


def test_the_reader_may_say_that_it_could_not_read_the_answer() -> None:
    move = reader.end(ANSWERED.state, now=NOW, status=SessionStatus.DECODING_ERROR)
    over = device.receive(ANSWER.state, move.send, anchors=READER.anchors, now=NOW).state
    assert over.reason is EndReason.REFUSED_BY_PEER
    assert "11" in over.description


@pytest.mark.clause("iso18013-8.3.2.1.2.2-asked-only")
@pytest.mark.parametrize(
    "choice",
    [
        {1: CHOICE[0]},
        {-1: CHOICE[0]},
        {0: {NAME_SPACE: ["given_name"]}},
        {0: {OTHER_NAME_SPACE: ["family_name"]}},
        {0: {NAME_SPACE: ["age_over_19x"]}},
        {0: {NAME_SPACE: []}},
        {},
    ],
)
def test_nothing_else_can_be_approved(choice) -> None:
    with pytest.raises(LocalProtocolError):
        device.approve(PAIR.device, choice)


@pytest.mark.clause("iso18013-8.3.2.1.2.2-asked-only")
def test_an_age_may_be_answered_with_another_age_but_only_if_one_was_asked() -> None:
    older = {0: {NAME_SPACE: ["age_over_65"]}}
    assert device.approve(PAIR.device, older).documents == {DOC_TYPE: {(NAME_SPACE, "age_over_65")}}
    without_age = asking(asked=({NAME_SPACE: {"family_name": False}},)).device
    with pytest.raises(LocalProtocolError):
        device.approve(without_age, older)


def test_several_documents_of_one_type_are_approved_together() -> None:
    two = ({NAME_SPACE: {"family_name": False}}, {NAME_SPACE: {"portrait": False}})
    state = asking(asked=two).device
    approved = device.approve(state, {0: {NAME_SPACE: ["family_name"]}, 1: {NAME_SPACE: ["portrait"]}})
    assert approved.documents == {DOC_TYPE: {(NAME_SPACE, "family_name"), (NAME_SPACE, "portrait")}}


@pytest.mark.clause("iso18013-E.14-approved-only")
@pytest.mark.parametrize(
    "shown",
    [
        response([*SHOWN, (NAME_SPACE, "portrait")]),
        response([(OTHER_NAME_SPACE, "family_name")]),
        response(device_signed={NAME_SPACE: {"portrait": b"\xff\xd8\xff\xe0"}}),
        response().replace(DOC_TYPE.encode(), b"org.iso.18013.5.1.mDX"),
    ],
)
def test_nothing_leaves_that_was_not_approved(shown) -> None:
    with pytest.raises(LocalProtocolError, match="did not approve"):
        device.respond(PAIR.device, APPROVED, shown, now=NOW)


def test_what_is_no_answer_does_not_leave() -> None:
    for data in (b"", b"\xa0", RESPONSE + b"\0"):
        with pytest.raises(MalformedError):
            device.respond(PAIR.device, APPROVED, data, now=NOW)


@pytest.mark.clause("iso18013-E.14-consent-to-this")
@pytest.mark.parametrize("name", ["another request", "another session"])
def test_consent_is_to_one_request(name) -> None:
    if name == "another request":
        other = asking(asked=({NAME_SPACE: {"family_name": False, "age_over_19": False}},)).device
    else:
        session = replace(PAIR.device.session, transcript=b"\x83\xf6\xf6\xf6")
        other = replace(PAIR.device, session=session)
    with pytest.raises(LocalProtocolError, match="another request"):
        device.respond(other, APPROVED, RESPONSE, now=NOW)


def test_only_approve_makes_approved_elements() -> None:
    with pytest.raises(TypeError):
        ApprovedElements({}, (), b"", object())


def test_states_print_no_key() -> None:
    keys = PAIR.device.session.channel
    for state in (*DEVICE_STATES.values(), *READER_STATES.values()):
        text = repr(state)
        assert keys.send_key.hex() not in text
        assert repr(keys.send_key) not in text
        assert "PrivateKey object" not in text


@pytest.mark.clause("iso18013-9.1.1.5-counter")
def test_an_old_state_sends_the_same_again_and_nothing_else() -> None:
    again = device.respond(PAIR.device, APPROVED, RESPONSE, now=LATER)
    assert again.send == ANSWER.send
    # Signed anew: another message under the counter of the first.
    with pytest.raises(LocalProtocolError, match="counter"):
        device.respond(PAIR.device, APPROVED, response(), now=LATER)


@pytest.mark.clause("iso18013-9.1.1.5-counter-end")
def test_the_last_counter_is_the_last() -> None:
    keys = PAIR.device.session.channel
    channel, _ = replace(keys, sent=(1 << 32) - 2).seal(b"last")
    with pytest.raises(LocalProtocolError):
        channel.seal(b"one more")
    assert isinstance(channel, SecureChannel)


def test_one_key_of_each_side_for_one_session() -> None:
    """The same engagement with another reader's key gives other session keys and another transcript."""
    other = reader.scan(engaged().engagement, ephemeral.generate(), now=NOW).session
    mine = scanned().session
    assert other.transcript != mine.transcript
    assert other.channel.send_key != mine.channel.send_key
    assert DEVICE_KEY.public_key != READER_KEY.public_key
    with pytest.raises(WalletError):
        reader.scan(engaged().engagement, ephemeral.generate(AgreementCurve.P384), now=NOW)
