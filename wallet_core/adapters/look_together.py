"""Several requests of one worker that each look for a row find theirs by one statement.

On PostgreSQL the way to the database and back costs a request more than verifying two signatures.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from wallet_core.errors import StorageError, WalletError

V = TypeVar("V")


class LookTogether(Generic[V]):
    """Looks up, in the next turn of the event loop, what was asked for in this one.

    Args:
        look: returns what there is by its key; an error for what cannot be read.
    """

    def __init__(self, look: Callable[[Sequence[str]], Mapping[str, V | WalletError]]) -> None:
        self._look = look
        self._waiting: dict[asyncio.AbstractEventLoop, dict[str, list[asyncio.Future[V | None]]]] = {}

    async def __call__(self, key: str) -> V | None:
        """Return what there is under ``key``. Raises the error that ``look`` returns for it, and what it raises.

        Two that ask for one key in one turn are given the same object.
        """
        loop = asyncio.get_running_loop()
        waiting = self._waiting.get(loop)
        if waiting is None:
            waiting = self._waiting[loop] = defaultdict(list)
            loop.call_soon(self._look_up, loop)
        future: asyncio.Future[V | None] = loop.create_future()
        waiting[key].append(future)
        return await future

    def _look_up(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting = self._waiting.pop(loop)
        found = self._found([*waiting])
        for key, futures in waiting.items():
            for future in futures:
                _answer(future, found.get(key))

    def _found(self, keys: Sequence[str]) -> Mapping[str, object]:
        try:
            return self._look(keys)
        except Exception as exc:  # noqa: BLE001 - it goes to the callers, as it is: none of them may wait for ever
            # A database that fails one fails all. Anything else may be about one of them.
            if isinstance(exc, StorageError) or len(keys) == 1:
                return dict.fromkeys(keys, exc)
        return {key: self._found([key]).get(key) for key in keys}


def _answer(future: asyncio.Future[Any], found: object) -> None:
    if future.done():  # the caller went away
        return
    if isinstance(found, Exception):
        future.set_exception(found)
    else:
        future.set_result(found)
