"""Presentations in the database: row ↔ state, nothing else."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, delete, insert, not_, or_, select

from verifier.ports import Seal
from verifier.presentations.ports import StoredPresentation, Wanted
from verifier.presentations.tables import PresentationRow
from verifier.relying_parties.ports import PartyId
from verifier.tables import table_of
from wallet_core.adapters import sql
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.encoding import strict_json
from wallet_core.protocols.openid4vp.presentation import (
    Answered,
    Presentation,
    Refused,
    Requested,
    Retrieved,
    Verified,
    next_change,
)
from wallet_core.protocols.openid4vp.stored import (
    credentials_of,
    credentials_to_json,
    state_from_json,
    state_to_json,
)

MAX_CLAIMS_BYTES = 1 << 20
"""Bytes of the claims of one presentation when read again; what came in was smaller."""

_TABLE = table_of(PresentationRow)

# Built once: putting a statement together costs as much as running it.
_BY_ID = select(_TABLE).where(_TABLE.c.id == bindparam("row_id"), _TABLE.c.party_id == bindparam("party_id"))
_BY_REQUEST_ID = select(_TABLE).where(_TABLE.c.request_id == bindparam("request_id"))
_BY_CODE = select(_TABLE).where(_TABLE.c.code_digest == bindparam("digest"))
_OF_CHECK = select(_TABLE).where(_TABLE.c.check_id == bindparam("check_id")).order_by(_TABLE.c.id)
_LATEST = (
    select(_TABLE)
    .where(_TABLE.c.party_id == bindparam("party_id"), _TABLE.c.id < bindparam("before"))
    .order_by(_TABLE.c.id.desc())
    .limit(bindparam("limit"))
)
_CHANGING = (
    select(_TABLE)
    .where(_TABLE.c.changes_at <= bindparam("now"))
    .order_by(_TABLE.c.changes_at)
    .limit(bindparam("limit"))
)
_INSERT = insert(_TABLE)
_OPEN = (Requested.kind, Retrieved.kind, Answered.kind)
_USED = (Answered.kind, Verified.kind, Refused.kind)
_AFTER_EVERY_ID = "\x7f"


class SqlPresentations:
    """Presentations of every relying party."""

    def __init__(self, unit: UnitOfWork, seal: Seal) -> None:
        self._unit = unit
        self._seal = seal

    def add(self, presentation: StoredPresentation) -> None:
        """Store a new one."""
        row = {
            "id": presentation.id,
            "request_id": presentation.request_id,
            "party_id": presentation.party_id,
            "policy_id": presentation.policy_id,
            "check_id": presentation.check_id,
            "kind": presentation.state.kind,
            "version": presentation.version,
            "body": state_to_json(presentation.state),
            "session_digest": presentation.session_digest,
            "created_at": presentation.state.terms.created_at,
            **self._columns(presentation, presentation.state),
        }
        self._unit.connection.execute(_INSERT, row)

    def advance(self, presentation: StoredPresentation, state: Presentation) -> None:
        """Store its new state."""
        sql.advance(
            self._unit.connection,
            _TABLE,
            id=presentation.id,
            version=presentation.version,
            kind=state.kind,
            body=state_to_json(state),
            **self._columns(presentation, state),
        )

    def by_id(self, party_id: PartyId, presentation_id: str) -> StoredPresentation | None:
        """Return a party's presentation."""
        return self._one(_BY_ID, row_id=presentation_id, party_id=party_id)

    def by_request_id(self, request_id: str) -> StoredPresentation | None:
        """Return the presentation that a wallet names."""
        return self._one(_BY_REQUEST_ID, request_id=request_id)

    def by_response_code(self, digest: bytes) -> StoredPresentation | None:
        """Return the presentation whose response_code has this digest."""
        return self._one(_BY_CODE, digest=digest)

    def of_check(self, check_id: str) -> Sequence[StoredPresentation]:
        """Return the presentations that stand beside each other."""
        return self._all(_OF_CHECK, check_id=check_id)

    def latest(self, party_id: PartyId, *, before: str, limit: int) -> Sequence[StoredPresentation]:
        """Return a party's presentations, newest first."""
        return self._all(_LATEST, party_id=party_id, before=before or _AFTER_EVERY_ID, limit=limit)

    def search(
        self, party_id: PartyId, wanted: Wanted, *, before: str, limit: int, now: datetime
    ) -> Sequence[StoredPresentation]:
        """Return those of a party's presentations that are wanted, newest first."""
        conditions = [_TABLE.c.party_id == party_id, _TABLE.c.id < (before or _AFTER_EVERY_ID)]
        if wanted.state:
            conditions.append(_stands(wanted.state, now))
        if wanted.policy_id:
            conditions.append(_TABLE.c.policy_id == wanted.policy_id)
        if wanted.own_query:
            conditions.append(_TABLE.c.policy_id.is_(None))
        return self._all(select(_TABLE).where(*conditions).order_by(_TABLE.c.id.desc()).limit(limit))

    def changing(self, *, now: datetime, limit: int) -> Sequence[StoredPresentation]:
        """Return presentations that time alone has moved on."""
        return self._all(_CHANGING, now=now, limit=limit)

    def delete_old(self, *, now: datetime, limit: int) -> int:
        """Delete presentations whose record may no longer be kept."""
        old = select(_TABLE.c.id).where(_TABLE.c.delete_at <= now).limit(limit)
        return self._unit.connection.execute(delete(_TABLE).where(_TABLE.c.id.in_(old))).rowcount

    def _one(self, statement: Any, **parameters: Any) -> StoredPresentation | None:
        row = self._unit.connection.execute(statement, parameters).one_or_none()
        return None if row is None else self._stored(row)

    def _all(self, statement: Any, **parameters: Any) -> list[StoredPresentation]:
        return [self._stored(row) for row in self._unit.connection.execute(statement, parameters)]

    def _columns(self, presentation: StoredPresentation, state: Presentation) -> dict[str, Any]:
        return {
            # The key goes with the answer: nothing that was sent can be opened any more.
            "sealed_key": presentation.sealed_key if isinstance(state, Requested | Retrieved) else None,
            "sealed_claims": self._sealed_claims(presentation.id, state),
            "code_digest": state.response_code_digest if isinstance(state, Answered) else None,
            "changes_at": next_change(state),
            "delete_at": presentation.delete_at,
        }

    def _sealed_claims(self, presentation_id: str, state: Presentation) -> bytes | None:
        credentials = credentials_of(state)
        if credentials is None:
            return None
        return self._seal.seal(strict_json.dumps(credentials_to_json(credentials)), _claims_context(presentation_id))

    def _stored(self, row: Row[Any]) -> StoredPresentation:
        claims = None
        if row.sealed_claims is not None:
            text = self._seal.open(row.sealed_claims, _claims_context(row.id))
            claims = strict_json.loads_object(text, what="stored claims", max_bytes=MAX_CLAIMS_BYTES)
        return StoredPresentation(
            id=row.id,
            request_id=row.request_id,
            party_id=PartyId(row.party_id),
            policy_id=row.policy_id,
            check_id=row.check_id,
            version=row.version,
            state=state_from_json(row.kind, row.body, claims),
            sealed_key=row.sealed_key,
            session_digest=row.session_digest,
            delete_at=row.delete_at,
        )


def _stands(state: str, now: datetime) -> ColumnElement[bool]:
    """Return the condition that a row stands in ``state`` now, though no job may have moved it on yet."""
    over = and_(_TABLE.c.kind.in_(_OPEN), _TABLE.c.changes_at <= now)
    if state != "expired":
        return and_(_TABLE.c.kind == state, not_(over))
    # Of two requests beside each other one is always left over: the other one says what became of the check.
    beside = _TABLE.alias("beside")
    answered = select(beside.c.id).where(
        beside.c.check_id == _TABLE.c.check_id, beside.c.id != _TABLE.c.id, beside.c.kind.in_(_USED)
    )
    return and_(or_(_TABLE.c.kind == "expired", over), not_(answered.exists()))


def _claims_context(presentation_id: str) -> str:
    return f"verifier_presentation.sealed_claims:{presentation_id}"
