"""What the person can choose in an answer, with the least as the default. Pure.

A query becomes groups (one per Credential Set Query). A group has alternatives: which cards answer it, the least
disclosing first. A card of an alternative shows the least that answers; what a longer option would add is an extra, and
where a verifier takes several cards the others may go along; both are off at first.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice, product

from wallet_core.encoding import strict_json
from wallet_core.encoding.claims_path import ConcretePath, value_at
from wallet_core.errors import MalformedError
from wallet_core.protocols.openid4vp.matching import (
    Candidate,
    ClaimOption,
    CredentialMatch,
    Matches,
    Selection,
    Weight,
    least_option,
    least_weight,
    shown_besides,
    total,
)
from wallet_core.types import Json, QueryId

MAX_ALTERNATIVES = 12
"""Ways to answer one group that are shown; more are no choice a person can make."""

SHOWN_FIELD = "shown"
"""Field of a form with :func:`digest_of` what it shows."""

_MAX_DIGITS = 4
"""Digits of a choice in a form; no list of choices has a thousand."""

_Rank = tuple[int, Weight]
"""How many withdrawn cards an answer has, and how much it shows: less comes first."""


@dataclass(frozen=True, slots=True)
class Extra:
    """Elements that may be sent as well, with the option of the match that sends them.

    ``adds`` has also what then can no longer be hidden.
    """

    option: int
    adds: tuple[ConcretePath, ...]


@dataclass(frozen=True, slots=True)
class Pick:
    """One card in an alternative.

    ``option`` is the least one that answers; it shows what is ``selected``, and ``besides`` what then cannot be hidden.
    ``others`` are cards that may be sent with it, where the verifier takes several (``multiple``); they have no extras.
    """

    query_id: QueryId
    card_id: str
    option: int
    selected: tuple[ConcretePath, ...]
    besides: tuple[ConcretePath, ...]
    extras: tuple[Extra, ...]
    others: "tuple[Pick, ...]" = ()


@dataclass(frozen=True, slots=True)
class Group:
    """One thing that is asked for. If it is not required, it is off at first."""

    required: bool
    alternatives: tuple[tuple[Pick, ...], ...]


def create_groups(matches: Matches, withdrawn: Collection[str] = ()) -> tuple[Group, ...]:
    """Return what the person can choose, in the verifier's order; optional groups that nothing answers are left out.

    Args:
        matches: what could be answered.
        withdrawn: cards that are shown last, because their issuer has withdrawn them.
    """
    groups = (Group(found.required, _alternatives(matches, found.options, withdrawn)) for found in matches.sets)
    return tuple(group for group in groups if group.alternatives)


def digest_of(groups: Sequence[Group], candidates: Mapping[str, Candidate], withdrawn: Collection[str] = ()) -> str:
    """Return a SHA-256 over what a person sees to decide about: cards, claims and values, in their places.

    An answer names places ("the second card, with its first extra"). It is good only for what stood there.
    """
    shown = [
        [group.required, [[_shown(pick, candidates, withdrawn) for pick in picks] for picks in group.alternatives]]
        for group in groups
    ]
    return sha256(strict_json.dumps_sorted(shown)).hexdigest()


def _shown(pick: Pick, candidates: Mapping[str, Candidate], withdrawn: Collection[str]) -> Json:
    claims = candidates[pick.card_id].claims

    def values(paths: Sequence[ConcretePath]) -> Json:
        return [[list(path), value_at(claims, path)] for path in paths]

    return [
        pick.query_id,
        pick.card_id,
        pick.card_id in withdrawn,
        values(pick.selected),
        values(pick.besides),
        [values(extra.adds) for extra in pick.extras],
        [_shown(other, candidates, withdrawn) for other in pick.others],
    ]


def choice_of(groups: Sequence[Group], answers: Mapping[str, str]) -> dict[QueryId, tuple[Selection, ...]]:
    """Return the choice that a form's answers make.

    ``group-N`` is the number of an alternative (default 0), ``send-N`` switches an optional group on,
    ``extra-N-A-P`` is the number of an extra of card P of alternative A, and ``also-N-A-P-C`` sends the other card C
    with card P.

    Raises:
        MalformedError: an answer is no number of a choice that was shown.
    """
    choice: dict[QueryId, tuple[Selection, ...]] = {}
    for number, group in enumerate(groups):
        if not group.required and f"send-{number}" not in answers:
            continue
        picked = _number(answers.get(f"group-{number}", "0"), len(group.alternatives))
        for position, pick in enumerate(group.alternatives[picked]):
            place = f"{number}-{picked}-{position}"
            wanted = answers.get(f"extra-{place}")
            option = pick.option if wanted is None else pick.extras[_number(wanted, len(pick.extras))].option
            also = [one for other, one in enumerate(pick.others) if f"also-{place}-{other}" in answers]
            selections = (Selection(pick.card_id, option), *(Selection(one.card_id, one.option) for one in also))
            # A query that two groups share is answered once, as the first group says.
            choice.setdefault(pick.query_id, selections)
    return choice


def _alternatives(
    matches: Matches, options: Sequence[Sequence[QueryId]], withdrawn: Collection[str]
) -> tuple[tuple[Pick, ...], ...]:
    def rank(found: Sequence[CredentialMatch]) -> _Rank:
        return sum(one.candidate.id in withdrawn for one in found), total([least_weight(one) for one in found])

    ranked: list[tuple[_Rank, tuple[Pick, ...]]] = []
    for option in options:
        # Of each option the least comes first, so that it is among those that are looked at.
        by_query = [sorted(matches.by_query[query_id], key=lambda one: rank([one])) for query_id in option]
        for combination in islice(product(*by_query), MAX_ALTERNATIVES):
            picks = tuple(_pick(matches, query_id, one) for query_id, one in zip(option, combination, strict=True))
            ranked.append((rank(combination), picks))
    # The verifier's order stands between equals: sorting keeps it.
    return tuple(picks for _, picks in sorted(ranked, key=lambda one: one[0])[:MAX_ALTERNATIVES])


def _pick(matches: Matches, query_id: QueryId, found: CredentialMatch) -> Pick:
    least = _alone(query_id, found)
    extras = [Extra(number, _added(found.candidate, option, least)) for number, option in enumerate(found.options)]
    query = matches.query.credential(query_id)
    several = matches.by_query[query_id] if query is not None and query.multiple else ()
    others = tuple(_alone(query_id, one) for one in several if one is not found)[:MAX_ALTERNATIVES]
    return replace(least, extras=tuple(extra for extra in extras if extra.adds), others=others)


def _alone(query_id: QueryId, found: CredentialMatch) -> Pick:
    number = least_option(found)
    selected = found.options[number].selected
    return Pick(query_id, found.candidate.id, number, selected, shown_besides(found.candidate, selected), ())


def _added(candidate: Candidate, option: ClaimOption, least: Pick) -> tuple[ConcretePath, ...]:
    """Return what an option shows besides all that the least one does; nothing if it lacks something of that."""
    if not set(least.selected) < set(option.selected):
        return ()
    readable = {*least.selected, *least.besides}
    return tuple(
        path
        for path in (*option.selected, *shown_besides(candidate, option.selected))
        if readable.isdisjoint(path[:end] for end in range(1, len(path) + 1))
    )


def _number(text: str, limit: int) -> int:
    # The length comes first: Python refuses to make a number of thousands of digits.
    if len(text) > _MAX_DIGITS or not text.isascii() or not text.isdigit() or int(text) >= limit:
        raise MalformedError("the form holds a choice that was not offered")
    return int(text)
