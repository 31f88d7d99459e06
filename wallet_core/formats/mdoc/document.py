"""DeviceResponse: the documents a device returns, and what it could not return (ISO/IEC 18013-5 8.3.2.1.2.2).

The invariant: a DeviceResponse says with its status whether there may be documents; one that contradicts itself does
not parse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, TypeAlias

from wallet_core.encoding import cbor
from wallet_core.errors import MalformedError
from wallet_core.formats.mdoc.structures import (
    UnverifiedDeviceSigned,
    UnverifiedIssuerSigned,
    device_signed_of,
    issuer_signed_of,
    map_of,
    text_of,
)
from wallet_core.spec_versions import MDOC_VERSION
from wallet_core.types import DocType

MAX_DOCUMENTS: Final = 16
"""Documents in one DeviceResponse; a reader that asks for everything of a family's trip asks for fewer."""

ElementErrors: TypeAlias = Mapping[str, Mapping[str, int]]
"""ErrorCode by namespace and data element identifier."""


class ResponseStatus(IntEnum):
    """``status`` of a DeviceResponse (8.3.2.1.2.3, table 8)."""

    OK = 0
    GENERAL_ERROR = 10
    CBOR_DECODING_ERROR = 11
    CBOR_VALIDATION_ERROR = 12


@dataclass(frozen=True, slots=True)
class UnverifiedDocument:
    """One document of a DeviceResponse that parsed. Nothing in it is to be believed yet.

    ``errors`` says which elements the device left out, and why.
    """

    doc_type: DocType
    issuer_signed: UnverifiedIssuerSigned
    device_signed: UnverifiedDeviceSigned
    errors: ElementErrors


@dataclass(frozen=True, slots=True)
class UnverifiedDeviceResponse:
    """A DeviceResponse that parsed. Nothing in it is to be believed yet.

    Attributes:
        version: ``1.0``, or a later one with the same structure.
        documents: what was returned.
        document_errors: for each document type that was not returned, the reason.
        status: 0, or why nothing was returned.
    """

    version: str
    documents: tuple[UnverifiedDocument, ...]
    document_errors: Mapping[str, int]
    status: int


def parse_device_response(data: bytes) -> UnverifiedDeviceResponse:
    """Return the DeviceResponse that ``data`` encodes.

    Raises:
        MalformedError: not CBOR, not a DeviceResponse, of another version, or with documents beside an error status.
    """
    members = cbor.loads_map(data, what="DeviceResponse")
    version, status = text_of(members, "version"), members.get("status")
    # mdoc-18013.8.3.2.1-version
    if not version.startswith("1."):
        raise MalformedError("the DeviceResponse is of an unknown version", clause="ISO/IEC 18013-5 8.3.2.1.2.2")
    documents = members.get("documents", [])
    if not isinstance(documents, list) or len(documents) > MAX_DOCUMENTS:
        raise MalformedError("documents is not a short array", clause="ISO/IEC 18013-5 8.3.2.1.2.2")
    # mdoc-18013.8.3.2.1-status
    if type(status) is not int or status < 0 or (status != ResponseStatus.OK and documents):
        raise MalformedError("status is missing, or there are documents beside an error", clause="ISO/IEC 18013-5 8.3")
    return UnverifiedDeviceResponse(
        version,
        tuple(_document(document, data) for document in documents),
        _document_errors(members.get("documentErrors", [])),
        status,
    )


def encode_device_response(
    documents: Sequence[bytes],
    *,
    document_errors: Mapping[str, int] | None = None,
    status: ResponseStatus = ResponseStatus.OK,
) -> bytes:
    """Return the DeviceResponse of encoded documents.

    Raises:
        ValueError: there are documents beside an error status.
    """
    if documents and status is not ResponseStatus.OK:
        raise ValueError("a DeviceResponse with an error status has no documents")
    members = [_VERSION]
    if documents:
        members.append(b"".join((b"\x69documents", cbor.head(4, len(documents)), *documents)))
    if document_errors:
        errors = [{doc_type: code} for doc_type, code in document_errors.items()]
        members.append(b"\x6edocumentErrors" + cbor.dumps(errors))
    members.append(b"\x66status" + cbor.head(0, status))
    return b"".join((cbor.head(5, len(members)), *members))


_VERSION: Final = cbor.text("version") + cbor.text(MDOC_VERSION)


def _document(value: Any, received: bytes) -> UnverifiedDocument:
    members = map_of(value, "document")
    return UnverifiedDocument(
        DocType(text_of(members, "docType")),
        issuer_signed_of(members.get("issuerSigned"), received),
        device_signed_of(members.get("deviceSigned"), received),
        _errors(members.get("errors", {})),
    )


def _errors(value: Any) -> ElementErrors:
    errors = map_of(value, "errors")
    for name_space, elements in errors.items():
        named = map_of(elements, "errors of a namespace")
        # mdoc-18013.8.3.2.1-errors
        if not isinstance(name_space, str) or not all(
            isinstance(element, str) and type(code) is int for element, code in named.items()
        ):
            raise MalformedError("errors does not name elements and codes", clause="ISO/IEC 18013-5 8.3.2.1.2.2")
    return errors


def _document_errors(value: Any) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in value if isinstance(value, list) else [None]:
        for doc_type, code in map_of(entry, "documentErrors").items():
            # mdoc-18013.8.3.2.1-document-errors
            if not isinstance(doc_type, str) or type(code) is not int:
                raise MalformedError("documentErrors does not name document types and codes")
            found[doc_type] = code
    return found
