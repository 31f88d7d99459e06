"""A transaction type of the catalogue: what a person can agree to with a card (OpenID4VP 1.0 sections 5.1, 8.4).

The invariant: a type describes every member of its transaction data, so that what is agreed can be shown whole.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from wallet_core.catalogue.text import LANGUAGES, Text
from wallet_core.encoding import base64url
from wallet_core.encoding.plain_text import one_line
from wallet_core.errors import MalformedError
from wallet_core.types import Json, JsonObject

MAX_TEXT: Final = 200
"""Characters of a text, unless its member says less: what a consent screen shows in a few lines."""

MAX_URL: Final = 2048
"""Characters of a link, as everywhere."""

PROTOCOL_MEMBERS: Final = frozenset({"type", "credential_ids", "transaction_data_hashes_alg"})
"""Members that OpenID4VP itself puts beside those of the type (5.1, B.3.3.1)."""

_DIGEST_BYTES: Final = 32
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_URL = re.compile(r"https://[\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+\Z")
_PLACE = re.compile(r"\{([A-Za-z0-9_]+)\}")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

TransactionValues: TypeAlias = Mapping[str, str | int]
"""The members of the type in one transaction, by name, in the order of the type."""


class MemberType(StrEnum):
    """What a member holds: text of one line, an amount in won, a whole number, a day, an https link, a SHA-256."""

    TEXT = "text"
    WON = "won"
    INTEGER = "integer"
    DATE = "date"
    URL = "url"
    SHA256 = "sha256"


_NUMBERS: Final = frozenset({MemberType.WON, MemberType.INTEGER})


@dataclass(frozen=True, slots=True)
class TransactionMember:
    """One member of a transaction type.

    Attributes:
        name: of the JSON member.
        type: what it holds.
        label: what a person reads beside the value.
        required: whether every transaction of the type has it.
        least: of a number; of a text its characters.
        most: likewise.
        pattern: of the whole text; None for any.
        example: an invented value.
    """

    name: str
    type: MemberType
    label: Text
    required: bool
    least: int
    most: int
    pattern: re.Pattern[str] | None
    example: Json

    @property
    def is_number(self) -> bool:
        """Whether the value is a JSON number."""
        return self.type in _NUMBERS

    def fault(self, value: Json) -> str | None:
        """Return what is wrong with a value, without repeating it; None if it is one of this member's."""
        if self.is_number:
            # A boolean is an int in Python, and nowhere else.
            if not isinstance(value, int) or isinstance(value, bool):
                return f"{self.name} is not a whole number"
            return None if self.least <= value <= self.most else f"{self.name} is not between its bounds"
        if not isinstance(value, str):
            return f"{self.name} is not text"
        return self._text_fault(value)

    def _text_fault(self, value: str) -> str | None:
        if not self.least <= len(value) <= self.most:
            return f"{self.name} is too short or too long"
        # A line break or a mark that turns the writing around would let a transaction read as another one.
        if value != one_line(value):
            return f"{self.name} has characters that cannot be shown in one line"
        if self.pattern is not None and not self.pattern.fullmatch(value):
            return f"{self.name} does not have its form"
        return _FORMS[self.type](self.name, value) if self.type in _FORMS else None

    def words(self, value: str | int) -> Text:
        """Return a value as a person reads it: an amount in won with every digit, a day by its month."""
        if self.type is MemberType.WON:
            return Text(f"{value:,}원", f"{value:,} won")
        if self.type is MemberType.INTEGER:
            return Text(f"{value:,}", f"{value:,}")
        if self.type is MemberType.DATE:
            day = date.fromisoformat(str(value))
            return Text(f"{day.year}년 {day.month}월 {day.day}일", f"{day.day} {_MONTHS[day.month - 1]} {day.year}")
        return Text(str(value), str(value))


@dataclass(frozen=True, slots=True)
class TransactionLine:
    """One member of a transaction in words."""

    label: Text
    value: Text


@dataclass(frozen=True, slots=True)
class TransactionType:
    """A transaction type.

    Attributes:
        id: as its file is named.
        type: the value of ``type`` in transaction data.
        name: of what is agreed.
        sentence: what is agreed, in one sentence with ``{member}`` in it, of required members only.
        members: in the order of display.
        note: for those who edit.
    """

    id: str
    type: str
    name: Text
    sentence: Text
    members: tuple[TransactionMember, ...]
    note: str = ""

    def faults(self, data: JsonObject) -> Iterator[str]:
        """Yield what is wrong with the members of one transaction; those of the protocol are not looked at."""
        known = {member.name: member for member in self.members}
        for name in data:
            if name not in known and name not in PROTOCOL_MEMBERS:
                yield "there is a member that the type does not have"
        for name, member in known.items():
            if name not in data:
                if member.required:
                    yield f"{name} is missing"
            elif (fault := member.fault(data[name])) is not None:
                yield fault

    def values(self, data: JsonObject) -> TransactionValues:
        """Return the members of a transaction that has no :meth:`faults`."""
        return {
            member.name: value
            for member in self.members
            if isinstance(value := data.get(member.name), str | int) and not isinstance(value, bool)
        }

    def words(self, values: TransactionValues) -> Text:
        """Return in one sentence what is agreed."""
        members = {member.name: member for member in self.members}

        def filled(language: str) -> str:
            """Replace the places of the template only: what a stranger wrote is put in as it is."""
            return _PLACE.sub(
                lambda found: members[found.group(1)].words(values[found.group(1)]).get(language),
                self.sentence.get(language),
            )

        return Text(filled("ko"), filled("en"))

    def lines(self, values: TransactionValues) -> tuple[TransactionLine, ...]:
        """Return every member that is there, in words."""
        return tuple(
            TransactionLine(member.label, member.words(values[member.name]))
            for member in self.members
            if member.name in values
        )

    @property
    def example(self) -> JsonObject:
        """The examples of the members."""
        return {member.name: member.example for member in self.members if member.example is not None}

    def places(self) -> Iterator[tuple[str, str]]:
        """Yield each language with the name of each member that its sentence has a place for."""
        for language in LANGUAGES:
            for name in _PLACE.findall(self.sentence.get(language)):
                yield language, name


def _day_fault(name: str, value: str) -> str | None:
    try:
        date.fromisoformat(value)
    except ValueError:
        return f"{name} is not a day"
    # Python reads other forms of ISO 8601 as well.
    return None if _DAY.match(value) else f"{name} is not a day"


def _url_fault(name: str, value: str) -> str | None:
    try:
        parts = urlsplit(value)
        good = bool(_URL.match(value)) and bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        good = False
    return None if good else f"{name} is not an https link"


def _digest_fault(name: str, value: str) -> str | None:
    try:
        return None if len(base64url.decode(value)) == _DIGEST_BYTES else f"{name} is not a SHA-256 in base64url"
    except MalformedError:
        return f"{name} is not a SHA-256 in base64url"


_FORMS: Final = {MemberType.DATE: _day_fault, MemberType.URL: _url_fault, MemberType.SHA256: _digest_fault}
