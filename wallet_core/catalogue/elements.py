"""The mdoc form of a credential type: claims as data elements of namespaces (ISO/IEC 18013-5 7.2, OpenID4VCI A.2)."""

import binascii
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from wallet_core.catalogue.paths import select
from wallet_core.encoding import cbor
from wallet_core.encoding.claims_path import ConcretePath
from wallet_core.types import ClaimsPath, Json, JsonObject

if TYPE_CHECKING:
    from wallet_core.catalogue.credential_type import Claim, CredentialType

DataElements: TypeAlias = dict[str, dict[str, Any]]
"""Namespace to data element identifier to CBOR value."""


def data_elements(credential_type: "CredentialType", claims: JsonObject) -> DataElements:
    """Return prepared claims as the data elements of the mdoc form; claims that it does not have are left out.

    Args:
        credential_type: says which claim becomes which element.
        claims: what ``credential_type.prepare_claims`` returned.
    """
    elements: DataElements = {}
    for claim in credential_type.claims:
        if claim.mdoc is not None:
            for value in select(claims, claim.path):
                written = _WRITERS[claim.mdoc.cbor](credential_type, claim, value)
                elements.setdefault(claim.mdoc.namespace, {})[claim.mdoc.element] = written
    return elements


def element_claims(credential_type: "CredentialType") -> Mapping[tuple[str, str], "Claim"]:
    """Return the claim behind each (namespace, data element identifier)."""
    return {(c.mdoc.namespace, c.mdoc.element): c for c in credential_type.claims if c.mdoc is not None}


def as_picture(claim: "Claim", path: ConcretePath, value: Json) -> Json:
    """Return the value of an image at ``path`` as pages show it: a data URL (RFC 2397), which in an mdoc it is not.

    Its bytes are base64url once an mdoc's elements are JSON (OpenID4VP B.2.1, RFC 8949 6.1).
    """
    if path == claim.path or not isinstance(value, str):
        return value
    standard = value.translate(str.maketrans("-_", "+/"))
    return f"data:image/jpeg;base64,{standard}{'=' * (-len(standard) % 4)}"


def _as_it_is(_type: "CredentialType", _claim: "Claim", value: Json) -> Json:
    return value


def _full_date(_type: "CredentialType", _claim: "Claim", value: Json) -> cbor.Tagged:
    return cbor.full_date(date.fromisoformat(str(value)))


def _tdate(_type: "CredentialType", _claim: "Claim", value: Json) -> cbor.Tagged:
    # The record knows the day, ISO/IEC 18013-5 asks for a point in time: the beginning of that day.
    return cbor.tdate(datetime.combine(date.fromisoformat(str(value)), time.min, UTC))


def _bytes(_type: "CredentialType", _claim: "Claim", value: Json) -> bytes:
    # An image is a data URL in JSON (RFC 2397) and its bytes in an mdoc.
    return binascii.a2b_base64(str(value).partition("base64,")[2])


def _array(credential_type: "CredentialType", claim: "Claim", value: Json) -> Any:
    return _nested(credential_type, claim.path, value)


def _nested(credential_type: "CredentialType", path: ClaimsPath, value: Json) -> Any:
    if isinstance(value, list):
        return [_nested(credential_type, (*path, None), element) for element in value]
    if isinstance(value, dict):
        return {name: _nested(credential_type, (*path, name), member) for name, member in value.items()}
    member = credential_type.claim(path)
    # 7.2.4: dates within driving_privileges are full-date, like those outside.
    if member is not None and member.type == "date":
        return cbor.full_date(date.fromisoformat(str(value)))
    return value


_WRITERS: Final[Mapping[str, Callable[["CredentialType", "Claim", Json], Any]]] = {
    "tstr": _as_it_is,
    "uint": _as_it_is,
    "bool": _as_it_is,
    "full-date": _full_date,
    "tdate": _tdate,
    "bstr": _bytes,
    "array": _array,
}
"""How a value is written, by the CBOR type that the catalogue names."""

CBOR_TYPES: Final = tuple(_WRITERS)
"""What a catalogue file may name."""
