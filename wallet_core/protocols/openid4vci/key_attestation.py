"""Key attestations (OpenID4VCI appendix D): a wallet provider says how well keys are kept.

The invariant: only :func:`verify_key_attestation` makes a :class:`KeyAttestation`.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from wallet_core import spec_versions as spec
from wallet_core.errors import InvalidProof, MalformedError, VerificationError
from wallet_core.jose import jws
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.jwk import parse_public_jwk, public_jwk, thumbprint
from wallet_core.keys.signer import Signer
from wallet_core.protocols.openid4vci import members
from wallet_core.trust.wallet_providers import WalletProviders
from wallet_core.trust.x509 import TrustedCertificate, format_x5c, parse_x5c
from wallet_core.types import Json, JsonObject, Nonce

MAX_KEYS: Final = 100
"""Keys of one attestation; a request takes ten proofs, other wallets attest more keys than they use."""

MAX_ATTESTATION_CHARACTERS: Final = 48 * 1024
"""Longest attestation that is looked at: a hundred keys of 300 characters and a chain."""

MAX_AGE: Final = timedelta(hours=24)
"""How long ago an attestation may have been made that carries no ``exp``."""

MAX_AHEAD: Final = timedelta(seconds=60)
"""How far ahead of ours a provider's clock may be."""

_LAST_TIME: Final = 253_402_300_799  # the last second of the year 9999
_CLAUSE: Final = "OpenID4VCI D.1"
_LEVELS: Final = ("key_storage", "user_authentication")

NonceCheck = Callable[[Nonce], object]


@dataclass(frozen=True, slots=True)
class KeyAttestationRequirements:
    """What an issuer asks of the keys (``key_attestations_required``, OpenID4VCI 12.2.4). Empty: any level.

    Attributes:
        key_storage: the levels of the storage that are accepted; one of them must be attested.
        user_authentication: the same for how the person unlocks the keys.
    """

    key_storage: tuple[str, ...] = ()
    user_authentication: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AttestedKey:
    """A key of an attestation.

    Attributes:
        key: the public key.
        thumbprint: 32 bytes (RFC 7638).
        kid: its ``kid`` in the attestation; None if it has none.
    """

    key: PublicKey
    thumbprint: bytes
    kid: str | None


@dataclass(frozen=True, slots=True)
class KeyAttestation:
    """An attestation that verified. Made by :func:`verify_key_attestation` only.

    Attributes:
        keys: in the order of the attestation, each once.
        positions: the same keys as they stand in ``attested_keys``, a repeated one repeated: an index counts here.
        nonce: the ``c_nonce`` in it.
        provider: whose certificate signed it.
    """

    keys: tuple[AttestedKey, ...]
    positions: tuple[AttestedKey, ...]
    nonce: Nonce
    provider: TrustedCertificate

    def find(self, kid: str) -> AttestedKey | None:
        """Return the key that ``kid`` names: by its own ``kid``, or else by its index (M11). None if it names none."""
        for each in self.keys:
            if each.kid == kid:
                return each
        # int() reads signs, spaces and other scripts' digits too.
        if kid.isascii() and kid.isdigit() and len(kid) <= len(str(MAX_KEYS)) and int(kid) < len(self.positions):
            return self.positions[int(kid)]
        return None

    def contains(self, print_: bytes) -> bool:
        """Return whether the key of this thumbprint is attested."""
        return any(each.thumbprint == print_ for each in self.keys)


def parse_key_attestation_requirements(proof_type: JsonObject) -> KeyAttestationRequirements | None:
    """Return what a member of ``proof_types_supported`` asks of keys; None if it asks for no attestation (12.2.4).

    Raises:
        MalformedError: ``key_attestations_required`` is no object, or one of its members no non-empty array of text.
    """
    clause = "OpenID4VCI 12.2.4"
    required = members.optional_object(proof_type, "key_attestations_required", clause=clause)
    if required is None:
        return None
    # vci-12.2.4-attestation-levels
    levels = {name: members.strings(required, name, clause=clause) for name in _LEVELS if name in required}
    return KeyAttestationRequirements(**levels)


def create_key_attestation(
    signer: Signer,
    x5c: Sequence[bytes],
    *,
    keys: Sequence[PublicKey],
    nonce: str | None,
    issued_at: datetime,
    expires_at: datetime,
    key_storage: Sequence[str] = (),
    user_authentication: Sequence[str] = (),
) -> str:
    """Return a key attestation (OpenID4VCI D.1).

    Args:
        signer: the wallet provider's key.
        x5c: its DER certificates, leaf first, without root.
        keys: what is attested; all of them are kept alike.
        nonce: the issuer's ``c_nonce``; None if it has no nonce endpoint.
        issued_at: the time.
        expires_at: until when it may be used.
        key_storage: how well the keys are kept.
        user_authentication: how well the person is told apart before they sign.

    Raises:
        KeyUnavailable: the signer cannot sign now.
        ValueError: there are no keys, or too many.
    """
    if not 0 < len(keys) <= MAX_KEYS:
        raise ValueError(f"1 to {MAX_KEYS} keys are attested at once")
    claims: JsonObject = {
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
        "attested_keys": [public_jwk(key) for key in keys],
    }
    levels = (("key_storage", key_storage), ("user_authentication", user_authentication))
    claims |= {name: list(values) for name, values in levels if values}
    if nonce is not None:
        claims["nonce"] = nonce
    return jws.sign({"typ": spec.TYP_KEY_ATTESTATION, "x5c": format_x5c(x5c)}, claims, signer)


def verify_key_attestation(
    text: str,
    *,
    algorithms: Collection[str],
    verify_nonce: NonceCheck,
    now: datetime,
    trust: WalletProviders,
    required: KeyAttestationRequirements,
    with_proof: bool,
) -> KeyAttestation:
    """Return what a key attestation says, if a trusted wallet provider says it and it is enough (OpenID4VCI D.1, F).

    Args:
        text: the compact JWS.
        algorithms: ``proof_signing_alg_values_supported`` of the proof type that carries it.
        verify_nonce: raises ``InvalidNonce`` unless a nonce is ours and fresh.
        now: the time.
        trust: whom we trust to attest.
        required: what is asked of the keys.
        with_proof: whether it stands in the header of a ``jwt`` proof; else it is an ``attestation`` proof itself.

    Steps:
        1. ``alg`` is one we published, and ``x5c`` leads to a trusted wallet provider (HAIP 4.5.1).
        2. ``typ`` and the signature.
        3. ``iat`` is there and not ahead; ``exp`` has not passed, and is there with a ``jwt`` proof.
        4. ``attested_keys`` are public keys, at least one.
        5. ``key_storage`` and ``user_authentication`` meet what is required.
        6. ``nonce`` is there and is one of ours.

    Not done here: that the proof of a ``jwt`` proof is signed by one of the keys and carries the same nonce
    (``openid4vci.proof``); the ``status`` of an attestation.

    Raises:
        InvalidProof: step 1 to 5 failed, or ``nonce`` is missing.
        InvalidNonce: the nonce is not ours or too old.
    """
    try:
        token = jws.parse(text, what="key attestation", max_characters=MAX_ATTESTATION_CHARACTERS)
        # 1.
        # vci-F.1-attestation-alg
        if token.header.get("alg") not in algorithms:
            raise InvalidProof("alg of the key attestation is not one of those published", clause="OpenID4VCI F.1")
        # vci-D.1-attester
        provider = trust.verify_attester(parse_x5c(token.header.get("x5c")), at=now)
        # 2.
        # vci-D.1-typ
        claims = jws.verify(token, provider.public_key, typ=spec.TYP_KEY_ATTESTATION).claims()
        _validate_times(claims, now, with_proof=with_proof)  # 3.
        positions = _attested_keys(claims)  # 4.
        # 5.
        for name in _LEVELS:
            _validate_level(claims, name, getattr(required, name))
        nonce = members.optional_string(claims, "nonce", clause=_CLAUSE)
    except (MalformedError, VerificationError) as exc:
        raise InvalidProof(exc.description, detail=exc.detail, clause=_CLAUSE) from exc
    # 6. A missing nonce is a bad proof, a wrong one a bad nonce (8.3.1.2).
    # vci-D.1-nonce
    if nonce is None:
        raise InvalidProof("the key attestation has no nonce", clause="OpenID4VCI 8.3.1.2")
    # vci-D.1-nonce-checked
    verify_nonce(Nonce(nonce))
    once: dict[bytes, AttestedKey] = {}
    for each in positions:
        once.setdefault(each.thumbprint, each)
    return KeyAttestation(tuple(once.values()), positions, Nonce(nonce), provider)


def _validate_times(claims: JsonObject, now: datetime, *, with_proof: bool) -> None:
    made_at, expires_at = _time(claims, "iat"), _time(claims, "exp")
    # vci-D.1-iat
    if made_at is None or made_at - now > MAX_AHEAD:
        raise InvalidProof("iat of the key attestation is missing or lies ahead", clause=_CLAUSE)
    # OpenID4VCI D.1: exp "MUST be present if the attestation is used with the JWT proof type".
    # vci-D.1-exp
    if expires_at is None and with_proof:
        raise InvalidProof("the key attestation of a jwt proof has no exp", clause=_CLAUSE)
    # vci-D.1-expired
    if now >= (expires_at if expires_at is not None else made_at + MAX_AGE):
        raise InvalidProof("the key attestation has expired", clause=_CLAUSE)


def _attested_keys(claims: JsonObject) -> tuple[AttestedKey, ...]:
    jwks = members.objects(claims, "attested_keys", clause=_CLAUSE)
    # vci-D.1-keys
    if not 0 < len(jwks) <= MAX_KEYS:
        raise MalformedError(f"attested_keys are not 1 to {MAX_KEYS} keys", clause=_CLAUSE)
    return tuple(_attested_key(jwk) for jwk in jwks)


def _attested_key(jwk: JsonObject) -> AttestedKey:
    key, kid = parse_public_jwk(jwk, what="a key of the key attestation"), jwk.get("kid")
    return AttestedKey(key, thumbprint(key), kid if isinstance(kid, str) else None)


def _validate_level(claims: JsonObject, name: str, required: Sequence[str]) -> None:
    attested = members.strings(claims, name, clause=_CLAUSE) if name in claims else ()
    # vci-D.1-level
    if required and set(required).isdisjoint(attested):
        raise InvalidProof(f"the key attestation does not say that {name} is as good as required", clause=_CLAUSE)


def _time(claims: JsonObject, name: str) -> datetime | None:
    value: Json = claims.get(name)
    if value is None:
        return None
    # vci-D.1-times
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_TIME:
        raise InvalidProof(f"{name} of the key attestation is not a time", clause="RFC 7519 2")
    return datetime.fromtimestamp(value, UTC)
