"""Key proofs of type ``jwt`` (OpenID4VCI F.1, F.4): made by the wallet, checked by the issuer.

The invariant: only :func:`verify_key_proof` makes an :class:`AcceptedKey`, and a credential is bound to nothing else.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from wallet_core import spec_versions as spec
from wallet_core.encoding import strict_json
from wallet_core.errors import InvalidNonce, InvalidProof, MalformedError, VerificationError
from wallet_core.jose import jws
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.jwk import parse_public_jwk, public_jwk, thumbprint
from wallet_core.types import CredentialIssuerId, Json, JsonObject, Nonce

MAX_AGE: Final = timedelta(minutes=5)
"""How old a proof may be: as old as a ``c_nonce``."""

MAX_AHEAD: Final = timedelta(seconds=60)
"""How far ahead of ours a wallet's clock may be."""

_KEY_MEMBERS: Final = ("jwk", "kid", "x5c")

NonceCheck = Callable[[Nonce], object]
"""Raises ``InvalidNonce`` unless the value is a ``c_nonce`` of this tenant that is still good."""


@dataclass(frozen=True, slots=True)
class AcceptedKey:
    """A holder's key whose possession was proven for this issuer. Made by :func:`verify_key_proof` only."""

    key: PublicKey
    thumbprint: bytes
    nonce: Nonce

    def to_json(self) -> JsonObject:
        """Return the key as it is stored with a deferred request."""
        return {"jwk": public_jwk(self.key), "nonce": self.nonce}

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Return what :meth:`to_json` wrote once the proof had been verified. Only for what we stored ourselves."""
        key = parse_public_jwk(value.get("jwk"))
        return cls(key, thumbprint(key), Nonce(str(value["nonce"])))


def proof_signing_input(
    key: PublicKey, *, audience: CredentialIssuerId, nonce: Nonce | None, issued_at: datetime
) -> bytes:
    """Return the bytes that the holder's key signs to prove possession (OpenID4VCI F.1).

    ``iss`` is left out, as it MUST be with an anonymous pre-authorized code.
    """
    header = {"typ": spec.TYP_KEY_PROOF, "alg": key.algorithm.value, "jwk": public_jwk(key)}
    claims: dict[str, Json] = {"aud": audience, "iat": int(issued_at.timestamp())}
    if nonce is not None:
        claims["nonce"] = nonce
    return jws.signing_input(header, strict_json.dumps(claims))


def verify_key_proof(
    proof: str,
    *,
    audience: CredentialIssuerId,
    algorithms: Collection[str],
    verify_nonce: NonceCheck,
    now: datetime,
    client_id: str | None = None,
) -> AcceptedKey:
    """Check one ``jwt`` proof and return the key it proves possession of (OpenID4VCI F.4).

    Args:
        proof: the compact JWS.
        audience: our Credential Issuer Identifier.
        algorithms: ``proof_signing_alg_values_supported`` of the configuration.
        verify_nonce: raises ``InvalidNonce`` unless a nonce is ours and fresh.
        now: the time.
        client_id: the client that the access token was given to; None if it is anonymous.

    Steps:
        1. The header names an algorithm we published and exactly one key, as ``jwk``, without private part (F.1).
        2. ``typ``, no critical extension, the key's own algorithm, the signature (F.1, F.4).
        3. ``aud`` is our identifier, as a string (F.1).
        4. ``iss`` is the client, and left out by an anonymous one (F.1).
        5. ``iat`` is a number within the window (F.1, F.4); ``exp`` and ``nbf``, if there, admit now (RFC 7519 4.1).
        6. ``nonce`` is there and is one of ours (F.1, 8.3.1.2).

    Not done here: whether the nonce was spent with this key; see ``nonce.spent_digest``.

    Raises:
        InvalidProof: step 1 to 5 failed, or ``nonce`` is missing.
        InvalidNonce: the nonce is not ours or too old.
    """
    try:
        parsed = jws.parse(proof, what="proof")
        key = _proof_key(parsed, algorithms)  # 1.
        # vci-F.1-typ
        claims = jws.verify(parsed, key, typ=spec.TYP_KEY_PROOF).claims()  # 2.
    except (MalformedError, VerificationError) as exc:
        raise InvalidProof(exc.description, detail=exc.detail, clause="OpenID4VCI F.4") from exc
    # 3. A string and nothing else, so that a proof for someone else's list of audiences is none for us.
    # vci-F.1-aud
    if claims.get("aud") != audience:
        raise InvalidProof("aud of the proof is not the Credential Issuer Identifier", clause="OpenID4VCI F.1")
    # 4. "This claim MUST be omitted if the access token … [was] obtained … with anonymous access".
    # vci-F.1-iss
    if "iss" in claims and (client_id is None or claims["iss"] != client_id):
        raise InvalidProof("iss of the proof is not the client", clause="OpenID4VCI F.1")
    _validate_issued_at(claims.get("iat"), now)  # 5.
    _validate_validity(claims, now)
    # 6. A missing nonce is a bad proof, a wrong one a bad nonce: OpenID4VCI 8.3.1.2 tells them apart.
    nonce = claims.get("nonce")
    # vci-8.3.1.2-nonce-missing
    if not isinstance(nonce, str) or not nonce:
        raise InvalidProof("the proof has no nonce", clause="OpenID4VCI 8.3.1.2")
    # vci-8.3.1.2-nonce-checked
    verify_nonce(Nonce(nonce))
    return AcceptedKey(key, thumbprint(key), Nonce(nonce))


def verify_key_proofs(
    proofs: Sequence[str],
    *,
    audience: CredentialIssuerId,
    algorithms: Collection[str],
    verify_nonce: NonceCheck,
    now: datetime,
    client_id: str | None = None,
) -> tuple[AcceptedKey, ...]:
    """Check all proofs of one request and return each proven key once, in order.

    OpenID4VCI 8.2: one invalid proof makes the request invalid. All proofs of a request carry the same nonce.

    Raises:
        InvalidProof: as :func:`verify_key_proof`, or there is no proof.
        InvalidNonce: as :func:`verify_key_proof`, or two proofs carry different nonces.
    """
    # vci-8.2-proof-needed
    if not proofs:
        raise InvalidProof("a key proof is needed", clause="OpenID4VCI 8.2")
    accepted: dict[bytes, AcceptedKey] = {}
    for proof in proofs:
        key = verify_key_proof(
            proof,
            audience=audience,
            algorithms=algorithms,
            verify_nonce=verify_nonce,
            now=now,
            client_id=client_id,
        )
        accepted.setdefault(key.thumbprint, key)
    # vci-8.2-one-nonce
    if len({key.nonce for key in accepted.values()}) != 1:
        raise InvalidNonce("the proofs of one request carry different nonces", clause="OpenID4VCI 8.2")
    return tuple(accepted.values())


def _proof_key(parsed: jws.UnverifiedJws, algorithms: Collection[str]) -> PublicKey:
    # OpenID4VCI F.1: alg is one that proof_signing_alg_values_supported lists; "none" and MACs never are.
    algorithm = parsed.header.get("alg")
    # vci-F.1-alg
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise InvalidProof("alg of the proof is not one of those published", clause="OpenID4VCI F.1")
    # OpenID4VCI F.1: jwk, kid and x5c exclude one another. We publish the binding method "jwk" only.
    # vci-F.1-one-key
    if [name for name in _KEY_MEMBERS if name in parsed.header] != ["jwk"]:
        raise InvalidProof("the proof names its key by jwk, and by nothing else", clause="OpenID4VCI F.1")
    return parse_public_jwk(parsed.header["jwk"], what="jwk of the proof")


def _validate_issued_at(value: Json, now: datetime) -> None:
    # vci-F.1-iat
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidProof("the proof has no iat", clause="OpenID4VCI F.1")
    # OpenID4VCI F.4: "the creation time of the JWT … is within an acceptable window".
    age = now.timestamp() - value
    # vci-F.4-window
    if age > MAX_AGE.total_seconds() or age < -MAX_AHEAD.total_seconds():
        raise InvalidProof("iat of the proof is not within the accepted window", clause="OpenID4VCI F.4")


def _validate_validity(claims: JsonObject, now: datetime) -> None:
    # RFC 7519 4.1.4, 4.1.5: neither claim is asked for, but a JWT that has them is processed as they say.
    for name, sign in (("exp", 1), ("nbf", -1)):
        value = claims.get(name, now.timestamp() + sign)
        # vci-F.4-validity
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidProof(f"{name} of the proof is not a number", clause="RFC 7519 2")
        if sign * (value - now.timestamp()) <= -MAX_AHEAD.total_seconds():
            raise InvalidProof("the proof has expired or is not valid yet", clause="RFC 7519 4.1")
