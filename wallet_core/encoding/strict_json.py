"""JSON from strangers: no duplicate members, no NaN, no surprise in size or depth (RFC 8259, I-JSON RFC 7493)."""

import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn, TypeAlias, cast

import orjson

from wallet_core.errors import MalformedError
from wallet_core.types import Json, JsonObject

MAX_BYTES = 256 * 1024
"""Bytes of one JSON text; the largest honest one here is a credential with a portrait, about 60 kB."""

MAX_DEPTH = 32
"""Levels of arrays and objects; the deepest honest one here is issuer metadata with 9."""

MAX_INTEGER = 2**53 - 1
"""Largest integer every JSON reader holds exactly (RFC 7493 2.2)."""

PreparedJson: TypeAlias = orjson.Fragment
"""A value that is JSON already."""

_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# A string, closed or not: a pattern that can fail to match would be tried again from every quotation mark inside it.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+.?', re.DOTALL)


def loads(text: bytes | str, *, what: str = "JSON", max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Json:
    """Return the value of one JSON text.

    Args:
        text: UTF-8 bytes, or text.
        what: how the error names the text.
        max_bytes: size that is refused beyond.
        max_depth: nesting that is refused beyond.

    Raises:
        MalformedError: not JSON, too large, too deep, a duplicate member, NaN, a lone surrogate or an integer that
            other readers would round.
    """
    data = text if isinstance(text, bytes) else _utf8(text, what)
    if len(data) > max_bytes:
        raise MalformedError(f"{what} is larger than {max_bytes} bytes")
    # Counting the brackets bounds the depth without parsing; strings with brackets only send us the longer way.
    if len(data) > max_depth and _brackets(data) > max_depth:
        _check_depth(data, what, max_depth)
    try:
        value: Json = orjson.loads(data)
        # A text that survives the round trip has no duplicate member and no number that was rounded. Texts with other
        # spacing or escapes are read again by a parser that reports duplicates.
        survives = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER) == data
    except ValueError as exc:
        raise MalformedError(f"{what} is not valid JSON") from exc
    except TypeError:
        # An integer beyond MAX_INTEGER.
        survives = False
    return value if survives else _loads_slowly(data, what)


def loads_each(texts: Sequence[bytes], *, what: str = "JSON") -> list[Json]:
    """Return the value of each of several JSON texts, as :func:`loads` would, in less time than one by one.

    Raises:
        MalformedError: as :func:`loads`, for the first text that it refuses.
    """
    joined = b"[" + b",".join(texts) + b"]"
    # Few brackets bound the depth of each text without a closer look; the list itself has one.
    if len(joined) <= MAX_BYTES and _brackets(joined) <= MAX_DEPTH + 1:
        values = _loads_list(joined)
        # Each text, not only all of them together: `[1],[2` and `3]` make a list of two as well.
        if _round_trip_each(values) == [*texts]:
            return values
    return [loads(text, what=what) for text in texts]


def loads_object(
    text: bytes | str, *, what: str = "JSON", max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH
) -> JsonObject:
    """Return the members of one JSON object. Raises as :func:`loads`, and if the text is not an object."""
    value = loads(text, what=what, max_bytes=max_bytes, max_depth=max_depth)
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is not a JSON object")
    return value


def loads_own(data: bytes) -> JsonObject:
    """Return the members of an object that :func:`dumps` wrote and that nobody else could have changed since.

    Raises:
        MalformedError: not a JSON object.
    """
    try:
        value: Json = orjson.loads(data)
    except ValueError as exc:
        raise MalformedError("a stored value is not valid JSON") from exc
    if not isinstance(value, dict):
        raise MalformedError("a stored value is not a JSON object")
    return value


def dumps(value: Any) -> bytes:
    """Return ``value`` as compact UTF-8 JSON. Members keep their order.

    Raises:
        TypeError: ``value`` holds something that JSON does not have (a mistake of our own code).
    """
    return orjson.dumps(value)


def prepared(text: bytes) -> PreparedJson:
    """Return JSON that :func:`dumps` made before, for it to copy into another text."""
    return orjson.Fragment(text)


def dumps_each(values: Sequence[Any]) -> list[bytes]:
    """Return each of ``values`` as :func:`dumps` would."""
    return [orjson.dumps(value) for value in values]


def dumps_sorted(value: Any) -> bytes:
    """Return ``value`` as compact UTF-8 JSON with the members of every object in order: equal values, equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def dumps_text(value: Any) -> str:
    """Return ``value`` as compact JSON text."""
    return orjson.dumps(value).decode()


def _utf8(text: str, what: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        raise MalformedError(f"{what} is not valid Unicode") from exc


def _brackets(data: bytes) -> int:
    # bytes.count looks at one byte after the other; bytes.replace at many at once where brackets are rare, as in what
    # is long here.
    return len(data) - len(data.replace(b"[", b"").replace(b"{", b""))


def _check_depth(data: bytes, what: str, max_depth: int) -> None:
    depth = 0
    for bracket in _STRING.sub(b"", data).translate(None, _NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > max_depth:
            raise MalformedError(f"{what} is nested deeper than {max_depth} levels")


def _loads_list(data: bytes) -> list[Json]:
    """Return the elements of a JSON array; none if it is no JSON."""
    try:
        return cast("list[Json]", orjson.loads(data))
    except ValueError:
        return []


def _round_trip_each(values: list[Json]) -> list[bytes]:
    try:
        return [orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER) for value in values]
    except TypeError:
        return []


def _loads_slowly(data: bytes, what: str) -> Json:
    try:
        return cast(
            "Json",
            json.loads(
                data.decode(),
                object_pairs_hook=_object_without_duplicates,
                parse_constant=_refuse_constant,
                parse_int=_integer,
            ),
        )
    except (ValueError, RecursionError) as exc:
        reason = str(exc) if isinstance(exc, _RefusedJsonError) else "is not valid JSON"
        raise MalformedError(f"{what} {reason}") from exc


class _RefusedJsonError(ValueError):
    pass


def _object_without_duplicates(pairs: list[tuple[str, Json]]) -> JsonObject:
    members = dict(pairs)
    # jose-7493-duplicate
    if len(members) != len(pairs):
        raise _RefusedJsonError("has a member twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise _RefusedJsonError(f"holds {name}, which JSON does not have")


def _integer(digits: str) -> int:
    # The length comes first: turning a million digits into a number takes seconds.
    if len(digits) > len(str(MAX_INTEGER)) + 1 or abs(int(digits)) > MAX_INTEGER:
        raise _RefusedJsonError("holds an integer beyond 2^53")
    return int(digits)
