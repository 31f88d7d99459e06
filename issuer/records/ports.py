"""What the use cases of records need."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from wallet_core.types import AgencyId, JsonObject


class Records(Protocol):
    """Agencies' records: claims of one person for one credential type."""

    def put(self, agency_id: AgencyId, type_id: str, rows: Iterable[tuple[str, JsonObject]], *, now: datetime) -> None:
        """Store records by subject id; one that is there is replaced."""
        ...

    def find(self, agency_id: AgencyId, type_id: str, subject_id: str) -> JsonObject | None:
        """Return a record, None if there is none."""
        ...

    def subjects(self, agency_id: AgencyId, type_id: str, *, after: str, limit: int) -> Sequence[str]:
        """Return subject ids in order, from the one after ``after`` on."""
        ...

    def count(self, agency_id: AgencyId) -> dict[str, int]:
        """Return how many records there are, by credential type."""
        ...
