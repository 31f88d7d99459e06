"""Queries by two engines, ours and npm ``dcql``: both take the same, and the same credentials answer.

Where they differ, the text of OpenID4VP 1.0 decides, and each difference has its name here: theirs are
the ones that depart from it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from tests.interop.conftest import NodePeer
from tests.support.dcql_samples import dcql_samples
from wallet_core.encoding.claims_path import parse_claims_path, resolve, value_at
from wallet_core.errors import InvalidRequest, MalformedError
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.matching import Candidate, match

SEED, COUNT = 20_261_128, 3000

KNOWN_FORMATS = {"dc+sd-jwt", "mso_mdoc"}
KNOWN_AUTHORITIES = {"aki", "etsi_tl", "openid_federation"}

WE_REFUSE = {
    # Drafts knew no such members, or did not ask for them; 1.0 says REQUIRED.
    "meta is missing or not a JSON object": "6.1, meta",
    "meta has no vct_values": "B.3.5, vct_values",
    "doctype_value is missing, empty or not text": "B.2.3, doctype_value",
    "vct_values is missing, empty or not text": "B.3.5, 'valid type identifiers'",
    # "A non-empty array of strings, integers or boolean values."
    "values is not an array of 1 to 64 entries": "6.3, values",
    "values holds something else than strings, integers and booleans": "6.3, the empty text, as OpenID's suite has it",
    # "a non-empty array of identifiers"
    "options holds something else than arrays of identifiers": "6.2, options",
    "id of a Claims Query occurs twice": "6.3, id",
    "claim_sets is there, but a claim has no id": "6.3, id",
    "the path of an mdoc claim is not namespace and element": "7.2.1",
    "a value of trusted_authorities is missing, empty or not text": "6.1.1, values",
}
"""Queries that their engine takes, by our reason: what the text says."""


def _candidate(number: int, one: Mapping[str, Any]) -> Candidate:
    mdoc = one["credential_format"] == "mso_mdoc"
    authority = one.get("authority", {"type": "", "values": []})
    return Candidate(
        id=str(number),
        format=one["credential_format"],
        type=one["doctype" if mdoc else "vct"],
        claims=one["namespaces" if mdoc else "claims"],
        holder_bound=one["cryptographic_holder_binding"],
        authorities=frozenset((authority["type"], value) for value in authority["values"]),
    )


def _ours(sample: Mapping[str, Any]) -> dict[str, Any]:
    try:
        query = parse_dcql_query(sample["query"])
    except InvalidRequest as exc:
        return {"ok": False, "why": exc.description}
    found = match(query, [_candidate(number, one) for number, one in enumerate(sample["credentials"])])
    by_query = {str(name): [int(each.candidate.id) for each in hits] for name, hits in found.by_query.items()}
    optional = not any(one.required for one in query.credential_sets)
    return {"ok": True, "satisfied": found.satisfiable, "matches": by_query, "optional": optional}


def _differences(sample: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    if not ours["ok"] or not theirs["ok"]:
        if ours["ok"] is not theirs["ok"]:
            yield _refusal(sample["query"], ours, theirs)
        return
    for credential in sample["query"]["credentials"]:
        name = credential["id"]
        for number in {*ours["matches"][name]} ^ {*theirs["matches"][name]}:
            claims = sample["credentials"][number].get("claims", {})
            yield _reason(credential, claims, theirs_only=number in theirs["matches"][name])
    if ours["matches"] == theirs["matches"] and ours["satisfied"] is not theirs["satisfied"]:
        # 8.5: where everything is optional and nothing is there, a wallet has nothing to send.
        yield (
            "nothing required, nothing there" if ours["optional"] and theirs["satisfied"] else "unexplained: satisfied"
        )


def _refusal(query: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    if theirs["ok"]:
        return f"we refuse: {WE_REFUSE.get(ours['why'], 'unexplained: ' + ours['why'])}"
    # 6.1, 6.1.1: what a wallet does not know, or cannot read, matches nothing; the query is none the worse for it.
    unknown = any(one["format"] not in KNOWN_FORMATS or _names_a_strange_authority(one) for one in query["credentials"])
    return "they refuse what is unknown to them" if unknown else f"unexplained: {theirs['why']}"


def _names_a_strange_authority(credential: Mapping[str, Any]) -> bool:
    return any(one["type"] not in KNOWN_AUTHORITIES for one in credential.get("trusted_authorities", []))


def _reason(credential: Mapping[str, Any], claims: Any, *, theirs_only: bool) -> str:
    """Why one credential answers for one engine alone."""
    for claim in credential.get("claims", []):
        try:
            found = resolve(claims, parse_claims_path(claim["path"]))
        except MalformedError:
            # 7.1.1: one selected element of the wrong type ends it; theirs passes it over.
            if theirs_only:
                return "they pass elements of the wrong type over"
            continue
        if theirs_only and not found:
            # 7.1.1, step 3: nothing selected is an error; theirs takes an empty array for it.
            return "they find all elements of an empty array"
        # 7.1: null is a value.
        if not theirs_only and found and all(value_at(claims, path) is None for path in found):
            return "they take null for absent"
    return "unexplained: match"


def test_the_same_queries_are_taken_and_the_same_credentials_answer(node: NodePeer) -> None:
    samples = list(dcql_samples(SEED, COUNT))
    answers = node("dcql", *({"task": "query", **sample} for sample in samples))
    seen: Counter[str] = Counter()
    for sample, theirs in zip(samples, answers, strict=True):
        ours = _ours(sample)
        kinds = list(_differences(sample, ours, theirs))
        assert not [kind for kind in kinds if "unexplained" in kind], (kinds, json.dumps(sample), ours, theirs)
        seen.update(kinds or ["agreed: refused" if not ours["ok"] else f"agreed: {ours['satisfied']}"])
    # A comparison of nothing but refusals would show little.
    assert seen["agreed: True"] > COUNT // 25
    assert sum(number for kind, number in seen.items() if kind.startswith("agreed")) > COUNT * 0.9, seen
