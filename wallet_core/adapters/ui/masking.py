"""How values look in lists: masked as their claim's ``mask`` says, and how a claim's value is put into words."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from wallet_core.adapters.ui.text import Language, day, number

_SEPARATED = re.compile(r"[^-\s]+")
_REGION_ENDS = ("시", "군", "구")
_YES_NO = {"ko": ("예", "아니요"), "en": ("Yes", "No")}
_HIDDEN = {"ko": "있음", "en": "On record"}
_DATE_SHAPE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TDATE_SHAPE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
_KEPT_ENDS = 2
_LARGE = 10_000
_NOTHING = "-"


def mask(value: Any, kind: str, language: Language) -> str:
    """Return ``value`` as a list may show it.

    ``kind`` is a claim's ``mask``: none, name, number, year, region, amount, count, plate, hidden. An unknown kind
    shows nothing of the value.
    """
    if kind == "none":
        return words(value, language)
    if kind == "count":
        return _count(value, language)
    maskers = {"name": _name, "number": _number, "year": _year, "region": _region, "plate": _plate}
    if kind in maskers and value is not None:
        return maskers[kind](str(value))
    return "●" * 4 if kind == "amount" else _HIDDEN[language]


def words(value: Any, language: Language) -> str:
    """Return a claim's value in words: 예 or 아니요, a date with its weekday, a list joined by commas."""
    if isinstance(value, bool):
        return _YES_NO[language][0 if value else 1]
    if isinstance(value, int):
        # Years and small counts read without a comma.
        return number(value, language) if abs(value) >= _LARGE else str(value)
    if isinstance(value, str):
        return _date_words(value, language)
    if isinstance(value, Mapping):
        return ", ".join(words(member, language) for member in value.values())
    if isinstance(value, Sequence):
        return ", ".join(words(element, language) for element in value) or _NOTHING
    return _NOTHING if value is None else str(value)


def _date_words(value: str, language: Language) -> str:
    if not (_DATE_SHAPE.fullmatch(value) or _TDATE_SHAPE.fullmatch(value)):
        return value
    try:
        # Of a point in time, which mdocs have where records have a day, the day in Seoul.
        return day(datetime.fromisoformat(value) if "T" in value else date.fromisoformat(value), language)
    except ValueError:  # shaped like a date, but there is no such day: show it as it is
        return value


def _name(value: str) -> str:
    """홍길동 → 홍*동, 한수 → 한*, 남궁민수 → 남**수, "Anna Kim" → "A*** K**"."""
    if " " in value.strip():
        return " ".join(part[0] + "*" * (len(part) - 1) for part in value.split())
    if len(value) <= _KEPT_ENDS:
        return value[:1] + "*" * (len(value) - 1)
    return value[0] + "*" * (len(value) - 2) + value[-1]


def _number(value: str) -> str:
    """99-19-123456-78 → 99-19-12****-78: the first and last groups stay, the longest group is covered."""
    groups = [match.span() for match in _SEPARATED.finditer(value)]
    if len(groups) < 3:
        return value[:_KEPT_ENDS] + "*" * max(0, len(value) - 2 * _KEPT_ENDS) + value[max(_KEPT_ENDS, len(value) - 2) :]
    start, end = max(groups[1:-1], key=lambda span: span[1] - span[0])
    shown = min(_KEPT_ENDS, end - start - 1)
    return value[: start + shown] + "*" * (end - start - shown) + value[end:]


def _year(value: str) -> str:
    return value[:4] + "-**-**" if _DATE_SHAPE.fullmatch(value) else value[:4]


def _region(value: str) -> str:
    """서울특별시 마포구 월드컵로 1 → 서울특별시 마포구 …; Latin addresses show nothing but their last part."""
    parts = value.split()
    kept: list[str] = []
    for part in parts[:3]:
        if kept and not part.endswith(_REGION_ENDS):
            break
        kept.append(part)
    return " ".join(kept) + " …" if len(kept) < len(parts) else value


def _plate(value: str) -> str:
    """12가 3456 → 12가 **56."""
    return re.sub(r"\d{2}(?=\d{2}$)", "**", value)


def _count(value: Any, language: Language) -> str:
    size = len(value) if isinstance(value, Sequence) and not isinstance(value, str) else 1
    return f"{size}명" if language == "ko" else str(size)
