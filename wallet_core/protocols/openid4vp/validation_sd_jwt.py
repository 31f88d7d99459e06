"""What the Verifier checks of a presented SD-JWT VC (OpenID4VP 1.0 section B.3). Numbers: ``validation``."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from wallet_core import spec_versions as spec
from wallet_core.encoding.claims_path import ConcretePath
from wallet_core.errors import (
    Expired,
    HolderBindingError,
    MalformedError,
    NotYetValid,
    QueryNotSatisfied,
    UntrustedError,
    VerificationError,
)
from wallet_core.formats.sd_jwt.vc import SdJwtVc, validate_sd_jwt_vc
from wallet_core.formats.sd_jwt.verifier import UnverifiedSdJwt, parse_sd_jwt, verify_sd_jwt, verify_sd_jwt_kb
from wallet_core.keys.algorithms import PublicKey
from wallet_core.protocols.openid4vp.checks import CheckStep, check_failed
from wallet_core.protocols.openid4vp.dcql import CredentialQuery
from wallet_core.protocols.openid4vp.matching import overlap
from wallet_core.protocols.openid4vp.presented import (
    ChainVerifier,
    Expectation,
    PresentedCredential,
    find_status,
    validate_authorities,
)
from wallet_core.protocols.openid4vp.validation_claims import find_claims, project, validate_found, values_by_id
from wallet_core.trust.x509 import TrustedCertificate, validate_issuer_name
from wallet_core.types import ClientId, Nonce


def validate_presented_sd_jwt(
    text: str, query: CredentialQuery, expected: Expectation, now: datetime
) -> PresentedCredential:
    """Return what a presented SD-JWT VC proves (checks 1 to 9). Raises ``VerificationError``."""
    try:
        sd_jwt = parse_sd_jwt(text)
        chain = sd_jwt.x5c()
    except MalformedError as exc:
        raise check_failed(CheckStep.ANSWER_FITS_REQUEST, exc.description, exc) from exc
    certificate = trusted_issuer(chain, expected.verify_chain, now)
    # Whether key binding is needed comes from the query, never from the presentation (RFC 9901 7.3, step 1).
    # rfc9901-7.3-policy
    bound = query.holder_binding or sd_jwt.key_binding_jwt is not None
    proof_for = (expected.client_id, expected.nonce) if bound else None
    credential = verify_signed(sd_jwt, certificate.public_key, proof_for, now=now, leeway=expected.leeway)
    # vp-8.6-speaks-for
    validate_issuer(credential, certificate)
    validate_audience(credential, expected.client_id)
    # 7.
    finding = find_status(credential.status, certificate, spec.STATUS_LIST_JWT_MEDIA_TYPE, expected.verify_status, now)
    # 9. before 8, whose rule needs to know what kind of credential this is. Our own type metadata tell which types
    # extend an asked one, never the credential.
    # dcql-B.3.5-type
    if not query.accepts_type(credential.vct, expected.supertypes):
        raise QueryNotSatisfied(
            "the credential is of another type", step=CheckStep.QUERY_ANSWERED, clause="OpenID4VP B.3.5"
        )
    validate_authorities(query, chain, certificate, expected, now)
    # 6.4: more than one query may ask for the same credential, so what any of them asks for may come with it.
    asking = [entry for entry in expected.query.credentials if _asks_for(entry, credential, expected)]
    found = find_claims(asking, credential.claims, credential.gaps)
    _validate_disclosed(credential, found.values())
    paths = validate_found(query, credential.claims, found)
    return PresentedCredential(
        format=query.format,
        type=credential.vct,
        claims=project(credential.claims, paths),
        issuer=credential.issuer,
        issuer_name=certificate.name,
        valid_until=credential.expires_at,
        holder_bound=credential.key_binding is not None,
        certificate=certificate,
        status=finding,
        key_binding=credential.key_binding,
        answers=values_by_id(query, credential.claims, found),
    )


def trusted_issuer(chain: Sequence[bytes], verify_chain: ChainVerifier, now: datetime) -> TrustedCertificate:
    """Return the certificate under which an SD-JWT VC is signed (check 2).

    Raises:
        VerificationError: there is none, or it leads to no anchor.
    """
    # 2. HAIP 6.1.1: the issuer's key comes with a chain in x5c; there is no other way to trust one here.
    # sdjwtvc-3.5-x5c
    if not chain:
        raise UntrustedError("the credential has no certificate", step=CheckStep.ISSUER_TRUSTED, clause="HAIP 6.1.1")
    try:
        return verify_chain(chain, now)
    except (MalformedError, VerificationError) as exc:
        raise check_failed(CheckStep.ISSUER_TRUSTED, exc.description, exc) from exc


def verify_signed(
    sd_jwt: UnverifiedSdJwt,
    issuer_key: PublicKey,
    proof_for: tuple[ClientId, Nonce] | None,
    *,
    now: datetime,
    leeway: timedelta,
) -> SdJwtVc:
    """Return what an issuer signed (checks 3 to 5) and, unless ``proof_for`` is None, its holder presents (6).

    Raises:
        VerificationError: a check failed; ``step`` is its number.
    """
    try:
        if proof_for is None:
            return validate_sd_jwt_vc(verify_sd_jwt(sd_jwt, issuer_key=issuer_key, now=now, leeway=leeway))
        audience, nonce = proof_for
        verified = verify_sd_jwt_kb(
            sd_jwt, issuer_key=issuer_key, audience=audience, nonce=nonce, now=now, leeway=leeway
        )
        return validate_sd_jwt_vc(verified)
    except (VerificationError, MalformedError) as exc:
        raise check_failed(_step_of(exc), exc.description, exc) from exc


def _step_of(error: VerificationError | MalformedError) -> CheckStep:
    """Return the check to which a step of ``verify_sd_jwt_kb`` and ``validate_sd_jwt_vc`` belongs."""
    if isinstance(error, HolderBindingError):
        return CheckStep.HOLDER_PRESENT
    if isinstance(error, Expired | NotYetValid) or getattr(error, "step", None) == 6:
        return CheckStep.WITHIN_VALIDITY
    return CheckStep.ISSUER_SIGNED if getattr(error, "step", None) == 1 else CheckStep.CONTENT_UNCHANGED


def validate_issuer(credential: SdJwtVc, certificate: TrustedCertificate) -> None:
    """Check that the certificate speaks for ``iss`` (check 2). Raises ``UntrustedError``."""
    if credential.issuer is None:
        return
    try:
        validate_issuer_name(certificate, credential.issuer)
    except UntrustedError as exc:
        raise check_failed(CheckStep.ISSUER_TRUSTED, exc.description, exc) from exc


def validate_audience(credential: SdJwtVc, client_id: ClientId) -> None:
    """Check that the credential is not meant for others only (check 5). Raises ``VerificationError``."""
    audience = credential.claims.get("aud", client_id)
    # 5. RFC 7519 4.1.3: whoever is not among the audiences of a JWT "MUST" reject it.
    # jose-7519.4.1.3-aud
    if client_id not in (audience if isinstance(audience, list) else [audience]):
        raise check_failed(CheckStep.WITHIN_VALIDITY, "the credential is for another audience")


def _asks_for(query: CredentialQuery, credential: SdJwtVc, expected: Expectation) -> bool:
    return query.format == spec.FORMAT_SD_JWT_VC and query.accepts_type(credential.vct, expected.supertypes)


def _validate_disclosed(credential: SdJwtVc, found: Iterable[Sequence[ConcretePath]]) -> None:
    asked = {path for paths in found for path in paths}
    others = [path for path in credential.disclosed if path not in asked]
    # 8. "Wallets MUST NOT send selectively disclosable claims that have not been selected".
    # dcql-6.4-only-asked
    if others and not all(any(overlap(path, part) for part in asked) for path in others):
        raise QueryNotSatisfied(
            "a claim was disclosed that was not asked for", step=CheckStep.ONLY_WHAT_WAS_ASKED, clause="OpenID4VP 6.4"
        )
