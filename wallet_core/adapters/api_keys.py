"""API keys of our own APIs: shown once, stored as digests, scoped, revocable."""

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from wallet_core.adapters.app_tables import AppTables
from wallet_core.errors import InsufficientScope, InvalidToken, NotFound

KEY_PREFIX = "jgk_"
"""Lets scanners of repositories and logs recognise a leaked key."""

ANY_OWNER = "*"
"""Owner of an operator's key, which is good for every agency or relying party."""

_KEY = re.compile(rf"{KEY_PREFIX}[A-Za-z0-9_-]{{43}}\Z")
_BEARER = re.compile(r"bearer +(\S+)\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Who calls, and what for."""

    id: str
    owner: str
    scopes: frozenset[str]

    def check(self, scope: str, owner: str | None = None) -> None:
        """Refuse a call outside what the key is for.

        Raises:
            InsufficientScope: the key lacks ``scope``, or belongs to another owner.
        """
        if scope not in self.scopes:
            raise InsufficientScope(f"the API key lacks the scope {scope}")
        if owner is not None and self.owner not in {owner, ANY_OWNER}:
            raise InsufficientScope("the API key belongs to somebody else")


def create_api_key(
    connection: Connection, tables: AppTables, *, owner: str, label: str, scopes: Collection[str], now: datetime
) -> tuple[ApiKey, str]:
    """Store a new key's digest and return the key with its text, which is not to be had again."""
    text = KEY_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(secrets.token_hex(8), owner, frozenset(scopes))
    row = {"id": key.id, "digest": _digest(text), "owner": owner, "label": label}
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
    return ApiKey(row.id, row.owner, frozenset(row.scopes))


def revoke_api_key(connection: Connection, tables: AppTables, key_id: str, *, now: datetime) -> None:
    """Make a key useless from now on.

    Raises:
        NotFound: there is no such key, or it was revoked before.
    """
    table = tables.api_key
    found = update(table).where(table.c.id == key_id, table.c.revoked_at.is_(None)).values(revoked_at=now)
    if connection.execute(found).rowcount != 1:
        raise NotFound("no such API key")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
