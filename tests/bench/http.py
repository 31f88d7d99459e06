"""Issuance and verification over HTTP with two workers, as ratios to ``openssl speed -multi 2`` around each run.

*Protocol only* keeps everything in memory, for measuring alone; *as shipped* is what runs: committed before the answer.
Then half of the rate just measured comes, evenly and whether earlier ones are done or not, for the times of answers.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Protocol

from tests.bench.haip import Call, Issuance
from tests.bench.issuing import IssuerWorld
from tests.bench.load import Load, at_rate
from tests.bench.measure import Row
from tests.bench.post import Answers, Post, missing, openssl_rates, send, write_posts
from tests.bench.verifying import VerifierWorld
from tests.support import postgres

SECONDS, WARM_UP, HALF_SECONDS = 4.0, 1.0, 4.0
HALF = "half"
READINGS = 3
"""Of ``openssl`` before a row: how many posts are prepared must not depend on one that neighbours slowed."""
START_SECONDS = 60
NO_POSTGRES = "not measured: PostgreSQL is not installed (Debian: apt-get install postgresql)"


class World(Protocol):
    """A server's folder and database, and requests for it."""

    factory: str
    factory_in_memory: str
    environment: dict[str, str]

    def posts(self, count: int, *, in_memory: bool) -> list[Post]:
        """Prepare ``count`` requests that can each be sent once."""
        ...


@dataclass(frozen=True)
class HttpCase:
    """One row. ``ceiling`` is the ratio that cannot be passed: it says how many requests to prepare."""

    name: str
    unit: str
    world: Callable[[Path, str, str], World]
    engine: str
    ceiling: float
    floor: float | None = None
    target: float | None = None


CASES = (
    HttpCase("HTTP issuance, protocol only (memory)", "S2", IssuerWorld, "memory", 0.12, 0.045, 0.060),
    HttpCase("HTTP issuance, as shipped, SQLite", "S2", IssuerWorld, "sqlite", 0.06),
    HttpCase("HTTP issuance, as shipped, PostgreSQL", "S2", IssuerWorld, "postgresql", 0.06),
    HttpCase("HTTP verification, protocol only (memory)", "V2", VerifierWorld, "memory", 0.25, 0.13, 0.16),
    HttpCase("HTTP verification, as shipped, SQLite", "V2", VerifierWorld, "sqlite", 0.15, 0.03, 0.08),
    HttpCase("HTTP verification, as shipped, PostgreSQL", "V2", VerifierWorld, "postgresql", 0.15, 0.03, 0.08),
)


def rows(only: str, rounds: int) -> Iterator[Row]:
    """Measure and yield one row after another; one that cannot be measured here says why."""
    for case in CASES:
        if only in case.name:
            reason = missing() or ("" if case.engine != "postgresql" or postgres.find_programs() else NO_POSTGRES)
            yield _empty(case, reason) if reason else _measure(case, rounds)


def _empty(case: HttpCase, reason: str) -> Row:
    return Row(case.name, case.unit, 0.0, 0.0, 0.0, 0.0, case.floor, case.target, reason)


def _measure(case: HttpCase, rounds: int) -> Row:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jigap-bench-")))
        port = postgres.free_port()
        origin = f"http://localhost:{port}"
        world = case.world(folder, database_url(case.engine, folder, stack), origin)
        found = _rounds(case, world, folder, origin, port, rounds)
    raws = [each.raw for each in found]
    ratios = [each.answers.per_second / each.raw for each in found]
    p99 = statistics.median(each.answers.p99 for each in found)
    halves = [each.half.percentiles(HALF) for each in found]
    half_50, half_99 = (statistics.median(values) for values in zip(*halves, strict=True))
    half_rate = statistics.median(each.half.per_second for each in found)
    return Row(
        name=case.name,
        unit=case.unit,
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        per_second=statistics.median(each.answers.per_second for each in found),
        floor=case.floor,
        target=case.target,
        # Readings far apart, and so a ratio that says little: others use the machine.
        note=f"p99 {p99:.0f} ms, openssl {min(raws):,.0f}-{max(raws):,.0f}/s",
        details=(f"at half of that rate ({half_rate:,.0f}/s): p50 {half_50:.1f} ms, p99 {half_99:.1f} ms",),
        void=next((each.void for each in found if each.void), ""),
    )


@dataclass(frozen=True)
class Round:
    """One round: what came back in the warm-up, flat out and at half of that rate, beside a reading of ``openssl``."""

    warm_up: Answers
    answers: Answers
    raw: float
    half: Load

    @property
    def void(self) -> str:
        """Why the row counts for nothing; empty if this round does not say so."""
        if self.warm_up.refused:
            return f"in the warm-up {self.warm_up.void}"
        return self.answers.void or (f"{self.half.failed:,} refused at half of the rate" if self.half.failed else "")


def _rounds(case: HttpCase, world: World, folder: Path, origin: str, port: int, rounds: int) -> list[Round]:
    best = max(_raw(case.unit) for _ in range(READINGS))
    found: list[Round] = []
    for _ in range(rounds):
        found.append(_round(case, world, folder, origin, port, best))
        best = max(best, found[-1].raw)
    return found


def _round(case: HttpCase, world: World, folder: Path, origin: str, port: int, best: float) -> Round:
    in_memory = case.engine == "memory"
    # At half of the rate there are half as many to send.
    parts = (WARM_UP, SECONDS, HALF_SECONDS / 2)
    posts = world.posts(int(best * case.ceiling * sum(parts)), in_memory=in_memory)
    warm, most = (int(len(posts) * seconds / sum(parts)) for seconds in (WARM_UP, WARM_UP + SECONDS))
    write_posts(posts[:warm], origin, folder / "warm-up")
    write_posts(posts[warm:most], origin, folder / "posts")
    with served(world.factory_in_memory if in_memory else world.factory, port, world.environment):
        warm_up = send(origin, folder / "warm-up", WARM_UP)
        before = _raw(case.unit)
        answers = send(origin, folder / "posts", SECONDS)
        raw = (before + _raw(case.unit)) / 2
        return Round(warm_up, answers, raw, at_half(posts[most:], answers.per_second, port))


def at_half(posts: Sequence[Post], per_second: float, port: int) -> Load:
    """Send half of ``per_second`` a second, each post once, and return the times of the answers under :data:`HALF`."""
    return at_rate(port, [_once(post) for post in posts], per_second / 2, HALF_SECONDS)


def _once(post: Post) -> Issuance:
    headers = {"Content-Type": post.media_type, **({"Authorization": post.authorization} if post.authorization else {})}
    reply = yield Call(HALF, "POST", post.path, headers, post.body.encode())
    assert reply.status < 300


def _raw(unit: str) -> float:
    sign, verify = openssl_rates()
    return sign if unit == "S2" else verify


def database_url(engine: str, folder: Path, stack: ExitStack) -> str:
    """Return the address of a new database, which ends with ``stack``."""
    if engine != "postgresql":
        return f"sqlite:///{folder}/bench.db"
    programs = postgres.find_programs()
    assert programs is not None
    return stack.enter_context(postgres.Cluster(programs)).create_database("bench")


@contextmanager
def served(factory: str, port: int, environment: dict[str, str]) -> Iterator[int]:
    """Serve with two workers and give the supervisor's process id."""
    command = [sys.executable, "-m", "tests.bench.serve", factory, str(port)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("JIGAP_")}  # noqa: TID251
    with subprocess.Popen(
        command, env={**inherited, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            _wait(server, port)
            yield server.pid
        finally:
            server.terminate()


def _wait(server: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        connection = HTTPConnection("localhost", port, timeout=2)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except (OSError, urllib.error.URLError):
            time.sleep(0.1)
        finally:
            connection.close()
    raise RuntimeError("the server under the bench did not start")
