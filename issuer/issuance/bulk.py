"""Replacing the copies of many people: one order of an agency as it is remembered between two chunks.

```text
Running ──chunk──▶ Running ──last chunk──▶ Done
   │ ▲    ╲
pause resume ╲cancel
   ▼ │         ▼
 Paused ─cancel▶ Cancelled
```

What was marked stays marked when an order is paused or cancelled: those people's wallets fetch new copies all the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from wallet_core.errors import StateConflict
from wallet_core.types import AgencyId, Json, JsonObject

CHUNK: Final = 100
"""People of one transaction, about a thousand copies: other writers wait no longer than for an import."""


@dataclass(frozen=True, slots=True)
class BulkOrder:
    """What an agency ordered.

    Attributes:
        type_id: the credential type, in all its forms.
        grace: how long old copies stay good while wallets fetch new ones; zero revokes them at once.
        reason: why; only the agency reads it.
        ordered_by: who.
        subjects: how many people it concerned when it was ordered.
        copies: how many copies they had.
    """

    type_id: str
    grace: timedelta
    reason: str
    ordered_by: str
    subjects: int
    copies: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has come. ``cursor`` is the last person that was looked at, in the order of subject ids."""

    cursor: str = ""
    subjects: int = 0
    copies: int = 0


@dataclass(frozen=True, slots=True)
class Running:
    """A worker goes from person to person."""

    order: BulkOrder
    progress: Progress


@dataclass(frozen=True, slots=True)
class Paused:
    """Nothing happens until somebody resumes it."""

    order: BulkOrder
    progress: Progress


@dataclass(frozen=True, slots=True)
class Done:
    """Everybody was looked at."""

    order: BulkOrder
    progress: Progress


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody ended it before the last person."""

    order: BulkOrder
    progress: Progress


BulkState: TypeAlias = Running | Paused | Done | Cancelled
_STATES: Final[Mapping[str, type[Running | Paused | Done | Cancelled]]] = {
    "running": Running,
    "paused": Paused,
    "done": Done,
    "cancelled": Cancelled,
}


@dataclass(frozen=True, slots=True)
class BulkReissuance:
    """A stored order."""

    id: str
    agency_id: AgencyId
    version: int
    state: BulkState
    created_at: datetime


def go_on(state: BulkState, *, cursor: str | None, subjects: int, copies: int) -> Running | Done:
    """Return the state after a chunk; ``cursor`` is the last person of it, None after the last chunk.

    Raises:
        StateConflict: it is not running.
    """
    if not isinstance(state, Running):
        raise StateConflict("the re-issuance is not running")
    before = state.progress
    after = Progress(before.cursor if cursor is None else cursor, before.subjects + subjects, before.copies + copies)
    return Done(state.order, after) if cursor is None else Running(state.order, after)


def pause(state: BulkState) -> Paused:
    """Return the state after a pause. Raises ``StateConflict`` unless it runs or is paused already."""
    if not isinstance(state, Running | Paused):
        raise StateConflict("the re-issuance has ended")
    return Paused(state.order, state.progress)


def resume(state: BulkState) -> Running:
    """Return the state after a pause has ended. Raises ``StateConflict`` unless it is paused or runs already."""
    if not isinstance(state, Running | Paused):
        raise StateConflict("the re-issuance has ended")
    return Running(state.order, state.progress)


def cancel(state: BulkState) -> Cancelled:
    """Return the state after it was ended. Raises ``StateConflict`` if it was done before."""
    if isinstance(state, Done):
        raise StateConflict("the re-issuance has ended")
    return Cancelled(state.order, state.progress)


MOVES: Final[Mapping[str, Callable[[BulkState], BulkState]]] = {"pause": pause, "resume": resume, "cancel": cancel}
"""What people can do with an order, by the words of our API."""


def bulk_kind(state: BulkState) -> str:
    """Return the name of the state as our API says it: running, paused, done, cancelled."""
    return type(state).__name__.lower()


def bulk_to_json(state: BulkState) -> JsonObject:
    """Return ``state`` as it is stored; :func:`bulk_from_json` reads it."""
    order, progress = state.order, state.progress
    return {
        "type_id": order.type_id,
        "grace": int(order.grace.total_seconds()),
        "reason": order.reason,
        "ordered_by": order.ordered_by,
        "subjects": order.subjects,
        "copies": order.copies,
        "cursor": progress.cursor,
        "subjects_done": progress.subjects,
        "copies_done": progress.copies,
    }


def bulk_from_json(kind: str, body: Mapping[str, Json]) -> BulkState:
    """Return the state that :func:`bulk_to_json` wrote. Only for what we stored ourselves (``KeyError`` otherwise)."""
    order = BulkOrder(
        str(body["type_id"]),
        timedelta(seconds=_number(body["grace"])),
        str(body["reason"]),
        str(body["ordered_by"]),
        _number(body["subjects"]),
        _number(body["copies"]),
    )
    progress = Progress(str(body["cursor"]), _number(body["subjects_done"]), _number(body["copies_done"]))
    return _STATES[kind](order, progress)


def _number(value: Json) -> int:
    return int(str(value))
