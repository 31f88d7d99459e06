# ruff: noqa: ARG001 - every mask has the same three arguments, whether it looks at them or not
"""Claim values as lists show them: shortened, so that a glance over a shoulder learns little.

Full values appear only after unlocking. A mask errs on the side of hiding: a value of an unexpected shape is hidden.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from wallet_core.catalogue.credential_type import Claim, Mask
from wallet_core.types import Json

_HIDDEN: Final = {"ko": "있음", "en": "present"}
_YES_NO: Final = {("ko", True): "예", ("ko", False): "아니요", ("en", True): "yes", ("en", False): "no"}
_DOT: Final = "●"
# 특별시, 광역시, 도 … then 시, 군, 구: what the road-name address system puts before the road.
_DISTRICT: Final = re.compile(r"(?:\S+[시도] )?(?:\S+시 )?\S+[시군구](?= |$)")


def mask_value(claim: Claim, value: Json, language: str) -> str:
    """Return ``value`` shortened by the claim's mask, in words of ``language`` (``ko`` or ``en``)."""
    spoken = "en" if language.startswith("en") else "ko"
    return _MASKS[claim.mask](claim, value, spoken)


def plain_value(claim: Claim, value: Json, language: str) -> str:
    """Return ``value`` in full as one line of words: codes by their names, yes and no, lists with commas."""
    spoken = "en" if language.startswith("en") else "ko"
    if isinstance(value, bool):
        return _YES_NO[spoken, value]
    if isinstance(value, str | int) and value in claim.codes:
        return claim.codes[value].get(spoken)
    if isinstance(value, list):
        simple = all(not isinstance(each, list | dict) for each in value)
        return ", ".join(plain_value(claim, each, spoken) for each in value) if simple else _count(claim, value, spoken)
    if isinstance(value, dict):
        return str(value.get("full", _HIDDEN[spoken]))
    return f"{value:,}" if claim.mask is Mask.AMOUNT and isinstance(value, int) else str(value)


def _name(claim: Claim, value: Json, language: str) -> str:
    """한지우 → 한*우, 한솔 → 한*; a single letter hides; Latin names keep the first letter of each word."""
    if not isinstance(value, str) or len(value) < 2:
        return _hidden(claim, value, language)
    if value.isascii():
        return " ".join(f"{word[0]}***" for word in value.split())
    if len(value) == 2:
        return f"{value[0]}*"
    return f"{value[0]}{'*' * (len(value) - 2)}{value[-1]}"


def _number(claim: Claim, value: Json, language: str) -> str:
    """99-19-123456-78 → 99-**-******-78: first and last group; one group alone keeps its last two characters."""
    if not isinstance(value, str) or len(value) < 5:
        return _hidden(claim, value, language)
    groups = value.split("-")
    if len(groups) == 1:
        return "*" * (len(value) - 2) + value[-2:]
    if len(groups) == 2:
        return f"{groups[0]}-{'*' * len(groups[1])}"
    return "-".join([groups[0], *("*" * len(group) for group in groups[1:-1]), groups[-1]])


def _year(claim: Claim, value: Json, language: str) -> str:
    return value[:4] if isinstance(value, str) and len(value) >= 4 else _hidden(claim, value, language)


def _region(claim: Claim, value: Json, language: str) -> str:
    if isinstance(value, dict):
        parts = [str(value[key]) for key in ("sido", "sigungu") if key in value]
        return " ".join(parts) or _hidden(claim, value, language)
    found = _DISTRICT.match(value) if isinstance(value, str) else None
    return found.group() if found else _hidden(claim, value, language)


def _amount(claim: Claim, value: Json, language: str) -> str:
    return _DOT * 3


def _count(claim: Claim, value: Json, language: str) -> str:
    if not isinstance(value, list):
        return _hidden(claim, value, language)
    return f"{len(value)}" if language == "en" else f"{len(value)}건"


def _plate(claim: Claim, value: Json, language: str) -> str:
    """000가0000 → 000가**00."""
    if not isinstance(value, str) or len(value) < 7:
        return _hidden(claim, value, language)
    return f"{value[:-4]}**{value[-2:]}"


def _hidden(claim: Claim, value: Json, language: str) -> str:
    return _HIDDEN[language]


_MASKS: Final[Mapping[Mask, Callable[[Claim, Json, str], str]]] = {
    Mask.NONE: plain_value,
    Mask.NAME: _name,
    Mask.NUMBER: _number,
    Mask.YEAR: _year,
    Mask.REGION: _region,
    Mask.AMOUNT: _amount,
    Mask.COUNT: _count,
    Mask.PLATE: _plate,
    Mask.HIDDEN: _hidden,
}
