"""``make mutate``: take enforcing statements out, and see whether the tests of their clauses notice.

Works in copies of the tree in a temporary folder; the tree itself is not touched. Exit status 1 if a test stayed green.
"""

import argparse
import itertools
import json
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

# Only the plugins that these tests use.
_OPTIONS: Final = [
    "-q",
    "-x",
    "--no-header",
    "-p",
    "no:cacheprovider",
    "-p",
    "xdist.plugin",  # pyproject.toml has an option of it
    "-p",
    "pytest_socket",
    "-p",
    "_hypothesis_pytestplugin",
    # No rule of a specification hangs on the database; the tests of one engine are half the time.
    "-k",
    "not postgres",
]
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
        copies = [_Copy(Path(folder) / str(number)) for number in range(jobs)]
        free: queue.Queue[_Copy] = queue.Queue()
        for each in copies:
            free.put(each)
        with ThreadPoolExecutor(jobs) as pool:
            _require_green(trials, free, pool)
            noticed = list(pool.map(lambda trial: (trial, _is_noticed(trial, free)), trials))
        for each in copies:
            each.close()
    return [trial for trial, was_noticed in noticed if not was_noticed]


def _copied(folder: Path) -> Path:
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


def _require_green(trials: Sequence[Trial], free: "queue.Queue[_Copy]", pool: ThreadPoolExecutor) -> None:
    """Run the tests as they are, file by file: a run of all of them could take longer than one may."""
    ids = sorted({trial.mark.id for trial in trials})
    chosen = [argument for id_ in ids for argument in ("--clause", id_)]

    def status(test: Path) -> int:
        copy = free.get()
        try:
            return copy.pytest(*chosen, str(test))
        finally:
            free.put(copy)

    tests = sorted({test for trial in trials for test in trial.tests}, key=_swift_first)
    red = [str(test) for test, found in zip(tests, pool.map(status, tests), strict=True) if found != 0]
    if red:
        raise RuntimeError(f"tests of the clauses fail before anything was taken out: {', '.join(red)}")


def _is_noticed(trial: Trial, free: "queue.Queue[_Copy]") -> bool:
    copy = free.get()
    target = copy.folder / trial.mark.path.relative_to(ROOT)
    honest = target.read_text()
    try:
        _write(target, trial.mutation.source)
        was_noticed = any(_is_red(copy, trial.mark.id, group) for group in _by_swiftness(trial.tests))
    finally:
        _write(target, honest)
        free.put(copy)
    print(f"{'noticed    ' if was_noticed else 'NOT NOTICED'} {trial.name}", flush=True)
    return was_noticed


def _by_swiftness(tests: Sequence[Path]) -> list[list[Path]]:
    """Return the tests in two groups: those of the whole apps are only run if no other notices."""
    return [list(group) for _, group in itertools.groupby(tests, key=lambda path: "e2e" in path.parts)]


def _is_red(copy: "_Copy", clause: str, tests: Sequence[Path]) -> bool:
    # 5: there was nothing to run, which is no way to notice anything.
    return copy.pytest("--clause", clause, *map(str, tests)) not in {0, 5}


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    # Python recognises a changed module by the second and the size.
    os.utime(path, (tick := next(_ticks), tick))


class _Copy:
    """A copy of the tree with a server that runs its tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = _copied(folder)
        environment = {**os.environ, "PYTHONPATH": str(folder), "CI": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # noqa: TID251
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tools.trial_server"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def pytest(self, *arguments: str) -> int:
        """Return pytest's exit status: 0 green, 1 a test failed, 2 a file did not even load, 5 there was no test.

        Raises:
            RuntimeError: pytest itself went wrong.
        """
        assert self._server.stdin is not None  # noqa: S101 - asked for above
        assert self._server.stdout is not None  # noqa: S101 - the same
        self._server.stdin.write(json.dumps([*_OPTIONS, *arguments]) + "\n")
        self._server.stdin.flush()
        status = int(self._server.stdout.readline() or -1)
        if status not in {0, 1, 2, 5}:
            raise RuntimeError(f"pytest ended with {status} for {arguments}")
        return status

    def close(self) -> None:
        """End the server."""
        self._server.communicate()


if __name__ == "__main__":
    sys.exit(main())
