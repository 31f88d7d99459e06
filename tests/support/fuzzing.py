"""How the time of `make fuzz` is shared out, and how messages are drawn within it."""

import os
import time
from collections.abc import Callable

from hypothesis import HealthCheck, settings

MINUTES = float(os.environ.get("JIGAP_FUZZ_MINUTES", "0"))  # noqa: TID251
"""Minutes of `make fuzz`; 0 in a normal run of the tests."""

WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))  # noqa: TID251

GUIDED_SHARE = 0.5
"""Part of the minutes for the engine that is guided by coverage; the rest is for drawn messages."""

DRAWN = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    # A long run draws other messages each time it goes round, in CI too.
    derandomize=settings().derandomize and not MINUTES,
)
"""One round of drawn messages."""


def drawing_seconds(tests: int) -> float:
    """Return the seconds that each of ``tests`` fuzz tests may take; 0 in a normal run."""
    return MINUTES * 60 * (1 - GUIDED_SHARE) * WORKERS / max(tests, 1)


def repeatedly(draw: Callable[[], None], *, seconds: float) -> None:
    """Draw one round, and more while there is time."""
    begun = time.monotonic()
    draw()
    while time.monotonic() - begun < seconds:
        draw()
