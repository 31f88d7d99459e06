"""Relying parties and their API keys in the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update

from verifier.relying_parties.ports import KeyTerms, KeyView, PartyId, RelyingParty
from verifier.relying_parties.tables import RelyingPartyRow
from verifier.tables import APP_TABLES, table_of
from wallet_core.adapters import api_keys
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.catalogue.text import Text

_PARTY = table_of(RelyingPartyRow)
_FIND = select(_PARTY).where(_PARTY.c.id == bindparam("party_id"))


class SqlRelyingParties:
    """The registered relying parties."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def add(self, party: RelyingParty, *, now: datetime) -> None:
        """Register a relying party; one that is there keeps its date and takes the name."""
        names = {"name_ko": party.name.ko, "name_en": party.name.en}
        statement = update(_PARTY).where(_PARTY.c.id == party.id).values(**names)
        if self._unit.connection.execute(statement).rowcount == 0:
            self._unit.connection.execute(insert(_PARTY), {"id": party.id, "created_at": now, **names})

    def find(self, party_id: PartyId) -> RelyingParty | None:
        """Return a relying party, None if it is not registered."""
        row = self._unit.connection.execute(_FIND, {"party_id": party_id}).one_or_none()
        return None if row is None else _party(row)

    def all(self) -> Sequence[RelyingParty]:
        """Return every relying party, by id."""
        return [_party(row) for row in self._unit.connection.execute(select(_PARTY).order_by(_PARTY.c.id))]


class SqlApiKeys:
    """API keys of relying parties."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def create(self, party_id: PartyId, terms: KeyTerms, *, now: datetime) -> tuple[str, str]:
        """Return the id and the text of a new key."""
        key, text = api_keys.create_api_key(
            self._unit.connection,
            APP_TABLES,
            owner=party_id,
            label=terms.label,
            scopes=terms.scopes,
            expires_at=terms.expires_at,
            now=now,
        )
        return key.id, text

    def all(self, party_id: PartyId) -> Sequence[KeyView]:
        """Return every key that the party ever had, the newest first."""
        return [_key(record) for record in api_keys.list_api_keys(self._unit.connection, APP_TABLES, party_id)]

    def find(self, party_id: PartyId, key_id: str) -> KeyView:
        """Return a key of the party."""
        return _key(api_keys.find_key_record(self._unit.connection, APP_TABLES, party_id, key_id))

    def end(self, key_id: str, *, at: datetime) -> None:
        """Let a key end at a time, unless it ends sooner."""
        api_keys.end_api_key(self._unit.connection, APP_TABLES, key_id, at=at)

    def revoke(self, key_id: str, *, now: datetime) -> None:
        """Make a key useless."""
        api_keys.revoke_api_key(self._unit.connection, APP_TABLES, key_id, now=now)

    def use(self, text: str, *, scope: str, now: datetime) -> tuple[PartyId, str]:
        """Return whose key ``text`` is, and its id; its use is noted."""
        key = api_keys.find_api_key(self._unit.connection, APP_TABLES, f"Bearer {text}", now=now)
        key.check(scope)
        api_keys.note_use(self._unit.connection, APP_TABLES, key, now=now)
        return PartyId(key.owner), key.id


def _key(record: api_keys.KeyRecord) -> KeyView:
    return KeyView(
        record.id,
        record.label,
        record.scopes,
        record.created_at,
        record.expires_at,
        record.revoked_at,
        record.last_used_at,
    )


def _party(row: Row[Any]) -> RelyingParty:
    return RelyingParty(PartyId(row.id), Text(row.name_ko, row.name_en))
