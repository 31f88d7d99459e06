"""JSON Web Signature, compact form (RFC 7515), over bytes.

The invariant: the header of a token never chooses the key or the algorithm. The caller names the key, the key has one
algorithm, and the header must agree.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import InvalidSignature, MalformedError, VerificationError
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.signer import Signer
from wallet_core.types import JsonObject
from wallet_core.values import statically_frozen

MAX_TOKEN_BYTES = 128 * 1024
"""Longest compact JWS that is looked at; a credential with a portrait is about 60 kB."""

MAX_HEADER_BYTES = 16 * 1024
"""Longest decoded header: an x5c of three certificates is about 4 kB."""


@statically_frozen
class UnverifiedJws:
    """A compact JWS that parsed. Nothing in it is to be believed yet. ``header`` may be shared: never change it."""

    header: JsonObject
    payload: bytes
    signing_input: bytes
    signature: bytes

    def claims(self) -> JsonObject:
        """Return the payload as JSON object, still unverified. Raises ``MalformedError``."""
        return strict_json.loads_object(self.payload, what="JWT payload")


@statically_frozen
class VerifiedJws:
    """A JWS whose signature verified with ``key``. Only :func:`verify` makes one."""

    header: JsonObject
    payload: bytes
    key: PublicKey

    def claims(self) -> JsonObject:
        """Return the payload as JSON object. Raises ``MalformedError``."""
        return strict_json.loads_object(self.payload, what="JWT payload")


def parse(token: str, *, what: str = "JWT", max_characters: int = MAX_TOKEN_BYTES) -> UnverifiedJws:
    """Split a compact JWS and decode its parts.

    Args:
        token: the text.
        what: how the errors name it.
        max_characters: length that is refused beyond; a status list may be longer than other tokens.

    Raises:
        MalformedError: not three strict base64url parts, too long, or a header that is not a JSON object.
    """
    if len(token) > max_characters:
        raise MalformedError(f"{what} is longer than {max_characters} characters")
    # Not str.split, which looks at one character after the other.
    header_part, first, rest = token.partition(".")
    payload_part, second, signature_part = rest.partition(".")
    # jose-7515.3.1-parts
    if not first or not second or "." in signature_part:
        raise MalformedError(f"{what} does not have three parts", clause="RFC 7515 3.1")
    # Before the header is looked at, and kept: 4 characters of base64url are 3 bytes.
    if len(header_part) > MAX_HEADER_BYTES * 4 // 3 + 2:
        raise MalformedError(f"header of the {what} is larger than {MAX_HEADER_BYTES} bytes")
    return UnverifiedJws(
        header=_parse_header(header_part, what),
        payload=base64url.decode(payload_part, what="payload", of=what),
        signing_input=token[: len(header_part) + 1 + len(payload_part)].encode("ascii"),
        signature=base64url.decode(signature_part, what="signature", of=what),
    )


@lru_cache(maxsize=256)
def _parse_header(text: str, what: str) -> JsonObject:
    """Return the header ``text`` encodes. An issuer sends the same one, certificates and all, with every token."""
    data = base64url.decode(text, what=f"header of the {what}")
    return strict_json.loads_object(data, what=f"header of the {what}", max_bytes=MAX_HEADER_BYTES)


def verify(jws: UnverifiedJws, key: PublicKey, *, typ: str | None) -> VerifiedJws:
    """Check type, algorithm and signature of ``jws`` and return what can now be believed.

    Args:
        jws: the parsed token.
        key: the key the caller trusts for this token.
        typ: the exact ``typ`` the header must carry; None only where the specification names none.

    Steps:
        1. ``typ`` is the expected one (RFC 8725 3.11).
        2. No critical extension is asked for (RFC 7515 4.1.11).
        3. ``alg`` is the algorithm of the key (RFC 8725 3.1).
        4. The signature verifies (RFC 7515 5.2).

    Not done here: claims such as ``exp``, ``aud`` and ``nonce``.

    Raises:
        VerificationError: step 1, 2 or 3 failed.
        InvalidSignature: step 3 or 4 failed.
    """
    # 1.
    # jose-8725.3.11-typ
    if typ is not None and jws.header.get("typ") != typ:
        raise VerificationError(f"the token is not of type {typ}", step=1, clause="RFC 8725 3.11")
    # 2. We understand no extension, so a token that makes one critical must be refused.
    # jose-7515.4.1.11-crit
    if "crit" in jws.header:
        raise VerificationError("the token asks for an extension that is not known", step=2, clause="RFC 7515 4.1.11")
    # 3. "none" and MAC algorithms fail here like any other: no key has them.
    # jose-8725.3.1-alg
    if not key.answers_to(jws.header.get("alg")):
        raise InvalidSignature("the algorithm of the token is not that of the key", step=3, clause="RFC 8725 3.1")
    # 4.
    # jose-7515.5.2-signature
    key.verify(jws.signature, jws.signing_input)
    return VerifiedJws(jws.header, jws.payload, key)


def encode_header(header: Mapping[str, Any]) -> str:
    """Return the encoded protected header. Whoever signs often with one header keeps this text."""
    return base64url.encode(strict_json.dumps(header))


def signing_input_for(encoded_header: str, payload: bytes) -> bytes:
    """Return the bytes to sign under an encoded header: ``header || "." || BASE64URL(payload)`` (RFC 7515 5.1)."""
    return b"%b.%b" % (encoded_header.encode("ascii"), base64url.encode_to_bytes(payload))


def signing_input(header: Mapping[str, Any], payload: bytes) -> bytes:
    """Return the bytes to sign: ``BASE64URL(header) || "." || BASE64URL(payload)`` (RFC 7515 5.1)."""
    return signing_input_for(encode_header(header), payload)


def attach_signature(signing_input: bytes, signature: bytes) -> str:
    """Return the compact JWS of a signing input and its signature, made here or by the holder's own key."""
    return f"{signing_input.decode('ascii')}.{base64url.encode(signature)}"


def sign(header: Mapping[str, Any], payload: Mapping[str, Any], signer: Signer) -> str:
    """Return a compact JWS over the JSON of ``payload``. ``alg`` is set from the key and stands first."""
    protected = {"alg": signer.public_key.algorithm.value, **header}
    data = signing_input(protected, strict_json.dumps(payload))
    return attach_signature(data, signer.sign(data))
