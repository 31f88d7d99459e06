"""What the use cases of webhooks need."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from verifier.relying_parties.ports import PartyId
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.ports import Clock, UnitOfWork
from wallet_core.types import RandomBytes


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a relying party is told.

    Attributes:
        url: for requests that name none of their own; None if there is no such.
        secret: what signs.
        previous: what signed before it was rotated.
        previous_until: until when that signs beside it.
    """

    url: str | None
    secret: str
    previous: str | None = None
    previous_until: datetime | None = None

    def secrets(self, now: datetime) -> tuple[str, ...]:
        """Return what signs now, the current one first."""
        # webhook-1-rotation
        if self.previous is None or self.previous_until is None or now >= self.previous_until:
            return (self.secret,)
        return self.secret, self.previous


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something a relying party has not heard yet.

    Attributes:
        id: ``webhook-id``, the same on every try.
        party_id: whose it is.
        presentation_id: what moved.
        event: how.
        url: where it goes.
        body: what it says.
        created_at: when it happened.
        turn: which job is about it.
        tries: made since it happened, or since it was sent again.
        next_at: when it is tried next; None before the first try and after the last.
        status: what the receiver answered last; None if it was not reached.
        problem: why the last try failed.
        dead_at: when we gave up.
    """

    id: str
    party_id: PartyId
    presentation_id: str
    event: str
    url: str
    body: bytes
    created_at: datetime
    turn: int
    tries: int
    next_at: datetime | None
    status: int | None
    problem: str
    dead_at: datetime | None


class Webhooks(Protocol):
    """Endpoints and deliveries of every relying party, with the jobs that send them."""

    def endpoint(self, party_id: PartyId) -> Endpoint | None:
        """Return where a party is told."""
        ...

    def put(self, party_id: PartyId, endpoint: Endpoint) -> None:
        """Store where a party is told."""
        ...

    def remove(self, party_id: PartyId) -> bool:
        """Forget where a party is told, and return whether that was known."""
        ...

    def find(self, delivery_id: str) -> Delivery | None:
        """Return a delivery; None if it was heard."""
        ...

    def failed(self, party_id: PartyId, *, before: str, limit: int) -> Sequence[Delivery]:
        """Return a party's deliveries that failed at least once, newest first."""
        ...

    def heard(self, delivery: Delivery) -> None:
        """Forget a delivery: it was heard."""
        ...

    def put_off(self, delivery: Delivery, wait: timedelta | None) -> None:
        """Store a delivery in its next turn, with a job for it after ``wait``; without one if that is None."""
        ...

    def delete_dead(self, *, before: datetime, limit: int) -> int:
        """Delete up to ``limit`` deliveries that were given up before then, and return how many."""
        ...


@dataclass(frozen=True, slots=True)
class WebhookStorage:
    """One transaction and the webhooks in it."""

    unit: UnitOfWork
    webhooks: Webhooks


@dataclass(frozen=True, slots=True)
class WebhookPorts:
    """Everything the use cases of webhooks need. ``send`` makes one request and raises ``FetchError``."""

    reading: Callable[[], WebhookStorage]
    send: Callable[[HttpRequest], HttpResponse]
    clock: Clock
    random: RandomBytes
