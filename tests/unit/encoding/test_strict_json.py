"""Strict JSON: what two readers could read differently is refused, and limits hold."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.encoding import strict_json
from wallet_core.errors import MalformedError

INTEGERS = st.integers(-strict_json.MAX_INTEGER, strict_json.MAX_INTEGER)
SCALARS = st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)


@given(VALUES)
def test_there_and_back(value: object) -> None:
    assert strict_json.loads(strict_json.dumps(value)) == value
    assert strict_json.loads(strict_json.dumps_text(value)) == value


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_spacing_and_escapes_make_no_difference(value: object, indent: int | None, ascii_only: bool) -> None:  # noqa: FBT001
    assert strict_json.loads(json.dumps(value, indent=indent, ensure_ascii=ascii_only)) == value


@given(st.binary(max_size=60) | st.text('{}[]",:\\u0123eE+-. tfn', max_size=40).map(str.encode))
def test_anything_else_is_malformed(data: bytes) -> None:
    try:
        value = strict_json.loads(data)
    except MalformedError:
        return
    assert value == json.loads(data)


@pytest.mark.clause("jose-7493-duplicate")
@pytest.mark.parametrize(
    "text",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'{"b":[{"a":1,"a":2}]}',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e400",
        b"9007199254740992",
        b"-9007199254740992",
        b"18446744073709551615",
        b"18446744073709551616",
        b"[ 9007199254740992 ]",
        b"1" * 400,
        b'"\\ud800"',
        b'{"\\udc00":1}',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b"\xef\xbb\xbf1",
        b"[1,]",
        b"01",
        b"",
        b"1 2",
        b'"\n"',
    ],
)
def test_refused(text: bytes) -> None:
    with pytest.raises(MalformedError):
        strict_json.loads(text)


def test_text_with_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(MalformedError):
        strict_json.loads('"\ud800"')


def test_size() -> None:
    assert strict_json.loads(b'"aaaa"', max_bytes=6) == "aaaa"
    with pytest.raises(MalformedError, match="larger than 5 bytes"):
        strict_json.loads(b'"aaaa"', max_bytes=5)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_depth(opening: str) -> None:
    closing = {"[": "]", "{": "}"}[opening[0]]
    deepest = opening * strict_json.MAX_DEPTH + "1" + closing * strict_json.MAX_DEPTH
    strict_json.loads(deepest)
    with pytest.raises(MalformedError, match="nested deeper"):
        strict_json.loads(opening + deepest + closing)


def test_brackets_in_strings_are_not_depth() -> None:
    text = '"' + "[" * 100 + '\\"[{' + '"'
    assert strict_json.loads(f"[{text}]") == [json.loads(text)]
    assert strict_json.loads("[" + ",".join(["[]"] * 100) + "]") == [[]] * 100


@pytest.mark.parametrize("text", ['"' + '\\"' * 120_000, '"\\"' * 60_000 + "[" * 40, "[" * 200_000, "[[]," * 60_000])
def test_hostile_depth_costs_linear_time(text: str) -> None:
    # Quadratic matching of 240 kB would take minutes; this bound is three orders of magnitude above the linear cost.
    begun = time.monotonic()
    with pytest.raises(MalformedError):
        strict_json.loads("[" * 40 + text)
    assert time.monotonic() - begun < 10


def test_only_objects() -> None:
    assert strict_json.loads_object(b'{"a":1}') == {"a": 1}
    for other in (b"[]", b'"a"', b"1", b"null"):
        with pytest.raises(MalformedError, match="not a JSON object"):
            strict_json.loads_object(other)


def test_what_json_lacks_is_our_own_mistake() -> None:
    with pytest.raises(TypeError):
        strict_json.dumps({"a": object()})


@given(st.lists(VALUES, max_size=5), st.booleans())
def test_several_texts_at_once(values: list[object], indent: bool) -> None:  # noqa: FBT001
    texts = [json.dumps(value, indent=1 if indent else None).encode() for value in values]
    assert strict_json.loads_each(texts) == values
    assert strict_json.loads_each([strict_json.dumps(value) for value in values]) == values


@pytest.mark.parametrize(
    "texts",
    [
        [b"[1],[2", b"3]"],
        [b"1,2"],
        [b"1", b""],
        [b'"a', b'b"'],
        [b'{"a":1', b'"b":2}'],
        [b'{"a":1,"a":2}', b"1"],
        [b"1", b"9007199254740992"],
        [b"[" * 33 + b"]" * 33],
        [b"1", b"[" * 33 + b"]" * 33],
        [b"[" * 200 + b"]" * 200],
        [b"]", b"["],
        [b"\xff"],
        [b"1] [1"],
    ],
)
def test_several_texts_of_which_one_is_none(texts: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        strict_json.loads_each(texts)


def test_many_and_deep_texts() -> None:
    deepest = b"[" * 32 + b"]" * 32
    assert len(strict_json.loads_each([deepest, b"[1]", deepest])) == 3
    assert strict_json.loads_each([b'["a",[1]]'] * 100) == [["a", [1]]] * 100
    assert strict_json.loads_each([]) == []
