"""What the relying parties' use cases need."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, NewType, Protocol

from wallet_core.catalogue.text import Text
from wallet_core.keys.signer import CertifiedSigner, Signer

PartyId = NewType("PartyId", str)
"""A relying party's own short name here, which is also the name of its access key."""

SCOPES = ("presentations:write", "presentations:read", "console")
"""What a relying party's API key may be good for: asking, reading and redeeming, its staff's pages."""

MAX_LABEL_CHARACTERS: Final = 60
"""Characters of the name that people give a key: it has its place in a list."""


@dataclass(frozen=True, slots=True)
class KeyTerms:
    """What a new API key is for.

    Attributes:
        label: the name that people give it.
        scopes: among :data:`SCOPES`.
        expires_at: when it ends by itself; None: never.
    """

    label: str
    scopes: frozenset[str]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyView:
    """An API key as lists show it.

    Attributes:
        label: the name that people gave it.
        expires_at: when it ends by itself; None: never.
        revoked_at: when it was revoked; None if it was not.
        last_used_at: its last use, to the minute; None if there was none.
    """

    id: str
    label: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    def state(self, now: datetime) -> Literal["good", "ending", "expired", "revoked"]:
        """Return whether calls with it are admitted; ``ending``: they are, for less than :data:`ENDS_SOON`."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is None or now < self.expires_at - ENDS_SOON:
            return "good"
        return "ending" if now < self.expires_at else "expired"


ENDS_SOON: Final = timedelta(days=14)
"""How long before its end a key is marked: time to put another one in its place."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """A company that asks for presentations here."""

    id: PartyId
    name: Text


ATTESTATION = "attestation"
"""The kind of statement that is a party's Verifier Attestation JWT."""


def registration_of(policy_id: str) -> str:
    """Return the kind of statement that is a party's registration certificate for a policy."""
    return f"registration.{policy_id}"


class RelyingParties(Protocol):
    """The registered relying parties."""

    def add(self, party: RelyingParty, *, now: datetime) -> None:
        """Register a relying party; one that is there keeps its date and takes the name."""
        ...

    def find(self, party_id: PartyId) -> RelyingParty | None:
        """Return a relying party, None if it is not registered."""
        ...

    def all(self) -> Sequence[RelyingParty]:
        """Return every relying party, by id."""
        ...


class AccessKeys(Protocol):
    """The relying parties' access keys, by party id."""

    def signer(self, name: str) -> Signer:
        """Return the signer. Raises ``KeyUnavailable``."""
        ...

    def chain(self, name: str) -> tuple[bytes, ...]:
        """Return the DER certificates, leaf first, without root. Raises ``KeyUnavailable``."""
        ...

    def signing_key(self, name: str) -> CertifiedSigner:
        """Return signer and certificates of the key that signs now. Raises ``KeyUnavailable``."""
        ...

    def signing_keys(self, name: str) -> Sequence[CertifiedSigner]:
        """Return every key: the one that signs now first. Raises ``KeyUnavailable``."""
        ...

    def statement(self, name: str, kind: str) -> str | None:
        """Return what others signed about the party: its attestation, or the registration of a policy."""
        ...

    def add_statement(self, name: str, kind: str, text: str) -> None:
        """Keep such a statement; an earlier one of its kind is replaced. Raises ``KeyUnavailable``."""
        ...


class ApiKeys(Protocol):
    """API keys of relying parties: only their digests are kept."""

    def create(self, party_id: PartyId, terms: KeyTerms, *, now: datetime) -> tuple[str, str]:
        """Return the id and the text of a new key. The text is not to be had again."""
        ...

    def all(self, party_id: PartyId) -> Sequence[KeyView]:
        """Return every key that the party ever had, the newest first."""
        ...

    def find(self, party_id: PartyId, key_id: str) -> KeyView:
        """Return a key of the party. Raises ``NotFound``."""
        ...

    def end(self, key_id: str, *, at: datetime) -> None:
        """Let a key end at a time, unless it ends sooner."""
        ...

    def revoke(self, key_id: str, *, now: datetime) -> None:
        """Make a key useless. Raises ``NotFound``."""
        ...

    def use(self, text: str, *, scope: str, now: datetime) -> tuple[PartyId, str]:
        """Return whose key ``text`` is, and its id; its use is noted.

        Raises:
            InvalidToken: it is unknown, expired or revoked.
            InsufficientScope: it lacks ``scope``.
        """
        ...
