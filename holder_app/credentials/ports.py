"""Cards and history as values, and where they are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from holder_app.accounts.ports import AccountId
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.types import CredentialConfigurationId, CredentialIssuerId, JsonObject


@dataclass(frozen=True, slots=True)
class CardCopy:
    """One signed credential and the key it is bound to. No two copies share a key, so that they cannot be linked by it.

    Attributes:
        credential: as it came from the Credential Issuer: an SD-JWT, or base64url of an mdoc's IssuerSigned.
        uses: presentations made with this copy; the least used copy is taken next.
    """

    id: str
    credential: str
    signer: SoftwareSigner
    uses: int = 0


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
    the issuer said when it was last asked; None before, and for a card without status.
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

    @property
    def next_copy(self) -> CardCopy:
        """The copy to present next."""
        return min(self.copies, key=lambda copy: copy.uses)


class RecordKind(StrEnum):
    """What a line of the history tells."""

    RECEIVED = "received"
    OFFER_DECLINED = "offer_declined"
    SENDING = "sending"
    SENT = "sent"
    REQUEST_DECLINED = "request_declined"
    BLOCKED = "blocked"
    FAILED = "failed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class HistoryRecord:
    """One line of the history. ``body`` is what the receipt shows, as JSON, and is sealed at rest."""

    id: str
    account_id: AccountId
    kind: RecordKind
    at: datetime
    body: JsonObject


class Cards(Protocol):
    """Keeps cards, sealed."""

    def add(self, card: Card) -> None:
        """Store a card with its copies."""
        ...

    def of_account(self, account_id: AccountId) -> Sequence[Card]:
        """Return the account's cards, newest first."""
        ...

    def get(self, account_id: AccountId, card_id: str) -> Card | None:
        """Return the card if it is the account's."""
        ...

    def count_use(self, account_id: AccountId, copy_id: str) -> None:
        """Note that a copy was presented."""
        ...

    def set_status(self, account_id: AccountId, card_id: str, status: CardStatus, *, checked_at: datetime) -> None:
        """Note what the issuer says of a card; nothing if the account has no such card any more."""
        ...

    def delete(self, account_id: AccountId, card_id: str) -> bool:
        """Remove the card, its copies and their keys for good; false if the account has no such card."""
        ...


class History(Protocol):
    """Keeps the history, sealed."""

    def add(self, record: HistoryRecord) -> None:
        """Store a record."""
        ...

    def settle(self, record: HistoryRecord) -> None:
        """Replace kind and body of the record of that id."""
        ...

    def of_account(self, account_id: AccountId, limit: int = 500) -> Sequence[HistoryRecord]:
        """Return the account's newest records, newest first."""
        ...

    def get(self, account_id: AccountId, record_id: str) -> HistoryRecord | None:
        """Return the record if it is the account's."""
        ...
