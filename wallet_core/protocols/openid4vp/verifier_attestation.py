"""Verifier Attestation JWTs: somebody trusted vouches for the key of a Verifier (OpenID4VP 1.0 sections 5.9.3, 12).

The invariant: of somebody else's text only :func:`verify_verifier_attestation` makes a :class:`VerifierAttestation`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from wallet_core import spec_versions as spec
from wallet_core.errors import Expired, MalformedError, NotYetValid, UntrustedError
from wallet_core.jose import jws
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.jwk import parse_public_jwk, public_jwk
from wallet_core.keys.signer import CertifiedSigner
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.x509 import format_x5c, parse_x5c, verify_chain
from wallet_core.types import Json, JsonObject

MAX_CHARACTERS: Final = 12 * 1024
"""Longest attestation that is looked at: a chain of two certificates is about 3 kB."""

MAX_REDIRECT_URIS: Final = 64
"""Entries of ``redirect_uris``; honest ones have one or two."""

LEEWAY: Final = timedelta(seconds=60)
"""How far the clocks may differ (12: "subject to allowable clock skew")."""

_CLAUSE: Final = "OpenID4VP 12"


@dataclass(frozen=True, slots=True)
class VerifierAttestation:
    """What a trusted attester says of a Verifier.

    Attributes:
        subject: who it is: the Client Identifier without its prefix.
        key: what it signs its requests with.
        redirect_uris: where answers may go, compared as they are; None where the attester does not restrict it.
        expires_at: until when this counts.
    """

    subject: str
    key: PublicKey
    redirect_uris: tuple[str, ...] | None
    expires_at: datetime


def create_verifier_attestation(
    attester: CertifiedSigner,
    *,
    issuer: str,
    subject: str,
    key: PublicKey,
    issued_at: datetime,
    expires_at: datetime,
    redirect_uris: Sequence[str] = (),
) -> str:
    """Return a Verifier Attestation JWT (12).

    Args:
        attester: who vouches.
        issuer: URL that names the attester, as in its certificate.
        subject: the Client Identifier without its prefix.
        key: the Verifier's.
        issued_at: the time.
        expires_at: until when it may be used.
        redirect_uris: where answers may go; none restricts nothing.

    Raises:
        KeyUnavailable: the attester's key cannot sign now.
    """
    claims: JsonObject = {
        "iss": issuer,
        "sub": subject,
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
        "cnf": {"jwk": public_jwk(key)},
    }
    if redirect_uris:
        claims["redirect_uris"] = [*redirect_uris]
    header: JsonObject = {"typ": spec.TYP_VERIFIER_ATTESTATION, "x5c": [*format_x5c(attester.chain)]}
    return jws.sign(header, claims, attester.signer)


def verify_verifier_attestation(token: Json, anchors: TrustAnchors, *, at: datetime) -> VerifierAttestation:
    """Return what a trusted attester says in the ``jwt`` header of a Request Object (5.9.3, 12).

    Steps:
        1. It is a JWT.
        2. ``x5c`` leads to an anchor for attesters of verifiers. How keys are found is left open by 12.
        3. The key of that certificate signed it (5.9.3), as a JWT of type ``verifier-attestation+jwt`` (12).
        4. ``iss`` is a URI name of that certificate: it "MUST identify a party the Wallet trusts" (5.9.3).
        5. ``exp`` is there and has not passed; ``nbf`` and ``iat``, if there, admit now (12).
        6. ``sub``, ``cnf`` with a JWK, and ``redirect_uris``, if there, have their form (12).

    Not done here: that ``sub`` is the Client Identifier, and that the request is signed with this key.

    Raises:
        MalformedError, VerificationError: a step failed; of the latter also its kinds for trust and time.
    """
    # vp-5.9.3-attestation-header
    if not isinstance(token, str):
        raise MalformedError("the request has no verifier attestation in its header", clause="OpenID4VP 5.9.3")
    unverified = jws.parse(token, what="verifier attestation", max_characters=MAX_CHARACTERS)
    # vp-5.9.3-attester
    attester = verify_chain(
        parse_x5c(unverified.header.get("x5c")), anchors, purpose=AnchorPurpose.VERIFIER_ATTESTER, at=at
    )
    # vp-5.9.3-attestation-signature
    # vp-12-typ
    claims = jws.verify(unverified, attester.public_key, typ=spec.TYP_VERIFIER_ATTESTATION).claims()
    # vp-5.9.3-attester-iss
    if claims.get("iss") not in attester.uris:
        raise UntrustedError("the attester is not the one of the certificate", step=4, clause="OpenID4VP 5.9.3")
    attestation = _attestation(claims)
    _validate_times(claims, attestation, at)
    return attestation


def read_own_attestation(token: str) -> VerifierAttestation:
    """Return what the attestation of a party of our own says, which was verified when it was filed.

    Raises:
        MalformedError: it is not one.
    """
    return _attestation(jws.parse(token, what="verifier attestation", max_characters=MAX_CHARACTERS).claims())


def _attestation(claims: JsonObject) -> VerifierAttestation:
    expires_at = _time(claims, "exp")
    # vp-12-exp
    if expires_at is None:
        raise MalformedError("the verifier attestation has no exp", clause=_CLAUSE)
    return VerifierAttestation(
        _subject(claims.get("sub")), _confirmed_key(claims.get("cnf")), _redirect_uris(claims), expires_at
    )


def _subject(value: Json) -> str:
    # vp-12-sub
    if not isinstance(value, str) or not value:
        raise MalformedError("the verifier attestation has no sub", clause=_CLAUSE)
    return value


def _confirmed_key(value: Json) -> PublicKey:
    # vp-12-cnf
    if not isinstance(value, dict) or "jwk" not in value:
        raise MalformedError("the verifier attestation has no cnf with a JWK", clause=_CLAUSE)
    return parse_public_jwk(value["jwk"], what="cnf.jwk")


def _redirect_uris(claims: JsonObject) -> tuple[str, ...] | None:
    if "redirect_uris" not in claims:
        return None
    value = claims["redirect_uris"]
    if not isinstance(value, list) or len(value) > MAX_REDIRECT_URIS:
        raise MalformedError("redirect_uris of the verifier attestation is not an array", clause=_CLAUSE)
    # One that is no text permits nothing.
    return tuple(one for one in value if isinstance(one, str))


def _validate_times(claims: JsonObject, attestation: VerifierAttestation, at: datetime) -> None:
    # vp-12-expired
    if at >= attestation.expires_at + LEEWAY:
        raise Expired("the verifier attestation has expired", step=5, clause=_CLAUSE)
    starts = (_time(claims, "nbf"), _time(claims, "iat"))
    # vp-12-nbf
    if any(start is not None and at < start - LEEWAY for start in starts):
        raise NotYetValid("the verifier attestation is not valid yet", step=5, clause=_CLAUSE)


def _time(claims: JsonObject, member: str) -> datetime | None:
    value = claims.get(member)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MalformedError(f"{member} of the verifier attestation is not a time", clause="RFC 7519 2")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError) as exc:
        raise MalformedError(f"{member} of the verifier attestation is not a time", clause="RFC 7519 2") from exc
