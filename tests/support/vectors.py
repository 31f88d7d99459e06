"""Published test vectors, and the manifest that accounts for each of their files."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[1] / "vectors"
DATA = FOLDER / "data"
SHARED_FILES = FOLDER / "shared_files.txt"
MANIFEST: dict[str, dict[str, dict[str, Any]]] = tomllib.loads((FOLDER / "manifest.toml").read_text())


def load(folder: str, name: str) -> Any:
    """Return the contents of one vector file."""
    return json.loads((DATA / folder / name).read_text())


def cases(folder: str, name: str, member: str, identifier: str = "id") -> list[Any]:
    """Return every case of a file as a pytest parameter, but those the manifest gives a reason for."""
    left_out = MANIFEST[folder][name].get("not_run", {})
    found = load(folder, name)[member]
    unknown = set(left_out) - {case[identifier] for case in found}
    if unknown:
        pytest.fail(f"manifest.toml leaves out cases of {folder}/{name} that do not exist: {sorted(unknown)}")
    return [pytest.param(case, id=case[identifier]) for case in found if case[identifier] not in left_out]
