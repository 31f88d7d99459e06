"""Session encryption, for both sides: keys, counters, and the two messages that carry data (ISO/IEC 18013-5 9.1.1).

The invariant: a message counter goes up by one with each message and never comes again under its key with another
message. A :class:`SecureChannel` is frozen: whoever sealed with it goes on with the one that came back. Sealing with
the old one again gives the same bytes for the same message, and is refused for another: it would give both away.
"""

import hashlib
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wallet_core.encoding import cbor
from wallet_core.errors import LocalProtocolError, MalformedError, VerificationError
from wallet_core.protocols.iso18013 import ephemeral
from wallet_core.protocols.iso18013.ephemeral import EphemeralPrivateKey, EphemeralPublicKey
from wallet_core.types import SessionTranscript

MAX_MESSAGE_BYTES: Final = cbor.MAX_BYTES
"""Bytes of one session message: a response with two portraits is about 120 kB."""

MAX_COUNTER: Final = (1 << 32) - 1
"""The counter has four bytes and must not come round."""

QR_HANDOVER: Final = b"\xf6"
"""Handover of a QR code: null, encoded (9.1.5.1)."""

_READER_IDENTIFIER: Final = bytes(8)
_DEVICE_IDENTIFIER: Final = bytes(7) + b"\x01"
_TAG_BYTES: Final = 16
_KEY_BYTES: Final = 32


class SessionStatus(IntEnum):
    """Status of SessionData (table 20 of the first edition). Every one of them ends the session."""

    ENCRYPTION_ERROR = 10
    DECODING_ERROR = 11
    TERMINATION = 20


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """SKReader and SKDevice, 32 bytes each."""

    sk_reader: bytes = field(repr=False)
    sk_device: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SecureChannel:
    """One side's view of the encryption of one session.

    Attributes:
        send_key: the key this side encrypts with.
        receive_key: the key the other side encrypts with.
        send_identifier: first 8 bytes of the initialization vectors of this side.
        receive_identifier: those of the other side.
        sent: how many messages this side encrypted.
        received: how many it decrypted.
        sealed: the digest of each message by its counter, shared by every channel that came of one.
    """

    send_key: bytes = field(repr=False)
    receive_key: bytes = field(repr=False)
    send_identifier: bytes
    receive_identifier: bytes
    sent: int = 0
    received: int = 0
    sealed: dict[int, bytes] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of_reader(cls, keys: SessionKeys) -> "SecureChannel":
        """Return the channel of a reader."""
        return cls(keys.sk_reader, keys.sk_device, _READER_IDENTIFIER, _DEVICE_IDENTIFIER)

    @classmethod
    def of_device(cls, keys: SessionKeys) -> "SecureChannel":
        """Return the channel of an mdoc."""
        return cls(keys.sk_device, keys.sk_reader, _DEVICE_IDENTIFIER, _READER_IDENTIFIER)

    def seal(self, plaintext: bytes) -> tuple["SecureChannel", bytes]:
        """Return the channel after this message, and the ciphertext with its tag (9.1.1.5).

        Raises:
            LocalProtocolError: every counter was used, so the session must end; or another message has this one's.
        """
        # iso18013-9.1.1.5-counter-end
        if self.sent >= MAX_COUNTER:
            raise LocalProtocolError("every message counter of the session was used", clause="ISO/IEC 18013-5 9.1.1.5")
        sent = self.sent + 1
        digest = hashlib.sha256(plaintext).digest()
        # Two messages under one counter would betray both, and the key that authenticates (NIST SP 800-38D 8).
        # iso18013-9.1.1.5-counter
        if self.sealed.setdefault(sent, digest) != digest:
            raise LocalProtocolError("this message counter was used", clause="ISO/IEC 18013-5 9.1.1.5")
        ciphertext = AESGCM(self.send_key).encrypt(_iv(self.send_identifier, sent), plaintext, None)
        return replace(self, sent=sent), ciphertext

    def open(self, ciphertext: bytes) -> tuple["SecureChannel", bytes]:
        """Return the channel after this message, and what it says.

        The counter is not in the message: one that was changed, left out, repeated or meant for another session does
        not decrypt.

        Raises:
            VerificationError: it does not decrypt.
        """
        received = self.received + 1
        # iso18013-9.1.1.5-tag-whole
        if len(ciphertext) < _TAG_BYTES or received > MAX_COUNTER:
            raise VerificationError("the message is shorter than its tag", clause="ISO/IEC 18013-5 9.1.1.5")
        try:
            plaintext = AESGCM(self.receive_key).decrypt(_iv(self.receive_identifier, received), ciphertext, None)
        except InvalidTag as exc:
            # iso18013-9.1.1.5-tag
            raise VerificationError("the message does not decrypt", clause="ISO/IEC 18013-5 9.1.1.5") from exc
        return replace(self, received=received), plaintext


@dataclass(frozen=True, slots=True)
class SessionEstablishment:
    """The reader's first message.

    Attributes:
        e_reader_key_bytes: EReaderKeyBytes as they came, for the session transcript.
        e_reader_key: the COSE_Key inside, encoded, not looked at yet.
        data: the encrypted mdoc request.
    """

    e_reader_key_bytes: bytes
    e_reader_key: bytes
    data: bytes


@dataclass(frozen=True, slots=True)
class SessionData:
    """Any further message of either side: an encrypted request or response, a status, or both."""

    data: bytes | None = None
    status: int | None = None


def derive_session_keys(
    private_key: EphemeralPrivateKey, public_key: EphemeralPublicKey, session_transcript: SessionTranscript
) -> SessionKeys:
    """Return the two keys of a session (9.1.1.5). Both sides derive the same, from their own half.

    Args:
        private_key: EDeviceKey.Priv or EReaderKey.Priv.
        public_key: the other side's key.
        session_transcript: the encoded SessionTranscript.

    Raises:
        VerificationError: the keys are on two curves, or agree on nothing secret.
    """
    secret = ephemeral.agree(private_key, public_key)
    salt = hashlib.sha256(cbor.embed(session_transcript)).digest()
    return SessionKeys(_derive(secret, salt, b"SKReader"), _derive(secret, salt, b"SKDevice"))


def session_transcript(engagement: bytes, e_reader_key_bytes: bytes, handover: bytes) -> SessionTranscript:
    """Return the encoded SessionTranscript of a session (9.1.5.1), from the bytes that were exchanged.

    Args:
        engagement: the encoded DeviceEngagement.
        e_reader_key_bytes: EReaderKeyBytes: tag 24 with its content.
        handover: the encoded Handover.
    """
    # Not ``formats.mdoc``'s: EReaderKeyBytes go in as they came, with whatever head they had.
    return SessionTranscript(cbor.head(4, 3) + cbor.embed(engagement) + e_reader_key_bytes + handover)


def create_session_establishment(e_reader_key_bytes: bytes, data: bytes) -> bytes:
    """Return the reader's first message: its key, as in the transcript, and the encrypted request (9.1.1.4)."""
    e_reader_key = cbor.Tagged(cbor.TAG_CBOR, cbor.embedded(cbor.loads(e_reader_key_bytes), what="EReaderKeyBytes"))
    return cbor.dumps({"eReaderKey": e_reader_key, "data": data})


def parse_session_establishment(message: bytes) -> SessionEstablishment:
    """Return the parts of the reader's first message. Unknown members are ignored.

    Raises:
        MalformedError: not a SessionEstablishment.
    """
    value = cbor.loads_map(message, what="SessionEstablishment", max_bytes=MAX_MESSAGE_BYTES)
    e_reader_key = cbor.embedded(value.get("eReaderKey"), what="EReaderKeyBytes")
    data = value.get("data")
    # iso18013-9.1.1.4-establishment
    if not isinstance(data, bytes):
        raise MalformedError("data of SessionEstablishment is not a byte string", clause="ISO/IEC 18013-5 9.1.1.4")
    return SessionEstablishment(cbor.embedded_as_received(e_reader_key, message), e_reader_key, data)


def create_session_data(data: bytes | None = None, status: SessionStatus | None = None) -> bytes:
    """Return a further message.

    Raises:
        ValueError: neither data nor status, or data beside a status of an error (9.1.1.4).
    """
    if (data is None) == (status is None) and status is not SessionStatus.TERMINATION:
        raise ValueError("a SessionData has data, a status, or data and the status of termination")
    members: dict[str, Any] = {} if data is None else {"data": data}
    return cbor.dumps(members if status is None else {**members, "status": int(status)})


def parse_session_data(message: bytes) -> SessionData:
    """Return the parts of a further message. Unknown members are ignored, and so is data beside an error.

    Raises:
        MalformedError: not a SessionData, or one that says nothing.
    """
    value = cbor.loads_map(message, what="SessionData", max_bytes=MAX_MESSAGE_BYTES)
    data, status = value.get("data"), value.get("status")
    if not isinstance(data, bytes | None):
        raise MalformedError("data of SessionData is not a byte string", clause="ISO/IEC 18013-5 9.1.1.4")
    if status is not None and (type(status) is not int or status < 0):
        raise MalformedError("status of SessionData is not an unsigned integer", clause="ISO/IEC 18013-5 9.1.1.4")
    # iso18013-9.1.1.4-empty
    if data is None and status is None:
        raise MalformedError("SessionData has neither data nor status", clause="ISO/IEC 18013-5 9.1.1.4")
    # iso18013-9.1.1.4-error-without-data
    if status in {SessionStatus.ENCRYPTION_ERROR, SessionStatus.DECODING_ERROR}:
        data = None
    return SessionData(data, status)


def _derive(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt, info).derive(secret)


def _iv(identifier: bytes, counter: int) -> bytes:
    return identifier + counter.to_bytes(4, "big")
