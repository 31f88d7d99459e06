"""The trail from a rule of a specification to the line that enforces it and to the tests that show it.

A rule is an entry of ``specs/clauses/*.toml``. The enforcing statement carries its id in a comment, behind it or on the
line above; a test that fails without the statement has the marker ``clause(id)``. ``tests/unit/test_clauses.py`` asks
for all three, ``tools/mutate.py`` removes the statement and sees whether the tests notice.
"""

import ast
import io
import re
import tokenize
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

ROOT: Final = Path(__file__).resolve().parent.parent
CODE: Final = ("wallet_core", "issuer", "verifier", "holder_app", "demo")
"""Packages whose lines may enforce a clause."""

Status: TypeAlias = Literal["enforced", "not-applicable", "later"]
STATUSES: Final = ("enforced", "not-applicable", "later")

_ID: Final = r"-[0-9A-Z][0-9A-Za-z.]*-[a-z0-9-]+"


@dataclass(frozen=True, slots=True)
class Clause:
    """One rule: what it asks for in our words, and what we do about it. ``why`` is empty where it is enforced."""

    id: str
    clause: str
    words: str
    status: Status
    why: str


@dataclass(frozen=True, slots=True)
class Specification:
    """One file of ``specs/clauses``."""

    path: Path
    title: str
    edition: str
    prefix: str
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """An id in a comment of the code, and the line of the statement it stands for."""

    id: str
    path: Path
    line: int


@dataclass(frozen=True, slots=True)
class Marker:
    """A test with the marker ``clause(id)``."""

    id: str
    path: Path
    test: str


def specifications(root: Path = ROOT) -> tuple[Specification, ...]:
    """Return every file of ``specs/clauses``, by name.

    Raises:
        KeyError, ValueError: an entry lacks a member, or its status is none of :data:`STATUSES`.
    """
    return tuple(_specification(path) for path in sorted((root / "specs" / "clauses").glob("*.toml")))


def marks(root: Path = ROOT) -> tuple[Mark, ...]:
    """Return every id that stands in a comment of the code, also one that has no entry."""
    pattern = _pattern(specification.prefix for specification in specifications(root))
    files = (path for package in CODE for path in sorted((root / package).rglob("*.py")))
    return tuple(mark for path in files for mark in _marks_of(path, pattern))


def markers(root: Path = ROOT) -> tuple[Marker, ...]:
    """Return every marker ``clause(…)`` of the tests."""
    return tuple(marker for path in sorted((root / "tests").rglob("test_*.py")) for marker in _markers_of(path))


def shown_by(root: Path = ROOT) -> dict[str, list[Marker]]:
    """Return the tests of each id."""
    found = defaultdict(list)
    for marker in markers(root):
        found[marker.id].append(marker)
    return found


def _specification(path: Path) -> Specification:
    document = tomllib.loads(path.read_text())
    clauses = tuple(_clause(entry) for entry in document["clause"])
    return Specification(path, document["title"], document["edition"], document["prefix"], clauses)


def _clause(entry: dict[str, str]) -> Clause:
    if entry["status"] not in STATUSES:
        raise ValueError(f"{entry['id']}: status {entry['status']} is none of {', '.join(STATUSES)}")
    unknown = entry.keys() - {"id", "clause", "words", "status", "why"}
    if unknown:
        raise ValueError(f"{entry['id']}: unknown members {', '.join(sorted(unknown))}")
    return Clause(entry["id"], entry["clause"], entry["words"], entry["status"], entry.get("why", ""))  # type: ignore[arg-type]


def _pattern(prefixes: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w/.-])(?:{'|'.join(sorted(prefixes))}){_ID}")


def _marks_of(path: Path, pattern: re.Pattern[str]) -> Iterator[Mark]:
    text = path.read_text()
    if not pattern.search(text):
        return
    waiting: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            found = pattern.findall(token.string)
            if token.line[: token.start[1]].strip():
                yield from (Mark(each, path, token.start[0]) for each in found)
            else:
                waiting.extend(found)
        elif waiting and token.type not in {tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}:
            yield from (Mark(each, path, token.start[0]) for each in waiting)
            waiting.clear()


def _markers_of(path: Path) -> Iterator[Marker]:
    text = path.read_text()
    if "clause(" not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            for decorator in node.decorator_list:
                yield from (Marker(id_, path, node.name) for id_ in _marker_ids(decorator))


def _marker_ids(decorator: ast.expr) -> Iterator[str]:
    for call in ast.walk(decorator):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "clause":
            yield from (str(each.value) for each in call.args if isinstance(each, ast.Constant))
