"""Looking up the status of what was presented.

A copy of a list is used for its ``ttl``; then a fresh one is asked for. Copies lie in the database, so that one worker
fetches for all and an issuer that cannot be reached is not missed at once. Fetching happens between two looks, never
within a transaction: a look that lacks a list says so, the list is fetched, and the answer is looked at again.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

from verifier.status.ports import RunFlow, StatusStorage, StorageFactory, StoredList
from wallet_core import spec_versions as spec
from wallet_core.errors import WalletError
from wallet_core.ports import Clock
from wallet_core.protocols.openid4vp.presented import ChainVerifier
from wallet_core.protocols.openid4vp.statuses import StatusLook
from wallet_core.trust.status_list.fetching import fetch_status_list
from wallet_core.trust.status_list.reading import FetchedStatusList, ListName, read_status_list

T = TypeVar("T")

MAX_KNOWN_BYTES: Final = 256 << 20
"""Bytes of lists that one worker holds ready beside the database: eight thousand of the usual size."""

MAX_FAILED: Final = 1024
"""Lists of which one worker remembers for some seconds that they could not be had."""

RETRY_AFTER: Final = timedelta(seconds=5)
"""How long a list that could not be had is not asked for again: an issuer that is down must not slow every check."""

BATCH: Final = 50
"""Old copies that one job deletes: a large list has megabytes."""

KEPT: Final = timedelta(days=7)
"""How long a copy stays in the database after it was fetched; no policy relies on an older one."""


class StatusLists:
    """The lists one worker knows: its own memory on top of the database.

    Args:
        storage: opens a unit that writes.
        reading: opens one that only reads.
        verify_chain: whom we trust to issue credentials, and so to sign lists.
        verify_mdoc_chain: whom we trust to issue mdocs, and so to sign theirs.
        clock: tells the time.
    """

    def __init__(
        self,
        storage: StorageFactory,
        reading: StorageFactory,
        verify_chain: ChainVerifier,
        verify_mdoc_chain: ChainVerifier,
        clock: Clock,
    ) -> None:
        self._storage = storage
        self._reading = reading
        self._verify_chain = {
            spec.STATUS_LIST_JWT_MEDIA_TYPE: verify_chain,
            spec.STATUS_LIST_CWT_MEDIA_TYPE: verify_mdoc_chain,
        }
        self._clock = clock
        self._known: dict[ListName, FetchedStatusList] = {}
        self._failed: dict[ListName, tuple[datetime, WalletError]] = {}
        self._fetching: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[ListName, asyncio.Task[None]]] = (
            WeakKeyDictionary()
        )

    def look(self, name: ListName, *, now: datetime) -> FetchedStatusList | None:
        """Return the newest copy of a list that there is, fresh or not; None if there is none that holds."""
        known = self._known.get(name)
        if known is not None and now < known.fresh_until:
            return known
        storage = self._reading()
        with storage.unit:
            stored = storage.lists.find(*name)
        if stored is not None and (known is None or stored.fetched_at > known.fetched_at):
            known = self._read_again(name, stored, now)
        if known is not None and not _holds(known, now):
            return None
        return known

    def failure(self, name: ListName, *, now: datetime | None = None) -> WalletError | None:
        """Return why a list could not be had; with ``now`` only if that was a moment ago."""
        until, error = self._failed.get(name, (None, None))
        return error if until is None or now is None or now < until else None

    async def fetch(self, name: ListName, run: RunFlow) -> None:
        """Ask for a list, verify it and keep it; once, however many answers wait for it.

        What goes wrong is remembered for :data:`RETRY_AFTER`.
        """
        fetching = self._fetching.setdefault(asyncio.get_running_loop(), {})
        task = fetching.get(name)
        if task is None:
            task = fetching[name] = asyncio.create_task(self._fetch(name, run))
            task.add_done_callback(lambda _: fetching.pop(name, None))
        await asyncio.shield(task)

    async def _fetch(self, name: ListName, run: RunFlow) -> None:
        uri, media_type = name
        try:
            token = await run.arun(fetch_status_list(uri, media_type=media_type))
            now = self._clock.now()
            stored = StoredList(uri, media_type, token, now)
            known = self._verify(stored, now)
        except WalletError as exc:
            while len(self._failed) >= MAX_FAILED:
                self._failed.pop(next(iter(self._failed)))
            self._failed[name] = (self._clock.now() + RETRY_AFTER, exc)
            return
        storage = self._storage()
        with storage.unit:
            storage.lists.put(stored)
        self._failed.pop(name, None)
        self._keep(name, known)

    def _read_again(self, name: ListName, stored: StoredList, now: datetime) -> FetchedStatusList | None:
        """Return another worker's copy. It is verified here too: anchors may have changed since it was stored."""
        try:
            known = self._verify(stored, now)
        except WalletError:
            return self._known.get(name)
        self._keep(name, known)
        return known

    def _keep(self, name: ListName, known: FetchedStatusList) -> None:
        """Hold a list ready, the newest last, and let go of the oldest beyond the limit."""
        self._known.pop(name, None)
        self._known[name] = known
        held = sum(each.size for each in self._known.values())
        while held > MAX_KNOWN_BYTES and len(self._known) > 1:
            held -= self._known.pop(next(iter(self._known))).size

    def _verify(self, stored: StoredList, now: datetime) -> FetchedStatusList:
        return read_status_list(
            stored.token,
            (stored.uri, stored.media_type),
            verify_signer=self._verify_chain[stored.media_type],
            fetched_at=stored.fetched_at,
            now=now,
        )


async def look_until_known(
    lists: StatusLists, run: RunFlow, look: Callable[[StatusLook], T], *, is_refused: Callable[[T], bool]
) -> T:
    """Look at an answer, fetch the lists it lacked, and look again until it lacks none. Return the last look's result.

    Args:
        lists: what is known.
        run: drives the fetching.
        look: looks at the answer once.
        is_refused: says of a result that the answer is refused whatever the lists say: then none is fetched (8.3).
    """
    tried: frozenset[ListName] = frozenset()
    while True:
        current = StatusLook(lists, tried)
        result = look(current)
        # tsl-8.3-first-the-token
        if is_refused(result) or not current.wanted:
            return result
        await asyncio.gather(*(lists.fetch(name, run) for name in current.wanted))
        tried |= current.wanted


def delete_old_lists(storage: StatusStorage, *, now: datetime) -> int:
    """Delete up to :data:`BATCH` copies that nobody may rely on any more, in the caller's unit; return how many."""
    return storage.lists.delete_old(before=now - KEPT, limit=BATCH)


def _holds(known: FetchedStatusList, now: datetime) -> bool:
    until = known.statuses.claims.expires_at
    return until is None or now < until
