"""The same call from several threads at one moment."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def at_once(times: int, call: Callable[[], T]) -> list[T]:
    """Call ``times`` times, all beginning together, and return what each answered."""
    barrier = threading.Barrier(times, timeout=30)

    def begin() -> T:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(times) as threads:
        return [future.result() for future in [threads.submit(begin) for _ in range(times)]]
