"""Offers in the database."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update

from issuer.issuance.ports import RENEWAL_TIME, Offer
from issuer.issuance.repository.spent import spend_proof
from issuer.issuance.tables import OfferRow
from issuer.tables import table_of
from wallet_core.adapters import sql
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.protocols.openid4vci.issuance import (
    Authorized,
    Invited,
    IssuanceState,
    Issued,
    Offered,
    ends_at,
)
from wallet_core.protocols.openid4vci.issuance_stored import state_from_json, state_kind, state_to_json
from wallet_core.types import AgencyId

_OFFER = table_of(OfferRow)

# Built once: putting a statement together costs as much as running it.
_OF_AGENCY = select(_OFFER).where(_OFFER.c.agency_id == bindparam("agency_id"))
_BY_ID = _OF_AGENCY.where(_OFFER.c.id == bindparam("offer_id"))
_BY_CODE = _OF_AGENCY.where(_OFFER.c.code_digest == bindparam("digest"))
_BY_TOKEN = _OF_AGENCY.where(_OFFER.c.token_digest == bindparam("digest"))
_BY_REFRESH = _OF_AGENCY.where(_OFFER.c.refresh_digest == bindparam("digest"))
_ENDED = select(_OFFER).where(_OFFER.c.ends_at < bindparam("now")).order_by(_OFFER.c.ends_at)
_SUBJECT_OFFERS = _OF_AGENCY.where(_OFFER.c.subject_id == bindparam("subject_id"))
_ADD = insert(_OFFER)


class SqlOffers:
    """Offers of one database."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def add(self, offer: Offer) -> None:
        """Store a new offer."""
        values = {
            "id": offer.id,
            "agency_id": offer.agency_id,
            "kind": state_kind(offer.state),
            "version": offer.version,
            "body": state_to_json(offer.state),
            "code_digest": offer.code_digest,
            "token_digest": _token_digest(offer.state),
            "refresh_digest": _refresh_digest(offer.state),
            "subject_id": offer.subject_id,
            "sealed": offer.sealed,
            "created_at": offer.created_at,
            "ends_at": _forget_at(offer.state),
        }
        self._unit.connection.execute(_ADD, values)

    def find(self, agency_id: AgencyId, offer_id: str) -> Offer | None:
        """Return an agency's offer, None if there is none."""
        return self._one(_BY_ID, {"agency_id": agency_id, "offer_id": offer_id})

    def find_by_code(self, agency_id: AgencyId, code_digest: bytes) -> Offer | None:
        """Return the agency's offer with this pre-authorized code, None if there is none."""
        return self._one(_BY_CODE, {"agency_id": agency_id, "digest": code_digest})

    def find_by_token(self, agency_id: AgencyId, token_digest: bytes) -> Offer | None:
        """Return the agency's offer with this access token, None if there is none."""
        return self._one(_BY_TOKEN, {"agency_id": agency_id, "digest": token_digest})

    def find_by_refresh(self, agency_id: AgencyId, refresh_digest: bytes) -> Offer | None:
        """Return the agency's offer with this refresh token, None if there is none."""
        return self._one(_BY_REFRESH, {"agency_id": agency_id, "digest": refresh_digest})

    def advance(self, offer: Offer, state: IssuanceState, *, subject_id: str | None = None) -> None:
        """Store the next state, and whose it has become. Raises ``StateConflict`` if the offer moved meanwhile."""
        columns = {"ends_at": _forget_at(state), "token_digest": _token_digest(state)}
        refresh = _refresh_digest(state)
        # Named only where there is something to store: most offers never have a refresh token or change hands.
        optional = {"refresh_digest": refresh, "subject_id": subject_id}
        self._advance(offer, state, **columns, **{name: value for name, value in optional.items() if value is not None})

    def keep(self, offer: Offer) -> None:
        """Store nothing but that the proof of the request was used, where the request changes nothing else."""
        if offer.proof is not None:
            spend_proof(self._unit, offer.proof)

    def forget(self, offer: Offer, state: IssuanceState) -> None:
        """Store the last state and delete what was kept about the person. Raises ``StateConflict``."""
        self._advance(offer, state, ends_at=None, token_digest=None, refresh_digest=None, sealed=None, subject_id=None)

    def ended(self, *, now: datetime, limit: int) -> Sequence[Offer]:
        """Return offers that ended before ``now``, or longer ago, and still hold something about a person."""
        return [_offer(row) for row in self._unit.connection.execute(_ENDED.limit(limit), {"now": now})]

    def of_subject(self, agency_id: AgencyId, subject_id: str) -> Sequence[Offer]:
        """Return the offers of a person under which something may still be asked for."""
        # Who can no longer ask is forgotten soon: the row of an ended offer names nobody.
        values = {"agency_id": agency_id, "subject_id": subject_id}
        return [_offer(row) for row in self._unit.connection.execute(_SUBJECT_OFFERS, values)]

    def outdate(self, agency_id: AgencyId, subject_ids: Collection[str]) -> None:
        """Make requests under these people's offers that are being answered begin again: what they read is old."""
        for chunk in sql.chunks(subject_ids):
            mine = (_OFFER.c.agency_id == agency_id, _OFFER.c.subject_id.in_(chunk))
            self._unit.connection.execute(update(_OFFER).where(*mine).values(version=_OFFER.c.version + 1))

    def latest(self, agency_id: AgencyId, *, before: str, limit: int) -> Sequence[Offer]:
        """Return an agency's offers, newest first, from the one before the id ``before`` (empty: the newest)."""
        statement = _OF_AGENCY.order_by(_OFFER.c.id.desc()).limit(limit)
        if before:
            statement = statement.where(_OFFER.c.id < before)
        return [_offer(row) for row in self._unit.connection.execute(statement, {"agency_id": agency_id})]

    def _one(self, statement: Any, values: dict[str, Any]) -> Offer | None:
        row = self._unit.connection.execute(statement, values).one_or_none()
        return None if row is None else _offer(row)

    def _advance(self, offer: Offer, state: IssuanceState, **columns: Any) -> None:
        # In the transaction of what it permits: a request that fails, or loses a race, leaves the proof unused.
        self.keep(offer)
        sql.advance_together(
            self._unit,
            _OFFER,
            id=offer.id,
            version=offer.version,
            kind=state_kind(state),
            body=state_to_json(state),
            **columns,
        )


def _forget_at(state: IssuanceState) -> datetime | None:
    """Return when nothing may be kept of a person any more: later than its end for an offer that can be renewed."""
    end = ends_at(state)
    return end + RENEWAL_TIME if end is not None and isinstance(state, Offered | Invited) else end


def _token_digest(state: IssuanceState) -> bytes | None:
    return state.token_digest if isinstance(state, Authorized | Issued) else None


def _refresh_digest(state: IssuanceState) -> bytes | None:
    return state.holder.refresh_digest if isinstance(state, Authorized | Issued) else None


def _offer(row: Row[Any]) -> Offer:
    return Offer(
        row.id,
        AgencyId(row.agency_id),
        row.version,
        state_from_json(row.kind, row.body),
        row.code_digest,
        row.subject_id,
        row.sealed,
        row.created_at,
    )
