"""An mdoc and a reader face to face: keys, certificates, requests and answers for tests of ISO/IEC 18013-5 sessions."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from wallet_core.formats.mdoc.device_request import RequestedElements
from wallet_core.formats.mdoc.document import parse_device_response
from wallet_core.formats.mdoc.holder import create_document, index_mdoc
from wallet_core.formats.mdoc.issuer import issue_mdoc
from wallet_core.formats.mdoc.structures import KeyAuthorizations, NameSpaces, ValidityInfo
from wallet_core.formats.mdoc.verifier import VerifiedMdoc, verify_document
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.iso18013 import device, ephemeral, reader
from wallet_core.protocols.iso18013.device import AwaitingConsent, Engaged
from wallet_core.protocols.iso18013.reader import ReceivedResponse, Scanned
from wallet_core.protocols.iso18013.reader_auth import create_device_request
from wallet_core.protocols.iso18013.session import SecureChannel
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.certificates import CertificateAuthority, create_ca, create_verifier_certificate
from wallet_core.trust.profiles import EKU_MDL_READER
from wallet_core.types import DocType, SessionTranscript

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(seconds=20)
DOC_TYPE = DocType("org.iso.18013.5.1.mDL")
OTHER_NAME_SPACE = "org.iso.18013.5.1.KR"
NAME_SPACE = "org.iso.18013.5.1"
ASKED = {NAME_SPACE: {"family_name": True, "portrait": False, "age_over_19": False}}
READER_NAME = "한빛렌터카 (시험용)"

DEVICE_KEY = ephemeral.generate()
READER_KEY = ephemeral.generate()


@dataclass(frozen=True)
class ReaderIdentity:
    """A CA for readers, and one reader below it."""

    ca: CertificateAuthority
    signer: SoftwareSigner
    certificate: bytes
    anchors: TrustAnchors = field(init=False)

    def __post_init__(self) -> None:
        """Trust the CA."""
        anchor = TrustAnchor(self.ca.certificate, AnchorPurpose.VERIFIER_ACCESS)
        object.__setattr__(self, "anchors", TrustAnchors([anchor]))


def new_reader_ca() -> CertificateAuthority:
    """Return a CA for readers."""
    return create_ca(
        organization="Jigap tests",
        common_name="Readers",
        contact="https://ca.example",
        private_key=ec.generate_private_key(ec.SECP256R1()),
        now=NOW,
        random=os.urandom,
    )


def new_reader() -> ReaderIdentity:
    """Return a reader with its own CA."""
    ca, signer = new_reader_ca(), SoftwareSigner.generate()
    certificate = create_verifier_certificate(
        ca,
        response_uri="https://reader.example",
        organization=READER_NAME,
        public_key=signer.public_key,
        now=NOW,
        random=os.urandom,
    )
    return ReaderIdentity(ca, signer, certificate.public_bytes(Encoding.DER))


READER = new_reader()


def certify(
    identity: ReaderIdentity,
    *,
    usages: tuple[ObjectIdentifier, ...] | None = (EKU_MDL_READER,),
    start: datetime = NOW - timedelta(days=1),
    until: datetime = NOW + timedelta(days=100),
) -> ReaderIdentity:
    """Return ``identity`` with another certificate of the same key."""
    issuer = identity.ca.certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, READER_NAME)]))
        .issuer_name(issuer.subject)
        .public_key(identity.signer.public_key.raw)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(until)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
    )
    if usages is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=True)
    certificate = builder.sign(identity.ca.private_key, hashes.SHA256())
    return replace(identity, certificate=certificate.public_bytes(Encoding.DER))


def request(
    transcript: SessionTranscript,
    *,
    signed_by: ReaderIdentity | None = READER,
    asked: Sequence[RequestedElements] = (ASKED,),
) -> bytes:
    """Return an encoded DeviceRequest over ``transcript``."""
    each = [(DOC_TYPE, name_spaces) for name_spaces in asked]
    if signed_by is None:
        return create_device_request(each, session_transcript=transcript)
    chain = [signed_by.certificate]
    return create_device_request(each, session_transcript=transcript, signer=signed_by.signer, x5chain=chain)


DEVICE_SIGNER = SoftwareSigner.generate()
ISSUER_SIGNER = SoftwareSigner.generate()
MDOC = index_mdoc(
    issue_mdoc(
        doc_type=DOC_TYPE,
        name_spaces={
            NAME_SPACE: {
                "family_name": "시험",
                "portrait": b"\xff\xd8\xff\xe0",
                "age_over_19": True,
                "age_over_65": False,
            },
            OTHER_NAME_SPACE: {"family_name": "시험"},
        },
        device_key=DEVICE_SIGNER.public_key,
        validity=ValidityInfo(NOW, NOW, NOW + timedelta(days=30)),
        signer=ISSUER_SIGNER,
        x5chain=[READER.certificate],
        random=os.urandom,
        key_authorizations=KeyAuthorizations(frozenset({NAME_SPACE})),
    )
)
SHOWN = ((NAME_SPACE, "family_name"), (NAME_SPACE, "age_over_19"))


def response(
    shown: Collection[tuple[str, str]] = SHOWN,
    *,
    transcript: SessionTranscript | None = None,
    device_signed: NameSpaces | None = None,
) -> bytes:
    """Return a DeviceResponse that shows elements of :data:`MDOC`, signed by the device."""
    document = create_document(
        MDOC,
        shown,
        session_transcript=transcript or scanned().session.transcript,
        algorithm=DEVICE_SIGNER.algorithm,
        device_signed=device_signed,
    )
    return document.attach(DEVICE_SIGNER.sign(document.signing_input))


def verified(received: ReceivedResponse, *, transcript: SessionTranscript | None = None) -> VerifiedMdoc:
    """Return what a reader may believe of an answer with one document of :data:`MDOC`."""
    (document,) = parse_device_response(received.device_response).documents
    return verify_document(
        document,
        issuer_key=ISSUER_SIGNER.public_key,
        session_transcript=transcript or received.transcript,
        now=NOW,
        mac_key=received.mac_key(document),
    )


CHOICE = {0: {NAME_SPACE: ["family_name", "age_over_19"]}}


def engaged(**changes: Any) -> Engaged:
    """Return an mdoc that shows its code."""
    return device.engage(DEVICE_KEY, now=NOW, **changes)


def scanned(shown: Engaged | None = None) -> Scanned:
    """Return a reader that has read the code."""
    return reader.scan((shown or engaged()).engagement, READER_KEY, now=NOW)


def careless(channel: SecureChannel) -> SecureChannel:
    """Return the channel of somebody who minds no counter."""
    return replace(channel, sealed={})


@dataclass(frozen=True)
class Pair:
    """Both sides of one session after the request: the mdoc waits for the person, the reader for the mdoc."""

    device: AwaitingConsent
    reader: reader.Waiting


def asking(signed_by: ReaderIdentity | None = READER, asked: Sequence[RequestedElements] = (ASKED,)) -> Pair:
    """Return both sides after a request."""
    at_reader = scanned()
    move = reader.ask(at_reader, request(at_reader.session.transcript, signed_by=signed_by, asked=asked), now=NOW)
    at_device = device.receive(engaged(), move.send, anchors=READER.anchors, now=NOW).state
    assert isinstance(at_device, AwaitingConsent), at_device
    return Pair(at_device, move.state)
