"""Korean and English writing of names with particles, dates, times and amounts.

Rules of the copy guide: dates carry the weekday, the year only where it differs from today's, seconds only for
legal events, amounts in 만 units. Everything is shown in Korean Standard Time, which has no summer time.
"""

import re
from datetime import date, datetime, timedelta, timezone
from typing import Literal

Language = Literal["ko", "en"]

KST = timezone(timedelta(hours=9), "KST")

_WEEKDAYS_KO = "월화수목금토일"
_WEEKDAYS_EN = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS_EN = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

_FIRST_SYLLABLE, _LAST_SYLLABLE, _FINALS = 0xAC00, 0xD7A3, 28
_RIEUL = 8
_DIGIT_FINALS = {"0": "o", "1": "l", "2": "", "3": "o", "4": "", "5": "", "6": "o", "7": "l", "8": "l", "9": ""}
_LETTER_FINALS = {"L": "l", "M": "o", "N": "o", "R": "l"}
_CLOSED_STOPS = "bckpt"
_VOWELS = "aeiou"
_ROUND_NUMBER = re.compile(r"[1-9][0-9,]*0$")
_BRACKETED_END = re.compile(r"\s*\([^()]*\)\s*$")
_UNREAD_END = re.compile(r"[^0-9A-Za-z가-힣]+$")

_TEN_THOUSAND, _HUNDRED_MILLION = 10_000, 100_000_000


def josa(word: str, pair: str) -> str:
    """Return ``word`` with the particle of ``pair`` its last sound takes.

    Pairs: "은/는", "이/가", "을/를", "과/와", "으로/로".
    A bracketed ending such as "(시험용)" is not read when choosing; 로 follows a vowel and ㄹ alike.

    Raises:
        ValueError: ``pair`` is not two particles joined by a slash.
    """
    after_consonant, slash, after_vowel = pair.partition("/")
    if not slash:
        raise ValueError("a particle pair reads 은/는")
    final = _final_sound(word)
    takes_vowel_form = not final or (final == "l" and after_vowel == "로")
    return word + (after_vowel if takes_vowel_form else after_consonant)


def _final_sound(word: str) -> str:
    """Return "" for a vowel, "l" for ㄹ, "o" for any other final consonant of what is read last."""
    read = _UNREAD_END.sub("", _BRACKETED_END.sub("", word))
    if not read:
        return ""
    last = read[-1]
    if _FIRST_SYLLABLE <= ord(last) <= _LAST_SYLLABLE:
        final = (ord(last) - _FIRST_SYLLABLE) % _FINALS
        return "l" if final == _RIEUL else "o" if final else ""
    if last.isdigit():
        # 십, 백, 천, 만 and 영 all end in a consonant
        return "o" if _ROUND_NUMBER.search(read) else _DIGIT_FINALS[last]
    return _latin_final(read)


def _latin_final(word: str) -> str:
    """Return the final sound of a Latin word, or of its last letter's name if it is written in capitals."""
    last = word[-1]
    if last.isupper():
        return _LETTER_FINALS.get(last, "")
    if last in "lmn":
        return "l" if last == "l" else "o"
    if word.lower().endswith("ng"):
        return "o"
    return "o" if last in _CLOSED_STOPS and word[-2:-1].lower() in _VOWELS and len(word) > 1 else ""


def in_korea(moment: datetime) -> datetime:
    """Return an aware ``moment`` in Korean Standard Time.

    Raises:
        ValueError: it has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(KST)


def _as_date(value: date) -> date:
    return in_korea(value).date() if isinstance(value, datetime) else value


def day(value: date, language: Language, *, today: date | None = None) -> str:
    """Return "11월 27일(금)" or "Friday 27 November", with the year unless it is that of ``today``."""
    shown = _as_date(value)
    with_year = today is None or _as_date(today).year != shown.year
    if language == "ko":
        year = f"{shown.year}년 " if with_year else ""
        return f"{year}{shown.month}월 {shown.day}일({_WEEKDAYS_KO[shown.weekday()]})"
    year = f" {shown.year}" if with_year else ""
    return f"{_WEEKDAYS_EN[shown.weekday()]} {shown.day} {_MONTHS_EN[shown.month - 1]}{year}"


def short_day(value: date, language: Language) -> str:
    """Return "2029. 12. 31." or "31 Dec 2029", for the foot of a card."""
    shown = _as_date(value)
    if language == "ko":
        return f"{shown.year}. {shown.month}. {shown.day}."
    return f"{shown.day} {_MONTHS_EN[shown.month - 1][:3]} {shown.year}"


def clock(moment: datetime, language: Language, *, seconds: bool = False) -> str:
    """Return "오전 9:14" or "9:14 am", with seconds for legal events."""
    local = in_korea(moment)
    digits = f"{(local.hour + 11) % 12 + 1}:{local.minute:02}" + (f":{local.second:02}" if seconds else "")
    morning = local.hour < 12
    if language == "ko":
        return f"{'오전' if morning else '오후'} {digits}"
    return f"{digits} {'am' if morning else 'pm'}"


def moment(value: datetime, language: Language, *, today: date | None = None, seconds: bool = False) -> str:
    """Return day and time: "11월 22일(일) 오전 9:41", "Sunday 22 November, 9:41 am"."""
    joint = " " if language == "ko" else ", "
    return day(value, language, today=today) + joint + clock(value, language, seconds=seconds)


def days_left(due: date, language: Language, *, today: date) -> str:
    """Return in words how long ``due`` is away: "5일 남았어요", "오늘까지예요", "기한이 3일 지났어요"."""
    days = (_as_date(due) - _as_date(today)).days
    if language == "ko":
        if days == 0:
            return "오늘까지예요"
        return f"{days}일 남았어요" if days > 0 else f"기한이 {-days}일 지났어요"
    if days == 0:
        return "Today is the last day"
    unit = "day" if abs(days) == 1 else "days"
    return f"{days} {unit} left" if days > 0 else f"{-days} {unit} overdue"


def span(length: timedelta, language: Language) -> str:
    """Return a short span in words: "1분 12초", "1 min 12 s"."""
    minutes, seconds = divmod(max(0, int(length.total_seconds())), 60)
    units = ("분", "초") if language == "ko" else (" min", " s")
    parts = [f"{number}{unit}" for number, unit in ((minutes, units[0]), (seconds, units[1])) if number]
    return " ".join(parts) or f"0{units[1]}"


def ago(age: timedelta, language: Language) -> str:
    """Return how long ago something was, in its largest unit: "방금", "45분 전", "2 hours ago"."""
    seconds = int(age.total_seconds())
    for length, korean, english in ((86_400, "일", "day"), (3600, "시간", "hour"), (60, "분", "minute")):
        if seconds >= length:
            count = seconds // length
            return f"{count}{korean} 전" if language == "ko" else f"{count} {english}{'s' if count > 1 else ''} ago"
    return "방금" if language == "ko" else "just now"


def number(value: int, language: Language) -> str:
    """Return "1만 2,480" or "12,480"."""
    if language == "en" or abs(value) < _TEN_THOUSAND:
        return f"{value:,}"
    sign, rest = ("-" if value < 0 else ""), abs(value)
    parts = []
    for size, unit in ((_HUNDRED_MILLION, "억"), (_TEN_THOUSAND, "만")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count:,}{unit}")
    return sign + " ".join([*parts, f"{rest:,}"] if rest else parts)


def won(value: int, language: Language) -> str:
    """Return "3만 2,000원", "4만 원" or "KRW 32,000"."""
    if language == "en":
        return f"KRW {value:,}"
    digits = number(value, "ko")
    return f"{digits} 원" if digits[-1] in "만억" else f"{digits}원"
