"""The second environment, in which other people's packages run as programs."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import lacking

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"

Peer = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def peer() -> Peer:
    """A function that hands tasks to the program and returns its answers."""
    python = ROOT / ".venv-interop" / "bin" / "python"
    if not python.exists():
        lacking("interop", "the second environment is not there (make venv-interop)")

    def ask(*tasks: dict[str, Any]) -> list[dict[str, Any]]:
        done = subprocess.run(
            [python, PROGRAMS / "mdoc_and_cose.py"],
            input=json.dumps(tasks),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers

    return ask
