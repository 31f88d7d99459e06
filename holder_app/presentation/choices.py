"""What the person can choose in an answer, with the least as the default. Pure.

A query becomes groups (one per Credential Set Query). A group has alternatives: which cards answer it, the least
disclosing first. A card of an alternative shows the least that answers; what a longer option would add is an extra, and
where a verifier takes several cards the others may go along; both are off at first.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
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
    least_options,
    shown_besides,
    total,
)
from wallet_core.types import Json, QueryId

MAX_ALTERNATIVES = 12
"""Ways to answer one group that are shown; more are no choice a person can make."""

MAX_PLACES = 256
"""Cards that all alternatives of a request name together: one with many parts shows fewer alternatives of each."""

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


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """One card in an alternative. Two are the same only if they are one: it may stand in many places of a request.

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


_Ranked = tuple[_Rank, Pick]


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
    asked = {query_id for found in matches.sets for option in found.options for query_id in option}
    # Once for each query, however many options name it: its cards are weighed and put in order.
    least = least_options(matches)
    places = sum(max(map(len, found.options), default=0) for found in matches.sets)
    ways = max(1, min(MAX_ALTERNATIVES, MAX_PLACES // (places or 1)))
    ranked = {query_id: _ranked_picks(matches, query_id, least[query_id], withdrawn, ways) for query_id in asked}
    groups = (Group(found.required, _alternatives(found.options, ranked, ways)) for found in matches.sets)
    return tuple(group for group in groups if group.alternatives)


def digest_of(groups: Sequence[Group], candidates: Mapping[str, Candidate], withdrawn: Collection[str] = ()) -> str:
    """Return a SHA-256 over what a person sees to decide about: cards, claims and values, in their places.

    An answer names places ("the second card, with its first extra"). It is good only for what stood there.
    """

    @cache  # one card may stand in many places
    def shown_of(pick: Pick) -> Json:
        return _shown(pick, candidates, withdrawn)

    shown = [[group.required, [[shown_of(pick) for pick in picks] for picks in group.alternatives]] for group in groups]
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
    options: Sequence[Sequence[QueryId]], ranked: Mapping[QueryId, Sequence[_Ranked]], ways: int
) -> tuple[tuple[Pick, ...], ...]:
    found: list[tuple[_Rank, tuple[Pick, ...]]] = []
    for option in options:
        # Of each option the least comes first, so that it is among those that are looked at.
        for combination in islice(product(*(ranked[query_id] for query_id in option)), ways):
            gone = sum(rank[0] for rank, _ in combination)
            shows = total([rank[1] for rank, _ in combination])
            found.append(((gone, shows), tuple(pick for _, pick in combination)))
    # The verifier's order stands between equals: sorting keeps it.
    return tuple(picks for _, picks in sorted(found, key=lambda one: one[0])[:ways])


def _ranked_picks(
    matches: Matches,
    query_id: QueryId,
    least: Sequence[tuple[Weight, int]],
    withdrawn: Collection[str],
    ways: int,
) -> tuple[_Ranked, ...]:
    """Return the cards that answer a query, the least disclosing first: as many as are looked at, with their ranks."""
    found = [(one, *shows) for one, shows in zip(matches.by_query[query_id], least, strict=True)]
    query = matches.query.credential(query_id)
    several = query is not None and query.multiple
    alone = [_alone(query_id, one, number) for one, _, number in found[: ways + 1]] if several else []
    ranks = [(int(one.candidate.id in withdrawn), shows) for one, shows, _ in found]
    first = sorted(range(len(found)), key=ranks.__getitem__)[:ways]
    return tuple((ranks[place], _pick(query_id, found[place][0], found[place][2], alone, ways)) for place in first)


def _pick(query_id: QueryId, found: CredentialMatch, number: int, several: Sequence[Pick], ways: int) -> Pick:
    least = _alone(query_id, found, number)
    extras = [Extra(number, _added(found.candidate, option, least)) for number, option in enumerate(found.options)]
    others = [one for one in several if one.card_id != least.card_id][:ways]
    return replace(least, extras=tuple(extra for extra in extras if extra.adds), others=tuple(others))


def _alone(query_id: QueryId, found: CredentialMatch, number: int) -> Pick:
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
