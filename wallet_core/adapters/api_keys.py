"""API keys of our own APIs: shown once, stored as digests, scoped, named, with an end, rotated and revoked."""

import hashlib
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, insert, or_, select, update

from wallet_core.adapters.app_tables import AppTables
from wallet_core.errors import InsufficientScope, InvalidToken, NotFound

KEY_PREFIX = "jgk_"
"""Lets scanners of repositories and logs recognise a leaked key."""

ANY_OWNER = "*"
"""Owner of an operator's key, which is good for every agency or relying party."""

USE_NOTED_EVERY: Final = timedelta(minutes=1)
"""How exactly the last use of a key is known: noting every call would cost a write for each."""

MAX_LABEL_CHARACTERS: Final = 100
"""Characters of the name that people give a key; the column has room for as many."""

_KEY = re.compile(rf"{KEY_PREFIX}[A-Za-z0-9_-]{{43}}\Z")
_BEARER = re.compile(r"bearer +(\S+)\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who calls, and what for. ``last_used_at`` is when this was noted last, None if it never was."""

    id: str
    owner: str
    scopes: frozenset[str]
    last_used_at: datetime | None = None

    def check(self, scope: str, owner: str | None = None) -> None:
        """Refuse a call outside what the key is for.

        Raises:
            InsufficientScope: the key lacks ``scope``, or belongs to another owner.
        """
        if scope not in self.scopes:
            raise InsufficientScope(f"the API key lacks the scope {scope}")
        if owner is not None and self.owner not in {owner, ANY_OWNER}:
            raise InsufficientScope("the API key belongs to somebody else")


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is kept of a key: all but its text.

    Attributes:
        label: the name that people gave it.
        expires_at: from when on it is useless by itself; None: never.
        revoked_at: when it was made useless by hand; None if it was not.
        last_used_at: its last use, to the minute; None if there was none.
    """

    id: str
    owner: str
    label: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


def create_api_key(
    connection: Connection,
    tables: AppTables,
    *,
    owner: str,
    label: str,
    scopes: Collection[str],
    now: datetime,
    expires_at: datetime | None = None,
) -> tuple[ApiKey, str]:
    """Store a new key's digest and return the key with its text, which is not to be had again."""
    text = KEY_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(secrets.token_hex(8), owner, frozenset(scopes))
    row = {"id": key.id, "digest": _digest(text), "owner": owner, "label": label, "expires_at": expires_at}
    connection.execute(insert(tables.api_key), {**row, "scopes": sorted(scopes), "created_at": now})
    return key, text


def find_api_key(connection: Connection, tables: AppTables, authorization: str | None, *, now: datetime) -> ApiKey:
    """Return the key presented in an ``Authorization`` header.

    Raises:
        InvalidToken: there is no Bearer key, or it is unknown, expired or revoked.
    """
    match = _BEARER.match(authorization or "")
    if match is None or not _KEY.match(match[1]):
        raise InvalidToken("send an API key: Authorization: Bearer jgk_...")
    table = tables.api_key
    # Looked up by digest: the time that takes says nothing about the key.
    row = connection.execute(select(table).where(table.c.digest == _digest(match[1]))).one_or_none()
    if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        raise InvalidToken("the API key is unknown, expired or revoked")
    return ApiKey(row.id, row.owner, frozenset(row.scopes), row.last_used_at)


def note_use(connection: Connection, tables: AppTables, key: ApiKey, *, now: datetime) -> None:
    """Remember that a key was used, unless that was noted less than :data:`USE_NOTED_EVERY` ago."""
    if not is_use_due(key, now=now):
        return
    table = tables.api_key
    # Never back in time: another worker may have noted a later use meanwhile.
    earlier = or_(table.c.last_used_at.is_(None), table.c.last_used_at < now)
    connection.execute(update(table).where(table.c.id == key.id, earlier).values(last_used_at=now))


def is_use_due(key: ApiKey, *, now: datetime) -> bool:
    """Return whether a use of ``key`` is to be noted now."""
    return key.last_used_at is None or now >= key.last_used_at + USE_NOTED_EVERY


def list_api_keys(connection: Connection, tables: AppTables, owner: str) -> Sequence[KeyRecord]:
    """Return every key that ``owner`` ever had, the newest first."""
    table = tables.api_key
    found = select(table).where(table.c.owner == owner).order_by(table.c.created_at.desc(), table.c.id)
    return [_record(row) for row in connection.execute(found)]


def find_key_record(connection: Connection, tables: AppTables, owner: str, key_id: str) -> KeyRecord:
    """Return what is kept of a key of ``owner``.

    Raises:
        NotFound: ``owner`` has no such key.
    """
    row = connection.execute(_of(tables.api_key, owner, key_id)).one_or_none()
    if row is None:
        raise NotFound("no such API key")
    return _record(row)


def end_api_key(connection: Connection, tables: AppTables, key_id: str, *, at: datetime) -> None:
    """Let a key end at a time, unless it ends sooner: what a rotation does with the old key."""
    table = tables.api_key
    later = or_(table.c.expires_at.is_(None), table.c.expires_at > at)
    connection.execute(update(table).where(table.c.id == key_id, later).values(expires_at=at))


def revoke_api_key(connection: Connection, tables: AppTables, key_id: str, *, now: datetime) -> None:
    """Make a key useless from now on.

    Raises:
        NotFound: there is no such key, or it was revoked before.
    """
    table = tables.api_key
    found = update(table).where(table.c.id == key_id, table.c.revoked_at.is_(None)).values(revoked_at=now)
    if connection.execute(found).rowcount != 1:
        raise NotFound("no such API key")


def _of(table: Table, owner: str, key_id: str) -> Any:
    return select(table).where(table.c.owner == owner, table.c.id == key_id)


def _record(row: Row[Any]) -> KeyRecord:
    return KeyRecord(
        row.id,
        row.owner,
        row.label,
        frozenset(row.scopes),
        row.created_at,
        row.expires_at,
        row.revoked_at,
        row.last_used_at,
    )


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
