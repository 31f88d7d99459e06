"""What the use cases of presentations need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from verifier.ports import Clock, Seal, UnitOfWork
from verifier.relying_parties.ports import AccessKeys, PartyId
from wallet_core.catalogue.policy import Policy
from wallet_core.catalogue.transaction import TransactionType
from wallet_core.protocols.openid4vp.presentation import Presentation
from wallet_core.protocols.openid4vp.validation import ChainVerifier, IssuerPermission, TrustListsOf
from wallet_core.types import RandomBytes


@dataclass(frozen=True, slots=True)
class StoredPresentation:
    """A presentation with what belongs to its row.

    Attributes:
        id: known to the relying party only (the transaction-id of OpenID4VP 13.3); ids grow with time.
        request_id: ``state`` of the request, part of its addresses (the request-id of 13.3).
        party_id: whose it is.
        policy_id: the policy it follows; None for a query of the party's own.
        check_id: what it shares with the request that stands beside it (M23); None if it stands alone.
        version: counts its moves.
        state: where it stands.
        sealed_key: private key that the answer is encrypted to; None where it is not, and once answered.
        session_digest: SHA-256 of the browser session that began it; None where the caller keeps its own.
        delete_at: when the row goes.
    """

    id: str
    request_id: str
    party_id: PartyId
    policy_id: str | None
    check_id: str | None
    version: int
    state: Presentation
    sealed_key: bytes | None
    session_digest: bytes | None
    delete_at: datetime

    def moved(self, state: Presentation) -> "StoredPresentation":
        """Return the same presentation in another state, not yet stored."""
        return replace(self, state=state)


class Presentations(Protocol):
    """Presentations of every relying party."""

    def add(self, presentation: StoredPresentation) -> None:
        """Store a new one."""
        ...

    def advance(self, presentation: StoredPresentation, state: Presentation) -> None:
        """Store its new state. Raises ``StateConflict`` if the stored one moved since ``version`` was read."""
        ...

    def by_id(self, party_id: PartyId, presentation_id: str) -> StoredPresentation | None:
        """Return a party's presentation."""
        ...

    def by_request_id(self, request_id: str) -> StoredPresentation | None:
        """Return the presentation that a wallet names."""
        ...

    def by_response_code(self, digest: bytes) -> StoredPresentation | None:
        """Return the presentation whose response_code has this SHA-256 digest."""
        ...

    def of_check(self, check_id: str) -> Sequence[StoredPresentation]:
        """Return the presentations that stand beside each other."""
        ...

    def latest(self, party_id: PartyId, *, before: str, limit: int) -> Sequence[StoredPresentation]:
        """Return a party's presentations, newest first, from the one before ``before`` (empty: from the newest)."""
        ...

    def changing(self, *, now: datetime, limit: int) -> Sequence[StoredPresentation]:
        """Return presentations that time alone has moved on."""
        ...

    def delete_old(self, *, now: datetime, limit: int) -> int:
        """Delete presentations whose record may no longer be kept, and return how many."""
        ...


@dataclass(frozen=True, slots=True)
class Storage:
    """One transaction and what can be done in it."""

    unit: UnitOfWork
    presentations: Presentations


@dataclass(frozen=True, slots=True)
class Periods:
    """How long things live: the settings of the same names."""

    request: timedelta
    result: timedelta
    record: timedelta


@dataclass(frozen=True, slots=True)
class PresentationPorts:
    """Everything the use cases of presentations need.

    ``storage`` opens a unit that writes, ``reading`` one that only reads and waits for no writer. ``verify_chain`` says
    whom we trust to issue credentials, ``verify_mdoc_chain`` whom to issue mdocs, ``may_issue`` which types.
    ``trust_lists`` says on which lists an issuer stands, ``supertypes`` which types a ``vct`` extends.
    ``transactions`` are the catalogue's transaction types by id.
    """

    storage: Callable[[], Storage]
    reading: Callable[[], Storage]
    public_url: str
    policies: Mapping[str, Policy]
    periods: Periods
    keys: AccessKeys
    verify_chain: ChainVerifier
    verify_mdoc_chain: ChainVerifier
    may_issue: IssuerPermission
    seal: Seal
    clock: Clock
    random: RandomBytes
    trust_lists: TrustListsOf
    supertypes: Mapping[str, frozenset[str]]
    transactions: Mapping[str, TransactionType] = field(default_factory=dict)
