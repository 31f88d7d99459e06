"""What a login method was told of a person, made into a citizen."""

import re
from datetime import date
from typing import Final

from issuer.records.ports import Citizen
from wallet_core.types import Json

MAX_NAME_CHARACTERS: Final = 200
"""Characters of a name: that of a foreigner has up to 150 in the registers."""

# Python also reads other forms of ISO 8601, such as 1993-W19-5, which no credential and no provider writes.
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


def create_citizen(name: Json, birth_date: Json) -> Citizen | None:
    """Return the person of this name and whole date of birth; None if one of them says nothing."""
    if not isinstance(name, str) or not 0 < len(name.strip()) <= MAX_NAME_CHARACTERS:
        return None
    if not isinstance(birth_date, str) or not _DATE.match(birth_date):
        return None
    try:
        return Citizen(name.strip(), date.fromisoformat(birth_date))
    except ValueError:
        return None
