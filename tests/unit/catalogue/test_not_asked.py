"""What a policy says it does not ask, it does not ask: of no card and in no format."""

from typing import Any

import pytest

from wallet_core.adapters.config import load_catalogue
from wallet_core.catalogue import Policy

POLICIES = load_catalogue().policies


def asked_names(policy: Policy) -> set[str]:
    """Every name on the way to an asked claim, whatever the card."""
    query: Any = policy.dcql_query
    return {str(step) for entry in query["credentials"] for claim in entry["claims"] for step in claim["path"]}


@pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)
def test_nothing_that_is_asked_is_said_not_to_be(policy: Policy) -> None:
    shown = {(text.ko, text.en) for text in (ask.label for ask in policy.asks)}
    for line in policy.not_asked:
        assert (line.label.ko, line.label.en) not in shown
        assert not {str(step) for step in line.path} <= asked_names(policy), line
