"""What attesting needs, and what the rest of the wallet sees of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from holder_app.accounts.ports import AccountId
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.signer import CertifiedSigner, Signer
from wallet_core.ports import Clock
from wallet_core.types import ClientId


class WalletProvider(Protocol):
    """Says to issuers that an instance is one of this wallet, and how well it keeps its keys."""

    @property
    def client_id(self) -> ClientId:
        """The wallet's ``client_id``, the same for all instances: ``sub`` of the attestations."""
        ...

    def instance_key(self, account_id: AccountId, credential_issuer: str) -> Signer:
        """Return the key of this person's instance at one issuer, always the same one, and another at every issuer."""
        ...

    def attest_instance(self, instance_key: PublicKey) -> str:
        """Return a fresh client attestation of an instance's key. Raises ``KeyUnavailable``."""
        ...

    def attest_keys(self, keys: Sequence[PublicKey], nonce: str | None) -> str:
        """Return a key attestation of holder keys for one issuer's ``c_nonce``. Raises ``KeyUnavailable``."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderTerms:
    """What this wallet says of itself.

    Attributes:
        client_id: the same for all its instances.
        provider: URL that the provider's certificate and its entry in the trust list name.
        wallet_name: for people.
        wallet_link: a page about the wallet.
        key_storage: how well holder keys are kept (OpenID4VCI D.2).
        user_authentication: how well the person is told apart before they are used.
        instance_lifetime: of a client attestation.
        keys_lifetime: of a key attestation: one issuance.
    """

    client_id: ClientId
    provider: str
    wallet_name: str
    wallet_link: str
    key_storage: tuple[str, ...]
    user_authentication: tuple[str, ...]
    instance_lifetime: timedelta
    keys_lifetime: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class ProviderPorts:
    """What attesting needs.

    Attributes:
        terms: what is said.
        signing_key: gives the provider's key with its certificates. Raises ``KeyUnavailable``.
        derive: gives 32 bytes for a purpose, always the same, from a secret of this wallet.
        clock: tells the time.
    """

    terms: ProviderTerms
    signing_key: Callable[[], CertifiedSigner]
    derive: Callable[[str], bytes]
    clock: Clock
