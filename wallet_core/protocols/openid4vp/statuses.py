"""Looking up the status of what was presented (OpenID4VP 8.6, Token Status List 8.3).

Lists are fetched between two looks, never within a transaction: a look that lacks a list says so, the list is fetched,
and the answer is looked at again. Whoever keeps copies for many answers brings them as :class:`KnownLists`;
:func:`look_up_statuses` is for whoever keeps none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeVar

from wallet_core.catalogue.policy import StatusRule
from wallet_core.errors import FetchError, MalformedError, StatusUnknown, WalletError
from wallet_core.http import Flow
from wallet_core.trust.status_list.fetching import fetch_status_list
from wallet_core.trust.status_list.judging import (
    StatusEvidence,
    StatusFinding,
    StatusVerifier,
    judge_status,
    validate_list_signer,
)
from wallet_core.trust.status_list.reading import FetchedStatusList, ListName, SignerVerifier, read_status_list
from wallet_core.trust.status_list.reference import StatusReference, parse_status
from wallet_core.trust.x509 import TrustedCertificate

T = TypeVar("T")

DEFAULT_RULE: Final = StatusRule(max_age_hours=1, unknown="refuse")
"""What holds where nobody says else: no list older than an hour, no acceptance without one."""


class KnownLists(Protocol):
    """The copies of lists that there are."""

    def look(self, name: ListName, *, now: datetime) -> FetchedStatusList | None:
        """Return the newest copy of a list that there is, fresh or not; None if there is none that holds."""
        ...

    def failure(self, name: ListName, *, now: datetime | None = None) -> WalletError | None:
        """Return why a list could not be had; with ``now`` only if that was a moment ago."""
        ...


@dataclass(slots=True)
class StatusLook:
    """One look at the statuses of an answer.

    Attributes:
        lists: what is known.
        tried: lists that were fetched for this answer; they are not wanted again.
        wanted: fills with the lists that are lacking. If any is, the look says nothing: fetch them and look again.
        offline: use the copies there are, fresh or not, and want none.
    """

    lists: KnownLists
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
        evidence = _evidence(known, reference)
        found = judge_status(known.statuses, reference, checked_at=known.fetched_at, evidence=evidence)
        return _unknown(rule, known.fetched_at, evidence) if known.fetched_at < oldest else found


@dataclass(slots=True)
class ListsOfOneAnswer:
    """The lists that were fetched for one answer."""

    good: dict[ListName, FetchedStatusList] = field(default_factory=dict)
    failed: dict[ListName, WalletError] = field(default_factory=dict)

    def look(self, name: ListName, *, now: datetime) -> FetchedStatusList | None:
        """Return the list if it was fetched and holds: it was read a moment ago."""
        del now
        return self.good.get(name)

    def failure(self, name: ListName, *, now: datetime | None = None) -> WalletError | None:
        """Return why it could not be had."""
        del now
        return self.failed.get(name)


def look_up_statuses(
    look: Callable[[StatusLook], T],
    *,
    is_refused: Callable[[T], bool],
    verify_signer: Mapping[str, SignerVerifier],
    now: datetime,
) -> Flow[T]:
    """Look at an answer, fetch the lists it lacked, and look again until it lacks none. Return the last look's result.

    Args:
        look: looks at the answer once.
        is_refused: says of a result that the answer is refused whatever the lists say: then none is fetched (8.3).
        verify_signer: by media type of a list, whom we trust to sign it.
        now: the present time.
    """
    lists, tried = ListsOfOneAnswer(), frozenset[ListName]()
    while True:
        current = StatusLook(lists, tried)
        result = look(current)
        # tsl-8.3-first-the-token
        if is_refused(result):
            return result
        if not current.wanted:
            return result
        for name in sorted(current.wanted):
            try:
                token = yield from fetch_status_list(name[0], media_type=name[1])
                signer = verify_signer[name[1]]
                lists.good[name] = read_status_list(token, name, verify_signer=signer, fetched_at=now, now=now)
            except WalletError as exc:
                lists.failed[name] = exc
        tried |= current.wanted


def _evidence(known: FetchedStatusList, reference: StatusReference) -> StatusEvidence:
    claims = known.statuses.claims
    return StatusEvidence(reference.uri, reference.idx, claims.issued_at, claims.expires_at, known.digest)


def _unknown(rule: StatusRule, checked_at: datetime | None, evidence: StatusEvidence | None = None) -> StatusFinding:
    # What to do without a list is the relying party's policy; refusing is what holds without one.
    # vp-8.6-status-unknown
    if rule.unknown == "refuse":
        raise StatusUnknown("the status of the credential cannot be looked up now", clause="OpenID4VP 8.6")
    return StatusFinding("unknown", checked_at, evidence)
