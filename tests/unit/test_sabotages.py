"""What the story's tests take out of the servers still stands there, and no check is left in: known at once."""

import re
from collections.abc import Callable

import pytest

from holder_app.issuance.verification import verify_sd_jwt_vc
from tests.e2e.test_story import SABOTAGES
from tests.support.demo_program import Sabotage
from tools.clauses import ROOT
from wallet_core.protocols.openid4vp.checks import CheckStep
from wallet_core.protocols.openid4vp.request_object import verify_request_object

NUMBERED = re.compile(r"^ +([0-9]+)\. ", re.MULTILINE)
"""A step in a docstring."""


def numbered(function: Callable[..., object], name: str) -> set[str]:
    """Return the steps of a verification by the name and number that a sabotage calls them."""
    return {f"{name} {number}" for number in NUMBERED.findall(function.__doc__ or "")}


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda each: f"{each.app}-{each.step}-{each.clause}")
def test_the_line_to_take_out_is_there(sabotage: Sabotage) -> None:
    file, text = sabotage.broken()
    assert text != (ROOT / file).read_text()


def test_every_check_is_taken_out() -> None:
    requests, cards = numbered(verify_request_object, "request"), numbered(verify_sd_jwt_vc, "card")
    assert len(requests) == 8
    assert len(cards) == 6
    assert {each.check for each in SABOTAGES if each.check} == {
        f"answer {step:d}" for step in CheckStep
    } | requests | cards
