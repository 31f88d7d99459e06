"""DeviceResponse as far as a session must know it: which elements leave, and an answer that only says what was wrong.

ISO/IEC 18013-5 8.3.2.1.2.2 and 8.3.2.1.2.3. Documents are made and verified in ``formats.mdoc``.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import Any, Final

from wallet_core.encoding import cbor
from wallet_core.errors import MalformedError

RESPONSE_VERSION: Final = "1.0"

_CLAUSE: Final = "ISO/IEC 18013-5 8.3.2.1.2.2"


class ResponseStatus(IntEnum):
    """Status of a DeviceResponse (table 8). With any but ``OK`` there is no document."""

    OK = 0
    GENERAL_ERROR = 10
    DECODING_ERROR = 11
    VALIDATION_ERROR = 12


def create_error_response(status: ResponseStatus) -> bytes:
    """Return the encoded DeviceResponse that says why there is no document (8.3.2.1.2.3)."""
    return cbor.dumps({"version": RESPONSE_VERSION, "status": int(status)})


def shown_elements(device_response: bytes) -> tuple[tuple[str, frozenset[tuple[str, str]]], ...]:
    """Return for each document its type and the elements that leave with it: pairs of namespace and identifier.

    What the device signs itself counts like what the issuer signed.

    Raises:
        MalformedError: not a DeviceResponse.
    """
    value = cbor.loads_map(device_response, what="DeviceResponse")
    documents = value.get("documents", [])
    if not isinstance(documents, list) or not all(isinstance(each, dict) for each in documents):
        raise MalformedError("documents of DeviceResponse is not a list of maps", clause=_CLAUSE)
    return tuple((_text(each.get("docType")), frozenset(_elements(each))) for each in documents)


def _elements(document: dict[Any, Any]) -> Iterator[tuple[str, str]]:
    issuer_signed, device_signed = _map(document.get("issuerSigned")), _map(document.get("deviceSigned"))
    for name_space, items in _map(issuer_signed.get("nameSpaces", {})).items():
        if not isinstance(items, list):
            raise MalformedError("a namespace of IssuerSigned is not a list", clause=_CLAUSE)
        for item in items:
            inner = cbor.loads_map(cbor.embedded(item, what="IssuerSignedItemBytes"), what="IssuerSignedItem")
            yield _text(name_space), _text(inner.get("elementIdentifier"))
    signed_here = cbor.embedded(device_signed.get("nameSpaces"), what="DeviceNameSpacesBytes")
    for name_space, elements in cbor.loads_map(signed_here, what="DeviceNameSpaces").items():
        yield from ((_text(name_space), _text(name)) for name in _map(elements))


def _map(value: Any) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise MalformedError("a part of DeviceResponse is not a map", clause=_CLAUSE)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise MalformedError("a name in DeviceResponse is not text", clause=_CLAUSE)
    return value
