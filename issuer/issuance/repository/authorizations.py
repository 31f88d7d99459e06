"""Authorization requests in the database."""

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, insert, select

from issuer.issuance.ports import Authorization
from issuer.issuance.tables import AuthorizationRow
from issuer.tables import table_of
from wallet_core.adapters import sql
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.protocols.oauth2 import authorization_states, authorization_stored
from wallet_core.protocols.oauth2.authorization_states import AuthorizationState
from wallet_core.types import AgencyId

_AUTHORIZATION = table_of(AuthorizationRow)

# Built once: putting a statement together costs as much as running it.
_OF_AGENCY = select(_AUTHORIZATION).where(_AUTHORIZATION.c.agency_id == bindparam("agency_id"))
_BY_ID = _OF_AGENCY.where(_AUTHORIZATION.c.id == bindparam("key"))
_BY_REQUEST = _OF_AGENCY.where(_AUTHORIZATION.c.request_digest == bindparam("key"))
_BY_CODE = _OF_AGENCY.where(_AUTHORIZATION.c.code_digest == bindparam("key"))
_ENDED = (
    select(_AUTHORIZATION.c.id).where(_AUTHORIZATION.c.ends_at < bindparam("now")).order_by(_AUTHORIZATION.c.ends_at)
)
_ADD = insert(_AUTHORIZATION)


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
        self._unit.connection.execute(_ADD, values)

    def find(self, agency_id: AgencyId, authorization_id: str) -> Authorization | None:
        """Return an agency's authorization, None if there is none."""
        return self._one(_BY_ID, agency_id, authorization_id)

    def find_by_request(self, agency_id: AgencyId, request_digest: bytes) -> Authorization | None:
        """Return the agency's authorization with this ``request_uri``, None if there is none."""
        return self._one(_BY_REQUEST, agency_id, request_digest)

    def find_by_code(self, agency_id: AgencyId, code_digest: bytes) -> Authorization | None:
        """Return the agency's authorization with this code, None if there is none."""
        return self._one(_BY_CODE, agency_id, code_digest)

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
        found = list(self._unit.connection.execute(_ENDED.limit(limit), {"now": now}).scalars())
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
