"""Several requests of one worker that each look for a row find theirs by one statement.

On PostgreSQL the way to the database and back costs a request more than verifying two signatures.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from wallet_core.errors import WalletError

V = TypeVar("V")

MOST = 64
"""Keys of one statement."""


class LookTogether(Generic[V]):
    """Looks up, in the next turn of the event loop, what was asked for in this one. One that is alone waits no longer.

    Args:
        look: returns what there is by its key, of at most :data:`MOST` keys; an error for what cannot be read.
    """

    def __init__(self, look: Callable[[Sequence[str]], Mapping[str, V | WalletError]]) -> None:
        self._look = look
        self._waiting: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, list[asyncio.Future[V | None]]]] = (
            WeakKeyDictionary()
        )

    async def __call__(self, key: str) -> V | None:
        """Return what there is under ``key``. Raises the error that ``look`` returns for it, and what it raises."""
        loop = asyncio.get_running_loop()
        waiting = self._waiting.get(loop)
        if waiting is None:
            waiting = self._waiting[loop] = defaultdict(list)
            loop.call_soon(self._answer, loop)
        future: asyncio.Future[V | None] = loop.create_future()
        waiting[key].append(future)
        return await future

    def _answer(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting = self._waiting.pop(loop)
        keys = [*waiting]
        for start in range(0, len(keys), MOST):
            some = keys[start : start + MOST]
            found: Mapping[str, object]
            try:
                found = self._look(some)
            except Exception as exc:  # noqa: BLE001 - it goes to the callers, as it is: none of them may wait for ever
                found = dict.fromkeys(some, exc)
            for key in some:
                for future in waiting[key]:
                    _settle(future, found.get(key))


def _settle(future: asyncio.Future[Any], found: object) -> None:
    if future.done():  # the caller went away
        return
    if isinstance(found, Exception):
        future.set_exception(found)
    else:
        future.set_result(found)
