"""Login sessions and one-time codes in the database: row ↔ state, nothing else."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, delete, insert, select, update

from issuer.login.ports import (
    Choosing,
    Ended,
    LoggedIn,
    LoginSession,
    LoginState,
    OneTimeCode,
    Stranger,
)
from issuer.login.tables import LoginSessionRow, OneTimeCodeRow
from issuer.tables import table_of
from wallet_core.adapters import sql
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.errors import StateConflict
from wallet_core.types import AgencyId, JsonObject

_SESSION = table_of(LoginSessionRow)
_CODE = table_of(OneTimeCodeRow)

_ADD = insert(_SESSION)
_FIND = select(_SESSION).where(_SESSION.c.agency_id == bindparam("agency_id"), _SESSION.c.id == bindparam("session_id"))
_FIND_CODE = select(_CODE).where(_CODE.c.id == bindparam("code_id"))
_DROP_CODE = delete(_CODE).where(_CODE.c.id == bindparam("code_id"))
_ADD_CODE = insert(_CODE)
# Compare-and-set: of two simultaneous tries with one code, each counts and at most one wins.
_SEEN = (
    _CODE.c.id == bindparam("code_id"),
    _CODE.c.tries_left == bindparam("seen"),
    _CODE.c.code_digest == bindparam("digest"),
)
_COUNT = update(_CODE).where(*_SEEN).values(tries_left=_CODE.c.tries_left - 1)
_SPEND = delete(_CODE).where(*_SEEN)


class SqlLoginSessions:
    """Login sessions of one database."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def add(self, session: LoginSession) -> None:
        """Store a new session."""
        kind, body = _to_json(session.state)
        values = {
            "id": session.id,
            "agency_id": session.agency_id,
            "authorization_id": session.authorization_id,
            "kind": kind,
            "version": session.version,
            "body": body,
            "expires_at": session.expires_at,
        }
        self._unit.connection.execute(_ADD, values)

    def find(self, agency_id: AgencyId, session_id: str) -> LoginSession | None:
        """Return a session of an agency, None if there is none."""
        values = {"agency_id": agency_id, "session_id": session_id}
        row = self._unit.connection.execute(_FIND, values).one_or_none()
        return None if row is None else _session(row)

    def advance(self, session: LoginSession, state: LoginState) -> LoginSession:
        """Store the next state and return the session in it. Raises ``StateConflict`` if it moved meanwhile."""
        kind, body = _to_json(state)
        version = sql.advance(
            self._unit.connection, _SESSION, id=session.id, version=session.version, kind=kind, body=body
        )
        return replace(session, version=version, state=state)

    def forget(self, *, now: datetime, limit: int) -> int:
        """Delete sessions and codes whose time is over, up to ``limit`` of each, and return how many."""
        connection = self._unit.connection
        return sum(sql.delete_expired(connection, table, now=now, limit=limit) for table in (_SESSION, _CODE))


class SqlOneTimeCodes:
    """One-time codes of one database."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def put(self, code: OneTimeCode) -> None:
        """Store a code; an older one of the same person is replaced."""
        self._unit.connection.execute(_DROP_CODE, {"code_id": code.id})
        values = {
            "id": code.id,
            "code_digest": code.code_digest,
            "tries_left": code.tries_left,
            "expires_at": code.expires_at,
        }
        self._unit.connection.execute(_ADD_CODE, values)

    def find(self, code_id: str) -> OneTimeCode | None:
        """Return the code of a person, None if there is none."""
        row = self._unit.connection.execute(_FIND_CODE, {"code_id": code_id}).one_or_none()
        return None if row is None else OneTimeCode(row.id, row.code_digest, row.tries_left, row.expires_at)

    def count_try(self, code: OneTimeCode) -> None:
        """Take one try off. Raises ``StateConflict`` if the code moved meanwhile."""
        self._change(_COUNT, code)

    def spend(self, code: OneTimeCode) -> None:
        """Use the code up. Raises ``StateConflict`` if somebody else did."""
        self._change(_SPEND, code)

    def _change(self, statement: Any, code: OneTimeCode) -> None:
        values = {"code_id": code.id, "seen": code.tries_left, "digest": code.code_digest}
        if self._unit.connection.execute(statement, values).rowcount != 1:
            raise StateConflict("the one-time code moved on")


def _to_json(state: LoginState) -> tuple[str, JsonObject]:
    match state:
        case Choosing():
            return "choosing", {"tries_left": state.tries_left, "memo": state.memo}
        case LoggedIn():
            return "logged_in", {"subject_id": state.subject_id, "method": state.method}
        case Stranger():
            return "stranger", {"method": state.method}
        case Ended():
            return "ended", {}


def _session(row: Row[Any]) -> LoginSession:
    return LoginSession(
        row.id, AgencyId(row.agency_id), row.authorization_id, row.version, _state(row.kind, row.body), row.expires_at
    )


def _state(kind: str, body: JsonObject) -> LoginState:
    match kind:
        case "choosing":
            memo = body["memo"]
            return Choosing(int(str(body["tries_left"])), memo if isinstance(memo, dict) else {})
        case "logged_in":
            return LoggedIn(str(body["subject_id"]), str(body["method"]))
        case "stranger":
            return Stranger(str(body["method"]))
        case "ended":
            return Ended()
    raise ValueError(f"no state is called {kind}")
