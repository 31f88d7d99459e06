"""Whole issuances over HTTP from one process: as many as go, and then at half that rate, with the time of each request.

A wallet signs too, so what the generator's own signatures and Python cost is measured apart, and the server's share of
ECDSA is taken of the processor time of its workers alone.
"""

import asyncio
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.haip import Call, Issuance, Reply

CONNECTIONS = 16
_PROC = Path("/proc")
_TICKS = 100
"""Of a second, as /proc counts them on every Linux of today."""


@dataclass
class Load:
    """What came of it. ``milliseconds`` are times of answers by kind of request."""

    issued: int = 0
    failed: int = 0
    seconds: float = 0.0
    generator_seconds: float = 0.0
    milliseconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def requests_per_second(self) -> float:
        """Answers a second."""
        return sum(map(len, self.milliseconds.values())) / self.seconds

    @property
    def per_second(self) -> float:
        """Whole issuances a second."""
        return self.issued / self.seconds

    def percentiles(self, kind: str) -> tuple[float, float]:
        """Return p50 and p99 of the answers to one kind of request."""
        found = sorted(self.milliseconds[kind])
        return statistics.median(found), found[min(len(found) - 1, int(len(found) * 0.99))]


def flat_out(port: int, issuances: Sequence[Issuance], seconds: float) -> Load:
    """Begin the next issuance on each connection as soon as the one before is done."""
    return asyncio.run(_run(port, issuances, seconds, None))


def at_rate(port: int, issuances: Sequence[Issuance], per_second: float, seconds: float) -> Load:
    """Begin ``per_second`` issuances a second, whether those before are done or not."""
    return asyncio.run(_run(port, issuances, seconds, 1 / per_second))


def worker_seconds(server: int) -> float:
    """Return the processor time that a server's worker processes have used, in seconds."""
    return sum(used for pid, parent, used in _processes() if server in {parent, pid})


def _processes() -> Iterator[tuple[int, int, float]]:
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                yield int(folder.name), int(fields[1]), (int(fields[11]) + int(fields[12])) / _TICKS


async def _run(port: int, issuances: Sequence[Issuance], seconds: float, interval: float | None) -> Load:
    load, waiting = Load(), iter(issuances)
    cpu, begun = time.process_time(), time.perf_counter()
    if interval is None:
        await asyncio.gather(*(_worker(port, waiting, begun + seconds, load) for _ in range(CONNECTIONS)))
    else:
        await _arrivals(port, waiting, interval, int(seconds / interval), load)
    load.seconds, load.generator_seconds = time.perf_counter() - begun, time.process_time() - cpu
    return load


async def _worker(port: int, waiting: Iterable[Issuance], end: float, load: Load) -> None:
    connection = _Connection(port)
    for issuance in waiting:
        await _issue(connection, issuance, load)
        if time.perf_counter() > end:
            break
    connection.close()


async def _arrivals(port: int, waiting: Iterator[Issuance], interval: float, count: int, load: Load) -> None:
    idle: list[_Connection] = []
    begun = time.perf_counter()

    async def one(issuance: Issuance) -> None:
        connection = idle.pop() if idle else _Connection(port)
        await _issue(connection, issuance, load)
        idle.append(connection)

    async with asyncio.TaskGroup() as tasks:
        for number, issuance in zip(range(count), waiting, strict=False):
            await asyncio.sleep(max(0.0, begun + number * interval - time.perf_counter()))
            tasks.create_task(one(issuance))
    for connection in idle:
        connection.close()


async def _issue(connection: "_Connection", issuance: Issuance, load: Load) -> None:
    try:
        call = next(issuance)
        while True:
            begun = time.perf_counter()
            reply = await connection.send(call)
            load.milliseconds[call.kind].append((time.perf_counter() - begun) * 1000)
            call = issuance.send(reply)
    except StopIteration:
        load.issued += 1
    except (AssertionError, KeyError, OSError, asyncio.IncompleteReadError):
        connection.close()
        load.failed += 1


class _Connection:
    """One kept-alive connection; HTTP as our server writes it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, call: Call) -> Reply:
        """Send a request and return the answer."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        lines = [f"{call.method} {call.path} HTTP/1.1", f"host: localhost:{self._port}"]
        lines += [f"{name}: {value}" for name, value in call.headers.items()]
        head = "\r\n".join([*lines, f"content-length: {len(call.body)}", "", ""])
        writer.write(head.encode("latin-1") + call.body)
        status, *answered = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in answered)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Reply(int(status.split()[1]), headers, body)

    def close(self) -> None:
        """End it; the next request begins another."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
