"""Agencies' records as CSV: rows to records with every fault named, and records to rows.

The format stands in ``specs/catalogue/README.md``: UTF-8 with a header, ``subject_id``, ``type``, then claims paths
with dots (``address.sido``), elements counted from 1 (``household.1.name``), lists of words with ``;``, an empty list
as ``[]``.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Protocol

from wallet_core.catalogue.credential_type import Claim, ClaimType, CredentialType
from wallet_core.catalogue.paths import path_text
from wallet_core.catalogue.text import Text
from wallet_core.types import Json, JsonObject

MAX_BYTES: Final = 32 << 20
"""Bytes of one CSV file: about 60 000 people with 500 bytes each."""

SUBJECT_COLUMN: Final = "subject_id"
TYPE_COLUMN: Final = "type"

EXAMPLE_SUBJECT: Final = "(예시)"
"""Stands for the person of a template's example row, which nobody wants in their records."""

_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
_ELEMENT = re.compile(r"[1-9][0-9]{0,5}\Z", re.ASCII)
"""The number of an element in a column's name, from 1: 0 would be the last one for Python."""

_INTEGER = re.compile(r"-?[0-9]{1,16}\Z", re.ASCII)
_EMPTY_LIST: Final = "[]"
_YES: Final = frozenset({"true", "예", "Y", "y"})
_NO: Final = frozenset({"false", "아니요", "N", "n"})

_SPREADSHEETS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How Excel's own files begin: .xlsx and .xls."""

_OFFICE_ENCODINGS: Final = ("CP949", "UTF-16")
"""What Excel's "CSV" and "Unicode text" are on a Korean Windows."""

Column = tuple[str | int, ...]


class _CsvReader(Protocol):
    """What ``csv.reader`` gives; its own type has no public name."""

    line_num: int

    def __iter__(self) -> Iterator[list[str]]: ...
    def __next__(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Record:
    """One person's data of one type, as an agency gave it: ``line`` is where its row begins."""

    line: int
    subject_id: str
    type_id: str
    claims: JsonObject


@dataclass(frozen=True, slots=True, order=True)
class RowProblem:
    """One fault of a CSV file. ``line`` counts from 1 with the header; ``column`` is empty for a whole row."""

    line: int
    column: str
    reason: Text = field(compare=False)
    cure: Text = field(compare=False)


@dataclass(frozen=True, slots=True)
class RecordsReport:
    """What a CSV file holds: the good records, every fault, and the number of rows below the header.

    Of a file that stops being CSV, the rows are those up to the one where reading stopped, that one among them.
    """

    records: tuple[Record, ...]
    problems: tuple[RowProblem, ...]
    rows: int

    @property
    def bad_rows(self) -> int:
        """Rows with at least one fault."""
        return self.rows - len(self.records)


def parse_records(data: bytes, types: Sequence[CredentialType], *, today: date) -> RecordsReport:
    """Return the records of a CSV file and everything that is wrong with it. Nothing in a row is repeated in a fault.

    Args:
        data: the file as it came.
        types: the credential types of the agency; with several, the column ``type`` says which a row is for.
        today: the day in Asia/Seoul.
    """
    problems: list[RowProblem] = []
    text = _decode(data, problems)
    if text is None:
        return RecordsReport((), tuple(problems), 0)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    parsing = _Parsing({each.id: each for each in types}, today, problems)
    records, rows = parsing.rows(reader)
    return RecordsReport(tuple(records), tuple(sorted(problems)), rows)


def is_subject_id(text: str) -> bool:
    """Return whether ``text`` may name a person in an agency's records."""
    return _SUBJECT.match(text) is not None


def format_records(records: Sequence[Record]) -> str:
    """Return ``records`` as the CSV that :func:`parse_records` reads; columns in the order of their first use."""
    rows = [
        {SUBJECT_COLUMN: each.subject_id, TYPE_COLUMN: each.type_id, **dict(_cells(each.claims, ()))}
        for each in records
    ]
    return _csv(dict.fromkeys(column for row in rows for column in row), rows)


def format_template(types: Sequence[CredentialType]) -> str:
    """Return a CSV to begin with: every column that ``types`` take, and each one's example in a row to be replaced."""
    columns = dict.fromkeys(path_text(path) for each in types for path in each.record_columns)
    rows = [
        {SUBJECT_COLUMN: EXAMPLE_SUBJECT, TYPE_COLUMN: each.id, **dict(_cells(each.example_record, ()))}
        for each in types
    ]
    return _csv([SUBJECT_COLUMN, TYPE_COLUMN, *columns], rows)


def _csv(columns: Iterable[str], rows: Iterable[Mapping[str, str]]) -> str:
    target = io.StringIO()
    writer = csv.DictWriter(target, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return target.getvalue()


def _cells(value: Json, path: Column) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _cells(inner, (*path, name))
    elif isinstance(value, list) and any(isinstance(element, dict) for element in value):
        for index, element in enumerate(value):
            yield from _cells(element, (*path, index))
    elif isinstance(value, list):
        yield path_text(path), ";".join(map(str, value)) or _EMPTY_LIST
    elif isinstance(value, bool):
        yield path_text(path), "true" if value else "false"
    elif value is not None:
        yield path_text(path), str(value)


def _decode(data: bytes, problems: list[RowProblem]) -> str | None:
    if len(data) > MAX_BYTES:
        problems.append(_fault(1, "", "파일이 너무 커요", "the file is too large", "나눠서 올려요", "send it in parts"))
        return None
    if data.startswith(_SPREADSHEETS):
        problems.append(
            _fault(1, "", "엑셀 파일이에요", "it is an Excel file", "CSV UTF-8로 저장해 주세요", "save it as CSV UTF-8")
        )
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        problems.append(_encoding_fault(data, data.count(b"\n", 0, exc.start) + 1))
        return None
    if "\x00" in text:
        problems.append(
            _fault(1, "", "글 파일이 아니에요", "it is not a text file", "CSV로 저장해요", "save the file as CSV")
        )
        return None
    return text


def _encoding_fault(data: bytes, line: int) -> RowProblem:
    """Name the encoding, if it is one that Korean offices have: they did not choose it and do not know its name."""
    likely = next((name for name in _OFFICE_ENCODINGS if _is_text(data, name)), "")
    ko, en = (
        (f"UTF-8이 아니라 {likely}예요", f"it is {likely}, not UTF-8")
        if likely
        else ("UTF-8이 아니에요", "it is not UTF-8")
    )
    return _fault(
        line, "", ko, en,
        "엑셀이면 다른 이름으로 저장에서 CSV UTF-8(쉼표로 분리)을 골라요",
        "in Excel choose Save As, CSV UTF-8 (comma delimited)",
    )  # fmt: skip


def _is_text(data: bytes, encoding: str) -> bool:
    try:
        first = data.decode(encoding).partition("\n")[0]
    except UnicodeDecodeError:
        return False
    return SUBJECT_COLUMN in first


def _fault(line: int, column: str, ko: str, en: str, cure_ko: str, cure_en: str) -> RowProblem:
    return RowProblem(line, column, Text(ko, en), Text(cure_ko, cure_en))


class _Parsing:
    def __init__(self, types: Mapping[str, CredentialType], today: date, problems: list[RowProblem]) -> None:
        self.types = types
        self.today = today
        self.problems = problems
        self._leaves: dict[tuple[str, str], tuple[Column, Claim | None]] = {}

    def fault(self, line: int, column: str, ko: str, en: str, cure_ko: str, cure_en: str) -> None:
        self.problems.append(_fault(line, column, ko, en, cure_ko, cure_en))

    def rows(self, reader: "_CsvReader") -> tuple[list[Record], int]:
        lines = self.lines(reader)
        _, header = next(lines, (1, []))
        if header is None:
            return [], 0
        if not self.header(header):
            return [], sum(1 for _, row in lines if row is None or any(row))
        records: dict[tuple[str, str], Record] = {}
        count = 0
        for line, row in lines:
            if row is not None and not any(row):
                continue
            count += 1
            record = None if row is None else self.row(line, header, row)
            if record is not None:
                self.keep(records, record)
        return list(records.values()), count

    def lines(self, reader: "_CsvReader") -> Iterator[tuple[int, list[str] | None]]:
        """Give each row with the line where it begins; None, as the last, for one that is no CSV."""
        start = 1
        try:
            for row in reader:
                yield start, [cell.strip() for cell in row]
                start = reader.line_num + 1
        except csv.Error:
            # Where the row begins, not where the reader gave up: a quote that is never closed ends with the file.
            self.fault(start, "", "CSV로 읽을 수 없어서 이 줄에서 멈췄어요", "it is not CSV, and reading stopped here",
                       "따옴표를 확인하고 다시 올려요", "check the quotes and send the file again")  # fmt: skip
            yield start, None

    def keep(self, records: dict[tuple[str, str], Record], record: Record) -> None:
        key = (record.subject_id, record.type_id)
        if key in records:
            self.fault(
                record.line, SUBJECT_COLUMN, "같은 사람의 줄이 앞에 있어요", "an earlier row is about the same person",
                "한 줄만 남겨요", "keep one of the rows",
            )  # fmt: skip
        else:
            records[key] = record

    def header(self, header: list[str]) -> bool:
        """Note what is wrong with the header; whether rows can be read by it."""
        before = len(self.problems)
        wanted = [SUBJECT_COLUMN] if len(self.types) == 1 else [SUBJECT_COLUMN, TYPE_COLUMN]
        for name in wanted:
            if name not in header:
                self.fault(1, name, "꼭 있어야 하는 열이 없어요", "a mandatory column is missing",
                           "열을 더해요", "add the column")  # fmt: skip
        for name in dict.fromkeys(header):
            if header.count(name) > 1:
                self.fault(1, name, "열이 두 번 있어요", "the column stands twice", "하나를 지워요", "remove one")
            elif name not in {SUBJECT_COLUMN, TYPE_COLUMN} and not any(
                _leaf(each, name) for each in self.types.values()
            ):
                self.fault(1, name, "이 기관의 증명서에 없는 열이에요", "no such claim in this agency's types",
                           "열을 지우거나, 양식에 있는 이름으로 고쳐요",
                           "remove the column, or correct its name as the template has it")  # fmt: skip
        return len(self.problems) == before

    def row(self, line: int, header: list[str], row: list[str]) -> Record | None:
        before = len(self.problems)
        if len(row) != len(header):
            self.fault(line, "", "칸 수가 머리글과 달라요", "it has not as many cells as the header",
                       "쉼표와 따옴표를 확인해요", "check commas and quotes")  # fmt: skip
            return None
        cells = dict(zip(header, row, strict=True))
        subject, credential_type = cells.pop(SUBJECT_COLUMN), self.type_of(line, cells.pop(TYPE_COLUMN, ""))
        if subject == EXAMPLE_SUBJECT:
            self.fault(line, SUBJECT_COLUMN, "양식에 든 예시 줄이에요", "the example row of the template",
                       "이 줄을 지워요", "remove the row")  # fmt: skip
            return None
        if not is_subject_id(subject):
            self.fault(line, SUBJECT_COLUMN, "쓸 수 없는 번호예요", "not a subject id",
                       "영문자, 숫자, - . _ 로 64자까지 적어요", "use up to 64 letters, digits, - . _")  # fmt: skip
        if credential_type is None:
            return None
        claims = self.claims(line, credential_type, {name: cell for name, cell in cells.items() if cell})
        for problem in credential_type.validate_record(claims, today=self.today):
            if not any(each.line == line and each.column == problem.path for each in self.problems[before:]):
                self.problems.append(RowProblem(line, problem.path, problem.reason, problem.cure))
        return Record(line, subject, credential_type.id, claims) if len(self.problems) == before else None

    def leaf(self, credential_type: CredentialType, name: str) -> tuple[Column, Claim | None]:
        """Return where a column's cells go and their claim: the same for every row, so worked out once."""
        key = (credential_type.id, name)
        if key not in self._leaves:
            self._leaves[key] = _column(name), _leaf(credential_type, name)
        return self._leaves[key]

    def type_of(self, line: int, name: str) -> CredentialType | None:
        if not name and len(self.types) == 1:
            return next(iter(self.types.values()))
        if name not in self.types:
            known = ", ".join(self.types)
            self.fault(line, TYPE_COLUMN, "이 기관의 증명서가 아니에요", "not a type of this agency",
                       f"다음 가운데 하나를 적어요: {known}", f"use one of: {known}")  # fmt: skip
        return self.types.get(name)

    def claims(self, line: int, credential_type: CredentialType, cells: Mapping[str, str]) -> JsonObject:
        record: JsonObject = {}
        for name, cell in cells.items():
            column, claim = self.leaf(credential_type, name)
            if claim is None:
                self.fault(line, name, "이 증명서에 없는 열이에요", "no such claim in this type",
                           "칸을 비워요", "leave the cell empty")  # fmt: skip
            elif not _put(record, column, _value(claim, cell)):
                self.fault(line, name, "앞 번호의 칸이 비었어요", "an earlier element is empty",
                           "1번부터 차례로 채워요", "fill elements from 1 on, without a gap")  # fmt: skip
        return record


def _column(name: str) -> Column:
    return tuple(int(part) - 1 if _ELEMENT.match(part) else part for part in name.split("."))


def _leaf(credential_type: CredentialType, name: str) -> Claim | None:
    """Return the claim a column holds values of; containers have a column for each member instead."""
    claim = credential_type.claim(_column(name))
    return None if claim is None or claim.type is ClaimType.OBJECT else claim


def _value(claim: Claim, cell: str) -> Json:
    """Return the value of a cell. A cell that does not fit stays text, which the record's validation then names."""
    if claim.type is ClaimType.INTEGER and _INTEGER.match(cell):
        return int(cell)
    if claim.type is ClaimType.BOOLEAN and cell in _YES | _NO:
        return cell in _YES
    if claim.type is ClaimType.ARRAY and cell == _EMPTY_LIST:
        return []
    if claim.type is ClaimType.ARRAY and claim.items is ClaimType.STRING:
        return [word.strip() for word in cell.split(";") if word.strip()]
    return cell


def _put(target: JsonObject, column: Column, value: Json) -> bool:
    """Put ``value`` where ``column`` says; False if that would leave a gap in a list."""
    name, rest = str(column[0]), column[1:]
    if not rest:
        target[name] = value
        return True
    if isinstance(rest[0], int):
        elements = target.setdefault(name, [])
        if not isinstance(elements, list) or len(elements) < rest[0]:
            return False
        if len(elements) == rest[0]:
            elements.append({})
        element = elements[rest[0]]
        return isinstance(element, dict) and _put(element, rest[1:], value)
    inner = target.setdefault(name, {})
    return isinstance(inner, dict) and _put(inner, rest, value)
