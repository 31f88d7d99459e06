"""Webhooks in the database, and the outbox: what happens to a presentation is noted where it is stored."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, insert, or_, select, update

from verifier.relying_parties.ports import PartyId
from verifier.tables import APP_TABLES, table_of
from verifier.webhooks.ports import Delivery, Endpoint
from verifier.webhooks.tables import WebhookDeliveryRow, WebhookRow
from wallet_core.adapters.jobs import enqueue
from wallet_core.adapters.sql import UnitOfWork, delete_some
from wallet_core.encoding import strict_json
from wallet_core.ports import Seal
from wallet_core.types import JsonObject

QUEUE: Final = "webhooks"
DELIVER: Final = "webhooks.deliver"

WEBHOOK: Final = table_of(WebhookRow)
_DELIVERY = table_of(WebhookDeliveryRow)
_ADD = insert(_DELIVERY)


def announce(
    connection: Connection,
    *,
    party_id: str,
    presentation_id: str,
    policy_id: str | None,
    url: str,
    state: str,
    at: datetime,
) -> None:
    """Note that a presentation moved, with the job that tells its relying party, in the caller's transaction.

    The body has the id and the state, never a claim: in the same-device flow nobody may read any yet (protocols 24).
    """
    # The time stands first, so that lists are read off the index; no full stop, which separates what is signed.
    message_id = f"msg_{int(at.timestamp() * 1000):012x}{secrets.token_hex(12)}"
    event = f"presentation.{state}"
    body = {
        "type": event,
        "timestamp": at.isoformat().replace("+00:00", "Z"),
        "data": {"id": presentation_id, "state": state, "policy": policy_id},
    }
    row = {
        "id": message_id,
        "party_id": party_id,
        "presentation_id": presentation_id,
        "event": event,
        "url": url,
        "body": strict_json.dumps(body),
        "created_at": at,
        "turn": 1,
        "tries": 0,
        "problem": "",
    }
    connection.execute(_ADD, row)
    enqueue(connection, APP_TABLES, DELIVER, {"delivery": message_id, "turn": 1}, queue=QUEUE)


class SqlWebhooks:
    """Endpoints and deliveries of every relying party."""

    def __init__(self, unit: UnitOfWork, seal: Seal) -> None:
        self._unit = unit
        self._seal = seal

    def endpoint(self, party_id: PartyId) -> Endpoint | None:
        """Return where a party is told."""
        row = self._unit.connection.execute(select(WEBHOOK).where(WEBHOOK.c.party_id == party_id)).one_or_none()
        if row is None:
            return None
        previous = None if row.sealed_previous is None else self._open(row.sealed_previous, party_id)
        return Endpoint(row.url, self._open(row.sealed_secret, party_id), previous, row.previous_until)

    def put(self, party_id: PartyId, endpoint: Endpoint) -> None:
        """Store where a party is told."""
        previous = endpoint.previous
        values = {
            "url": endpoint.url,
            "sealed_secret": self._seal.seal(endpoint.secret.encode(), _context(party_id)),
            "sealed_previous": None if previous is None else self._seal.seal(previous.encode(), _context(party_id)),
            "previous_until": endpoint.previous_until,
        }
        changed = update(WEBHOOK).where(WEBHOOK.c.party_id == party_id).values(**values)
        if self._unit.connection.execute(changed).rowcount == 0:
            self._unit.connection.execute(insert(WEBHOOK), {"party_id": party_id, **values})

    def remove(self, party_id: PartyId) -> bool:
        """Forget where a party is told, and return whether that was known."""
        return self._unit.connection.execute(delete(WEBHOOK).where(WEBHOOK.c.party_id == party_id)).rowcount == 1

    def find(self, delivery_id: str) -> Delivery | None:
        """Return a delivery; None if it was heard."""
        row = self._unit.connection.execute(select(_DELIVERY).where(_DELIVERY.c.id == delivery_id)).one_or_none()
        return None if row is None else _delivery(row)

    def failed(self, party_id: PartyId, *, before: str, limit: int) -> Sequence[Delivery]:
        """Return a party's deliveries that failed at least once, newest first."""
        found = (
            select(_DELIVERY)
            .where(_DELIVERY.c.party_id == party_id)
            .where(or_(_DELIVERY.c.tries > 0, _DELIVERY.c.problem != ""))
            .order_by(_DELIVERY.c.id.desc())
            .limit(limit)
        )
        if before:
            found = found.where(_DELIVERY.c.id < before)
        return [_delivery(row) for row in self._unit.connection.execute(found)]

    def heard(self, delivery: Delivery) -> None:
        """Forget a delivery: it was heard."""
        self._unit.connection.execute(delete(_DELIVERY).where(_DELIVERY.c.id == delivery.id))

    def put_off(self, delivery: Delivery, wait: timedelta | None) -> None:
        """Store a delivery after a failed try, with a job for the next one."""
        values = {
            "turn": delivery.turn,
            "tries": delivery.tries,
            "next_at": delivery.next_at,
            "status": delivery.status,
            "problem": delivery.problem[:300],
            "dead_at": delivery.dead_at,
        }
        # Only from the turn before: of two who put it off at once, one job comes of it.
        mine = update(_DELIVERY).where(_DELIVERY.c.id == delivery.id, _DELIVERY.c.turn == delivery.turn - 1)
        moved = self._unit.connection.execute(mine.values(**values)).rowcount == 1
        if moved and wait is not None:
            payload: JsonObject = {"delivery": delivery.id, "turn": delivery.turn}
            enqueue(self._unit.connection, APP_TABLES, DELIVER, payload, queue=QUEUE, delay=wait)

    def delete_dead(self, *, before: datetime, limit: int) -> int:
        """Delete up to ``limit`` deliveries that were given up before then, and return how many."""
        return delete_some(self._unit.connection, _DELIVERY, _DELIVERY.c.dead_at < before, limit=limit)

    def _open(self, sealed: bytes, party_id: str) -> str:
        return self._seal.open(sealed, _context(party_id)).decode()


def _context(party_id: str) -> str:
    return f"verifier_webhook.secret:{party_id}"


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(**{name: getattr(row, name) for name in Delivery.__slots__})
