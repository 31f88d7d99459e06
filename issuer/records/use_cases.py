"""What is done with records: import a file, all of it or nothing; delete a person's; count whom the agency knows."""

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from issuer.agencies.ports import Agency
from issuer.records.ports import Citizen, Records, SubjectRecord
from wallet_core.catalogue.credential_type import CredentialType, seoul_day
from wallet_core.catalogue.records import RecordsReport, RowProblem, format_template, is_subject_id, parse_records
from wallet_core.errors import NotFound
from wallet_core.ports import UnitOfWork
from wallet_core.types import JsonObject

NAME_CLAIMS = ("name", "taxpayer_name")
"""Claims that state the name of the person, the first that is there counts."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")

BIRTH_CLAIM = "birth_date"
"""Claim that states the person's date of birth."""


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What became of a file: ``imported`` records were stored, ``report`` has every fault.

    ``replaced`` of its good records are of people whom the agency knew before; if there are faults, none are counted.
    """

    report: RecordsReport
    imported: int
    replaced: int

    @property
    def new(self) -> int:
        """Records of people whom the agency did not know; 0 if the file has faults."""
        return 0 if self.report.problems else len(self.report.records) - self.replaced

    def to_json(self) -> JsonObject:
        """Return the result as our API and the command line show it. It repeats nothing of the rows."""
        return {
            "rows": self.report.rows,
            "good_rows": len(self.report.records),
            "bad_rows": self.report.bad_rows,
            "imported": self.imported,
            "new": self.new,
            "replaced": self.replaced,
            "problems": [
                {
                    "line": problem.line,
                    "column": problem.column,
                    "reason": {"ko": problem.reason.ko, "en": problem.reason.en},
                    "cure": {"ko": problem.cure.ko, "en": problem.cure.en},
                }
                for problem in self.report.problems
            ],
        }


def check_records(types: Sequence[CredentialType], data: bytes, *, now: datetime) -> RecordsReport:
    """Return what a CSV file holds and everything that is wrong with it. Seconds for a large file: not on the loop."""
    return parse_records(data, types, today=seoul_day(now))


def faults_file(problems: Sequence[RowProblem], heads: Sequence[str], language: str) -> str:
    """Return faults as CSV for whoever mends the file in a spreadsheet: line, column, reason and cure of each.

    ``heads`` are the names of these four in ``language``.
    """
    target = io.StringIO()
    writer = csv.writer(target)
    writer.writerow(heads)
    for each in problems:
        # The name of a column is the sender's: a spreadsheet must not compute it.
        column = f"'{each.column}" if each.column.startswith(_FORMULA) else each.column
        writer.writerow([each.line, column, each.reason.get(language), each.cure.get(language)])
    return target.getvalue()


def template(types: Sequence[CredentialType], type_id: str | None) -> bytes:
    """Return a CSV file to begin with, for one of an agency's types or for all. Raises ``NotFound``."""
    chosen = [each for each in types if type_id in (None, each.id)]
    if not chosen:
        raise NotFound("the agency does not issue that")
    # Without a byte order mark Excel takes it for CP949.
    return format_template(chosen).encode("utf-8-sig")


def import_records(
    unit: UnitOfWork, records: Records, agency: Agency, report: RecordsReport, *, dry_run: bool, now: datetime
) -> ImportResult:
    """Store the records of a file that was checked, if all are good and it is no dry run.

    Args:
        unit: in which they are stored.
        records: of that unit.
        agency: whose records they are.
        report: what :func:`check_records` found.
        dry_run: only report.
        now: the time.
    """
    if report.problems:
        return ImportResult(report, 0, 0)
    by_type: dict[str, list[SubjectRecord]] = defaultdict(list)
    for record in report.records:
        stored = SubjectRecord(record.subject_id, record.claims, citizen_of(record.claims))
        by_type[record.type_id].append(stored)
    with unit:
        known = [records.known(agency.id, each, [row.subject_id for row in rows]) for each, rows in by_type.items()]
        for type_id, rows in () if dry_run else by_type.items():
            records.put(agency.id, type_id, rows, now=now)
    return ImportResult(report, 0 if dry_run else len(report.records), sum(known))


def delete_subject(unit: UnitOfWork, records: Records, agency: Agency, subject_id: str) -> int:
    """Delete what an agency knows of a person, of all its credential types, and return how many records that were.

    No login finds the person any more, and no wallet gets new copies. What was issued stays good: withdrawing it is the
    status list's.

    Raises:
        NotFound: the agency has no record of the person.
    """
    with unit:
        # What is no id of ours is not worth asking the database, which refuses some texts with an error.
        deleted = records.delete(agency.id, subject_id) if is_subject_id(subject_id) else 0
        if not deleted:
            raise NotFound("the agency has no record under this subject_id")
    return deleted


def citizen_of(record: JsonObject) -> Citizen | None:
    """Return whose record it is; None if it does not state name and date of birth."""
    names = [name for member in NAME_CLAIMS if isinstance(name := record.get(member), str) and name]
    try:
        born = date.fromisoformat(str(record.get(BIRTH_CLAIM)))
    except ValueError:
        return None
    return Citizen(names[0], born) if names else None


def count_records(unit: UnitOfWork, records: Records, agency: Agency) -> dict[str, int]:
    """Return how many records the agency has, by credential type."""
    with unit:
        return records.count(agency.id)
