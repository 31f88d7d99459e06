"""Deferred Credential Requests in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, select

from issuer.issuance.ports import DeferredIssuance
from issuer.issuance.tables import DeferredRow
from issuer.tables import table_of
from wallet_core.adapters import sql
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.protocols.openid4vci import deferral
from wallet_core.protocols.openid4vci.deferral import DeferralState
from wallet_core.types import AgencyId

_DEFERRED = table_of(DeferredRow)

# Built once: putting a statement together costs as much as running it.
_OF_AGENCY = select(_DEFERRED).where(_DEFERRED.c.agency_id == bindparam("agency_id"))
_BY_ID = _OF_AGENCY.where(_DEFERRED.c.id == bindparam("deferred_id"))
_BY_TRANSACTION = _OF_AGENCY.where(_DEFERRED.c.transaction_digest == bindparam("digest"))
_ENDED = select(_DEFERRED).where(_DEFERRED.c.ends_at < bindparam("now")).order_by(_DEFERRED.c.ends_at)
_COUNT_WAITING = (
    select(func.count())
    .select_from(_DEFERRED)
    .where(_DEFERRED.c.agency_id == bindparam("agency_id"), _DEFERRED.c.kind == "waiting")
)


class SqlDeferrals:
    """Deferred requests of one database."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def add(self, deferred: DeferredIssuance) -> None:
        """Store a new one."""
        values = {
            "id": deferred.id,
            "agency_id": deferred.agency_id,
            "offer_id": deferred.offer_id,
            "kind": deferral.state_kind(deferred.state),
            "version": deferred.version,
            "body": deferral.state_to_json(deferred.state),
            "transaction_digest": deferred.transaction_digest,
            "subject_id": deferred.subject_id,
            "sealed": deferred.sealed,
            "ends_at": deferral.ends_at(deferred.state),
        }
        self._unit.connection.execute(insert(_DEFERRED), values)

    def find(self, agency_id: AgencyId, deferred_id: str) -> DeferredIssuance | None:
        """Return one of an agency, None if there is none."""
        return self._one(_BY_ID, {"agency_id": agency_id, "deferred_id": deferred_id})

    def find_by_transaction(self, agency_id: AgencyId, transaction_digest: bytes) -> DeferredIssuance | None:
        """Return the agency's request with this ``transaction_id``, None if there is none."""
        return self._one(_BY_TRANSACTION, {"agency_id": agency_id, "digest": transaction_digest})

    def of_offers(self, agency_id: AgencyId, offer_ids: Sequence[str]) -> Sequence[DeferredIssuance]:
        """Return an agency's requests under these offers, oldest first."""
        statement = _OF_AGENCY.where(_DEFERRED.c.offer_id.in_(offer_ids)).order_by(_DEFERRED.c.id)
        return self._all(statement, {"agency_id": agency_id}) if offer_ids else []

    def waiting(self, agency_id: AgencyId, *, after: str, limit: int) -> Sequence[DeferredIssuance]:
        """Return an agency's undecided requests, oldest first, from the one after the id ``after`` (empty: all)."""
        columns = _DEFERRED.c
        statement = _OF_AGENCY.where(columns.kind == "waiting", columns.id > after)
        return self._all(statement.order_by(columns.id).limit(limit), {"agency_id": agency_id})

    def decided(self, agency_id: AgencyId, *, before: str, limit: int) -> Sequence[DeferredIssuance]:
        """Return an agency's other requests, newest first, from the one before the id ``before`` (empty: all)."""
        columns = _DEFERRED.c
        statement = _OF_AGENCY.where(columns.kind != "waiting").order_by(columns.id.desc()).limit(limit)
        return self._all(statement.where(columns.id < before) if before else statement, {"agency_id": agency_id})

    def count_waiting(self, agency_id: AgencyId) -> int:
        """Return how many of an agency's requests nobody has decided."""
        return int(self._unit.connection.execute(_COUNT_WAITING, {"agency_id": agency_id}).scalar_one())

    def advance(self, deferred: DeferredIssuance, state: DeferralState, *, sealed: bytes | None = None) -> None:
        """Store the next state, and other data to sign if given. Raises ``StateConflict`` if it moved meanwhile."""
        columns: dict[str, Any] = {"ends_at": deferral.ends_at(state)}
        self._advance(deferred, state, columns if sealed is None else columns | {"sealed": sealed})

    def forget(self, deferred: DeferredIssuance, state: DeferralState) -> None:
        """Store the last state and delete what was kept about the person. Raises ``StateConflict``."""
        self._advance(deferred, state, {"ends_at": None, "sealed": None, "subject_id": None})

    def ended(self, *, now: datetime, limit: int) -> Sequence[DeferredIssuance]:
        """Return requests that ended before ``now`` and still hold something about a person."""
        return self._all(_ENDED.limit(limit), {"now": now})

    def _one(self, statement: Any, values: dict[str, Any]) -> DeferredIssuance | None:
        row = self._unit.connection.execute(statement, values).one_or_none()
        return None if row is None else _deferred(row)

    def _all(self, statement: Any, values: dict[str, Any]) -> list[DeferredIssuance]:
        return [_deferred(row) for row in self._unit.connection.execute(statement, values)]

    def _advance(self, deferred: DeferredIssuance, state: DeferralState, columns: dict[str, Any]) -> None:
        sql.advance(
            self._unit.connection,
            _DEFERRED,
            id=deferred.id,
            version=deferred.version,
            kind=deferral.state_kind(state),
            body=deferral.state_to_json(state),
            **columns,
        )


def _deferred(row: Row[Any]) -> DeferredIssuance:
    return DeferredIssuance(
        row.id,
        AgencyId(row.agency_id),
        row.offer_id,
        row.version,
        deferral.state_from_json(row.kind, row.body),
        row.transaction_digest,
        row.subject_id,
        row.sealed,
    )
