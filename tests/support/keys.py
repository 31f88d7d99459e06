"""Keys that are the same in every run, so that a message kept from one run still verifies in the next."""

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec

from wallet_core.keys.signer import SoftwareSigner


def fixed_signer(name: str) -> SoftwareSigner:
    """Return the signer of a name: a P-256 key made of its hash, known to everybody."""
    scalar = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big") >> 1
    return SoftwareSigner.from_key(ec.derive_private_key(scalar, ec.SECP256R1()))
