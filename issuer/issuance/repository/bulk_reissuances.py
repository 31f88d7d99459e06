"""Orders to re-issue for many people in the database."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, insert, select

from issuer.issuance.bulk import BulkReissuance, BulkState, bulk_from_json, bulk_kind, bulk_to_json
from issuer.issuance.tables import BulkReissuanceRow
from issuer.tables import APP_TABLES, table_of
from wallet_core.adapters import sql
from wallet_core.adapters.jobs import enqueue
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.types import AgencyId

CONTINUE_BULK = "issuance.reissue"
"""Name of the job that does the next chunk of an order to re-issue."""

_BULK = table_of(BulkReissuanceRow)


class SqlBulkReissuances:
    """Orders of agencies that concern many people."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def add(self, bulk: BulkReissuance) -> None:
        """Store a new order."""
        values = {
            "id": bulk.id,
            "agency_id": bulk.agency_id,
            "kind": bulk_kind(bulk.state),
            "version": bulk.version,
            "body": bulk_to_json(bulk.state),
            "created_at": bulk.created_at,
        }
        self._unit.connection.execute(insert(_BULK), values)

    def find(self, agency_id: AgencyId | None, bulk_id: str, *, to_change: bool = False) -> BulkReissuance | None:
        """Return an order, None if there is none; one ``to_change`` is locked until the transaction ends."""
        statement = select(_BULK).where(_BULK.c.id == bulk_id)
        if to_change:
            statement = statement.with_for_update()
        if agency_id is not None:
            statement = statement.where(_BULK.c.agency_id == agency_id)
        row = self._unit.connection.execute(statement).one_or_none()
        return None if row is None else _bulk(row)

    def latest(self, agency_id: AgencyId, *, limit: int) -> Sequence[BulkReissuance]:
        """Return an agency's orders, newest first."""
        statement = select(_BULK).where(_BULK.c.agency_id == agency_id).order_by(_BULK.c.id.desc()).limit(limit)
        return [_bulk(row) for row in self._unit.connection.execute(statement)]

    def advance(self, bulk: BulkReissuance, state: BulkState) -> BulkReissuance:
        """Store the next state. Raises ``StateConflict`` if it moved since it was read."""
        kind, body = bulk_kind(state), bulk_to_json(state)
        version = sql.advance(self._unit.connection, _BULK, id=bulk.id, version=bulk.version, kind=kind, body=body)
        return replace(bulk, version=version, state=state)

    def continue_soon(self, bulk: BulkReissuance) -> None:
        """Have a worker do the next chunk, unless the order moves before."""
        enqueue(self._unit.connection, APP_TABLES, CONTINUE_BULK, {"id": bulk.id, "version": bulk.version})


def _bulk(row: Row[Any]) -> BulkReissuance:
    state = bulk_from_json(row.kind, row.body)
    return BulkReissuance(row.id, AgencyId(row.agency_id), row.version, state, row.created_at)
