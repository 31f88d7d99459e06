"""COSE_Sign1: one signature over a payload that is inside or elsewhere (RFC 9052 4.2).

The invariant is that of ``jose.jws``: the header of a message never chooses the key or the algorithm. The caller names
the key, the key has one algorithm, and the protected header must agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from wallet_core.cose import headers
from wallet_core.cose.headers import ALG, CRIT, X5CHAIN, Header, encode_protected
from wallet_core.encoding import cbor
from wallet_core.errors import InvalidSignature, MalformedError, VerificationError
from wallet_core.keys.algorithms import PublicKey, SignatureAlgorithm, cose_identifier
from wallet_core.keys.signer import Signer

TAG: Final = 18
"""RFC 9052 2: the tag of COSE_Sign1."""

_UNTAGGED: Final = cbor.head(4, 4)
_TAGGED: Final = cbor.head(6, TAG) + _UNTAGGED


@dataclass(frozen=True, slots=True)
class UnverifiedSign1:
    """A COSE_Sign1 that parsed. Nothing in it is to be believed yet.

    Attributes:
        protected_bytes: the protected header as it came, which the signature is over.
        protected: the same, parsed.
        unprotected: what the signature does not cover.
        payload: the content; None if it is detached.
        signature: in the form that JOSE has too: r and s of fixed length.
    """

    protected_bytes: bytes
    protected: Header
    unprotected: Header
    payload: bytes | None
    signature: bytes

    def x5chain(self) -> tuple[bytes, ...]:
        """Return the certificates as DER, leaf first; empty if there are none. Raises ``MalformedError``."""
        return headers.x5chain(self.protected, self.unprotected, what="COSE_Sign1")


@dataclass(frozen=True, slots=True)
class VerifiedSign1:
    """A COSE_Sign1 whose signature verified with ``key``. Only :func:`verify` makes one."""

    protected: Header
    unprotected: Header
    payload: bytes
    key: PublicKey


@dataclass(frozen=True, slots=True)
class Sign1ToSign:
    """A COSE_Sign1 that lacks only its signature.

    Attributes:
        protected_bytes: the protected header, encoded.
        unprotected: the unprotected header.
        payload: the content to send; None if it is detached.
        signing_input: the exact bytes to sign.
    """

    protected_bytes: bytes
    unprotected: Header
    payload: bytes | None
    signing_input: bytes

    def attach(self, signature: bytes, *, tagged: bool = False) -> bytes:
        """Return the COSE_Sign1 with the JOSE-form ``signature`` of :attr:`signing_input`."""
        return b"".join(
            (
                _TAGGED if tagged else _UNTAGGED,
                cbor.byte_string(self.protected_bytes),
                cbor.dumps(dict(self.unprotected)) if self.unprotected else b"\xa0",
                b"\xf6" if self.payload is None else cbor.byte_string(self.payload),
                cbor.byte_string(signature),
            )
        )


def parse(
    data: bytes, *, tagged: bool, what: str = "COSE_Sign1", max_bytes: int = headers.MAX_MESSAGE_BYTES
) -> UnverifiedSign1:
    """Return a COSE_Sign1 that stands alone. ``tagged`` says whether it must carry tag 18 or must not.

    Raises:
        MalformedError: not CBOR, not tagged as asked, or not a COSE_Sign1.
    """
    return parse_value(
        headers.parse_message(data, tag=TAG if tagged else None, what=what, max_bytes=max_bytes), what=what
    )


def parse_value(value: Any, *, what: str = "COSE_Sign1") -> UnverifiedSign1:
    """Return an untagged COSE_Sign1 that stood inside other CBOR, parsed with it.

    Raises:
        MalformedError: not an array of protected header, unprotected header, payload and signature.
    """
    # cose-9052.4.2-array
    if not isinstance(value, list) or len(value) != 4:
        raise MalformedError(f"{what} is not an array of four", clause="RFC 9052 4.2")
    protected_bytes, unprotected, payload, signature = value
    if not isinstance(payload, bytes | None) or not isinstance(signature, bytes):
        raise MalformedError(f"payload or signature of {what} is not a byte string", clause="RFC 9052 4.2")
    protected, unprotected = headers.parse_headers(protected_bytes, unprotected, what=what)
    return UnverifiedSign1(protected_bytes, protected, unprotected, payload, signature)


def verify(
    sign1: UnverifiedSign1, key: PublicKey, *, detached_payload: bytes | None = None, external_aad: bytes = b""
) -> VerifiedSign1:
    """Check algorithm and signature of ``sign1`` and return what can now be believed.

    Args:
        sign1: the parsed message.
        key: the key the caller trusts for this message.
        detached_payload: the content, where the message must not carry it.
        external_aad: what else the signature covers; empty everywhere in ISO/IEC 18013-5.

    Steps:
        1. There is one payload: inside, or given by the caller (RFC 9052 4.1).
        2. No critical parameter is asked for (RFC 9052 3.1).
        3. ``alg`` of the protected header is an identifier of the key's algorithm (RFC 9052 3.1, RFC 9053 2).
        4. The signature verifies (RFC 9052 4.4).

    Not done here: what the payload says, ``typ``, certificates.

    Raises:
        VerificationError: step 1 or 2 failed.
        InvalidSignature: step 3 or 4 failed.
    """
    # 1.
    # cose-9052.4.1-payload
    if (sign1.payload is None) == (detached_payload is None):
        raise VerificationError("the payload is missing, or there is one too many", step=1, clause="RFC 9052 4.1")
    payload = detached_payload if sign1.payload is None else sign1.payload
    assert payload is not None  # noqa: S101 - one of the two is there
    # 2. We understand no parameter that a message could make critical.
    # cose-9052.3.1-crit
    if CRIT in sign1.protected or CRIT in sign1.unprotected:
        raise VerificationError("the message asks for a parameter that is not known", step=2, clause="RFC 9052 3.1")
    # 3. "This parameter MUST be authenticated where the ability to do so exists": only the protected header counts.
    # cose-9052.3.1-alg
    if not key.answers_to_cose(sign1.protected.get(ALG)):
        raise InvalidSignature("the algorithm of the message is not that of the key", step=3, clause="RFC 9052 3.1")
    # 4. Over the protected header as it came.
    # cose-9052.4.4-signature
    key.verify(sign1.signature, sig_structure(sign1.protected_bytes, payload, external_aad))
    return VerifiedSign1(sign1.protected, sign1.unprotected, payload, key)


def sig_structure(protected_bytes: bytes, payload: bytes, external_aad: bytes = b"") -> bytes:
    """Return the bytes that are signed: ``["Signature1", protected, external_aad, payload]`` (RFC 9052 4.4)."""
    # An empty map is signed as an empty string, however it was sent (RFC 9052 4.4, step 1).
    protected = b"" if protected_bytes == b"\xa0" else protected_bytes
    return b"".join(
        (
            b"\x84\x6aSignature1",
            cbor.byte_string(protected),
            cbor.byte_string(external_aad),
            cbor.head(2, len(payload)),
            payload,
        )
    )


def to_sign(
    payload: bytes,
    algorithm: SignatureAlgorithm,
    *,
    protected: Header | None = None,
    unprotected: Header | None = None,
    detached: bool = False,
    external_aad: bytes = b"",
) -> Sign1ToSign:
    """Return a COSE_Sign1 over ``payload``, ready for a key of ``algorithm``. ``alg`` is set and stands first.

    Args:
        payload: the content.
        algorithm: that of the key which will sign.
        protected: further parameters that the signature covers.
        unprotected: parameters that it does not cover.
        detached: whether the payload is left out of the message.
        external_aad: what else the signature covers.
    """
    protected_bytes = (
        encode_protected({ALG: cose_identifier(algorithm), **protected}) if protected else _only_alg(algorithm)
    )
    return Sign1ToSign(
        protected_bytes,
        unprotected or {},
        None if detached else payload,
        sig_structure(protected_bytes, payload, external_aad),
    )


def sign(
    payload: bytes,
    signer: Signer,
    *,
    protected: Header | None = None,
    unprotected: Header | None = None,
    tagged: bool = False,
) -> bytes:
    """Return a COSE_Sign1 over ``payload``. ``alg`` is set from the key and stands first in the protected header.

    Raises:
        KeyUnavailable: the signer cannot sign now.
    """
    pending = to_sign(payload, signer.public_key.algorithm, protected=protected, unprotected=unprotected)
    return pending.attach(signer.sign(pending.signing_input), tagged=tagged)


def x5chain_header(certificates: Sequence[bytes]) -> Header:
    """Return ``x5chain`` for DER certificates, leaf first: one as byte string, several as array (RFC 9360 2).

    Raises:
        ValueError: there are none.
    """
    if not certificates:
        raise ValueError("an x5chain has at least one certificate")
    return {X5CHAIN: certificates[0] if len(certificates) == 1 else [*certificates]}


@lru_cache
def _only_alg(algorithm: SignatureAlgorithm) -> bytes:
    return encode_protected({ALG: cose_identifier(algorithm)})
