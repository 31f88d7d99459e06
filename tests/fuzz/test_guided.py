"""The guided engine sees bugs, a short run of it finds none, and what it ever found stays mended."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.guided import CASES, FOUND, MAX_CPU_SECONDS, NO_ENGINE, chosen, cpu_time, load_engine, main
from tests.fuzz.guided_targets import SHORT, TARGETS, Choices
from tests.support.planted_bugs import TARGETS as PLANTED

ROOT = Path(__file__).parents[2]

HAS_WHEELS = (
    sys.platform == "linux"
    and platform.machine() == "x86_64"
    and sys.implementation.name == "cpython"
    and sys.version_info < (3, 14)
)
"""The marker of pyproject.toml."""


@pytest.fixture
def engine() -> None:
    """Need atheris: in CI it must be there where it can be had."""
    if load_engine() is None:
        reason = "atheris is not installed; it has wheels for CPython 3.11 to 3.13 on Linux, x86-64"
        if HAS_WHEELS and os.environ.get("CI"):  # noqa: TID251
            pytest.fail(reason)
        pytest.skip(reason)


def guided(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz.guided", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)


# The library warns of odd certificates where it does not refuse them; a warning is no exception in production.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_what_was_found_stays_mended(subtests: pytest.Subtests) -> None:
    for case in sorted(CASES.glob("*/*")):
        with subtests.test(case=str(case.relative_to(CASES))):
            target, data = TARGETS[case.parent.name], case.read_bytes()
            assert min(cpu_time(target, data) for _ in range(2)) < MAX_CPU_SECONDS


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@pytest.mark.parametrize("name", TARGETS)
def test_every_seed_runs(name: str) -> None:
    for seed in TARGETS[name].seeds:
        TARGETS[name].run(seed)


@pytest.mark.usefixtures("engine")
def test_planted_bugs_are_found_and_kept(tmp_path: Path) -> None:
    run = guided("--module", "tests.support.planted_bugs", "--short", "--seconds", "12", "--cases", str(tmp_path))
    assert run.returncode == FOUND, run.stdout + run.stderr
    assert sorted(path.parent.name for path in tmp_path.glob("*/*")) == ["slow", "wrong_error"]
    (case,) = (tmp_path / "wrong_error").iterdir()
    assert f"target wrong_error, kept as {case}" in run.stdout
    assert repr(case.read_bytes()) in run.stdout
    assert "KeyError" in run.stdout
    with pytest.raises(KeyError):
        PLANTED["wrong_error"].run(case.read_bytes())
    (case,) = (tmp_path / "slow").iterdir()
    assert cpu_time(PLANTED["slow"], case.read_bytes()) > MAX_CPU_SECONDS


@pytest.mark.usefixtures("engine")
def test_a_short_run_finds_nothing() -> None:
    """Eight seconds over the targets of SHORT; what it finds is kept, and fails the tests until it is mended."""
    run = guided("--short", "--seconds", "8")
    print(run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr


def test_without_the_engine_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "atheris", None)
    assert main(["--seconds", "1"]) == NO_ENGINE
    assert main(["--seconds", "1", "--if-installed"]) == 0
    assert capsys.readouterr().out.count("atheris is not installed") == 2


def test_the_targets_of_the_short_run_are_there() -> None:
    assert set(SHORT) <= set(TARGETS)


def test_targets_are_chosen_by_name_or_beginning() -> None:
    assert chosen(["a", "b.c", "b.d", "bc"], ["b."]) == ["b.c", "b.d"]
    assert chosen(["a", "b"], ["b"]) == ["b"]
    assert chosen(["a", "b"], []) == ["a", "b"]
    with pytest.raises(SystemExit, match="no such target: c"):
        chosen(["a", "b"], ["c"])


def test_bytes_can_take_the_place_of_chance() -> None:
    assert Choices(b"\x80\x00").random() == 0.5
    assert Choices(b"\x02").choice("abcd") == "c"
    assert [Choices(b"").random(), Choices(b"").randrange(9)] == [0, 0]
