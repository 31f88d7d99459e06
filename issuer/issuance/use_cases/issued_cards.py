"""The record of issue as staff read it: newest first, the copies that one answer carried in one line."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from issuer.agencies.ports import Agency
from issuer.issuance.ports import IssuancePorts, IssuedCredential
from issuer.issuance.use_cases.races import look

MOST_COPIES: Final = 200
"""Copies that one page is made of: 20 cards of a wallet that takes ten copies of each."""

_TIME_DIGITS: Final = 12
"""Digits of an id that are its time: copies of one answer have the same."""

_ORDER: Final = ("valid", "suspended", "invalid")


@dataclass(frozen=True, slots=True)
class IssuedCard:
    """One card in one wallet.

    Attributes:
        newest: one of its copies, by which it is looked up.
        copies: how many there are.
        statuses: that they have; as a rule one.
    """

    newest: IssuedCredential
    copies: int
    statuses: tuple[str, ...]


def list_issued_cards(
    ports: IssuancePorts, agency: Agency, *, subject_ids: Collection[str] | None = None, before: str = ""
) -> tuple[list[IssuedCard], str | None]:
    """Return a page of what was issued, newest first, and the cursor of the next page (None at the end).

    ``subject_ids`` None are those of everybody.
    """
    found = look(
        ports,
        lambda storage: storage.credentials.latest(
            agency.id, subject_ids=subject_ids, before=before, limit=MOST_COPIES + 1
        ),
    )
    copies = _whole(found)
    return _cards(copies), copies[-1].id if len(copies) < len(found) else None


def _whole(found: Sequence[IssuedCredential]) -> Sequence[IssuedCredential]:
    """Return ``found`` without the answers of its last moment, some of whose copies may be on the next page."""
    if len(found) <= MOST_COPIES:
        return found
    whole = [each for each in found if _moment(each) != _moment(found[-1])]
    return whole or found[:MOST_COPIES]


def _moment(credential: IssuedCredential) -> str:
    return credential.id[:_TIME_DIGITS]


def _cards(copies: Sequence[IssuedCredential]) -> list[IssuedCard]:
    cards = []
    for _, moment in groupby(copies, key=_moment):
        by_answer: dict[str, list[IssuedCredential]] = {}
        for each in moment:
            by_answer.setdefault(each.notification_id or each.id, []).append(each)
        cards += [_card(each) for each in by_answer.values()]
    return cards


def _card(copies: Sequence[IssuedCredential]) -> IssuedCard:
    statuses = sorted({each.status for each in copies}, key=_ORDER.index)
    return IssuedCard(copies[0], len(copies), tuple(statuses))
