"""Device engagement: what an mdoc shows so that a reader can find it and speak with it (ISO/IEC 18013-5 8.2).

The invariant: an engagement keeps the bytes it came as. They are part of the session transcript, so they are never
written anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from wallet_core.encoding import base64url, cbor
from wallet_core.errors import MalformedError
from wallet_core.protocols.iso18013 import ephemeral
from wallet_core.protocols.iso18013.ephemeral import EphemeralPublicKey

QR_SCHEME: Final = "mdoc:"

MAX_ENGAGEMENT_BYTES: Final = 2210
"""Bytes of one DeviceEngagement: base64url of it is what the largest QR code can hold."""

CIPHER_SUITE: Final = 1

WEBSOCKET_KEY: Final = -18013
"""Our extension key for the address of a WebSocket: negative ones are free for extensions, the types of
DeviceRetrievalMethod are not (decision 0059)."""

MAX_WEBSOCKET_ADDRESS: Final = 512
"""Characters of such an address."""

_VERSION, _SECURITY, _RETRIEVAL_METHODS = 0, 1, 2


@dataclass(frozen=True, slots=True)
class RetrievalMethod:
    """A way to carry the data: 1 NFC, 2 BLE, 3 Wi-Fi Aware (table 2); ``options`` is CBOR of that way."""

    type: int
    version: int
    options: Any


@dataclass(frozen=True, slots=True)
class DeviceEngagement:
    """What the mdoc showed.

    Attributes:
        encoded: the bytes, as they were shown.
        version: ``1.0`` or a later one of the same major version.
        e_device_key: the ephemeral key of the mdoc for this session.
        retrieval_methods: how it may be reached by radio.
        websocket: where it may be reached over a network, by our extension.
    """

    encoded: bytes
    version: str
    e_device_key: EphemeralPublicKey
    retrieval_methods: tuple[RetrievalMethod, ...] = ()
    websocket: str | None = None


def create_device_engagement(
    e_device_key: EphemeralPublicKey,
    *,
    retrieval_methods: Sequence[RetrievalMethod] = (),
    websocket: str | None = None,
) -> DeviceEngagement:
    """Return the engagement of an mdoc with a fresh ephemeral key (8.2.1.1).

    Raises:
        ValueError: two methods of one type and version, or a WebSocket address that is none.
    """
    if len({(method.type, method.version) for method in retrieval_methods}) != len(retrieval_methods):
        raise ValueError("a combination of type and version is there only once")
    members: dict[int, Any] = {
        _VERSION: "1.0",
        _SECURITY: [CIPHER_SUITE, cbor.Tagged(cbor.TAG_CBOR, ephemeral.encode(e_device_key))],
    }
    if retrieval_methods:
        members[_RETRIEVAL_METHODS] = [[method.type, method.version, method.options] for method in retrieval_methods]
    if websocket is not None:
        if not _is_websocket(websocket):
            raise ValueError("the address is not one of a WebSocket")
        members[WEBSOCKET_KEY] = websocket
    return DeviceEngagement(cbor.dumps(members), "1.0", e_device_key, tuple(retrieval_methods), websocket)


def parse_device_engagement(data: bytes) -> DeviceEngagement:
    """Return the engagement that ``data`` encodes. Unknown keys are ignored (8.2.1.1).

    Raises:
        MalformedError: not a DeviceEngagement, another major version or cipher suite, or an ephemeral key that is none.
    """
    value = cbor.loads_map(data, what="DeviceEngagement", max_bytes=MAX_ENGAGEMENT_BYTES)
    return DeviceEngagement(
        encoded=data,
        version=_version(value.get(_VERSION)),
        e_device_key=_e_device_key(value.get(_SECURITY)),
        retrieval_methods=_retrieval_methods(value.get(_RETRIEVAL_METHODS)),
        websocket=_websocket(value.get(WEBSOCKET_KEY)),
    )


def format_qr(engagement: DeviceEngagement) -> str:
    """Return the text of the QR code that the mdoc shows: ``mdoc:`` and base64url without padding (8.2.2.3)."""
    return QR_SCHEME + base64url.encode(engagement.encoded)


def parse_qr(text: str) -> DeviceEngagement:
    """Return the engagement of a scanned QR code.

    Raises:
        MalformedError: another scheme, not strict base64url, too long, or not a DeviceEngagement.
    """
    # iso18013-8.2.2.3-scheme
    if text[: len(QR_SCHEME)].lower() != QR_SCHEME:
        raise MalformedError("the code is not one of an mdoc", clause="ISO/IEC 18013-5 8.2.2.3")
    if len(text) > len(QR_SCHEME) + MAX_ENGAGEMENT_BYTES * 4 // 3 + 2:
        raise MalformedError(f"the code of the mdoc is longer than {MAX_ENGAGEMENT_BYTES} bytes")
    return parse_device_engagement(base64url.decode(text[len(QR_SCHEME) :], what="the code of the mdoc"))


def _version(value: Any) -> str:
    # 8.2.1.1: a later minor version only adds what we may ignore.
    # iso18013-8.2.1.1-version
    if not isinstance(value, str) or not value.startswith("1."):
        raise MalformedError("DeviceEngagement is not of version 1", clause="ISO/IEC 18013-5 8.2.1.1")
    return value


def _e_device_key(security: Any) -> EphemeralPublicKey:
    if not isinstance(security, list) or len(security) < 2:
        raise MalformedError("Security of DeviceEngagement is not an array of two", clause="ISO/IEC 18013-5 8.2.1.1")
    suite, e_device_key_bytes = security[:2]
    # iso18013-9.1.5.2-cipher-suite
    if type(suite) is not int or suite != CIPHER_SUITE:
        raise MalformedError("the cipher suite of DeviceEngagement is unknown", clause="ISO/IEC 18013-5 9.1.5.2")
    return ephemeral.parse(cbor.embedded(e_device_key_bytes, what="EDeviceKeyBytes"), what="EDeviceKey")


def _retrieval_methods(value: Any) -> tuple[RetrievalMethod, ...]:
    if value is None:
        return ()
    # iso18013-8.2.1.1-methods
    if not isinstance(value, list) or not value or not all(isinstance(each, list) and len(each) == 3 for each in value):
        raise MalformedError("DeviceRetrievalMethods is not a list of methods", clause="ISO/IEC 18013-5 8.2.1.1")
    methods = tuple(RetrievalMethod(*each) for each in value)
    names = {(method.type, method.version) for method in methods if type(method.type) is type(method.version) is int}
    # iso18013-8.2.1.1-method-once
    if len(names) != len(methods):
        raise MalformedError("a DeviceRetrievalMethod is malformed or there twice", clause="ISO/IEC 18013-5 8.2.1.1")
    return methods


def _websocket(value: Any) -> str | None:
    # An extension of others under the same number is none of our business.
    return value if isinstance(value, str) and _is_websocket(value) else None


def _is_websocket(text: str) -> bool:
    return text.isascii() and len(text) <= MAX_WEBSOCKET_ADDRESS and text.startswith(("wss://", "ws://"))
