"""JSON Web Keys (RFC 7517, RFC 7518 6.2, RFC 8037) and their thumbprints (RFC 7638)."""

import hashlib
from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import MalformedError
from wallet_core.keys.algorithms import PublicKey, RawPrivateKey
from wallet_core.types import Json, JsonObject

_CURVES: Final[dict[str, tuple[ec.EllipticCurve, int]]] = {
    "P-256": (ec.SECP256R1(), 32),
    "P-384": (ec.SECP384R1(), 48),
    "P-521": (ec.SECP521R1(), 66),
}
_CURVE_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_ED25519_BYTES = 32

# RFC 7638 3.2 and RFC 8037 2: the members that make the key, in lexicographic order.
_REQUIRED_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
# RFC 7518 6.2.2, 6.3.2, 6.4: anything that would make the JWK more than public.
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_PURPOSE_MEMBERS = frozenset({"alg", "use", "key_ops"})


def parse_public_jwk(value: Json, *, what: str = "jwk") -> PublicKey:
    """Return the key to verify signatures with that a JWK from outside describes. Unknown members are ignored.

    Raises:
        MalformedError: not a JWK, a key type or curve outside the closed list, a point that is not on the curve, a
            private or symmetric key, or one that says it is for something else.
    """
    key = parse_key_members(value, what=what)
    if isinstance(value, dict) and not _PURPOSE_MEMBERS.isdisjoint(value):
        _validate_purpose(value, key, what)
    return key


def parse_key_members(value: Json, *, what: str = "jwk") -> PublicKey:
    """Return the key that a JWK describes, whatever it says that it is for.

    Raises:
        MalformedError: as :func:`parse_public_jwk`, but for the last.
    """
    if not isinstance(value, dict):
        raise MalformedError(f"{what} is not a JSON object", clause="RFC 7517 4")
    # OpenID4VCI appendix F.1: a proof's header must not carry a private key; nor may any other JWK we are sent.
    # jose-7517-public
    if not _PRIVATE_MEMBERS.isdisjoint(value):
        raise MalformedError(f"{what} holds a private or symmetric key", clause="OpenID4VCI F.4")
    kty, crv = value.get("kty"), value.get("crv")
    if kty == "EC" and isinstance(crv, str) and crv in _CURVES:
        return _ec_key(value, crv, what)
    if kty == "OKP" and crv == "Ed25519":
        return PublicKey(ed25519.Ed25519PublicKey.from_public_bytes(_coordinate(value, "x", _ED25519_BYTES, what)))
    raise MalformedError(f"{what} is of a key type or curve that is not supported here", clause="RFC 7518 6.1")


def public_jwk(key: PublicKey) -> JsonObject:
    """Return the JWK of ``key``: the members that make the key and nothing else."""
    if key.coordinates is not None:
        return {**key.coordinates}
    raw = key.raw
    if isinstance(raw, ed25519.Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(raw.public_bytes_raw())}
    point = raw.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    size = len(point) // 2
    return {
        "kty": "EC",
        "crv": _CURVE_NAMES[raw.curve.name],
        "x": base64url.encode(point[1 : 1 + size]),
        "y": base64url.encode(point[1 + size :]),
    }


def thumbprint(key: PublicKey) -> bytes:
    """Return the SHA-256 thumbprint of ``key``, 32 bytes (RFC 7638)."""
    # public_jwk has the required members and no others; RFC 7638 3.3 wants them in lexicographic order.
    return hashlib.sha256(strict_json.dumps_sorted(public_jwk(key))).digest()


def jwk_thumbprint(jwk: Mapping[str, Json]) -> bytes:
    """Return the SHA-256 thumbprint of a public JWK of any curve, 32 bytes (RFC 7638 3).

    Raises:
        MalformedError: the key type is unknown or a required member is missing.
    """
    members = _REQUIRED_MEMBERS.get(str(jwk.get("kty")))
    if members is None or not all(isinstance(jwk.get(member), str) for member in members):
        raise MalformedError("the JWK lacks the members of its key type", clause="RFC 7638 3.2")
    return hashlib.sha256(strict_json.dumps({member: jwk[member] for member in members})).digest()


def parse_private_jwk(value: Mapping[str, Json]) -> RawPrivateKey:
    """Return the private key of a JWK of our own (stored or published for tests).

    Raises:
        MalformedError: not a private JWK of a supported curve, or its halves do not belong together.
    """
    public = parse_key_members({k: v for k, v in value.items() if k not in _PRIVATE_MEMBERS})
    if isinstance(public.raw, ed25519.Ed25519PublicKey):
        private: RawPrivateKey = ed25519.Ed25519PrivateKey.from_private_bytes(
            _coordinate(value, "d", _ED25519_BYTES, "jwk")
        )
    else:
        curve, size = _CURVES[_CURVE_NAMES[public.raw.curve.name]]
        try:
            private = ec.derive_private_key(int.from_bytes(_coordinate(value, "d", size, "jwk"), "big"), curve)
        except ValueError as exc:
            raise MalformedError("jwk holds an impossible private key") from exc
    if PublicKey(private.public_key()) != public:
        raise MalformedError("the private and public halves of the jwk differ")
    return private


def _validate_purpose(value: JsonObject, key: PublicKey, what: str) -> None:
    # RFC 8725 3.1: "each key MUST be used with exactly one algorithm, and this MUST be checked".
    # jose-8725.3.1-key-alg
    if "alg" in value and not key.answers_to(value["alg"]):
        raise MalformedError(f"alg of {what} is not that of its signatures", clause="RFC 8725 3.1")
    # jose-7517.4.2-use
    if value.get("use", "sig") != "sig":
        raise MalformedError(f"{what} is not for signatures", clause="RFC 7517 4.2")
    # A public key that was made of a private one often says "sign" still.
    operations = value.get("key_ops", ["verify"])
    # jose-7517.4.3-key-ops
    if not isinstance(operations, list) or not ("verify" in operations or "sign" in operations):
        raise MalformedError(f"{what} is not for signatures", clause="RFC 7517 4.3")


def _ec_key(value: Mapping[str, Json], crv: str, what: str) -> PublicKey:
    curve, size = _CURVES[crv]
    point = b"\x04" + _coordinate(value, "x", size, what) + _coordinate(value, "y", size, what)
    try:
        raw = ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    except ValueError as exc:
        raise MalformedError(f"{what} is not a point of its curve", clause="RFC 7518 6.2.1") from exc
    # Strict base64url has one text for each coordinate, so these are the members public_jwk would write.
    return PublicKey(raw, {"kty": "EC", "crv": crv, "x": str(value["x"]), "y": str(value["y"])})


def _coordinate(value: Mapping[str, Json], member: str, size: int, what: str) -> bytes:
    text = value.get(member)
    if not isinstance(text, str):
        raise MalformedError(f"{what} lacks {member}", clause="RFC 7518 6.2.1")
    data = base64url.decode(text, what=f"{member} of {what}")
    # RFC 7518 6.2.1.2: the octet string is exactly as long as a coordinate of the curve.
    # jose-7518.6.2.1-length
    if len(data) != size:
        raise MalformedError(f"{member} of {what} has the wrong length", clause="RFC 7518 6.2.1.2")
    return data
