"""Values that a server gives out without writing anything: base64url(time || random || MAC).

Used for ``c_nonce`` (OpenID4VCI 7), DPoP nonces (RFC 9449 8) and challenges for client attestations. The MAC covers a
purpose, so that none of them can stand for another.
"""

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Final

from wallet_core.encoding import base64url
from wallet_core.errors import MalformedError
from wallet_core.types import RandomBytes

_TIME_BYTES: Final = 6
_RANDOM_BYTES: Final = 16
_MAC_BYTES: Final = 16
_LENGTH: Final = _TIME_BYTES + _RANDOM_BYTES + _MAC_BYTES


def create_stamped_value(key: bytes, purpose: bytes, *, now: datetime, random: RandomBytes) -> str:
    """Return a new, unpredictable value for ``purpose``: 51 URL-safe characters."""
    body = int(now.timestamp() * 1000).to_bytes(_TIME_BYTES, "big") + random(_RANDOM_BYTES)
    return base64url.encode(body + _mac(key, purpose, body))


def stamped_at(value: str, key: bytes, purpose: bytes) -> datetime | None:
    """Return when ``value`` was given out for ``purpose``; None if it is not one of ours.

    Not done here: whether that is too long ago.
    """
    try:
        data = base64url.decode(value, what="value")
    except MalformedError:
        return None
    body, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
    if len(data) != _LENGTH or not hmac.compare_digest(mac, _mac(key, purpose, body)):
        return None
    return datetime.fromtimestamp(int.from_bytes(body[:_TIME_BYTES], "big") / 1000, UTC)


def _mac(key: bytes, purpose: bytes, body: bytes) -> bytes:
    return hmac.digest(key, purpose + b"\x00" + body, hashlib.sha256)[:_MAC_BYTES]
