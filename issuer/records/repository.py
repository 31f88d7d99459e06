"""Agencies' records in the database, each sealed for its own place."""

import hmac
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, func, insert, select

from issuer.records.ports import Citizen, SubjectRecord
from issuer.records.tables import RecordRow
from issuer.tables import table_of
from wallet_core.adapters.sql import UnitOfWork, chunks
from wallet_core.encoding import strict_json
from wallet_core.ports import Seal
from wallet_core.types import AgencyId, JsonObject

_RECORD = table_of(RecordRow)

# Built once: putting a statement together costs as much as running it.
_OF_AGENCY = _RECORD.c.agency_id == bindparam("agency_id")
_FIND = select(_RECORD.c.sealed).where(
    _OF_AGENCY, _RECORD.c.type_id == bindparam("type_id"), _RECORD.c.subject_id == bindparam("subject_id")
)
_FIND_SUBJECT = (
    select(_RECORD.c.subject_id)
    .where(_OF_AGENCY, _RECORD.c.citizen_digest == bindparam("citizen_digest"))
    .distinct()
    .limit(2)
)
_DELETE = delete(_RECORD).where(_OF_AGENCY, _RECORD.c.subject_id == bindparam("subject_id"))


class SqlRecords:
    """Records of one database."""

    def __init__(self, unit: UnitOfWork, seal: Seal, citizen_key: bytes) -> None:
        self._unit = unit
        self._seal = seal
        self._citizen_key = citizen_key

    def put(self, agency_id: AgencyId, type_id: str, rows: Iterable[SubjectRecord], *, now: datetime) -> None:
        """Store records by subject id; one that is there is replaced."""
        values = [
            {
                "agency_id": agency_id,
                "type_id": type_id,
                "subject_id": row.subject_id,
                "sealed": self._seal.seal(strict_json.dumps(row.claims), _context(agency_id, type_id, row.subject_id)),
                "citizen_digest": None if row.citizen is None else self._digest(agency_id, row.citizen),
                "imported_at": now,
            }
            for row in rows
        ]
        for chunk in chunks(values):
            self._unit.connection.execute(
                delete(_RECORD).where(
                    _RECORD.c.agency_id == agency_id,
                    _RECORD.c.type_id == type_id,
                    _RECORD.c.subject_id.in_([value["subject_id"] for value in chunk]),
                )
            )
            self._unit.connection.execute(insert(_RECORD), chunk)

    def find(self, agency_id: AgencyId, type_id: str, subject_id: str) -> JsonObject | None:
        """Return a record, None if there is none."""
        values = {"agency_id": agency_id, "type_id": type_id, "subject_id": subject_id}
        sealed = self._unit.connection.execute(_FIND, values).scalar_one_or_none()
        if sealed is None:
            return None
        return strict_json.loads_object(self._seal.open(sealed, _context(agency_id, type_id, subject_id)))

    def known(self, agency_id: AgencyId, type_id: str, subject_ids: Collection[str]) -> int:
        """Return of how many of these people there is a record."""
        mine = select(func.count()).where(_RECORD.c.agency_id == agency_id, _RECORD.c.type_id == type_id)
        counted = [mine.where(_RECORD.c.subject_id.in_(chunk)) for chunk in chunks(subject_ids)]
        return sum(int(self._unit.connection.execute(each).scalar_one()) for each in counted)

    def find_subject(self, agency_id: AgencyId, citizen: Citizen) -> str | None:
        """Return the subject id of a citizen; None if the agency knows nobody, or several, of that description."""
        values = {"agency_id": agency_id, "citizen_digest": self._digest(agency_id, citizen)}
        found = list(self._unit.connection.execute(_FIND_SUBJECT, values).scalars())
        # Two people of one name and birthday cannot be told apart here: nobody gets the other's certificates.
        return found[0] if len(found) == 1 else None

    def _digest(self, agency_id: AgencyId, citizen: Citizen) -> bytes:
        text = f"{agency_id}\x00{citizen.compared}"
        return hmac.digest(self._citizen_key, text.encode(), "sha256")

    def subjects(self, agency_id: AgencyId, type_id: str, *, after: str, limit: int) -> Sequence[str]:
        """Return subject ids in order, from the one after ``after`` on."""
        statement = (
            select(_RECORD.c.subject_id)
            .where(_RECORD.c.agency_id == agency_id, _RECORD.c.type_id == type_id, _RECORD.c.subject_id > after)
            .order_by(_RECORD.c.subject_id)
            .limit(limit)
        )
        return list(self._unit.connection.execute(statement).scalars())

    def delete(self, agency_id: AgencyId, subject_id: str) -> int:
        """Delete an agency's records of one person, of all credential types, and return how many there were."""
        values = {"agency_id": agency_id, "subject_id": subject_id}
        return self._unit.connection.execute(_DELETE, values).rowcount

    def count(self, agency_id: AgencyId) -> dict[str, int]:
        """Return how many records there are, by credential type."""
        statement = (
            select(_RECORD.c.type_id, func.count()).where(_RECORD.c.agency_id == agency_id).group_by(_RECORD.c.type_id)
        )
        return {str(type_id): int(number) for type_id, number in self._unit.connection.execute(statement)}


def _context(agency_id: str, type_id: str, subject_id: str) -> str:
    return f"issuer_record/{agency_id}/{type_id}/{subject_id}"
