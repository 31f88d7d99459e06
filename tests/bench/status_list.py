"""A status list of 20 million entries, 1 % revoked, against ``zlib.compress`` at level 6; look-ups in plain bytes."""

import random
import statistics
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import timedelta

from tests.bench import cases
from tests.bench.measure import Row
from wallet_core.trust.status_list.array import StatusList, compress, new_array, set_status
from wallet_core.trust.status_list.token import create_status_list_jwt, status_list_claims

ENTRIES, REVOKED = 20_000_000, 200_000
LOOK_UPS = 200_000
MADE = "status list 20 M at 1 %: pack, compress, sign"
LOOKED_UP = "status look-up after decoding"


def rows(only: str, rounds: int) -> Iterator[Row]:
    """Measure and yield both rows."""
    wanted = [name for name in (MADE, LOOKED_UP) if only in name]
    if not wanted:
        return
    array = example()
    if MADE in wanted:
        yield _made(array, rounds)
    if LOOKED_UP in wanted:
        yield _looked_up(array, rounds)


def example() -> bytearray:
    """Return the array, as an issuer keeps it up to date; the same at every run."""
    array = new_array(ENTRIES, 1)
    for index in random.Random(1).sample(range(ENTRIES), REVOKED):  # noqa: S311 - reproducible, nothing secret
        set_status(array, 1, index, 1)
    return array


def make(array: bytearray) -> str:
    """Return the signed list."""
    claims = status_list_claims(
        bytes(array),
        1,
        uri=f"{cases.ISSUER_ID}/statuslists/1",
        issued_at=cases.NOW,
        expires_at=cases.NOW + timedelta(days=1),
        ttl=timedelta(minutes=5),
    )
    return create_status_list_jwt(claims, signer=cases.ISSUER, x5c=cases.X5C)


def look_up(statuses: StatusList, indices: list[int]) -> None:
    """Look up one status after another."""
    status = statuses.status
    for index in indices:
        status(index)


def _made(array: bytearray, rounds: int) -> Row:
    ratios, rates = [], []
    for _ in range(rounds):
        before = _seconds(lambda: zlib.compress(array, 6))
        own = _seconds(lambda: make(array))
        after = _seconds(lambda: zlib.compress(array, 6))
        ratios.append((before + after) / 2 / own)
        rates.append(1 / own)
    size = len(compress(array)) / len(zlib.compress(array, 6))
    return _row(MADE, "z6", ratios, rates, floor=3.0, target=6.0, note=f"{size:.3f} of zlib-6's size")


def _looked_up(array: bytearray, rounds: int) -> Row:
    statuses = StatusList(1, bytes(array))
    indices = random.Random(2).choices(range(ENTRIES), k=LOOK_UPS)  # noqa: S311 - reproducible, nothing secret
    rates = [LOOK_UPS / _seconds(lambda: look_up(statuses, indices)) for _ in range(rounds)]
    millions = [rate / 1e6 for rate in rates]
    return _row(LOOKED_UP, "M", millions, rates, floor=4.0, target=8.0, note="millions a second")


def _seconds(run: Callable[[], object]) -> float:
    begun = time.process_time()
    run()
    return time.process_time() - begun


def _row(
    name: str, unit: str, ratios: list[float], rates: list[float], *, floor: float, target: float, note: str
) -> Row:
    return Row(
        name=name,
        unit=unit,
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        per_second=statistics.median(rates),
        floor=floor,
        target=target,
        note=note,
    )
