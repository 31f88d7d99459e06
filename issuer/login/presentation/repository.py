"""Requests within a login in the database: row ↔ state, nothing else."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select

from issuer.login.presentation.ports import LoginRequest
from issuer.login.presentation.tables import LoginRequestRow
from issuer.tables import table_of
from wallet_core.adapters import sql
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.encoding import strict_json
from wallet_core.ports import Seal
from wallet_core.protocols.openid4vp.presentation import Answered, Presentation, Requested, Retrieved
from wallet_core.protocols.openid4vp.stored import (
    credentials_of,
    credentials_to_json,
    state_from_json,
    state_to_json,
)
from wallet_core.types import AgencyId

_TABLE = table_of(LoginRequestRow)
_FIND = select(_TABLE).where(_TABLE.c.id == bindparam("row_id"), _TABLE.c.agency_id == bindparam("agency"))
_BY_CODE = select(_TABLE).where(_TABLE.c.code_digest == bindparam("digest"), _TABLE.c.agency_id == bindparam("agency"))
_OF_LOGIN = select(_TABLE).where(_TABLE.c.login_id == bindparam("login")).order_by(_TABLE.c.id)
_DELETE_OF_LOGIN = delete(_TABLE).where(_TABLE.c.login_id == bindparam("login"))
_INSERT = insert(_TABLE)


class SqlLoginRequests:
    """Requests of every login."""

    def __init__(self, unit: UnitOfWork, seal: Seal) -> None:
        self._unit = unit
        self._seal = seal

    def add(self, request: LoginRequest) -> None:
        """Store a new one."""
        row = {
            "id": request.id,
            "login_id": request.login_id,
            "agency_id": request.agency_id,
            "kind": request.state.kind,
            "version": request.version,
            "body": state_to_json(request.state),
            **self._columns(request, request.state),
        }
        self._unit.connection.execute(_INSERT, row)

    def advance(self, request: LoginRequest, state: Presentation) -> None:
        """Store its new state."""
        sql.advance(
            self._unit.connection,
            _TABLE,
            id=request.id,
            version=request.version,
            kind=state.kind,
            body=state_to_json(state),
            **self._columns(request, state),
        )

    def find(self, agency_id: AgencyId, request_id: str) -> LoginRequest | None:
        """Return the request that a wallet names."""
        return self._one(_FIND, row_id=request_id, agency=agency_id)

    def by_response_code(self, agency_id: AgencyId, digest: bytes) -> LoginRequest | None:
        """Return the request whose response_code has this digest."""
        return self._one(_BY_CODE, digest=digest, agency=agency_id)

    def of_login(self, login_id: str) -> Sequence[LoginRequest]:
        """Return the requests of a login."""
        return [self._stored(row) for row in self._unit.connection.execute(_OF_LOGIN, {"login": login_id})]

    def delete_of_login(self, login_id: str) -> None:
        """Delete the requests of a login."""
        self._unit.connection.execute(_DELETE_OF_LOGIN, {"login": login_id})

    def delete_old(self, *, now: datetime, limit: int) -> int:
        """Delete requests whose time is over, and return how many."""
        old = select(_TABLE.c.id).where(_TABLE.c.delete_at <= now).limit(limit)
        return self._unit.connection.execute(delete(_TABLE).where(_TABLE.c.id.in_(old))).rowcount

    def _one(self, statement: Any, **parameters: Any) -> LoginRequest | None:
        row = self._unit.connection.execute(statement, parameters).one_or_none()
        return None if row is None else self._stored(row)

    def _columns(self, request: LoginRequest, state: Presentation) -> dict[str, Any]:
        return {
            # The key goes with the answer: nothing that was sent can be opened any more.
            "sealed_key": request.sealed_key if isinstance(state, Requested | Retrieved) else None,
            "sealed_claims": self._sealed_claims(request.id, state),
            "code_digest": state.response_code_digest if isinstance(state, Answered) else None,
            "delete_at": request.delete_at,
        }

    def _sealed_claims(self, request_id: str, state: Presentation) -> bytes | None:
        credentials = credentials_of(state)
        if credentials is None:
            return None
        return self._seal.seal(strict_json.dumps(credentials_to_json(credentials)), _claims_context(request_id))

    def _stored(self, row: Row[Any]) -> LoginRequest:
        claims = None
        if row.sealed_claims is not None:
            text = self._seal.open(row.sealed_claims, _claims_context(row.id))
            claims = strict_json.loads_object(text, what="stored claims")
        return LoginRequest(
            id=row.id,
            login_id=row.login_id,
            agency_id=AgencyId(row.agency_id),
            version=row.version,
            state=state_from_json(row.kind, row.body, claims),
            sealed_key=row.sealed_key,
            delete_at=row.delete_at,
        )


def _claims_context(request_id: str) -> str:
    return f"issuer_login_request.sealed_claims:{request_id}"
