"""Cards and history as values, and where they are kept."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from holder_app.accounts.ports import AccountId
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.types import ClientId, CredentialConfigurationId, CredentialIssuerId, JsonObject


@dataclass(frozen=True, slots=True)
class CardCopy:
    """One signed credential and the key it is bound to. No two copies share a key, so that they cannot be linked by it.

    Attributes:
        credential: as it came from the Credential Issuer: an SD-JWT, or base64url of an mdoc's IssuerSigned.
        uses: presentations made with this copy. Two showings of one copy can be linked, so that each is used once.
    """

    id: str
    credential: str
    signer: SoftwareSigner
    uses: int = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """What lets this wallet ask a Credential Issuer for new copies of a card without the person. Sealed at rest.

    Endpoints are not in it: they are what the issuer's metadata say when it is used.

    Attributes:
        issuer: the Credential Issuer Identifier.
        authorization_server: its identifier.
        configuration_id: what is asked for.
        credential_identifiers: that the token response named for it, if any (OpenID4VCI 6.2).
        refresh_token: the token itself (RFC 6749 6).
        is_bound: whether it takes a DPoP proof of ``instance`` (RFC 9449 5).
        client_id: as which client it was given; None for an anonymous one.
        redirect_uri: of that client; it is not used again, but part of the client.
        instance: the key of this wallet instance at this issuer, kept as long as the token lives (protocols.md M15).
    """

    issuer: CredentialIssuerId
    authorization_server: str
    configuration_id: CredentialConfigurationId
    credential_identifiers: tuple[str, ...]
    refresh_token: str
    is_bound: bool = False
    client_id: ClientId | None = None
    redirect_uri: str = ""
    instance: SoftwareSigner | None = None


class CardStatus(StrEnum):
    """What the issuer's status list said of a card."""

    VALID = "valid"
    SUSPENDED = "suspended"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Card:
    """One card as the person sees it: one or more copies with the same content.

    ``format`` is a Credential Format Identifier and ``type`` a ``vct`` or a document type. ``display`` is name and
    labels as the issuer published them, for cards that the catalogue does not know. ``status`` is what
    the issuer said when it was last asked; None before, and for a card without status. ``grant`` is with what new
    copies are fetched, None if they cannot be; ``refreshed_at`` is when they last were, ``refresh_at`` when it is time
    to ask again.

    ``copies`` are those that can be opened. A card without any cannot be read: its rows are damaged, or sealed under a
    key that is lost. It is listed as such, and is in no other card's way.
    """

    id: str
    account_id: AccountId
    configuration_id: CredentialConfigurationId
    format: str
    type: str
    issuer: CredentialIssuerId
    issuer_name: str
    received_at: datetime
    expires_at: datetime | None
    display: JsonObject
    copies: tuple[CardCopy, ...]
    status: CardStatus | None = None
    status_checked_at: datetime | None = None
    grant: Grant | None = None
    refreshed_at: datetime | None = None
    refresh_at: datetime | None = None

    @property
    def unused(self) -> tuple[CardCopy, ...]:
        """The copies that nobody has seen yet."""
        return tuple(copy for copy in self.copies if not copy.uses)

    @property
    def next_copy(self) -> CardCopy:
        """The copy to present next: one that nobody has seen; when none is left always the last one.

        So what can be linked then are the showings of that one copy, and of no other. A card that cannot be read has
        none to present.
        """
        # protocols.md 8, HAIP: copies of a batch are there so that verifiers cannot link what they got.
        # haip-4-copy-once
        return next(iter(self.unused), self.copies[-1])


class RecordKind(StrEnum):
    """What a line of the history tells."""

    RECEIVED = "received"
    UPDATED = "updated"
    OFFER_DECLINED = "offer_declined"
    SENDING = "sending"
    SENT = "sent"
    REQUEST_DECLINED = "request_declined"
    BLOCKED = "blocked"
    FAILED = "failed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    """One line of the history. ``body`` is what the receipt shows, as JSON, and is sealed at rest.

    It is empty where ``is_readable`` says that it cannot be opened: its row is damaged, or its key is lost. What was
    done and when is known even then.
    """

    id: str
    account_id: AccountId
    kind: RecordKind
    at: datetime
    body: JsonObject
    is_readable: bool = True


class Cards(Protocol):
    """Keeps cards, sealed."""

    def add(self, card: Card) -> None:
        """Store a card with its copies."""
        ...

    def of_account(self, account_id: AccountId) -> Sequence[Card]:
        """Return the account's cards, newest first."""
        ...

    def of_types(self, account_id: AccountId, types: Collection[tuple[str, str]]) -> Sequence[Card]:
        """Return the account's cards of these formats and types, newest first; no other card is opened."""
        ...

    def get(self, account_id: AccountId, card_id: str) -> Card | None:
        """Return the card if it is the account's."""
        ...

    def take(self, account_id: AccountId, copy: CardCopy) -> bool:
        """Note that a copy is presented; false if it is gone, or was presented since it was read."""
        ...

    def renew(self, card: Card) -> None:
        """Put new copies in the place of all that the card had, with what they say of its end and its issuer.

        Raises:
            StateConflict: the account has no such card any more.
        """
        ...

    def add_copies(self, card: Card, copies: Sequence[CardCopy]) -> None:
        """Store further copies of a card, to be used after those it has."""
        ...

    def rotate_token(self, account_id: AccountId, issuer: CredentialIssuerId, old: str, new: str) -> None:
        """Store another refresh token with every card of the account and the issuer that had the old one.

        Cards that came together share one, and a server that rotates takes the old one no more.
        """
        ...

    def drop_grant(self, account_id: AccountId, card_id: str) -> None:
        """Forget with what new copies are fetched: they cannot be any more."""
        ...

    def refresh_soon(self, account_id: AccountId, card_id: str, at: datetime) -> None:
        """Have new copies fetched at that time or earlier; nothing for a card without grant."""
        ...

    def claim_refresh(self, account_id: AccountId, card_id: str, now: datetime, until: datetime) -> bool:
        """Note that new copies are being fetched, until then at most; false if somebody else is at it.

        Or at another card of the issuer: the two may share a refresh token, of which each is good for one request.
        """
        ...

    def plan_refresh(self, account_id: AccountId, card_id: str, at: datetime | None) -> None:
        """Set when new copies are asked for next, and that nobody is at it any more."""
        ...

    def due(self, now: datetime, limit: int) -> Sequence[tuple[AccountId, str]]:
        """Return whose cards should get new copies by now, the longest due first."""
        ...

    def set_status(self, account_id: AccountId, card_id: str, status: CardStatus, *, checked_at: datetime) -> None:
        """Note what the issuer says of a card; nothing if the account has no such card any more."""
        ...

    def delete(self, account_id: AccountId, card_id: str) -> bool:
        """Remove the card, its copies and their keys for good; false if the account has no such card."""
        ...


@dataclass(frozen=True, slots=True)
class NewCopies:
    """Copies that an issuer sent again, every one verified and bound to a key of its own.

    Attributes:
        copies: all with the same content.
        expires_at: when the first of them ends; None if they have no end.
        issuer_name: from the certificate under which they are signed.
        display: name and labels as the issuer publishes them now.
        accepted: tells the issuer that they are kept (OpenID4VCI 11); what it answers changes nothing.
    """

    copies: tuple[CardCopy, ...]
    expires_at: datetime | None
    issuer_name: str
    display: JsonObject
    accepted: Callable[[], Awaitable[None]]


class Reissuer(Protocol):
    """Fetches new copies of a card with its grant: the flows of OpenID4VCI, and the checks of a received credential."""

    async def fetch(self, card: Card, grant: Grant, count: int, keep: Callable[[Grant], None]) -> NewCopies:
        """Return up to ``count`` new copies, at least one, of the card's type and from its issuer.

        ``keep`` is called with the grant before anything else is sent if the server gave another refresh token.

        Raises:
            PeerRefusal: a server refused; ``invalid_grant`` means that the grant is over.
            FetchError: a server was not reached.
            MalformedError, VerificationError: what came is not what it should be; nothing of it is kept.
        """
        ...


class History(Protocol):
    """Keeps the history, sealed."""

    def add(self, record: HistoryRecord) -> None:
        """Store a record."""
        ...

    def settle(self, record: HistoryRecord) -> None:
        """Replace kind and body of the record of that id."""
        ...

    def of_account(
        self, account_id: AccountId, *, kinds: Sequence[RecordKind] | None = None, before: str = "", limit: int = 500
    ) -> Sequence[HistoryRecord]:
        """Return the account's newest records, newest first; only of ``kinds`` if given.

        ``before`` is the id of one of them: then those that stand after it, none if the account has no such record.
        """
        ...

    def get(self, account_id: AccountId, record_id: str) -> HistoryRecord | None:
        """Return the record if it is the account's."""
        ...
