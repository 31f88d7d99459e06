"""The manifest accounts for every vector file: it runs, or it says why not and in which issue it will."""

import ast
import hashlib
from pathlib import Path

import pytest

from tests.support import vectors

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared" / "vectors"
ABOUT = {"README.md", "SOURCE.md"}

FILES = [(folder, name, entry) for folder, files in vectors.MANIFEST.items() for name, entry in files.items()]
LISTED = {
    path: digest for digest, _, path in (line.partition("  ") for line in vectors.SHARED_FILES.read_text().splitlines())
}
"""SHA-256 by path, as ``sha256sum`` in the folder of the shared vectors prints them, sorted by path."""


def digests(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_every_shared_file_is_listed() -> None:
    holding_cases = {path for path in LISTED if Path(path).name not in ABOUT}
    in_manifest = {f"{folder}/{name}" for folder, name, _ in FILES}
    assert holding_cases - in_manifest == set()
    assert in_manifest - holding_cases == set()


def test_the_listing_is_of_the_shared_files() -> None:
    assert list(LISTED) == sorted(LISTED)
    if not SHARED.is_dir():
        pytest.skip("the shared vectors are not beside this repository")
    assert digests(SHARED) == LISTED


@pytest.mark.parametrize(("folder", "name", "entry"), FILES, ids=[f"{folder}/{name}" for folder, name, _ in FILES])
def test_an_entry_is_complete(folder: str, name: str, entry: dict) -> None:
    assert entry["status"] in {"runs", "later", "not supported"}
    if entry["status"] == "runs":
        assert entry["tests"], "a file that runs names its tests"
        assert all(reason.strip() for reason in entry.get("not_run", {}).values())
        return
    assert entry["why"].strip()
    if entry["status"] == "later":
        issue = entry["issue"]
        not_yet = [line.rpartition(" | ")[2] for line in (REPOSITORY / "README.md").read_text().splitlines()]
        assert isinstance(issue, int) or f"{issue} |" in not_yet, "an issue without a number has its subject's name"


@pytest.mark.parametrize("test", sorted({test for _, _, entry in FILES for test in entry.get("tests", ())}))
def test_a_listed_test_exists(test: str) -> None:
    path, _, function = test.partition("::")
    tree = ast.parse((REPOSITORY / path).read_text())
    assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_a_copied_file_is_listed_as_running_and_has_its_source() -> None:
    running = {f"{folder}/{name}" for folder, name, entry in FILES if entry["status"] == "runs"}
    copied = {path for path in digests(vectors.DATA) if Path(path).name not in ABOUT}
    assert copied - running == set()
    assert all((vectors.DATA / path.split("/")[0] / "SOURCE.md").is_file() for path in copied)


def test_a_copied_file_equals_the_shared_one() -> None:
    assert digests(vectors.DATA).items() <= LISTED.items()
