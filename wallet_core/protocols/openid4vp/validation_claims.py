"""Whether presented claims answer a Credential Query (OpenID4VP 1.0 sections 6.4.1 and 7)."""

from collections.abc import Iterable, Mapping, Sequence

from wallet_core.encoding.claims_path import ConcretePath, resolve, value_at
from wallet_core.errors import MalformedError, QueryNotSatisfied
from wallet_core.protocols.openid4vp.checks import CheckStep
from wallet_core.protocols.openid4vp.dcql import ClaimsQuery, CredentialQuery
from wallet_core.protocols.openid4vp.matching import value_matches
from wallet_core.types import ClaimsPath, Json, JsonObject


def validate_claims(
    query: CredentialQuery, claims: JsonObject, gaps: Mapping[ConcretePath, Sequence[int]]
) -> tuple[ConcretePath, ...]:
    """Return the elements of presented ``claims`` that answer ``query`` (check 9 for one presentation).

    Raises:
        QueryNotSatisfied: no claim set is there whole, or a value is not one that was asked for.
    """
    return validate_found(query, claims, find_claims([query], claims, gaps))


def find_claims(
    queries: Iterable[CredentialQuery], claims: JsonObject, gaps: Mapping[ConcretePath, Sequence[int]]
) -> dict[int, tuple[ConcretePath, ...]]:
    """Return what of presented ``claims`` is at the path of each Claims Query of ``queries``, by its identity.

    Its identity, for claim_sets hold the very same queries, and hashing them is dearer than resolving their paths.
    """
    return {id(claim): presented_paths(claims, claim.path, gaps) for query in queries for claim in query.claims}


def validate_found(
    query: CredentialQuery, claims: JsonObject, found: Mapping[int, tuple[ConcretePath, ...]]
) -> tuple[ConcretePath, ...]:
    """Do what :func:`validate_claims` does, with what :func:`find_claims` found."""
    answers = {
        id(claim): found[id(claim)] if claim.values is None else _accepted(claim, found[id(claim)], claims)
        for claim in query.claims
    }
    missing = {claim for claim, paths in answers.items() if not paths}
    # 6.4.1, 14.9: the Verifier "MUST NOT rely on the Wallet to enforce these constraints".
    # dcql-6.4.1-checked
    if missing and query.claim_sets and not any(missing.isdisjoint(map(id, option)) for option in query.claim_sets):
        raise QueryNotSatisfied(
            "a claim that was asked for is missing or has another value",
            step=CheckStep.QUERY_ANSWERED,
            clause="OpenID4VP 6.4.1",
        )
    return tuple(dict.fromkeys([path for paths in answers.values() for path in paths]))


def values_by_id(
    query: CredentialQuery, claims: JsonObject, found: Mapping[int, tuple[ConcretePath, ...]]
) -> dict[str, tuple[Json, ...]]:
    """Return what answers each Claims Query of ``query`` that has an id, of what :func:`find_claims` found.

    Of the claims as they were presented: once they are projected, an index no longer counts what was signed.
    """
    return {
        claim.id: tuple(value_at(claims, path) for path in _accepted(claim, found[id(claim)], claims))
        for claim in query.claims
        if claim.id
    }


def presented_paths(
    claims: JsonObject, path: ClaimsPath, gaps: Mapping[ConcretePath, Sequence[int]]
) -> tuple[ConcretePath, ...]:
    """Return the elements of presented ``claims`` that a Claims Path Pointer selects; empty if none.

    Withheld array elements leave no hole, so an index of the query is compared with the index that the element had in
    the signed credential, which ``gaps`` tells.
    """
    # Most paths are one name.
    if len(path) == 1 and isinstance(name := path[0], str):
        return ((name,),) if name in claims else ()
    try:
        if not gaps or not any(isinstance(part, int) for part in path):
            return resolve(claims, path)
        found = resolve(claims, tuple(None if isinstance(part, int) else part for part in path))
    except MalformedError:
        return ()
    return tuple(concrete for concrete in found if _at_asked_indices(concrete, path, gaps))


def _at_asked_indices(concrete: ConcretePath, path: ClaimsPath, gaps: Mapping[ConcretePath, Sequence[int]]) -> bool:
    for position, asked in enumerate(path):
        index = concrete[position]
        if isinstance(asked, int) and isinstance(index, int):
            signed = gaps.get(concrete[:position])
            if (signed[index] if signed is not None else index) != asked:
                return False
    return True


def _accepted(claim: ClaimsQuery, paths: Sequence[ConcretePath], claims: JsonObject) -> tuple[ConcretePath, ...]:
    return tuple(path for path in paths if value_matches(claim, value_at(claims, path)))


def project(value: JsonObject, paths: Sequence[ConcretePath]) -> JsonObject:
    """Return only the elements of ``value`` at ``paths``, and what they hang from."""
    picked = _pick(value, paths)
    return picked if isinstance(picked, dict) else {}


def _pick(value: Json, paths: Sequence[ConcretePath]) -> Json:
    if () in paths:
        return value
    tails: dict[str | int, list[ConcretePath]] = {}
    for path in paths:
        tails.setdefault(path[0], []).append(path[1:])
    if isinstance(value, dict):
        return {
            name: element if () in tails[name] else _pick(element, tails[name])
            for name, element in value.items()
            if name in tails
        }
    if isinstance(value, list):
        return [_pick(element, tails[index]) for index, element in enumerate(value) if index in tails]
    return {}
