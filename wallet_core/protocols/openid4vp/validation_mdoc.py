"""What the Verifier checks of a presented mdoc (OpenID4VP 1.0 section B.2). Numbers: ``validation``."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding

from wallet_core import spec_versions as spec
from wallet_core.errors import HolderBindingError, MalformedError, QueryNotSatisfied, UntrustedError, VerificationError
from wallet_core.formats.mdoc.verifier import VerifiedMdoc, claims_to_json
from wallet_core.protocols.openid4vp import mdoc
from wallet_core.protocols.openid4vp.checks import CheckStep, check_failed
from wallet_core.protocols.openid4vp.dcql import CredentialQuery, DcqlQuery
from wallet_core.protocols.openid4vp.presented import (
    Expectation,
    PresentedCredential,
    find_status,
    validate_authorities,
)
from wallet_core.protocols.openid4vp.validation_claims import find_claims, project, validate_found, values_by_id
from wallet_core.types import DocType, JsonObject

_STEPS: Final[Mapping[int | None, CheckStep]] = {
    1: CheckStep.ISSUER_SIGNED,
    2: CheckStep.CONTENT_UNCHANGED,
    3: CheckStep.CONTENT_UNCHANGED,
    4: CheckStep.CONTENT_UNCHANGED,
    5: CheckStep.WITHIN_VALIDITY,
    6: CheckStep.WITHIN_VALIDITY,
}
"""Check to which each step of ``formats.mdoc.verifier.verify_issuer_signed`` belongs."""


def validate_presented_mdoc(
    text: str, query: CredentialQuery, expected: Expectation, now: datetime
) -> PresentedCredential:
    """Return what a presented mdoc proves (checks 1 to 9). Raises ``VerificationError``."""
    transcript = expected.session_transcript
    if transcript is None:
        raise check_failed(CheckStep.ANSWER_FITS_REQUEST, "an mdoc cannot be verified here")
    try:
        presented = mdoc.verify_presentation(
            text,
            doc_type=DocType(query.types[0]),
            session_transcript=transcript,
            verify_chain=expected.verify_mdoc_chain,
            now=now,
            leeway=expected.leeway,
        )
        claims: JsonObject = {**claims_to_json(presented.mdoc.claims)}
    except (VerificationError, MalformedError) as exc:
        raise check_failed(mdoc_step_of(exc), exc.description, exc) from exc
    # 7. ISO/IEC 18013-5, second edition: the lists of mdocs are CWTs.
    status = None if presented.mdoc.status is None else dict(presented.mdoc.status)
    finding = find_status(status, presented.certificate, spec.STATUS_LIST_CWT_MEDIA_TYPE, expected.verify_status, now)
    # 9.
    chain = [presented.certificate.leaf.public_bytes(Encoding.DER)] if query.trusted_authorities else ()
    validate_authorities(query, chain, presented.certificate, expected, now)
    _validate_elements(presented.mdoc, expected.query)
    found = find_claims([query], claims, {})
    return PresentedCredential(
        format=query.format,
        type=presented.mdoc.doc_type,
        claims=project(claims, validate_found(query, claims, found)),
        issuer=None,
        issuer_name=presented.certificate.name,
        valid_until=presented.mdoc.validity.valid_until,
        holder_bound=True,
        certificate=presented.certificate,
        status=finding,
        answers=values_by_id(query, claims, found),
    )


def mdoc_step_of(error: VerificationError | MalformedError) -> CheckStep:
    """Return the check to which a step of ``formats.mdoc.verifier.verify_document`` belongs."""
    if isinstance(error, HolderBindingError):
        return CheckStep.HOLDER_PRESENT
    if isinstance(error, UntrustedError) or (isinstance(error, VerificationError) and error.step is None):
        return CheckStep.ISSUER_TRUSTED
    return _STEPS.get(getattr(error, "step", None), CheckStep.ANSWER_FITS_REQUEST)


def _validate_elements(presented: VerifiedMdoc, query: DcqlQuery) -> None:
    asked = {
        claim.path
        for entry in query.credentials
        if entry.format == spec.FORMAT_MDOC and presented.doc_type in entry.types
        for claim in entry.claims
    }
    shown = [
        (ns, element) for part in (presented.claims, presented.device_claims) for ns in part for element in part[ns]
    ]
    # 8. For mdocs a claim is a whole data element (7.2).
    # dcql-6.4-only-asked
    if not asked.issuperset(shown):
        raise QueryNotSatisfied(
            "a claim was disclosed that was not asked for", step=CheckStep.ONLY_WHAT_WAS_ASKED, clause="OpenID4VP 6.4"
        )
