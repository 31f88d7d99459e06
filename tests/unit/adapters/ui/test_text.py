from datetime import UTC, date, datetime, timedelta

import pytest

from wallet_core.adapters.ui import text


@pytest.mark.parametrize(
    ("word", "pair", "expected"),
    [
        ("경찰청", "이/가", "경찰청이"),
        ("도담은행", "은/는", "도담은행은"),
        ("바람렌터카", "은/는", "바람렌터카는"),
        ("국세청", "으로/로", "국세청으로"),
        ("서울", "으로/로", "서울로"),
        ("서울", "을/를", "서울을"),
        ("제주", "으로/로", "제주로"),
        ("모퉁이편의점 망원점 (시험용)", "이/가", "모퉁이편의점 망원점 (시험용)이"),
        ("바람렌터카(시험용)", "과/와", "바람렌터카(시험용)와"),
        ("3", "이/가", "3이"),
        ("2", "이/가", "2가"),
        ("10", "을/를", "10을"),
        ("1", "으로/로", "1로"),
        ("KT", "은/는", "KT는"),
        ("SKM", "은/는", "SKM은"),
        ("URL", "으로/로", "URL로"),
        ("Anna", "이/가", "Anna가"),
        ("Kim", "이/가", "Kim이"),
        ("Park", "이/가", "Park가"),
        ("Book", "이/가", "Book이"),
        ("Lee Jong", "을/를", "Lee Jong을"),
        ("…", "이/가", "…가"),
    ],
)
def test_a_particle_follows_the_last_sound(word: str, pair: str, expected: str) -> None:
    assert text.josa(word, pair) == expected


def test_a_particle_pair_has_two_forms() -> None:
    with pytest.raises(ValueError, match="pair"):
        text.josa("서울", "에")


def test_days_drop_the_year_that_is_today_s() -> None:
    today = date(2026, 11, 22)
    assert text.day(date(2026, 11, 27), "ko", today=today) == "11월 27일(금)"
    assert text.day(date(2031, 11, 22), "ko", today=today) == "2031년 11월 22일(토)"
    assert text.day(date(2031, 11, 22), "en", today=today) == "Saturday 22 November 2031"
    assert text.day(date(2026, 11, 27), "en", today=today) == "Friday 27 November"
    assert text.short_day(date(2029, 12, 31), "ko") == "2029. 12. 31."
    assert text.short_day(date(2029, 12, 31), "en") == "31 Dec 2029"


def test_times_are_korean() -> None:
    legal = datetime(2026, 11, 22, 0, 14, 7, tzinfo=UTC)
    assert text.clock(legal, "ko", seconds=True) == "오전 9:14:07"
    assert text.clock(legal, "en") == "9:14 am"
    assert text.clock(datetime(2026, 11, 22, 3, 0, tzinfo=UTC), "ko") == "오후 12:00"
    assert text.clock(datetime(2026, 11, 22, 15, 5, tzinfo=UTC), "ko") == "오전 12:05"
    assert text.moment(datetime(2026, 11, 22, 15, 5, tzinfo=UTC), "ko") == "2026년 11월 23일(월) 오전 12:05"
    with pytest.raises(ValueError, match="time zone"):
        text.in_korea(datetime(2026, 11, 22))  # noqa: DTZ001


def test_time_left_is_in_words() -> None:
    today = date(2026, 11, 22)
    assert text.days_left(date(2026, 11, 27), "ko", today=today) == "5일 남았어요"
    assert text.days_left(today, "ko", today=today) == "오늘까지예요"
    assert text.days_left(date(2026, 11, 19), "ko", today=today) == "기한이 3일 지났어요"
    assert text.days_left(date(2026, 11, 23), "en", today=today) == "1 day left"
    assert text.days_left(date(2026, 11, 20), "en", today=today) == "2 days overdue"
    assert text.span(timedelta(seconds=72), "ko") == "1분 12초"
    assert text.span(timedelta(seconds=60), "en") == "1 min"
    assert text.span(timedelta(seconds=-3), "ko") == "0초"


@pytest.mark.parametrize(
    ("amount", "korean", "english"),
    [
        (32_000, "3만 2,000원", "KRW 32,000"),
        (40_000, "4만 원", "KRW 40,000"),
        (9_500, "9,500원", "KRW 9,500"),
        (123_456_789, "1억 2,345만 6,789원", "KRW 123,456,789"),
        (-20_001, "-2만 1원", "KRW -20,001"),
    ],
)
def test_amounts_are_read_in_units_of_ten_thousand(amount: int, korean: str, english: str) -> None:
    assert text.won(amount, "ko") == korean
    assert text.won(amount, "en") == english


@pytest.mark.parametrize(
    ("age", "korean", "english"),
    [
        (timedelta(seconds=59), "방금", "just now"),
        (timedelta(seconds=-5), "방금", "just now"),
        (timedelta(seconds=60), "1분 전", "1 minute ago"),
        (timedelta(hours=2, minutes=59), "2시간 전", "2 hours ago"),
        (timedelta(days=3), "3일 전", "3 days ago"),
    ],
)
def test_how_long_ago(age: timedelta, korean: str, english: str) -> None:
    assert (text.ago(age, "ko"), text.ago(age, "en")) == (korean, english)
