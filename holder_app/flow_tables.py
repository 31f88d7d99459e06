"""What paused issuances and presentations have in common: sealed states in rows that move by compare-and-set."""

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from sqlalchemy import JSON, Row, Table, insert, select
from sqlmodel import Field

from holder_app.accounts.ports import AccountId
from holder_app.tables import MOST_EXPIRED, WalletBase
from wallet_core.adapters import sql
from wallet_core.adapters.keystore import Sealer
from wallet_core.adapters.sql import UnitOfWork, UtcDateTime
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import KeyUnavailable, MalformedError
from wallet_core.types import JsonObject

_MAX_BYTES: Final = 16 * 1024 * 1024
"""Bytes of a paused flow, which we wrote ourselves: ten copies with a portrait in two formats pass 256 KiB."""

_MAX_DEPTH: Final = 2 * strict_json.MAX_DEPTH
"""Levels of a paused flow: what a stranger sent was no deeper than ``MAX_DEPTH``, and stands inside states of ours."""


class FlowRow(WalletBase):
    """Columns of a paused flow. ``body`` has one member, ``sealed``."""

    id: str = Field(primary_key=True, max_length=64)
    account_id: str = Field(foreign_key="wallet_account.id", max_length=64, index=True)
    kind: str = Field(max_length=30)
    version: int
    body: dict[str, Any] = Field(sa_type=JSON)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class SealedFlows:
    """Stores the states of one table of flows."""

    def __init__(self, unit: UnitOfWork, sealer: Sealer, table: Table) -> None:
        self._unit = unit
        self._sealer = sealer
        self._table = table

    def insert(self, flow_id: str, account_id: AccountId, kind: str, body: JsonObject, expires_at: datetime) -> None:
        """Store a new flow in version 1."""
        values = {
            "id": flow_id,
            "account_id": account_id,
            "kind": kind,
            "version": 1,
            "body": self._seal(flow_id, account_id, body),
            "expires_at": expires_at,
        }
        self._unit.connection.execute(insert(self._table), values)

    def find(self, account_id: AccountId, flow_id: str) -> tuple[Row[tuple[object, ...]], JsonObject] | None:
        """Return the row and its opened body if it is the account's."""
        statement = select(self._table).where(self._table.c.account_id == account_id, self._table.c.id == flow_id)
        row = self._unit.connection.execute(statement).one_or_none()
        if row is None:
            return None
        return row, self._open(row, account_id)

    def of_kinds(
        self, account_id: AccountId, kinds: Collection[str]
    ) -> list[tuple[Row[tuple[object, ...]], JsonObject]]:
        """Return the account's rows of these kinds with their opened bodies, those that end first before the others.

        One that cannot be opened, damaged or sealed under a key that is lost, is in no other's way: it ends in time.
        """
        table = self._table
        statement = select(table).where(table.c.account_id == account_id, table.c.kind.in_(kinds))
        rows = self._unit.connection.execute(statement.order_by(table.c.expires_at, table.c.id))
        opened = list[tuple[Row[tuple[object, ...]], JsonObject]]()
        for row in rows:
            with suppress(KeyUnavailable, MalformedError):
                opened.append((row, self._open(row, account_id)))
        return opened

    def advance(
        self, flow_id: str, account_id: AccountId, version: int, kind: str, body: JsonObject, expires_at: datetime
    ) -> int:
        """Store the next state and return its version. Raises ``StateConflict`` if somebody else was first."""
        sealed = self._seal(flow_id, account_id, body)
        return sql.advance(
            self._unit.connection,
            self._table,
            id=flow_id,
            version=version,
            kind=kind,
            body=sealed,
            expires_at=expires_at,
        )

    def forget_expired(self, now: datetime) -> int:
        """Remove flows whose time is over, up to ``MOST_EXPIRED``, and return how many."""
        return sql.delete_expired(self._unit.connection, self._table, now=now, limit=MOST_EXPIRED)

    def _seal(self, flow_id: str, account_id: AccountId, body: JsonObject) -> JsonObject:
        sealed = self._sealer.seal(strict_json.dumps(body), self._context(flow_id, account_id))
        return {"sealed": base64url.encode(sealed)}

    def _open(self, row: Row[tuple[object, ...]], account_id: AccountId) -> JsonObject:
        opened = self._sealer.open(base64url.decode(str(row.body["sealed"])), self._context(row.id, account_id))
        return strict_json.loads_object(opened, what="paused flow", max_bytes=_MAX_BYTES, max_depth=_MAX_DEPTH)

    def _context(self, flow_id: str, account_id: AccountId) -> str:
        return f"{self._table.name}/{account_id}/{flow_id}"
