"""Header maps of COSE messages (RFC 9052 3): what is in them, what must not be."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import MalformedError

Header: TypeAlias = Mapping[int | str, Any]
"""Labels and values of one header map."""

ALG: Final = 1
CRIT: Final = 2
X5CHAIN: Final = 33
"""RFC 9360 2: one certificate as bstr, several as array."""

MAX_MESSAGE_BYTES: Final = 256 * 1024
"""Longest COSE message that is looked at; an MSO with hundreds of elements is about 20 kB, a status list more."""

MAX_HEADER_BYTES: Final = 16 * 1024
"""Longest protected header: an x5chain of three certificates is about 3 kB."""

MAX_CERTIFICATES: Final = 4
"""Certificates in one x5chain: leaf and two intermediates is the most that real issuers send."""


def parse_message(data: bytes, *, tag: int | None, what: str, max_bytes: int = MAX_MESSAGE_BYTES) -> Any:
    """Return the array of a COSE message that stands alone.

    Args:
        data: the encoding.
        tag: the tag the message must carry; None if it must carry none.
        what: how the error names it.
        max_bytes: size that is refused beyond.

    Raises:
        MalformedError: not CBOR, or not tagged as asked.
    """
    value = cbor.loads(data, what=what, max_bytes=max_bytes)
    if tag is None:
        return value
    # cose-9052.2-tag
    if not isinstance(value, Tagged) or value.tag != tag:
        raise MalformedError(f"{what} is not tagged {tag}", clause="RFC 9052 2")
    return value.value


def parse_headers(protected: Any, unprotected: Any, *, what: str) -> tuple[Header, Header]:
    """Return the two header maps of a message.

    Raises:
        MalformedError: not header maps, a label in both, or a label that is neither integer nor text.
    """
    if not isinstance(protected, bytes) or not isinstance(unprotected, dict):
        raise MalformedError(f"the headers of {what} are not a byte string and a map", clause="RFC 9052 3")
    if len(protected) > MAX_HEADER_BYTES:
        raise MalformedError(f"protected header of {what} is larger than {MAX_HEADER_BYTES} bytes")
    inside = _parse_protected(protected, what)
    for label in (*inside, *unprotected):
        # cose-9052.1.5-label
        if isinstance(label, bool) or not isinstance(label, int | str):
            raise MalformedError(f"a label in a header of {what} is neither integer nor text", clause="RFC 9052 1.5")
    # "Labels in each of the maps MUST be unique", and not in both.
    # cose-9052.3-unique
    if not inside.keys().isdisjoint(unprotected):
        raise MalformedError(f"a label of {what} stands in both headers", clause="RFC 9052 3")
    return inside, unprotected


@lru_cache(maxsize=256)
def _parse_protected(protected: bytes, what: str) -> Header:
    """Return the header ``protected`` encodes. A signer sends the same one with every message: never change it."""
    # RFC 9052 3: no protected parameters are written as an empty string; an empty map in it is read too.
    return cbor.loads_map(protected, what=f"protected header of {what}") if protected else {}


def encode_protected(header: Header) -> bytes:
    """Return the protected header as it is signed: an empty string for an empty map (RFC 9052 3)."""
    return cbor.dumps(dict(header)) if header else b""


def x5chain(protected: Header, unprotected: Header, *, what: str) -> tuple[bytes, ...]:
    """Return the certificates of ``x5chain`` in either header as DER, leaf first; empty if there are none.

    RFC 9360 2. Not done here: whether they are certificates, and whom they lead to.

    Raises:
        MalformedError: neither one byte string nor a short array of two or more.
    """
    value = protected.get(X5CHAIN, unprotected.get(X5CHAIN))
    if value is None:
        return ()
    chain = [value] if isinstance(value, bytes) else value
    # An array of one certificate is not what RFC 9360 writes; others do, and it says the same.
    # cose-9360.2-x5chain
    if (
        not isinstance(chain, list)
        or not 0 < len(chain) <= MAX_CERTIFICATES
        or not all(isinstance(certificate, bytes) for certificate in chain)
    ):
        raise MalformedError(f"x5chain of {what} is not a certificate or a short array of them", clause="RFC 9360 2")
    return tuple(chain)
