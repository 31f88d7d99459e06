"""``c_nonce`` values that cost nothing to give out (OpenID4VCI 7).

A ``c_nonce`` is a stamped value: issuing one writes nothing. It is bound to one tenant, and spent, together with the
thumbprint of the key that proved possession, only in the transaction that issues.
"""

import hashlib
from datetime import datetime, timedelta
from typing import Final

from wallet_core.errors import InvalidNonce
from wallet_core.protocols.oauth2.stamped import create_stamped_value, stamped_at
from wallet_core.types import CredentialIssuerId, Nonce, RandomBytes

LIFETIME: Final = timedelta(minutes=5)
"""How long a ``c_nonce`` may be used: time to unlock a key and sign."""


def create_c_nonce(key: bytes, tenant: CredentialIssuerId, *, now: datetime, random: RandomBytes) -> Nonce:
    """Return a new, unpredictable ``c_nonce`` (OpenID4VCI 7.2) for the Credential Issuer ``tenant``."""
    return Nonce(create_stamped_value(key, _purpose(tenant), now=now, random=random))


def verify_c_nonce(nonce: Nonce, key: bytes, tenant: CredentialIssuerId, *, now: datetime) -> datetime:
    """Check that ``nonce`` was given out by ``tenant`` within its lifetime, and return when it ends.

    Not done here: whether it was already spent.

    Raises:
        InvalidNonce: it was not, or is too old (OpenID4VCI 8.3.1.2).
    """
    issued_at = stamped_at(nonce, key, _purpose(tenant))
    # vci-7.2-ours
    if issued_at is None:
        raise InvalidNonce("the c_nonce is not one of ours", clause="OpenID4VCI 8.3.1.2")
    # vci-7.2-expired
    if now >= issued_at + LIFETIME:
        raise InvalidNonce("the c_nonce has expired", clause="OpenID4VCI 8.3.1.2")
    return issued_at + LIFETIME


def spent_digest(nonce: Nonce, thumbprint: bytes) -> bytes:
    """Return under what a use of ``nonce`` with one key is recorded, 32 bytes.

    Keyed by nonce *and* key, so that a wallet may use one nonce for two requests with different keys while a replayed
    proof fails.
    """
    return hashlib.sha256(nonce.encode() + b"\x00" + thumbprint).digest()


def _purpose(tenant: CredentialIssuerId) -> bytes:
    return b"c_nonce\x00" + tenant.encode()
