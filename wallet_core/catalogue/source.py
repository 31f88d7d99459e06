"""Catalogue files as data that knows its lines, and the problems found in them.

``tomllib`` and JSON readers forget lines. A light scan of the same text remembers where each key stands, so that
every complaint names file and line.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any, Final, TypeAlias

from wallet_core.encoding import strict_json
from wallet_core.errors import MalformedError

MAX_FILE: Final = 1 << 20
"""Characters of one catalogue file; the largest here has 40 000."""

Location: TypeAlias = tuple[str | int, ...]

_STRINGS = re.compile(r"""\"(?:\\.|[^"\\])*\"|'[^']*'|\#.*""")
_TABLE = re.compile(r"\s*(\[\[?)\s*([A-Za-z0-9_.-]+)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")
_AT_LINE = re.compile(r"\(at line (\d+)")
_DEEP_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){32}""")
"""A TOML key with so many parts: the time that ``tomllib`` takes grows with their square, 16 kB of it take seconds."""

# A string without end is one token too: looking for its end again from every quote in it takes minutes.
_JSON_TOKENS = re.compile(r'"(?:\\.|[^"\\])*+"?|[{}\[\],:]|\n|[^\s{}\[\],:"]+')


@dataclass(frozen=True, slots=True, order=True)
class CatalogueProblem:
    """One fault in a catalogue file.

    Attributes:
        file: its name below the catalogue folder.
        line: counted from 1.
        rule: short name of the rule, as in ``specs/catalogue/README.md``.
        reason: what is wrong, in a sentence.
    """

    file: str
    line: int
    rule: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason} [{self.rule}]"


@dataclass(frozen=True, slots=True)
class Unreadable:
    """What stands in the place of a file's text where it has none: at which line it ends to be text, and why."""

    line: int
    reason: str


class CatalogueError(MalformedError):
    """The catalogue has faults; ``problems`` are all of them, in the order of files and lines."""

    def __init__(self, problems: Sequence[CatalogueProblem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("the catalogue is not valid", detail="\n".join(map(str, self.problems)))


class Document:
    """One parsed file and the place of every key in it."""

    def __init__(
        self,
        file: str,
        data: dict[str, Any],
        find_lines: Callable[[], dict[Location, int]],
        problems: list[CatalogueProblem],
    ) -> None:
        self.file = file
        self.data = data
        self._find_lines = find_lines
        self._problems = problems

    @cached_property
    def _lines(self) -> dict[Location, int]:
        # Every program reads the catalogue when it starts; only one that complains needs lines.
        return self._find_lines()

    def line(self, location: Location) -> int:
        """Return the line of ``location``, or of the nearest thing around it."""
        while location and location not in self._lines:
            location = location[:-1]
        return self._lines.get(location, 1)

    def report(self, location: Location, rule: str, reason: str) -> None:
        """Note a problem at ``location``."""
        self._problems.append(CatalogueProblem(self.file, self.line(location), rule, reason))

    @property
    def root(self) -> "Node":
        """The whole document as a node."""
        return Node(self, self.data, ())


class Node:
    """A table of a document. Reading a key that is absent or of another type notes a problem and gives a blank."""

    def __init__(self, document: Document, table: dict[str, Any], location: Location) -> None:
        self.document = document
        self.table = table
        self.location = location
        self._read: set[str] = set()

    def report(self, rule: str, reason: str, *keys: str | int) -> None:
        """Note a problem at this table, or at the key below it."""
        self.document.report((*self.location, *keys), rule, reason)

    def has(self, key: str) -> bool:
        """Return whether the table has ``key``."""
        return key in self.table

    def value(self, key: str) -> Any:
        """Return the value of ``key`` as it is, None if absent."""
        self._read.add(key)
        return self.table.get(key)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a non-empty text."""
        value = self._typed(key, str, "a text", default)
        if value == "" and default is None and key in self.table:
            self.report("type", f"{key} is empty", key)
        return str(value)

    def flag(self, key: str, *, default: bool | None = None) -> bool:
        """Return a boolean."""
        return bool(self._typed(key, bool, "true or false", default))

    def number(self, key: str, default: int | None = None, *, least: int = 0) -> int:
        """Return an integer of at least ``least``."""
        value = self._typed(key, int, "a whole number", default)
        if isinstance(value, int) and key in self.table and value < least:
            self.report("type", f"{key} is less than {least}", key)
        return value if isinstance(value, int) else 0

    def choice(self, key: str, among: Sequence[str], default: str | None = None) -> str:
        """Return one of ``among``; the first stands in for anything else."""
        value = self._typed(key, str, f"one of {', '.join(among)}", default)
        if value in among:
            return str(value)
        if isinstance(value, str) and key in self.table:
            self.report("choice", f"{key} is {value!r}, not one of {', '.join(among)}", key)
        return among[0]

    def texts(self, key: str, default: Sequence[str] | None = None) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self._typed(key, list, "a list of texts", list(default) if default is not None else None)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.report("type", f"{key} is not a list of texts", key)
            return ()
        return tuple(value)

    def table_at(self, key: str) -> "Node":
        """Return the table below ``key``; an empty one if it is absent or something else."""
        value = self._typed(key, dict, "a table", None)
        return Node(self.document, value if isinstance(value, dict) else {}, (*self.location, key))

    def optional_table(self, key: str) -> "Node | None":
        """Return the table below ``key``, None if absent."""
        return self.table_at(key) if key in self.table else None

    def tables(self, key: str, *, required: bool = True) -> list["Node"]:
        """Return the tables of a list."""
        value = self._typed(key, list, "a list of tables", None if required else [])
        return list(self._each_table(key, value if isinstance(value, list) else []))

    def close(self) -> None:
        """Note every key that nothing has read."""
        for key in self.table:
            if key not in self._read:
                self.report("unknown-key", f"{key} is not a key of this table", key)

    def _each_table(self, key: str, values: list[Any]) -> Iterator["Node"]:
        for index, value in enumerate(values):
            if isinstance(value, dict):
                yield Node(self.document, value, (*self.location, key, index))
            else:
                self.report("type", f"{key} holds something that is not a table", key, index)

    def _typed(self, key: str, kind: type, what: str, default: Any) -> Any:
        self._read.add(key)
        if key not in self.table:
            if default is None:
                self.report("missing", f"{key} is missing")
                return kind()
            return default
        value = self.table[key]
        # bool is an int in Python, and nowhere else.
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.report("type", f"{key} is not {what}", key)
            return default if default is not None else kind()
        return value


def parse_text(data: bytes) -> str | Unreadable:
    """Return the text of a file, its lines ended as ours are, or the place where it is no UTF-8."""
    try:
        return _with_our_line_ends(data.decode("utf-8"))
    except UnicodeDecodeError as exc:
        before = _with_our_line_ends(data[: exc.start].decode("utf-8"))
        return Unreadable(before.count("\n") + 1, f"the file is not UTF-8: {exc.reason}")


def _with_our_line_ends(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_document(file: str, text: str | Unreadable, problems: list[CatalogueProblem]) -> Document | None:
    """Return the document of one ``.toml`` or ``.json`` text; None, with the problem noted, if it does not parse."""
    if isinstance(text, Unreadable):
        problems.append(CatalogueProblem(file, text.line, "syntax", text.reason))
        return None
    if len(text) > MAX_FILE:
        problems.append(CatalogueProblem(file, 1, "syntax", f"the file is longer than {MAX_FILE} characters"))
        return None
    parse = _parse_json if file.endswith(".json") else _parse_toml
    return parse(file, text, problems)


def _parse_toml(file: str, text: str, problems: list[CatalogueProblem]) -> Document | None:
    if deep := _DEEP_KEY.search(text):
        line = text.count("\n", 0, deep.start()) + 1
        problems.append(CatalogueProblem(file, line, "syntax", "a key has too many parts"))
        return None
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        found = _AT_LINE.search(str(exc))
        line = int(found.group(1)) if found else max(1, text.count("\n"))
        problems.append(CatalogueProblem(file, line, "syntax", f"the file is not TOML: {str(exc).split(' (at')[0]}"))
        return None
    return Document(file, data, lambda: _toml_lines(text), problems)


def _parse_json(file: str, text: str, problems: list[CatalogueProblem]) -> Document | None:
    try:
        # It refuses names that stand twice as well, though not by their lines.
        data = strict_json.loads_object(text, what="the file", max_bytes=4 * MAX_FILE)
    except MalformedError as exc:
        duplicates = _json_lines(text)[1]
        for line, key in duplicates:
            problems.append(CatalogueProblem(file, line, "duplicate", f"{key} stands twice in one object"))
        if not duplicates:
            problems.append(CatalogueProblem(file, _json_error_line(text), "syntax", exc.detail))
        return None
    return Document(file, data, lambda: _json_lines(text)[0], problems)


def _json_error_line(text: str) -> int:
    try:
        json.loads(text)
    except json.JSONDecodeError as exc:
        return exc.lineno
    except (ValueError, RecursionError):
        return 1
    return 1


def _toml_lines(text: str) -> dict[Location, int]:
    lines: dict[Location, int] = {}
    counts: dict[Location, int] = {}
    table: Location = ()
    key: Location = ()
    depth = element = 0
    for number, line in enumerate(text.splitlines(), 1):
        bare = _STRINGS.sub(lambda found: "" if found.group().startswith("#") else '""', line)
        if depth == 0 and (header := _TABLE.match(line)):
            table = tuple(header.group(2).split("."))
            if header.group(1) == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            lines[table] = number
        elif depth == 0 and (found := _KEY.match(line)):
            key, element = (*table, found.group(1)), 0
            lines[key] = number
            depth += _opened(bare)
        elif depth:
            if depth == 1 and bare.strip() not in {"", "]", "],"}:
                lines[(*key, element)] = number
                element += 1
            depth = max(0, depth + _opened(bare))
    return lines


def _opened(bare: str) -> int:
    return bare.count("[") + bare.count("{") - bare.count("]") - bare.count("}")


def _json_lines(text: str) -> tuple[dict[Location, int], list[tuple[int, str]]]:
    """Return the line of every member and element, and the members that stand twice. Wrong JSON gives what it gives."""
    lines: dict[Location, int] = {(): 1}
    duplicates: list[tuple[int, str]] = []
    stack: list[str | int] = []  # the key or index at each level
    number, is_key = 1, False
    # The reader refuses what is deeper; a place for each of a million levels would fill the memory first.
    for found in takewhile(lambda _: len(stack) <= strict_json.MAX_DEPTH, _JSON_TOKENS.finditer(text)):
        token = found.group()
        if token == "\n":
            number += 1
        elif token in "{[":
            lines.setdefault(tuple(stack), number)
            is_key = token == "{"
            stack.append("" if is_key else 0)
        elif token in "}]":
            del stack[-1:]
            is_key = False
        elif token == ",":
            is_key = bool(stack) and isinstance(stack[-1], str)
            if stack and isinstance(stack[-1], int):
                stack[-1] += 1
        elif is_key and token.startswith('"'):
            stack[-1], is_key = token[1:-1], False
            if tuple(stack) in lines:
                duplicates.append((number, token))
            lines[tuple(stack)] = number
        elif token != ":":
            lines.setdefault(tuple(stack), number)
    return lines, duplicates
