"""Claims Path Pointers: the examples of OpenID4VP 7.3 and cases of an independent engine."""

from typing import Any

import pytest

from tests.support import vectors
from wallet_core.encoding.claims_path import parse_claims_path, resolve, value_at
from wallet_core.errors import MalformedError


def select(case: dict[str, Any]) -> list[Any]:
    path = parse_claims_path(case["claim_query"]["path"])
    try:
        return [value_at(case["data"], concrete) for concrete in resolve(case["data"], path)]
    except MalformedError:
        # 7.1.1: a type conflict is an error for the claims query, which then matches nothing.
        return []


@pytest.mark.parametrize("case", vectors.cases("dcql", "claims_path.json", "cases"))
def test_claims_path(case: dict[str, Any]) -> None:
    if case["expected"].get("query") == "invalid":
        with pytest.raises(MalformedError):
            parse_claims_path(case["claim_query"]["path"])
        return
    selected = select(case)
    assert selected == case["selected_values"]
    # 6.3: `values` restricts the match to what equals one of them; matching itself has its own vectors.
    matching = [value for value in selected if value in case["claim_query"].get("values", selected)]
    assert bool(matching) is case["expected"]["matches"]
