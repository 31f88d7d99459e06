"""Strict CBOR: what two readers could read differently is refused, tags stay tags, and limits hold."""

import time
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.encoding import cbor, strict_json
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import MalformedError

KEYS = st.integers(-(2**64), 2**64 - 1) | st.text() | st.binary()
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.just(cbor.Undefined)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.builds(Tagged, st.integers(0, 2**64 - 1), inner)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_there_and_back(value: object) -> None:
    data = cbor.dumps(value)
    assert cbor.loads(data) == value
    assert cbor.dumps(cbor.loads(data)) == data


@given(st.binary(max_size=60))
def test_anything_else_is_malformed(data: bytes) -> None:
    try:
        value = cbor.loads(data)
    except MalformedError:
        return
    # Whatever was read can be written: no tag became a pattern, a set, or a value that contains itself.
    cbor.dumps(value)


@pytest.mark.clause("cbor-8949.5.6-duplicate")
@pytest.mark.parametrize("text", ["a2616101616102", "a201010102", "81a2f501f502", "a2410101410102"])
def test_a_key_twice(text: str) -> None:
    with pytest.raises(MalformedError, match="not valid CBOR"):
        cbor.loads(bytes.fromhex(text))


@pytest.mark.clause("cbor-18013.8.3-indefinite")
@pytest.mark.parametrize("text", ["9f0102ff", "bf616101ff", "7f6161ff", "5f4101ff", "d8185f4101ff", "81bfff"])
def test_an_indefinite_length(text: str) -> None:
    with pytest.raises(MalformedError, match="not valid CBOR"):
        cbor.loads(bytes.fromhex(text))


@pytest.mark.clause("cbor-8949.5.3-trailing")
@pytest.mark.parametrize("text", ["0000", "a000", "80f6", "6161ff", "4100" + "00" * 5000])
def test_bytes_after_the_end(text: str) -> None:
    with pytest.raises(MalformedError, match="after its end"):
        cbor.loads(bytes.fromhex(text))


@pytest.mark.clause("cbor-8949.5.3-depth")
@pytest.mark.parametrize("opening", ["81", "a100", "d818", "c1"])
def test_depth(opening: str) -> None:
    assert cbor.loads(bytes.fromhex(opening * cbor.MAX_DEPTH + "00")) is not None
    with pytest.raises(MalformedError):
        cbor.loads(bytes.fromhex(opening * (cbor.MAX_DEPTH + 1) + "00"))
    with pytest.raises(MalformedError):
        cbor.loads(bytes.fromhex(opening * 20_000 + "00"))


def test_size() -> None:
    with pytest.raises(MalformedError, match="larger than 3"):
        cbor.loads(b"\x43abc", what="message", max_bytes=3)


@pytest.mark.parametrize("tag", [*range(64), 100, 256, 258, 260, 261, 1004, 43000, 55799, 2**32])
@pytest.mark.parametrize("value", ["x", 5, b"\x00\x01", [1, 2], {"a": 1}, None])
def test_no_tag_is_interpreted(tag: int, value: object) -> None:
    assert cbor.loads(cbor.dumps([Tagged(tag, value)])) == [Tagged(tag, value)]


def test_a_value_cannot_contain_itself() -> None:
    assert cbor.loads(bytes.fromhex("d81c81d81d00")) == Tagged(28, [Tagged(29, 0)])


def test_one_is_not_true() -> None:
    value = cbor.loads(bytes.fromhex("820 1f5".replace(" ", "")))
    assert [type(element) for element in value] == [int, bool]


@pytest.mark.clause("cbor-18013.8.3-keys")
def test_keys_made_to_collide_cost_no_time() -> None:
    # hash(-1) == hash(-2) in CPython, so arrays of the two make keys that are all compared with each other.
    keys = b"".join(
        b"\x8e" + bytes(0x20 if number >> bit & 1 else 0x21 for bit in range(13)) + b"\x00\x00"
        for number in range(1 << 13)
    )
    data = b"\xb9\x20\x00" + keys
    started = time.perf_counter()
    with pytest.raises(MalformedError, match="key of a kind"):
        cbor.loads(data)
    assert time.perf_counter() - started < 1


@pytest.mark.clause("cbor-18013.8.3-keys")
def test_many_items_cost_no_time() -> None:
    with pytest.raises(MalformedError, match="too many items"):
        cbor.loads(cbor.dumps([0] * (cbor.MAX_ITEMS + 1)))


def test_large_items_that_are_honest() -> None:
    portrait = b"\xff\xd8" + bytes(60_000)
    value = {"a": [{1: Tagged(24, portrait), b"k": [1.5, -7, 2**40, True, cbor.Undefined]}], "b": {"c": {}}, "d": []}
    assert cbor.loads(cbor.dumps(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.5, "f93e00"), (100000.0, "fa47c35000"), (1.1, "fb3ff199999999999a"), ([1.5, "\xfb"], "82f93e0062c3bb")],
)
def test_floats_are_as_short_as_they_go(value: object, text: str) -> None:
    assert cbor.dumps(value).hex() == text


def test_what_cbor_does_not_have_is_our_mistake() -> None:
    with pytest.raises(TypeError):
        cbor.dumps(object())


@pytest.mark.parametrize("length", [0, 1, 23, 24, 255, 256, 65535, 65536])
def test_heads(length: int) -> None:
    data = bytes(length)
    assert cbor.head(2, length) + data == cbor.dumps(data)
    assert cbor.loads(cbor.embed(data), max_bytes=10**6) == Tagged(24, data)


@pytest.mark.parametrize("argument", [2**32 - 1, 2**32, 2**64 - 1])
def test_long_heads(argument: int) -> None:
    assert cbor.head(0, argument) == cbor.dumps(argument)


def test_embedded_cbor_keeps_its_bytes() -> None:
    inner = bytes.fromhex("1817")  # 23, longer than necessary
    parsed = cbor.loads(cbor.embed(inner))
    assert cbor.embedded(parsed, what="x") == inner
    assert cbor.embedded_as_received(inner, cbor.embed(inner)) == cbor.embed(inner)


@pytest.mark.parametrize("head", ["58 02", "59 0002", "5a 00000002", "5b 0000000000000002"])
def test_embedded_cbor_with_a_length_longer_than_necessary(head: str) -> None:
    received = bytes.fromhex("d818" + head) + b"\x18\x17"
    assert cbor.embedded(cbor.loads(received), what="x") == b"\x18\x17"
    assert cbor.embedded_as_received(b"\x18\x17", b"\x82" + received + b"\x00") == received


@pytest.mark.parametrize("head", ["42", "58 02", "59 0002", "5a 00000002", "5b 0000000000000002"])
def test_each_embedded_item_keeps_its_head(head: str) -> None:
    items = [b"\x18\x17", b"\x18\x18", b"\x18\x17"]
    heads = [bytes.fromhex("d818" + each) for each in (head, "42", "5802")]
    encoded = [head + inner for head, inner in zip(heads, items, strict=True)]
    assert list(cbor.each_as_received(items, b"\x83".join([b"", *encoded, b""]))) == encoded


@pytest.mark.parametrize("head", ["42", "58 02", "59 0002"])
def test_an_embedded_item_is_found_behind_the_same_bytes_without_a_head(head: str) -> None:
    encoded = bytes.fromhex("d818" + head) + b"\x18\x17"
    assert list(cbor.each_as_received([b"\x18\x17"], b"\x18\x17" + encoded)) == [encoded]


def test_each_embedded_item_that_does_not_stand_there() -> None:
    assert list(cbor.each_as_received([b"\x01", b"\x02"], cbor.embed(b"\x02"))) == [
        b"\xd8\x18\x41\x01",
        b"\xd8\x18\x41\x02",
    ]
    assert list(cbor.each_as_received([], b"")) == []


@pytest.mark.clause("cbor-8949.3.4.5.1-tag-24")
@pytest.mark.parametrize("value", [b"\x00", Tagged(23, b"\x00"), Tagged(24, "\x00"), None])
def test_what_is_not_embedded_cbor(value: object) -> None:
    with pytest.raises(MalformedError, match="tag 24"):
        cbor.embedded(value, what="x")


def test_tdate() -> None:
    seoul = timezone(timedelta(hours=9))
    assert cbor.tdate(datetime(2026, 11, 27, 9, 0, tzinfo=seoul)) == Tagged(0, "2026-11-27T00:00:00Z")
    assert cbor.parse_tdate(Tagged(0, "2026-11-27T00:00:00Z"), what="x") == datetime(2026, 11, 27, tzinfo=UTC)
    assert cbor.parse_tdate(Tagged(0, "2026-11-27T00:00:00.5Z"), what="x").microsecond == 500_000
    for wrong in (datetime(2026, 1, 1), datetime(2026, 1, 1, microsecond=1, tzinfo=UTC)):  # noqa: DTZ001
        with pytest.raises(ValueError, match="tdate"):
            cbor.tdate(wrong)


@pytest.mark.clause("cbor-18013.7.2.1-tdate")
@pytest.mark.parametrize(
    "value",
    [
        "2026-11-27T00:00:00Z",
        Tagged(1, 1_700_000_000),
        Tagged(0, b"2026-11-27T00:00:00Z"),
        Tagged(1004, "2026-11-27"),
        Tagged(0, "2026-11-27"),
        Tagged(0, "2026-11-27T00:00:00+09:00"),
        Tagged(0, "2026-11-27T00:00:00"),
        Tagged(0, "2026-02-30T00:00:00Z"),
        Tagged(0, "2026-11-27T00:00:00Z\n"),
        Tagged(0, "\u0662\u066026-11-27T00:00:00Z"),
    ],
)
def test_what_is_not_a_tdate(value: object) -> None:
    with pytest.raises(MalformedError):
        cbor.parse_tdate(value, what="x")


@pytest.mark.clause("cbor-8943-full-date")
def test_full_date() -> None:
    assert cbor.full_date(date(2000, 1, 2)) == Tagged(1004, "2000-01-02")
    assert cbor.parse_full_date(Tagged(1004, "2000-01-02"), what="x") == date(2000, 1, 2)
    for wrong in ("2000-01-02", Tagged(0, "2000-01-02"), Tagged(1004, "2000-02-30"), Tagged(1004, "20000102")):
        with pytest.raises(MalformedError):
            cbor.parse_full_date(wrong, what="x")


@pytest.mark.clause("cbor-8949.6.1-tags")
@pytest.mark.parametrize(
    ("value", "json"),
    [
        (Tagged(1004, "2000-01-02"), "2000-01-02"),
        (Tagged(0, "2026-11-27T00:00:00Z"), "2026-11-27T00:00:00Z"),
        (b"\xff\xfe", "__4"),
        (Tagged(24, b"\xff\xfe"), "__4"),
        (Tagged(22, b"\xff\xfe"), "//4="),
        (Tagged(23, b"\xff\xfe"), "fffe"),
        (Tagged(2, b"\x01\x00"), "AQA"),
        (Tagged(3, b"\x01\x00"), "~AQA"),
        ({"a": [1, -2, True, None], 3: 1.5}, {"a": [1, -2, True, None], "3": 1.5}),
        ([cbor.Undefined, float("nan"), float("-inf")], [None, None, None]),
        ([2**53 - 1, 1 - 2**53], [2**53 - 1, 1 - 2**53]),
        ([2**53, -(2**53)], ["IAAAAAAAAA", "~H________w"]),
        ([2**64 - 1, -(2**64)], ["__________8", "~__________8"]),
        (Tagged(9999, {"a": Tagged(1004, "2000-01-02")}), {"a": "2000-01-02"}),
        ([], []),
    ],
)
def test_to_json(value: object, json: object) -> None:
    assert cbor.to_json(value) == json


@pytest.mark.clause("cbor-8949.6.1-keys")
@pytest.mark.parametrize("value", [{b"a": 1}, {True: 1}, {1: 1, "1": 2}, {"a": {1.5: 2}}])
def test_keys_that_json_does_not_have(value: object) -> None:
    with pytest.raises(MalformedError):
        cbor.to_json(value)


@given(VALUES)
def test_to_json_refuses_or_answers(value: object) -> None:
    try:
        json = cbor.to_json(cbor.loads(cbor.dumps(value)))
    except MalformedError:
        return
    # Whatever it is, it can be stored and read again.
    assert strict_json.loads(strict_json.dumps(json)) == json


@pytest.mark.parametrize("length", [0, 1, 23, 24, 255, 256, 257, 65535, 65536])
def test_embedded_cbor_that_stands_alone(length: int) -> None:
    inner = bytes(length)
    assert cbor.loads_embedded(cbor.embed(inner), what="x") == inner
    for wrong in (cbor.embed(inner) + b"\x00", cbor.embed(inner)[:-1], b"\xd8\x17" + cbor.embed(inner)[2:], inner):
        with pytest.raises(MalformedError):
            cbor.loads_embedded(wrong, what="x")


def test_several_items_at_once() -> None:
    items = [cbor.dumps(value) for value in (1, "a", [1, {"b": Tagged(24, b"x")}], b"")]
    assert cbor.loads_each(items) == [1, "a", [1, {"b": Tagged(24, b"x")}], b""]
    assert cbor.loads_each([]) == []
    assert cbor.loads_each([cbor.dumps(bytes(9000)), b"\x01"]) == [bytes(9000), 1]


@pytest.mark.clause("cbor-8949.5.3-trailing")
@pytest.mark.parametrize(
    "items",
    [
        [b"\x82\x01", b"\x02"],
        [b"\x01\x02", b"\x03"],
        [b"\x01", b""],
        [b"", b"\x01"],
        [b"\x42a", b"b\x01"],
        [b"\x01\x01"],
        [b"\x01", b"\xff"],
        [b"\x82\x01", b"\x02" + cbor.dumps(bytes(9000))],
    ],
)
def test_bytes_moved_from_one_item_to_the_next(items: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        cbor.loads_each(items)
