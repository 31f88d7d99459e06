"""mdocs in OpenID4VP: one DeviceResponse for each, bound to the request (OpenID4VP 1.0 B.2, HAIP 5.3.1)."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from wallet_core.encoding import base64url
from wallet_core.encoding.claims_path import ConcretePath
from wallet_core.errors import MalformedError, UntrustedError, VerificationError
from wallet_core.formats.mdoc.document import parse_device_response
from wallet_core.formats.mdoc.holder import DocumentToSign, HeldMdoc, create_document
from wallet_core.formats.mdoc.session_transcript import openid4vp_transcript
from wallet_core.formats.mdoc.verifier import VerifiedMdoc, only_document, verify_document
from wallet_core.keys.jwk import jwk_thumbprint
from wallet_core.protocols.openid4vp.request import AuthorizationRequest
from wallet_core.spec_versions import NAMESPACE_MDL
from wallet_core.trust.x509 import TrustedCertificate, validate_issuing_country
from wallet_core.types import DocType, SessionTranscript


@dataclass(frozen=True, slots=True)
class PresentedMdoc:
    """An mdoc that its device showed for this request, and the certificate it was issued under."""

    mdoc: VerifiedMdoc
    certificate: TrustedCertificate


def request_transcript(request: AuthorizationRequest) -> SessionTranscript:
    """Return what binds an mdoc's device authentication to ``request`` (B.2.6.1).

    The thumbprint is that of the key the answer is encrypted with: ``encryption`` holds the one that is used.
    """
    # vp-B.2.6.1-handover
    return openid4vp_transcript(
        client_id=request.client_id.full,
        nonce=request.nonce,
        response_uri=request.response_uri,
        jwk_thumbprint=None if request.encryption is None else jwk_thumbprint(request.encryption.jwk),
    )


def create_document_to_sign(
    session_transcript: SessionTranscript, held: HeldMdoc, disclose: Collection[ConcretePath]
) -> DocumentToSign:
    """Return the document that shows the chosen elements, ready for the device key (B.2.4).

    Args:
        session_transcript: of the request, :func:`request_transcript` for instance.
        held: the mdoc.
        disclose: paths of namespace and data element identifier.

    Raises:
        ValueError: an element is not in this mdoc.
    """
    return create_document(
        held,
        {(str(path[0]), str(path[1])) for path in disclose},
        session_transcript=session_transcript,
        algorithm=held.mso.device_key.algorithm,
    )


def verify_presentation(
    text: str,
    *,
    doc_type: DocType,
    session_transcript: SessionTranscript,
    verify_chain: Callable[[Sequence[bytes], datetime], TrustedCertificate],
    now: datetime,
    leeway: timedelta,
) -> PresentedMdoc:
    """Return what a presented mdoc says (B.2.4).

    Steps (numbers as in ``formats.mdoc.verifier``):
        0. The presentation is base64url of a DeviceResponse with one document of the asked type.
        -. The certificates of IssuerAuth lead to an anchor for mdocs (ISO/IEC 18013-5 9.3.1, step 1).
        1. to 8. Issuer data and device authentication hold, over our own transcript.
        -. ``issuing_country`` and ``issuing_jurisdiction`` are those of the certificate (9.3.1).

    Raises:
        MalformedError: the presentation does not parse.
        UntrustedError: nobody trusted vouches for the signer.
        VerificationError: a step failed; ``step`` is its number.
    """
    response = parse_device_response(base64url.decode(text, what="presentation"))
    document = only_document(response, doc_type)
    # mdoc-18013.9.3.1-chain
    certificate = trusted_signer(document.issuer_signed.x5chain(), verify_chain, now)
    mdoc = verify_document(
        document,
        issuer_key=certificate.public_key,
        session_transcript=session_transcript,
        now=now,
        signer_validity=(certificate.valid_from, certificate.valid_until),
        leeway=leeway,
    )
    elements = mdoc.claims.get(NAMESPACE_MDL, {})
    validate_issuing_country(certificate, elements.get("issuing_country"), elements.get("issuing_jurisdiction"))
    return PresentedMdoc(mdoc, certificate)


def trusted_signer(
    chain: Sequence[bytes], verify_chain: Callable[[Sequence[bytes], datetime], TrustedCertificate], now: datetime
) -> TrustedCertificate:
    """Return the certificate under which an mdoc is signed.

    Raises:
        VerificationError: there is none, or it leads to no anchor; without ``step``.
    """
    if not chain:
        raise UntrustedError("the mdoc has no certificate", clause="ISO/IEC 18013-5 9.1.2.4")
    try:
        return verify_chain(chain, now)
    except MalformedError as exc:
        raise UntrustedError(exc.description, detail=exc.detail, clause=exc.clause) from exc
    except VerificationError as exc:
        exc.step = None  # steps of the chain are not ours
        raise
