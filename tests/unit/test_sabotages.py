"""What the story's tests take out of the servers still stands there: known at once, not after minutes."""

import pytest

from tests.e2e.test_story import SABOTAGES
from tests.support.demo_program import Sabotage
from tools.clauses import ROOT


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda each: f"{each.step}-{each.clause}")
def test_the_line_to_take_out_is_there(sabotage: Sabotage) -> None:
    file, text = sabotage.broken()
    assert text != (ROOT / file).read_text()
