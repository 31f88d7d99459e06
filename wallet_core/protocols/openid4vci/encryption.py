"""Encrypted messages between wallet and Credential Issuer (OpenID4VCI 8.2, 9.1, 10, 12.2.4).

A message is a compact JWE over a JSON object: ECDH-ES, AES-GCM, compressed where both sides say so. A request is
encrypted to a key of the issuer's metadata, an answer to the key that the request brought. The invariant: nobody can
ask for an encrypted answer in a request that others can read or change, and no answer is less protected than asked for.
"""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import InvalidEncryptionParameters, MalformedError
from wallet_core.jose import jwe
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.jwk import public_jwk, thumbprint
from wallet_core.protocols.openid4vci import members
from wallet_core.types import CredentialIssuerId, Json, JsonObject
from wallet_core.values import statically_frozen

MAX_REQUEST_BYTES: Final = 128 * 1024
"""Bytes of a Credential Request: ten proofs of about 500 bytes, with room for key attestations."""

MAX_RESPONSE_BYTES: Final = 2 << 20
"""Bytes of a Credential Response: ten copies of a card with a portrait of 60 kB make 1.1 MB."""

MAX_ENCRYPTED_REQUEST_BYTES: Final = jwe.max_token_bytes(MAX_REQUEST_BYTES)
"""Bytes of an encrypted Credential Request."""

MAX_ENCRYPTED_RESPONSE_BYTES: Final = jwe.max_token_bytes(MAX_RESPONSE_BYTES)
"""Bytes of an encrypted Credential Response."""

MAX_KEYS: Final = 16
"""Keys of an issuer that are looked at."""

KEY_PERIOD: Final = timedelta(days=30)
"""How long an issuer publishes one key for encrypted requests."""

_PERIOD_SECONDS: Final = int(KEY_PERIOD.total_seconds())
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_METADATA: Final = "OpenID4VCI 12.2.4"
_REQUEST: Final = "OpenID4VCI 8.2"


@dataclass(frozen=True, slots=True)
class RequestEncryption:
    """``credential_request_encryption`` of the metadata, of which only what this software can use is kept."""

    jwks: tuple[JsonObject, ...]
    enc_values: tuple[str, ...]
    zip_values: tuple[str, ...]
    required: bool

    @property
    def usable(self) -> bool:
        """Whether there is a key and a content encryption in common."""
        return bool(self.jwks and self.enc_values)


@dataclass(frozen=True, slots=True)
class ResponseEncryption:
    """``credential_response_encryption`` of the metadata, of which only what this software can use is kept."""

    alg_values: tuple[str, ...]
    enc_values: tuple[str, ...]
    zip_values: tuple[str, ...]
    required: bool

    @property
    def usable(self) -> bool:
        """Whether there is a key agreement and a content encryption in common."""
        return bool(self.alg_values and self.enc_values)


@dataclass(frozen=True, slots=True)
class EncryptionParameters:
    """``credential_response_encryption`` of a request: how its answer is to be encrypted."""

    jwk: JsonObject
    enc: str
    zip: str | None

    def to_json(self) -> JsonObject:
        """Return the member as it stands in a request."""
        return {"jwk": self.jwk, "enc": self.enc, **({} if self.zip is None else {"zip": self.zip})}


@statically_frozen
class RequestDecryption:
    """An issuer's keys for encrypted requests by ``kid``; and whether requests and answers must be encrypted."""

    keys: Mapping[str, jwe.DecryptionKey]
    required: bool = False

    def decrypt(self, text: str) -> bytes:
        """Return what an encrypted request holds.

        Raises:
            MalformedError, VerificationError: it is not encrypted to one of the keys in a way that the metadata offer.
        """
        return jwe.decrypt(text, self.keys, zip_values=(jwe.ZIP,), max_bytes=MAX_REQUEST_BYTES)


@dataclass(frozen=True, slots=True)
class MessageEncryption:
    """How a wallet encrypts one request, and how its answer comes back. Made for one request and not kept.

    ``response_key`` is None where the answer may come in clear.
    """

    request_jwk: JsonObject
    request_enc: str
    request_zip: str | None
    response_key: ec.EllipticCurvePrivateKey | None = None
    response_enc: str = jwe.ENC_VALUES[0]
    response_zip: str | None = None

    @property
    def parameters(self) -> EncryptionParameters | None:
        """What the request says about its answer."""
        if self.response_key is None:
            return None
        return EncryptionParameters(encryption_jwk(self.response_key), self.response_enc, self.response_zip)

    def encrypt_request(self, payload: JsonObject) -> str:
        """Return the encrypted request. It names the key of the answer, if that is to be encrypted."""
        parameters = self.parameters
        if parameters is not None:
            payload = {**payload, "credential_response_encryption": parameters.to_json()}
        jwk, enc, compressed = self.request_jwk, self.request_enc, self.request_zip
        return encrypt_message(payload, jwk, enc=enc, zip_=compressed, max_bytes=MAX_REQUEST_BYTES)

    def decrypt_response(self, text: str) -> JsonObject:
        """Return the JSON object of an answer.

        Raises:
            MalformedError, VerificationError: it is not encrypted in the way that was asked for, or is no JSON object.
        """
        if self.response_key is None:
            raise MalformedError("the answer is encrypted, which was not asked for", clause="OpenID4VCI 10")
        kid = str(encryption_jwk(self.response_key)["kid"])
        return decrypt_message(
            text,
            {kid: self.response_key},
            enc_values=(self.response_enc,),
            zip_values=() if self.response_zip is None else (self.response_zip,),
            max_bytes=MAX_RESPONSE_BYTES,
        )


def decryption_keys(
    secret: bytes, tenant: CredentialIssuerId, *, now: datetime
) -> tuple[ec.EllipticCurvePrivateKey, ...]:
    """Return an issuer's keys for encrypted requests: the one to publish first, then the one of the period before.

    They are derived, so that every worker has them without a row; a new one begins with each ``KEY_PERIOD``, and
    whoever kept the metadata is understood for one period more.
    """
    period = int(now.timestamp()) // _PERIOD_SECONDS
    return tuple(_derived_key(secret, tenant, each) for each in (period, period - 1))


def request_decryption(
    secret: bytes, tenant: CredentialIssuerId, *, now: datetime, required: bool
) -> RequestDecryption:
    """Return how an issuer opens requests that were encrypted to one of :func:`decryption_keys`."""
    period = int(now.timestamp()) // _PERIOD_SECONDS
    return RequestDecryption(_keys_by_kid(secret, tenant, period), required)


@lru_cache(maxsize=256)
def _keys_by_kid(secret: bytes, tenant: CredentialIssuerId, period: int) -> Mapping[str, jwe.DecryptionKey]:
    keys = [_derived_key(secret, tenant, each) for each in (period, period - 1)]
    return {str(encryption_jwk(key)["kid"]): key for key in keys}


@lru_cache(maxsize=256)
def _derived_key(secret: bytes, tenant: CredentialIssuerId, period: int) -> ec.EllipticCurvePrivateKey:
    # FIPS 186-5 A.2.1: 64 bits more than the order has, then reduced, so that no key is likelier than another.
    label = b"request encryption\x00" + tenant.encode() + b"\x00" + str(period).encode()
    number = int.from_bytes(hmac.digest(secret, label, "sha512"), "big")
    return ec.derive_private_key(number % (_P256_ORDER - 1) + 1, ec.SECP256R1())


def encryption_jwk(key: ec.EllipticCurvePrivateKey) -> JsonObject:
    """Return the public JWK of a decryption key, with its thumbprint as ``kid``."""
    public = PublicKey(key.public_key())
    # OpenID4VCI 10: the JWK must carry alg; 12.2.4: and a kid that no other key of the set has.
    # vci-10-jwk-alg
    return {**public_jwk(public), "kid": base64url.encode(thumbprint(public)), "use": "enc", "alg": jwe.ALG}


def create_request_encryption(keys: Iterable[ec.EllipticCurvePrivateKey], *, required: bool) -> JsonObject:
    """Return ``credential_request_encryption`` of an issuer with these decryption keys, the preferred one first."""
    return {
        "jwks": {"keys": [encryption_jwk(key) for key in keys]},
        "enc_values_supported": list(jwe.ENC_VALUES),
        "zip_values_supported": [jwe.ZIP],
        "encryption_required": required,
    }


def create_response_encryption(*, required: bool) -> JsonObject:
    """Return ``credential_response_encryption`` of an issuer."""
    return {
        "alg_values_supported": [jwe.ALG],
        "enc_values_supported": list(jwe.ENC_VALUES),
        "zip_values_supported": [jwe.ZIP],
        "encryption_required": required,
    }


def parse_request_encryption(document: Mapping[str, Json]) -> RequestEncryption | None:
    """Return what the metadata say about encrypted requests; None if nothing. Keys that cannot be used are left out.

    Raises:
        MalformedError: a required member is missing or of the wrong type, or two keys have one ``kid``.
    """
    found = members.optional_object(document, "credential_request_encryption", clause=_METADATA)
    if found is None:
        return None
    jwks = members.optional_object(found, "jwks", clause=_METADATA)
    keys = members.objects(jwks or {}, "keys", clause=_METADATA)
    # vci-12.2.4-request-jwks
    if not keys or len(keys) > MAX_KEYS:
        raise MalformedError(f"credential_request_encryption has no jwks of 1 to {MAX_KEYS} keys", clause=_METADATA)
    names = [key["kid"] for key in keys if isinstance(key.get("kid"), str)]
    # OpenID4VCI 12.2.4: each JWK in the set MUST have a kid that uniquely identifies the key.
    # vci-12.2.4-kid
    if len(set(names)) != len(keys):
        raise MalformedError("each key of credential_request_encryption needs a kid of its own", clause=_METADATA)
    usable = tuple(key for key in keys if jwe.is_usable(key))
    return RequestEncryption(usable, _enc_values(found), _zip_values(found), _required(found))


def parse_response_encryption(document: Mapping[str, Json]) -> ResponseEncryption | None:
    """Return what the metadata say about encrypted answers; None if nothing.

    Raises:
        MalformedError: a required member is missing or of the wrong type.
    """
    found = members.optional_object(document, "credential_response_encryption", clause=_METADATA)
    if found is None:
        return None
    # vci-12.2.4-response-alg
    offered = members.strings(found, "alg_values_supported", clause=_METADATA)
    algorithms = tuple(alg for alg in offered if alg == jwe.ALG)
    return ResponseEncryption(algorithms, _enc_values(found), _zip_values(found), _required(found))


def parse_encryption_parameters(value: Json) -> EncryptionParameters:
    """Return ``credential_response_encryption`` of a Credential or Deferred Credential Request (OpenID4VCI 8.2, 9.1).

    Raises:
        InvalidEncryptionParameters: a member is missing, or asks for what the issuer does not offer.
    """
    if not isinstance(value, dict):
        raise InvalidEncryptionParameters("credential_response_encryption is not an object", clause=_REQUEST)
    key, enc, compressed = value.get("jwk"), value.get("enc"), value.get("zip")
    # OpenID4VCI 10: alg MUST be present in the JWK, and says how the key is agreed upon.
    # vci-10-response-jwk
    if not isinstance(key, dict) or not jwe.is_usable(key) or not isinstance(key.get("kid", ""), str):
        text = f"credential_response_encryption.jwk is no public key on P-256 or X25519 with alg {jwe.ALG}"
        raise InvalidEncryptionParameters(text, clause="OpenID4VCI 10")
    # vci-8.2-response-enc
    if not isinstance(enc, str) or enc not in jwe.ENC_VALUES:
        text = f"credential_response_encryption.enc is none of {', '.join(jwe.ENC_VALUES)}"
        raise InvalidEncryptionParameters(text, clause=_REQUEST)
    # OpenID4VCI 8.2: without zip nothing may be compressed.
    # vci-8.2-response-zip
    if "zip" in value and compressed != jwe.ZIP:
        raise InvalidEncryptionParameters(f"credential_response_encryption.zip is not {jwe.ZIP}", clause=_REQUEST)
    return EncryptionParameters(key, enc, jwe.ZIP if "zip" in value else None)


def choose_encryption(
    request: RequestEncryption | None, response: ResponseEncryption | None
) -> MessageEncryption | None:
    """Return how a wallet encrypts its next request and how its answer comes back; None where neither can be.

    Whatever the issuer offers is used, also where it does not demand it (decision 0104), with the strongest content
    encryption in common. A request alone is encrypted only on demand: it holds nothing personal.

    Raises:
        MalformedError: the issuer demands what it does not offer, or what this wallet does not have.
    """
    to = request if request is not None and request.usable else None
    # OpenID4VCI 8.2: a request that asks for an encrypted answer MUST be encrypted itself.
    back = response if response is not None and response.usable and to is not None else None
    # vci-12.2.4-encryption-demanded
    if (request is not None and request.required and to is None) or (
        response is not None and response.required and back is None
    ):
        raise MalformedError("the issuer demands an encryption that this wallet does not have", clause=_METADATA)
    # vci-10-encrypts-where-offered
    if to is None or (back is None and not to.required):
        return None
    encryption = MessageEncryption(to.jwks[0], to.enc_values[-1], to.zip_values[0] if to.zip_values else None)
    if back is None:
        return encryption
    return replace(
        encryption,
        response_key=ec.generate_private_key(ec.SECP256R1()),
        response_enc=back.enc_values[-1],
        response_zip=back.zip_values[0] if back.zip_values else None,
    )


def encrypt_message(payload: JsonObject, jwk: JsonObject, *, enc: str, zip_: str | None, max_bytes: int) -> str:
    """Return the compact JWE of a JSON object (OpenID4VCI 10).

    Raises:
        MalformedError: the JWK is not a key that can be encrypted to.
        ValueError: the message is longer than ``max_bytes``.
    """
    return jwe.encrypt(strict_json.dumps(payload), jwk, enc=enc, deflate=zip_ is not None, max_bytes=max_bytes)


def decrypt_message(
    text: str,
    keys: Mapping[str, jwe.DecryptionKey],
    *,
    enc_values: tuple[str, ...] = jwe.ENC_VALUES,
    zip_values: tuple[str, ...] = (jwe.ZIP,),
    max_bytes: int,
) -> JsonObject:
    """Return the JSON object of a compact JWE that was encrypted to one of ``keys`` (OpenID4VCI 10).

    Raises:
        VerificationError: it was encrypted to another key, or in a way that was not offered, or changed on the way.
        MalformedError: it is no compact JWE, too long, or what it holds is no JSON object.
    """
    plaintext = jwe.decrypt(text, keys, enc_values=enc_values, zip_values=zip_values, max_bytes=max_bytes)
    return strict_json.loads_object(plaintext, what="encrypted message", max_bytes=max_bytes)


def _enc_values(found: JsonObject) -> tuple[str, ...]:
    """Return the usable ones in our order, the strongest last."""
    offered = members.strings(found, "enc_values_supported", clause=_METADATA)
    return tuple(enc for enc in jwe.ENC_VALUES if enc in offered)


def _zip_values(found: JsonObject) -> tuple[str, ...]:
    if "zip_values_supported" not in found:
        return ()
    offered = members.strings(found, "zip_values_supported", clause=_METADATA)
    return (jwe.ZIP,) if jwe.ZIP in offered else ()


def _required(found: JsonObject) -> bool:
    required = found.get("encryption_required")
    # vci-12.2.4-encryption-required
    if not isinstance(required, bool):
        raise MalformedError("encryption_required is not a boolean", clause=_METADATA)
    return required
