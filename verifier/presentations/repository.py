"""Presentations in the database: row ↔ state, and word of every move.

A move that its relying party is told of is announced to its webhook in the transaction that stores it, so that nobody
can move a presentation and forget to tell (decision 0095).
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Row,
    String,
    and_,
    any_,
    bindparam,
    delete,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from verifier.presentations.ports import RecordParts, StoredPresentation, Unreadable, Wanted
from verifier.presentations.tables import PresentationRow
from verifier.relying_parties.ports import PartyId
from verifier.tables import table_of
from verifier.webhooks.repository import WEBHOOK, announce
from wallet_core.adapters import sql
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import WalletError
from wallet_core.ports import Seal
from wallet_core.protocols.openid4vp.presentation import (
    Answered,
    Expired,
    Presentation,
    Refused,
    Requested,
    Retrieved,
    Verified,
    next_change,
)
from wallet_core.protocols.openid4vp.record import RecordNotes
from wallet_core.protocols.openid4vp.stored import (
    MAX_STORED_DEPTH,
    credentials_of,
    credentials_to_json,
    state_from_json,
    state_to_json,
)
from wallet_core.types import JsonObject

ENDED = (Verified.kind, Refused.kind, Expired.kind)
"""Kinds of the states that nothing but time leaves."""

MAX_CLAIMS_BYTES = 16 << 20
"""Bytes of the claims of one presentation when read again: an answer of what JSON escapes can grow sixfold."""

_TABLE = table_of(PresentationRow)
_RECORD = ("record_notes", "record_secrets", "record")
# Nobody but who asks for a record reads it.
_STATE = select(*(column for column in _TABLE.c if column.name not in _RECORD))

# Built once: putting a statement together costs as much as running it.
_BY_ID = _STATE.where(_TABLE.c.id == bindparam("row_id"), _TABLE.c.party_id == bindparam("party_id"))
_BY_REQUEST_ID = _STATE.where(_TABLE.c.request_id == bindparam("request_id"))
# One parameter, however many they are: the text of the statement stays the same. SQLite has no arrays but in JSON.
_BY_REQUEST_IDS = _STATE.where(_TABLE.c.request_id == any_(bindparam("request_ids", type_=ARRAY(String))))
_BY_REQUEST_IDS_JSON = _STATE.where(
    _TABLE.c.request_id.in_(
        select(func.json_each(bindparam("request_ids", type_=String)).table_valued("value").c.value)
    )
)
_BY_CODE = _STATE.where(_TABLE.c.code_digest == bindparam("digest"))
_OF_CHECK = _STATE.where(_TABLE.c.check_id == bindparam("check_id")).order_by(_TABLE.c.id)
_LATEST = (
    _STATE.where(_TABLE.c.party_id == bindparam("party_id")).order_by(_TABLE.c.id.desc()).limit(bindparam("limit"))
)
_LATEST_BEFORE = _LATEST.where(_TABLE.c.id < bindparam("before"))
_CHANGING = (
    _STATE.where(_TABLE.c.changes_at <= bindparam("now")).order_by(_TABLE.c.changes_at).limit(bindparam("limit"))
)
_RECORD_OF = select(_TABLE).where(_TABLE.c.id == bindparam("row_id"), _TABLE.c.party_id == bindparam("party_id"))
_UNSEALED = (
    select(_TABLE)
    .where(_TABLE.c.record_notes.is_not(None), _TABLE.c.kind.in_(ENDED), _TABLE.c.id > bindparam("after"))
    .order_by(_TABLE.c.id)
    .limit(bindparam("limit"))
)
_KEEP_RECORD = (
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("row_id"), _TABLE.c.record.is_(None))
    .values(record=bindparam("sealed"), record_notes=None)
)
# Pages of ours show what moves; a program that asked is told, where it said or where its party always is.
_DEFAULT_WEBHOOK = select(WEBHOOK.c.url).where(WEBHOOK.c.party_id == bindparam("told_party")).scalar_subquery()
_INSERT = insert(_TABLE).values(
    {column.name: bindparam(column.name) for column in _TABLE.c if column.name not in {*_RECORD, "webhook"}}
    | {"webhook": func.coalesce(bindparam("told_at", type_=String), _DEFAULT_WEBHOOK)}
)
_FORGET_CLAIMS = (
    update(_TABLE)
    .where(_TABLE.c.id == bindparam("row_id"))
    .values(sealed_claims=None, record_secrets=None, sealed_key=None, code_digest=None, changes_at=None)
)
_NOTE_PORTRAIT = update(_TABLE).where(_TABLE.c.id == bindparam("row_id")).values(portrait_matches=bindparam("matches"))
_OPEN = (Requested.kind, Retrieved.kind, Answered.kind)
_USED = (Answered.kind, Verified.kind, Refused.kind)

_Read = TypeVar("_Read")


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
            "portrait_matches": presentation.portrait_matches,
            "told_at": presentation.webhook,
            "told_party": presentation.party_id if presentation.check_id is None else "",
            **self._columns(presentation, presentation.state),
        }
        self._unit.connection.execute(_INSERT, row)

    def advance(self, presentation: StoredPresentation, state: Presentation, notes: RecordNotes | None = None) -> None:
        """Store its new state, what its verification record will need, and word of the move for its webhook."""
        sql.advance_together(
            self._unit,
            _TABLE,
            id=presentation.id,
            version=presentation.version,
            kind=state.kind,
            body=state_to_json(state),
            **self._columns(presentation, state),
            **self._record_columns(presentation, state, notes),
        )
        self._announce(presentation, state)

    def record_of(self, party_id: PartyId, presentation_id: str) -> RecordParts | None:
        """Return what there is of the verification record of a party's presentation."""
        row = self._unit.connection.execute(_RECORD_OF, {"row_id": presentation_id, "party_id": party_id}).one_or_none()
        return None if row is None else self._parts(row)

    def unsealed(self, *, after: str, limit: int) -> Sequence[RecordParts | Unreadable]:
        """Return what waits to be sealed, without claims and secrets."""
        rows = self._unit.connection.execute(_UNSEALED, {"after": after, "limit": limit})
        return [_or_unreadable(row, _sealable) for row in rows]

    def keep_record(self, presentation_id: str, record: str) -> str | None:
        """Store a sealed record and return the one that is stored."""
        self._unit.connection.execute(_KEEP_RECORD, {"row_id": presentation_id, "sealed": record})
        found = select(_TABLE.c.record).where(_TABLE.c.id == presentation_id)
        return self._unit.connection.execute(found).scalar_one_or_none()

    def by_id(self, party_id: PartyId, presentation_id: str) -> StoredPresentation | None:
        """Return a party's presentation."""
        return self._one(_BY_ID, row_id=presentation_id, party_id=party_id)

    def by_request_id(self, request_id: str) -> StoredPresentation | None:
        """Return the presentation that a wallet names."""
        return self._one(_BY_REQUEST_ID, request_id=request_id)

    def by_request_ids(self, request_ids: Sequence[str]) -> dict[str, StoredPresentation | WalletError]:
        """Return the presentations that wallets name, by request_id; of those that cannot be read, why."""
        # Ours are base64url. Another text could be one that the database does not take, and then all would fail.
        wanted = [request_id for request_id in request_ids if base64url.is_alphabet(request_id)]
        connection = self._unit.connection
        if connection.dialect.name == "sqlite":
            rows = connection.execute(_BY_REQUEST_IDS_JSON, {"request_ids": strict_json.dumps_text(wanted)})
        else:
            rows = connection.execute(_BY_REQUEST_IDS, {"request_ids": wanted})
        return {row.request_id: self._stored_or_error(row) for row in rows}

    def by_response_code(self, digest: bytes) -> StoredPresentation | None:
        """Return the presentation whose response_code has this digest."""
        return self._one(_BY_CODE, digest=digest)

    def of_check(self, check_id: str) -> Sequence[StoredPresentation]:
        """Return the presentations that stand beside each other."""
        return self._all(_OF_CHECK, check_id=check_id)

    def latest(self, party_id: PartyId, *, before: str, limit: int) -> Sequence[StoredPresentation]:
        """Return a party's presentations, newest first."""
        if not before:
            return self._listed(_LATEST, party_id=party_id, limit=limit)
        return self._listed(_LATEST_BEFORE, party_id=party_id, before=before, limit=limit)

    def search(
        self, party_id: PartyId, wanted: Wanted, *, before: str, limit: int, now: datetime
    ) -> Sequence[StoredPresentation]:
        """Return those of a party's presentations that are wanted, newest first."""
        conditions = [_TABLE.c.party_id == party_id]
        if before:
            conditions.append(_TABLE.c.id < before)
        if wanted.state:
            conditions.append(_stands(wanted.state, now))
        if wanted.policy_id:
            conditions.append(_TABLE.c.policy_id == wanted.policy_id)
        if wanted.own_query:
            conditions.append(_TABLE.c.policy_id.is_(None))
        return self._listed(_STATE.where(*conditions).order_by(_TABLE.c.id.desc()).limit(limit))

    def changing(self, *, now: datetime, limit: int) -> Sequence[StoredPresentation | Unreadable]:
        """Return presentations that time alone has moved on, without claims."""
        rows = self._unit.connection.execute(_CHANGING, {"now": now, "limit": limit})
        return [_or_unreadable(row, _without_claims) for row in rows]

    def forget_claims(self, presentation_id: str) -> None:
        """Delete what is personal of a presentation that cannot be read, and look at it no more."""
        self._unit.connection.execute(_FORGET_CLAIMS, {"row_id": presentation_id})

    def note_portrait(self, presentation_id: str, *, matches: bool) -> None:
        """Keep what staff said of the portrait and the person; it is beside the state, which does not move."""
        self._unit.connection.execute(_NOTE_PORTRAIT, {"row_id": presentation_id, "matches": matches})

    def delete_old(self, *, now: datetime, limit: int) -> int:
        """Delete presentations whose record may no longer be kept."""
        old = select(_TABLE.c.id).where(_TABLE.c.delete_at <= now).limit(limit)
        return self._unit.connection.execute(delete(_TABLE).where(_TABLE.c.id.in_(old))).rowcount

    def _one(self, statement: Any, **parameters: Any) -> StoredPresentation | None:
        row = self._unit.connection.execute(statement, parameters).one_or_none()
        return None if row is None else self._stored(row)

    def _all(self, statement: Any, **parameters: Any) -> list[StoredPresentation]:
        return [self._stored(row) for row in self._unit.connection.execute(statement, parameters)]

    def _listed(self, statement: Any, **parameters: Any) -> list[StoredPresentation]:
        return [_without_claims(row) for row in self._unit.connection.execute(statement, parameters)]

    def _columns(self, presentation: StoredPresentation, state: Presentation) -> dict[str, Any]:
        return {
            # The key goes with the answer: nothing that was sent can be opened any more.
            "sealed_key": presentation.sealed_key if isinstance(state, Requested | Retrieved) else None,
            "sealed_claims": self._sealed_claims(presentation.id, state),
            "code_digest": state.response_code_digest if isinstance(state, Answered) else None,
            "changes_at": next_change(state),
            "delete_at": presentation.delete_at,
        }

    def _record_columns(
        self, presentation: StoredPresentation, state: Presentation, notes: RecordNotes | None
    ) -> dict[str, Any]:
        # What opens the digests of a record goes with the claims, whatever moved the presentation.
        gone: dict[str, Any] = {} if credentials_of(state) is not None else {"record_secrets": None}
        if notes is None:
            return gone
        secrets = None
        if notes.secrets is not None and not gone:
            secrets = self._seal.seal(notes.secrets, _secrets_context(presentation.id))
        return {"record_notes": notes.body, "record_secrets": secrets}

    def _announce(self, presentation: StoredPresentation, state: Presentation) -> None:
        # Decision 0095: here, so that nobody can move a presentation and forget to tell of it.
        at = _told_time(state)
        if presentation.webhook is None or at is None or state.kind == presentation.state.kind:
            return
        announce(
            self._unit.connection,
            party_id=presentation.party_id,
            presentation_id=presentation.id,
            policy_id=presentation.policy_id,
            url=presentation.webhook,
            state=state.kind,
            at=at,
        )

    def _parts(self, row: Row[Any]) -> RecordParts:
        secrets = row.record_secrets
        opened = None if secrets is None else self._seal.open(secrets, _secrets_context(row.id))
        return RecordParts(self._stored(row), row.record_notes, opened, row.record)

    def _sealed_claims(self, presentation_id: str, state: Presentation) -> bytes | None:
        credentials = credentials_of(state)
        if credentials is None:
            return None
        return self._seal.seal(strict_json.dumps(credentials_to_json(credentials)), _claims_context(presentation_id))

    def _stored_or_error(self, row: Row[Any]) -> StoredPresentation | WalletError:
        try:
            return self._stored(row)
        except WalletError as exc:
            return exc

    def _stored(self, row: Row[Any]) -> StoredPresentation:
        claims = None
        if row.sealed_claims is not None:
            text = self._seal.open(row.sealed_claims, _claims_context(row.id))
            claims = strict_json.loads_object(
                text, what="stored claims", max_bytes=MAX_CLAIMS_BYTES, max_depth=MAX_STORED_DEPTH
            )
        return _presentation(row, claims)


def _presentation(row: Row[Any], claims: JsonObject | None) -> StoredPresentation:
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
        webhook=row.webhook,
        portrait_matches=row.portrait_matches,
    )


def _without_claims(row: Row[Any]) -> StoredPresentation:
    """Return a presentation with none of the claims it has: no key is needed, and none can be in the way."""
    return _presentation(row, None if row.sealed_claims is None else {})


def _sealable(row: Row[Any]) -> RecordParts:
    return RecordParts(_without_claims(row), row.record_notes, None, row.record)


def _or_unreadable(row: Row[Any], read: Callable[[Row[Any]], _Read]) -> _Read | Unreadable:
    """Return what a row holds. One that cannot be read, as after an update of ours, is in nobody else's way."""
    try:
        return read(row)
    except WalletError as exc:
        return Unreadable(row.id, exc.detail)


def _told_time(state: Presentation) -> datetime | None:
    """Return when the state came about, if it is one that a relying party is told of."""
    match state:
        case Answered():
            return state.answered_at
        case Verified():
            return state.verified_at
        case Refused():
            return state.refused_at
        case Expired():
            return state.expired_at
        case _:
            return None


def _stands(state: str, now: datetime) -> ColumnElement[bool]:
    """Return the condition that a row stands in ``state`` now, though no job may have moved it on yet."""
    over = and_(_TABLE.c.kind.in_(_OPEN), _TABLE.c.changes_at <= now)
    if state != "expired":
        return and_(_TABLE.c.kind == state, not_(over))
    # Of the requests beside each other all but one are always left over: that one says what became of the check.
    beside = _TABLE.alias("beside")
    answered = select(beside.c.id).where(
        beside.c.check_id == _TABLE.c.check_id, beside.c.id != _TABLE.c.id, beside.c.kind.in_(_USED)
    )
    return and_(or_(_TABLE.c.kind == "expired", over), not_(answered.exists()))


def _claims_context(presentation_id: str) -> str:
    return f"verifier_presentation.sealed_claims:{presentation_id}"


def _secrets_context(presentation_id: str) -> str:
    return f"verifier_presentation.record_secrets:{presentation_id}"
