"""Fuzzing guided by coverage: atheris changes messages and keeps those that reach code no other reached.

``python -m tests.fuzz.guided --minutes 10`` takes half of the minutes; `make fuzz` spends the other half on messages
drawn by Hypothesis. Each target runs in a process of its own, forked once everything is imported and instrumented.
What leaves a target and is no WalletError, and what takes too long, is printed, kept below ``tests/fuzz/cases`` and run
again by test_guided.py from then on.
"""

import argparse
import contextlib
import hashlib
import importlib
import os
import re
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.support.fuzzing import GUIDED_SHARE

CASES: Final = Path(__file__).parent / "cases"
CORPUS: Final = Path(".fuzz")

MAX_CPU_SECONDS: Final = 0.5
"""CPU time of one call with messages of some kilobytes; an honest one takes milliseconds, with the instruments too."""

MIN_MAX_BYTES: Final = 16 * 1024
"""Bytes of a message; more if a seed is large. Beyond 8 kB CBOR is walked through before it is built."""

INSTRUMENTED: Final = ("wallet_core", "issuer", "holder_app", "verifier", "tests.support.planted_bugs")

LIBFUZZER: Final = ("-timeout=30", "-rss_limit_mb=1024", "-print_final_stats=1", "-report_slow_units=3600")
"""Limits that end a process from outside: seconds of one call, for loops without end, and megabytes."""

TRACEBACK: Final = "=== What left ==="
FOUND: Final = 1
NO_ENGINE: Final = 3


class TooSlow(Exception):
    """A call took more CPU time than its message is worth."""


@dataclass(frozen=True)
class Run:
    """One target in its process."""

    name: str
    log: Path
    artifacts: Path
    begun: float


@dataclass(frozen=True)
class Outcome:
    """What one process reports: calls and their time, edges at the start and the end, and the messages it ended at."""

    name: str
    calls: int
    seconds: float
    edges_before: int
    edges: int
    findings: tuple[bytes, ...]
    log: str


def guarded(target: Any, artifacts: Path) -> Callable[[bytes], None]:
    """Return a function that runs the target and ends the process at the first message that it cannot stand.

    CPU time is minded, which other people's work on the machine does not lengthen.
    """
    calls = 0

    def run(data: bytes) -> None:
        nonlocal calls
        calls += 1
        try:
            run_within_time(target, data)
        # The libraries in Rust panic with a BaseException.
        except BaseException:  # noqa: BLE001 - whatever it is, it is what we look for
            (artifacts / "left").write_bytes(data)
            print(f"{TRACEBACK}\n{traceback.format_exc()}\nstat::number_of_executed_units: {calls}", flush=True)
            os._exit(FOUND)

    return run


def run_within_time(target: Any, data: bytes) -> None:
    """Run the target. Raises :class:`TooSlow`, and whatever leaves the target."""
    seconds = cpu_time(target, data)
    if seconds > MAX_CPU_SECONDS:
        # The first call may have had to import or to collect garbage.
        seconds = min(cpu_time(target, data) for _ in range(2))
    if seconds > MAX_CPU_SECONDS:
        raise TooSlow(f"{seconds:.1f} s of CPU time for {len(data)} bytes")


def cpu_time(target: Any, data: bytes) -> float:
    """Return the seconds of CPU time that one run takes."""
    begun = time.process_time()
    target.run(data)
    return time.process_time() - begun


def mutator(target: Any, engine: Any) -> Callable[[bytes, int, int], bytes]:
    """Return a mutator: half of the changes are those of the engine, half are made in the structure of the message."""

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)  # noqa: S311 - reproducible, nothing secret
        if random.random() < 0.5:
            # What does not parse, as most of what the engine makes of JSON or CBOR, has no structure to change.
            with contextlib.suppress(Exception):
                changed: bytes = target.change(random, data)
                if 0 < len(changed) <= max_size:
                    return changed
        mutated: bytes = engine.Mutate(data, max_size)
        return mutated

    return mutate


def child(run: Run, target: Any, engine: Any, *, seconds: int, seed: int, corpus: Path) -> None:
    """Fuzz one target in this process, which ends here."""
    with run.log.open("wb") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    # The library warns of odd certificates where it does not refuse them; a warning is no exception in production.
    warnings.simplefilter("ignore")
    seeds = run.artifacts.parent / "seeds"
    for folder in (seeds, run.artifacts, corpus):
        folder.mkdir(parents=True, exist_ok=True)
    kept = [path.read_bytes() for path in sorted((CASES / run.name).glob("*"))]
    for number, data in enumerate([*target.seeds, *kept]):
        (seeds / str(number)).write_bytes(data)
    longest = max(MIN_MAX_BYTES, 2 * max(map(len, target.seeds)))
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={longest}",
        f"-seed={seed}",
        f"-artifact_prefix={run.artifacts}/",
    ]
    more = {"custom_mutator": mutator(target, engine)} if target.change else {}
    engine.Setup(["guided", *LIBFUZZER, *options, str(corpus), str(seeds)], guarded(target, run.artifacts), **more)
    engine.Fuzz()


def start(run: Run, target: Any, engine: Any, **options: Any) -> int:
    """Start the process of a target; return its id."""
    run.log.parent.mkdir(parents=True)
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        try:
            child(run, target, engine, **options)
        finally:
            # Reached only if the engine could not start: the child must not go on as its parent.
            os._exit(NO_ENGINE)
    return pid


def outcome(run: Run) -> Outcome:
    """Read what a process left."""
    log = run.log.read_text(errors="replace")
    edges = [int(number) for number in re.findall(r"^#\d+\s.*?cov: (\d+)", log, re.MULTILINE)]
    first = re.search(r"^#\d+\s+INITED cov: (\d+)", log, re.MULTILINE)
    numbers = {name: int(value) for name, value in re.findall(r"^stat::(\w+):\s+(\d+)", log, re.MULTILINE)}
    return Outcome(
        run.name,
        numbers.get("number_of_executed_units", 0),
        time.monotonic() - run.begun,
        int(first[1]) if first else 0,
        max(edges, default=0),
        tuple(path.read_bytes() for path in sorted(run.artifacts.glob("*"))),
        log,
    )


def fuzz(
    targets: Mapping[str, Any], engine: Any, *, until: float, jobs: int, seed: int, corpus: Path, work: Path
) -> Iterator[Outcome]:
    """Run every target for its share of the time until ``until``, ``jobs`` at once."""
    waiting, running = list(targets), dict[int, Run]()
    while waiting or running:
        while waiting and len(running) < jobs:
            share = (until - time.monotonic()) * jobs / (len(waiting) + len(running))
            name = waiting.pop(0)
            run = Run(name, work / name / "log", work / name / "found", time.monotonic())
            seconds = max(1, int(share))
            running[start(run, targets[name], engine, seconds=seconds, seed=seed, corpus=corpus / name)] = run
        pid, status = os.wait()
        run = running.pop(pid)
        found = outcome(run)
        if status and not found.findings:
            raise RuntimeError(f"the process of {run.name} ended with {status} and no finding:\n{found.log[-3000:]}")
        yield found


def keep(found: Outcome, cases: Path) -> list[Path]:
    """Write the findings of a target where test_guided.py runs them again; return the files."""
    paths = []
    for data in found.findings:
        path = cases / found.name / hashlib.sha256(data).hexdigest()[:16]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        paths.append(path)
    return paths


def report(found: Outcome, paths: Sequence[Path]) -> None:
    """Print one line for a target, and each finding in full."""
    speed = f"{found.calls:>9} calls {found.calls / found.seconds:>7.0f}/s"
    growth = f"{found.edges_before:>6} → {found.edges:<6}"
    print(f"{found.name:<30} {speed}  edges {growth} findings {len(paths)}", flush=True)
    for data, path in zip(found.findings, paths, strict=True):
        # Without a traceback it was the engine that ended the process, and its last lines say why.
        told = found.log.partition(TRACEBACK)[2].partition("stat::")[0].strip()
        print(f"  target {found.name}, kept as {path}\n  input {data!r}\n  {told or found.log[-2000:]}", flush=True)


def load_engine() -> Any:
    """Return atheris, or None where it is not installed: pyproject.toml says where it is."""
    try:
        return importlib.import_module("atheris")
    except ImportError:
        return None


def load_targets(engine: Any, module: str) -> tuple[Mapping[str, Any], Sequence[str]]:
    """Import the targets and all code they call, instrumented; return them and the names of the short run."""
    # The engine names every module on the way.
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stderr(nowhere),
        engine.instrument_imports(include=list(INSTRUMENTED)),
    ):
        loaded = importlib.import_module(module)
    return loaded.TARGETS, loaded.SHORT


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided", description=(__doc__ or "").splitlines()[0])
    length = parser.add_mutually_exclusive_group(required=True)
    length.add_argument("--minutes", type=float, help="of the whole of make fuzz, of which this takes its share")
    length.add_argument("--seconds", type=float, help="of this run")
    parser.add_argument("--if-installed", action="store_true", help="without atheris say so, and call it a success")
    parser.add_argument(
        "--short", action="store_true", help="only the targets of the short run, always in the same way"
    )
    parser.add_argument(
        "--targets", nargs="+", default=[], metavar="NAME", help="only these; iso. means all that begin so"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--module", default="tests.fuzz.guided_targets", help="where TARGETS and SHORT are")
    parser.add_argument("--cases", type=Path, default=CASES, help="folder for what is found")
    return parser.parse_args(arguments)


def chosen(names: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Return the names that are wanted, or begin with a wanted prefix that ends with a dot; all if none is wanted.

    Raises:
        SystemExit: one is not there.
    """
    for each in wanted:
        if not any(name == each or (each.endswith(".") and name.startswith(each)) for name in names):
            raise SystemExit(f"no such target: {each}; there are {', '.join(names)}")
    prefixes = tuple(each for each in wanted if each.endswith("."))
    return [name for name in names if not wanted or name in wanted or (prefixes and name.startswith(prefixes))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, print a line for each target, and return 1 if anything was found."""
    begun = time.monotonic()
    options = parse_arguments(arguments)
    seconds = options.seconds if options.minutes is None else options.minutes * 60 * GUIDED_SHARE
    engine = load_engine()
    if engine is None:
        print("atheris is not installed (it has wheels for CPython 3.11 to 3.13 on Linux, x86-64): no guided fuzzing")
        return 0 if options.if_installed else NO_ENGINE
    targets, short = load_targets(engine, options.module)
    names = chosen(short if options.short else list(targets), options.targets)
    total = 0
    with tempfile.TemporaryDirectory(prefix="jigap-fuzz-") as folder:
        work = Path(folder)
        # Same seeds, same numbers: the short run is the same every time, but for how far it gets.
        corpus, seed = (work / "corpus", 1) if options.short else (CORPUS, 0)
        for found in fuzz(
            {name: targets[name] for name in names},
            engine,
            until=begun + seconds,
            jobs=options.jobs,
            seed=seed,
            corpus=corpus,
            work=work / "runs",
        ):
            paths = keep(found, options.cases)
            report(found, paths)
            total += len(paths)
            shutil.rmtree(work / "runs" / found.name)
    print(f"{len(names)} targets in {time.monotonic() - begun:.0f} s, findings: {total}")
    return FOUND if total else 0


if __name__ == "__main__":
    sys.exit(main())
