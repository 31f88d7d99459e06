"""The mdoc's side of one session: its states and how bytes move it between them (ISO/IEC 18013-5 9.1.1.4).

```text
Engaged ──receive──▶ AwaitingConsent ──respond──▶ Answered ──receive a request──▶ AwaitingConsent
   │                        │ decline                │ receive a status
   └─── end, time, or a message that cannot be read ─┴──▶ Ended
```

A move returns the next state and the bytes to send. What must be remembered, such as a message that does not decrypt,
is a state (``Ended``, with the status to send); what must not be done raises. Whoever drives this goes on with the
newest state and forgets the others: a ``SecureChannel`` is used once.

Consent stands between request and answer: ``AwaitingConsent`` says who asks for what, only :func:`approve` makes
:class:`ApprovedElements`, and :func:`respond` sends nothing that was not approved.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import InitVar, dataclass, replace
from datetime import datetime
from typing import ClassVar, Final, TypeAlias

from wallet_core.encoding import cbor
from wallet_core.errors import LocalProtocolError, MalformedError, StateConflict, VerificationError, WalletError
from wallet_core.formats.mdoc.device_request import RequestedElements, parse_device_request
from wallet_core.formats.mdoc.document import ResponseStatus, encode_device_response, parse_device_response
from wallet_core.formats.mdoc.session_transcript import mac_key
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
from wallet_core.protocols.iso18013.engagement import DeviceEngagement, RetrievalMethod, create_device_engagement
from wallet_core.protocols.iso18013.ephemeral import EphemeralPrivateKey, EphemeralPublicKey
from wallet_core.protocols.iso18013.reader_auth import Reader, identify_reader
from wallet_core.protocols.iso18013.session import (
    QR_HANDOVER,
    SecureChannel,
    SessionStatus,
    create_session_data,
    derive_session_keys,
    parse_session_data,
    parse_session_establishment,
    session_transcript,
)
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.types import DocType, SessionTranscript

Choice: TypeAlias = Mapping[int, Mapping[str, Collection[str]]]
"""What the person shows: by the place of the document in the request, the element identifiers of each namespace."""

_SEAL: Final = object()


@dataclass(frozen=True, slots=True)
class DeviceSession:
    """What both sides agreed on.

    Attributes:
        transcript: the encoded SessionTranscript, for device authentication.
        e_reader_key: the reader's ephemeral key, for a device MAC.
        channel: the encryption.
    """

    transcript: SessionTranscript
    e_reader_key: EphemeralPublicKey
    channel: SecureChannel

    def mac_key(self, device_key: EphemeralPrivateKey) -> bytes:
        """Return EMacKey for a DeviceMac by ``device_key``, the private key that the MSO names (9.1.3.5).

        Raises:
            VerificationError: the reader's key is on another curve: sign instead.
        """
        return mac_key(ephemeral.agree(device_key, self.e_reader_key), self.transcript)


@dataclass(frozen=True, slots=True)
class AskedDocument:
    """One document that somebody asks for.

    Attributes:
        doc_type: the type of document.
        name_spaces: the elements, each with whether the reader wants to keep it.
        reader: who asks: verified, or unknown with the reason.
    """

    doc_type: DocType
    name_spaces: RequestedElements
    reader: Reader


@dataclass(frozen=True, slots=True)
class Engaged:
    """The code is shown; no reader has come. ``handover`` is the encoded Handover of the transcript."""

    kind: ClassVar[str] = "engaged"
    engagement: DeviceEngagement
    private_key: EphemeralPrivateKey
    handover: bytes
    engaged_at: datetime


@dataclass(frozen=True, slots=True)
class AwaitingConsent:
    """A reader asks, and the person has not decided. ``asked`` has the order of the request."""

    kind: ClassVar[str] = "awaiting_consent"
    session: DeviceSession
    asked: tuple[AskedDocument, ...]
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer was sent; the reader ends the session or asks again."""

    kind: ClassVar[str] = "answered"
    session: DeviceSession
    answered_at: datetime


DeviceState: TypeAlias = Engaged | AwaitingConsent | Answered | Ended


@dataclass(frozen=True, slots=True)
class DeviceMove:
    """The next state, and the message to send, if any."""

    state: DeviceState
    send: bytes | None = None


@dataclass(frozen=True, slots=True)
class ApprovedElements:
    """What the person agreed to show in answer to one request. Only :func:`approve` makes it.

    Attributes:
        documents: pairs of namespace and element identifier, by document type.
        asked: the request that was looked at.
        transcript: the session it came in.
    """

    documents: Mapping[DocType, frozenset[tuple[str, str]]]
    asked: tuple[AskedDocument, ...]
    transcript: SessionTranscript
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        """Refuse to exist without :func:`approve`."""
        if seal is not _SEAL:
            raise TypeError("only device.approve makes ApprovedElements")


def engage(
    private_key: EphemeralPrivateKey,
    *,
    now: datetime,
    retrieval_methods: Sequence[RetrievalMethod] = (),
    websocket: str | None = None,
    handover: bytes = QR_HANDOVER,
) -> Engaged:
    """Return the state of an mdoc that shows its engagement.

    Args:
        private_key: a key made for this session and for no other.
        now: when.
        retrieval_methods: how it may be reached by radio.
        websocket: where it may be reached over a network.
        handover: the encoded Handover, of NFC for instance.

    Raises:
        ValueError: the methods or the address are none.
    """
    engagement = create_device_engagement(
        private_key.public_key, retrieval_methods=retrieval_methods, websocket=websocket
    )
    return Engaged(engagement, private_key, handover, now)


def receive(state: DeviceState, message: bytes, *, anchors: TrustAnchors, now: datetime) -> DeviceMove:
    """Return where a message of the reader leads. One that comes too late is not looked at: the session has ended.

    Raises:
        StateConflict: the session is over.
    """
    # iso18013-9.1.1.4-over
    if isinstance(state, Ended):
        raise StateConflict("the session is over", clause="ISO/IEC 18013-5 9.1.1.4")
    # iso18013-9.1.1.4-late
    if isinstance((in_time := observe(state, now=now)).state, Ended):
        return in_time
    if isinstance(state, Engaged):
        return _establish(state, message, anchors, now)
    try:
        session_data = parse_session_data(message)
    except MalformedError as exc:
        return _failed(exc, SessionStatus.DECODING_ERROR, now)
    if session_data.status is not None:
        return DeviceMove(ended_by_status(session_data.status, now=now))
    # A second request before the answer to the first: the person would decide about a page that has changed.
    # iso18013-9.1.1.4-turn
    if isinstance(state, AwaitingConsent) or session_data.data is None:
        return DeviceMove(ended_out_of_turn(now=now), create_session_data(status=SessionStatus.TERMINATION))
    return _ask(state.session, session_data.data, anchors, now)


def approve(state: AwaitingConsent, choice: Choice) -> ApprovedElements:
    """Return what the person agreed to show.

    An age may be answered with another age (7.2.5): whoever is asked for ``age_over_18`` may show ``age_over_21``.

    Raises:
        LocalProtocolError: something that was not asked for, or nothing at all.
    """
    return approve_elements(state.asked, state.session.transcript, choice)


def approve_elements(
    asked_documents: tuple[AskedDocument, ...], transcript: SessionTranscript, choice: Choice
) -> ApprovedElements:
    """Return what the person agreed to show of a request, wherever it came in.

    Raises:
        LocalProtocolError: something that was not asked for, or nothing at all.
    """
    documents: dict[DocType, frozenset[tuple[str, str]]] = {}
    for place, name_spaces in choice.items():
        if not 0 <= place < len(asked_documents):
            raise LocalProtocolError("a document was approved that nobody asked for")
        asked = asked_documents[place]
        elements = frozenset((name_space, name) for name_space, names in name_spaces.items() for name in names)
        # iso18013-8.3.2.1.2.2-asked-only
        if not all(is_asked(asked.name_spaces, *element) for element in elements):
            raise LocalProtocolError("an element was approved that nobody asked for")
        documents[asked.doc_type] = documents.get(asked.doc_type, frozenset()) | elements
    if not any(documents.values()):
        raise LocalProtocolError("nothing was approved: decline instead")
    return ApprovedElements(documents, asked_documents, transcript, _SEAL)


def decline(state: DeviceState, *, now: datetime) -> DeviceMove:
    """Return the end after the person said no: the reader learns that the session is over, not what there was to show.

    Raises:
        StateConflict: nobody asks.
    """
    if not isinstance(state, AwaitingConsent):
        raise StateConflict("nobody asks for anything")
    return DeviceMove(Ended(EndReason.DECLINED, now), create_session_data(status=SessionStatus.TERMINATION))


def end(state: DeviceState, *, now: datetime) -> DeviceMove:
    """Return the end after this side has had enough. Before a session there is nobody to tell.

    Raises:
        StateConflict: the session is over.
    """
    if isinstance(state, Ended):
        raise StateConflict("the session is over", clause="ISO/IEC 18013-5 9.1.1.4")
    return DeviceMove(Ended(EndReason.ENDED, now), _farewell(state))


def observe(state: DeviceState, *, now: datetime) -> DeviceMove:
    """Return ``state`` as time has left it: over, if nothing came for too long."""
    until = next_change(state)
    # iso18013-9.1.1.4-time
    if until is None or now < until or isinstance(state, Ended):
        return DeviceMove(state)
    return DeviceMove(Ended(EndReason.TIMED_OUT, until), _farewell(state))


def next_change(state: DeviceState) -> datetime | None:
    """Return when :func:`observe` will first end the session; None if it is over."""
    if isinstance(state, Engaged):
        return state.engaged_at + ENGAGED_FOR
    if isinstance(state, AwaitingConsent):
        return state.asked_at + IDLE_FOR
    return state.answered_at + IDLE_FOR if isinstance(state, Answered) else None


def respond(
    state: DeviceState, approved: ApprovedElements, device_response: bytes, *, now: datetime, last: bool = False
) -> DeviceMove:
    """Return the state after the answer, and the message that carries it. After too long there is only the end.

    Args:
        state: where the session is.
        approved: what the person agreed to show.
        device_response: the encoded DeviceResponse, made and signed over this session's transcript.
        now: when.
        last: whether the session ends with it; otherwise the reader may ask again.

    Raises:
        StateConflict: nobody asks.
        LocalProtocolError: the consent is to another request, or the answer shows what was not approved.
        MalformedError: the answer is no DeviceResponse.
    """
    if not isinstance(state, AwaitingConsent):
        raise StateConflict("nobody asks for anything")
    # iso18013-9.1.1.4-late-consent
    if isinstance((in_time := observe(state, now=now)).state, Ended):
        return in_time
    validate_approved(device_response, approved, asked=state.asked, transcript=state.session.transcript)
    channel, data = state.session.channel.seal(device_response)
    if last:
        return DeviceMove(Ended(EndReason.ENDED, now), create_session_data(data, SessionStatus.TERMINATION))
    return DeviceMove(Answered(replace(state.session, channel=channel), now), create_session_data(data))


def validate_approved(
    device_response: bytes,
    approved: ApprovedElements,
    *,
    asked: tuple[AskedDocument, ...],
    transcript: SessionTranscript,
) -> None:
    """Check that an answer to this request shows only what the person approved.

    Raises:
        LocalProtocolError: the consent is to another request, or the answer shows what was not approved.
        MalformedError: the answer is no DeviceResponse.
    """
    # iso18013-E.14-consent-to-this
    if approved.asked != asked or approved.transcript != transcript:
        raise LocalProtocolError("the consent is to another request")
    for document in parse_device_response(device_response).documents:
        # iso18013-E.14-approved-only
        if not shown_elements(document) <= approved.documents.get(document.doc_type, frozenset()):
            raise LocalProtocolError("the answer shows what the person did not approve")


def _establish(state: Engaged, message: bytes, anchors: TrustAnchors, now: datetime) -> DeviceMove:
    try:
        establishment = parse_session_establishment(message)
    except MalformedError as exc:
        return _failed(exc, SessionStatus.DECODING_ERROR, now)
    transcript = session_transcript(state.engagement.encoded, establishment.e_reader_key_bytes, state.handover)
    try:
        e_reader_key = ephemeral.parse(establishment.e_reader_key, what="EReaderKey")
        keys = derive_session_keys(state.private_key, e_reader_key, transcript)
    except WalletError as exc:
        return _failed(exc, SessionStatus.ENCRYPTION_ERROR, now)
    session = DeviceSession(transcript, e_reader_key, SecureChannel.of_device(keys))
    return _ask(session, establishment.data, anchors, now)


def _ask(session: DeviceSession, data: bytes, anchors: TrustAnchors, now: datetime) -> DeviceMove:
    try:
        channel, plaintext = session.channel.open(data)
    except VerificationError as exc:
        return _failed(exc, SessionStatus.ENCRYPTION_ERROR, now)
    session = replace(session, channel=channel)
    status = ResponseStatus.CBOR_DECODING_ERROR
    try:
        cbor.loads(plaintext, what="DeviceRequest")
        status = ResponseStatus.CBOR_VALIDATION_ERROR
        request = parse_device_request(plaintext)
    except MalformedError as exc:
        return _unreadable(session, exc, status, now)
    asked = tuple(
        AskedDocument(
            each.doc_type,
            each.name_spaces,
            identify_reader(each, session_transcript=session.transcript, anchors=anchors, now=now),
        )
        for each in request.doc_requests
    )
    return DeviceMove(AwaitingConsent(session, asked, now))


def _failed(error: WalletError, status: SessionStatus, now: datetime) -> DeviceMove:
    return DeviceMove(ended_with(error, status, now=now), create_session_data(status=status))


def _unreadable(session: DeviceSession, error: WalletError, status: ResponseStatus, now: datetime) -> DeviceMove:
    """Return the end after a request that decrypts but is none: an answer with a status and no document (table 8)."""
    _, data = session.channel.seal(encode_device_response([], status=status))
    ended = ended_with(error, SessionStatus.DECODING_ERROR, now=now)
    return DeviceMove(ended, create_session_data(data, SessionStatus.TERMINATION))


def _farewell(state: DeviceState) -> bytes | None:
    return None if isinstance(state, Engaged) else create_session_data(status=SessionStatus.TERMINATION)
