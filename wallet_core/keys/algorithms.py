"""The closed list of signature algorithms, and public keys that know theirs.

A key decides its algorithm (RFC 7518 3.4: each curve has exactly one), never the header of a token.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias, cast

from cryptography.exceptions import InvalidSignature as _RawInvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from wallet_core.errors import InvalidSignature, KeyUnavailable, MalformedError
from wallet_core.types import HashFunction
from wallet_core.values import statically_frozen


class SignatureAlgorithm(StrEnum):
    """JOSE names (RFC 7518, RFC 9864 for Ed25519's predecessor ``EdDSA`` of RFC 8037)."""

    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"


RawPublicKey: TypeAlias = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
RawPrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class _Curve:
    algorithm: SignatureAlgorithm
    hash: HashFunction
    ecdsa: ec.ECDSA
    coordinate_bytes: int


# We make the digests: given the data, cryptography asks back in Python what kind of hash it is.
_CURVES = {
    "secp256r1": _Curve(SignatureAlgorithm.ES256, hashlib.sha256, ec.ECDSA(Prehashed(hashes.SHA256())), 32),
    "secp384r1": _Curve(SignatureAlgorithm.ES384, hashlib.sha384, ec.ECDSA(Prehashed(hashes.SHA384())), 48),
    "secp521r1": _Curve(SignatureAlgorithm.ES512, hashlib.sha512, ec.ECDSA(Prehashed(hashes.SHA512())), 66),
}
_ED25519_SIGNATURE_BYTES = 64
# RFC 9864 2.2: "Ed25519" is the fully-specified name of what RFC 8037 calls "EdDSA" with such a key.
_OTHER_NAMES = {SignatureAlgorithm.EDDSA: "Ed25519"}

# RFC 9053 2 and RFC 9864 2: the identifier that every reader knows first, then the fully-specified one of the curve.
_COSE_IDENTIFIERS = {
    SignatureAlgorithm.ES256: (-7, -9),
    SignatureAlgorithm.ES384: (-35, -51),
    SignatureAlgorithm.ES512: (-36, -52),
    SignatureAlgorithm.EDDSA: (-8, -19),
}


@statically_frozen
class PublicKey:
    """A key to verify with, bound to the one algorithm it may be used with.

    ``coordinates`` are the members of its JWK, where it came from one: writing them anew costs a tenth of a signature.
    """

    raw: RawPublicKey
    coordinates: Mapping[str, str] | None = field(default=None, compare=False, repr=False)
    algorithm: SignatureAlgorithm = field(init=False)
    _curve: _Curve | None = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse a key outside the closed list (``KeyUnavailable``)."""
        curve = _curve_of(self.raw)
        object.__setattr__(self, "_curve", curve)
        object.__setattr__(self, "algorithm", algorithm_of(self.raw) if curve is None else curve.algorithm)

    def answers_to(self, name: object) -> bool:
        """Return whether ``name``, as a token's ``alg`` says it, is the algorithm of this key."""
        return name == self.algorithm or (name is not None and name == _OTHER_NAMES.get(self.algorithm))

    def answers_to_cose(self, identifier: object) -> bool:
        """Return whether ``identifier``, as a COSE header says it, is the algorithm of this key under either number."""
        return type(identifier) is int and identifier in _COSE_IDENTIFIERS[self.algorithm]

    def verify(self, signature: bytes, data: bytes) -> None:
        """Check ``signature`` (JOSE form: r and s of fixed length, or the 64 bytes of Ed25519) over ``data``.

        Raises:
            InvalidSignature: it does not verify, or has not the length of this algorithm.
        """
        try:
            # The kind of the key was told when it was made; asking again is not free.
            if (curve := self._curve) is None:
                cast("ed25519.Ed25519PublicKey", self.raw).verify(signature, data)
            else:
                der = der_signature(signature, curve.coordinate_bytes)
                cast("ec.EllipticCurvePublicKey", self.raw).verify(der, curve.hash(data).digest(), curve.ecdsa)
        except _RawInvalidSignature as exc:
            raise InvalidSignature("the signature does not verify", clause="RFC 7515 5.2") from exc


def cose_identifier(algorithm: SignatureAlgorithm) -> int:
    """Return the COSE identifier to write for ``algorithm``: the one that every reader knows (RFC 9053 2)."""
    return _COSE_IDENTIFIERS[algorithm][0]


def cose_identifiers(algorithm: SignatureAlgorithm) -> tuple[int, ...]:
    """Return every COSE identifier that names ``algorithm``, for metadata (OpenID4VP B.2.2)."""
    return _COSE_IDENTIFIERS[algorithm]


def algorithm_of(key: PublicKeyTypes | PrivateKeyTypes) -> SignatureAlgorithm:
    """Return the one algorithm for ``key``.

    Raises:
        KeyUnavailable: the kind or curve of the key is not in the closed list.
    """
    if (curve := _curve_of(key)) is not None:
        return curve.algorithm
    if isinstance(key, (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey)):
        return SignatureAlgorithm.EDDSA
    raise KeyUnavailable("the key is of a kind that is not supported here", clause="RFC 7518 3.1")


def _curve_of(key: PublicKeyTypes | PrivateKeyTypes) -> _Curve | None:
    # Only keys of elliptic curves have one; asking for their abstract class costs more.
    curve = getattr(key, "curve", None)
    return None if curve is None else _CURVES.get(curve.name)


def public_key(raw: PublicKeyTypes) -> PublicKey:
    """Return ``raw`` as a key of the closed list.

    Raises:
        MalformedError: the kind or curve is not in the closed list.
    """
    try:
        algorithm_of(raw)
    except KeyUnavailable as exc:
        raise MalformedError("the public key is of a kind that is not supported here") from exc
    assert isinstance(raw, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey)  # noqa: S101 - narrowed above
    return PublicKey(raw)


def sign(key: RawPrivateKey, data: bytes) -> bytes:
    """Return the JOSE-form signature of ``data``."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    curve = _CURVES[key.curve.name]
    return jose_signature(key.sign(curve.hash(data).digest(), curve.ecdsa), curve.coordinate_bytes)


def jose_signature(der: bytes, coordinate_bytes: int) -> bytes:
    """Return a DER ECDSA signature as r and s of fixed length (RFC 7518 3.4)."""
    r, s = decode_dss_signature(der)
    return r.to_bytes(coordinate_bytes, "big") + s.to_bytes(coordinate_bytes, "big")


def der_signature(signature: bytes, coordinate_bytes: int) -> bytes:
    """Return a JOSE ECDSA signature as DER.

    Raises:
        InvalidSignature: the length is not that of the curve.
    """
    # jose-7518.3.4-length
    if len(signature) != 2 * coordinate_bytes:
        raise InvalidSignature("the signature has the wrong length", clause="RFC 7518 3.4")
    r = int.from_bytes(signature[:coordinate_bytes], "big")
    s = int.from_bytes(signature[coordinate_bytes:], "big")
    return encode_dss_signature(r, s)


def signature_bytes(algorithm: SignatureAlgorithm) -> int:
    """Return the length of a JOSE signature of this algorithm."""
    if algorithm is SignatureAlgorithm.EDDSA:
        return _ED25519_SIGNATURE_BYTES
    return next(2 * c.coordinate_bytes for c in _CURVES.values() if c.algorithm is algorithm)
