"""``make mutate``: take enforcing statements out, and see whether the tests of their clauses notice.

Works in copies of the tree in a temporary folder; the tree itself is not touched. Exit status 1 if a test stayed green.
"""

import argparse
import itertools
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.clauses import ROOT, Mark, marks, shown_by
from tools.mutations import Mutation, mutations

LIMIT: Final = 180
"""Seconds for the tests of one clause; who takes longer has noticed."""

# Only what these tests use: loading every plugin takes longer than most of them.
_PLUGINS: Final = ("-p", "pytest_socket", "-p", "_hypothesis_pytestplugin")
_ticks = itertools.count(1_000_000_000)


@dataclass(frozen=True, slots=True)
class Trial:
    """One mutation of one clause."""

    mark: Mark
    mutation: Mutation
    tests: tuple[Path, ...]

    @property
    def name(self) -> str:
        """Where it is and what was done."""
        return f"{self.mark.id}: {self.mark.path.relative_to(ROOT)}:{self.mark.line}: {self.mutation.what}"


def main() -> int:
    """Run the trials that the arguments ask for and return the exit status."""
    arguments = _arguments()
    chosen = _chosen(arguments.clause, arguments.count, random.Random(arguments.seed))  # noqa: S311 - a choice of tests
    shown = shown_by()
    trials = []
    for mark in chosen:
        tests = tuple(sorted({marker.path.relative_to(ROOT) for marker in shown.get(mark.id, ())}, key=_swift_first))
        found = mutations(mark.path.read_text(), mark.line)
        if not found or not tests:
            print(f"no {'mutation known' if tests else 'test'}: {mark.id} ({mark.path.relative_to(ROOT)}:{mark.line})")
        elif tests:
            trials += [Trial(mark, mutation, tests) for mutation in found]
    green = _run(trials, arguments.jobs)
    noticed = len(trials) - len(green)
    print(f"{len({trial.mark.id for trial in trials})} clauses, {len(trials)} statements taken out, {noticed} noticed")
    for trial in green:
        print(f"NOT NOTICED {trial.name}")
    return 1 if green else 0


def _swift_first(path: Path) -> tuple[bool, Path]:
    return "e2e" in path.parts, path


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=40, help="how many clauses, at random; 0 means all")
    parser.add_argument("--seed", type=int, default=None, help="makes the choice repeatable")
    parser.add_argument("--jobs", type=int, default=2, help="how many at the same time")
    parser.add_argument("--clause", action="append", default=[], help="beginning of the ids to try; may be repeated")
    return parser.parse_args()


def _chosen(prefixes: Sequence[str], count: int, choice: random.Random) -> list[Mark]:
    wanted = [mark for mark in marks() if not prefixes or mark.id.startswith(tuple(prefixes))]
    ids = sorted({mark.id for mark in wanted})
    kept = set(ids if prefixes or not count else choice.sample(ids, min(count, len(ids))))
    return [mark for mark in wanted if mark.id in kept]


def _run(trials: Sequence[Trial], jobs: int) -> list[Trial]:
    """Return the trials that no test noticed.

    Raises:
        RuntimeError: the tests are not green to begin with, so that nothing can be learnt.
    """
    with tempfile.TemporaryDirectory(prefix="jigap-mutate-") as folder:
        copies: queue.Queue[Path] = queue.Queue()
        for number in range(jobs):
            copies.put(_copy(Path(folder) / str(number)))
        tests = sorted({test for trial in trials for test in trial.tests}, key=_swift_first)
        if trials and _pytest(Path(folder) / "0", ["-m", "clause", *map(str, tests)], limit=20 * LIMIT) != 0:
            raise RuntimeError("the tests of the clauses fail before anything was taken out")
        with ThreadPoolExecutor(jobs) as pool:
            noticed = list(pool.map(lambda trial: (trial, _is_noticed(trial, copies)), trials))
    return [trial for trial, was_noticed in noticed if not was_noticed]


def _copy(folder: Path) -> Path:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def _is_noticed(trial: Trial, copies: "queue.Queue[Path]") -> bool:
    folder = copies.get()
    target = folder / trial.mark.path.relative_to(ROOT)
    honest = target.read_text()
    try:
        _write(target, trial.mutation.source)
        status = _pytest(folder, ["--clause", trial.mark.id, *map(str, trial.tests)], limit=LIMIT)
    finally:
        _write(target, honest)
        copies.put(folder)
    # 5: there was nothing to run, which is no way to notice anything.
    was_noticed = status not in {0, 5}
    print(f"{'noticed    ' if was_noticed else 'NOT NOTICED'} {trial.name}", flush=True)
    return was_noticed


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    # Python recognises a changed module by the second and the size.
    os.utime(path, (tick := next(_ticks), tick))


def _pytest(folder: Path, arguments: Sequence[str], *, limit: int) -> int:
    """Return pytest's exit status: 0 green, 1 a test failed, 2 a file did not even load, 5 there was no test.

    Raises:
        RuntimeError: pytest itself went wrong.
    """
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "--no-header",
        "-p",
        "no:cacheprovider",
        *_PLUGINS,
        *arguments,
    ]
    environment = {**os.environ, "PYTHONPATH": str(folder), "CI": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # noqa: TID251
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return 1
    if done.returncode not in {0, 1, 2, 5}:
        raise RuntimeError(done.stdout.decode()[-2000:])
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
