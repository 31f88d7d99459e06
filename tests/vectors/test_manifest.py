"""The manifest accounts for every vector file: it runs, or it says why not and in which issue it will."""

import ast
from pathlib import Path

import pytest

from tests.support import vectors

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared" / "vectors"
ABOUT = {"README.md", "SOURCE.md"}

FILES = [(folder, name, entry) for folder, files in vectors.MANIFEST.items() for name, entry in files.items()]


def relative_files(root: Path) -> set[tuple[str, str]]:
    paths = [path.relative_to(root) for path in root.rglob("*") if path.is_file() and path.name not in ABOUT]
    return {(path.parts[0], path.relative_to(path.parts[0]).as_posix()) for path in paths}


def test_every_shared_file_is_listed() -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared vectors are not beside this repository")
    listed = {(folder, name) for folder, name, _ in FILES}
    assert relative_files(SHARED) - listed == set()
    assert listed - relative_files(SHARED) == set()


@pytest.mark.parametrize(("folder", "name", "entry"), FILES, ids=[f"{folder}/{name}" for folder, name, _ in FILES])
def test_an_entry_is_complete(folder: str, name: str, entry: dict) -> None:
    assert entry["status"] in {"runs", "later", "not supported"}
    if entry["status"] == "runs":
        assert entry["tests"], "a file that runs names its tests"
        assert all(reason.strip() for reason in entry.get("not_run", {}).values())
    else:
        assert entry["why"].strip()
        assert entry["status"] == "not supported" or entry["issue"] != 2


@pytest.mark.parametrize("test", sorted({test for _, _, entry in FILES for test in entry.get("tests", ())}))
def test_a_listed_test_exists(test: str) -> None:
    path, _, function = test.partition("::")
    tree = ast.parse((REPOSITORY / path).read_text())
    assert function in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_a_copied_file_is_listed_as_running_and_has_its_source() -> None:
    running = {(folder, name) for folder, name, entry in FILES if entry["status"] == "runs"}
    copied = relative_files(vectors.DATA)
    assert copied - running == set()
    assert all((vectors.DATA / folder / "SOURCE.md").is_file() for folder, _ in copied)


def test_a_copied_file_equals_the_shared_one() -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared vectors are not beside this repository")
    changed = [
        path
        for path in vectors.DATA.rglob("*")
        if path.is_file() and path.read_bytes() != (SHARED / path.relative_to(vectors.DATA)).read_bytes()
    ]
    assert changed == []
