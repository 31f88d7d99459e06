"""The bench can run: nobody looks at it for weeks, and then it must."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.cases import CASES
from tests.bench.measure import Case, measure

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_runs(case: Case) -> None:
    case.run()


def test_a_row() -> None:
    row = measure(CASES[0], rounds=1)
    assert row.ratio > 0
    assert row.lowest <= row.ratio <= row.highest
    assert json.loads(json.dumps(row.to_json()))["unit"] == "s"


def test_the_program(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    command = [sys.executable, "-m", "tests.bench", "--only", "stored", "--rounds", "1", "--json", str(output)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert "present 3 of 10, stored and indexed" in finished.stdout
    assert [row["floor"] for row in json.loads(output.read_text())["rows"]] == [0.5]
