"""Rounds of a case between two rounds of the raw operation it is compared with."""

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

Unit: TypeAlias = Literal["s", "v"]

RAW_SECONDS = 0.08
CASE_SECONDS = 0.25

_MESSAGE = bytes(800)
_KEY = ec.generate_private_key(ec.SECP256R1())
_ECDSA = ec.ECDSA(hashes.SHA256())
_SIGNATURE = _KEY.sign(_MESSAGE, _ECDSA)
_PUBLIC_KEY = _KEY.public_key()


@dataclass(frozen=True)
class Case:
    """One row: what is run, what it is compared with, and what is asked of it.

    Attributes:
        name: for people.
        unit: raw operation of the ratio.
        run: one operation.
        floor: ratio that must be reached; None for a peer's row.
        target: ratio that is aimed at.
    """

    name: str
    unit: Unit
    run: Callable[[], object]
    floor: float | None = None
    target: float | None = None


@dataclass(frozen=True)
class Row:
    """A result. ``ratio`` is the median over the rounds; ``lowest`` and ``highest`` show the noise.

    ``details`` are further lines. ``void`` says why it counts for nothing, whatever the ratio; empty if it does not.
    """

    name: str
    unit: str
    ratio: float
    lowest: float
    highest: float
    per_second: float
    floor: float | None
    target: float | None
    note: str = ""
    details: tuple[str, ...] = ()
    void: str = ""

    def to_json(self) -> dict[str, object]:
        """Return the row as it stands in ``bench.json``."""
        return asdict(self)


def raw(unit: Unit) -> Callable[[], object]:
    """Return the raw operation a unit stands for."""
    if unit == "s":
        return lambda: _KEY.sign(_MESSAGE, _ECDSA)
    return lambda: _PUBLIC_KEY.verify(_SIGNATURE, _MESSAGE, _ECDSA)


def rate(run: Callable[[], object], seconds: float) -> float:
    """Return how often ``run`` runs in a second, measured for about ``seconds``."""
    repeat = 8
    while True:
        begun = time.process_time()
        for _ in range(repeat):
            run()
        elapsed = time.process_time() - begun
        if elapsed >= seconds:
            return repeat / elapsed
        repeat = max(repeat + 1, int(repeat * 1.1 * seconds / max(elapsed, 1e-6)))


def measure(case: Case, rounds: int, *, times: int = 1) -> Row:
    """Return the row of ``case``: medians over ``rounds`` rounds of raw, case, raw.

    It is compared with ``times`` raw operations.
    """
    compared = raw(case.unit)
    case.run()
    ratios, rates = [], []
    gc.collect()
    for _ in range(rounds):
        before = rate(compared, RAW_SECONDS)
        own = rate(case.run, CASE_SECONDS)
        after = rate(compared, RAW_SECONDS)
        rates.append(own)
        ratios.append(own * times / ((before + after) / 2))
    return Row(
        name=case.name,
        unit=case.unit,
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        per_second=statistics.median(rates),
        floor=case.floor,
        target=case.target,
    )
