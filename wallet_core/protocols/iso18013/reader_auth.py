"""Who asks: mdoc reader authentication (ISO/IEC 18013-5 9.1.4).

The invariant: only :func:`verify_reader` makes a :class:`VerifiedReader`. Whoever is not one may still ask: reader
authentication must not be a precondition for the mandatory elements of a document, so an unknown reader is shown to the
person as unknown, with the reason, and the person decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from cryptography import x509

from wallet_core.errors import UntrustedError, VerificationError, WalletError
from wallet_core.formats.mdoc.device_request import (
    DocRequest,
    RequestedElements,
    encode_device_request,
    encode_items_request,
    reader_auth_to_sign,
    verify_reader_auth,
)
from wallet_core.keys.signer import Signer
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.profiles import EKU_MDL_READER, extension_of
from wallet_core.trust.x509 import TrustedCertificate, verify_chain
from wallet_core.types import DocType, SessionTranscript


@dataclass(frozen=True, slots=True)
class VerifiedReader:
    """A reader whose request is signed by a certificate that leads to an anchor for readers."""

    certificate: TrustedCertificate

    @property
    def name(self) -> str:
        """Who it is, for people."""
        return self.certificate.name


@dataclass(frozen=True, slots=True)
class UnknownReader:
    """A reader that did not say, or could not show, who it is. ``reason`` is for our log and the curious.

    Attributes:
        reason: a sentence without personal data.
        clause: where the rule stands that was not met, if known.
    """

    reason: str
    clause: str | None = None


Reader: TypeAlias = VerifiedReader | UnknownReader


def create_device_request(
    asked: Sequence[tuple[DocType, RequestedElements]],
    *,
    session_transcript: SessionTranscript,
    signer: Signer | None = None,
    x5chain: Sequence[bytes] = (),
) -> bytes:
    """Return the encoded DeviceRequest of a reader, each document's part signed for this session (9.1.4.4).

    Args:
        asked: for each document its type, and the elements with whether the reader intends to keep them.
        session_transcript: of this session.
        signer: the reader's key; None asks as an unknown reader.
        x5chain: the certificates of that key as DER, leaf first, without the anchor.

    Raises:
        ValueError: nothing is asked for, or the signer has no certificate.
        KeyUnavailable: the signer cannot sign now.
    """
    items_requests = [encode_items_request(doc_type, name_spaces) for doc_type, name_spaces in asked]
    if signer is None:
        return encode_device_request([(items_request, None) for items_request in items_requests])
    signed = []
    for items_request in items_requests:
        pending = reader_auth_to_sign(session_transcript, items_request, signer.public_key.algorithm, x5chain)
        signed.append((items_request, pending.attach(signer.sign(pending.signing_input))))
    return encode_device_request(signed)


def verify_reader(
    doc_request: DocRequest, *, session_transcript: SessionTranscript, anchors: TrustAnchors, now: datetime
) -> VerifiedReader:
    """Return who asks for this document.

    ISO/IEC 18013-5 9.1.4.4 and annex B.1.7.

    Steps:
        1. The request carries ReaderAuth with at least one certificate.
        2. The certificates lead to an anchor for readers and are valid now (annex B.1.7).
        3. The leaf is for reader authentication: extended key usage 1.0.18013.5.1.6 (annex B.1.7).
        4. The content is detached.
        5. The signature is over this session's transcript and the request as it came (9.1.4.4).

    Not done here: revocation of certificates.

    Raises:
        MalformedError: a certificate or the chain does not parse.
        NotYetValid, Expired, UntrustedError: step 2 or 3.
        InvalidSignature: step 5.
        VerificationError: step 1 or 4.
    """
    # 1
    reader_auth = doc_request.reader_auth
    if reader_auth is None:
        raise VerificationError("the request is not signed", step=1, clause="ISO/IEC 18013-5 9.1.4.4")
    chain = reader_auth.x5chain()
    if not chain:
        raise VerificationError("the request has no certificate", step=1, clause="ISO/IEC 18013-5 9.1.4.4")
    # 2
    # iso18013-9.1.4.4-chain
    certificate = verify_chain(chain, anchors, purpose=AnchorPurpose.VERIFIER_ACCESS, at=now)
    # 3
    _validate_usage(certificate)
    # 4
    # iso18013-9.1.4.4-detached
    if reader_auth.payload is not None:
        raise VerificationError("ReaderAuth carries its content", step=4, clause="ISO/IEC 18013-5 9.1.4.4")
    # 5
    try:
        # iso18013-9.1.4.4-signature
        verify_reader_auth(doc_request, reader_key=certificate.public_key, transcript=session_transcript)
    except VerificationError as exc:
        exc.step = 5
        raise
    return VerifiedReader(certificate)


def identify_reader(
    doc_request: DocRequest, *, session_transcript: SessionTranscript, anchors: TrustAnchors, now: datetime
) -> Reader:
    """Return who asks for this document, or that nobody knows, and why. Never refuses the request."""
    try:
        return verify_reader(doc_request, session_transcript=session_transcript, anchors=anchors, now=now)
    except WalletError as exc:
        # iso18013-7.2.1-not-a-precondition
        return UnknownReader(exc.description, exc.clause)


def _validate_usage(certificate: TrustedCertificate) -> None:
    usages = extension_of(certificate.leaf, x509.ExtendedKeyUsage)
    # "Any usage" does not do: the extension is there so that no other certificate speaks for a reader.
    # iso18013-B.1.7-usage
    if usages is None or EKU_MDL_READER not in usages:
        raise UntrustedError("the certificate is not for reader authentication", step=3, clause="ISO/IEC 18013-5 B.1.7")
