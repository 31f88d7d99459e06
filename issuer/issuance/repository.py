"""Offers, the record of issue, orders to re-issue and spent nonces in the database: row ↔ state, nothing else."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, func, insert, select, update

from issuer.issuance.bulk import BulkReissuance, BulkState, bulk_from_json, bulk_kind, bulk_to_json
from issuer.issuance.ports import Authorization, DeferredIssuance, IssuedCredential, Offer, UsedProof
from issuer.issuance.tables import AuthorizationRow, BulkReissuanceRow, CredentialRow, DeferredRow, OfferRow
from issuer.tables import APP_TABLES, table_of
from wallet_core.adapters import sql
from wallet_core.adapters.jobs import enqueue
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.errors import InvalidNonce, StateConflict
from wallet_core.protocols.oauth2 import authorization_states, authorization_stored
from wallet_core.protocols.oauth2.authorization_states import AuthorizationState
from wallet_core.protocols.openid4vci import deferral
from wallet_core.protocols.openid4vci.deferral import DeferralState
from wallet_core.protocols.openid4vci.issuance import (
    Authorized,
    IssuanceState,
    Issued,
    ends_at,
)
from wallet_core.protocols.openid4vci.issuance_stored import state_from_json, state_kind, state_to_json
from wallet_core.types import AgencyId, CredentialConfigurationId

_OFFER = table_of(OfferRow)
_CREDENTIAL = table_of(CredentialRow)
_BULK = table_of(BulkReissuanceRow)
_DEFERRED = table_of(DeferredRow)

CONTINUE_BULK = "issuance.reissue"
"""Name of the job that does the next chunk of an order to re-issue."""

_AUTHORIZATION = table_of(AuthorizationRow)

# Built once: putting a statement together costs as much as running it.
_OF_AGENCY = select(_OFFER).where(_OFFER.c.agency_id == bindparam("agency_id"))
_BY_ID = _OF_AGENCY.where(_OFFER.c.id == bindparam("offer_id"))
_BY_CODE = _OF_AGENCY.where(_OFFER.c.code_digest == bindparam("digest"))
_BY_TOKEN = _OF_AGENCY.where(_OFFER.c.token_digest == bindparam("digest"))
_BY_REFRESH = _OF_AGENCY.where(_OFFER.c.refresh_digest == bindparam("digest"))
_ENDED = select(_OFFER).where(_OFFER.c.ends_at < bindparam("now")).order_by(_OFFER.c.ends_at)
_ADD = insert(_OFFER)
_OF_TENANT = select(_AUTHORIZATION).where(_AUTHORIZATION.c.agency_id == bindparam("agency_id"))
_AUTHORIZATION_BY_ID = _OF_TENANT.where(_AUTHORIZATION.c.id == bindparam("key"))
_AUTHORIZATION_BY_REQUEST = _OF_TENANT.where(_AUTHORIZATION.c.request_digest == bindparam("key"))
_AUTHORIZATION_BY_CODE = _OF_TENANT.where(_AUTHORIZATION.c.code_digest == bindparam("key"))
_ENDED_AUTHORIZATIONS = (
    select(_AUTHORIZATION.c.id).where(_AUTHORIZATION.c.ends_at < bindparam("now")).order_by(_AUTHORIZATION.c.ends_at)
)
_ADD_AUTHORIZATION = insert(_AUTHORIZATION)
_ADD_CREDENTIAL = insert(_CREDENTIAL)
_FIND_CREDENTIAL = select(_CREDENTIAL).where(
    _CREDENTIAL.c.agency_id == bindparam("agency_id"), _CREDENTIAL.c.id == bindparam("credential_id")
)
_OF_OFFER = (
    select(_CREDENTIAL)
    .where(_CREDENTIAL.c.agency_id == bindparam("agency_id"), _CREDENTIAL.c.offer_id == bindparam("offer_id"))
    .order_by(_CREDENTIAL.c.id)
)
_TO_REPLACE = _OF_OFFER.where(
    _CREDENTIAL.c.configuration_id == bindparam("configuration_id"),
    _CREDENTIAL.c.replace_by.is_not(None),
    _CREDENTIAL.c.status != "invalid",
)
_OVERDUE = select(_CREDENTIAL).where(_CREDENTIAL.c.replace_by < bindparam("now")).order_by(_CREDENTIAL.c.replace_by)
_SUBJECT_OFFERS = _OF_AGENCY.where(_OFFER.c.subject_id == bindparam("subject_id"))
_SET_STATUS = update(_CREDENTIAL).where(_CREDENTIAL.c.id == bindparam("credential_id")).values(status=bindparam("to"))
_NOTE_EVENT = (
    update(_CREDENTIAL)
    .where(
        _CREDENTIAL.c.agency_id == bindparam("agency"),
        _CREDENTIAL.c.offer_id == bindparam("offer"),
        _CREDENTIAL.c.notification_id == bindparam("sent_under"),
    )
    .values(event=bindparam("to"))
)
_COUNT_FAILED = select(func.count(_CREDENTIAL.c.notification_id.distinct())).where(
    _CREDENTIAL.c.agency_id == bindparam("agency_id"), _CREDENTIAL.c.event == "credential_failure"
)
_DEFERRED_OF_AGENCY = select(_DEFERRED).where(_DEFERRED.c.agency_id == bindparam("agency_id"))
_DEFERRED_BY_ID = _DEFERRED_OF_AGENCY.where(_DEFERRED.c.id == bindparam("deferred_id"))
_DEFERRED_BY_TRANSACTION = _DEFERRED_OF_AGENCY.where(_DEFERRED.c.transaction_digest == bindparam("digest"))
_DEFERRED_ENDED = select(_DEFERRED).where(_DEFERRED.c.ends_at < bindparam("now")).order_by(_DEFERRED.c.ends_at)
_COUNT_WAITING = (
    select(func.count())
    .select_from(_DEFERRED)
    .where(_DEFERRED.c.agency_id == bindparam("agency_id"), _DEFERRED.c.kind == "waiting")
)


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
            "ends_at": ends_at(offer.state),
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
        columns = {"ends_at": ends_at(state), "token_digest": _token_digest(state)}
        refresh = _refresh_digest(state)
        # Named only where there is something to store: most offers never have a refresh token or change hands.
        optional = {"refresh_digest": refresh, "subject_id": subject_id}
        self._advance(offer, state, **columns, **{name: value for name, value in optional.items() if value is not None})

    def keep(self, offer: Offer) -> None:
        """Store nothing but that the proof of the request was used, where the request changes nothing else."""
        if offer.proof is not None:
            _spend_proof(self._unit, offer.proof)

    def forget(self, offer: Offer, state: IssuanceState) -> None:
        """Store the last state and delete what was kept about the person. Raises ``StateConflict``."""
        self._advance(offer, state, ends_at=None, token_digest=None, refresh_digest=None, sealed=None, subject_id=None)

    def ended(self, *, now: datetime, limit: int) -> Sequence[Offer]:
        """Return offers that ended before ``now`` and still hold something about a person."""
        return [_offer(row) for row in self._unit.connection.execute(_ENDED.limit(limit), {"now": now})]

    def of_subject(self, agency_id: AgencyId, subject_id: str) -> Sequence[Offer]:
        """Return the offers of a person under which something may still be asked for."""
        # Who can no longer ask is forgotten: the row of an ended offer names nobody.
        values = {"agency_id": agency_id, "subject_id": subject_id}
        return [_offer(row) for row in self._unit.connection.execute(_SUBJECT_OFFERS, values)]

    def outdate(self, agency_id: AgencyId, subject_ids: Collection[str]) -> None:
        """Make requests under these people's offers that are being answered begin again: what they read is old."""
        for chunk in _chunks(subject_ids):
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
        sql.advance(
            self._unit.connection,
            _OFFER,
            id=offer.id,
            version=offer.version,
            kind=state_kind(state),
            body=state_to_json(state),
            **columns,
        )


class SqlAuthorizations:
    """Authorization requests of one database."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def add(self, authorization: Authorization, *, ends_at: datetime) -> None:
        """Store a new one."""
        values = {
            "id": authorization.id,
            "agency_id": authorization.agency_id,
            "kind": authorization_stored.state_kind(authorization.state),
            "version": authorization.version,
            "body": authorization_stored.state_to_json(authorization.state),
            "request_digest": authorization.request_digest,
            "offer_id": authorization.offer_id,
            "ends_at": ends_at,
        }
        self._unit.connection.execute(_ADD_AUTHORIZATION, values)

    def find(self, agency_id: AgencyId, authorization_id: str) -> Authorization | None:
        """Return an agency's authorization, None if there is none."""
        return self._one(_AUTHORIZATION_BY_ID, agency_id, authorization_id)

    def find_by_request(self, agency_id: AgencyId, request_digest: bytes) -> Authorization | None:
        """Return the agency's authorization with this ``request_uri``, None if there is none."""
        return self._one(_AUTHORIZATION_BY_REQUEST, agency_id, request_digest)

    def find_by_code(self, agency_id: AgencyId, code_digest: bytes) -> Authorization | None:
        """Return the agency's authorization with this code, None if there is none."""
        return self._one(_AUTHORIZATION_BY_CODE, agency_id, code_digest)

    def advance(
        self,
        authorization: Authorization,
        state: AuthorizationState,
        *,
        code_digest: bytes | None = None,
        subject_id: str | None = None,
    ) -> None:
        """Store the next state, and with it code and person. Raises ``StateConflict`` if it moved meanwhile."""
        optional = {
            "code_digest": code_digest,
            "subject_id": subject_id,
            # A state without an end of its own goes when the one before it would have.
            "ends_at": authorization_states.ends_at(state),
        }
        sql.advance(
            self._unit.connection,
            _AUTHORIZATION,
            id=authorization.id,
            version=authorization.version,
            kind=authorization_stored.state_kind(state),
            body=authorization_stored.state_to_json(state),
            **{name: value for name, value in optional.items() if value is not None},
        )

    def forget(self, *, now: datetime, limit: int) -> int:
        """Delete those whose time is over, and return how many."""
        found = list(self._unit.connection.execute(_ENDED_AUTHORIZATIONS.limit(limit), {"now": now}).scalars())
        if found:
            self._unit.connection.execute(delete(_AUTHORIZATION).where(_AUTHORIZATION.c.id.in_(found)))
        return len(found)

    def _one(self, statement: Any, agency_id: AgencyId, key: str | bytes) -> Authorization | None:
        row = self._unit.connection.execute(statement, {"agency_id": agency_id, "key": key}).one_or_none()
        if row is None:
            return None
        return Authorization(
            row.id,
            AgencyId(row.agency_id),
            row.version,
            authorization_stored.state_from_json(row.kind, row.body),
            row.request_digest,
            row.code_digest,
            row.subject_id,
            row.offer_id,
        )


class SqlIssuedCredentials:
    """The record of what was issued."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def add(self, credentials: Iterable[IssuedCredential]) -> None:
        """Store records."""
        rows = [
            {
                "id": each.id,
                "agency_id": each.agency_id,
                "offer_id": each.offer_id,
                "configuration_id": each.configuration_id,
                "subject_id": each.subject_id,
                "key_thumbprint": each.key_thumbprint,
                "status": each.status,
                "issued_at": each.issued_at,
                "expires_at": each.expires_at,
                "notification_id": each.notification_id,
                "event": each.event,
            }
            for each in credentials
        ]
        self._unit.connection.execute(_ADD_CREDENTIAL, rows)

    def find(self, agency_id: AgencyId, credential_id: str) -> IssuedCredential | None:
        """Return one of an agency's credentials, None if there is none."""
        values = {"agency_id": agency_id, "credential_id": credential_id}
        row = self._unit.connection.execute(_FIND_CREDENTIAL, values).one_or_none()
        return None if row is None else _credential(row)

    def of_offer(self, agency_id: AgencyId, offer_id: str) -> Sequence[IssuedCredential]:
        """Return an agency's credentials that came of one offer."""
        rows = self._unit.connection.execute(_OF_OFFER, {"agency_id": agency_id, "offer_id": offer_id})
        return [_credential(row) for row in rows]

    def set_status(self, credential_id: str, status: str) -> None:
        """Write the status, as lists of credentials show it."""
        self._unit.connection.execute(_SET_STATUS, {"credential_id": credential_id, "to": status})

    def revoked(self, credential_ids: Collection[str]) -> None:
        """Write that credentials were revoked; nothing is left to be replaced of them."""
        after = {"status": "invalid", "replace_by": None, "replace_reason": None}
        for chunk in _chunks(credential_ids):
            self._unit.connection.execute(update(_CREDENTIAL).where(_CREDENTIAL.c.id.in_(chunk)).values(after))

    def live(
        self,
        agency_id: AgencyId,
        *,
        now: datetime,
        subject_ids: Collection[str] | None = None,
        offer_ids: Collection[str] | None = None,
        configuration_ids: Collection[CredentialConfigurationId] | None = None,
    ) -> Sequence[IssuedCredential]:
        """Return credentials that neither were revoked nor have ended, of all that is given."""
        columns = _CREDENTIAL.c
        statement = select(_CREDENTIAL).where(*_live(agency_id, now)).order_by(columns.id)
        given = ((columns.subject_id, subject_ids), (columns.offer_id, offer_ids))
        for column, wanted in (*given, (columns.configuration_id, configuration_ids)):
            if wanted is not None:
                statement = statement.where(column.in_(list(wanted)))
        return [_credential(row) for row in self._unit.connection.execute(statement)]

    def mark(self, credential_ids: Collection[str], *, replace_by: datetime, reason: str) -> None:
        """Write that credentials are to be replaced. One that was marked before keeps the earlier end."""
        by = _CREDENTIAL.c.replace_by
        for chunk in _chunks(credential_ids):
            mine = (_CREDENTIAL.c.id.in_(chunk), by.is_(None) | (by > replace_by))
            marked = update(_CREDENTIAL).where(*mine).values(replace_by=replace_by, replace_reason=reason)
            self._unit.connection.execute(marked)

    def to_replace(
        self, agency_id: AgencyId, offer_id: str, configuration_id: CredentialConfigurationId
    ) -> Sequence[IssuedCredential]:
        """Return the copies of one card in one wallet that are to be replaced."""
        values = {"agency_id": agency_id, "offer_id": offer_id, "configuration_id": configuration_id}
        return [_credential(row) for row in self._unit.connection.execute(_TO_REPLACE, values)]

    def overdue(self, *, now: datetime, limit: int) -> Sequence[IssuedCredential]:
        """Return credentials that should have been replaced before ``now``, of all agencies."""
        return [_credential(row) for row in self._unit.connection.execute(_OVERDUE.limit(limit), {"now": now})]

    def holders(
        self,
        agency_id: AgencyId,
        configuration_ids: Collection[CredentialConfigurationId],
        *,
        now: datetime,
        after: str,
        limit: int,
    ) -> Sequence[str]:
        """Return the people who have live credentials of these configurations, in order, after ``after``."""
        subject = _CREDENTIAL.c.subject_id
        statement = _of_people(select(subject).distinct(), agency_id, configuration_ids, now)
        rows = self._unit.connection.execute(statement.where(subject > after).order_by(subject).limit(limit))
        return [str(subject_id) for subject_id in rows.scalars()]

    def count_live(
        self, agency_id: AgencyId, configuration_ids: Collection[CredentialConfigurationId], *, now: datetime
    ) -> tuple[int, int]:
        """Return how many people have live credentials of these configurations, and how many credentials they are."""
        columns: list[Any] = [func.count(_CREDENTIAL.c.subject_id.distinct()), func.count()]
        counted = _of_people(select(*columns), agency_id, configuration_ids, now)
        row = self._unit.connection.execute(counted).one()
        return int(row[0]), int(row[1])

    def note_event(self, agency_id: AgencyId, offer_id: str, notification_id: str, event: str) -> None:
        """Write what the wallet said became of the credentials that were sent under ``notification_id``."""
        values = {"agency": agency_id, "offer": offer_id, "sent_under": notification_id, "to": event}
        self._unit.connection.execute(_NOTE_EVENT, values)

    def count_failed(self, agency_id: AgencyId) -> int:
        """Return how many of an agency's answers failed in the citizen's wallet."""
        return int(self._unit.connection.execute(_COUNT_FAILED, {"agency_id": agency_id}).scalar_one())

    def of_subject(
        self, agency_id: AgencyId, subject_id: str | None, *, after: str, limit: int
    ) -> Sequence[IssuedCredential]:
        """Return an agency's credentials in order of issue, of one subject or of all, from the one after ``after``."""
        columns = _CREDENTIAL.c
        statement = select(_CREDENTIAL).where(columns.agency_id == agency_id, columns.id > after)
        if subject_id is not None:
            statement = statement.where(columns.subject_id == subject_id)
        rows = self._unit.connection.execute(statement.order_by(columns.id).limit(limit))
        return [_credential(row) for row in rows]


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


class SqlSpentNonces:
    """Which ``c_nonce`` was used with which key."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def spend(self, digests: Iterable[bytes], *, expires_at: datetime) -> None:
        """Record uses, each a different one. Raises ``InvalidNonce`` if one was used before."""
        try:
            sql.spend_all(self._unit.connection, APP_TABLES.spent, digests, expires_at=expires_at)
        except StateConflict as exc:
            # OpenID4VCI 8.3.1.2: a proof that was used before needs a fresh nonce.
            raise InvalidNonce("the c_nonce was used before", clause="OpenID4VCI 8.3.1.2") from exc


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
        return self._one(_DEFERRED_BY_ID, {"agency_id": agency_id, "deferred_id": deferred_id})

    def find_by_transaction(self, agency_id: AgencyId, transaction_digest: bytes) -> DeferredIssuance | None:
        """Return the agency's request with this ``transaction_id``, None if there is none."""
        return self._one(_DEFERRED_BY_TRANSACTION, {"agency_id": agency_id, "digest": transaction_digest})

    def of_offers(self, agency_id: AgencyId, offer_ids: Sequence[str]) -> Sequence[DeferredIssuance]:
        """Return an agency's requests under these offers, oldest first."""
        statement = _DEFERRED_OF_AGENCY.where(_DEFERRED.c.offer_id.in_(offer_ids)).order_by(_DEFERRED.c.id)
        return self._all(statement, {"agency_id": agency_id}) if offer_ids else []

    def waiting(self, agency_id: AgencyId, *, after: str, limit: int) -> Sequence[DeferredIssuance]:
        """Return an agency's undecided requests, oldest first, from the one after the id ``after`` (empty: all)."""
        columns = _DEFERRED.c
        statement = _DEFERRED_OF_AGENCY.where(columns.kind == "waiting", columns.id > after)
        return self._all(statement.order_by(columns.id).limit(limit), {"agency_id": agency_id})

    def decided(self, agency_id: AgencyId, *, before: str, limit: int) -> Sequence[DeferredIssuance]:
        """Return an agency's other requests, newest first, from the one before the id ``before`` (empty: all)."""
        columns = _DEFERRED.c
        statement = _DEFERRED_OF_AGENCY.where(columns.kind != "waiting").order_by(columns.id.desc()).limit(limit)
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
        return self._all(_DEFERRED_ENDED.limit(limit), {"now": now})

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


class SqlUsedProofs:
    """Which DPoP proofs and proofs of possession were used."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def spend(self, proof: UsedProof) -> None:
        """Record a use. Raises the proof's own error if it was used before."""
        _spend_proof(self._unit, proof)


def _spend_proof(unit: UnitOfWork, proof: UsedProof) -> None:
    try:
        # dpop-9449.11.1-replay
        # abca-07.12.1-replay
        sql.spend(unit.connection, APP_TABLES.spent, proof.digest, expires_at=proof.expires_at)
    except StateConflict as exc:
        raise proof.replayed from exc


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


def _credential(row: Row[Any]) -> IssuedCredential:
    return IssuedCredential(
        row.id,
        AgencyId(row.agency_id),
        row.offer_id,
        CredentialConfigurationId(row.configuration_id),
        row.subject_id,
        row.key_thumbprint,
        row.status,
        row.issued_at,
        row.expires_at,
        row.notification_id,
        row.event,
        row.replace_by,
        row.replace_reason,
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


def _bulk(row: Row[Any]) -> BulkReissuance:
    state = bulk_from_json(row.kind, row.body)
    return BulkReissuance(row.id, AgencyId(row.agency_id), row.version, state, row.created_at)


def _live(agency_id: AgencyId, now: datetime) -> tuple[ColumnElement[bool], ...]:
    columns = _CREDENTIAL.c
    return columns.agency_id == agency_id, columns.status != "invalid", columns.expires_at > now


def _of_people(
    statement: Select[Any],
    agency_id: AgencyId,
    configuration_ids: Collection[CredentialConfigurationId],
    now: datetime,
) -> Select[Any]:
    columns = _CREDENTIAL.c
    named = (columns.configuration_id.in_(list(configuration_ids)), columns.subject_id.is_not(None))
    return statement.where(*_live(agency_id, now), *named)


_CHUNK = 500  # SQLite takes 32,766 parameters in a statement; PostgreSQL plans short lists faster


def _chunks(ids: Collection[str]) -> Iterator[list[str]]:
    every = list(ids)
    yield from (every[start : start + _CHUNK] for start in range(0, len(every), _CHUNK))
