"""Session transcripts: what binds an mdoc's device authentication to one session (ISO/IEC 18013-5 9.1.5.1).

Each function returns the encoded array. It stands as it is inside DeviceAuthentication, and inside ``#6.24(bstr)`` as
``SessionTranscriptBytes``, from which proximity sessions derive their keys.
"""

import hashlib
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from wallet_core.encoding import cbor
from wallet_core.errors import MalformedError
from wallet_core.spec_versions import HANDOVER_DCAPI, HANDOVER_OPENID4VP, HANDOVER_OPENID4VP_DC_API
from wallet_core.types import ClientId, DocType, Nonce, SessionTranscript

EMPTY_DEVICE_NAME_SPACES: Final = cbor.embed(cbor.dumps({}))
"""``DeviceNameSpacesBytes`` of a device that signs no data element of its own: mandatory all the same (8.3.2.1.2.2)."""

THUMBPRINT_BYTES: Final = 32
"""RFC 7638 with SHA-256."""

_MAC_KEY_BYTES: Final = 32


def openid4vp_transcript(
    *, client_id: ClientId, nonce: Nonce, response_uri: str, jwk_thumbprint: bytes | None
) -> SessionTranscript:
    """Return the transcript of an answer by redirect or ``direct_post`` (OpenID4VP B.2.6.1).

    Args:
        client_id: the full Client Identifier, prefix included.
        nonce: that of the request.
        response_uri: where the answer goes; ``redirect_uri`` where the request has that instead.
        jwk_thumbprint: of the Verifier's key the answer was encrypted with; None if it was not encrypted.

    Raises:
        ValueError: the thumbprint is not 32 bytes.
    """
    return _hashed(HANDOVER_OPENID4VP, [client_id, nonce, _thumbprint(jwk_thumbprint), response_uri])


def openid4vp_dc_api_transcript(*, origin: str, nonce: Nonce, jwk_thumbprint: bytes | None) -> SessionTranscript:
    """Return the transcript of an answer over the Digital Credentials API (OpenID4VP B.2.6.2).

    Args:
        origin: the Verifier's origin as the platform gives it, without the prefix ``origin:``, never normalised.
        nonce: that of the request.
        jwk_thumbprint: as in :func:`openid4vp_transcript`.

    Raises:
        MalformedError: the platform gave no origin.
        ValueError: the thumbprint is not 32 bytes.
    """
    return _hashed(HANDOVER_OPENID4VP_DC_API, [_origin(origin), nonce, _thumbprint(jwk_thumbprint)])


def dcapi_transcript(*, encryption_info: str, origin: str) -> SessionTranscript:
    """Return the transcript of the ISO protocol over the Digital Credentials API (ISO/IEC TS 18013-7 annex C.5).

    Args:
        encryption_info: ``encryptionInfo`` as it was sent: the base64url text, not what it encodes.
        origin: the reader's origin as the platform gives it.

    Raises:
        MalformedError: the platform gave no origin.
    """
    return _hashed(HANDOVER_DCAPI, [encryption_info, _origin(origin)])


def qr_transcript(*, device_engagement: bytes, e_reader_key: bytes) -> SessionTranscript:
    """Return the transcript of a proximity session that a QR code began (9.1.5.1).

    Args:
        device_engagement: the encoded DeviceEngagement as the QR code carried it.
        e_reader_key: the encoded COSE_Key as it came inside ``EReaderKeyBytes``.
    """
    return _proximity(device_engagement, e_reader_key, b"\xf6")


def nfc_transcript(
    *, device_engagement: bytes, e_reader_key: bytes, handover_select: bytes, handover_request: bytes | None
) -> SessionTranscript:
    """Return the transcript of a proximity session that NFC began; without a request it was static (9.1.5.1)."""
    return _proximity(device_engagement, e_reader_key, cbor.dumps([handover_select, handover_request]))


def session_transcript_bytes(transcript: SessionTranscript) -> bytes:
    """Return ``SessionTranscriptBytes``: the transcript inside ``#6.24(bstr)`` (9.1.5.1)."""
    return cbor.embed(transcript)


def device_authentication_bytes(
    transcript: SessionTranscript, doc_type: DocType, device_name_spaces_bytes: bytes = EMPTY_DEVICE_NAME_SPACES
) -> bytes:
    """Return ``DeviceAuthenticationBytes``, the detached payload of device authentication (9.1.3.4)."""
    # mdoc-18013.9.1.3.4-transcript
    return cbor.embed(
        b"".join((b"\x84\x74DeviceAuthentication", transcript, cbor.text(doc_type), device_name_spaces_bytes))
    )


def mac_key(shared_secret: bytes, transcript: SessionTranscript) -> bytes:
    """Return EMacKey from the ECDH secret of device key and reader key (9.1.3.5)."""
    salt = hashlib.sha256(session_transcript_bytes(transcript)).digest()
    return HKDF(SHA256(), _MAC_KEY_BYTES, salt, b"EMacKey").derive(shared_secret)


def _hashed(name: str, info: list[Any]) -> SessionTranscript:
    # The hash is over the encoded array itself: no tag and no byte string around it.
    # mdoc-VPB.2.6-hash
    digest = hashlib.sha256(cbor.dumps(info)).digest()
    return SessionTranscript(b"\x83\xf6\xf6\x82" + cbor.text(name) + b"\x58\x20" + digest)


def _proximity(device_engagement: bytes, e_reader_key: bytes, handover: bytes) -> SessionTranscript:
    return SessionTranscript(b"".join((b"\x83", cbor.embed(device_engagement), cbor.embed(e_reader_key), handover)))


def _thumbprint(value: bytes | None) -> bytes | None:
    if value is not None and len(value) != THUMBPRINT_BYTES:
        raise ValueError("the thumbprint is the raw SHA-256 of RFC 7638")
    return value


def _origin(origin: str) -> str:
    # mdoc-TS18013.7.C-origin
    if not origin:
        raise MalformedError("the platform named no origin", clause="ISO/IEC TS 18013-7 C")
    return origin
