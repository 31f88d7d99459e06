"""What issuance needs from outside, in its own terms."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from issuer.agencies.ports import SigningKeys
from issuer.ports import Clock, Seal, UnitOfWork
from issuer.records.ports import Records
from issuer.status.ports import StatusLists, StatusPorts
from wallet_core.catalogue.credential_type import CredentialType, FormatEntry
from wallet_core.protocols.oauth2.authorization_states import AuthorizationState
from wallet_core.protocols.oauth2.clients import RegisteredClient
from wallet_core.protocols.openid4vci.issuance import IssuanceState
from wallet_core.types import (
    AgencyId,
    ClaimsPath,
    ClientId,
    CredentialConfigurationId,
    JsonObject,
    RandomBytes,
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A stored offer. ``sealed`` is None once the offer has ended."""

    id: str
    agency_id: AgencyId
    version: int
    state: IssuanceState
    code_digest: bytes
    subject_id: str | None
    sealed: bytes | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class IssuedCredential:
    """The record of one issued credential."""

    id: str
    agency_id: AgencyId
    offer_id: str
    configuration_id: CredentialConfigurationId
    subject_id: str | None
    key_thumbprint: bytes
    status: str
    issued_at: datetime
    expires_at: datetime


class Offers(Protocol):
    """Offers, found by id or by the digest of a secret, never by the secret."""

    def add(self, offer: Offer) -> None:
        """Store a new offer, in whatever state it begins."""
        ...

    def find(self, agency_id: AgencyId, offer_id: str) -> Offer | None:
        """Return an agency's offer, None if there is none."""
        ...

    def find_by_code(self, agency_id: AgencyId, code_digest: bytes) -> Offer | None:
        """Return the agency's offer with this pre-authorized code, None if there is none."""
        ...

    def find_by_token(self, agency_id: AgencyId, token_digest: bytes) -> Offer | None:
        """Return the agency's offer with this access token, None if there is none."""
        ...

    def find_by_refresh(self, agency_id: AgencyId, refresh_digest: bytes) -> Offer | None:
        """Return the agency's offer with this refresh token, None if there is none."""
        ...

    def advance(self, offer: Offer, state: IssuanceState, *, subject_id: str | None = None) -> None:
        """Store the next state, and whose it has become. Raises ``StateConflict`` if the offer moved meanwhile."""
        ...

    def forget(self, offer: Offer, state: IssuanceState) -> None:
        """Store the last state and delete what was kept about the person. Raises ``StateConflict``."""
        ...

    def ended(self, *, now: datetime, limit: int) -> Sequence[Offer]:
        """Return offers that ended before ``now`` and still hold something about a person."""
        ...

    def latest(self, agency_id: AgencyId, *, before: str, limit: int) -> Sequence[Offer]:
        """Return an agency's offers, newest first, from the one before the id ``before`` (empty: the newest)."""
        ...


@dataclass(frozen=True, slots=True)
class Authorization:
    """A stored authorization request.

    Attributes:
        request_digest: of its ``request_uri``; None if it was not pushed.
        code_digest: of its code; None before consent.
        subject_id: whose certificates they are; None before consent.
        offer_id: of the offer it began with; None if the wallet began by itself.
    """

    id: str
    agency_id: AgencyId
    version: int
    state: AuthorizationState
    request_digest: bytes | None = None
    code_digest: bytes | None = None
    subject_id: str | None = None
    offer_id: str | None = None


class Authorizations(Protocol):
    """Authorization requests, found by id or by the digest of a secret, never by the secret."""

    def add(self, authorization: Authorization, *, ends_at: datetime) -> None:
        """Store a new one."""
        ...

    def find(self, agency_id: AgencyId, authorization_id: str) -> Authorization | None:
        """Return an agency's authorization, None if there is none."""
        ...

    def find_by_request(self, agency_id: AgencyId, request_digest: bytes) -> Authorization | None:
        """Return the agency's authorization with this ``request_uri``, None if there is none."""
        ...

    def find_by_code(self, agency_id: AgencyId, code_digest: bytes) -> Authorization | None:
        """Return the agency's authorization with this code, None if there is none."""
        ...

    def advance(
        self,
        authorization: Authorization,
        state: AuthorizationState,
        *,
        code_digest: bytes | None = None,
        subject_id: str | None = None,
    ) -> None:
        """Store the next state, and with it code and person. Raises ``StateConflict`` if it moved meanwhile."""
        ...

    def forget(self, *, now: datetime, limit: int) -> int:
        """Delete those whose time is over, and return how many."""
        ...


class IssuedCredentials(Protocol):
    """The record of what was issued."""

    def add(self, credentials: Iterable[IssuedCredential]) -> None:
        """Store records."""
        ...

    def find(self, agency_id: AgencyId, credential_id: str) -> IssuedCredential | None:
        """Return one of an agency's credentials, None if there is none."""
        ...

    def of_offer(self, agency_id: AgencyId, offer_id: str) -> Sequence[IssuedCredential]:
        """Return an agency's credentials that came of one offer."""
        ...

    def set_status(self, credential_id: str, status: str) -> None:
        """Write the status, as lists of credentials show it."""
        ...

    def of_subject(
        self, agency_id: AgencyId, subject_id: str | None, *, after: str, limit: int
    ) -> Sequence[IssuedCredential]:
        """Return an agency's credentials in order of issue, of one subject or of all, from the one after ``after``."""
        ...


class SpentNonces(Protocol):
    """Which ``c_nonce`` was used with which key."""

    def spend(self, digest: bytes, *, expires_at: datetime) -> None:
        """Record a use. Raises ``InvalidNonce`` if it was used before."""
        ...


@dataclass(frozen=True, slots=True)
class IssuedType:
    """One form of a credential type as it is issued: what is the same for every credential of it."""

    type: CredentialType
    entry: FormatEntry
    configuration: JsonObject
    proof_algorithms: frozenset[str]
    selectively_disclosable: tuple[ClaimsPath, ...]


@dataclass(frozen=True, slots=True)
class Secrets:
    """Keys of the MACs: pre-authorized codes, transaction codes, nonces."""

    code: bytes
    tx_code: bytes
    nonce: bytes


@dataclass(frozen=True, slots=True)
class Storage:
    """One transaction and what can be done in it."""

    unit: UnitOfWork
    offers: Offers
    credentials: IssuedCredentials
    nonces: SpentNonces
    records: Records
    statuses: StatusLists
    authorizations: Authorizations


@dataclass(frozen=True, slots=True)
class IssuancePorts:
    """Everything the use cases of issuance need.

    ``storage`` opens a unit that writes, ``reading`` one that only reads and waits for no writer. ``clients`` are the
    wallet products whose redirect URIs were registered.
    """

    storage: Callable[[], Storage]
    reading: Callable[[], Storage]
    types: Mapping[AgencyId, Mapping[CredentialConfigurationId, IssuedType]]
    keys: SigningKeys
    seal: Seal
    secrets: Secrets
    clock: Clock
    random: RandomBytes
    status: StatusPorts
    clients: Mapping[ClientId, RegisteredClient]
