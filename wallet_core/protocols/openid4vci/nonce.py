"""``c_nonce`` values that cost nothing to give out (OpenID4VCI 7).

A ``c_nonce`` is base64url(time || random || MAC): issuing one writes nothing. It is bound to one tenant, and spent,
together with the thumbprint of the key that proved possession, only in the transaction that issues.
"""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Final

from wallet_core.encoding import base64url
from wallet_core.errors import InvalidNonce, MalformedError
from wallet_core.types import CredentialIssuerId, Nonce, RandomBytes

LIFETIME: Final = timedelta(minutes=5)
"""How long a ``c_nonce`` may be used: time to unlock a key and sign."""

_TIME_BYTES: Final = 6
_RANDOM_BYTES: Final = 16
_MAC_BYTES: Final = 16
_LENGTH: Final = _TIME_BYTES + _RANDOM_BYTES + _MAC_BYTES


def create_c_nonce(key: bytes, tenant: CredentialIssuerId, *, now: datetime, random: RandomBytes) -> Nonce:
    """Return a new, unpredictable ``c_nonce`` (OpenID4VCI 7.2) for the Credential Issuer ``tenant``."""
    body = int(now.timestamp() * 1000).to_bytes(_TIME_BYTES, "big") + random(_RANDOM_BYTES)
    return Nonce(base64url.encode(body + _mac(key, tenant, body)))


def verify_c_nonce(nonce: Nonce, key: bytes, tenant: CredentialIssuerId, *, now: datetime) -> datetime:
    """Check that ``nonce`` was given out by ``tenant`` within its lifetime, and return when it ends.

    Not done here: whether it was already spent.

    Raises:
        InvalidNonce: it was not, or is too old (OpenID4VCI 8.3.1.2).
    """
    try:
        data = base64url.decode(nonce, what="c_nonce")
    except MalformedError as exc:
        raise InvalidNonce("the c_nonce is not one of ours", clause="OpenID4VCI 8.3.1.2") from exc
    body, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
    # vci-7.2-ours
    if len(data) != _LENGTH or not hmac.compare_digest(mac, _mac(key, tenant, body)):
        raise InvalidNonce("the c_nonce is not one of ours", clause="OpenID4VCI 8.3.1.2")
    issued_at = datetime.fromtimestamp(int.from_bytes(body[:_TIME_BYTES], "big") / 1000, UTC)
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


def _mac(key: bytes, tenant: CredentialIssuerId, body: bytes) -> bytes:
    return hmac.digest(key, b"c_nonce\x00" + tenant.encode() + b"\x00" + body, "sha256")[:_MAC_BYTES]
