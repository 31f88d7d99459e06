"""Which Python `make` takes for its environment."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

A_PYTHON = """#!/bin/sh
case "$*" in
  --version) echo Python of {name} ;;
  *version_info*) exit {too_old} ;;
  *CONFIG_ARGS*) exit {built_slow} ;;
  *) exit 1 ;;
esac
"""


def made_with(folder: Path, pythons: dict[str, tuple[int, int]], python: str = "") -> str:
    """Return what the bootstrap says with these Pythons (too old, built slow) first on the path; none makes a venv."""
    shutil.copytree(ROOT / "tools", folder / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "requirements").mkdir()
    (folder / "requirements" / "run.txt").touch()
    (folder / "pyproject.toml").touch()
    for name, (too_old, built_slow) in pythons.items():
        program = folder / name
        program.write_text(A_PYTHON.format(name=name, too_old=too_old, built_slow=built_slow))
        program.chmod(0o755)
    ran = subprocess.run(
        ["/bin/sh", str(folder / "tools" / "bootstrap.sh"), "run"],
        env={"PATH": f"{folder}:/usr/bin:/bin", "PYTHON": python},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    return ran.stderr


@pytest.mark.parametrize(
    ("pythons", "python", "taken"),
    [
        ({"python3": (0, 0), "python3.12": (0, 0)}, "", "python3"),
        ({"python3": (0, 1), "python3.12": (0, 0)}, "", "python3.12"),
        ({"python3": (1, 0), "python3.12": (0, 0)}, "", "python3.12"),
        ({"python3": (0, 0), "python3.12": (0, 1)}, "python3.12", "python3.12"),
    ],
    ids=["the first", "the first built fast", "the first new enough", "the one asked for"],
)
def test_environment_is_made_with(tmp_path: Path, pythons: dict[str, tuple[int, int]], python: str, taken: str) -> None:
    said = made_with(tmp_path, pythons, python)
    assert said.startswith(f"Making .venv with Python of {taken}, {tmp_path}/{taken} ...")
    assert "apt-get install python3-venv" in said


def test_python_that_was_asked_for_and_will_not_do_is_refused(tmp_path: Path) -> None:
    said = made_with(tmp_path, {"python3": (0, 0), "python3.12": (1, 0)}, "python3.12")
    assert said == "PYTHON=python3.12 is not Python 3.11 or newer.\n"
