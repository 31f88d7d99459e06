"""DeviceRequest: what a reader asks of a device (ISO/IEC 18013-5 8.3.2.1.2.1), and reader authentication (9.1.4).

The invariant: ``ItemsRequestBytes`` are kept as they came; reader authentication is over them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from wallet_core.cose import sign1
from wallet_core.encoding import cbor
from wallet_core.errors import MalformedError, VerificationError
from wallet_core.formats.mdoc.structures import map_of, text_of
from wallet_core.keys.algorithms import PublicKey, SignatureAlgorithm
from wallet_core.spec_versions import MDOC_VERSION
from wallet_core.types import DocType, SessionTranscript

MAX_DOC_REQUESTS: Final = 16
"""Documents one request may ask for."""

MAX_ELEMENTS: Final = 256
"""Data elements one request may ask of a document; an mDL with everything has about 70."""

MAX_REQUEST_BYTES: Final = 64 * 1024
"""Longest DeviceRequest; one with every element of an mDL and a reader's certificates is about 4 kB."""

RequestedElements: TypeAlias = Mapping[str, Mapping[str, bool]]
"""IntentToRetain by namespace and data element identifier."""


@dataclass(frozen=True, slots=True)
class DocRequest:
    """What a reader asks of one document. Nothing about the reader is to be believed yet.

    Attributes:
        doc_type: the document type.
        name_spaces: for each element, whether the reader intends to keep it.
        request_info: further members, opaque here.
        items_request_bytes: ``ItemsRequestBytes`` as they came, ``#6.24(bstr)`` included.
        reader_auth: the reader's signature; None if it did not sign.
    """

    doc_type: DocType
    name_spaces: RequestedElements
    request_info: Mapping[Any, Any]
    items_request_bytes: bytes
    reader_auth: sign1.UnverifiedSign1 | None


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """What a reader asks for; ``version`` is ``1.0``, or a later one with the same structure."""

    version: str
    doc_requests: tuple[DocRequest, ...]


def parse_device_request(data: bytes) -> DeviceRequest:
    """Return the DeviceRequest that ``data`` encodes.

    Raises:
        MalformedError: not CBOR, not a DeviceRequest, or of another version.
    """
    members = cbor.loads_map(data, what="DeviceRequest", max_bytes=MAX_REQUEST_BYTES)
    version, doc_requests = text_of(members, "version"), members.get("docRequests")
    # mdoc-18013.8.3.2.1-request-version
    if not version.startswith("1."):
        raise MalformedError("the DeviceRequest is of an unknown version", clause="ISO/IEC 18013-5 8.3.2.1.2.1")
    # mdoc-18013.8.3.2.1-doc-requests
    if not isinstance(doc_requests, list) or not 0 < len(doc_requests) <= MAX_DOC_REQUESTS:
        raise MalformedError("docRequests is not a short non-empty array", clause="ISO/IEC 18013-5 8.3.2.1.2.1")
    return DeviceRequest(version, tuple(_doc_request(request, data) for request in doc_requests))


def encode_items_request(doc_type: DocType, name_spaces: RequestedElements) -> bytes:
    """Return ``ItemsRequestBytes``: what is asked of one document, inside ``#6.24(bstr)``.

    Raises:
        ValueError: nothing is asked for.
    """
    if not name_spaces or not all(name_spaces.values()):
        raise ValueError("a request asks for at least one element of each namespace")
    plain = {name_space: dict(elements) for name_space, elements in name_spaces.items()}
    return cbor.embed(cbor.dumps({"docType": doc_type, "nameSpaces": plain}))


def encode_device_request(doc_requests: Sequence[tuple[bytes, bytes | None]]) -> bytes:
    """Return the DeviceRequest of ``ItemsRequestBytes``, each with its ReaderAuth or without.

    Raises:
        ValueError: there are none.
    """
    if not doc_requests:
        raise ValueError("a DeviceRequest asks for at least one document")
    encoded = [
        cbor.head(5, 1 if reader_auth is None else 2)
        + cbor.text("itemsRequest")
        + items_request
        + (b"" if reader_auth is None else cbor.text("readerAuth") + reader_auth)
        for items_request, reader_auth in doc_requests
    ]
    start = cbor.head(5, 2) + cbor.text("version") + cbor.text(MDOC_VERSION) + cbor.text("docRequests")
    return b"".join((start, cbor.head(4, len(encoded)), *encoded))


def reader_authentication_bytes(transcript: SessionTranscript, items_request_bytes: bytes) -> bytes:
    """Return ``ReaderAuthenticationBytes``, the detached payload of reader authentication (9.1.4.4)."""
    return cbor.embed(b"".join((b"\x83", cbor.text("ReaderAuthentication"), transcript, items_request_bytes)))


def reader_auth_to_sign(
    transcript: SessionTranscript, items_request_bytes: bytes, algorithm: SignatureAlgorithm, x5chain: Sequence[bytes]
) -> sign1.Sign1ToSign:
    """Return ReaderAuth ready for the reader's key to sign (9.1.4.4)."""
    return sign1.to_sign(
        reader_authentication_bytes(transcript, items_request_bytes),
        algorithm,
        unprotected=sign1.x5chain_header(x5chain),
        detached=True,
    )


def verify_reader_auth(request: DocRequest, *, reader_key: PublicKey, transcript: SessionTranscript) -> None:
    """Check that the reader of this session signed ``request`` (9.1.4).

    Trust in ``reader_key`` is the caller's, who took it from ``request.reader_auth.x5chain()``.

    Raises:
        VerificationError: there is no ReaderAuth, or it does not verify.
    """
    # mdoc-18013.9.1.4-reader-auth
    if request.reader_auth is None:
        raise VerificationError("the reader did not sign its request", clause="ISO/IEC 18013-5 9.1.4")
    payload = reader_authentication_bytes(transcript, request.items_request_bytes)
    sign1.verify(request.reader_auth, reader_key, detached_payload=payload)


def _doc_request(value: Any, received: bytes) -> DocRequest:
    members = map_of(value, "docRequest")
    inner = cbor.embedded(members.get("itemsRequest"), what="ItemsRequestBytes")
    items_request = cbor.loads_map(inner, what="ItemsRequest")
    reader_auth = members.get("readerAuth")
    return DocRequest(
        DocType(text_of(items_request, "docType")),
        _requested_elements(items_request.get("nameSpaces")),
        map_of(items_request.get("requestInfo", {}), "requestInfo"),
        cbor.embedded_as_received(inner, received),
        None if reader_auth is None else sign1.parse_value(reader_auth, what="ReaderAuth"),
    )


def _requested_elements(value: Any) -> RequestedElements:
    name_spaces = map_of(value, "nameSpaces")
    # iso18013-8.3.2.1.2.1-elements
    if not name_spaces or not all(name_spaces.values()):
        raise MalformedError("a request names no element of a namespace", clause="ISO/IEC 18013-5 8.3.2.1.2.1")
    for name_space, elements in name_spaces.items():
        named = map_of(elements, "elements of a namespace")
        # mdoc-18013.8.3.2.1-requested
        if not isinstance(name_space, str) or not all(
            isinstance(element, str) and isinstance(intent, bool) for element, intent in named.items()
        ):
            raise MalformedError("a request does not name elements and intents", clause="ISO/IEC 18013-5 8.3.2.1.2.1")
    if sum(map(len, name_spaces.values())) > MAX_ELEMENTS:
        raise MalformedError(f"a request names more than {MAX_ELEMENTS} elements of a document")
    return name_spaces
