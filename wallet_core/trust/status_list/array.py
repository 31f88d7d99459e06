"""The array of statuses: 1, 2, 4 or 8 bits for each credential, least significant bit first (Token Status List 4.1).

The invariant: a place beyond the end has no status. It is refused, never read as valid.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from wallet_core.errors import MalformedError, VerificationError

BITS: Final = (1, 2, 4, 8)
"""Sizes that a status can have; each divides a byte, so that none lies across two."""

MAX_LIST_BYTES: Final = 1 << 24
"""Bytes of a list once inflated: 134 million credentials of one bit, more than any country has holders."""

# Revoked credentials are rare, so the array is runs of zeros: run-length matching finds them faster than the general
# search and leaves less. Level 6 chooses the better coding of each block; memory level 9 makes the blocks large.
_LEVEL = 6
_MEMORY = 9


class Status(IntEnum):
    """What the numbers mean (7.1). Others are reserved or an application's own."""

    VALID = 0
    INVALID = 1
    SUSPENDED = 2


@dataclass(frozen=True, slots=True)
class StatusList:
    """An array of statuses as it is read.

    Attributes:
        bits: bits of one status.
        data: the array.
    """

    bits: int
    data: bytes
    _mask: int = field(init=False, repr=False, compare=False)
    _end: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work out what every look-up needs."""
        check_bits(self.bits)
        object.__setattr__(self, "_mask", (1 << self.bits) - 1)
        object.__setattr__(self, "_end", len(self))

    def __len__(self) -> int:
        return len(self.data) * 8 // self.bits

    def status(self, index: int) -> int:
        """Return the status at ``index``.

        Raises:
            VerificationError: the list does not reach so far.
        """
        # 8.3: "If the index is out of bounds of the Status List, validation MUST fail".
        # tsl-8.3-index
        if not 0 <= index < self._end:
            raise VerificationError("the index is beyond the status list", step=6, clause="Token Status List 8.3")
        position = index * self.bits
        return self.data[position >> 3] >> (position & 7) & self._mask


def check_bits(bits: int) -> None:
    """Refuse a size that statuses cannot have (``MalformedError``)."""
    # tsl-4.2-bits
    if isinstance(bits, bool) or bits not in BITS:
        raise MalformedError("bits of the status list is not 1, 2, 4 or 8", clause="Token Status List 4.2")


def new_array(size: int, bits: int) -> bytearray:
    """Return an array of ``size`` statuses, all valid.

    Raises:
        ValueError: the size does not fill whole bytes, or is over the limit.
    """
    check_bits(bits)
    octets, rest = divmod(size * bits, 8)
    if rest or not 0 < octets <= MAX_LIST_BYTES:
        raise ValueError("a status list fills whole bytes, at least one and not too many")
    return bytearray(octets)


def set_status(array: bytearray, bits: int, index: int, status: int) -> None:
    """Write one status where it belongs; everything else stays.

    Raises:
        ValueError: the index is not in the array, or the status has more bits.
    """
    if not 0 <= index < len(array) * 8 // bits or not 0 <= status < 1 << bits:
        raise ValueError("no such place in the status list, or no such status")
    byte, shift = index * bits >> 3, index * bits & 7
    # tsl-4.1-order
    array[byte] = array[byte] & ~(((1 << bits) - 1) << shift) | status << shift


def with_statuses(array: bytes, bits: int, statuses: Mapping[int, int]) -> bytes:
    """Return ``array`` with some statuses written. Raises ``ValueError`` as :func:`set_status`."""
    changed = bytearray(array)
    for index, status in statuses.items():
        set_status(changed, bits, index, status)
    return bytes(changed)


def compress(array: bytes | bytearray) -> bytes:
    """Return the array as a ZLIB stream (RFC 1950), as it stands in a Status List (4.1)."""
    # tsl-4.1-zlib
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS, _MEMORY, zlib.Z_RLE)
    return compressor.compress(array) + compressor.flush()


def decompress(data: bytes, *, max_bytes: int = MAX_LIST_BYTES) -> bytes:
    """Return the array of a ZLIB stream. Never more than ``max_bytes`` are inflated, whatever the stream says.

    Raises:
        MalformedError: not exactly one whole ZLIB stream, empty, or larger than ``max_bytes``.
    """
    inflater = zlib.decompressobj()
    try:
        array = inflater.decompress(data, max_bytes + 1)
    except zlib.error as exc:
        raise MalformedError("the status list is not ZLIB data", clause="Token Status List 4.1") from exc
    # A few bytes can stand for gigabytes: the bound is on what comes out.
    # tsl-11.1-bound
    if len(array) > max_bytes:
        raise MalformedError(f"the status list is larger than {max_bytes} bytes")
    if not inflater.eof or inflater.unused_data or not array:
        raise MalformedError("the status list is not one whole ZLIB stream", clause="Token Status List 4.1")
    return array
