"""The rows of whole issuances of the high-assurance profile: rate, share of ECDSA, times of answers, queries.

The ratio of a row is the share of the workers' processor time that is ECDSA: the signatures made and verified in one
issuance, counted in one, times what OpenSSL needs for each at that moment, raw.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

from starlette.testclient import TestClient

from issuer.app import create_app
from tests.bench.haip import KINDS, Call, HaipWorld, Issuance, Reply
from tests.bench.http import NO_POSTGRES, database_url, served
from tests.bench.load import Load, at_rate, flat_out, worker_seconds
from tests.bench.measure import Row, rate, raw
from tests.bench.queries import Queries, recorded
from tests.support import postgres
from wallet_core.keys import algorithms
from wallet_core.keys.algorithms import PublicKey

WARM_UP, SECONDS, HALF_SECONDS = 2.0, 6.0, 6.0
FLOOR = 0.35
_MOST = 200
"""Issuances a second that are prepared for: two cores do not make more."""
_RAW_SECONDS = 0.3


@dataclass(frozen=True)
class Work:
    """What one issuance is for the server: signatures made and verified, and the queries of each request."""

    signed: int
    verified: int
    queries: dict[str, Queries]

    def lines(self) -> list[str]:
        """Return the queries as lines to print."""
        return [f"{kind:<18} {queries.show()}" for kind, queries in self.queries.items()]


def rows(only: str, rounds: int) -> Iterator[Row]:
    """Measure and yield a row for each database."""
    for engine, name in (("sqlite", "SQLite"), ("postgresql", "PostgreSQL")):
        title = f"HAIP issuance, batch of 10, whole flow, {name}"
        if only in title:
            if engine == "postgresql" and not postgres.find_programs():
                yield Row(title, "ECDSA", 0.0, 0.0, 0.0, 0.0, None, None, NO_POSTGRES)
            else:
                yield _measure(title, engine, rounds)


def _measure(title: str, engine: str, rounds: int) -> Row:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jigap-bench-")))
        port = postgres.free_port()
        world = HaipWorld(folder, database_url(engine, folder, stack), f"http://localhost:{port}")
        work = count_work(world)
        found = [_round(world, work, port) for _ in range(rounds)]
    shares = [share for share, _, _ in found]
    loads, halves = [each for _, each, _ in found], [each for _, _, each in found]
    failed = sum(each.failed for each in (*loads, *halves))
    generator = median(each.generator_seconds / each.seconds for each in loads)
    per_second = median(each.requests_per_second for each in loads)
    note = (
        f"requests; {median(each.per_second for each in loads):.1f} issuances/s of {work.signed} signatures made and "
        f"{work.verified} verified; generator {generator:.2f} of a core"
    )
    void = f"{failed:,} issuances failed" if failed else ""
    details = ["at half of that rate, p50 and p99 in ms; queries in reading+writing transactions:"]
    for kind, queries in work.queries.items():
        p50, p99 = (median(values) for values in zip(*(each.percentiles(kind) for each in halves), strict=True))
        details.append(f"{kind:<18} {p50:>6.1f} {p99:>6.1f}  {queries.show()}")
    return Row(
        title, "ECDSA", median(shares), min(shares), max(shares), per_second, FLOOR, FLOOR, note, tuple(details), void
    )


def _round(world: HaipWorld, work: Work, port: int) -> tuple[float, Load, Load]:
    with served(world.factory, port, world.environment) as server:
        flat_out(port, world.issuances(int(_MOST * WARM_UP)), WARM_UP)
        issuances = world.issuances(int(_MOST * SECONDS))
        signing, verifying = _raw_seconds()
        before = worker_seconds(server)
        load = flat_out(port, issuances, SECONDS)
        used = worker_seconds(server) - before
        after = _raw_seconds()
        signing, verifying = (signing + after[0]) / 2, (verifying + after[1]) / 2
        ecdsa = load.issued * (work.signed * signing + work.verified * verifying)
        half = load.per_second / 2
        halved = at_rate(port, world.issuances(int(half * HALF_SECONDS) + 1), half, HALF_SECONDS)
        time.sleep(0.1)
        return ecdsa / used, load, halved


def _raw_seconds() -> tuple[float, float]:
    return 1 / rate(raw("s"), _RAW_SECONDS), 1 / rate(raw("v"), _RAW_SECONDS)


def count_work(world: HaipWorld) -> Work:
    """Return what one issuance costs, counted in this process. It is the second of two: caches are filled."""
    client = TestClient(create_app(world.issuer), base_url=world.public_url, follow_redirects=False)
    first, second = world.issuances(2)
    _run(client, world, first, [])
    counts: list[str] = []
    return Work(
        queries=_run(client, world, second, counts), signed=counts.count("sign"), verified=counts.count("verify")
    )


def _run(client: TestClient, world: HaipWorld, issuance: Issuance, counts: list[str]) -> dict[str, Queries]:
    found: dict[str, Queries] = {}
    try:
        call = next(issuance)
        while True:
            with recorded(world.issuer.database.engine) as queries, _counted(counts):
                reply = _send(client, call)
            found[call.kind] = queries
            call = issuance.send(reply)
    except StopIteration:
        assert tuple(found) == KINDS
        return found


def _send(client: TestClient, call: Call) -> Reply:
    client.cookies.clear()
    answer = client.request(call.method, call.path, headers=dict(call.headers), content=call.body)
    return Reply(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, answer.content)


@contextmanager
def _counted(counts: list[str]) -> Iterator[None]:
    """Note every signature that is made and verified in this process."""
    sign, verify = algorithms.sign, PublicKey.verify

    def signing(*arguments: Any) -> bytes:
        counts.append("sign")
        return sign(*arguments)

    def verifying(*arguments: Any) -> None:
        counts.append("verify")
        verify(*arguments)

    with (
        mock.patch("wallet_core.keys.signer.sign", signing),
        mock.patch.object(PublicKey, "verify", verifying),
    ):
        yield
