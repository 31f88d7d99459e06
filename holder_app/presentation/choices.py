"""What the person can choose in an answer, with the least as the default. Pure.

A query becomes groups (one per Credential Set Query). A group has alternatives: which cards answer it. A card of an
alternative shows the least that answers; what a longer option would add is an extra, off at first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product

from wallet_core.encoding.claims_path import ConcretePath
from wallet_core.errors import MalformedError
from wallet_core.protocols.openid4vp.matching import ClaimOption, CredentialMatch, Matches, Selection
from wallet_core.types import QueryId

MAX_ALTERNATIVES = 12
"""Ways to answer one group that are shown; more are no choice a person can make."""


@dataclass(frozen=True, slots=True)
class Extra:
    """Elements that may be sent as well, with the option of the match that sends them."""

    option: int
    adds: tuple[ConcretePath, ...]


@dataclass(frozen=True, slots=True)
class Pick:
    """One card in an alternative. ``option`` is the least one that answers."""

    query_id: QueryId
    card_id: str
    option: int
    selected: tuple[ConcretePath, ...]
    extras: tuple[Extra, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """One thing that is asked for. If it is not required, it is off at first."""

    required: bool
    alternatives: tuple[tuple[Pick, ...], ...]


def create_groups(matches: Matches) -> tuple[Group, ...]:
    """Return what the person can choose, in the verifier's order; optional groups that nothing answers are left out."""
    groups = (Group(found.required, tuple(_alternatives(matches, found.options))) for found in matches.sets)
    return tuple(group for group in groups if group.alternatives)


def choice_of(groups: Sequence[Group], answers: Mapping[str, str]) -> dict[QueryId, tuple[Selection, ...]]:
    """Return the choice that a form's answers make.

    ``group-N`` is the number of an alternative (default 0), ``send-N`` switches an optional group on, and
    ``extra-N-A-P`` is the number of an extra of card P of alternative A.

    Raises:
        MalformedError: an answer is no number of a choice that was shown.
    """
    choice: dict[QueryId, tuple[Selection, ...]] = {}
    for number, group in enumerate(groups):
        if not group.required and f"send-{number}" not in answers:
            continue
        picked = _number(answers.get(f"group-{number}", "0"), len(group.alternatives))
        for position, pick in enumerate(group.alternatives[picked]):
            wanted = answers.get(f"extra-{number}-{picked}-{position}")
            option = pick.option if wanted is None else pick.extras[_number(wanted, len(pick.extras))].option
            # A query that two groups share is answered once, as the first group says.
            choice.setdefault(pick.query_id, (Selection(pick.card_id, option),))
    return choice


def _alternatives(matches: Matches, options: Sequence[Sequence[QueryId]]) -> list[tuple[Pick, ...]]:
    found = (
        tuple(_pick(query_id, one) for query_id, one in zip(option, combination, strict=True))
        for option in options
        for combination in product(*(matches.by_query[query_id] for query_id in option))
    )
    return list(islice(found, MAX_ALTERNATIVES))


def _pick(query_id: QueryId, found: CredentialMatch) -> Pick:
    least = _least(found.options)
    shown = set(found.options[least].selected)
    extras = tuple(
        Extra(number, tuple(path for path in option.selected if path not in shown))
        for number, option in enumerate(found.options)
        if shown < set(option.selected)
    )
    return Pick(query_id, found.candidate.id, least, found.options[least].selected, extras)


def _least(options: Sequence[ClaimOption]) -> int:
    """Return the first option, or one of its true subsets: the verifier's order decides between different claims."""
    first = set(options[0].selected)
    smaller = [number for number, option in enumerate(options) if set(option.selected) < first]
    return min(smaller, key=lambda number: len(options[number].selected), default=0)


def _number(text: str, limit: int) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= limit:
        raise MalformedError("the form holds a choice that was not offered")
    return int(text)
