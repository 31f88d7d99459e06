"""The reader's side of one session: its states and how bytes move it between them (ISO/IEC 18013-5 9.1.1.4).

```text
Scanned ──ask──▶ Waiting ──receive──▶ Answered ──ask again──▶ Waiting
   │                │                     │ end
   └─── end, time, a status, or a message that cannot be read ──┴──▶ Ended
```

A move returns the next state, the bytes to send and the answer that came. As on the other side, whoever drives this
goes on with the newest state and forgets the others.

Not done here: whether the answer is to be believed. :class:`ReceivedResponse` has what that takes (``formats.mdoc``,
``trust``); :func:`validate_asked` says whether it shows more than was asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import ClassVar, TypeAlias

from wallet_core.encoding import cbor
from wallet_core.errors import MalformedError, QueryNotSatisfied, StateConflict, VerificationError, WalletError
from wallet_core.formats.mdoc.device_request import RequestedElements
from wallet_core.formats.mdoc.document import UnverifiedDocument
from wallet_core.formats.mdoc.session_transcript import mac_key
from wallet_core.formats.mdoc.structures import parse_mso
from wallet_core.protocols.iso18013 import ephemeral
from wallet_core.protocols.iso18013.elements import is_asked, shown_elements
from wallet_core.protocols.iso18013.ending import (
    ENGAGED_FOR,
    IDLE_FOR,
    Ended,
    EndReason,
    ended_by_status,
    ended_out_of_turn,
    ended_with,
)
from wallet_core.protocols.iso18013.engagement import DeviceEngagement
from wallet_core.protocols.iso18013.ephemeral import EphemeralPrivateKey
from wallet_core.protocols.iso18013.session import (
    QR_HANDOVER,
    SecureChannel,
    SessionStatus,
    create_session_data,
    create_session_establishment,
    derive_session_keys,
    parse_session_data,
    session_transcript,
)
from wallet_core.types import DocType, SessionTranscript


@dataclass(frozen=True, slots=True)
class ReaderSession:
    """What both sides agreed on. ``private_key`` is also what a device MAC is verified with."""

    transcript: SessionTranscript
    private_key: EphemeralPrivateKey
    channel: SecureChannel


@dataclass(frozen=True, slots=True)
class ReceivedResponse:
    """An answer, and what it takes to verify it. Not to be kept: the key goes with the session.

    Attributes:
        device_response: the encoded DeviceResponse, decrypted, not verified.
        transcript: the encoded SessionTranscript that device authentication is over.
        private_key: EReaderKey.Priv, for a device MAC.
    """

    device_response: bytes
    transcript: SessionTranscript
    private_key: EphemeralPrivateKey

    def mac_key(self, document: UnverifiedDocument) -> bytes | None:
        """Return EMacKey for verifying a document of the answer (9.1.3.5); None where the device signed.

        Raises:
            MalformedError: the document has no MobileSecurityObject.
            VerificationError: the device key is not on the curve of this session.
        """
        if document.device_signed.mac is None:
            return None
        device_key = parse_mso(document.issuer_signed.issuer_auth.payload).device_key
        return mac_key(ephemeral.agree(self.private_key, ephemeral.of_device_key(device_key)), self.transcript)


@dataclass(frozen=True, slots=True)
class Scanned:
    """The engagement was read; nothing was asked. The session's transcript is known, so a request can be signed."""

    kind: ClassVar[str] = "scanned"
    session: ReaderSession
    e_reader_key_bytes: bytes = field(repr=False)
    scanned_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request was sent."""

    kind: ClassVar[str] = "waiting"
    session: ReaderSession
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer came. A reader owes the mdoc another request or the end."""

    kind: ClassVar[str] = "answered"
    session: ReaderSession
    answered_at: datetime


ReaderState: TypeAlias = Scanned | Waiting | Answered | Ended


@dataclass(frozen=True, slots=True)
class ReaderMove:
    """The next state, the message to send, if any, and the answer that came, if any."""

    state: ReaderState
    send: bytes | None = None
    response: ReceivedResponse | None = None


def scan(
    engagement: DeviceEngagement, private_key: EphemeralPrivateKey, *, now: datetime, handover: bytes = QR_HANDOVER
) -> Scanned:
    """Return the state of a reader that has read ``engagement``.

    Args:
        engagement: what the mdoc showed.
        private_key: a key made for this session and for no other, on the curve of the mdoc's.
        now: when.
        handover: the encoded Handover, of NFC for instance.

    Raises:
        VerificationError: the mdoc's key is on another curve, or agrees on nothing secret.
    """
    e_reader_key_bytes = cbor.embed(ephemeral.encode(private_key.public_key))
    transcript = session_transcript(engagement.encoded, e_reader_key_bytes, handover)
    keys = derive_session_keys(private_key, engagement.e_device_key, transcript)
    session = ReaderSession(transcript, private_key, SecureChannel.of_reader(keys))
    return Scanned(session, e_reader_key_bytes, now)


def ask(state: ReaderState, device_request: bytes, *, now: datetime) -> ReaderMove:
    """Return the state after a request, and the message that carries it.

    Args:
        state: where the session is.
        device_request: the encoded DeviceRequest, signed over this session's transcript if at all.
        now: when.

    Raises:
        StateConflict: an answer is awaited, or the session is over.
    """
    # iso18013-9.1.1.4-one-request
    if not isinstance(state, Scanned | Answered):
        raise StateConflict("this session can be asked nothing now", clause="ISO/IEC 18013-5 9.1.1.4")
    channel, data = state.session.channel.seal(device_request)
    waiting = Waiting(replace(state.session, channel=channel), now)
    if isinstance(state, Scanned):
        return ReaderMove(waiting, create_session_establishment(state.e_reader_key_bytes, data))
    return ReaderMove(waiting, create_session_data(data))


def receive(state: ReaderState, message: bytes, *, now: datetime) -> ReaderMove:
    """Return where a message of the mdoc leads. One that comes too late is not looked at: the session has ended.

    Raises:
        StateConflict: nothing was asked, or the session is over.
    """
    # iso18013-9.1.1.4-reader-first
    if not isinstance(state, Waiting | Answered):
        raise StateConflict("nothing was asked, or the session is over", clause="ISO/IEC 18013-5 9.1.1.4")
    # iso18013-9.1.1.4-reader-late
    if isinstance((in_time := observe(state, now=now)).state, Ended):
        return in_time
    try:
        session_data = parse_session_data(message)
    except MalformedError as exc:
        return _failed(exc, SessionStatus.DECODING_ERROR, now)
    if session_data.data is None:
        return ReaderMove(ended_by_status(session_data.status or 0, now=now))
    # iso18013-9.1.1.4-reader-turn
    if isinstance(state, Answered):
        return ReaderMove(ended_out_of_turn(now=now), create_session_data(status=SessionStatus.TERMINATION))
    return _answer(state.session, session_data.data, session_data.status, now)


def validate_asked(documents: Sequence[UnverifiedDocument], asked: Sequence[tuple[DocType, RequestedElements]]) -> None:
    """Check that an answer shows nothing that was not asked for: what nobody needs, nobody shall hold.

    Not done here: whether everything asked for is there. The person may leave out what they like.

    Raises:
        QueryNotSatisfied: a document of another type, or an element that was not asked for.
    """
    for document in documents:
        requests = [name_spaces for doc_type, name_spaces in asked if doc_type == document.doc_type]
        shown = shown_elements(document)
        # iso18013-8.3.2.1.2.2-shown-asked
        if not requests or not all(any(is_asked(each, *element) for each in requests) for element in shown):
            raise QueryNotSatisfied("the answer shows what was not asked for", clause="ISO/IEC 18013-5 8.3.2.1.2.2")


def end(state: ReaderState, *, now: datetime, status: SessionStatus = SessionStatus.TERMINATION) -> ReaderMove:
    """Return the end after this side has had enough, or, with another ``status``, could not read the answer.

    Raises:
        StateConflict: the session is over.
    """
    if isinstance(state, Ended):
        raise StateConflict("the session is over", clause="ISO/IEC 18013-5 9.1.1.4")
    return ReaderMove(Ended(EndReason.ENDED, now), _farewell(state, status))


def observe(state: ReaderState, *, now: datetime) -> ReaderMove:
    """Return ``state`` as time has left it: over, if nothing came for too long."""
    until = next_change(state)
    # iso18013-9.1.1.4-reader-time
    if until is None or now < until:
        return ReaderMove(state)
    return ReaderMove(Ended(EndReason.TIMED_OUT, until), _farewell(state, SessionStatus.TERMINATION))


def next_change(state: ReaderState) -> datetime | None:
    """Return when :func:`observe` will first end the session; None if it is over."""
    if isinstance(state, Scanned):
        return state.scanned_at + ENGAGED_FOR
    if isinstance(state, Waiting):
        return state.asked_at + IDLE_FOR
    return state.answered_at + IDLE_FOR if isinstance(state, Answered) else None


def _answer(session: ReaderSession, data: bytes, status: int | None, now: datetime) -> ReaderMove:
    try:
        channel, plaintext = session.channel.open(data)
    except VerificationError as exc:
        return _failed(exc, SessionStatus.ENCRYPTION_ERROR, now)
    try:
        cbor.loads_map(plaintext, what="DeviceResponse")
    except MalformedError as exc:
        return _failed(exc, SessionStatus.DECODING_ERROR, now)
    response = ReceivedResponse(plaintext, session.transcript, session.private_key)
    if status is not None:
        return ReaderMove(ended_by_status(status, now=now), response=response)
    return ReaderMove(Answered(replace(session, channel=channel), now), response=response)


def _failed(error: WalletError, status: SessionStatus, now: datetime) -> ReaderMove:
    return ReaderMove(ended_with(error, status, now=now), create_session_data(status=status))


def _farewell(state: ReaderState, status: SessionStatus) -> bytes | None:
    # Before the first request the mdoc knows of no session.
    return None if isinstance(state, Scanned) else create_session_data(status=status)
