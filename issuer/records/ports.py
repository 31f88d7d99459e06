"""What the use cases of records need."""

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from wallet_core.types import AgencyId, JsonObject


@dataclass(frozen=True, slots=True)
class Citizen:
    """A person as a login proves them and as records state them: that is how the two are brought together."""

    name: str
    birth_date: date

    @property
    def compared(self) -> str:
        """The text by which two are the same: composed letters, single spaces, no capitals; and the date."""
        name = " ".join(unicodedata.normalize("NFC", self.name).split()).casefold()
        return f"{name}\x00{self.birth_date.isoformat()}"


@dataclass(frozen=True, slots=True)
class SubjectRecord:
    """One record to store. ``citizen`` is None where the record does not say whose it is."""

    subject_id: str
    claims: JsonObject
    citizen: Citizen | None = None


class Records(Protocol):
    """Agencies' records: claims of one person for one credential type."""

    def put(self, agency_id: AgencyId, type_id: str, rows: Iterable[SubjectRecord], *, now: datetime) -> None:
        """Store records by subject id; one that is there is replaced."""
        ...

    def find(self, agency_id: AgencyId, type_id: str, subject_id: str) -> JsonObject | None:
        """Return a record, None if there is none."""
        ...

    def known(self, agency_id: AgencyId, type_id: str, subject_ids: Collection[str]) -> int:
        """Return of how many of these people there is a record."""
        ...

    def find_subject(self, agency_id: AgencyId, citizen: Citizen) -> str | None:
        """Return the subject id of a citizen; None if the agency knows nobody, or more than one, of that description.

        Found by a keyed digest: neither name nor date of birth lies in the clear.
        """
        ...

    def subjects(self, agency_id: AgencyId, type_id: str, *, after: str, limit: int) -> Sequence[str]:
        """Return subject ids in order, from the one after ``after`` on."""
        ...

    def delete(self, agency_id: AgencyId, subject_id: str) -> int:
        """Delete an agency's records of one person, of all credential types, and return how many there were."""
        ...

    def count(self, agency_id: AgencyId) -> dict[str, int]:
        """Return how many records there are, by credential type."""
        ...
