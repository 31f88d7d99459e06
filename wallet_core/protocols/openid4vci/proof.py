"""Key proofs, types ``jwt`` and ``attestation`` (OpenID4VCI F.1, F.3, F.4): made by the wallet, checked by the issuer.

The invariant: only :func:`verify_key_proofs` makes an :class:`AcceptedKey` of what a wallet sent, and a credential is
bound to nothing else. ``AcceptedKey.from_json`` reads again what was stored of one with a deferred request.
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
from wallet_core.protocols.openid4vci import members
from wallet_core.protocols.openid4vci.key_attestation import (
    KeyAttestation,
    KeyAttestationRequirements,
    parse_key_attestation_requirements,
    verify_key_attestation,
)
from wallet_core.trust.wallet_providers import WalletProviders
from wallet_core.types import CredentialIssuerId, Json, JsonObject, Nonce
from wallet_core.values import statically_frozen

MAX_AGE: Final = timedelta(minutes=5)
"""How old a proof may be: as old as a ``c_nonce``."""

MAX_AHEAD: Final = timedelta(seconds=60)
"""How far ahead of ours a wallet's clock may be."""

_AGE_SECONDS, _AHEAD_SECONDS = MAX_AGE.total_seconds(), MAX_AHEAD.total_seconds()
_PROOF_TYPES: Final = (spec.PROOF_TYPE_JWT, spec.PROOF_TYPE_ATTESTATION)
_KEY_MEMBERS: Final = ("jwk", "kid", "x5c")

NonceCheck = Callable[[Nonce], object]
"""Raises ``InvalidNonce`` unless the value is a ``c_nonce`` of this tenant that is still good."""


@dataclass(frozen=True, slots=True)
class ProofPolicy:
    """What proofs a configuration takes.

    Attributes:
        algorithms: ``proof_signing_alg_values_supported`` by proof type; a type that is not there is not taken.
        required: what is asked of the keys; None if they need no attestation.
    """

    algorithms: Mapping[str, Collection[str]]
    required: KeyAttestationRequirements | None = None


@statically_frozen
class AcceptedKey:
    """A holder's key for this issuer: its possession was proven, or a wallet provider attested it with this nonce."""

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


def parse_proof_types(configuration: JsonObject) -> ProofPolicy:
    """Return what proofs a configuration of the metadata takes, of the types known here (OpenID4VCI 12.2.4).

    Where two types ask for different levels, those of the first count for both: an issuer of ours writes them alike.

    Raises:
        MalformedError: a member is missing or of the wrong type.
    """
    clause = "OpenID4VCI 12.2.4"
    proof_types = members.optional_object(configuration, "proof_types_supported", clause=clause) or {}
    known = {name: members.optional_object(proof_types, name, clause=clause) for name in _PROOF_TYPES}
    taken = {name: value for name, value in known.items() if value is not None}
    algorithms = {
        name: members.strings(value, "proof_signing_alg_values_supported", clause=clause)
        for name, value in taken.items()
    }
    required = [parse_key_attestation_requirements(value) for value in taken.values()]
    return ProofPolicy(algorithms, next((each for each in required if each is not None), None))


def proof_signing_input(
    key: PublicKey,
    *,
    audience: CredentialIssuerId,
    nonce: Nonce | None,
    issued_at: datetime,
    client_id: str | None = None,
    key_attestation: str | None = None,
) -> bytes:
    """Return the bytes that the holder's key signs to prove possession (OpenID4VCI F.1).

    Args:
        key: the holder's.
        audience: the Credential Issuer Identifier.
        nonce: the ``c_nonce``; None if the issuer has no nonce endpoint.
        issued_at: the time.
        client_id: for ``iss``, which MUST be left out with an anonymous pre-authorized code.
        key_attestation: of this key, and perhaps of others that then need no proof of their own.
    """
    header: JsonObject = {"typ": spec.TYP_KEY_PROOF, "alg": key.algorithm.value, "jwk": public_jwk(key)}
    if key_attestation is not None:
        header["key_attestation"] = key_attestation
    claims: dict[str, Json] = {"aud": audience, "iat": int(issued_at.timestamp())}
    if client_id is not None:
        claims["iss"] = client_id
    if nonce is not None:
        claims["nonce"] = nonce
    return jws.signing_input(header, strict_json.dumps(claims))


def verify_key_proofs(
    proofs: Sequence[str],
    *,
    proof_type: str,
    audience: CredentialIssuerId,
    policy: ProofPolicy,
    trust: WalletProviders,
    verify_nonce: NonceCheck,
    now: datetime,
    client_id: str | None = None,
    limit: int,
) -> tuple[AcceptedKey, ...]:
    """Check all proofs of one request and return each key they stand for once, in order.

    OpenID4VCI 8.2: one invalid proof makes the request invalid. All proofs of a request carry the same nonce, key
    attestations included (M10). Keys that are attested beside the one that signs are accepted too (F.1), after those
    that signed, and no more than ``limit`` in all (M11).

    Not done here: whether the nonce was spent with these keys; see ``nonce.spent_digest``.

    Args:
        proofs: the values of ``proofs``.
        proof_type: the member they stood in.
        audience: our Credential Issuer Identifier.
        policy: what the configuration takes.
        trust: whom we trust to attest keys; an attestation that comes unasked must hold as well.
        verify_nonce: raises ``InvalidNonce`` unless a nonce is ours and fresh.
        now: the time.
        client_id: the client that the access token was given to; None if it is anonymous.
        limit: most keys that are returned.

    Raises:
        InvalidProof: there is no proof, one is of a type that is not taken or lacks a key attestation, a step of
            ``_Check.verify_proof`` failed, or a key attestation does not hold (``verify_key_attestation``).
        InvalidNonce: a nonce is not ours or too old, or two of them differ.
    """
    # vci-8.2-proof-needed
    if not proofs:
        raise InvalidProof("a key proof is needed", clause="OpenID4VCI 8.2")
    algorithms = policy.algorithms.get(proof_type)
    # vci-12.2.4-proof-type
    if algorithms is None:
        raise InvalidProof("proofs of this type are not taken for this credential", clause="OpenID4VCI 12.2.4")
    check = _Check(audience, algorithms, policy.required, trust, verify_nonce, now, client_id)
    found = check.attested_keys(proofs) if proof_type == spec.PROOF_TYPE_ATTESTATION else check.proven_keys(proofs)
    # vci-8.2-one-nonce
    if len({key.nonce for key in found}) != 1:
        raise InvalidNonce("the proofs of one request carry different nonces", clause="OpenID4VCI 8.2")
    accepted: dict[bytes, AcceptedKey] = {}
    for key in found:
        # vci-F.1-limit
        if len(accepted) == limit:
            break
        accepted.setdefault(key.thumbprint, key)
    return tuple(accepted.values())


@statically_frozen
class _Check:
    """What the proofs of one request are compared with."""

    audience: CredentialIssuerId
    algorithms: Collection[str]
    required: KeyAttestationRequirements | None
    trust: WalletProviders
    verify_nonce: NonceCheck
    now: datetime
    client_id: str | None

    def proven_keys(self, proofs: Sequence[str]) -> list[AcceptedKey]:
        """Return the keys of ``jwt`` proofs, then those that are attested beside them."""
        # The proofs of a batch carry one and the same attestation: it is verified once.
        attestations: dict[str, KeyAttestation] = {}
        proven = [self._proven(proof, attestations) for proof in proofs]
        return proven + [key for each in attestations.values() for key in _all_keys(each)]

    def attested_keys(self, proofs: Sequence[str]) -> list[AcceptedKey]:
        """Return the keys of an ``attestation`` proof."""
        # OpenID4VCI F.3: "the array … MUST contain only one element".
        # vci-F.3-one
        if len(proofs) != 1:
            raise InvalidProof("there is exactly one attestation proof", clause="OpenID4VCI F.3")
        return _all_keys(self._attestation(proofs[0], with_proof=False))

    def _proven(self, proof: str, attestations: dict[str, KeyAttestation]) -> AcceptedKey:
        parsed = _parsed(proof)
        text = _attestation_of(parsed)
        # vci-12.2.4-attestation-required
        if text is None and self.required is not None:
            raise InvalidProof("the proof has no key attestation, which is required here", clause="OpenID4VCI 12.2.4")
        if text is not None and text not in attestations:
            attestations[text] = self._attestation(text, with_proof=True)
        attestation = None if text is None else attestations[text]
        return self.verify_proof(parsed, attestation)

    def verify_proof(self, parsed: jws.UnverifiedJws, attestation: KeyAttestation | None) -> AcceptedKey:
        """Check one ``jwt`` proof and return the key it proves possession of (OpenID4VCI F.4).

        ``attestation`` is what its header's ``key_attestation`` says, verified; None if it has none.

        Steps:
            1. The header names an algorithm we published and exactly one key, as ``jwk``, without private part (F.1);
               with a key attestation also as ``kid``, which is that of an attested key or its index (M11).
            2. ``typ``, no critical extension, the key's own algorithm, the signature (F.1, F.4).
            3. ``aud`` is our identifier, as a string (F.1).
            4. ``iss`` is the client, and left out by an anonymous one (F.1).
            5. ``iat`` is a number within the window (F.1, F.4); ``exp`` and ``nbf``, if there, admit now
               (RFC 7519 4.1).
            6. ``nonce`` is there and is one of ours (F.1, 8.3.1.2).
            7. With a key attestation: the key is one of its keys, the nonce is its nonce (F.1).

        Raises:
            InvalidProof: step 1 to 5 failed, ``nonce`` is missing, or the key is not attested.
            InvalidNonce: the nonce is not ours or too old, or is not that of the key attestation.
        """
        try:
            key = _proof_key(parsed, self.algorithms, attestation)  # 1.
            # vci-F.1-typ
            claims = jws.verify(parsed, key, typ=spec.TYP_KEY_PROOF).claims()  # 2.
        except (MalformedError, VerificationError) as exc:
            raise InvalidProof(exc.description, detail=exc.detail, clause="OpenID4VCI F.4") from exc
        # 3. A string and nothing else, so that a proof for someone else's list of audiences is none for us.
        # vci-F.1-aud
        if claims.get("aud") != self.audience:
            raise InvalidProof("aud of the proof is not the Credential Issuer Identifier", clause="OpenID4VCI F.1")
        # 4. "This claim MUST be omitted if the access token … [was] obtained … with anonymous access".
        # vci-F.1-iss
        if "iss" in claims and (self.client_id is None or claims["iss"] != self.client_id):
            raise InvalidProof("iss of the proof is not the client", clause="OpenID4VCI F.1")
        _validate_issued_at(claims.get("iat"), self.now)  # 5.
        _validate_validity(claims, self.now)
        # 6. A missing nonce is a bad proof, a wrong one a bad nonce: OpenID4VCI 8.3.1.2 tells them apart.
        nonce = claims.get("nonce")
        # vci-8.3.1.2-nonce-missing
        if not isinstance(nonce, str) or not nonce:
            raise InvalidProof("the proof has no nonce", clause="OpenID4VCI 8.3.1.2")
        # vci-8.3.1.2-nonce-checked
        self.verify_nonce(Nonce(nonce))
        accepted = AcceptedKey(key, thumbprint(key), Nonce(nonce))
        _validate_attested(accepted, attestation)  # 7.
        return accepted

    def _attestation(self, text: str, *, with_proof: bool) -> KeyAttestation:
        return verify_key_attestation(
            text,
            algorithms=self.algorithms,
            verify_nonce=self.verify_nonce,
            now=self.now,
            trust=self.trust,
            required=self.required or KeyAttestationRequirements(),
            with_proof=with_proof,
        )


def _all_keys(attestation: KeyAttestation) -> list[AcceptedKey]:
    return [AcceptedKey(each.key, each.thumbprint, attestation.nonce) for each in attestation.keys]


def _parsed(proof: str) -> jws.UnverifiedJws:
    try:
        return jws.parse(proof, what="proof")
    except MalformedError as exc:
        raise InvalidProof(exc.description, detail=exc.detail, clause="OpenID4VCI F.4") from exc


def _attestation_of(parsed: jws.UnverifiedJws) -> str | None:
    """Return the key attestation in the header of a proof, still unverified; None if there is none."""
    header = parsed.header
    if "key_attestation" not in header:
        return None
    text = header["key_attestation"]
    if not isinstance(text, str):
        raise InvalidProof("key_attestation of the proof is not a text", clause="OpenID4VCI F.1")
    return text


def _validate_attested(key: AcceptedKey, attestation: KeyAttestation | None) -> None:
    if attestation is None:
        return
    # OpenID4VCI F.1: the proof is signed by one of the attested keys.
    # vci-F.1-attested
    if not attestation.contains(key.thumbprint):
        raise InvalidProof("the key of the proof is not among the attested ones", clause="OpenID4VCI F.1")
    # M10: one nonce for the proof and the attestation in it.
    # vci-F.1-attestation-nonce
    if attestation.nonce != key.nonce:
        raise InvalidNonce("the proof and its key attestation carry different nonces", clause="OpenID4VCI F.1")


def _proof_key(parsed: jws.UnverifiedJws, algorithms: Collection[str], attestation: KeyAttestation | None) -> PublicKey:
    # OpenID4VCI F.1: alg is one that proof_signing_alg_values_supported lists; "none" and MACs never are.
    algorithm = parsed.header.get("alg")
    # vci-F.1-alg
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise InvalidProof("alg of the proof is not one of those published", clause="OpenID4VCI F.1")
    named = [name for name in _KEY_MEMBERS if name in parsed.header]
    if named == ["kid"] and attestation is not None:
        return _key_of_attestation(parsed.header["kid"], attestation)
    # OpenID4VCI F.1: jwk, kid and x5c exclude one another. We publish the binding method "jwk" only.
    # vci-F.1-one-key
    if named != ["jwk"]:
        raise InvalidProof("the proof names its key by jwk, and by nothing else", clause="OpenID4VCI F.1")
    return parse_public_jwk(parsed.header["jwk"], what="jwk of the proof")


def _key_of_attestation(kid: Json, attestation: KeyAttestation) -> PublicKey:
    found = attestation.find(kid) if isinstance(kid, str) else None
    # vci-F.1-attestation-kid
    if found is None:
        raise InvalidProof("kid of the proof names no attested key", clause="OpenID4VCI F.1")
    return found.key


def _validate_issued_at(value: Json, now: datetime) -> None:
    # vci-F.1-iat
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidProof("the proof has no iat", clause="OpenID4VCI F.1")
    # OpenID4VCI F.4: "the creation time of the JWT … is within an acceptable window".
    age = now.timestamp() - value
    # vci-F.4-window
    if age > _AGE_SECONDS or age < -_AHEAD_SECONDS:
        raise InvalidProof("iat of the proof is not within the accepted window", clause="OpenID4VCI F.4")


def _validate_validity(claims: JsonObject, now: datetime) -> None:
    # RFC 7519 4.1.4, 4.1.5: neither claim is asked for, but a JWT that has them is processed as they say.
    for name, sign in (("exp", 1), ("nbf", -1)):
        if name not in claims:
            continue
        value = claims[name]
        # vci-F.4-validity
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidProof(f"{name} of the proof is not a number", clause="RFC 7519 2")
        if sign * (value - now.timestamp()) <= -_AHEAD_SECONDS:
            raise InvalidProof("the proof has expired or is not valid yet", clause="RFC 7519 4.1")
