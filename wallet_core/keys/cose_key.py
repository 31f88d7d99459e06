"""COSE_Key (RFC 9052 7, RFC 9053 7) for the public keys of the closed list."""

from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wallet_core.encoding import base64url, cbor
from wallet_core.errors import MalformedError
from wallet_core.keys.algorithms import PublicKey

# Labels of RFC 9052 7.1 and RFC 9053 7.1 and 7.2.
_KTY, _ALG, _CRV, _X, _Y, _D = 1, 3, -1, -2, -3, -4
_OKP, _EC2 = 1, 2

_CURVES: Final[dict[int, tuple[ec.EllipticCurve, int]]] = {
    1: (ec.SECP256R1(), 32),
    2: (ec.SECP384R1(), 48),
    3: (ec.SECP521R1(), 66),
}
_CURVE_LABELS: Final = {"secp256r1": 1, "secp384r1": 2, "secp521r1": 3}
_EC2_FRAMES: Final = {
    name: (
        b"".join((cbor.head(5, 4), cbor.dumps(_KTY), cbor.dumps(_EC2), cbor.dumps(_CRV), cbor.dumps(label)))
        + cbor.dumps(_X)
        + cbor.head(2, _CURVES[label][1]),
        cbor.dumps(_Y) + cbor.head(2, _CURVES[label][1]),
    )
    for name, label in _CURVE_LABELS.items()
}
"""What stands before the two coordinates of a key on each curve."""

_ED25519: Final = 6
_ED25519_BYTES: Final = 32


def parse_cose_key(value: Any, *, what: str = "COSE_Key") -> PublicKey:
    """Return the key that a parsed COSE_Key from outside describes. Members that are not part of the key are ignored.

    Raises:
        MalformedError: not a COSE_Key, a key type or curve outside the closed list, a point that is not on the curve, a
            private or symmetric key, or an algorithm that is not the one of the key.
    """
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is not a map", clause="RFC 9052 7")
    # cose-9053.7-public
    if _D in value:
        raise MalformedError(f"{what} holds a private key", clause="RFC 9053 7.1.1")
    key = _key(value, what)
    # RFC 9052 7.1: the algorithm of the key restricts its use.
    # cose-9052.7.1-alg
    if _ALG in value and not key.answers_to_cose(value[_ALG]):
        raise MalformedError(f"{what} names an algorithm that is not the one of its curve", clause="RFC 9052 7.1")
    return key


def cose_key(key: PublicKey) -> dict[int, int | bytes]:
    """Return the COSE_Key of ``key``: the members that make the key and nothing else (ISO/IEC 18013-5 9.1.2.4)."""
    raw = key.raw
    if isinstance(raw, ed25519.Ed25519PublicKey):
        return {_KTY: _OKP, _CRV: _ED25519, _X: raw.public_bytes_raw()}
    x, y = _coordinates(key, raw)
    return {_KTY: _EC2, _CRV: _CURVE_LABELS[raw.curve.name], _X: x, _Y: y}


def encode_cose_key(key: PublicKey) -> bytes:
    """Return the encoded COSE_Key of ``key``: what ``cbor.dumps`` makes of :func:`cose_key`, in a third of the time."""
    raw = key.raw
    if isinstance(raw, ed25519.Ed25519PublicKey):
        return cbor.dumps(cose_key(key))
    x, y = _coordinates(key, raw)
    start, middle = _EC2_FRAMES[raw.curve.name]
    return b"".join((start, x, middle, y))


def _coordinates(key: PublicKey, raw: ec.EllipticCurvePublicKey) -> tuple[bytes, bytes]:
    if key.coordinates is not None:
        return base64url.decode(key.coordinates["x"]), base64url.decode(key.coordinates["y"])
    point = raw.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    size = len(point) // 2
    return point[1 : 1 + size], point[1 + size :]


def _key(value: dict[Any, Any], what: str) -> PublicKey:
    kty, crv = value.get(_KTY), value.get(_CRV)
    # A bool is an int for Python and hashes as one; a label or value of CBOR is not.
    if type(kty) is int and type(crv) is int:
        if kty == _EC2 and crv in _CURVES:
            return _ec_key(value, crv, what)
        if kty == _OKP and crv == _ED25519:
            return PublicKey(ed25519.Ed25519PublicKey.from_public_bytes(_coordinate(value, _X, _ED25519_BYTES, what)))
    raise MalformedError(f"{what} is of a key type or curve that is not supported here", clause="RFC 9053 7")


def _ec_key(value: dict[Any, Any], crv: int, what: str) -> PublicKey:
    curve, size = _CURVES[crv]
    x, y = _coordinate(value, _X, size, what), value.get(_Y)
    # RFC 9053 7.1.1: y is a coordinate, or the sign bit of the compressed point.
    compressed = isinstance(y, bool)
    head, rest = (b"\x03" if y else b"\x02", b"") if compressed else (b"\x04", _coordinate(value, _Y, size, what))
    try:
        return PublicKey(ec.EllipticCurvePublicKey.from_encoded_point(curve, head + x + rest))
    except ValueError as exc:
        raise MalformedError(f"{what} is not a point of its curve", clause="RFC 9053 7.1.1") from exc


def _coordinate(value: dict[Any, Any], label: int, size: int, what: str) -> bytes:
    data = value.get(label)
    # "Leading-zero octets MUST be preserved": a coordinate is as long as its curve's.
    # cose-9053.7.1.1-length
    if not isinstance(data, bytes) or len(data) != size:
        raise MalformedError(f"a coordinate of {what} is missing or of the wrong length", clause="RFC 9053 7.1.1")
    return data
