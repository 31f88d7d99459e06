"""Who asks: mdoc reader authentication (ISO/IEC 18013-5 9.1.4).

The invariant: only :func:`verify_reader_auth` makes a :class:`VerifiedReader`. Whoever is not one may still ask: reader
authentication must not be a precondition for the mandatory elements of a document, so an unknown reader is shown to the
person as unknown, with the reason, and the person decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from cryptography import x509

from wallet_core.cose import sign1
from wallet_core.cose.sign1 import UnverifiedSign1
from wallet_core.encoding import cbor
from wallet_core.errors import InvalidSignature, UntrustedError, VerificationError, WalletError
from wallet_core.keys.signer import Signer
from wallet_core.protocols.iso18013.request import DocRequest, ItemsRequest
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.profiles import EKU_MDL_READER, extension_of
from wallet_core.trust.x509 import TrustedCertificate, verify_chain
from wallet_core.types import SessionTranscript


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


def reader_authentication_bytes(session_transcript: SessionTranscript, items: ItemsRequest) -> bytes:
    """Return ReaderAuthenticationBytes: what a reader signs (9.1.4.4).

    Written from the encoded parts, so that the transcript and the request are signed as they were sent.
    """
    name = cbor.dumps("ReaderAuthentication")
    return cbor.embed(cbor.head(4, 3) + name + session_transcript + items.encoded)


def create_reader_auth(
    items: ItemsRequest, *, session_transcript: SessionTranscript, signer: Signer, x5chain: Sequence[bytes]
) -> bytes:
    """Return ReaderAuth over one document's request: a detached COSE_Sign1 with its certificates (9.1.4.4).

    Args:
        items: what is asked.
        session_transcript: the encoded SessionTranscript of this session.
        signer: the reader's key.
        x5chain: its certificates as DER, leaf first, without the anchor.

    Raises:
        KeyUnavailable: the signer cannot sign now.
    """
    pending = sign1.to_sign(
        reader_authentication_bytes(session_transcript, items),
        signer.public_key.algorithm,
        unprotected=sign1.x5chain_header(x5chain),
        detached=True,
    )
    return pending.attach(signer.sign(pending.signing_input))


def verify_reader_auth(
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
    # 4 and 5
    _verify_signature(reader_auth, certificate, reader_authentication_bytes(session_transcript, doc_request.items))
    return VerifiedReader(certificate)


def identify_reader(
    doc_request: DocRequest, *, session_transcript: SessionTranscript, anchors: TrustAnchors, now: datetime
) -> Reader:
    """Return who asks for this document, or that nobody knows, and why. Never refuses the request."""
    try:
        return verify_reader_auth(doc_request, session_transcript=session_transcript, anchors=anchors, now=now)
    except WalletError as exc:
        # iso18013-7.2.1-not-a-precondition
        return UnknownReader(exc.description, exc.clause)


def _validate_usage(certificate: TrustedCertificate) -> None:
    usages = extension_of(certificate.leaf, x509.ExtendedKeyUsage)
    # "Any usage" does not do: the extension is there so that no other certificate speaks for a reader.
    # iso18013-B.1.7-usage
    if usages is None or EKU_MDL_READER not in usages:
        raise UntrustedError("the certificate is not for reader authentication", step=3, clause="ISO/IEC 18013-5 B.1.7")


def _verify_signature(reader_auth: UnverifiedSign1, certificate: TrustedCertificate, content: bytes) -> None:
    # iso18013-9.1.4.4-detached
    if reader_auth.payload is not None:
        raise VerificationError("ReaderAuth carries its content", step=4, clause="ISO/IEC 18013-5 9.1.4.4")
    try:
        # iso18013-9.1.4.4-signature
        sign1.verify(reader_auth, certificate.public_key, detached_payload=content)
    except InvalidSignature as exc:
        raise InvalidSignature(exc.description, step=5, clause="ISO/IEC 18013-5 9.1.4.4") from exc
