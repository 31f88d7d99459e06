"""What the repository must not hold: addresses of one machine, registries, things that are made."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FORBIDDEN = re.compile(r"(?<![\w.])/(?:work|home|root|Users)/[\w.-]+/|files\.pythonhosted|pypi\.org/simple")
TEXT = {".py", ".md", ".toml", ".txt", ".html", ".css", ".js", ".json", ".csv", ".sh", ""}


def _tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_tracked_file_names_a_place_on_somebody_s_machine() -> None:
    here = Path(__file__)
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in _tracked()
        if path.suffix in TEXT and path != here and "vectors/data" not in path.as_posix()
        for match in [FORBIDDEN.search(path.read_text(encoding="utf-8", errors="replace"))]
        if match
    ]
    assert found == []


def test_nothing_that_is_made_is_tracked() -> None:
    names = {part for path in _tracked() for part in path.relative_to(ROOT).parts}
    assert not names & {".venv", "__pycache__", ".demo", "node_modules", "dist", "bench.json"}
    assert not [
        path
        for path in _tracked()
        if path.suffix in {".pyc", ".db", ".sqlite", ".whl", ".pem"} and "vectors" not in str(path)
    ]
