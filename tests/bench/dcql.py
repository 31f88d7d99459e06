"""Matching a query against everything a wallet holds. The unit is a tenth of what is asked: ten signatures."""

from collections.abc import Iterator

from tests.bench.cases import CLAIMS, HELD, PATHS
from tests.bench.measure import Case, Row, measure
from wallet_core import spec_versions as spec
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.matching import Candidate, Holdings, approve, index_candidates, match

HELD_CREDENTIALS = 1000
TYPES = 25
"""Types that a person holds, each in one of two formats; so 40 credentials of each."""

SIGNATURES = 10
"""Signatures in the time of which a query is to be matched."""

NAMESPACE = "org.example"


def _candidate(number: int) -> Candidate:
    type_ = f"urn:example:type:{number % TYPES}"
    if number % TYPES % 5:
        return Candidate(str(number), spec.FORMAT_SD_JWT_VC, type_, {**CLAIMS, "vct": type_}, frozenset(PATHS))
    elements = {NAMESPACE: dict(CLAIMS)}
    return Candidate(str(number), spec.FORMAT_MDOC, type_, elements, frozenset((NAMESPACE, name) for name in CLAIMS))


def holdings() -> Holdings:
    """Return 1,000 credentials with 10 claims each, as a wallet keeps them ready."""
    return index_candidates(map(_candidate, range(HELD_CREDENTIALS)))


# Two credentials in one consent, one in each format: three claims of one, two of the other, one with a value.
QUERY = parse_dcql_query(
    {
        "credentials": [
            {
                "id": "licence",
                "format": spec.FORMAT_SD_JWT_VC,
                "meta": {"vct_values": ["urn:example:type:1"]},
                "claims": [
                    {"path": ["family_name"]},
                    {"path": ["given_name"]},
                    {"path": ["age_over_19"], "values": [True]},
                ],
            },
            {
                "id": "mdl",
                "format": spec.FORMAT_MDOC,
                "meta": {"doctype_value": "urn:example:type:5"},
                "claims": [{"path": [NAMESPACE, "family_name"]}, {"path": [NAMESPACE, "address"]}],
            },
        ]
    }
)
ALL = holdings()


def rows(only: str, rounds: int) -> Iterator[Row]:
    """Measure the row if it is asked for."""
    name = f"DCQL: match {HELD_CREDENTIALS:,} held credentials, against {SIGNATURES} signatures"
    if only not in name:
        return
    found = match(QUERY, ALL)
    if len(approve(found).credentials) != len(QUERY.credentials) or HELD.claims["age_over_19"] is not True:
        raise RuntimeError("the query is not answered")
    case = Case(name, "s", lambda: match(QUERY, ALL), floor=1.0)
    yield measure(case, rounds, times=SIGNATURES)
