"""What issuance needs from outside, in its own terms."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from issuer.agencies.ports import Agency, SigningKeys
from issuer.issuance.bulk import BulkReissuance, BulkState
from issuer.records.ports import Records
from issuer.status.ports import StatusLists, StatusPorts
from wallet_core.catalogue.credential_type import CredentialType, FormatEntry
from wallet_core.errors import RemoteProtocolError
from wallet_core.ports import Clock, Seal, UnitOfWork
from wallet_core.protocols.oauth2.authorization_states import AuthorizationState
from wallet_core.protocols.oauth2.clients import RegisteredClient
from wallet_core.protocols.openid4vci.deferral import DeferralState
from wallet_core.protocols.openid4vci.issuance import IssuanceState
from wallet_core.protocols.openid4vci.proof import ProofPolicy
from wallet_core.trust.wallet_providers import WalletProviders
from wallet_core.types import (
    AgencyId,
    ClaimsPath,
    ClientId,
    CredentialConfigurationId,
    JsonObject,
    RandomBytes,
)
from wallet_core.values import statically_frozen


@dataclass(frozen=True, slots=True)
class UsedProof:
    """A proof that a request brought: a DPoP proof, or one that a client instance has its key.

    Attributes:
        digest: what is recorded, so that it is taken once.
        expires_at: until when that must be remembered.
        replayed: the error for whoever brings it again.
    """

    digest: bytes
    expires_at: datetime
    replayed: RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Offer:
    """A stored offer. ``sealed`` is None once the offer has ended.

    ``proof`` is the DPoP proof of the request that it was found for: whatever the request stores, spends it.
    """

    id: str
    agency_id: AgencyId
    version: int
    state: IssuanceState
    code_digest: bytes
    subject_id: str | None
    sealed: bytes | None
    created_at: datetime
    proof: UsedProof | None = None


@statically_frozen
class IssuedCredential:
    """The record of one issued credential.

    ``replace_by`` is until when it stays good although it is to be replaced, ``replace_reason`` why; None for one that
    is not.
    """

    id: str
    agency_id: AgencyId
    offer_id: str
    configuration_id: CredentialConfigurationId
    subject_id: str | None
    key_thumbprint: bytes
    status: str
    issued_at: datetime
    expires_at: datetime
    notification_id: str | None = None
    event: str | None = None
    replace_by: datetime | None = None
    replace_reason: str | None = None


@dataclass(frozen=True, slots=True)
class DeferredIssuance:
    """A stored Credential Request that is not answered yet. ``sealed`` is None once it has ended.

    ``id`` is ours, for the agency; the wallet knows the request by its ``transaction_id``, of which only the digest is
    kept.
    """

    id: str
    agency_id: AgencyId
    offer_id: str
    version: int
    state: DeferralState
    transaction_digest: bytes
    subject_id: str | None
    sealed: bytes | None


class Deferrals(Protocol):
    """Deferred requests, found by id or by the digest of their ``transaction_id``."""

    def add(self, deferred: DeferredIssuance) -> None:
        """Store a new one."""
        ...

    def find(self, agency_id: AgencyId, deferred_id: str) -> DeferredIssuance | None:
        """Return one of an agency, None if there is none."""
        ...

    def find_by_transaction(self, agency_id: AgencyId, transaction_digest: bytes) -> DeferredIssuance | None:
        """Return the agency's request with this ``transaction_id``, None if there is none."""
        ...

    def of_offers(self, agency_id: AgencyId, offer_ids: Sequence[str]) -> Sequence[DeferredIssuance]:
        """Return an agency's requests under these offers, oldest first."""
        ...

    def waiting(self, agency_id: AgencyId, *, after: str, limit: int) -> Sequence[DeferredIssuance]:
        """Return an agency's undecided requests, oldest first, from the one after the id ``after`` (empty: all)."""
        ...

    def decided(self, agency_id: AgencyId, *, before: str, limit: int) -> Sequence[DeferredIssuance]:
        """Return an agency's other requests, newest first, from the one before the id ``before`` (empty: all)."""
        ...

    def count_waiting(self, agency_id: AgencyId) -> int:
        """Return how many of an agency's requests nobody has decided."""
        ...

    def advance(self, deferred: DeferredIssuance, state: DeferralState, *, sealed: bytes | None = None) -> None:
        """Store the next state, and other data to sign if given. Raises ``StateConflict`` if it moved meanwhile."""
        ...

    def forget(self, deferred: DeferredIssuance, state: DeferralState) -> None:
        """Store the last state and delete what was kept about the person. Raises ``StateConflict``."""
        ...

    def ended(self, *, now: datetime, limit: int) -> Sequence[DeferredIssuance]:
        """Return requests that ended before ``now`` and still hold something about a person."""
        ...


RENEWAL_TIME = timedelta(minutes=30)
"""How long an offer that ran out is kept whole, so that whoever stands at the counter gets a new code."""


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

    def keep(self, offer: Offer) -> None:
        """Store nothing but that the proof of the request was used, where the request changes nothing else."""
        ...

    def forget(self, offer: Offer, state: IssuanceState) -> None:
        """Store the last state and delete what was kept about the person. Raises ``StateConflict``."""
        ...

    def ended(self, *, now: datetime, limit: int) -> Sequence[Offer]:
        """Return offers that ended before ``now`` and still hold something about a person.

        Those whose code ran out only after `RENEWAL_TIME`.
        """
        ...

    def of_subject(self, agency_id: AgencyId, subject_id: str) -> Sequence[Offer]:
        """Return the offers of a person under which something may still be asked for."""
        ...

    def outdate(self, agency_id: AgencyId, subject_ids: Collection[str]) -> None:
        """Make requests under these people's offers that are being answered begin again: what they read is old.

        Waits for those that are about to commit, so that what they issue is there afterwards.
        """
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

    def revoked(self, credential_ids: Collection[str]) -> None:
        """Write that credentials were revoked; nothing is left to be replaced of them."""
        ...

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
        ...

    def mark(self, credential_ids: Collection[str], *, replace_by: datetime, reason: str) -> None:
        """Write that credentials are to be replaced. One that was marked before keeps the earlier end."""
        ...

    def to_replace(
        self, agency_id: AgencyId, offer_id: str, configuration_id: CredentialConfigurationId
    ) -> Sequence[IssuedCredential]:
        """Return the copies of one card in one wallet that are to be replaced."""
        ...

    def overdue(self, *, now: datetime, limit: int) -> Sequence[IssuedCredential]:
        """Return credentials that should have been replaced before ``now``, of all agencies."""
        ...

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
        ...

    def count_live(
        self, agency_id: AgencyId, configuration_ids: Collection[CredentialConfigurationId], *, now: datetime
    ) -> tuple[int, int]:
        """Return how many people have live credentials of these configurations, and how many credentials they are."""
        ...

    def note_event(self, agency_id: AgencyId, offer_id: str, notification_id: str, event: str) -> None:
        """Write what the wallet said became of the credentials that were sent under ``notification_id``."""
        ...

    def count_failed(self, agency_id: AgencyId) -> int:
        """Return how many of an agency's answers failed in the citizen's wallet."""
        ...

    def latest(
        self, agency_id: AgencyId, *, subject_ids: Collection[str] | None, before: str, limit: int
    ) -> Sequence[IssuedCredential]:
        """Return an agency's credentials, newest first, from the one before the id ``before`` (empty: the newest).

        ``subject_ids`` None are those of everybody.
        """
        ...

    def of_subject(
        self, agency_id: AgencyId, subject_id: str | None, *, after: str, limit: int
    ) -> Sequence[IssuedCredential]:
        """Return an agency's credentials in order of issue, of one subject or of all, from the one after ``after``."""
        ...


class BulkReissuances(Protocol):
    """Orders of agencies that concern many people."""

    def add(self, bulk: BulkReissuance) -> None:
        """Store a new order."""
        ...

    def find(self, agency_id: AgencyId | None, bulk_id: str, *, to_change: bool = False) -> BulkReissuance | None:
        """Return an order, None if there is none; one ``to_change`` is locked until the transaction ends.

        ``agency_id`` None looks at those of all agencies.
        """
        ...

    def latest(self, agency_id: AgencyId, *, limit: int) -> Sequence[BulkReissuance]:
        """Return an agency's orders, newest first."""
        ...

    def advance(self, bulk: BulkReissuance, state: BulkState) -> BulkReissuance:
        """Store the next state. Raises ``StateConflict`` if it moved since it was read."""
        ...

    def continue_soon(self, bulk: BulkReissuance) -> None:
        """Have a worker do the next chunk, unless the order moves before."""
        ...


class UsedProofs(Protocol):
    """Which proofs were used."""

    def spend(self, proof: UsedProof) -> None:
        """Record a use. Raises the proof's own error if it was used before."""
        ...


class SpentNonces(Protocol):
    """Which ``c_nonce`` was used with which key."""

    def spend(self, digests: Iterable[bytes], *, expires_at: datetime) -> None:
        """Record uses, each a different one. Raises ``InvalidNonce`` if one was used before."""
        ...


@dataclass(frozen=True, slots=True)
class Terms:
    """How a form of a credential type is offered: its configuration in the metadata, and the proofs that are taken."""

    configuration: JsonObject
    proofs: ProofPolicy


@dataclass(frozen=True, slots=True)
class IssuedType:
    """One form of a credential type as it is issued: what is the same for every credential of it.

    ``haip_terms`` are those of agencies that keep to HAIP, where keys may have to be attested; ``open_terms`` are those
    of the others.
    """

    type: CredentialType
    entry: FormatEntry
    open_terms: Terms
    haip_terms: Terms
    selectively_disclosable: tuple[ClaimsPath, ...]

    def terms(self, agency: Agency) -> Terms:
        """Return the terms of an agency."""
        return self.haip_terms if agency.haip else self.open_terms


@dataclass(frozen=True, slots=True)
class Secrets:
    """Keys of the MACs: pre-authorized codes, transaction codes, nonces, DPoP nonces, attestation challenges.

    From ``encryption`` the keys for encrypted requests are derived.
    """

    code: bytes
    tx_code: bytes
    nonce: bytes
    dpop_nonce: bytes
    challenge: bytes
    encryption: bytes


@dataclass(frozen=True, slots=True)
class DeferralTerms:
    """How deferred requests are handled.

    Attributes:
        interval: seconds that a wallet waits between two questions.
        approve_at_once: whether the first question finds everything approved, for conformance tests.
        notifications: whether a deferred answer has a ``notification_id``, which some wallets refuse there.
    """

    interval: int
    approve_at_once: bool
    notifications: bool


@dataclass(frozen=True, slots=True)
class Storage:
    """One transaction and what can be done in it."""

    unit: UnitOfWork
    offers: Offers
    deferrals: Deferrals
    credentials: IssuedCredentials
    nonces: SpentNonces
    records: Records
    statuses: StatusLists
    bulks: BulkReissuances
    authorizations: Authorizations
    proofs: UsedProofs


@dataclass(frozen=True, slots=True)
class IssuancePorts:
    """Everything the use cases of issuance need.

    ``storage`` opens a unit that writes, ``reading`` one that only reads and waits for no writer, ``looking`` one for
    single statements that read. ``clients`` are the wallet products whose redirect URIs were registered;
    ``wallet_providers`` are those trusted now.
    """

    storage: Callable[[], Storage]
    reading: Callable[[], Storage]
    looking: Callable[[], Storage]
    types: Mapping[AgencyId, Mapping[CredentialConfigurationId, IssuedType]]
    keys: SigningKeys
    seal: Seal
    secrets: Secrets
    clock: Clock
    random: RandomBytes
    status: StatusPorts
    wallet_providers: Callable[[], WalletProviders]
    clients: Mapping[ClientId, RegisteredClient]
    deferral: DeferralTerms
