"""CBOR from strangers: no duplicate keys, no indefinite lengths, nothing after the end (RFC 8949, ISO/IEC 18013-5 8.3).

The only module that calls ``cbor2``. The invariant: a tag is never interpreted. It stays a :class:`Tagged` with its
number and content, so that what was signed can be written again byte for byte, and no tag makes a pattern, an address
or a value that contains itself.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from io import BytesIO
from math import isfinite
from typing import Any, Final, TypeAlias

import cbor2

from wallet_core.encoding import base64url
from wallet_core.encoding.strict_json import MAX_INTEGER
from wallet_core.errors import MalformedError
from wallet_core.types import Json, JsonObject

Tagged: TypeAlias = cbor2.CBORTag
"""A tag with its number (``tag``) and content (``value``): frozen, hashable, written again as it came."""

Undefined: Final = cbor2.undefined
"""The simple value 23 of RFC 8949 3.3."""

MAX_BYTES: Final = 256 * 1024
"""Bytes of one CBOR item; the largest honest one here is an mdoc with a portrait, about 60 kB."""

MAX_DEPTH: Final = 16
"""Levels of arrays, maps and tags; the deepest honest one here is a DeviceResponse with 10."""

MAX_ITEMS: Final = 20_000
"""Data items in one CBOR item: an mdoc with hundreds of elements has about 2 000."""

SURVEY_BYTES: Final = 8 * 1024
"""From this size on an item is walked through before it is built: a map whose keys are arrays can be made so that
each is compared with all others, which for 8 kB takes milliseconds and for 256 kB half a minute."""

TAG_TDATE: Final = 0
TAG_BIGNUM: Final = 2
TAG_NEGATIVE_BIGNUM: Final = 3
TAG_BASE64: Final = 22
TAG_BASE16: Final = 23
TAG_CBOR: Final = 24
TAG_FULL_DATE: Final = 1004

_INTERPRETED_TAGS = (
    *(0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799),
)
"""Tags for which ``cbor2`` has an opinion of its own."""

_MAP_KEYS = (0, 1, 2, 3)
"""Major types that a key may have: integers, byte strings and text."""

_TDATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z\Z", re.ASCII)
_FULL_DATE = re.compile(r"\d{4}-\d\d-\d\d\Z", re.ASCII)


def _keep(tag: int) -> Callable[[Any, bool], Tagged]:
    return lambda value, _immutable: Tagged(tag, value)


def _keep_unknown(tagged: Tagged, immutable: bool) -> Tagged:  # noqa: FBT001 - the signature that cbor2 calls
    # What is inside a tag that it does not know comes frozen; ours are the same lists and dictionaries everywhere.
    content = tagged.value
    return tagged if immutable or type(content) is bytes else Tagged(tagged.tag, _thawed(content))


def _thawed(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_thawed(element) for element in value]
    if isinstance(value, cbor2.frozendict):
        return {key: _thawed(element) for key, element in value.items()}
    if isinstance(value, Tagged) and type(value.value) is not bytes:
        return Tagged(value.tag, _thawed(value.value))
    return value


_KEPT: Final = {tag: _keep(tag) for tag in _INTERPRETED_TAGS}


def loads(data: bytes, *, what: str = "CBOR", max_bytes: int = MAX_BYTES) -> Any:
    """Return the one item that ``data`` encodes: Python values, :class:`Tagged` for every tag.

    Not done here: preferred serialization and the order of keys, which ISO/IEC 18013-5 asks of writers only.

    Args:
        data: the encoding.
        what: how the error names it.
        max_bytes: size that is refused beyond.

    Raises:
        MalformedError: not well-formed, too large, too deep, an indefinite length, a key twice, a text that is not
            UTF-8, or bytes after the end.
    """
    if len(data) > max_bytes:
        raise MalformedError(f"{what} is larger than {max_bytes} bytes")
    if len(data) > SURVEY_BYTES:
        _survey(data, what)
    source = BytesIO(data)
    try:
        value = _decoder(source).decode()
    # OverflowError: a length beyond what the machine can address; RecursionError and MemoryError cannot happen within
    # the limits above, and would be ours to know of.
    except (cbor2.CBORError, ValueError, TypeError, OverflowError) as exc:
        raise MalformedError(f"{what} is not valid CBOR", clause="RFC 8949 5.3") from exc
    # cbor-8949.5.3-trailing
    if source.tell() != len(data):
        raise MalformedError(f"{what} has bytes after its end", clause="RFC 8949 5.3.1")
    return value


def _decoder(source: BytesIO) -> cbor2.CBORDecoder:
    return cbor2.CBORDecoder(
        source,
        semantic_decoders=_KEPT,
        tag_hook=_keep_unknown,
        # cbor-8949.5.6-duplicate
        allow_duplicate_keys=False,
        # cbor-18013.8.3-indefinite
        allow_indefinite=False,
        # cbor-8949.5.3-depth
        max_depth=MAX_DEPTH,
    )


def loads_map(data: bytes, *, what: str = "CBOR", max_bytes: int = MAX_BYTES) -> dict[Any, Any]:
    """Return the members of one map. Raises as :func:`loads`, and if the item is not a map."""
    value = loads(data, what=what, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is not a map")
    return value


def loads_each(items: Sequence[bytes], *, what: str = "CBOR", max_bytes: int = MAX_BYTES) -> list[Any]:
    """Return the value of each of several items, as :func:`loads` would, in less time than one by one.

    Raises:
        MalformedError: as :func:`loads`, for the first item that it refuses; or together they are too large.
    """
    data = b"".join(items)
    if not SURVEY_BYTES >= len(data) > 0:
        return [loads(item, what=what, max_bytes=max_bytes) for item in items]
    source = BytesIO(data)
    decoder = _decoder(source)
    values, end = [], 0
    try:
        for item in items:
            values.append(decoder.decode())
            end += len(item)
            # Each item ends where it ended: what one has too much, another cannot have too little.
            # cbor-8949.5.3-trailing
            if source.tell() != end:
                raise MalformedError(f"{what} does not end where it should", clause="RFC 8949 5.3.1")
    except (cbor2.CBORError, ValueError, TypeError, OverflowError) as exc:
        raise MalformedError(f"{what} is not valid CBOR", clause="RFC 8949 5.3") from exc
    return values


def dumps(value: Any) -> bytes:
    """Return ``value`` in preferred serialization (RFC 8949 4.1). Keys keep their order.

    Raises:
        TypeError: ``value`` holds something that CBOR does not have (a mistake of our own code).
    """
    try:
        data = cbor2.dumps(value)
        # The byte that starts a float of eight bytes: if it occurs at all, floats are written as short as they go.
        return cbor2.dumps(value, encoders=_SHORT_FLOATS) if b"\xfb" in data else data
    except cbor2.CBOREncodeError as exc:
        raise TypeError(str(exc)) from exc


def _write_float(encoder: Any, value: float) -> None:
    encoder.write(cbor2.dumps(value, canonical=True))


_SHORT_FLOATS: Final[Any] = {float: _write_float}


def head(major: int, argument: int) -> bytes:
    """Return the shortest head of a data item (RFC 8949 3): major type and argument."""
    if argument < 24:
        return bytes((major << 5 | argument,))
    if argument < 0x100:
        return bytes((major << 5 | 24, argument))
    if argument < 0x10000:
        return bytes((major << 5 | 25, argument >> 8, argument & 0xFF))
    size = 4 if argument < 0x1_0000_0000 else 8
    return bytes((major << 5 | (26 if size == 4 else 27),)) + argument.to_bytes(size, "big")


_SHORT_EMBEDDED: Final = tuple(b"\xd8\x18" + head(2, size) for size in range(0x100))
"""Heads of ``#6.24(bstr)`` around short items, of which an mdoc has many."""

_SHORT_TEXTS: Final = tuple(head(3, size) for size in range(0x100))


def text(value: str) -> bytes:
    """Return the encoding of a text: what :func:`dumps` returns, in a tenth of the time."""
    data = value.encode()
    size = len(data)
    return (_SHORT_TEXTS[size] if size < 0x100 else head(3, size)) + data


def byte_string(value: bytes) -> bytes:
    """Return the encoding of a byte string."""
    return head(2, len(value)) + value


def embed(data: bytes) -> bytes:
    """Return ``#6.24(bstr .cbor data)``: encoded CBOR as a data item of its own (RFC 8949 3.4.5.1)."""
    size = len(data)
    return (_SHORT_EMBEDDED[size] if size < 0x100 else b"\xd8\x18" + head(2, size)) + data


def embedded(value: Any, *, what: str) -> bytes:
    """Return the encoded item inside a parsed ``#6.24(bstr)``, as it came.

    Raises:
        MalformedError: another tag, or something else than a byte string in it.
    """
    # cbor-8949.3.4.5.1-tag-24
    if not isinstance(value, Tagged) or value.tag != TAG_CBOR or not isinstance(value.value, bytes):
        raise MalformedError(f"{what} is not tag 24 with a byte string", clause="RFC 8949 3.4.5.1")
    return value.value


def loads_embedded(data: bytes, *, what: str) -> bytes:
    """Return the encoded item inside an encoded ``#6.24(bstr)`` that stands alone.

    Raises:
        MalformedError: as :func:`loads` and :func:`embedded`.
    """
    # In preferred serialization the head of a byte string of 256 bytes to 64 kB, with its tag, is five bytes.
    inner = data[5:]
    return inner if embed(inner) == data and len(data) <= MAX_BYTES else embedded(loads(data, what=what), what=what)


def embedded_as_received(inner: bytes, received: bytes) -> bytes:
    """Return ``#6.24(bstr)`` around ``inner`` with the very head that stands in ``received``.

    A length may have been written longer than necessary; what was signed or digested is what was sent.
    """
    preferred = embed(inner)
    if preferred in received:
        return preferred
    return next((head + inner for head in _embedding_heads(len(inner)) if head + inner in received), preferred)


def each_as_received(items: Iterable[bytes], received: bytes) -> Iterator[bytes]:
    """Yield each of ``items`` as :func:`embedded_as_received`. They stand in ``received`` in this order.

    Each is looked for behind the one before it first, so that many of them cost one walk through ``received``.
    """
    end = 0
    for inner in items:
        at = received.find(inner, end)
        heads = (head for head in _embedding_heads(len(inner)) if received.endswith(head, end, max(at, end)))
        found = next(heads, None)
        if found is None:
            yield embedded_as_received(inner, received)
        else:
            end = at + len(inner)
            yield found + inner


def _embedding_heads(size: int) -> Iterator[bytes]:
    """Yield the ways to write the head of ``#6.24(bstr)`` with ``size`` bytes, the shortest first."""
    if size < 24:
        yield bytes((0xD8, 0x18, 0x40 | size))
    for information, width in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if size < 1 << (8 * width):
            yield bytes((0xD8, 0x18, 0x40 | information)) + size.to_bytes(width, "big")


def tdate(when: datetime) -> Tagged:
    """Return a point in time as ``tdate``: tag 0, no fraction, ``Z`` (ISO/IEC 18013-5 7.2.1).

    Raises:
        ValueError: ``when`` has no time zone or has a fraction of a second.
    """
    if when.tzinfo is None or when.microsecond:
        raise ValueError("a tdate has a time zone and no fraction of a second")
    return Tagged(TAG_TDATE, when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))


def full_date(day: date) -> Tagged:
    """Return a day as ``full-date``: tag 1004 (RFC 8943)."""
    return Tagged(TAG_FULL_DATE, f"{day:%Y-%m-%d}")


def parse_tdate(value: Any, *, what: str) -> datetime:
    """Return the point in time of a ``tdate``. A fraction of a second, which others write, is read.

    Raises:
        MalformedError: not tag 0 with a date and time in UTC.
    """
    # cbor-18013.7.2.1-tdate
    if not (isinstance(value, Tagged) and value.tag == TAG_TDATE and isinstance(value.value, str)):
        raise MalformedError(f"{what} is not a tdate", clause="ISO/IEC 18013-5 7.2.1")
    if not _TDATE.match(value.value):
        raise MalformedError(f"{what} is not a date and time in UTC", clause="RFC 3339 5.6")
    try:
        return datetime.fromisoformat(value.value)
    except ValueError as exc:
        raise MalformedError(f"{what} is no date that exists", clause="RFC 3339 5.7") from exc


def parse_full_date(value: Any, *, what: str) -> date:
    """Return the day of a ``full-date``.

    Raises:
        MalformedError: not tag 1004 with a date.
    """
    # cbor-8943-full-date
    if not (isinstance(value, Tagged) and value.tag == TAG_FULL_DATE and isinstance(value.value, str)):
        raise MalformedError(f"{what} is not a full-date", clause="RFC 8943 1.1")
    if not _FULL_DATE.match(value.value):
        raise MalformedError(f"{what} is not written as a date", clause="RFC 3339 5.6")
    try:
        return date.fromisoformat(value.value)
    except ValueError as exc:
        raise MalformedError(f"{what} is no date that exists", clause="RFC 3339 5.7") from exc


def to_json(value: Any, *, what: str = "CBOR") -> Json:
    """Return parsed CBOR as JSON (RFC 8949 6.1), as DCQL compares the values of an mdoc (OpenID4VP B.2).

    A byte string becomes base64url without padding, a tagged date its text, an integer key its digits, an integer that
    JSON readers would round (RFC 7493 2.2) the text of a bignum; what JSON does not have (undefined, NaN, infinities,
    other simple values) becomes null.

    Raises:
        MalformedError: a map with a key that is neither text nor integer, or with two that become one.
    """
    if isinstance(value, int) and not -MAX_INTEGER <= value <= MAX_INTEGER:
        return _bignum_to_json(value)
    if isinstance(value, bool | str | int) or (isinstance(value, float) and isfinite(value)):
        return value
    if isinstance(value, bytes):
        return base64url.encode(value)
    if isinstance(value, list | tuple):
        return [to_json(element, what=what) for element in value]
    if isinstance(value, Tagged):
        return _tagged_to_json(value, what)
    return _map_to_json(value, what) if isinstance(value, dict) else None


def _bignum_to_json(value: int) -> str:
    """Return a large integer as tag 2 or 3 with the same number becomes, which may be written without its tag."""
    content = value if value >= 0 else -1 - value
    digits = base64url.encode(content.to_bytes((content.bit_length() + 7) // 8, "big"))
    return digits if value >= 0 else f"~{digits}"


def _tagged_to_json(value: Tagged, what: str) -> Json:
    content = value.value
    if isinstance(content, bytes):
        if value.tag == TAG_NEGATIVE_BIGNUM:
            return f"~{base64url.encode(content)}"
        if value.tag == TAG_BASE64:
            return b64encode(content).decode("ascii")
        if value.tag == TAG_BASE16:
            return content.hex()
    # "For all other tags, the tag content is represented as a JSON value; the tag number is ignored."
    # cbor-8949.6.1-tags
    return to_json(content, what=what)


def _map_to_json(value: dict[Any, Any], what: str) -> JsonObject:
    members: JsonObject = {}
    for key, element in value.items():
        if isinstance(key, bool) or not isinstance(key, str | int):
            raise MalformedError(f"{what} has a key that JSON does not have", clause="RFC 8949 6.1")
        members[str(key)] = to_json(element, what=what)
    # cbor-8949.6.1-keys
    if len(members) != len(value):
        raise MalformedError(f"{what} has two keys that JSON cannot tell apart", clause="RFC 8949 6.1")
    return members


def _survey(data: bytes, what: str) -> None:
    """Walk through the heads of ``data`` without building anything; refuse many items and keys of a costly kind.

    What is not well-formed is left for the decoder to refuse.
    """
    position, end, items = 0, len(data), 0
    # For each open array, map or tag: items left, and whether every other one of them is a key.
    open_items: list[list[int]] = []
    while position < end:
        major, argument, position = _head_at(data, position)
        items += 1
        is_key = bool(open_items) and open_items[-1][1] == 1 and open_items[-1][0] % 2 == 0
        # cbor-18013.8.3-keys
        if items > MAX_ITEMS or (is_key and major not in _MAP_KEYS):
            raise MalformedError(f"{what} has too many items or a key of a kind that is not used here")
        if major in (2, 3):
            position += argument
        if open_items:
            open_items[-1][0] -= 1
        if major in (4, 5, 6):
            open_items.append([1 if major == 6 else argument * (major - 3), int(major == 5)])
        if len(open_items) > 2 * MAX_DEPTH:
            raise MalformedError(f"{what} is nested deeper than {MAX_DEPTH} levels")
        while open_items and open_items[-1][0] <= 0:
            open_items.pop()


def _head_at(data: bytes, position: int) -> tuple[int, int, int]:
    """Return major type, argument and the position after one head."""
    major, information = data[position] >> 5, data[position] & 0x1F
    position += 1
    if information < 24:
        return major, information, position
    size = 1 << (information - 24) if information < 28 else 0
    return major, int.from_bytes(data[position : position + size], "big"), position + size
