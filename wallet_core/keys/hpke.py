"""Hybrid Public Key Encryption in the one suite that mdocs use over an API (RFC 9180; ISO/IEC TS 18013-7 C.4).

Base mode, single shot: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, no additional data. The library does the
work; here is only the split between the encapsulated key and the ciphertext, and our errors.
"""

from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from wallet_core.errors import VerificationError

ENCAPSULATED_BYTES: Final = 65
"""RFC 9180 7.1: an encapsulated key of this suite is an uncompressed point of P-256."""

_SUITE: Final = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_128_GCM)


@dataclass(frozen=True, slots=True)
class SealedText:
    """What single-shot encryption gives: the encapsulated key ``enc``, and the ciphertext with its tag."""

    enc: bytes
    ciphertext: bytes


def seal(plaintext: bytes, recipient: ec.EllipticCurvePublicKey, *, info: bytes) -> SealedText:
    """Return ``plaintext`` encrypted to ``recipient``, a key on P-256, and bound to ``info`` (RFC 9180 6.1).

    Raises:
        ValueError: the key is on another curve.
    """
    if recipient.curve.name != "secp256r1":
        raise ValueError("this suite encrypts to keys on P-256")
    sealed = _SUITE.encrypt(plaintext, recipient, info=info)
    return SealedText(sealed[:ENCAPSULATED_BYTES], sealed[ENCAPSULATED_BYTES:])


def open_sealed(sealed: SealedText, private_key: ec.EllipticCurvePrivateKey, *, info: bytes) -> bytes:
    """Return the plaintext that was sealed to ``private_key`` for this ``info`` (RFC 9180 6.1).

    Raises:
        VerificationError: it was sealed to another key or for another ``info``, or was changed.
    """
    # The length first: otherwise a byte could move from one part to the other.
    # dcapi-C.4-hpke
    if len(sealed.enc) != ENCAPSULATED_BYTES:
        raise VerificationError("the encapsulated key is not a point of P-256", clause="RFC 9180 7.1")
    try:
        return _SUITE.decrypt(sealed.enc + sealed.ciphertext, private_key, info=info)
    except InvalidTag as exc:
        raise VerificationError("the answer cannot be decrypted", clause="ISO/IEC TS 18013-7 C.4") from exc
