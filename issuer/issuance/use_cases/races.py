"""Reading outside the transaction that writes, and beginning again after a lost race.

The write of every use case of a wallet is compare-and-set, and a request that lost begins again with what the winner
left. So two simultaneous posts of one secret have one winner.
"""

from collections.abc import Callable
from typing import TypeVar

from issuer.issuance.ports import IssuancePorts, Storage
from wallet_core.errors import StateConflict, StorageError

T = TypeVar("T")

MAX_RACES = 10
"""Times a request that lost a race begins again; each loss means that another request of the same person won."""


def read(ports: IssuancePorts, find: Callable[[Storage], T]) -> T:
    """Return what ``find`` finds, without waiting for a writer."""
    storage = ports.reading()
    with storage.unit:
        return find(storage)


def look(ports: IssuancePorts, find: Callable[[Storage], T]) -> T:
    """Return what ``find`` finds with a single statement."""
    storage = ports.looking()
    with storage.unit:
        return find(storage)


def until_no_race(attempt: Callable[[], T]) -> T:
    """Return what ``attempt`` returns when no other request was faster.

    Raises:
        StorageError: others were faster every time.
    """
    for _ in range(MAX_RACES):
        try:
            return attempt()
        except StateConflict:
            continue
    raise StorageError("too many requests for one offer at once")
