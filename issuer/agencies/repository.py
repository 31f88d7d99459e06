"""Agencies and their API keys in the database."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update

from issuer.agencies.ports import Agency
from issuer.agencies.tables import AgencyRow
from issuer.agencies.use_cases import credential_issuer_id
from issuer.tables import APP_TABLES, table_of
from wallet_core.adapters import api_keys
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.catalogue.text import Text
from wallet_core.errors import NotFound
from wallet_core.types import AgencyId

_AGENCY = table_of(AgencyRow)
_FIND = select(_AGENCY).where(_AGENCY.c.id == bindparam("agency_id"))


class SqlAgencies:
    """The registered agencies."""

    def __init__(self, unit: UnitOfWork, public_url: str) -> None:
        self._unit = unit
        self._public_url = public_url

    def add(self, agency_id: AgencyId, name: Text, *, haip: bool, now: datetime) -> None:
        """Register an agency; one that is there keeps its date and takes name and profile."""
        names = {"name_ko": name.ko, "name_en": name.en, "haip": haip}
        statement = update(_AGENCY).where(_AGENCY.c.id == agency_id).values(**names)
        if self._unit.connection.execute(statement).rowcount == 0:
            self._unit.connection.execute(
                insert(_AGENCY), {"id": agency_id, "created_at": now, "encrypted": False, **names}
            )

    def set_encrypted(self, agency_id: AgencyId, *, encrypted: bool) -> None:
        """Store whether an agency demands encrypted messages. Raises ``NotFound``."""
        statement = update(_AGENCY).where(_AGENCY.c.id == agency_id).values(encrypted=encrypted)
        if self._unit.connection.execute(statement).rowcount == 0:
            raise NotFound("no such agency")

    def find(self, agency_id: AgencyId) -> Agency | None:
        """Return an agency, None if it is not registered."""
        row = self._unit.connection.execute(_FIND, {"agency_id": agency_id}).one_or_none()
        return None if row is None else self._agency(row)

    def all(self) -> Sequence[Agency]:
        """Return every agency, by id."""
        return [self._agency(row) for row in self._unit.connection.execute(select(_AGENCY).order_by(_AGENCY.c.id))]

    def _agency(self, row: Row[Any]) -> Agency:
        agency_id = AgencyId(row.id)
        issuer = credential_issuer_id(self._public_url, agency_id)
        return Agency(agency_id, issuer, Text(row.name_ko, row.name_en), row.haip, row.encrypted)


class SqlApiKeys:
    """API keys of agencies."""

    def __init__(self, unit: UnitOfWork) -> None:
        self._unit = unit

    def create(self, agency_id: AgencyId, *, label: str, scopes: Collection[str], now: datetime) -> tuple[str, str]:
        """Return the id and the text of a new key."""
        key, text = api_keys.create_api_key(
            self._unit.connection, APP_TABLES, owner=agency_id, label=label, scopes=scopes, now=now
        )
        return key.id, text

    def revoke(self, key_id: str, *, now: datetime) -> None:
        """Make a key useless."""
        api_keys.revoke_api_key(self._unit.connection, APP_TABLES, key_id, now=now)

    def owner(self, text: str, *, scope: str, now: datetime) -> AgencyId:
        """Return whose key ``text`` is."""
        key = api_keys.find_api_key(self._unit.connection, APP_TABLES, f"Bearer {text}", now=now)
        key.check(scope)
        return AgencyId(key.owner)
