"""DeviceRequest: the documents and elements that a reader asks for (ISO/IEC 18013-5 8.3.2.1.2.1).

The invariant: ItemsRequestBytes stay the bytes they came as; the reader signs them, not what they mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wallet_core.cose import sign1
from wallet_core.cose.sign1 import UnverifiedSign1
from wallet_core.encoding import cbor
from wallet_core.errors import MalformedError
from wallet_core.types import DocType

REQUEST_VERSION: Final = "1.0"

MAX_DOC_REQUESTS: Final = 16
"""Documents in one request; a person who is asked for more cannot judge it."""

MAX_ELEMENTS: Final = 256
"""Elements of one document in a request; an mDL has about 40 with all its ages."""

NameSpaces = Mapping[str, Mapping[str, bool]]
"""Element identifiers by namespace, each with its IntentToRetain."""

_CLAUSE: Final = "ISO/IEC 18013-5 8.3.2.1.2.1"


@dataclass(frozen=True, slots=True)
class ItemsRequest:
    """What is asked of one document.

    Attributes:
        encoded: ItemsRequestBytes: tag 24 with its content, as they came or are sent.
        doc_type: the type of document.
        name_spaces: the elements, with whether the reader wants to keep each.
    """

    encoded: bytes
    doc_type: DocType
    name_spaces: NameSpaces


@dataclass(frozen=True, slots=True)
class DocRequest:
    """One document asked for, and the reader's signature over that, not verified here."""

    items: ItemsRequest
    reader_auth: UnverifiedSign1 | None


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """Everything a reader asks for in one message."""

    version: str
    doc_requests: tuple[DocRequest, ...]


def create_items_request(doc_type: DocType, name_spaces: NameSpaces) -> ItemsRequest:
    """Return what is asked of one document.

    Raises:
        ValueError: no element, a namespace without one, or more than ``MAX_ELEMENTS``.
    """
    written = {name_space: dict(elements) for name_space, elements in name_spaces.items()}
    if not written or not all(written.values()) or sum(map(len, written.values())) > MAX_ELEMENTS:
        raise ValueError(f"a request asks for 1 to {MAX_ELEMENTS} elements of each document")
    encoded = cbor.embed(cbor.dumps({"docType": doc_type, "nameSpaces": written}))
    return ItemsRequest(encoded, doc_type, written)


def create_device_request(doc_requests: Sequence[tuple[ItemsRequest, bytes | None]]) -> bytes:
    """Return the encoded DeviceRequest.

    Args:
        doc_requests: for each document what is asked, and ReaderAuth (an encoded COSE_Sign1) or None.

    Raises:
        ValueError: no document, or more than ``MAX_DOC_REQUESTS``.
    """
    if not 1 <= len(doc_requests) <= MAX_DOC_REQUESTS:
        raise ValueError(f"a request asks for 1 to {MAX_DOC_REQUESTS} documents")
    written = [_doc_request_members(items, reader_auth) for items, reader_auth in doc_requests]
    return cbor.dumps({"version": REQUEST_VERSION, "docRequests": written})


def parse_device_request(data: bytes) -> DeviceRequest:
    """Return the request that ``data`` encodes. Unknown members are ignored.

    Raises:
        MalformedError: not CBOR, or as :func:`read_device_request`.
    """
    return read_device_request(cbor.loads(data, what="DeviceRequest"), data)


def read_device_request(value: Any, received: bytes) -> DeviceRequest:
    """Return the request of parsed CBOR; ``received`` are the bytes it was parsed from.

    Raises:
        MalformedError: not a DeviceRequest, another major version, or over a limit.
    """
    if not isinstance(value, dict):
        raise MalformedError("DeviceRequest is not a map", clause=_CLAUSE)
    version, doc_requests = value.get("version"), value.get("docRequests")
    # iso18013-8.3.2.1.2.1-version
    if not isinstance(version, str) or not version.startswith("1."):
        raise MalformedError("DeviceRequest is not of version 1", clause=_CLAUSE)
    # iso18013-8.3.2.1.2.1-documents
    if not isinstance(doc_requests, list) or not 1 <= len(doc_requests) <= MAX_DOC_REQUESTS:
        raise MalformedError(f"docRequests is not a list of 1 to {MAX_DOC_REQUESTS}", clause=_CLAUSE)
    return DeviceRequest(version, tuple(_doc_request(each, received) for each in doc_requests))


def _doc_request_members(items: ItemsRequest, reader_auth: bytes | None) -> dict[str, Any]:
    members: dict[str, Any] = {"itemsRequest": cbor.loads(items.encoded)}
    return members if reader_auth is None else {**members, "readerAuth": cbor.loads(reader_auth)}


def _doc_request(value: Any, received: bytes) -> DocRequest:
    if not isinstance(value, dict):
        raise MalformedError("a DocRequest is not a map", clause=_CLAUSE)
    inner = cbor.embedded(value.get("itemsRequest"), what="ItemsRequestBytes")
    items = cbor.loads_map(inner, what="ItemsRequest")
    doc_type = items.get("docType")
    if not isinstance(doc_type, str):
        raise MalformedError("docType of ItemsRequest is not text", clause=_CLAUSE)
    reader_auth = value.get("readerAuth")
    return DocRequest(
        ItemsRequest(
            cbor.embedded_as_received(inner, received), DocType(doc_type), _name_spaces(items.get("nameSpaces"))
        ),
        None if reader_auth is None else sign1.parse_value(reader_auth, what="ReaderAuth"),
    )


def _name_spaces(value: Any) -> NameSpaces:
    # iso18013-8.3.2.1.2.1-elements
    if not isinstance(value, dict) or not value:
        raise MalformedError("nameSpaces of ItemsRequest is not a map with namespaces", clause=_CLAUSE)
    for name_space, elements in value.items():
        if not isinstance(name_space, str) or not isinstance(elements, dict) or not elements:
            raise MalformedError("a namespace of ItemsRequest is not a map with elements", clause=_CLAUSE)
        # iso18013-8.3.2.1.2.1-intent
        if not all(isinstance(name, str) and isinstance(retain, bool) for name, retain in elements.items()):
            raise MalformedError("an element of ItemsRequest has no IntentToRetain", clause=_CLAUSE)
    if sum(map(len, value.values())) > MAX_ELEMENTS:
        raise MalformedError(f"ItemsRequest asks for more than {MAX_ELEMENTS} elements", clause=_CLAUSE)
    return value
