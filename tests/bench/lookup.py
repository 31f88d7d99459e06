"""Finding one open request among many, as every fetch and every answer of a wallet begins.

The ratio is how much slower it is among 10,000 open requests than among 10: 1 means that it costs the same. It is taken
from the same use of the verifier's own storage, SQLite in a file, in turns with the small one.
"""

import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from tests.bench.measure import Row
from tests.bench.verifying import PARTY, QUERY, VerifierWorld
from verifier.presentations.use_cases.requests import PresentationOrder, create_presentation

FEW, MANY = 10, 10_000
LOOKUPS = 2_000
"""Of each size in one round."""

NAME = f"lookup among {MANY:,} open requests, to among {FEW}"


class Requests:
    """A verifier with ``count`` open requests that differ in nothing but their names."""

    def __init__(self, folder: Path, count: int) -> None:
        world = VerifierWorld(folder, f"sqlite:///{folder}/bench.db", "http://localhost:8199")
        self._verifier = world.verifier
        ports, unit = self._verifier.presentations, self._verifier.database.unit()
        storage = self._verifier.storage(unit)
        made = create_presentation(ports, storage, world.party, PresentationOrder(dcql_query=QUERY))
        self.names = [(made.request_uri or "").rpartition("/")[2]]
        with unit:
            first = storage.presentations.by_id(PARTY, made.id)
            assert first is not None
            for number in range(1, count):
                name = f"{number:08d}{self.names[0]}"
                storage.presentations.add(replace(first, id=f"{first.id}{number:08d}", request_id=name))
                self.names.append(name)
        random.Random(count).shuffle(self.names)  # noqa: S311 - an order, nothing secret

    def seconds(self, lookups: int) -> float:
        """Return the processor time of one look-up, over so many of them."""
        ports, names = self._verifier.presentations, self.names
        begun = time.process_time()
        for number in range(lookups):
            storage = ports.reading()
            with storage.unit:
                found = storage.presentations.by_request_id(names[number % len(names)])
            assert found is not None
        return (time.process_time() - begun) / lookups

    def close(self) -> None:
        """Close the database."""
        self._verifier.database.close()


@contextmanager
def requests(count: int) -> Iterator[Requests]:
    """Open a verifier with so many requests; it is deleted at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jigap-bench-")))
        found = Requests(folder, count)
        stack.callback(found.close)
        yield found


def rows(only: str, rounds: int, *, many: int = MANY, lookups: int = LOOKUPS) -> Iterator[Row]:
    """Measure and yield the row."""
    if only not in NAME:
        return
    with requests(FEW) as few, requests(many) as more:
        few.seconds(lookups // 4)
        more.seconds(lookups // 4)
        pairs = [(few.seconds(lookups), more.seconds(lookups)) for _ in range(rounds)]
    ratios = [large / small for small, large in pairs]
    per_second = 1 / statistics.median(large for _, large in pairs)
    microseconds = statistics.median(small for small, _ in pairs) * 1e6
    note = f"among {FEW}: {microseconds:.0f} us"
    yield Row(NAME, "x", statistics.median(ratios), min(ratios), max(ratios), per_second, None, None, note)
