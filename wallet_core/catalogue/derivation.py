# ruff: noqa: ARG005 - every rule has the same four arguments, whether it looks at them or not
"""Claims that are computed from others when the issuer signs: the closed set of rules.

Every rule takes what the claim's ``from`` selects and the day of signing in Asia/Seoul, and returns a value, or
``None`` for "leave the claim out".
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from wallet_core.catalogue.paths import select
from wallet_core.types import ClaimsPath, Json, JsonObject

if TYPE_CHECKING:
    from wallet_core.catalogue.credential_type import Claim

__all__ = [
    "AGENCY",
    "PARAMETERS",
    "RULES",
    "Derivation",
    "SigningPlan",
    "full_years",
    "plan_signing",
    "prepare_claims",
    "select",
]

AGENCY: Final = "agency"
"""The rule that computes nothing: the agency's own system decides, and the record brings the claim."""

Values = list[Json]


@dataclass(frozen=True, slots=True)
class Derivation:
    """How a claim comes about.

    Attributes:
        rule: a key of :data:`RULES`, or :data:`AGENCY`.
        sources: what it is computed from.
        parameters: ``years``, ``value``, ``values``, ``member`` or ``by``, as the rule needs.
    """

    rule: str
    sources: tuple[ClaimsPath, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


def full_years(born: date, today: date) -> int:
    """Return the age in full years; who was born on 29 February turns on 1 March in common years."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _date(value: Json) -> date:
    return date.fromisoformat(str(value))


def _first(values: Values, compute: Callable[[Json], Json]) -> Json:
    return compute(values[0]) if values else None


def _flat(values: Values) -> Values:
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _integer(value: Json) -> int:
    return value if isinstance(value, int) else 0


def _any_of(values: Values, wanted: Sequence[Json]) -> bool:
    return any(item in wanted for item in _flat(values))


def _any_without(values: Values, member: str) -> bool:
    return any(isinstance(item, dict) and member not in item for item in _flat(values))


def _latest(values: Values, by: Values) -> Json:
    pairs = [(_integer(key), value) for key, value in zip(by, values, strict=False)]
    return max(pairs, key=lambda pair: pair[0])[1] if pairs else None


def _years_of(today: date) -> Callable[[Json], int]:
    return lambda value: full_years(_date(value), today)


# rule -> its value. `v` is what `from` selects, `p` the parameters, `day` the day of signing, `by` what `by` selects.
RULES: Final[Mapping[str, Callable[[Values, Mapping[str, Any], date, Values], Json]]] = {
    "age_at_least": lambda v, p, day, by: _first(v, lambda born: _years_of(day)(born) >= p["years"]),
    "year_age_at_least": lambda v, p, day, by: _first(v, lambda born: day.year - _date(born).year >= p["years"]),
    "age": lambda v, p, day, by: _first(v, _years_of(day)),
    "year": lambda v, p, day, by: _first(v, lambda born: _date(born).year),
    "today": lambda v, p, day, by: day.isoformat(),
    "not_after_today": lambda v, p, day, by: _first(v, lambda value: _date(value) <= day),
    "copy": lambda v, p, day, by: _first(v, lambda value: value),
    "at_least": lambda v, p, day, by: _first(v, lambda value: _integer(value) >= p["value"]),
    "greatest": lambda v, p, day, by: max(map(_integer, v), default=None),
    "latest": lambda v, p, day, by: _latest(v, by),
    "any_of": lambda v, p, day, by: _any_of(v, p["values"]),
    "none_of": lambda v, p, day, by: not _any_of(v, p["values"]),
    "any_without": lambda v, p, day, by: _any_without(v, p["member"]),
    "every": lambda v, p, day, by: all(item is True for item in v),
    "count": lambda v, p, day, by: len(_flat(v)),
    "count_younger": lambda v, p, day, by: sum(_years_of(day)(born) < p["years"] for born in v),
    "size_is": lambda v, p, day, by: len(_flat(v)) == p["value"],
    "all_empty": lambda v, p, day, by: not _flat(v),
}

DATE_RULES: Final = frozenset({"age_at_least", "year_age_at_least", "age", "year", "not_after_today", "count_younger"})
"""The rules whose sources are dates."""

PARAMETERS: Final[Mapping[str, tuple[str, type]]] = {
    "age_at_least": ("years", int),
    "year_age_at_least": ("years", int),
    "at_least": ("value", int),
    "latest": ("by", str),
    "any_of": ("values", list),
    "none_of": ("values", list),
    "any_without": ("member", str),
    "count_younger": ("years", int),
    "size_is": ("value", int),
}
"""The one parameter a rule needs, and its type; the others need none."""


def derive(derivation: Derivation, claims: JsonObject, today: date) -> Json:
    """Return the value of a derived claim, None if it is to be left out.

    Args:
        derivation: any rule but ``agency``.
        claims: what is known already, of the declared types.
        today: the day of signing in Asia/Seoul.
    """
    values = [value for path in derivation.sources for value in select(claims, path)]
    by = list(select(claims, derivation.parameters["by"])) if "by" in derivation.parameters else []
    return RULES[derivation.rule](values, derivation.parameters, today, by)


@dataclass(frozen=True, slots=True)
class SigningPlan:
    """How a record of one type becomes the claims to sign: what is computed, and the members at each level in order."""

    computed: tuple[tuple[ClaimsPath, Derivation], ...]
    members: Mapping[ClaimsPath, tuple[str, ...]]


def plan_signing(claims: Sequence["Claim"], *, also: Collection[ClaimsPath] = ()) -> SigningPlan:
    """Return the plan of a type's claims; ``also`` are those with ``default_issue = false`` that were turned on."""
    computed = tuple(
        (claim.path, claim.derived)
        for claim in claims
        if claim.computed and claim.derived is not None and None not in claim.path
    )
    withheld = {claim.path for claim in claims if not claim.default_issue and claim.path not in also}
    members: dict[ClaimsPath, tuple[str, ...]] = {}
    for path in [claim.path for claim in claims if claim.path not in withheld]:
        if isinstance(path[-1], str):
            members[path[:-1]] = (*members.get(path[:-1], ()), path[-1])
    return SigningPlan(computed, members)


def prepare_claims(plan: SigningPlan, record: JsonObject, *, today: date) -> JsonObject:
    """Return the claims to sign; see ``CredentialType.prepare_claims``."""
    known = dict(record)
    for path, derivation in plan.computed:
        value = derive(derivation, known, today)
        if value is not None:
            _put(known, path, value)
    return _ordered(known, (), plan.members)


def _put(target: JsonObject, path: ClaimsPath, value: Json) -> None:
    name = str(path[0])
    if len(path) == 1:
        target[name] = value
        return
    inner = target.get(name)
    target[name] = inner = dict(inner) if isinstance(inner, dict) else {}
    _put(inner, path[1:], value)


def _ordered(value: JsonObject, prefix: ClaimsPath, members: Mapping[ClaimsPath, tuple[str, ...]]) -> JsonObject:
    """Return ``value`` with only the members that were asked for, in their order, at every level."""
    return {
        name: _deep(value[name], (*prefix, name), members) if isinstance(value[name], dict | list) else value[name]
        for name in members.get(prefix, ())
        if name in value
    }


def _deep(value: Json, prefix: ClaimsPath, members: Mapping[ClaimsPath, tuple[str, ...]]) -> Json:
    if isinstance(value, dict):
        return _ordered(value, prefix, members)
    if isinstance(value, list):
        return [_deep(element, (*prefix, None), members) for element in value]
    return value
