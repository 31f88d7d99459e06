"""What the use cases of presentations need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from verifier.relying_parties.ports import AccessKeys, PartyId
from wallet_core.catalogue.policy import Policy
from wallet_core.catalogue.transaction import TransactionType
from wallet_core.ports import Clock, Seal, UnitOfWork
from wallet_core.protocols.openid4vp.presentation import Presentation
from wallet_core.protocols.openid4vp.presented import ChainVerifier, IssuerPermission, TrustListsOf
from wallet_core.protocols.openid4vp.record import RecordNotes
from wallet_core.types import JsonObject, RandomBytes
from wallet_core.values import statically_frozen


@statically_frozen
class StoredPresentation:
    """A presentation with what belongs to its row.

    Attributes:
        id: known to the relying party only (the transaction-id of OpenID4VP 13.3); ids grow with time.
        request_id: ``state`` of the request, part of its addresses (the request-id of 13.3).
        party_id: whose it is.
        policy_id: the policy it follows; None for a query of the party's own.
        check_id: what it shares with the requests that stand beside it (M23); None if it stands alone.
        version: counts its moves.
        state: where it stands.
        sealed_key: private key that the answer is encrypted to; None where it is not, and once answered.
        session_digest: SHA-256 of the browser session that began it; None where the caller keeps its own.
        delete_at: when the row goes.
        webhook: where the party is told of its moves; where it is added, None means the party's default.
        portrait_matches: whether the portrait is of the person at the desk, as staff said; None where nobody said.
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
    webhook: str | None = None
    portrait_matches: bool | None = None

    def moved(self, state: Presentation) -> "StoredPresentation":
        """Return the same presentation in another state, not yet stored."""
        return replace(self, state=state)


@dataclass(frozen=True, slots=True)
class RecordParts:
    """What there is of the verification record of a presentation.

    Attributes:
        stored: the presentation.
        notes: what was caught of the answer; None once the record is sealed, and where nobody answered.
        secrets: what opens the digests in it; None once the claims are gone.
        record: the sealed record; None until it is sealed.
    """

    stored: StoredPresentation
    notes: bytes | None
    secrets: bytes | None
    record: str | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A stored presentation that cannot be read, and why; no text of its own is in ``problem``."""

    id: str
    problem: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which presentations a list shows; "" means any.

    Attributes:
        state: as it is now, whether a job has stored it yet or not.
        policy_id: the policy that they follow.
        own_query: only those that follow none.
    """

    state: str = ""
    policy_id: str = ""
    own_query: bool = False


class Presentations(Protocol):
    """Presentations of every relying party."""

    def add(self, presentation: StoredPresentation) -> None:
        """Store a new one."""
        ...

    def advance(self, presentation: StoredPresentation, state: Presentation, notes: RecordNotes | None = None) -> None:
        """Store its new state, what its verification record will need, and word of the move for its webhook.

        Raises:
            StateConflict: the stored one moved since ``version`` was read. In a group commit that may only be known at
                its end, so nobody catches it: the group runs the work again, and then it comes from here.
        """
        ...

    def record_of(self, party_id: PartyId, presentation_id: str) -> RecordParts | None:
        """Return what there is of the verification record of a party's presentation."""
        ...

    def unsealed(self, *, after: str, limit: int) -> Sequence[RecordParts | Unreadable]:
        """Return what waits to be sealed: presentations that ended, by id, from the one after ``after``.

        Without claims and secrets: a seal needs neither.
        """
        ...

    def keep_record(self, presentation_id: str, record: str) -> str | None:
        """Store a sealed record and return the one that is stored: another may have been first. None if it is gone."""
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

    def search(
        self, party_id: PartyId, wanted: "Wanted", *, before: str, limit: int, now: datetime
    ) -> Sequence[StoredPresentation]:
        """Return those of a party's presentations that are wanted, newest first, as :meth:`latest`."""
        ...

    def latest(self, party_id: PartyId, *, before: str, limit: int) -> Sequence[StoredPresentation]:
        """Return a party's presentations, newest first, from the one before ``before`` (empty: from the newest).

        Without claims.
        """
        ...

    def changing(self, *, now: datetime, limit: int) -> Sequence[StoredPresentation | Unreadable]:
        """Return presentations that time alone has moved on. Without claims: none of them may be read any more."""
        ...

    def forget_claims(self, presentation_id: str) -> None:
        """Delete what is personal of a presentation whose time is over and that cannot be read; the row stays."""
        ...

    def note_portrait(self, presentation_id: str, *, matches: bool) -> None:
        """Keep what staff said of the portrait and the person, in the place of what they said before."""
        ...

    def delete_old(self, *, now: datetime, limit: int) -> int:
        """Delete presentations whose record may no longer be kept, and return how many."""
        ...


@statically_frozen
class Storage:
    """One transaction and what can be done in it."""

    unit: UnitOfWork
    presentations: Presentations


@dataclass(frozen=True, slots=True)
class Periods:
    """How long things live.

    Attributes:
        request: how long a wallet may answer (setting ``request_seconds``).
        result: how long claims can be read where no policy keeps them for days (``result_seconds``).
        record: how long a presentation is kept with its record where no policy says (``record_days``).
    """

    request: timedelta
    result: timedelta
    record: timedelta


@dataclass(frozen=True, slots=True)
class PresentationPorts:
    """Everything the use cases of presentations need.

    ``storage`` opens a unit that writes, ``reading`` one that only reads and waits for no writer, ``looking`` one for a
    single statement that reads. ``verify_chain`` says whom we trust to issue credentials, ``verify_mdoc_chain`` whom to
    issue mdocs, ``may_issue`` which types; ``trust_version`` which roots and which list say so now, as a record shows
    it. ``program`` is our name and version. ``trust_lists`` says on which lists an issuer stands, ``supertypes`` which
    types a ``vct`` extends. ``transactions`` are the catalogue's transaction types by id.
    """

    storage: Callable[[], Storage]
    reading: Callable[[], Storage]
    looking: Callable[[], Storage]
    public_url: str
    policies: Mapping[str, Policy]
    periods: Periods
    keys: AccessKeys
    verify_chain: ChainVerifier
    verify_mdoc_chain: ChainVerifier
    may_issue: IssuerPermission
    trust_version: Callable[[datetime], JsonObject]
    program: str
    seal: Seal
    clock: Clock
    random: RandomBytes
    trust_lists: TrustListsOf
    supertypes: Mapping[str, frozenset[str]]
    transactions: Mapping[str, TransactionType] = field(default_factory=dict)
