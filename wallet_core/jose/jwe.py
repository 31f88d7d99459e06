"""JSON Web Encryption, compact form, with ECDH-ES (RFC 7516, RFC 7518 4.6), as OpenID4VP 8.3 and OpenID4VCI 10 use it.

The invariant: the header of a token chooses nothing that the caller did not offer: not the key agreement, not the
content encryption, not compression. The cryptography is joserfc's; strictness, limits, compression and errors are ours.
"""

import zlib
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec, x25519
from joserfc import jwe as _jwe
from joserfc.errors import JoseError
from joserfc.jwa import JWEZipModel
from joserfc.jwk import ECKey, OKPKey

from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import MalformedError, VerificationError
from wallet_core.keys import jwk
from wallet_core.types import Json, JsonObject

ALG: Final = "ECDH-ES"
ENC_VALUES: Final = ("A128GCM", "A256GCM")
ZIP: Final = "DEF"

MAX_PLAINTEXT_BYTES: Final = 192 * 1024
"""Bytes of one plaintext: three credentials with a portrait of 60 kB each."""

_MAX_HEADER_BYTES: Final = 2048
_X25519_BYTES: Final = 32
_PROBE: Final = x25519.X25519PrivateKey.from_private_bytes(b"\x40" * _X25519_BYTES)
"""No secret: a point of low order agrees with no key at all (RFC 7748 6.1), so any key finds it out."""

DecryptionKey: TypeAlias = ec.EllipticCurvePrivateKey | x25519.X25519PrivateKey
_JoseKey: TypeAlias = ECKey | OKPKey


def max_token_bytes(max_bytes: int) -> int:
    """Return how long a compact JWE of ``max_bytes`` of plaintext may be, with a header."""
    return max_bytes * 4 // 3 + 4096


MAX_TOKEN_BYTES: Final = max_token_bytes(MAX_PLAINTEXT_BYTES)
"""Longest compact JWE that is looked at unless the caller says otherwise."""


class _Deflate(JWEZipModel):
    """``zip`` DEF (RFC 7516 4.1.3, RFC 1951) that inflates no further than it may."""

    name = ZIP
    description = "DEFLATE with a limit"

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes

    def compress(self, s: bytes) -> bytes:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return packer.compress(s) + packer.flush()

    def decompress(self, s: bytes) -> bytes:
        unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        # A few bytes can stand for gigabytes: what is beyond the limit is never made.
        # jose-7516.4.1.3-inflated-size
        opened = unpacker.decompress(s, self._max_bytes + 1)
        if len(opened) > self._max_bytes or not unpacker.eof or unpacker.unused_data:
            raise ValueError("not one deflated text within the limit")
        return opened


class _Registry(_jwe.JWERegistry):
    max_protected_header_length = _MAX_HEADER_BYTES

    def __init__(self, max_bytes: int) -> None:
        super().__init__(algorithms=[ALG, *ENC_VALUES, ZIP], strict_check_header=False)
        self.max_ciphertext_length = max_token_bytes(max_bytes)
        self._deflate = _Deflate(max_bytes)

    def get_zip(self, name: str) -> JWEZipModel:  # noqa: ARG002 - the caller has looked at it
        return self._deflate


@lru_cache(maxsize=8)
def _registry(max_bytes: int) -> _Registry:
    return _Registry(max_bytes)


def encrypt(
    plaintext: bytes,
    recipient_jwk: JsonObject,
    *,
    enc: str,
    header: Mapping[str, Json] | None = None,
    deflate: bool = False,
    max_bytes: int = MAX_PLAINTEXT_BYTES,
) -> str:
    """Return the compact JWE of ``plaintext`` for the key of ``recipient_jwk``.

    Args:
        plaintext: at most ``max_bytes``.
        recipient_jwk: a public JWK on P-256 or X25519, as :func:`is_usable` accepts it; its ``kid`` is copied.
        enc: one of ``ENC_VALUES``.
        header: further protected members, such as ``apu`` and ``apv`` (base64url), which enter the key derivation.
        deflate: compress first (``zip`` DEF). Only where the recipient asked for it.
        max_bytes: what the recipient is known to take.

    Raises:
        MalformedError: the JWK is not a key this function can encrypt to.
        ValueError: ``enc`` or ``plaintext`` is outside the limits (a mistake of our own code).
    """
    if enc not in ENC_VALUES or len(plaintext) > max_bytes:
        raise ValueError(f"enc {enc} is not supported, or the plaintext of {len(plaintext)} bytes is too long")
    protected: dict[str, Json] = {"alg": ALG, "enc": enc, **(header or {})}
    if deflate:
        protected["zip"] = ZIP
    # OpenID4VP 8.3, OpenID4VCI 10: the JWE must carry the kid of the chosen JWK, if there is one.
    # vp-8.3-kid
    if "kid" in recipient_jwk:
        protected["kid"] = recipient_jwk["kid"]
    try:
        return _jwe.encrypt_compact(
            protected, plaintext, _recipient_key(recipient_jwk, "jwk"), registry=_registry(max_bytes)
        )
    except (JoseError, ValueError) as exc:
        raise MalformedError("the JWK cannot be encrypted to", clause="RFC 7518 4.6") from exc


def decrypt(
    token: str,
    keys: Mapping[str, DecryptionKey],
    *,
    enc_values: Collection[str] = ENC_VALUES,
    zip_values: Collection[str] = (),
    max_bytes: int = MAX_PLAINTEXT_BYTES,
) -> bytes:
    """Return the plaintext of a compact JWE that was encrypted to one of ``keys``.

    Args:
        token: the compact JWE.
        keys: private keys by ``kid``.
        enc_values: the ``enc`` values that were offered.
        zip_values: the ``zip`` values that were offered: ``ZIP`` or none.
        max_bytes: most bytes of plaintext, also after inflating.

    Steps:
        1. The token is short enough and has five strict base64url parts, the second empty (RFC 7518 4.6).
        2. ``alg``, ``enc`` and ``zip`` are ones that were offered; nothing is critical (RFC 7516 4.1.3, 4.1.13).
        3. ``kid`` names one of the keys (OpenID4VP 8.3).
        4. ``epk`` is a point on the curve of that key (RFC 7518 4.6.1.1).
        5. The authentication tag fits, and what is compressed inflates to no more than ``max_bytes`` (RFC 7516 5.2).

    Raises:
        MalformedError: step 1 or 4 failed.
        VerificationError: step 2, 3 or 5 failed.
    """
    header = parse_header(token, max_bytes=max_bytes)
    # 2.
    # jose-7516.4.1-offered
    if header.get("alg") != ALG or header.get("enc") not in enc_values:
        raise VerificationError("the message is encrypted in a way that was not offered", step=2, clause="RFC 7516 4.1")
    # jose-7516.4.1.13-crit-zip
    if ("zip" in header and header["zip"] not in zip_values) or "crit" in header:
        raise VerificationError("the message asks for an extension that is refused", step=2, clause="RFC 7516 4.1.13")
    # 3.
    kid = header.get("kid")
    key = keys.get(kid) if isinstance(kid, str) else None
    # vp-8.3-our-kid
    if key is None:
        raise VerificationError("the message is encrypted to a key we do not have", step=3, clause="OpenID4VP 8.3")
    # 4.
    epk = _recipient_key(header.get("epk"), "epk")
    # jose-7518.4.6-epk
    if isinstance(epk, ECKey) != isinstance(key, ec.EllipticCurvePrivateKey):
        raise MalformedError("epk is on another curve than the key", clause="RFC 7518 4.6.1.1")
    # 5.
    private = ECKey(key, key) if isinstance(key, ec.EllipticCurvePrivateKey) else OKPKey(key, key)
    try:
        opened = _jwe.decrypt_compact(token, private, registry=_registry(max_bytes)).plaintext
    except (JoseError, ValueError, zlib.error) as exc:
        raise VerificationError("the message cannot be decrypted", step=5, clause="RFC 7516 5.2") from exc
    return opened or b""


def parse_header(token: str, *, max_bytes: int = MAX_PLAINTEXT_BYTES) -> JsonObject:
    """Return the protected header of a compact JWE, unverified.

    Raises:
        MalformedError: too long, not five strict base64url parts, an encrypted key (ECDH-ES has none), or a header
            that is not an object.
    """
    if len(token) > (longest := max_token_bytes(max_bytes)):
        raise MalformedError(f"the encrypted message is longer than {longest} characters")
    parts = token.split(".")
    # jose-7518.4.6-parts
    if len(parts) != 5 or parts[1]:
        raise MalformedError("the encrypted message is not a compact JWE with ECDH-ES", clause="RFC 7518 4.6")
    decoded = [base64url.decode(part, what="a part of the encrypted message") for part in parts]
    if len(decoded[2]) != 12 or len(decoded[4]) != 16:
        raise MalformedError("initialization vector or tag has the wrong length", clause="RFC 7518 5.3")
    header = strict_json.loads_object(decoded[0], what="header of the JWE", max_bytes=_MAX_HEADER_BYTES)
    # The key derivation reads both as base64url text (RFC 7518 4.6.1.2, 4.6.1.3).
    for member in ("apu", "apv"):
        value = header.get(member, "")
        if not isinstance(value, str):
            raise MalformedError(f"{member} is not text", clause="RFC 7518 4.6.1")
        base64url.decode(value, what=member)
    return header


def is_usable(value: Json) -> bool:
    """Return whether a JWK offered by a peer is one that :func:`encrypt` can use (OpenID4VP 8.3)."""
    # vp-8.3-key-alg
    if not isinstance(value, dict) or value.get("alg") != ALG or value.get("use", "enc") != "enc":
        return False
    # RFC 7517 4.3: a key that says it is for signatures only. Browsers write [] into every public key of ECDH.
    operations = value.get("key_ops")
    # jose-7517.4.3-encryption
    if isinstance(operations, list) and operations and all(each in ("sign", "verify") for each in operations):
        return False
    # 8.3: the JWE must carry the kid, and RFC 7516 4.1.6 knows none but text.
    if not isinstance(value.get("kid", ""), str):
        return False
    try:
        key = _recipient_key(value, "jwk").public_key
        if isinstance(key, x25519.X25519PublicKey):
            _PROBE.exchange(key)
    except (MalformedError, ValueError):
        return False
    return True


def _recipient_key(value: Json, what: str) -> _JoseKey:
    if isinstance(value, dict) and value.get("kty") == "OKP" and value.get("crv") == "X25519":
        x = value.get("x")
        data = base64url.decode(x, what=f"x of {what}") if isinstance(x, str) else b""
        if len(data) != _X25519_BYTES or "d" in value:
            raise MalformedError(f"{what} is not an X25519 public key", clause="RFC 8037 2")
        okp = x25519.X25519PublicKey.from_public_bytes(data)
        return OKPKey(okp, okp)
    raw = jwk.parse_key_members(value, what=what).raw
    # x509-HAIP5-key
    if not isinstance(raw, ec.EllipticCurvePublicKey) or not isinstance(raw.curve, ec.SECP256R1):
        raise MalformedError(f"{what} is not on P-256 or X25519", clause="HAIP 5")
    return ECKey(raw, raw)
