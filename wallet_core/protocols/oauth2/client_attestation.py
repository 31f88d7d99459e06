"""Attestation-based client authentication, draft 07, both sides (OpenID4VCI appendix E, HAIP 4.4.1).

A wallet provider attests the key of a wallet instance; the instance proves with each request that it has that key.
Later drafts dropped claims: what they dropped is not asked for here (M14). The form that joins both tokens with a tilde
is no longer in the drafts and not taken.

The invariant: only :func:`verify_client_attestation` makes an :class:`AttestedClient`.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from wallet_core import spec_versions as spec
from wallet_core.encoding import base64url
from wallet_core.errors import (
    Expired,
    InvalidClient,
    InvalidClientAttestation,
    MalformedError,
    NotYetValid,
    UntrustedAttestation,
    UntrustedError,
    UseAttestationChallenge,
    UseFreshAttestation,
    VerificationError,
)
from wallet_core.http import HttpResponse
from wallet_core.jose import jws
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.jwk import parse_public_jwk, public_jwk, thumbprint
from wallet_core.keys.signer import Signer
from wallet_core.protocols.oauth2.answers import parse_answer
from wallet_core.protocols.oauth2.stamped import create_stamped_value, stamped_at
from wallet_core.trust.trust_list import ListedWallet
from wallet_core.trust.wallet_providers import WalletProviders
from wallet_core.trust.x509 import TrustedCertificate, format_x5c, parse_x5c
from wallet_core.types import ClientId, Json, JsonObject, RandomBytes

ALGORITHMS: Final = ("ES256", "ES384", "ES512")
"""What attestations and proofs of possession may be signed with; both are published in the metadata (M4)."""

MAX_ATTESTATION_CHARACTERS: Final = 12 * 1024
"""Longest attestation that is looked at: a chain of two certificates is about 3 kB (M6: 16 kB of headers in all)."""

MAX_POP_CHARACTERS: Final = 4096
MAX_IDENTIFIER_CHARACTERS: Final = 2048
"""Longest ``sub``: a ``client_id`` may be a URL."""

MAX_JTI_CHARACTERS: Final = 256
"""Longest ``jti``: it is hashed and remembered."""

MAX_ATTESTATION_AGE: Final = timedelta(hours=24)
"""How long ago an attestation may have been made: a provider learns of a lost device and then makes no more."""

MAX_POP_AGE: Final = timedelta(minutes=5)
"""How old a proof of possession may be; its ``jti`` is remembered as long."""

MAX_AHEAD: Final = timedelta(seconds=60)
"""How far ahead of ours the clocks of wallets and providers may be (M1)."""

POP_LIFETIME: Final = timedelta(minutes=2)
"""``exp`` of the proofs we make: older servers require the claim (M14)."""

CHALLENGE_LIFETIME: Final = timedelta(minutes=15)
"""How long a challenge may be used, and used again (M13: 10 minutes or more)."""

MIN_CHALLENGE_CHARACTERS: Final = 16
MAX_CHALLENGE_CHARACTERS: Final = 512

_JTI_BYTES: Final = 16
_LAST_TIME: Final = 253_402_300_799  # the last second of the year 9999
_PURPOSE: Final = b"attestation_challenge"
_CLAUSE: Final = "draft-ietf-oauth-attestation-based-client-auth-07 6"

ChallengeCheck = Callable[[str | None], None]
"""Raises ``UseAttestationChallenge`` unless the value is a challenge of ours that is still good. None: no challenge."""


@dataclass(frozen=True, slots=True)
class AttestedClient:
    """A wallet instance that a provider attested and that proved to have its key.

    Attributes:
        client_id: which wallet; the same for all its instances.
        instance: thumbprint of the instance's key, 32 bytes.
        wallet: its entry in a trust list; None if no list names it for this provider.
        provider: whose certificate attested it.
        spent: what to record, so that the proof of possession is taken once; 32 bytes.
        expires_at: until when that must be remembered.
    """

    client_id: ClientId
    instance: bytes
    wallet: ListedWallet | None
    provider: TrustedCertificate
    spent: bytes
    expires_at: datetime


def create_client_attestation(
    signer: Signer,
    x5c: Sequence[bytes],
    *,
    issuer: str,
    client_id: ClientId,
    instance_key: PublicKey,
    issued_at: datetime,
    expires_at: datetime,
    wallet_name: str | None = None,
    wallet_link: str | None = None,
) -> str:
    """Return a client attestation (draft 07 5.1, OpenID4VCI appendix E).

    Args:
        signer: the wallet provider's key.
        x5c: its DER certificates, leaf first, without root.
        issuer: URL of the provider.
        client_id: of the wallet, the same for all instances.
        instance_key: what is attested.
        issued_at: the time.
        expires_at: until when it may be used.
        wallet_name: for people.
        wallet_link: a page about the wallet.

    Raises:
        KeyUnavailable: the signer cannot sign now.
    """
    claims: JsonObject = {
        "iss": issuer,
        "sub": client_id,
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
        "cnf": {"jwk": public_jwk(instance_key)},
    }
    claims |= {name: value for name, value in (("wallet_name", wallet_name), ("wallet_link", wallet_link)) if value}
    return jws.sign({"typ": spec.TYP_CLIENT_ATTESTATION, "x5c": format_x5c(x5c)}, claims, signer)


def create_client_attestation_pop(
    signer: Signer,
    *,
    client_id: ClientId,
    audience: str,
    issued_at: datetime,
    random: RandomBytes,
    challenge: str | None,
) -> str:
    """Return a proof that this instance has the attested key (draft 07 5.2, M14).

    Args:
        signer: the instance's key.
        client_id: of the wallet.
        audience: the issuer identifier of the Authorization Server.
        issued_at: the time.
        random: for ``jti``.
        challenge: what the server gave last; None if it gives none.

    Raises:
        KeyUnavailable: the signer cannot sign now.
    """
    claims: JsonObject = {
        "iss": client_id,
        "aud": audience,
        "jti": base64url.encode(random(_JTI_BYTES)),
        "iat": int(issued_at.timestamp()),
        "exp": int((issued_at + POP_LIFETIME).timestamp()),
    }
    if challenge is not None:
        claims["challenge"] = challenge
    return jws.sign({"typ": spec.TYP_CLIENT_ATTESTATION_POP}, claims, signer)


def verify_client_attestation(
    attestations: Sequence[str],
    pops: Sequence[str],
    *,
    audience: str,
    now: datetime,
    trust: WalletProviders,
    verify_challenge: ChallengeCheck,
    client_id: str | None = None,
) -> AttestedClient:
    """Return which client sent a request (draft 07 6).

    Args:
        attestations: every ``OAuth-Client-Attestation`` header of the request.
        pops: every ``OAuth-Client-Attestation-PoP`` header of it.
        audience: our issuer identifier as Authorization Server.
        now: the time.
        trust: whom we trust to attest.
        verify_challenge: raises ``UseAttestationChallenge`` unless a challenge is ours and fresh.
        client_id: the parameter of that name, if the request has it.

    Steps:
        1. There is exactly one of each header, and each is a well-formed JWT.
        2. The attestation is signed, with a registered asymmetric algorithm, by a trusted wallet provider.
        3. It has ``sub``, ``exp`` and ``cnf.jwk``, a public key.
        4. It is in force and fresh.
        5. ``client_id`` of the request, if there, is ``sub``.
        6. The proof of possession is signed with the attested key.
        7. Its ``iss``, if there, is ``sub``.
        8. Its ``challenge`` is one of ours.
        9. Its ``aud`` is our identifier, or contains it.
        10. It was made within the window; ``exp`` and ``nbf``, if there, admit now.
        11. Its ``jti`` is there and short enough to be remembered.

    Not done here: whether the proof was used before (:attr:`AttestedClient.spent`), and whether an unlisted wallet
    is served.

    Raises:
        InvalidClient: step 1, 5, 7 or 9 failed: the request is another client's or for another server.
        UntrustedAttestation: in step 2, nobody we trust made the attestation.
        InvalidClientAttestation: step 2, 3, 6, 10 or 11 failed otherwise.
        UseFreshAttestation: step 4 failed.
        UseAttestationChallenge: step 8 failed.
    """
    # 1.
    # abca-07.6-one
    if len(attestations) != 1 or len(pops) != 1:
        raise InvalidClient("exactly one client attestation and one proof of possession are needed", clause=_CLAUSE)
    attestation = _parsed(attestations[0], "client attestation", MAX_ATTESTATION_CHARACTERS)
    pop = _parsed(pops[0], "client attestation PoP", MAX_POP_CHARACTERS)
    provider, claims = _verified_attestation(attestation, trust, now)  # 2.
    # 3.
    sub = claims.get("sub")
    # abca-07.5.1-sub
    if not isinstance(sub, str) or not 0 < len(sub) <= MAX_IDENTIFIER_CHARACTERS:
        raise InvalidClientAttestation("the client attestation has no sub", clause=_CLAUSE)
    key = _confirmed_key(claims.get("cnf"))
    _validate_freshness(claims, now)  # 4.
    # 5.
    # abca-07.6-client-id
    if client_id is not None and client_id != sub:
        raise InvalidClient("client_id is not sub of the client attestation", clause=_CLAUSE)
    expires_at, jti = _verified_pop(pop, key, sub, audience=audience, now=now, verify_challenge=verify_challenge)
    instance = thumbprint(key)
    spent = hashlib.sha256(b"pop\x00" + instance + jti.encode()).digest()
    return AttestedClient(ClientId(sub), instance, _listed(trust, sub, provider, now), provider, spent, expires_at)


def claimed_client_id(attestations: Sequence[str]) -> ClientId | None:
    """Return the ``sub`` of an attestation that nobody vouches for: as good as a ``client_id`` that was just sent."""
    try:
        claims = jws.parse(attestations[0], max_characters=MAX_ATTESTATION_CHARACTERS).claims()
    except (IndexError, MalformedError):
        return None
    sub = claims.get("sub")
    return ClientId(sub) if isinstance(sub, str) and 0 < len(sub) <= MAX_IDENTIFIER_CHARACTERS else None


def create_challenge(secret: bytes, *, now: datetime, random: RandomBytes) -> str:
    """Return a new challenge (draft 07 8): 51 URL-safe characters, bound to no client. Issuing one writes nothing."""
    return create_stamped_value(secret, _PURPOSE, now=now, random=random)


def verify_challenge(challenge: str | None, secret: bytes, *, now: datetime) -> None:
    """Check that ``challenge`` is one of ours and still good. It may be used again (M13).

    Raises:
        UseAttestationChallenge: it is not there, not ours or too old.
    """
    issued_at = None if challenge is None else stamped_at(challenge, secret, _PURPOSE)
    # abca-07.8-challenge
    if issued_at is None:
        raise UseAttestationChallenge("a challenge of this server is needed in the proof of possession", clause=_CLAUSE)
    # abca-07.8-expired
    if now >= issued_at + CHALLENGE_LIFETIME:
        raise UseAttestationChallenge("the challenge in the proof of possession is too old", clause=_CLAUSE)


def create_challenge_response(challenge: str) -> JsonObject:
    """Return the body of a challenge endpoint's answer (draft 07 8.1)."""
    # abca-07.8.1-answer
    return {"attestation_challenge": challenge}


def parse_challenge_response(response: HttpResponse) -> str:
    """Return the challenge in a challenge endpoint's answer.

    Raises:
        PeerRefusal: the server refused.
        MalformedError: there is none, or it is too short, too long or not URL-safe.
    """
    return parse_challenge(parse_answer(response, who="the challenge endpoint").get("attestation_challenge"))


def parse_challenge(value: Json) -> str:
    """Return a challenge from an answer or from its header.

    Raises:
        MalformedError: it is not 16 to 512 characters that can stand in a header.
    """
    # abca-07.8-form
    if (
        not isinstance(value, str)
        or not MIN_CHALLENGE_CHARACTERS <= len(value) <= MAX_CHALLENGE_CHARACTERS
        or not all("!" <= character <= "~" for character in value)
    ):
        raise MalformedError("attestation_challenge is missing or of a strange form", clause=_CLAUSE)
    return value


def _parsed(text: str, what: str, max_characters: int) -> jws.UnverifiedJws:
    try:
        return jws.parse(text, what=what, max_characters=max_characters)
    except MalformedError as exc:
        raise InvalidClientAttestation(exc.description, detail=exc.detail, clause=_CLAUSE) from exc


def _validate_algorithm(token: jws.UnverifiedJws, what: str) -> None:
    # Registered, not "none", asymmetric, and published; that it is the key's own is looked at with the signature.
    # abca-07.6-alg
    if token.header.get("alg") not in ALGORITHMS:
        raise InvalidClientAttestation(f"the {what} is signed with an algorithm that is not taken here", clause=_CLAUSE)


def _verified_attestation(
    token: jws.UnverifiedJws, trust: WalletProviders, now: datetime
) -> tuple[TrustedCertificate, JsonObject]:
    _validate_algorithm(token, "client attestation")
    try:
        # HAIP 4.4.1: the key is named by x5c, without the trust anchor, and the leaf is not self-signed.
        provider = trust.verify_attester(parse_x5c(token.header.get("x5c")), at=now)
        # abca-07.6-attestation-signature
        return provider, jws.verify(token, provider.public_key, typ=spec.TYP_CLIENT_ATTESTATION).claims()
    except UntrustedError as exc:
        raise UntrustedAttestation(exc.description, detail=exc.detail, clause=_CLAUSE) from exc
    except (MalformedError, VerificationError) as exc:
        raise InvalidClientAttestation(exc.description, detail=exc.detail, clause=_CLAUSE) from exc


def _confirmed_key(cnf: Json) -> PublicKey:
    try:
        # abca-07.5.1-cnf
        return parse_public_jwk(cnf.get("jwk") if isinstance(cnf, dict) else None, what="cnf of the client attestation")
    except MalformedError as exc:
        raise InvalidClientAttestation(exc.description, detail=exc.detail, clause=_CLAUSE) from exc


def _validate_freshness(claims: JsonObject, now: datetime) -> None:
    """Refuse an attestation that is not in force, or older than we take (draft 07 6, by ``iat`` or ``exp``)."""
    expires_at = _time(claims, "exp", "client attestation")
    # abca-07.5.1-exp
    if expires_at is None:
        raise InvalidClientAttestation("the client attestation has no exp", clause=_CLAUSE)
    # abca-07.6-expired
    if now >= expires_at:
        raise UseFreshAttestation("the client attestation has expired", clause=_CLAUSE)
    for name in ("nbf", "iat"):
        begin = _time(claims, name, "client attestation")
        # abca-07.6-not-yet
        if begin is not None and begin > now + MAX_AHEAD:
            raise InvalidClientAttestation(f"{name} of the client attestation lies ahead", clause=_CLAUSE)
    made_at = _time(claims, "iat", "client attestation")
    # abca-07.6-fresh
    if made_at is not None and now - made_at > MAX_ATTESTATION_AGE:
        raise UseFreshAttestation("the client attestation is too old", clause=_CLAUSE)


def _verified_pop(
    token: jws.UnverifiedJws,
    key: PublicKey,
    client_id: str,
    *,
    audience: str,
    now: datetime,
    verify_challenge: ChallengeCheck,
) -> tuple[datetime, str]:
    """Steps 6 to 11: return until when the proof must be remembered, and its ``jti``."""
    _validate_algorithm(token, "client attestation PoP")
    try:
        # abca-07.6-pop-signature
        claims = jws.verify(token, key, typ=spec.TYP_CLIENT_ATTESTATION_POP).claims()  # 6.
    except (MalformedError, VerificationError) as exc:
        raise InvalidClientAttestation(exc.description, detail=exc.detail, clause=_CLAUSE) from exc
    # 7.
    # abca-07.5.2-iss
    if claims.get("iss", client_id) != client_id:
        raise InvalidClient("iss of the proof of possession is not the client", clause=_CLAUSE)
    # 8.
    challenge = claims.get("challenge")
    # abca-07.6-challenge
    verify_challenge(challenge if isinstance(challenge, str) else None)
    # 9.
    audiences = claims.get("aud")
    # abca-07.6-aud
    if audience not in (audiences if isinstance(audiences, list) else [audiences]):
        raise InvalidClient("aud of the proof of possession is another server", clause=_CLAUSE)
    made_at = _validate_pop_time(claims, now)  # 10.
    # 11.
    jti = claims.get("jti")
    # abca-07.5.2-jti
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI_CHARACTERS:
        raise InvalidClientAttestation("jti of the proof of possession is missing or too long", clause=_CLAUSE)
    return made_at + MAX_POP_AGE + timedelta(seconds=1), jti


def _validate_pop_time(claims: JsonObject, now: datetime) -> datetime:
    what = "proof of possession"
    made_at, expires_at, begin = (_time(claims, name, what) for name in ("iat", "exp", "nbf"))
    # abca-07.5.2-iat
    if made_at is None:
        raise InvalidClientAttestation("the proof of possession has no iat", clause=_CLAUSE)
    # abca-07.6-window
    if now - made_at > MAX_POP_AGE or made_at - now > MAX_AHEAD:
        raise InvalidClientAttestation("the proof of possession was not made just now", clause=_CLAUSE)
    # abca-07.6-pop-validity
    if (expires_at is not None and now - expires_at >= MAX_AHEAD) or (begin is not None and begin - now > MAX_AHEAD):
        raise InvalidClientAttestation("the proof of possession has expired or is not valid yet", clause=_CLAUSE)
    return made_at


def _time(claims: JsonObject, name: str, what: str) -> datetime | None:
    if name not in claims:
        return None
    value = claims[name]
    # abca-07.5-times
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_TIME:
        raise InvalidClientAttestation(f"{name} of the {what} is not a time", clause="RFC 7519 2")
    return datetime.fromtimestamp(value, UTC)


def _listed(trust: WalletProviders, client_id: str, provider: TrustedCertificate, now: datetime) -> ListedWallet | None:
    try:
        return trust.find_wallet(client_id, provider, at=now)
    except (UntrustedError, Expired, NotYetValid):
        return None
