from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.adapters.ui.masking import mask, words


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("홍길동", "name", "홍*동"),
        ("한수", "name", "한*"),
        ("남궁민수", "name", "남**수"),
        ("Anna Kim", "name", "A*** K**"),
        ("99-19-123456-78", "number", "99-19-12****-78"),
        ("A1234567", "number", "A1****67"),
        ("1993-02-28", "year", "1993-**-**"),
        ("서울특별시 마포구 월드컵로 123", "region", "서울특별시 마포구 …"),
        ("12가 3456", "plate", "12가 **56"),
        (38_000_000, "amount", "●●●●"),
        ([{"name": "한수"}, {"name": "한지우"}], "count", "2명"),
        ("당뇨", "hidden", "있음"),
        ("당뇨", "unheard-of", "있음"),
        ("2종 보통", "none", "2종 보통"),
        (None, "name", "있음"),
    ],
)
def test_masks(value: Any, kind: str, expected: str) -> None:
    assert mask(value, kind, "ko") == expected


@given(st.text(min_size=1), st.sampled_from(["name", "number", "year", "region", "plate", "amount", "count", "hidden"]))
def test_no_text_breaks_a_mask(value: str, kind: str) -> None:
    assert isinstance(mask(value, kind, "ko"), str)


@given(st.text(alphabet="가나다라마바사", min_size=2, max_size=10))
def test_a_masked_name_keeps_at_most_its_ends(name: str) -> None:
    assert "*" in mask(name, "name", "ko")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "예"),
        (False, "아니요"),
        (12_480, "1만 2,480"),
        (1993, "1993"),
        ("2027-02-20", "2027년 2월 20일(토)"),
        ("2026-02-30", "2026-02-30"),
        (["2종 보통", "2종 원동기"], "2종 보통, 2종 원동기"),
        ([], "-"),
        ({"code": "A1", "from": "2019-12-20"}, "A1, 2019년 12월 20일(금)"),
        (None, "-"),
        (1.5, "1.5"),
    ],
)
def test_values_in_words(value: Any, expected: str) -> None:
    assert words(value, "ko") == expected
