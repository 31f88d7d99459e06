"""mdocs over the Digital Credentials API: the protocol ``org-iso-mdoc`` (ISO/IEC TS 18013-7:2025 annex C).

The invariant: request, reader authentication, device authentication and encryption all hang on one SessionTranscript,
which both sides compute from ``encryptionInfo`` as it was sent and from the origin that the platform names.

Only signatures: there is no reader key that a device MAC could be agreed with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from wallet_core.encoding import base64url, cbor
from wallet_core.errors import MalformedError
from wallet_core.formats.mdoc.device_request import MAX_REQUEST_BYTES, RequestedElements, parse_device_request
from wallet_core.formats.mdoc.document import encode_device_response
from wallet_core.formats.mdoc.holder import DocumentToSign, HeldMdoc, create_document
from wallet_core.formats.mdoc.session_transcript import dcapi_transcript
from wallet_core.keys import hpke
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.cose_key import encode_cose_key, parse_cose_key
from wallet_core.keys.signer import Signer
from wallet_core.protocols.iso18013.device import (
    ApprovedElements,
    AskedDocument,
    Choice,
    approve_elements,
    validate_approved,
)
from wallet_core.protocols.iso18013.reader_auth import create_device_request, identify_reader
from wallet_core.spec_versions import DC_API_ISO_MDOC, HANDOVER_DCAPI
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.types import DocType, Json, JsonObject, SessionTranscript

MIN_NONCE_BYTES: Final = 16
"""C.2: "Nonces shall have a minimum entropy of 16 bytes"."""

MAX_ENCRYPTION_INFO: Final = 1024
"""Characters of ``encryptionInfo``; one with a P-256 key is about 200."""

MAX_RESPONSE_BYTES: Final = 1 << 20
"""Bytes of an encrypted answer; an mDL with its portrait is about 60 kB."""

_CLAUSE: Final = "ISO/IEC TS 18013-7 C"
_START: Final = cbor.head(4, 2) + cbor.text(HANDOVER_DCAPI) + cbor.head(5, 2)


@dataclass(frozen=True, slots=True)
class EncryptionInfo:
    """To whom the answer is encrypted (C.2).

    Attributes:
        encoded: the base64url text as it was sent; the transcript is over it.
        nonce: fresh for each transaction.
        recipient_key: the reader's public key, on P-256.
    """

    encoded: str
    nonce: bytes
    recipient_key: ec.EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class AskedOverDcApi:
    """A request that a page made: what a consent screen needs.

    Attributes:
        asked: the documents that are asked for, each with who asks, in the order of the request.
        encryption: to whom the answer is encrypted.
        origin: of the page or app, as the platform names it.
    """

    asked: tuple[AskedDocument, ...]
    encryption: EncryptionInfo
    origin: str

    @property
    def transcript(self) -> SessionTranscript:
        """The encoded SessionTranscript, for device authentication."""
        return dcapi_transcript(encryption_info=self.encryption.encoded, origin=self.origin)


def create_encryption_info(recipient_key: ec.EllipticCurvePublicKey, nonce: bytes) -> str:
    """Return ``encryptionInfo`` for a key and a nonce that are fresh for each request (C.2).

    Raises:
        ValueError: the nonce is too short.
    """
    # dcapi-C.2-fresh-nonce
    if len(nonce) < MIN_NONCE_BYTES:
        raise ValueError(f"the nonce is shorter than {MIN_NONCE_BYTES} bytes")
    key = encode_cose_key(PublicKey(recipient_key))
    parts = (_START, cbor.text("nonce"), cbor.dumps(nonce), cbor.text("recipientPublicKey"), key)
    return base64url.encode(b"".join(parts))


def create_request_data(
    asked: Sequence[tuple[DocType, RequestedElements]],
    *,
    encryption_info: str,
    origin: str,
    signer: Signer,
    x5chain: Sequence[bytes],
) -> JsonObject:
    """Return ``data`` of a request, each document's part signed for this one origin (C.2, C.5).

    Args:
        asked: for each document its type, and the elements with whether the reader intends to keep them.
        encryption_info: from :func:`create_encryption_info`.
        origin: where the request will be made: reader authentication is over it.
        signer: the reader's key.
        x5chain: its certificates as DER, leaf first, without the anchor.

    Raises:
        ValueError: nothing is asked for.
        MalformedError: there is no origin.
        KeyUnavailable: the signer cannot sign now.
    """
    # C.5: the transcript "shall be used for encryption, mdoc authentication and mdoc reader authentication".
    # dcapi-C.5-reader
    transcript = dcapi_transcript(encryption_info=encryption_info, origin=origin)
    request = create_device_request(asked, session_transcript=transcript, signer=signer, x5chain=x5chain)
    return {"deviceRequest": base64url.encode(request), "encryptionInfo": encryption_info}


def parse_request_data(data: Json, *, origin: str, anchors: TrustAnchors, now: datetime) -> AskedOverDcApi:
    """Return what a page asks for, and who it is. An unknown reader is no reason to refuse (ISO/IEC 18013-5 7.2.1).

    Args:
        data: what the page passed to the API.
        origin: of the page or app, as the platform names it.
        anchors: who is trusted to certify readers.
        now: the time.

    Raises:
        MalformedError: the platform names no origin, or the request does not parse.
    """
    if not isinstance(data, dict):
        raise MalformedError("data is not a JSON object", clause=f"{_CLAUSE}.2")
    encryption = parse_encryption_info(data.get("encryptionInfo"))
    device_request = data.get("deviceRequest")
    if not isinstance(device_request, str) or len(device_request) > 2 * MAX_REQUEST_BYTES:
        raise MalformedError("deviceRequest is missing or too long", clause=f"{_CLAUSE}.2")
    request = parse_device_request(base64url.decode(device_request, what="deviceRequest"))
    transcript = dcapi_transcript(encryption_info=encryption.encoded, origin=origin)
    asked = tuple(
        AskedDocument(
            each.doc_type,
            each.name_spaces,
            identify_reader(each, session_transcript=transcript, anchors=anchors, now=now),
        )
        for each in request.doc_requests
    )
    return AskedOverDcApi(asked, encryption, origin)


def parse_encryption_info(value: Json) -> EncryptionInfo:
    """Return to whom an answer is to be encrypted.

    Raises:
        MalformedError: not base64url of ``["dcapi", {nonce, recipientPublicKey}]``, a nonce that is too short, or a key
            of another kind than this suite takes.
    """
    if not isinstance(value, str) or len(value) > MAX_ENCRYPTION_INFO:
        raise MalformedError("encryptionInfo is missing or too long", clause=f"{_CLAUSE}.2")
    members = _dcapi_members(base64url.decode(value, what="encryptionInfo"), "EncryptionInfo", MAX_ENCRYPTION_INFO)
    nonce, key = members.get("nonce"), parse_cose_key(members.get("recipientPublicKey"), what="recipientPublicKey").raw
    # dcapi-C.2-nonce
    if not isinstance(nonce, bytes) or len(nonce) < MIN_NONCE_BYTES:
        raise MalformedError(f"the nonce is missing or shorter than {MIN_NONCE_BYTES} bytes", clause=f"{_CLAUSE}.2")
    # dcapi-C.4-suite
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise MalformedError("recipientPublicKey is not a key on P-256", clause=f"{_CLAUSE}.4")
    return EncryptionInfo(value, nonce, key)


def approve(request: AskedOverDcApi, choice: Choice) -> ApprovedElements:
    """Return what the person agreed to show (as ``device.approve``).

    Raises:
        LocalProtocolError: something that was not asked for, or nothing at all.
    """
    return approve_elements(request.asked, request.transcript, choice)


def create_documents_to_sign(
    approved: ApprovedElements, held: Mapping[DocType, HeldMdoc]
) -> tuple[DocumentToSign, ...]:
    """Return the documents that show what was approved, each ready for its device key.

    Raises:
        ValueError, KeyError: a document or an element is not held (a mistake of our own code).
    """
    return tuple(
        create_document(
            held[doc_type],
            elements,
            session_transcript=approved.transcript,
            algorithm=held[doc_type].mso.device_key.algorithm,
        )
        for doc_type, elements in approved.documents.items()
    )


def create_answer(request: AskedOverDcApi, approved: ApprovedElements, documents: Sequence[bytes]) -> JsonObject:
    """Return what the platform gives to the page: ``protocol`` and ``data`` of a ``DigitalCredential`` (C.3, C.4).

    Args:
        request: the request.
        approved: what the person agreed to show.
        documents: the encoded documents, signed.

    Raises:
        LocalProtocolError: the consent is to another request, or a document shows what was not approved.
    """
    device_response = encode_device_response(documents)
    validate_approved(device_response, approved, asked=request.asked, transcript=request.transcript)
    # C.4: info is the transcript, and the additional data are empty.
    # dcapi-C.4-info
    sealed = hpke.seal(device_response, request.encryption.recipient_key, info=request.transcript)
    members = (cbor.text("enc"), cbor.dumps(sealed.enc), cbor.text("cipherText"), cbor.dumps(sealed.ciphertext))
    return {"protocol": DC_API_ISO_MDOC, "data": {"response": base64url.encode(b"".join((_START, *members)))}}


def open_response_data(
    data: Json, private_key: ec.EllipticCurvePrivateKey, *, encryption_info: str, origin: str
) -> tuple[bytes, SessionTranscript]:
    """Return the DeviceResponse in an answer, and the transcript over which its device signed. Nothing is verified.

    Args:
        data: ``data`` of the ``DigitalCredential``.
        private_key: of the request's ``encryptionInfo``.
        encryption_info: as it was sent.
        origin: where the request was made.

    Raises:
        MalformedError: it does not parse.
        VerificationError: it was encrypted to another key, for another request or at another origin.
    """
    # C.3 prints the member with a capital; the profiles and the browsers have it without.
    response = data.get("response", data.get("Response")) if isinstance(data, dict) else None
    if not isinstance(response, str) or len(response) > 2 * MAX_RESPONSE_BYTES:
        raise MalformedError("data has no response", clause=f"{_CLAUSE}.3")
    encoded = base64url.decode(response, what="response")
    members = _dcapi_members(encoded, "EncryptedResponse", MAX_RESPONSE_BYTES)
    enc, ciphertext = members.get("enc"), members.get("cipherText")
    if not isinstance(enc, bytes) or not isinstance(ciphertext, bytes):
        raise MalformedError("EncryptedResponse lacks enc or cipherText", clause=f"{_CLAUSE}.3")
    transcript = dcapi_transcript(encryption_info=encryption_info, origin=origin)
    # dcapi-C.4-bound
    return hpke.open_sealed(hpke.SealedText(enc, ciphertext), private_key, info=transcript), transcript


def _dcapi_members(data: bytes, what: str, max_bytes: int) -> dict[Any, Any]:
    value = cbor.loads(data, what=what, max_bytes=max_bytes)
    # dcapi-C.2-dcapi
    if not isinstance(value, list) or len(value) != 2 or value[0] != HANDOVER_DCAPI or not isinstance(value[1], dict):
        raise MalformedError(f"{what} is not of the protocol dcapi", clause=f"{_CLAUSE}.2")
    return value[1]
