"""Arrays of statuses: their bits, their compressed form, and streams that would fill the memory."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.errors import MalformedError, VerificationError
from wallet_core.trust.status_list.array import (
    BITS,
    MAX_LIST_BYTES,
    StatusList,
    compress,
    decompress,
    new_array,
    set_status,
    with_statuses,
)


@pytest.mark.clause("tsl-4.1-order")
@given(st.sampled_from(BITS), st.lists(st.tuples(st.integers(0, 63), st.integers(0, 255)), max_size=80))
def test_what_was_written_last_is_read_and_nothing_else(bits: int, writes: list[tuple[int, int]]) -> None:
    array, expected = new_array(64, bits), [0] * 64
    for index, value in writes:
        expected[index] = value % (1 << bits)
        set_status(array, bits, index, expected[index])
    statuses = StatusList(bits, bytes(array))
    assert [statuses.status(index) for index in range(len(statuses))] == expected


@pytest.mark.clause("tsl-4.1-order")
def test_the_least_significant_bits_come_first() -> None:
    # The example of Token Status List 4.1.
    statuses = [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]
    assert with_statuses(bytes(new_array(16, 1)), 1, dict(enumerate(statuses))).hex() == "b9a3"


@pytest.mark.clause("tsl-8.3-index")
@pytest.mark.parametrize("index", [16, 17, 10**12, -1])
def test_a_place_outside_the_list_has_no_status(index: int) -> None:
    with pytest.raises(VerificationError) as refused:
        StatusList(2, bytes(4)).status(index)
    assert refused.value.step == 6


@pytest.mark.clause("tsl-4.2-bits")
@pytest.mark.parametrize("bits", [0, 3, 16, -1, True])
def test_other_sizes_are_refused(bits: int) -> None:
    with pytest.raises(MalformedError):
        StatusList(bits, bytes(4))


@pytest.mark.parametrize(("size", "bits"), [(0, 1), (7, 1), (-8, 1), (MAX_LIST_BYTES + 1, 8)])
def test_an_array_fills_whole_bytes_and_has_a_limit(size: int, bits: int) -> None:
    with pytest.raises(ValueError, match="whole bytes"):
        new_array(size, bits)


@pytest.mark.parametrize(("index", "status"), [(-1, 0), (8, 0), (0, 2), (0, -1)])
def test_nothing_is_written_outside_the_array(index: int, status: int) -> None:
    with pytest.raises(ValueError, match="no such"):
        set_status(new_array(8, 1), 1, index, status)


@pytest.mark.clause("tsl-4.1-zlib")
@given(st.binary(min_size=1, max_size=5000))
def test_any_zlib_reads_what_we_compress_and_we_read_any_level(array: bytes) -> None:
    assert zlib.decompress(compress(array)) == array
    assert all(decompress(zlib.compress(array, level)) == array for level in (0, 1, 6, 9))


@pytest.mark.clause("tsl-11.1-bound")
def test_a_bomb_is_not_inflated() -> None:
    bomb = zlib.compress(bytes(1 << 20), 9)
    assert len(bomb) < 2000
    with pytest.raises(MalformedError, match="larger than"):
        decompress(bomb, max_bytes=1000)
    assert len(decompress(bomb, max_bytes=1 << 20)) == 1 << 20


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not zlib",
        zlib.compress(b""),
        zlib.compress(b"abc")[:-1],
        zlib.compress(b"abc") + b"x",
        zlib.compress(b"abc")[:-1] + b"\0",
        zlib.compress(b"abc")[2:-4],
    ],
)
def test_what_is_not_exactly_one_stream_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedError):
        decompress(data)
