"""Suspending, revoking and reinstating: one place of one list changes, in the transaction of the caller."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from issuer.status.ports import StatusChange, StatusListHead, StatusLists, StatusTerms, StoredStatusList
from issuer.status.use_cases.places import DECOYS, is_decoy, random_place
from wallet_core import spec_versions as spec
from wallet_core.errors import InvalidRequest, StateConflict
from wallet_core.trust.status_list.array import Status, StatusList, with_statuses
from wallet_core.types import AgencyId, RandomBytes

STATUSES: Final = {"valid": Status.VALID, "suspended": Status.SUSPENDED, "invalid": Status.INVALID}
"""The words of our API for the statuses."""

MAX_REASON: Final = 500
"""Characters of a reason, which only the agency reads."""

_ID_BYTES = 16

# What may follow what. INVALID is for good: whoever was told so may have acted on it.
_MOVES: Final = {
    (Status.VALID, Status.SUSPENDED),
    (Status.VALID, Status.INVALID),
    (Status.SUSPENDED, Status.VALID),
    (Status.SUSPENDED, Status.INVALID),
}


@dataclass(frozen=True, slots=True)
class StatusOrder:
    """A new status, why, and who says so."""

    status: str
    reason: str
    changed_by: str


def change_status(
    lists: StatusLists,
    terms: StatusTerms,
    agency_id: AgencyId,
    credential_id: str,
    order: StatusOrder,
    *,
    now: datetime,
    random: RandomBytes,
) -> None:
    """Give a credential another status and remember why. Giving it the one it has changes nothing.

    The array is locked, one place of it is written, and the list is signed anew when it is next asked for.

    Raises:
        InvalidRequest: no such status, a reason that is too long, or one that the format does not have.
        StateConflict: the credential has no place in a list, or was revoked, which is for good.
    """
    after = _wanted(order)
    entry = lists.entry(agency_id, credential_id)
    stored = None if entry is None else lists.read(agency_id, entry.number, to_change=True)
    if entry is None or stored is None:
        raise StateConflict("the credential was issued without a status; it ends when it expires")
    before = StatusList(stored.head.bits, stored.array).status(entry.idx)
    if before == after:
        return
    _check_move(stored.head, before, after)
    changed = {entry.idx: credential_id, **_decoy(stored, terms, after, entry.idx, random)}
    statuses = StatusList(stored.head.bits, stored.array)
    lists.write(stored.head, with_statuses(stored.array, stored.head.bits, dict.fromkeys(changed, after)))
    lists.record(
        _change(stored.head, idx, whose, (statuses.status(idx), after), order, now=now, random=random)
        for idx, whose in changed.items()
    )


def revoke_all(
    lists: StatusLists,
    terms: StatusTerms,
    agency_id: AgencyId,
    credential_ids: Sequence[str],
    order: StatusOrder,
    *,
    now: datetime,
    random: RandomBytes,
) -> None:
    """Revoke many credentials, each list locked and written once. What has no place, or was revoked before, stays so.

    ``order`` says why and who; its status is ``invalid``. Lists are taken in the order of their numbers, so that two
    requests never wait for each other; what groups of them do is ``adapters.group_commit``'s.
    """
    by_list: dict[int, dict[int, str]] = defaultdict(dict)
    for entry in lists.entries(agency_id, credential_ids):
        by_list[entry.number][entry.idx] = entry.credential_id
    for number, places in sorted(by_list.items()):
        stored = lists.read(agency_id, number, to_change=True)
        if stored is not None:
            _revoke_places(lists, terms, stored, places, order, now=now, random=random)


def _revoke_places(
    lists: StatusLists,
    terms: StatusTerms,
    stored: StoredStatusList,
    places: dict[int, str],
    order: StatusOrder,
    *,
    now: datetime,
    random: RandomBytes,
) -> None:
    after, statuses = _wanted(order), StatusList(stored.head.bits, stored.array)
    changed: dict[int, str | None] = {}
    for idx, credential_id in places.items():
        if (statuses.status(idx), after) in _MOVES:
            changed |= {**_decoy(stored, terms, after, idx, random), idx: credential_id}
    if not changed:
        return
    lists.write(stored.head, with_statuses(stored.array, stored.head.bits, dict.fromkeys(changed, after)))
    lists.record(
        _change(stored.head, idx, whose, (statuses.status(idx), after), order, now=now, random=random)
        for idx, whose in changed.items()
    )


def possible_statuses(credential_format: str, status: str) -> Sequence[str]:
    """Return what the status of a credential of this format can be changed to; nothing after it was revoked."""
    words = [word for word, after in STATUSES.items() if (STATUSES[status], after) in _MOVES]
    return [word for word in words if credential_format != spec.FORMAT_MDOC or word != "suspended"]


def _wanted(order: StatusOrder) -> Status:
    if order.status not in STATUSES:
        raise InvalidRequest(f"status is among {', '.join(STATUSES)}")
    if len(order.reason) > MAX_REASON:
        raise InvalidRequest(f"the reason has at most {MAX_REASON} characters")
    return STATUSES[order.status]


def _check_move(head: StatusListHead, before: int, after: Status) -> None:
    # Protocols 11.4, 11.8: an mdoc list has one bit, and revoking is for good.
    # tsl-7.1-mdoc
    if head.format == spec.FORMAT_MDOC and after is Status.SUSPENDED:
        raise InvalidRequest("an mdoc cannot be suspended: revoke it and issue a new one", clause="ISO/IEC 18013-5")
    # tsl-7.1-for-good
    if (before, after) not in _MOVES:
        raise StateConflict("a revoked credential stays revoked: issue a new one", clause="Token Status List 7.1")


def _decoy(
    stored: StoredStatusList, terms: StatusTerms, after: Status, taken: int, random: RandomBytes
) -> dict[int, None]:
    """Return, every other time, a place that no credential has and that may change in the same way."""
    if random(1)[0] & 1:
        return {}
    statuses = StatusList(stored.head.bits, stored.array)
    for _ in range(4 * DECOYS):
        idx = random_place(stored.head, random)
        if idx != taken and (statuses.status(idx), after) in _MOVES and is_decoy(terms, stored.head, idx):
            return {idx: None}
    return {}


def _change(
    head: StatusListHead,
    idx: int,
    credential_id: str | None,
    move: tuple[int, int],
    order: StatusOrder,
    *,
    now: datetime,
    random: RandomBytes,
) -> StatusChange:
    # In the order of the changes of the list, whatever the workers' clocks say.
    stamp = f"{head.number:08x}{head.version:012x}{random(_ID_BYTES).hex()}"
    reason = order.reason if credential_id is not None else ""
    return StatusChange(stamp, head.agency_id, head.number, idx, credential_id, *move, reason, order.changed_by, now)
