"""A repeated request gets the first answer: the key, the request's digest and the sealed answer, with the effect.

The row is written in the transaction that does the work, so a crash leaves both or neither, and of two simultaneous
requests the second waits and repeats the first one's answer.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, select, update

from wallet_core.adapters.app_tables import AppTables
from wallet_core.adapters.keystore import Sealer
from wallet_core.adapters.sql import UnitOfWork, insert_if_absent
from wallet_core.encoding import strict_json
from wallet_core.errors import MalformedError, RemoteProtocolError
from wallet_core.types import JsonObject

REMEMBERED = timedelta(hours=24)
"""How long an answer can be had again."""

MAX_KEY_CHARACTERS = 255
"""Characters of an Idempotency-Key; a UUID has 36."""


class IdempotencyMismatch(RemoteProtocolError):
    """The key was used before with another request."""

    code = "idempotency_mismatch"
    http_status = 422


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and JSON body of an answer of our own API."""

    status: int
    body: JsonObject


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """What makes a request the same one: who calls, with which key, and what for.

    Attributes:
        owner: of the API key.
        key: the ``Idempotency-Key`` header.
        request: method, path and body, as bytes.
    """

    owner: str
    key: str
    request: bytes

    def __post_init__(self) -> None:
        """Refuse a key that is empty, long or not printable ASCII."""
        if not 0 < len(self.key) <= MAX_KEY_CHARACTERS or not all(" " <= c <= "~" for c in self.key):
            raise MalformedError(f"an Idempotency-Key has 1 to {MAX_KEY_CHARACTERS} printable ASCII characters")

    @property
    def digest(self) -> bytes:
        """Names the row."""
        return hashlib.sha256(f"{self.owner}\n{self.key}".encode()).digest()

    @property
    def request_digest(self) -> bytes:
        """Tells another request under the same key."""
        return hashlib.sha256(self.request).digest()


def answer_once(
    unit: UnitOfWork,
    tables: AppTables,
    sealer: Sealer,
    identity: RequestIdentity,
    *,
    now: datetime,
    create: Callable[[], Answer],
) -> Answer:
    """Return what ``create`` answers, the first time; the same answer again, later. A refusal is not remembered.

    ``create`` may enter ``unit`` itself: it then joins this transaction.

    Raises:
        IdempotencyMismatch: the key came before with another request.
    """
    with unit:
        if not _claim(unit.connection, tables, identity, now):
            return _repeat(unit.connection, tables, sealer, identity)
        answer = create()
        data = strict_json.dumps({"status": answer.status, "body": answer.body})
        statement = update(tables.idempotency).where(tables.idempotency.c.digest == bindparam("row_digest"))
        unit.connection.execute(
            statement, {"row_digest": identity.digest, "answer": sealer.seal(data, _context(tables, identity))}
        )
        return answer


def _claim(connection: Connection, tables: AppTables, identity: RequestIdentity, now: datetime) -> bool:
    table = tables.idempotency
    connection.execute(delete(table).where(table.c.digest == identity.digest, table.c.expires_at < now))
    row = {"digest": identity.digest, "request_digest": identity.request_digest, "expires_at": now + REMEMBERED}
    return insert_if_absent(connection, table, row)


def _repeat(connection: Connection, tables: AppTables, sealer: Sealer, identity: RequestIdentity) -> Answer:
    table = tables.idempotency
    row = connection.execute(select(table).where(table.c.digest == identity.digest)).one()
    if row.request_digest != identity.request_digest:
        raise IdempotencyMismatch("this Idempotency-Key was used with another request")
    remembered = sealer.open(row.answer, _context(tables, identity))
    # Our own text, so of any size: the report on a bad file names every row of it.
    members = strict_json.loads_object(remembered, max_bytes=len(remembered))
    status, body = members["status"], members["body"]
    if not isinstance(status, int) or not isinstance(body, dict):
        raise MalformedError("a remembered answer does not parse")
    return Answer(status, body)


def _context(tables: AppTables, identity: RequestIdentity) -> str:
    return f"{tables.app}_idempotency/{identity.digest.hex()}"
