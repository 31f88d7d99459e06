"""An agency's record against the claims of a type, before anything is signed.

A problem names the place, the reason and the cure in words of both languages, and never repeats a value.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final, TypeAlias

from wallet_core.catalogue.paths import path_text
from wallet_core.catalogue.text import Text
from wallet_core.types import ClaimsPath, Json, JsonObject

if TYPE_CHECKING:
    from wallet_core.catalogue.credential_type import Claim

MAX_TEXT: Final = 2000
"""Characters of one text; the longest honest one is an address history entry of about 100."""

MAX_IMAGE: Final = 130_000
"""Characters of a portrait's data URL: 97 kB of JPEG, and what one CSV cell may hold."""

MAX_ELEMENTS: Final = 500
"""Elements of one array; a transcript of ten years has about 100 courses."""

MAX_INTEGER: Final = 2**53 - 1
"""Largest integer every JSON reader holds exactly (RFC 7493 2.2)."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_IMAGE = re.compile(r"data:image/jpeg;base64,/9j/[A-Za-z0-9+/]+={0,2}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class RecordProblem:
    """One fault of a record.

    Attributes:
        path: the place, as a CSV column names it.
        reason: what is wrong.
        cure: what to do.
    """

    path: str
    reason: Text
    cure: Text


Members: TypeAlias = Mapping[ClaimsPath, Mapping[str, "Claim"]]
"""The claims below each container, by name; the empty path is the record itself."""


def members_of(claims: Sequence["Claim"]) -> Members:
    """Return ``claims`` by their containers."""
    members: dict[ClaimsPath, dict[str, Claim]] = {(): {}}
    for claim in claims:
        members.setdefault(claim.path[:-1], {})[str(claim.path[-1])] = claim
    return members


def validate_record(members: Members, record: JsonObject, *, today: date) -> list[RecordProblem]:
    """Return the faults of ``record``; see ``CredentialType.validate_record``."""
    return list(_Validation(members, today).object(record, (), ()))


def value_problems(claim: "Claim", value: Json) -> list[RecordProblem]:
    """Return the faults of one ``value`` by itself: type, codes, pattern. Members are not looked at."""
    return list(_value(claim, value, claim.path))


def example_record(claims: Sequence["Claim"]) -> JsonObject:
    """Return the examples of top-level claims that a record brings."""
    computed = [claim.path for claim in claims if claim.computed]
    return {
        str(claim.path[0]): _without(claim.example, claim.path, computed)
        for claim in claims
        if len(claim.path) == 1 and not claim.computed and claim.default_issue and claim.example is not None
    }


def record_columns(
    members: Members, example: Json, general: ClaimsPath = (), concrete: ClaimsPath = ()
) -> Iterator[ClaimsPath]:
    """Yield the place of every value that a record can hold; lists of objects are as long as in ``example``, or one."""
    values = example if isinstance(example, dict) else {}
    for name, claim in members.get(general, {}).items():
        value, path = values.get(name), (*concrete, name)
        if claim.computed:
            continue
        if claim.type == "object":
            yield from record_columns(members, value, claim.path, path)
        elif claim.items == "object":
            yield from _element_columns(members, claim, value, path)
        else:
            yield path


def _element_columns(members: Members, claim: "Claim", value: Json, path: ClaimsPath) -> Iterator[ClaimsPath]:
    elements = value if isinstance(value, list) else []
    # Who has none says so in a column for the whole list.
    if claim.mandatory or value == []:
        yield path
    for index, element in enumerate(elements or [None]):
        yield from record_columns(members, element, (*claim.path, None), (*path, index))


def _without(value: Json, prefix: ClaimsPath, paths: Sequence[ClaimsPath]) -> Json:
    if isinstance(value, dict):
        kept = {name: inner for name, inner in value.items() if (*prefix, name) not in paths}
        return {name: _without(inner, (*prefix, name), paths) for name, inner in kept.items()}
    if isinstance(value, list):
        return [_without(element, (*prefix, None), paths) for element in value]
    return value


@dataclass(frozen=True, slots=True)
class _Validation:
    members: Members
    today: date

    def object(self, value: JsonObject, general: ClaimsPath, concrete: ClaimsPath) -> Iterator[RecordProblem]:
        members = self.members.get(general, {})
        for name in value:
            if name not in members:
                yield _problem((*concrete, name), "이 증명서에 없는 항목이에요", "no such claim in this type",
                               "열을 빼거나 이름을 고쳐요", "leave the column out or correct its name")  # fmt: skip
        for name, claim in members.items():
            path = (*concrete, name)
            if claim.computed:
                if name in value:
                    yield _problem(path, "서명할 때 계산하는 항목이에요", "computed when signing",
                                   "열을 빼요", "leave the column out")  # fmt: skip
            elif name not in value:
                if claim.mandatory and not self._filled(claim):
                    yield from self.missing(claim, path)
            else:
                yield from self.claim(claim, value[name], path)

    def _filled(self, claim: "Claim") -> bool:
        """Return whether a missing container comes about by its computed members alone."""
        members = self.members.get(claim.path, {}).values()
        return bool(members) and all(each.computed for each in members if each.mandatory)

    def missing(self, claim: "Claim", path: ClaimsPath) -> Iterator[RecordProblem]:
        """Name what must be filled in: a container has no column, its members have."""
        below = [each for each in self.members.get(claim.path, {}).values() if not each.computed]
        if claim.type == "object" and below:
            for each in [member for member in below if member.mandatory] or below[:1]:
                yield from self.missing(each, (*path, each.path[-1]))
            return
        cure = Text("값을 적어요", "give a value")
        if claim.items == "object":
            first = path_text((*path, 0, *list(self.members.get((*claim.path, None), {}))[:1]))
            cure = Text(
                f"{first}부터 채우고, 하나도 없으면 이 열에 []를 적어요",
                f"fill in from {first} on; write [] in this column if there are none",
            )
        yield RecordProblem(path_text(path), Text("꼭 있어야 하는 값이 없어요", "a mandatory value is missing"), cure)

    def claim(self, claim: "Claim", value: Json, path: ClaimsPath) -> Iterator[RecordProblem]:
        problems = list(_value(claim, value, path))
        yield from problems
        if problems:
            return
        if isinstance(value, dict):
            yield from self.object(value, claim.path, path)
        elif isinstance(value, list) and claim.items == "object":
            for index, element in enumerate(value):
                if isinstance(element, dict):
                    yield from self.object(element, (*claim.path, None), (*path, index))
        elif claim.path[-1] == "birth_date" and str(value) > self.today.isoformat():
            yield _problem(path, "태어난 날이 오늘보다 뒤예요", "born after today", "날짜를 확인해요", "check the date")


def _value(claim: "Claim", value: Json, path: ClaimsPath) -> Iterator[RecordProblem]:
    kind = claim.type.value
    fits = _TYPES[kind](value)
    if claim.codes and kind not in ("array", "object") and not (fits and value in claim.codes):
        yield _not_a_code(claim, path)
    elif not fits:
        yield RecordProblem(path_text(path), *_WRONG_TYPE[kind])
    elif kind == "array" and isinstance(value, list):
        yield from _elements(claim, value, path)
    elif claim.pattern and isinstance(value, str) and not claim.pattern.fullmatch(value):
        yield RecordProblem(
            path_text(path),
            Text("정해진 모양이 아니에요", "not of the prescribed form"),
            Text(f"{claim.pattern.pattern} 모양으로 적어요", f"write it as {claim.pattern.pattern}"),
        )


def _elements(claim: "Claim", value: list[Json], path: ClaimsPath) -> Iterator[RecordProblem]:
    kind = claim.items.value if claim.items else "string"
    for index, element in enumerate(value):
        fits = _TYPES[kind](element)
        if claim.codes and not (fits and element in claim.codes):
            yield _not_a_code(claim, (*path, index))
        elif not fits:
            yield RecordProblem(path_text((*path, index)), *_WRONG_TYPE[kind])


def _not_a_code(claim: "Claim", path: ClaimsPath) -> RecordProblem:
    ko = ", ".join(_code(code, words.ko) for code, words in claim.codes.items())
    en = ", ".join(_code(code, words.en) for code, words in claim.codes.items())
    return RecordProblem(
        path_text(path),
        Text("정해진 값 가운데 하나가 아니에요", "not one of the allowed values"),
        Text(f"다음 가운데 하나를 적어요: {ko}", f"use one of: {en}"),
    )


def _code(code: str | int, words: str) -> str:
    return words if str(code) == words else f"{code} ({words})"


def _problem(path: ClaimsPath, ko: str, en: str, cure_ko: str, cure_en: str) -> RecordProblem:
    return RecordProblem(path_text(path), Text(ko, en), Text(cure_ko, cure_en))


def _is_text(value: Json) -> bool:
    return isinstance(value, str) and len(value.strip()) > 0 and len(value) <= MAX_TEXT and not _CONTROL.search(value)


def _is_date(value: Json) -> bool:
    if not isinstance(value, str) or not _DATE.match(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


_TYPES: Final[Mapping[str, Callable[[Json], bool]]] = {
    "string": _is_text,
    "date": _is_date,
    "boolean": lambda value: isinstance(value, bool),
    # A boolean is an integer in Python, and nowhere else.
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER,
    "object": lambda value: isinstance(value, dict) and bool(value),
    "array": lambda value: isinstance(value, list) and len(value) <= MAX_ELEMENTS,
    "image": lambda value: isinstance(value, str) and len(value) <= MAX_IMAGE and _IMAGE.match(value) is not None,
}

_WRONG_TYPE: Final[Mapping[str, tuple[Text, Text]]] = {
    "string": (
        Text("글이 아니거나 비었거나 너무 길어요", "not a text, empty or too long"),
        Text(f"{MAX_TEXT}자까지 한 줄로 적어요", f"write one line of at most {MAX_TEXT} characters"),
    ),
    "date": (
        Text("달력에 있는 날짜가 아니에요", "not a day of the calendar"),
        Text("2026-11-22처럼 적어요", "write it as 2026-11-22"),
    ),
    "boolean": (
        Text("예/아니요 값이 아니에요", "neither true nor false"),
        Text("true나 false를 적어요", "use true or false"),
    ),
    "integer": (
        Text("정수가 아니에요", "not a whole number"),
        Text("쉼표와 단위 없이 숫자만 적어요", "write digits only, without commas or units"),
    ),
    "object": (
        Text("하위 항목이 없어요", "has no members"),
        Text("하위 항목을 열마다 적어요", "give its members in columns of their own"),
    ),
    "array": (
        Text("목록이 아니거나 너무 길어요", "not a list, or too long"),
        Text(f"{MAX_ELEMENTS}개까지 적어요", f"give at most {MAX_ELEMENTS} entries"),
    ),
    "image": (
        Text("JPEG 사진이 아니거나 너무 커요", "not a JPEG picture, or too large"),
        Text("data:image/jpeg;base64,… 모양으로 적어요", "write it as data:image/jpeg;base64,…"),
    ),
}  # fmt: skip
