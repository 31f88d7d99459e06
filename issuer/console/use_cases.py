"""What an agency's staff look for: people on record, what a card would say about one of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from issuer.agencies.ports import Agency
from issuer.records.ports import Records
from wallet_core.catalogue import CredentialType
from wallet_core.catalogue.credential_type import Mask
from wallet_core.errors import Expired, NotFound
from wallet_core.ports import UnitOfWork
from wallet_core.types import Json, JsonObject

MAX_FOUND = 30
"""People of one answer: what fits on a screen; a search narrows it."""

MAX_SEARCHED = 5_000
"""Records one search opens; each is sealed, and 5,000 take about a tenth of a second."""

_PAGE = 500


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody the agency has a record of. ``name`` is as recorded; pages cover it in lists."""

    subject_id: str
    name: str


def find_people(
    unit: UnitOfWork, records: Records, agency: Agency, credential_type: CredentialType, query: str
) -> list[Person]:
    """Return people whose name or subject id holds ``query``, all for an empty one, at most ``MAX_FOUND``."""
    wanted = query.strip().casefold()
    found: list[Person] = []
    with unit:
        for person in _people(records, agency, credential_type):
            if wanted in person.name.casefold() or wanted in person.subject_id.casefold():
                found.append(person)
            if len(found) == MAX_FOUND:
                break
    return found


def find_person(
    unit: UnitOfWork, records: Records, agency: Agency, credential_type: CredentialType, subject_id: str
) -> Person | None:
    """Return the person with ``subject_id``, None if the agency has no such record."""
    with unit:
        record = records.find(agency.id, credential_type.id, subject_id)
    return None if record is None else Person(subject_id, _name(credential_type, record) or subject_id)


def preview_claims(
    unit: UnitOfWork,
    records: Records,
    agency: Agency,
    credential_type: CredentialType,
    subject_id: str,
    *,
    today: date,
) -> JsonObject:
    """Return what would be signed today about a person.

    Raises:
        NotFound: the agency has no such record.
    """
    with unit:
        record = records.find(agency.id, credential_type.id, subject_id)
    if record is None:
        raise NotFound("the agency has no record of this person")
    return credential_type.prepare_claims(record, today=today)


def has_ended(credential_type: CredentialType, claims: JsonObject, *, today: date) -> bool:
    """Tell whether what would be signed has ended already, so that nothing can be issued."""
    try:
        credential_type.expires_at(claims, today=today)
    except Expired:
        return True
    return False


def _people(records: Records, agency: Agency, credential_type: CredentialType) -> Iterator[Person]:
    after, searched = "", 0
    while searched < MAX_SEARCHED:
        page = records.subjects(agency.id, credential_type.id, after=after, limit=_PAGE)
        for subject_id in page:
            record = records.find(agency.id, credential_type.id, subject_id) or {}
            yield Person(subject_id, _name(credential_type, record) or subject_id)
        if len(page) < _PAGE:
            return
        after, searched = page[-1], searched + len(page)


def _name(credential_type: CredentialType, record: JsonObject) -> str:
    """Return the first value that the catalogue masks as a name: ``name``, or ``taxpayer_name``."""
    names: list[Json] = [
        record.get(str(claim.path[0]))
        for claim in credential_type.claims
        if claim.mask is Mask.NAME and len(claim.path) == 1
    ]
    return next((name for name in names if isinstance(name, str)), "")
