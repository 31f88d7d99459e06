"""DCQL by the vectors of others: which queries are valid, what matches them, what satisfies them."""

from typing import Any

import pytest

from tests.support.vectors import cases, load
from wallet_core.errors import InvalidRequest, QueryNotSatisfied
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query, validate_own_query
from wallet_core.protocols.openid4vp.matching import Candidate, SetMatch, approve, match
from wallet_core.protocols.openid4vp.validation_claims import validate_claims

BOTH = ("dc+sd-jwt", "mso_mdoc")


def with_meta(query: dict[str, Any], credentials: list[dict[str, Any]]) -> dict[str, Any]:
    """Some sources leave out ``meta``, which 1.0 requires: then any type is meant."""
    types = {one.get("vct") or one.get("doctype") or "none" for one in credentials} or {"none"}
    for entry in query["credentials"]:
        if entry.get("format") == "dc+sd-jwt" and "vct_values" not in entry.get("meta", {}):
            entry["meta"] = {"vct_values": sorted(types)}
        if entry.get("format") == "mso_mdoc" and "doctype_value" not in entry.get("meta", {}):
            entry["meta"] = {"doctype_value": next(iter(c["doctype"] for c in credentials if "doctype" in c), "none")}
    return query


def candidate(one: dict[str, Any]) -> Candidate:
    authority = one.get("authority", {})
    return Candidate(
        id=one["id"],
        format=one["format"],
        type=one.get("vct") or one.get("doctype") or "",
        claims=one.get("claims") or one.get("namespaces") or {},
        holder_bound=one.get("cryptographic_holder_binding", True),
        authorities=frozenset((authority.get("type", ""), value) for value in authority.get("values", [])),
    )


@pytest.mark.parametrize("case", cases("dcql", "query_validation.json", "cases"))
def test_query_validation(case: dict[str, Any]) -> None:
    if case["kind"] != "syntax":
        with_meta(case["query"], [])
    if case["expect"] == "accept":
        validate_own_query(parse_dcql_query(case["query"]), formats=BOTH)
    else:
        with pytest.raises(InvalidRequest):
            validate_own_query(parse_dcql_query(case["query"]), formats=BOTH)


@pytest.mark.parametrize("case", cases("dcql", "matching.json", "cases"))
def test_matching(case: dict[str, Any]) -> None:
    query = parse_dcql_query(with_meta(case["query"], case["credentials"]))
    matches = match(query, [candidate(one) for one in case["credentials"]])
    expected = case["expected"]
    assert matches.satisfiable is expected["satisfiable"]
    found = {query_id: sorted(m.candidate.id for m in some) for query_id, some in matches.by_query.items()}
    if "matches_per_query" in expected:
        assert found == {query_id: sorted(ids) for query_id, ids in expected["matches_per_query"].items()}
    if expected["satisfiable"]:
        assert approve(matches).credentials
    else:
        with pytest.raises(QueryNotSatisfied):
            approve(matches)


@pytest.mark.parametrize(
    "case",
    [case for case in cases("dcql", "matching.json", "cases") if "credential_sets" in case.values[0]["expected"]],
)
def test_matching_credential_sets(case: dict[str, Any]) -> None:
    query = parse_dcql_query(with_meta(case["query"], case["credentials"]))
    matches = match(query, [candidate(one) for one in case["credentials"]])
    # Without credential_sets the source lists each credential as a set of its own; 6.4.2 requires all of them.
    sets = (
        matches.sets
        if "credential_sets" in case["query"]
        else [SetMatch(((entry.id,),), required=True) for entry in query.credentials]
    )
    ours = [
        (
            one.required,
            [
                [
                    sorted(
                        (m.candidate.id, sorted(map(str, m.options[0].selected))) for m in matches.by_query[query_id]
                    )
                    for query_id in option
                ]
                for option in one.options
            ],
        )
        for one in sets
        if one.options
    ]
    theirs = [
        (
            one["required"],
            [
                [
                    sorted((m["credential"], sorted(str(tuple(path)) for path in m["claims"])) for m in member)
                    for member in option
                ]
                for option in one["options"]
            ],
        )
        for one in case["expected"]["credential_sets"]
    ]
    assert ours == theirs


@pytest.mark.parametrize("case", cases("dcql", "presentation_checks.json", "cases"))
def test_presentation_check(case: dict[str, Any]) -> None:
    presented = case["presentation"]
    everything = [one for several in presented.values() for one in several]
    query = parse_dcql_query(with_meta(case["query"], everything))
    # One element of nationalities was withheld there: the source compares without regard to the index.
    gaps = {("nationalities",): (1,)} if "specific_array_index" in case["id"] else {}
    satisfied = query.is_satisfied_by(presented)
    for query_id, several in presented.items():
        entry = query.credential(query_id)
        assert entry is not None
        for one in several:
            try:
                satisfied &= one["format"] == entry.format and one.get("vct") in entry.types
                validate_claims(entry, one.get("claims", {}), gaps)
            except QueryNotSatisfied:
                satisfied = False
    assert satisfied is case["expected"]["satisfied"]


@pytest.mark.parametrize("name", load("openid4vp", "dcql_queries.json")["queries"])
def test_query_of_the_specification(name: str) -> None:
    source = load("openid4vp", "dcql_queries.json")["queries"][name]
    query = parse_dcql_query(source)
    validate_own_query(query, formats=BOTH)
    assert [entry.id for entry in query.credentials] == [entry["id"] for entry in source["credentials"]]
