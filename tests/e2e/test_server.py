"""Serving with real processes: several workers, a graceful stop, and a port that is free again after kill -9."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

PATIENCE = 30


class Served:
    def __init__(self, folder: Path, workers: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder, self.workers = folder, workers
        self.start()

    def start(self) -> None:
        arguments = [str(self.port), str(self.workers), str(self.folder)]
        self.process = subprocess.Popen([sys.executable, "-m", "tests.support.served_app", *arguments])
        _wait(lambda: self.get("/pid") is not None)

    def get(self, path: str) -> str | None:
        try:
            return httpx2.get(f"http://127.0.0.1:{self.port}{path}", timeout=10).text
        except httpx2.HTTPError:
            return None

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.05)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[int], Served]]:
    running: list[Served] = []

    def start(workers: int) -> Served:
        running.append(Served(tmp_path, workers))
        return running[-1]

    yield start
    for served in running:
        served.end()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stop_lets_a_request_in_flight_end(serve: Callable[[int], Served], workers: int, tmp_path: Path) -> None:
    served = serve(workers)
    assert (tmp_path / "started").exists()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(served.get, "/slow")
        time.sleep(0.4)
        served.process.send_signal(signal.SIGTERM)
        assert answer.result() == '"done"'
    served.process.wait(PATIENCE)
    assert (tmp_path / "stopped").exists()


def test_both_workers_answer_and_a_killed_one_is_replaced(serve: Callable[[int], Served]) -> None:
    served = serve(2)
    pids: set[str] = set()
    _wait(lambda: len(pids.add(served.get("/pid") or "") or pids - {""}) == 2)  # type: ignore[func-returns-value]
    victim = next(iter(pids - {""}))
    subprocess.run(["kill", "-9", victim], check=True)
    fresh: set[str] = set()
    _wait(lambda: len((fresh.add(served.get("/pid") or "") or fresh) - pids) >= 1)  # type: ignore[func-returns-value]


def test_after_kill_9_of_the_supervisor_the_port_is_free(serve: Callable[[int], Served]) -> None:
    served = serve(2)
    served.process.kill()
    served.process.wait()
    _wait(lambda: served.get("/pid") is None)
    served.start()
    assert served.get("/pid")
