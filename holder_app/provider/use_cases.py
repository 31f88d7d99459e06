"""Attest an instance, attest keys (attestation-based client authentication 5.1; OpenID4VCI appendices D and E).

Instance keys are derived, not stored (decision 0069): one for each person and issuer, so that no two issuers see the
same one (M15).
"""

from collections.abc import Callable, Sequence
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from holder_app.accounts.ports import AccountId
from holder_app.provider.ports import ProviderPorts
from wallet_core.encoding import strict_json
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.signer import Signer, SoftwareSigner
from wallet_core.protocols.oauth2.client_attestation import create_client_attestation
from wallet_core.protocols.openid4vci.key_attestation import create_key_attestation
from wallet_core.types import ClientId

# FIPS 186-5 A.2.1: more random bits than the order has, so that no key is likelier than another.
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def derive_instance_key(
    derive: Callable[[str], bytes], account_id: AccountId, credential_issuer: str
) -> SoftwareSigner:
    """Return the key of a person's instance at one issuer (M15); also where nobody attests it."""
    name = strict_json.dumps_text([account_id, credential_issuer])
    halves = (derive(f"client_instance/{half}/{name}") for half in (1, 2))
    private = int.from_bytes(b"".join(halves), "big") % (_ORDER - 1) + 1
    return SoftwareSigner.from_key(ec.derive_private_key(private, ec.SECP256R1()))


class LocalWalletProvider:
    """Fulfils ``ports.WalletProvider`` with a key of this wallet's own."""

    def __init__(self, ports: ProviderPorts) -> None:
        self._ports = ports

    @property
    def client_id(self) -> ClientId:
        """The wallet's ``client_id``."""
        return self._ports.terms.client_id

    def instance_key(self, account_id: AccountId, credential_issuer: str) -> Signer:
        """Return the key of this person's instance at one issuer (M15)."""
        return derive_instance_key(self._ports.derive, account_id, credential_issuer)

    def attest_instance(self, instance_key: PublicKey) -> str:
        """Return a fresh client attestation of an instance's key; nothing else in it tells instances apart (HAIP 4.4).

        Raises:
            KeyUnavailable: the provider's key cannot be used now.
        """
        terms, key, now = self._ports.terms, self._ports.signing_key(), self._ports.clock.now()
        # HAIP 4.4.1: times are rounded, so that they do not tell instances apart.
        issued_at = now.replace(minute=0, second=0, microsecond=0)
        return create_client_attestation(
            key.signer,
            key.chain,
            issuer=terms.provider,
            client_id=terms.client_id,
            instance_key=instance_key,
            issued_at=issued_at,
            expires_at=issued_at + terms.instance_lifetime,
            wallet_name=terms.wallet_name,
            wallet_link=terms.wallet_link,
        )

    def attest_keys(self, keys: Sequence[PublicKey], nonce: str | None) -> str:
        """Return a key attestation of holder keys that this wallet made and keeps.

        Raises:
            KeyUnavailable: the provider's key cannot be used now.
        """
        terms, key, now = self._ports.terms, self._ports.signing_key(), self._ports.clock.now()
        return create_key_attestation(
            key.signer,
            key.chain,
            keys=keys,
            nonce=nonce,
            issued_at=now,
            expires_at=now + terms.keys_lifetime,
            key_storage=terms.key_storage,
            user_authentication=terms.user_authentication,
        )
