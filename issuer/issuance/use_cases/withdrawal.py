"""Suspending, revoking and reinstating what was issued, and what became of one credential."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from issuer.agencies.ports import Agency
from issuer.issuance.ports import IssuancePorts, IssuedCredential, Storage
from issuer.status.ports import StatusChange
from issuer.status.use_cases.changes import STATUSES, StatusOrder, change_status, possible_statuses
from wallet_core.errors import InvalidRequest, NotFound

_WORDS = {int(value): word for word, value in STATUSES.items()}


@dataclass(frozen=True, slots=True)
class PastChange:
    """One line of a credential's history."""

    before: str
    after: str
    reason: str
    changed_by: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class CredentialStatus:
    """A credential with what happened to it.

    Attributes:
        credential: the record of its issue, with its present status.
        history: its changes, oldest first.
        possible: what its status can be changed to.
    """

    credential: IssuedCredential
    history: tuple[PastChange, ...]
    possible: tuple[str, ...]


def change_credential_status(
    ports: IssuancePorts, storage: Storage, agency: Agency, credential_id: str, order: StatusOrder
) -> CredentialStatus:
    """Give a credential another status, in the unit of ``storage``; known to whoever asks from then on.

    Raises:
        NotFound: the agency issued no such credential.
        InvalidRequest: there is no such status, or this kind of credential does not have it.
        StateConflict: it was issued without a status, or revoked before.
    """
    with storage.unit:
        credential = _find(storage, agency, credential_id)
        _check_type(ports, credential, order.status)
        change_status(
            storage.statuses,
            ports.status.terms,
            agency.id,
            credential_id,
            order,
            now=ports.clock.now(),
            random=ports.random,
        )
        storage.credentials.set_status(credential_id, order.status)
        return _status(ports, storage, agency, credential_id)


def change_card_status(
    ports: IssuancePorts, storage: Storage, agency: Agency, credential_id: str, order: StatusOrder
) -> None:
    """Give a card another status: all copies that were issued with one credential, in the unit of ``storage``.

    Copies that cannot change in that way, because they were revoked before, stay as they are.

    Raises:
        NotFound, InvalidRequest, StateConflict: as :func:`change_credential_status`, for the credential itself.
    """
    with storage.unit:
        change_credential_status(ports, storage, agency, credential_id, order)
        credential = _find(storage, agency, credential_id)
        for copy in storage.credentials.of_offer(agency.id, credential.offer_id):
            same_card = copy.configuration_id == credential.configuration_id and copy.id != credential_id
            if same_card and order.status in _status(ports, storage, agency, copy.id).possible:
                change_credential_status(ports, storage, agency, copy.id, order)


def show_credential(ports: IssuancePorts, agency: Agency, credential_id: str) -> CredentialStatus:
    """Return a credential with its history. Raises ``NotFound``."""
    storage = ports.reading()
    with storage.unit:
        return _status(ports, storage, agency, credential_id)


def _status(ports: IssuancePorts, storage: Storage, agency: Agency, credential_id: str) -> CredentialStatus:
    credential = _find(storage, agency, credential_id)
    entry = storage.statuses.entry(agency.id, credential_id)
    head = None if entry is None else storage.statuses.head(agency.id, entry.number)
    possible = () if head is None else _possible(ports, credential, head.format)
    history = storage.statuses.history(agency.id, credential_id)
    return CredentialStatus(credential, tuple(_past(each) for each in history), tuple(possible))


def _find(storage: Storage, agency: Agency, credential_id: str) -> IssuedCredential:
    # What is no id of ours is not worth asking the database, which refuses some texts with an error.
    found = storage.credentials.find(agency.id, credential_id) if credential_id.isalnum() else None
    if found is None:
        raise NotFound("the agency issued no such credential")
    return found


def _check_type(ports: IssuancePorts, credential: IssuedCredential, status: str) -> None:
    if status in _forbidden(ports, credential):
        raise InvalidRequest(f"credentials of this type cannot become {status}", detail="as the catalogue says")


def _possible(ports: IssuancePorts, credential: IssuedCredential, credential_format: str) -> Sequence[str]:
    forbidden = _forbidden(ports, credential)
    return [word for word in possible_statuses(credential_format, credential.status) if word not in forbidden]


def _forbidden(ports: IssuancePorts, credential: IssuedCredential) -> frozenset[str]:
    issued = ports.types.get(credential.agency_id, {}).get(credential.configuration_id)
    # A type may have left the catalogue; what was issued of it can be withdrawn all the same.
    if issued is None:
        return frozenset()
    flags = {"suspended": issued.type.suspendable, "invalid": issued.type.revocable}
    return frozenset(word for word, allowed in flags.items() if not allowed)


def _past(change: StatusChange) -> PastChange:
    return PastChange(_WORDS[change.before], _WORDS[change.after], change.reason, change.changed_by, change.changed_at)
