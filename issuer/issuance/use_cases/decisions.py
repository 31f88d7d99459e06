"""What an agency does with deferred requests: see what waits, look at one, decide, take a decision back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from issuer.agencies.ports import Agency
from issuer.issuance.ports import DeferredIssuance, IssuancePorts, Storage
from issuer.issuance.use_cases.dataset import check_claims, issued_type
from issuer.issuance.use_cases.deferring import held_record, seal_record
from issuer.issuance.use_cases.races import read
from wallet_core.catalogue.credential_type import seoul_day
from wallet_core.errors import InvalidRequest, NotFound
from wallet_core.protocols.openid4vci.deferral import (
    MAX_REASON,
    Delivered,
    Denied,
    Lapsed,
    Ready,
    Waiting,
    approve,
    can_undo,
    deny,
    expire,
    state_kind,
    undo,
)
from wallet_core.types import CredentialConfigurationId, JsonObject

PAGE = 50
"""Rows of one page of a list."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decides: ``ready`` (perhaps with other claims), ``denied`` with a reason, or ``waiting`` again."""

    decision: Literal["ready", "denied", "waiting"]
    decided_by: str
    reason: str = ""
    claims: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class DeferredStatus:
    """A deferred request as an agency sees it: ``state`` is waiting, ready, denied, delivered or lapsed."""

    id: str
    offer_id: str
    subject_id: str | None
    configuration_id: CredentialConfigurationId
    copies: int
    state: str
    requested_at: datetime
    expires_at: datetime | None
    decided_at: datetime | None
    decided_by: str
    reason: str
    can_undo: bool


@dataclass(frozen=True, slots=True)
class DeferredDetail:
    """A deferred request with what would be signed today; ``claims`` None where the data are gone."""

    status: DeferredStatus
    claims: JsonObject | None


def decide(
    ports: IssuancePorts, storage: Storage, agency: Agency, deferred_id: str, decision: Decision
) -> DeferredStatus:
    """Decide a deferred request, in the unit of ``storage``; the wallet learns it when it asks next.

    Raises:
        NotFound: the agency has no such request, or its data are gone.
        InvalidRequest: the claims have faults, or a refusal has no reason.
        Expired: what would be stated has ended.
        StateConflict: it was decided before or lapsed; or the wallet has heard of what is to be taken back.
    """
    now = ports.clock.now()
    with storage.unit:
        deferred = _find(storage, agency, deferred_id)
        if decision.decision == "ready":
            state: Ready | Denied | Waiting = approve(deferred.state, decided_by=decision.decided_by, now=now)
            sealed = _checked(ports, storage, agency, deferred, decision.claims, now)
        elif decision.decision == "denied":
            if not decision.reason.strip() or len(decision.reason) > MAX_REASON:
                raise InvalidRequest(f"a refusal has a reason of up to {MAX_REASON} characters")
            state = deny(deferred.state, decided_by=decision.decided_by, reason=decision.reason.strip(), now=now)
            sealed = None
        else:
            state, sealed = undo(deferred.state, now=now), None
        storage.deferrals.advance(deferred, state, sealed=sealed)
        return deferred_status(_find(storage, agency, deferred_id), now)


def list_waiting(ports: IssuancePorts, agency: Agency, *, after: str = "") -> tuple[list[DeferredStatus], str | None]:
    """Return a page of what waits, oldest first, and the cursor of the next page (None at the end)."""
    found = read(ports, lambda storage: storage.deferrals.waiting(agency.id, after=after, limit=PAGE + 1))
    return _page(ports, found)


def list_decided(ports: IssuancePorts, agency: Agency, *, before: str = "") -> tuple[list[DeferredStatus], str | None]:
    """Return a page of what was decided or lapsed, newest first, and the cursor of the next page (None at the end)."""
    found = read(ports, lambda storage: storage.deferrals.decided(agency.id, before=before, limit=PAGE + 1))
    return _page(ports, found)


def count_waiting(ports: IssuancePorts, agency: Agency) -> int:
    """Return how many requests wait for a decision."""
    return read(ports, lambda storage: storage.deferrals.count_waiting(agency.id))


def show_deferred(ports: IssuancePorts, agency: Agency, deferred_id: str) -> DeferredDetail:
    """Return a deferred request with what would be signed today. Raises ``NotFound``."""
    storage, now = ports.reading(), ports.clock.now()
    with storage.unit:
        deferred = _find(storage, agency, deferred_id)
        try:
            issued = issued_type(ports, agency.id, deferred.state.request.configuration_id)
            record = held_record(ports, storage, deferred, issued)
        except NotFound:
            return DeferredDetail(deferred_status(deferred, now), None)
    return DeferredDetail(deferred_status(deferred, now), issued.type.prepare_claims(record, today=seoul_day(now)))


def deferred_status(deferred: DeferredIssuance, now: datetime) -> DeferredStatus:
    """Return a deferred request as an agency sees it now."""
    state = expire(deferred.state, now=now)
    decided = state if isinstance(state, Ready | Denied | Delivered) else None
    return DeferredStatus(
        id=deferred.id,
        offer_id=deferred.offer_id,
        subject_id=deferred.subject_id,
        configuration_id=state.request.configuration_id,
        copies=len(state.request.keys),
        state=state_kind(state),
        requested_at=state.request.requested_at,
        expires_at=None if isinstance(state, Delivered | Lapsed) else state.expires_at,
        decided_at=None if decided is None else decided.decided_at,
        decided_by="" if decided is None else decided.decided_by,
        reason=state.reason if isinstance(state, Denied) else "",
        can_undo=can_undo(state, now=now),
    )


def overall_state(offer: str, deferred: Sequence[str]) -> str:
    """Return the state of an offer with its deferred requests: it waits as long as one of them does."""
    if {"waiting", "ready"}.intersection(deferred):
        return "deferred"
    if offer in {"authorized", "expired"} and "delivered" in deferred:
        return "issued"
    return "refused" if offer in {"authorized", "expired"} and "denied" in deferred else offer


def _checked(
    ports: IssuancePorts,
    storage: Storage,
    agency: Agency,
    deferred: DeferredIssuance,
    claims: JsonObject | None,
    now: datetime,
) -> bytes | None:
    """Check what will be signed, and return it sealed if it is other than what came with the request."""
    issued = issued_type(ports, agency.id, deferred.state.request.configuration_id)
    record = held_record(ports, storage, deferred, issued) if claims is None else claims
    check_claims(issued, record, today=seoul_day(now))
    return None if claims is None else seal_record(ports, agency.id, deferred.id, claims)


def _page(ports: IssuancePorts, found: Sequence[DeferredIssuance]) -> tuple[list[DeferredStatus], str | None]:
    now = ports.clock.now()
    cursor = found[PAGE - 1].id if len(found) > PAGE else None
    return [deferred_status(each, now) for each in found[:PAGE]], cursor


def _find(storage: Storage, agency: Agency, deferred_id: str) -> DeferredIssuance:
    # What is no id of ours is not worth asking the database, which refuses some texts with an error.
    found = storage.deferrals.find(agency.id, deferred_id) if deferred_id.isalnum() else None
    if found is None:
        raise NotFound("no such request")
    return found
