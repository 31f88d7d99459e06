"""The one way a signature comes about: a Signer, whatever holds the key."""

from dataclasses import dataclass
from typing import Protocol, Self

from cryptography.hazmat.primitives.asymmetric import ec

from wallet_core.keys.algorithms import PublicKey, RawPrivateKey, SignatureAlgorithm, sign
from wallet_core.values import statically_frozen


class Signer(Protocol):
    """Signs bytes with one key. Implementations: :class:`SoftwareSigner`, and ``adapters/hsm.py`` over PKCS#11."""

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies what :meth:`sign` returns."""
        ...

    def sign(self, data: bytes) -> bytes:
        """Return the JOSE-form signature of ``data``. Raises ``KeyUnavailable`` if the key cannot be used now."""
        ...


@statically_frozen
class CertifiedSigner:
    """A signer with its DER certificates, leaf first, without root: both of one key, also while keys are rotated."""

    signer: Signer
    chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SoftwareSigner:
    """A key held in memory."""

    private_key: RawPrivateKey
    public_key: PublicKey

    @classmethod
    def from_key(cls, private_key: RawPrivateKey) -> Self:
        """Return a signer for ``private_key``. Raises ``KeyUnavailable`` for a curve outside the closed list."""
        return cls(private_key, PublicKey(private_key.public_key()))

    @classmethod
    def generate(cls) -> Self:
        """Return a signer with a new P-256 key."""
        return cls.from_key(ec.generate_private_key(ec.SECP256R1()))

    @property
    def algorithm(self) -> SignatureAlgorithm:
        """The algorithm of the key."""
        return self.public_key.algorithm

    def sign(self, data: bytes) -> bytes:
        """Return the JOSE-form signature of ``data``."""
        return sign(self.private_key, data)
