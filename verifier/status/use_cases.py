"""Looking up the status of what was presented.

A copy of a list is used for its ``ttl``; then a fresh one is asked for. Copies lie in the database, so that one worker
fetches for all and an issuer that cannot be reached is not missed at once. Fetching happens between two looks, never
within a transaction: a look that lacks a list says so, the list is fetched, and the answer is looked at again.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from verifier.ports import Clock
from verifier.status.ports import RunFlow, StatusStorage, StorageFactory, StoredList
from wallet_core import spec_versions as spec
from wallet_core.catalogue.policy import StatusRule
from wallet_core.errors import (
    FetchError,
    MalformedError,
    StatusUnknown,
    WalletError,
)
from wallet_core.protocols.openid4vp.validation import ChainVerifier
from wallet_core.trust.status_list.cwt import parse_status_list_cwt, require_mdoc_profile
from wallet_core.trust.status_list.fetching import fetch_status_list
from wallet_core.trust.status_list.judging import (
    StatusFinding,
    StatusVerifier,
    fresh_until,
    judge_status,
    validate_list_signer,
)
from wallet_core.trust.status_list.reference import StatusReference, parse_status
from wallet_core.trust.status_list.token import (
    TokenParser,
    VerifiedStatusList,
    parse_status_list_jwt,
    verify_status_list_token,
)
from wallet_core.trust.x509 import TrustedCertificate

T = TypeVar("T")

MAX_KNOWN_BYTES: Final = 256 << 20
"""Bytes of lists that one worker holds ready beside the database: eight thousand of the usual size."""

MAX_FAILED: Final = 1024
"""Lists of which one worker remembers for some seconds that they could not be had."""

RETRY_AFTER: Final = timedelta(seconds=5)
"""How long a list that could not be had is not asked for again: an issuer that is down must not slow every check."""

KEPT: Final = timedelta(days=7)
"""How long a copy stays in the database after it was fetched; no policy relies on an older one."""

DEFAULT_RULE: Final = StatusRule(max_age_hours=1, unknown="refuse")
"""What holds where a relying party asks by a query of its own: no list newer than an hour, no acceptance."""

ListName: TypeAlias = tuple[str, str]
"""Address and media type of a list."""

_PARSERS: Final[Mapping[str, TokenParser]] = {
    spec.STATUS_LIST_JWT_MEDIA_TYPE: parse_status_list_jwt,
    spec.STATUS_LIST_CWT_MEDIA_TYPE: parse_status_list_cwt,
}


@dataclass(frozen=True, slots=True)
class KnownList:
    """A copy of a list that was verified in this process."""

    statuses: VerifiedStatusList
    signer: TrustedCertificate
    fetched_at: datetime
    fresh_until: datetime

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, about."""
        return len(self.statuses.statuses.data) + len(self.statuses.claims.lst)


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
        self._known: dict[ListName, KnownList] = {}
        self._failed: dict[ListName, tuple[datetime, WalletError]] = {}
        self._fetching: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[ListName, asyncio.Task[None]]] = (
            WeakKeyDictionary()
        )

    def look(self, name: ListName, *, now: datetime) -> KnownList | None:
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

    def _read_again(self, name: ListName, stored: StoredList, now: datetime) -> KnownList | None:
        """Return another worker's copy. It is verified here too: anchors may have changed since it was stored."""
        try:
            known = self._verify(stored, now)
        except WalletError:
            return self._known.get(name)
        self._keep(name, known)
        return known

    def _keep(self, name: ListName, known: KnownList) -> None:
        """Hold a list ready, the newest last, and let go of the oldest beyond the limit."""
        self._known.pop(name, None)
        self._known[name] = known
        held = sum(each.size for each in self._known.values())
        while held > MAX_KNOWN_BYTES and len(self._known) > 1:
            held -= self._known.pop(next(iter(self._known))).size

    def _verify(self, stored: StoredList, now: datetime) -> KnownList:
        token = _PARSERS[stored.media_type](stored.token)
        # ISO/IEC 18013-5, second edition: the lists of mdocs are signed below the same IACA.
        # HAIP 6.1.1: the signer's key comes with its chain; a token without one is refused like one of a stranger.
        # tsl-11.3-chain
        signer = self._verify_chain[stored.media_type](token.chain, now)
        statuses = verify_status_list_token(token, key=signer.public_key, uri=stored.uri, now=now)
        if stored.media_type == spec.STATUS_LIST_CWT_MEDIA_TYPE:
            require_mdoc_profile(statuses.claims)
        until = fresh_until(statuses.claims, fetched_at=stored.fetched_at)
        return KnownList(statuses, signer, stored.fetched_at, until)


@dataclass(slots=True)
class StatusLook:
    """One look at the statuses of an answer.

    Attributes:
        lists: what is known.
        tried: lists that were fetched for this answer; they are not wanted again.
        wanted: fills with the lists that are lacking. If any is, the look says nothing: fetch them and look again.
        offline: use the copies there are, fresh or not, and want none.
    """

    lists: StatusLists
    tried: frozenset[ListName] = frozenset()
    wanted: set[ListName] = field(default_factory=set)
    offline: bool = False

    def under(self, rule: StatusRule) -> StatusVerifier:
        """Return the check of one credential's status under a policy's rule."""

        def verify(status: Any, issuer: TrustedCertificate, media_type: str, now: datetime) -> StatusFinding:
            try:
                reference = parse_status(status)
            except MalformedError as exc:
                raise StatusUnknown(exc.description, clause=exc.clause) from exc
            return self._find(reference, issuer, media_type, rule, now)

        return verify

    def _find(
        self, reference: StatusReference, issuer: TrustedCertificate, media_type: str, rule: StatusRule, now: datetime
    ) -> StatusFinding:
        name = (reference.uri, media_type)
        known = self.lists.look(name, now=now)
        oldest = now - timedelta(hours=rule.max_age_hours)
        if known is None or now >= known.fresh_until or known.fetched_at < oldest:
            tried = self.offline or name in self.tried
            failure = self.lists.failure(name, now=None if tried else now)
            if failure is None and not tried:
                # Provisional: nobody believes a look that wanted something.
                self.wanted.add(name)
                return StatusFinding("unknown")
            # A list that came and is not good is no excuse: nothing can be said, whatever the policy (8.3).
            # tsl-8.3-bad-list
            if failure is not None and not isinstance(failure, FetchError):
                raise StatusUnknown(failure.description, clause=failure.clause) from failure
        if known is None:
            return _unknown(rule, None)
        validate_list_signer(known.signer, issuer)
        found = judge_status(known.statuses, reference, checked_at=known.fetched_at)
        return found if known.fetched_at >= oldest else _unknown(rule, known.fetched_at)


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
    """Delete copies that nobody may rely on any more, in the caller's unit of work, and return how many."""
    return storage.lists.delete_old(before=now - KEPT)


def _unknown(rule: StatusRule, checked_at: datetime | None) -> StatusFinding:
    # What to do without a list is the relying party's policy; refusing is what holds without one.
    # vp-8.6-status-unknown
    if rule.unknown == "refuse":
        raise StatusUnknown("the status of the credential cannot be looked up now", clause="OpenID4VP 8.6")
    return StatusFinding("unknown", checked_at)


def _holds(known: KnownList, now: datetime) -> bool:
    until = known.statuses.claims.expires_at
    return until is None or now < until
