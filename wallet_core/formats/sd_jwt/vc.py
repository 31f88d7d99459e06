"""The profile that makes an SD-JWT a credential: SD-JWT VC, ``dc+sd-jwt`` (draft-ietf-oauth-sd-jwt-vc).

The invariant: what says who issued what kind of credential to whom, and until when, is never selectively disclosable.
"""

import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from wallet_core.encoding.claims_path import ConcretePath
from wallet_core.errors import MalformedError, VerificationError
from wallet_core.formats.sd_jwt.issuer import create_sd_jwt
from wallet_core.formats.sd_jwt.verifier import VerifiedSdJwt, numeric_date
from wallet_core.jose import jws
from wallet_core.keys.algorithms import PublicKey, SignatureAlgorithm
from wallet_core.keys.jwk import parse_public_jwk, public_jwk
from wallet_core.keys.signer import Signer
from wallet_core.spec_versions import TYP_SD_JWT_VC
from wallet_core.types import ClaimsPath, CredentialIssuerId, JsonObject, RandomBytes, Vct
from wallet_core.values import statically_frozen

NEVER_HIDDEN: Final = frozenset({"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"})
"""Claims that must not be selectively disclosable, nor anything inside them (SD-JWT VC 2.2.2.2)."""

_SET_HERE: Final = NEVER_HIDDEN | {"iat"}


@statically_frozen
class SdJwtVc:
    """A verified SD-JWT that keeps the rules of SD-JWT VC.

    Attributes:
        vct: the type.
        issuer: ``iss``; None where the issuer is named by its certificate alone.
        claims: everything disclosed and everything never hidden, registered claims included.
        holder_key: the key of ``cnf``; None for a credential bound to no key.
        issued_at: ``iat``, None if absent or withheld.
        not_before: ``nbf``, None if absent.
        expires_at: ``exp``, None if absent.
        status: ``status`` as signed; None if the credential has none. Whoever relies on the credential must look it up,
            or refuse what cannot be looked up.
        disclosed: paths in ``claims`` that were opened by a Disclosure.
        gaps: for each array with withheld elements: the index in the signed payload of each element left.
        key_binding: the payload of the verified Key Binding JWT; None without key binding.
    """

    vct: Vct
    issuer: CredentialIssuerId | None
    claims: JsonObject
    holder_key: PublicKey | None
    issued_at: datetime | None
    not_before: datetime | None
    expires_at: datetime | None
    status: JsonObject | None
    disclosed: tuple[ConcretePath, ...]
    gaps: dict[ConcretePath, tuple[int, ...]]
    key_binding: JsonObject | None


def issue_sd_jwt_vc(
    *,
    vct: Vct,
    issuer: CredentialIssuerId,
    claims: JsonObject,
    selectively_disclosable: Sequence[ClaimsPath],
    holder_key: PublicKey | None,
    issued_at: datetime,
    expires_at: datetime,
    not_before: datetime | None = None,
    status: JsonObject | None = None,
    signer: Signer,
    x5c: Sequence[bytes],
    random: RandomBytes,
    decoys: int = 0,
) -> str:
    """Return a signed SD-JWT VC with all its Disclosures.

    SD-JWT VC 2.2, RFC 9901 4. Times are taken as they are: rounding them is the caller's, who knows the profile.

    Args:
        vct: the type.
        issuer: becomes ``iss``.
        claims: the subject's claims, without the registered ones set here.
        selectively_disclosable: which of them become Disclosures; None in a path stands for every array element.
        holder_key: becomes ``cnf.jwk``; None for a credential bound to no key.
        issued_at: becomes ``iat``.
        expires_at: becomes ``exp``.
        not_before: becomes ``nbf`` if given.
        status: becomes ``status`` if given; never selectively disclosable.
        signer: the issuer's key, to which ``x5c[0]`` belongs.
        x5c: DER certificates, leaf first, without the root.
        random: source of salts.
        decoys: decoy Digests in every object that has Digests.

    Raises:
        ValueError: no certificate, naive or reversed times, a claim that is set here, a path that starts at one of
            :data:`NEVER_HIDDEN`, or what ``issuer.create_sd_jwt`` refuses.
        KeyUnavailable: the signer cannot sign now.
    """
    if not x5c:
        raise ValueError("an SD-JWT VC is signed under a certificate")
    if not _SET_HERE.isdisjoint(claims):
        raise ValueError("claims hold a registered claim that is set by this function")
    # SD-JWT VC 2.2.2.2: these and what is in them cannot be selectively disclosed.
    # sdjwtvc-2.2.2.2-never-hidden-issued
    if not NEVER_HIDDEN.isdisjoint([path[0] for path in selectively_disclosable]):
        raise ValueError("a registered claim may not be selectively disclosable")
    payload: JsonObject = {"vct": vct, "iss": issuer, "iat": _seconds(issued_at), "exp": _seconds(expires_at)}
    # sdjwtvc-2.2.2-expiry-order
    if expires_at <= issued_at:
        raise ValueError("the credential would expire before it is issued")
    if not_before is not None:
        payload["nbf"] = _seconds(not_before)
    if status is not None:
        payload["status"] = status
    if holder_key is not None:
        # Only the members that make the key (RFC 7800 3.2).
        payload["cnf"] = {"jwk": public_jwk(holder_key)}
    return create_sd_jwt(
        claims={**payload, **claims},
        selectively_disclosable=selectively_disclosable,
        encoded_header=_encoded_header(signer.public_key.algorithm, tuple(x5c)),
        signer=signer,
        random=random,
        decoys=decoys,
    )


def validate_sd_jwt_vc(verified: VerifiedSdJwt) -> SdJwtVc:
    """Check the rules that SD-JWT VC adds to RFC 9901 and return the credential.

    Steps (numbered on from ``verifier.verify_sd_jwt_kb``):
        14. The token is of type ``dc+sd-jwt`` (SD-JWT VC 2.2.1).
        15. None of :data:`NEVER_HIDDEN` was or could have been withheld (2.2.2.2).
        16. ``vct`` is a non-empty string; ``vct#integrity``, ``aka_vcts``, ``iss`` and ``status`` have their types.
        17. ``cnf``, if there, holds a supported public key as ``jwk`` (2.2.2.2, RFC 7800 3.2).
        18. ``iat``, ``nbf`` and ``exp`` are times (RFC 7519 4.1).

    Not done here: trust in the issuer, whether the certificate speaks for ``iss``, status, type metadata.

    Raises:
        VerificationError: a step failed; ``step`` is its number.
    """
    claims = verified.claims
    # 14.
    # sdjwtvc-2.2.1-typ
    if verified.header.get("typ") != TYP_SD_JWT_VC:
        raise VerificationError(f"the token is not of type {TYP_SD_JWT_VC}", step=14, clause="SD-JWT VC 2.2.1")
    _check_never_hidden(verified)
    _check_types(claims)
    holder_key = verified.holder_key or _holder_key(claims)
    vct, issuer, status = claims["vct"], claims.get("iss"), claims.get("status")
    return SdJwtVc(
        vct=Vct(str(vct)),
        issuer=None if issuer is None else CredentialIssuerId(str(issuer)),
        claims=claims,
        holder_key=holder_key,
        issued_at=_time(claims, "iat"),
        not_before=_time(claims, "nbf"),
        expires_at=_time(claims, "exp"),
        status=status if isinstance(status, dict) else None,
        disclosed=verified.disclosed,
        gaps=verified.gaps,
        key_binding=verified.key_binding,
    )


@lru_cache(maxsize=256)
def _encoded_header(algorithm: SignatureAlgorithm, x5c: tuple[bytes, ...]) -> str:
    """Return the protected header of one issuer: the same for all its credentials until the certificate changes."""
    certificates = [binascii.b2a_base64(certificate, newline=False).decode("ascii") for certificate in x5c]
    return jws.encode_header({"alg": algorithm.value, "typ": TYP_SD_JWT_VC, "x5c": certificates})


def _seconds(time: datetime) -> int:
    if time.tzinfo is None:
        raise ValueError("a time without time zone")
    return int(time.timestamp())


def _check_never_hidden(verified: VerifiedSdJwt) -> None:
    # 15. Either a Disclosure brought it, or the signed value has a place where one could.
    brought = [path[0] for path in verified.disclosed]
    # sdjwtvc-2.2.2.2-never-hidden
    if not NEVER_HIDDEN.isdisjoint(brought) or not NEVER_HIDDEN.isdisjoint(verified.hiding):
        raise VerificationError("a registered claim is selectively disclosable", step=15, clause="SD-JWT VC 2.2.2.2")


def _check_types(claims: JsonObject) -> None:
    # 16.
    vct = claims.get("vct")
    texts = isinstance(claims.get("vct#integrity", ""), str) and isinstance(claims.get("iss", ""), str)
    # sdjwtvc-2.2.2-vct
    if not isinstance(vct, str) or not vct or not texts or not isinstance(claims.get("status", {}), dict):
        raise VerificationError("a registered claim has the wrong type", step=16, clause="SD-JWT VC 2.2.2")
    if "aka_vcts" in claims:
        others = claims["aka_vcts"]
        # sdjwtvc-2.2.2-aka-vcts
        if not isinstance(others, list) or not others or not all(isinstance(v, str) for v in others) or vct in others:
            raise VerificationError("aka_vcts is not a list of other types", step=16, clause="SD-JWT VC 2.2.2")


def _holder_key(claims: JsonObject) -> PublicKey | None:
    if "cnf" not in claims:
        return None
    # 17.
    cnf = claims["cnf"]
    # sdjwtvc-2.2.2-cnf
    if not isinstance(cnf, dict) or "jwk" not in cnf:
        raise VerificationError("cnf holds no jwk", step=17, clause="RFC 7800 3.2")
    try:
        return parse_public_jwk(cnf["jwk"], what="cnf.jwk")
    except MalformedError as exc:
        raise VerificationError(exc.description, step=17, clause="RFC 7800 3.2") from exc


def _time(claims: JsonObject, name: str) -> datetime | None:
    # 18.
    try:
        seconds = numeric_date(claims, name)
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (MalformedError, ValueError, OverflowError, OSError) as exc:
        raise VerificationError(f"{name} is not a time", step=18, clause="RFC 7519 4.1") from exc
