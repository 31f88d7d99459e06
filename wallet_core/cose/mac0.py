"""COSE_Mac0 with HMAC 256/256: one authentication tag under a key that both sides derived (RFC 9052 6.2, RFC 9053 3.1).

The invariant: the algorithm is HMAC 256/256 whatever the header says; a header that says otherwise is refused.
"""

import hmac
from dataclasses import dataclass
from typing import Any, Final

from wallet_core.cose import headers
from wallet_core.cose.headers import ALG, CRIT, Header, encode_protected
from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import InvalidSignature, MalformedError, VerificationError

TAG: Final = 17
"""RFC 9052 2: the tag of COSE_Mac0."""

HMAC_256: Final = 5
"""RFC 9053 3.1: HMAC 256/256, HMAC with SHA-256 and a tag of full length."""

_PROTECTED: Final = encode_protected({ALG: HMAC_256})


@dataclass(frozen=True, slots=True)
class UnverifiedMac0:
    """A COSE_Mac0 that parsed. Nothing in it is to be believed yet.

    Attributes:
        protected_bytes: the protected header as it came, which the tag is over.
        protected: the same, parsed.
        unprotected: what the tag does not cover.
        payload: the content; None if it is detached.
        tag: the authentication tag.
    """

    protected_bytes: bytes
    protected: Header
    unprotected: Header
    payload: bytes | None
    tag: bytes


def parse(
    data: bytes, *, tagged: bool, what: str = "COSE_Mac0", max_bytes: int = headers.MAX_MESSAGE_BYTES
) -> UnverifiedMac0:
    """Return a COSE_Mac0 that stands alone. ``tagged`` says whether it must carry tag 17 or must not.

    Raises:
        MalformedError: not CBOR, not tagged as asked, or not a COSE_Mac0.
    """
    return parse_value(
        headers.parse_message(data, tag=TAG if tagged else None, what=what, max_bytes=max_bytes), what=what
    )


def parse_value(value: Any, *, what: str = "COSE_Mac0") -> UnverifiedMac0:
    """Return an untagged COSE_Mac0 that stood inside other CBOR, parsed with it.

    Raises:
        MalformedError: not an array of protected header, unprotected header, payload and tag.
    """
    # cose-9052.6.2-array
    if not isinstance(value, list) or len(value) != 4:
        raise MalformedError(f"{what} is not an array of four", clause="RFC 9052 6.2")
    protected_bytes, unprotected, payload, tag = value
    if not isinstance(payload, bytes | None) or not isinstance(tag, bytes):
        raise MalformedError(f"payload or tag of {what} is not a byte string", clause="RFC 9052 6.2")
    protected, unprotected = headers.parse_headers(protected_bytes, unprotected, what=what)
    return UnverifiedMac0(protected_bytes, protected, unprotected, payload, tag)


def verify(
    mac0: UnverifiedMac0, key: bytes, *, detached_payload: bytes | None = None, external_aad: bytes = b""
) -> bytes:
    """Check the tag of ``mac0`` and return the payload that it authenticates.

    Args:
        mac0: the parsed message.
        key: the key both sides derived.
        detached_payload: the content, where the message must not carry it.
        external_aad: what else the tag covers; empty everywhere in ISO/IEC 18013-5.

    Steps:
        1. There is one payload: inside, or given by the caller (RFC 9052 6.1).
        2. No critical parameter is asked for (RFC 9052 3.1).
        3. ``alg`` of the protected header is HMAC 256/256 (RFC 9053 3.1).
        4. The tag is that of the content, compared in constant time (RFC 9052 6.3).

    Raises:
        VerificationError: step 1 or 2 failed.
        InvalidSignature: step 3 or 4 failed.
    """
    # 1.
    # cose-9052.6.1-payload
    if (mac0.payload is None) == (detached_payload is None):
        raise VerificationError("the payload is missing, or there is one too many", step=1, clause="RFC 9052 6.1")
    payload = detached_payload if mac0.payload is None else mac0.payload
    assert payload is not None  # noqa: S101 - one of the two is there
    # 2.
    # cose-9052.3.1-mac-crit
    if CRIT in mac0.protected or CRIT in mac0.unprotected:
        raise VerificationError("the message asks for a parameter that is not known", step=2, clause="RFC 9052 3.1")
    # 3.
    algorithm = mac0.protected.get(ALG)
    # cose-9053.3.1-hmac
    if type(algorithm) is not int or algorithm != HMAC_256:
        raise InvalidSignature("the algorithm of the message is not HMAC 256/256", step=3, clause="RFC 9053 3.1")
    # 4. A shortened tag differs as well.
    # cose-9052.6.3-tag
    if not hmac.compare_digest(mac0.tag, _tag(key, mac_structure(mac0.protected_bytes, payload, external_aad))):
        raise InvalidSignature("the authentication tag does not verify", step=4, clause="RFC 9052 6.3")
    return payload


def mac_structure(protected_bytes: bytes, payload: bytes, external_aad: bytes = b"") -> bytes:
    """Return the bytes that are authenticated: ``["MAC0", protected, external_aad, payload]`` (RFC 9052 6.3)."""
    protected = b"" if protected_bytes == b"\xa0" else protected_bytes
    return cbor.dumps(["MAC0", protected, external_aad, payload])


def create(payload: bytes, key: bytes, *, detached: bool = False, tagged: bool = False) -> bytes:
    """Return a COSE_Mac0 over ``payload`` with HMAC 256/256."""
    tag = _tag(key, mac_structure(_PROTECTED, payload))
    message: list[Any] = [_PROTECTED, {}, None if detached else payload, tag]
    return cbor.dumps(Tagged(TAG, message) if tagged else message)


def _tag(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")
