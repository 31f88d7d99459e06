"""The lock files name packages and hashes, never a place: they must serve behind anybody's mirror."""

import json
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
NPM_LOCK = ROOT / "tests" / "interop" / "programs" / "package-lock.json"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_file_names_no_address_and_no_path(lock: Path) -> None:
    for number, line in enumerate(lock.read_text().splitlines(), 1):
        assert "://" not in line, f"{lock.name}:{number}"
        assert not re.search(r"(^|[\s=@])(/|[A-Za-z]:\\|~/)", line.partition("#")[0]), f"{lock.name}:{number}"
        assert not line.startswith("-"), f"{lock.name}:{number}: an option of pip"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_is_pinned_with_hashes(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", re.sub(r"(?m)^#.*\n", "", lock.read_text()))
    for entry in entries:
        assert re.match(r"[\w.-]+(\[[\w,-]+\])?==\S+ ", entry), entry[:60]
        assert "--hash=sha256:" in entry, entry[:60]


def test_the_locks_cover_every_direct_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    of_servers = [*extras["postgres"], *extras["hsm"]]
    locked = {"run": [], "server": of_servers, "dev": [*extras["dev"], *of_servers]}
    for lock, wanted in locked.items():
        text = (ROOT / "requirements" / f"{lock}.txt").read_text()
        for requirement in (*project["dependencies"], *wanted):
            name = re.split(r"[\[>=<]", requirement)[0]
            assert re.search(rf"(?m)^{re.escape(name)}(\[[^\]]*\])?==", text), f"{name} in {lock}"
    # Every extra has a lock, or says in pyproject.toml what it waits for.
    assert extras.keys() == {"postgres", "hsm", "dev", "documents"}


def test_our_locks_agree() -> None:
    # Not interop.txt: it is an environment of its own, because its packages want other versions.
    ours = [lock for lock in LOCKS if lock.name in {"run.txt", "dev.txt", "server.txt"}]
    pins = [dict(re.findall(r"(?m)^([\w.-]+)(?:\[[^\]]*\])?==(\S+)", lock.read_text())) for lock in ours]
    assert len(pins) == 3
    for name in set.union(*map(set, pins)):
        assert len({pin[name] for pin in pins if name in pin}) == 1, name


def test_the_lock_of_npm_s_packages_names_hashes_and_no_address() -> None:
    text = NPM_LOCK.read_text()
    assert "://" not in text
    packages = json.loads(text)["packages"]
    direct = json.loads(NPM_LOCK.with_name("package.json").read_text())["dependencies"]
    assert packages[""]["dependencies"] == direct
    # One version each: what the tests say of a package holds for that one.
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in direct.values())
    for name, entry in packages.items():
        assert not name or entry["integrity"].startswith("sha512-"), name
        # A script of a package would run when it is installed.
        assert not entry.get("hasInstallScript"), name
