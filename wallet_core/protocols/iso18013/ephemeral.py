"""Ephemeral keys of a session as COSE_Key, and the secret that two of them agree on (ISO/IEC 18013-5 9.1.1.4, 9.1.5.2).

The invariant: keys of two curves never meet, and what is not a point of its curve never becomes a key. These keys agree
and never sign; those that sign are in ``keys.cose_key``.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wallet_core.encoding import cbor
from wallet_core.errors import MalformedError, VerificationError
from wallet_core.keys.algorithms import PublicKey

MAX_KEY_BYTES: Final = 512
"""Bytes of one encoded COSE_Key: the longest, of P-521, is about 150."""

_KTY, _CRV, _X, _Y, _D = 1, -1, -2, -3, -4
_OKP, _EC2 = 1, 2


class AgreementCurve(IntEnum):
    """Curves of cipher suite 1 with the purpose ECDH, by their COSE numbers. brainpoolP320r1 is not in our library."""

    P256 = 1
    P384 = 2
    P521 = 3
    X25519 = 4
    X448 = 5
    BRAINPOOL_P256R1 = 256
    BRAINPOOL_P384R1 = 258
    BRAINPOOL_P512R1 = 259


_EC_CURVES: Final[dict[AgreementCurve, tuple[ec.EllipticCurve, int]]] = {
    AgreementCurve.P256: (ec.SECP256R1(), 32),
    AgreementCurve.P384: (ec.SECP384R1(), 48),
    AgreementCurve.P521: (ec.SECP521R1(), 66),
    AgreementCurve.BRAINPOOL_P256R1: (ec.BrainpoolP256R1(), 32),
    AgreementCurve.BRAINPOOL_P384R1: (ec.BrainpoolP384R1(), 48),
    AgreementCurve.BRAINPOOL_P512R1: (ec.BrainpoolP512R1(), 64),
}
_OKP_CURVES: Final = frozenset({AgreementCurve.X25519, AgreementCurve.X448})
_CURVES: Final = {(_OKP if curve in _OKP_CURVES else _EC2, int(curve)): curve for curve in AgreementCurve}
_CURVE_OF_NAME: Final = {curve.name: number for number, (curve, _) in _EC_CURVES.items()}

RawAgreementKey: TypeAlias = ec.EllipticCurvePublicKey | x25519.X25519PublicKey | x448.X448PublicKey
RawAgreementPrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey | x448.X448PrivateKey


@dataclass(frozen=True, slots=True)
class EphemeralPublicKey:
    """EDeviceKey.Pub or EReaderKey.Pub."""

    curve: AgreementCurve
    raw: RawAgreementKey


@dataclass(frozen=True, slots=True)
class EphemeralPrivateKey:
    """EDeviceKey.Priv or EReaderKey.Priv: for one session, never stored beyond it."""

    raw: RawAgreementPrivateKey = field(repr=False)

    @property
    def public_key(self) -> EphemeralPublicKey:
        """The half that the other side is given."""
        public = self.raw.public_key()
        return EphemeralPublicKey(_curve_of(public), public)


def generate(curve: AgreementCurve = AgreementCurve.P256) -> EphemeralPrivateKey:
    """Return a new key on ``curve``, from the randomness of the cryptographic library."""
    if curve is AgreementCurve.X25519:
        return EphemeralPrivateKey(x25519.X25519PrivateKey.generate())
    if curve is AgreementCurve.X448:
        return EphemeralPrivateKey(x448.X448PrivateKey.generate())
    return EphemeralPrivateKey(ec.generate_private_key(_EC_CURVES[curve][0]))


def of_device_key(key: PublicKey) -> EphemeralPublicKey:
    """Return the static key of an mdoc as one to agree with, for a DeviceMac (9.1.3.5).

    Raises:
        VerificationError: it is a key that only signs.
    """
    if not isinstance(key.raw, ec.EllipticCurvePublicKey):
        raise VerificationError("the device key agrees with no other key", clause="ISO/IEC 18013-5 9.1.3.5")
    return EphemeralPublicKey(_curve_of(key.raw), key.raw)


def encode(key: EphemeralPublicKey) -> bytes:
    """Return ``key`` as encoded COSE_Key, uncompressed, with the members that make it and no other (9.1.5.2)."""
    if isinstance(key.raw, ec.EllipticCurvePublicKey):
        point = key.raw.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        size = len(point) // 2
        return cbor.dumps({_KTY: _EC2, _CRV: int(key.curve), _X: point[1 : 1 + size], _Y: point[1 + size :]})
    return cbor.dumps({_KTY: _OKP, _CRV: int(key.curve), _X: key.raw.public_bytes_raw()})


def parse(data: bytes, *, what: str) -> EphemeralPublicKey:
    """Return the key of an encoded COSE_Key from the other side. Members that are not part of the key are ignored.

    Raises:
        MalformedError: not a COSE_Key, a curve outside cipher suite 1, a private key, or no point of its curve.
    """
    value = cbor.loads_map(data, what=what, max_bytes=MAX_KEY_BYTES)
    # iso18013-9.1.1.4-public
    if _D in value:
        raise MalformedError(f"{what} holds a private key", clause="ISO/IEC 18013-5 9.1.1.4")
    curve = _curve(value, what)
    try:
        return EphemeralPublicKey(curve, _point(value, curve, what))
    except ValueError as exc:
        raise MalformedError(f"{what} is not a point of its curve", clause="ISO/IEC 18013-5 9.1.5.2") from exc


def agree(private_key: EphemeralPrivateKey, public_key: EphemeralPublicKey) -> bytes:
    """Return Z_AB of BSI TR-03111: what both sides compute and nobody else (9.1.1.5).

    Raises:
        VerificationError: the other key is on another curve, or a point that gives the same secret for everybody.
    """
    # iso18013-9.1.1.4-curve
    if public_key.curve is not private_key.public_key.curve:
        raise VerificationError("the ephemeral keys are on two curves", clause="ISO/IEC 18013-5 9.1.1.4")
    private, public = private_key.raw, public_key.raw
    try:
        if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(public, ec.EllipticCurvePublicKey):
            return private.exchange(ec.ECDH(), public)
        if isinstance(private, x25519.X25519PrivateKey) and isinstance(public, x25519.X25519PublicKey):
            return private.exchange(public)
        if isinstance(private, x448.X448PrivateKey) and isinstance(public, x448.X448PublicKey):
            return private.exchange(public)
    except ValueError as exc:
        # RFC 7748 6: a point of small order.
        raise VerificationError("the ephemeral key agrees on nothing secret", clause="RFC 7748 6") from exc
    raise TypeError("a key does not belong to its curve")


def _curve(value: dict[Any, Any], what: str) -> AgreementCurve:
    kty, crv = value.get(_KTY), value.get(_CRV)
    # A bool is an int for Python; a value of CBOR is not.
    curve = _CURVES.get((kty, crv)) if type(kty) is type(crv) is int else None
    # iso18013-9.1.5.2-curves
    if curve is None:
        raise MalformedError(f"{what} is on no curve of cipher suite 1", clause="ISO/IEC 18013-5 9.1.5.2")
    return curve


def _point(value: dict[Any, Any], curve: AgreementCurve, what: str) -> RawAgreementKey:
    if curve is AgreementCurve.X25519:
        return x25519.X25519PublicKey.from_public_bytes(_coordinate(value, _X, 32, what))
    if curve is AgreementCurve.X448:
        return x448.X448PublicKey.from_public_bytes(_coordinate(value, _X, 56, what))
    definition, size = _EC_CURVES[curve]
    x, y = _coordinate(value, _X, size, what), value.get(_Y)
    # EDeviceKey may be compressed: y is then the sign bit (RFC 9053 7.1.1).
    if isinstance(y, bool):
        return ec.EllipticCurvePublicKey.from_encoded_point(definition, (b"\x03" if y else b"\x02") + x)
    return ec.EllipticCurvePublicKey.from_encoded_point(definition, b"\x04" + x + _coordinate(value, _Y, size, what))


def _coordinate(value: dict[Any, Any], label: int, size: int, what: str) -> bytes:
    data = value.get(label)
    if not isinstance(data, bytes) or len(data) != size:
        raise MalformedError(f"a coordinate of {what} is missing or of the wrong length", clause="RFC 9053 7.1.1")
    return data


def _curve_of(key: RawAgreementKey) -> AgreementCurve:
    if isinstance(key, x25519.X25519PublicKey):
        return AgreementCurve.X25519
    if isinstance(key, x448.X448PublicKey):
        return AgreementCurve.X448
    return _CURVE_OF_NAME[key.curve.name]
