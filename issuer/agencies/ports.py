"""What the agencies' use cases need."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from wallet_core.catalogue.text import Text
from wallet_core.keys.signer import CertifiedSigner, Signer
from wallet_core.types import AgencyId, CredentialIssuerId

SCOPES = ("records:write", "offers:write", "offers:read", "credentials:read", "credentials:write", "console")
"""What an agency's API key may be good for."""


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency that issues here. It is one Credential Issuer and its own Authorization Server.

    ``haip``: it serves only wallets that keep to the OpenID4VC High Assurance Interoperability Profile, with pushed
    requests, DPoP and client attestation; otherwise public clients are served too. ``encrypted``: it answers only
    wallets that encrypt their requests and ask for encrypted answers.
    """

    id: AgencyId
    credential_issuer: CredentialIssuerId
    name: Text
    haip: bool = False
    encrypted: bool = False


def document_signer_key(agency_id: AgencyId) -> str:
    """Return the name of the key that signs an agency's mdocs: its certificate stands under an IACA (decision 0061)."""
    return f"{agency_id}.mdoc"


class Agencies(Protocol):
    """The registered agencies."""

    def add(self, agency_id: AgencyId, name: Text, *, haip: bool, now: datetime) -> None:
        """Register an agency; one that is there keeps its date and takes name and profile."""
        ...

    def set_encrypted(self, agency_id: AgencyId, *, encrypted: bool) -> None:
        """Store whether an agency demands encrypted messages. Raises ``NotFound``."""
        ...

    def find(self, agency_id: AgencyId) -> Agency | None:
        """Return an agency, None if it is not registered."""
        ...

    def all(self) -> Sequence[Agency]:
        """Return every agency, by id."""
        ...


class SigningKeys(Protocol):
    """The agencies' keys, by name: an agency's id, or :func:`document_signer_key` of it."""

    def signer(self, name: str) -> Signer:
        """Return the signer. Raises ``KeyUnavailable``."""
        ...

    def chain(self, name: str) -> tuple[bytes, ...]:
        """Return the DER certificates, leaf first, without root. Raises ``KeyUnavailable``."""
        ...

    def signing_key(self, name: str) -> CertifiedSigner:
        """Return signer and certificates of the key that signs now. Raises ``KeyUnavailable``."""
        ...

    def published(self, name: str) -> Sequence[bytes]:
        """Return the leaf certificates of all keys, also older ones and the next. Raises ``KeyUnavailable``."""
        ...


class ApiKeys(Protocol):
    """API keys of agencies: only their digests are kept."""

    def create(self, agency_id: AgencyId, *, label: str, scopes: Collection[str], now: datetime) -> tuple[str, str]:
        """Return the id and the text of a new key. The text is not to be had again."""
        ...

    def revoke(self, key_id: str, *, now: datetime) -> None:
        """Make a key useless. Raises ``NotFound``."""
        ...

    def owner(self, text: str, *, scope: str, now: datetime) -> AgencyId:
        """Return whose key ``text`` is. Raises ``InvalidToken``, or ``InsufficientScope`` if it lacks ``scope``."""
        ...
