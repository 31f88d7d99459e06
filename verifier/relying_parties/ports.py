"""What the relying parties' use cases need."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NewType, Protocol

from wallet_core.catalogue.text import Text
from wallet_core.keys.signer import CertifiedSigner, Signer

PartyId = NewType("PartyId", str)
"""A relying party's own short name here, which is also the name of its access key."""

SCOPES = ("presentations:write", "presentations:read", "console")
"""What a relying party's API key may be good for."""


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

    def create(self, party_id: PartyId, *, label: str, scopes: Collection[str], now: datetime) -> tuple[str, str]:
        """Return the id and the text of a new key. The text is not to be had again."""
        ...

    def revoke(self, key_id: str, *, now: datetime) -> None:
        """Make a key useless. Raises ``NotFound``."""
        ...

    def owner(self, text: str, *, scope: str, now: datetime) -> PartyId:
        """Return whose key ``text`` is. Raises ``InvalidToken``, or ``InsufficientScope`` if it lacks ``scope``."""
        ...
