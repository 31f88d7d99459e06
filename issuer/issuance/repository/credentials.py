"""The record of issue in the database."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, func, insert, select, update

from issuer.issuance.ports import IssuedCredential
from issuer.issuance.tables import CredentialRow
from issuer.tables import table_of
from wallet_core.adapters import sql
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.types import AgencyId, CredentialConfigurationId

_CREDENTIAL = table_of(CredentialRow)

# Built once: putting a statement together costs as much as running it.
_ADD = insert(_CREDENTIAL).execution_options(preserve_rowcount=True)
_FIND = select(_CREDENTIAL).where(
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
        sql.write_together(self._unit, _ADD, rows)

    def find(self, agency_id: AgencyId, credential_id: str) -> IssuedCredential | None:
        """Return one of an agency's credentials, None if there is none."""
        values = {"agency_id": agency_id, "credential_id": credential_id}
        row = self._unit.connection.execute(_FIND, values).one_or_none()
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
        for chunk in sql.chunks(credential_ids):
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
        for chunk in sql.chunks(credential_ids):
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

    def latest(
        self, agency_id: AgencyId, *, subject_ids: Collection[str] | None, before: str, limit: int
    ) -> Sequence[IssuedCredential]:
        """Return an agency's credentials, newest first, from the one before the id ``before`` (empty: the newest)."""
        columns = _CREDENTIAL.c
        statement = select(_CREDENTIAL).where(columns.agency_id == agency_id)
        if before:
            statement = statement.where(columns.id < before)
        if subject_ids is not None:
            statement = statement.where(columns.subject_id.in_(list(subject_ids)))
        rows = self._unit.connection.execute(statement.order_by(columns.id.desc()).limit(limit))
        return [_credential(row) for row in rows]

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
