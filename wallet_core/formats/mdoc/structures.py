"""The structures of an mdoc, parsed: IssuerSigned, MobileSecurityObject, DeviceSigned (ISO/IEC 18013-5 8, 9).

The invariant: what was signed or digested is kept as the bytes that came, beside what they say. Members that are not
known are passed over; those that are known have the type the standard gives them.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias

from wallet_core.cose import mac0, sign1
from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import MalformedError
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.cose_key import parse_cose_key
from wallet_core.types import DocType

NameSpaces: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Data elements by namespace and identifier; values as ``encoding.cbor`` parses them."""

MIN_RANDOM_BYTES: Final = 16
"""ISO/IEC 18013-5 9.1.2.5: the least a reader may accept."""

MAX_ELEMENTS: Final = 500
"""Data elements in one document: an mDL with everything has about 70."""

DIGEST_ALGORITHMS: Final[Mapping[str, Callable[[bytes], Any]]] = {
    "SHA-256": hashlib.sha256,
    "SHA-384": hashlib.sha384,
    "SHA-512": hashlib.sha512,
}
"""ISO/IEC 18013-5 9.1.2.5, table 21."""

_DIGEST_BYTES: Final = {"SHA-256": 32, "SHA-384": 48, "SHA-512": 64}


@dataclass(frozen=True, slots=True)
class ValidityInfo:
    """When an mdoc was signed and when it is valid (9.1.2.4). ``expected_update`` is when the issuer will sign anew."""

    signed: datetime
    valid_from: datetime
    valid_until: datetime
    expected_update: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyAuthorizations:
    """Which data elements the device key may sign: whole namespaces, and single elements (9.1.2.4)."""

    name_spaces: frozenset[str] = frozenset()
    data_elements: frozenset[tuple[str, str]] = frozenset()

    def allow(self, name_space: str, element: str) -> bool:
        """Return whether the device key may sign this element."""
        return name_space in self.name_spaces or (name_space, element) in self.data_elements


@dataclass(frozen=True, slots=True)
class IssuerSignedItem:
    """One data element with its salt (8.3.2.1.2.2).

    Attributes:
        digest_id: where its digest stands in the MSO.
        element: ``elementIdentifier``.
        value: ``elementValue``.
        inner: the encoded item as it came, without the ``#6.24(bstr)`` around it.
    """

    digest_id: int
    element: str
    value: Any
    inner: bytes


@dataclass(frozen=True, slots=True)
class MobileSecurityObject:
    """What the issuer signed (9.1.2.4).

    Attributes:
        version: ``1.0``, or a later one with the same structure.
        digest_algorithm: a key of ``DIGEST_ALGORITHMS``.
        value_digests: digests by namespace and digestID.
        device_key: the holder's key.
        key_authorizations: which elements that key may sign; nothing where the member is absent.
        doc_type: the document type.
        validity: ``validityInfo``.
        status: ``status`` as signed (second edition); None if absent. Whoever relies on the mdoc must look it up, or
            refuse what cannot be looked up.
    """

    version: str
    digest_algorithm: str
    value_digests: Mapping[str, Mapping[int, bytes]]
    device_key: PublicKey
    key_authorizations: KeyAuthorizations
    doc_type: DocType
    validity: ValidityInfo
    status: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class UnverifiedIssuerSigned:
    """An IssuerSigned that parsed. Nothing in it is to be believed yet.

    Attributes:
        items: the data elements that were returned, by namespace, in the order they came.
        issuer_auth: the issuer's signature over the MSO.
        received: the bytes it stood in.
    """

    items: Mapping[str, tuple[IssuerSignedItem, ...]]
    issuer_auth: sign1.UnverifiedSign1
    received: bytes

    def x5chain(self) -> tuple[bytes, ...]:
        """Return the certificates of IssuerAuth as DER, leaf first; empty if there are none. From either header.

        Not done here: whether they are certificates, and whom they lead to.

        Raises:
            MalformedError: neither one byte string nor a short array of them.
        """
        # mdoc-18013.9.1.2.4-x5chain
        return self.issuer_auth.x5chain()


@dataclass(frozen=True, slots=True)
class UnverifiedDeviceSigned:
    """A DeviceSigned that parsed: what the device key vouches for. Exactly one of signature and mac is there.

    Attributes:
        name_spaces: data elements that the device signed, mostly none.
        name_spaces_bytes: ``DeviceNameSpacesBytes`` as they came, ``#6.24(bstr)`` included.
        signature: DeviceSignature.
        mac: DeviceMac.
    """

    name_spaces: NameSpaces
    name_spaces_bytes: bytes
    signature: sign1.UnverifiedSign1 | None
    mac: mac0.UnverifiedMac0 | None


def parse_issuer_signed(data: bytes) -> UnverifiedIssuerSigned:
    """Return an IssuerSigned that stands alone: what a Credential Response carries (OpenID4VCI A.2.4).

    Raises:
        MalformedError: not CBOR, or not an IssuerSigned.
    """
    return issuer_signed_of(cbor.loads(data, what="IssuerSigned"), data)


def issuer_signed_of(value: Any, received: bytes) -> UnverifiedIssuerSigned:
    """Return the IssuerSigned that was parsed as ``value`` out of ``received``.

    Raises:
        MalformedError: not an IssuerSigned.
    """
    members = map_of(value, "IssuerSigned")
    issuer_auth = sign1.parse_value(members.get("issuerAuth"), what="IssuerAuth")
    name_spaces = map_of(members.get("nameSpaces", {}), "nameSpaces")
    inner = {name_space: _inner_items(name_space, items) for name_space, items in name_spaces.items()}
    everything = [item for items in inner.values() for item in items]
    if len(everything) > MAX_ELEMENTS:
        raise MalformedError(f"there are more than {MAX_ELEMENTS} data elements in a document")
    values = iter(cbor.loads_each(everything, what="IssuerSignedItem"))
    return UnverifiedIssuerSigned(
        {name_space: tuple(_item(next(values), item) for item in items) for name_space, items in inner.items()},
        issuer_auth,
        received,
    )


def device_signed_of(value: Any, received: bytes) -> UnverifiedDeviceSigned:
    """Return the DeviceSigned that was parsed as ``value`` out of ``received``.

    Raises:
        MalformedError: not a DeviceSigned, or not exactly one kind of device authentication.
    """
    members = map_of(value, "DeviceSigned")
    # Mandatory even where it is empty.
    # mdoc-18013.8.3.2.1-device-name-spaces
    inner = cbor.embedded(members.get("nameSpaces"), what="DeviceNameSpacesBytes")
    # Mostly there are none.
    name_spaces = {} if inner == b"\xa0" else cbor.loads_map(inner, what="DeviceNameSpaces")
    for name_space, elements in name_spaces.items():
        if not isinstance(name_space, str) or not all(isinstance(element, str) for element in map_of(elements, "ns")):
            raise MalformedError("a name in DeviceNameSpaces is not a text", clause="ISO/IEC 18013-5 8.3.2.1.2.2")
    device_auth = map_of(members.get("deviceAuth"), "deviceAuth")
    signature, mac = device_auth.get("deviceSignature"), device_auth.get("deviceMac")
    # mdoc-18013.9.1.3-one-kind
    if (signature is None) == (mac is None):
        raise MalformedError("DeviceAuth is not one signature or one MAC", clause="ISO/IEC 18013-5 9.1.3")
    return UnverifiedDeviceSigned(
        name_spaces,
        cbor.embedded_as_received(inner, received),
        None if signature is None else sign1.parse_value(signature, what="DeviceSignature"),
        None if mac is None else mac0.parse_value(mac, what="DeviceMac"),
    )


def parse_mso(payload: bytes | None) -> MobileSecurityObject:
    """Return the MobileSecurityObject in the payload of IssuerAuth: a byte string with ``#6.24(bstr .cbor MSO)``.

    Raises:
        MalformedError: it is not one, of another version, or with a digest algorithm or key that is not supported.
    """
    # mdoc-18013.9.1.2.4-mso-bytes
    if payload is None:
        raise MalformedError("IssuerAuth has no payload", clause="ISO/IEC 18013-5 9.1.2.4")
    inner = cbor.loads_embedded(payload, what="MobileSecurityObjectBytes")
    members = cbor.loads_map(inner, what="MobileSecurityObject")
    version, doc_type = text_of(members, "version"), text_of(members, "docType")
    # mdoc-18013.9.1.2.4-version
    if not version.startswith("1."):
        raise MalformedError("the MobileSecurityObject is of an unknown version", clause="ISO/IEC 18013-5 9.1.2.4")
    algorithm = text_of(members, "digestAlgorithm")
    # mdoc-18013.9.1.2.5-digest-algorithm
    if algorithm not in DIGEST_ALGORITHMS:
        raise MalformedError("the digest algorithm is not supported", clause="ISO/IEC 18013-5 9.1.2.5")
    device_key_info = map_of(members.get("deviceKeyInfo"), "deviceKeyInfo")
    status = members.get("status")
    return MobileSecurityObject(
        version=version,
        digest_algorithm=algorithm,
        value_digests=_value_digests(members.get("valueDigests"), _DIGEST_BYTES[algorithm]),
        device_key=parse_cose_key(device_key_info.get("deviceKey"), what="deviceKey"),
        key_authorizations=_key_authorizations(device_key_info.get("keyAuthorizations")),
        doc_type=DocType(doc_type),
        validity=_validity(map_of(members.get("validityInfo"), "validityInfo")),
        status=None if status is None else map_of(status, "status"),
    )


def map_of(value: Any, what: str) -> dict[Any, Any]:
    """Return ``value`` if it is a map. Raises ``MalformedError``."""
    # mdoc-18013.8.3-types
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is not a map", clause="ISO/IEC 18013-5 8.3")
    return value


def text_of(members: Mapping[Any, Any], name: str) -> str:
    """Return the member ``name`` if it is a text. Raises ``MalformedError``."""
    value = members.get(name)
    # mdoc-18013.8.3-types
    if not isinstance(value, str):
        raise MalformedError(f"{name} is not a text", clause="ISO/IEC 18013-5 8.3")
    return value


def is_uint(value: Any) -> bool:
    """Return whether ``value`` is an unsigned integer of CBOR; a bool, which is an int for Python, is none."""
    return type(value) is int and value >= 0


def _inner_items(name_space: Any, items: Any) -> list[bytes]:
    # mdoc-18013.8.3.2.1-items
    if not isinstance(name_space, str) or not isinstance(items, list) or not items:
        raise MalformedError("a namespace is not a text with a non-empty array", clause="ISO/IEC 18013-5 8.3.2.1.2.2")
    return [cbor.embedded(item, what="IssuerSignedItemBytes") for item in items]


def _item(value: Any, inner: bytes) -> IssuerSignedItem:
    members = map_of(value, "IssuerSignedItem")
    digest_id: Any = members.get("digestID")
    random, element = members.get("random"), members.get("elementIdentifier")
    # mdoc-18013.8.3.2.1-item
    if type(digest_id) is not int or digest_id < 0 or type(element) is not str or "elementValue" not in members:
        raise MalformedError("a member of IssuerSignedItem is missing", clause="ISO/IEC 18013-5 8.3.2.1.2.2")
    # mdoc-18013.9.1.2.5-random
    if not isinstance(random, bytes) or len(random) < MIN_RANDOM_BYTES:
        raise MalformedError("random of an IssuerSignedItem is too short", clause="ISO/IEC 18013-5 9.1.2.5")
    return IssuerSignedItem(digest_id, element, members["elementValue"], inner)


def _value_digests(value: Any, length: int) -> dict[str, dict[int, bytes]]:
    value_digests = map_of(value, "valueDigests")
    for name_space, digests in value_digests.items():
        # A bool is an int for Python, but no digestID.
        # mdoc-18013.9.1.2.4-value-digests
        if not isinstance(name_space, str) or not all(
            type(digest_id) is int and digest_id >= 0 and type(digest) is bytes and len(digest) == length
            for digest_id, digest in map_of(digests, "digests of a namespace").items()
        ):
            raise MalformedError("valueDigests has a wrong identifier or digest", clause="ISO/IEC 18013-5 9.1.2.4")
    return value_digests


def _key_authorizations(value: Any) -> KeyAuthorizations:
    if value is None:
        return _NO_AUTHORIZATIONS
    members = map_of(value, "keyAuthorizations")
    name_spaces, data_elements = members.get("nameSpaces", []), members.get("dataElements", {})
    pairs: list[tuple[Any, Any]] = [
        (name_space, element)
        for name_space, elements in map_of(data_elements, "dataElements").items()
        for element in (elements if isinstance(elements, list) else [None])
    ]
    names = [*(name_spaces if isinstance(name_spaces, list) else [None]), *(name for pair in pairs for name in pair)]
    # mdoc-18013.9.1.2.4-key-authorizations
    if not all(isinstance(name, str) for name in names):
        raise MalformedError("keyAuthorizations are not lists of texts", clause="ISO/IEC 18013-5 9.1.2.4")
    return KeyAuthorizations(frozenset(name_spaces), frozenset(pairs))


_NO_AUTHORIZATIONS: Final = KeyAuthorizations()


def _validity(members: Mapping[Any, Any]) -> ValidityInfo:
    expected = members.get("expectedUpdate")
    return ValidityInfo(
        _time(members.get("signed"), "signed"),
        _time(members.get("validFrom"), "validFrom"),
        _time(members.get("validUntil"), "validUntil"),
        None if expected is None else _time(expected, "expectedUpdate"),
    )


def _time(value: Any, what: str) -> datetime:
    # What is not even a tag with a text is not hashable perhaps.
    if isinstance(value, Tagged) and isinstance(value.value, str):
        return _known_time(value.tag, value.value, what)
    return cbor.parse_tdate(value, what=what)


@lru_cache(maxsize=1024)
def _known_time(tag: int, text: str, what: str) -> datetime:
    """Return a point in time. Times are rounded, so a verifier meets the same ones again and again."""
    return cbor.parse_tdate(Tagged(tag, text), what=what)
