"""X.509 chains to anchors of a purpose (RFC 5280; ``x5c`` of RFC 7515 4.1.6; HAIP 6.1.1).

The one invariant: only :func:`verify_chain` makes a :class:`TrustedCertificate`, and it holds for one purpose.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from wallet_core.encoding import base64url
from wallet_core.encoding.plain_text import one_line
from wallet_core.errors import Expired, MalformedError, NotYetValid, UntrustedError
from wallet_core.keys.algorithms import PublicKey, public_key
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.profiles import (
    EKU_CREDENTIAL_ISSUER,
    EKU_MDL_DOCUMENT_SIGNER,
    EKU_MDL_READER,
    EKU_REGISTRAR,
    EKU_VERIFIER_ACCESS,
    EKU_VERIFIER_ATTESTER,
    EKU_VICAL_SIGNER,
    EKU_WALLET_PROVIDER,
    CertificateRole,
    country_of,
    extension_of,
    organization_id_of,
    state_of,
    validate_profile,
)
from wallet_core.types import CredentialIssuerId, Json

MAX_CHAIN: Final = 4
"""Certificates in one ``x5c``: a leaf and three intermediates; no ecosystem here uses more than two."""

MAX_CERTIFICATE: Final = 8192
"""Bytes of one certificate: ten times an honest one with an elliptic-curve key."""

# A certificate that names only the other trade is refused, so that one CA for both purposes is still safe.
_EKU_OF: Final[Mapping[AnchorPurpose, frozenset[ObjectIdentifier]]] = {
    AnchorPurpose.CREDENTIAL_ISSUER: frozenset({EKU_CREDENTIAL_ISSUER, EKU_MDL_DOCUMENT_SIGNER}),
    AnchorPurpose.VERIFIER_ACCESS: frozenset({EKU_VERIFIER_ACCESS, EKU_MDL_READER}),
    AnchorPurpose.MDL_ISSUER: frozenset({EKU_MDL_DOCUMENT_SIGNER}),
    AnchorPurpose.STATUS_LIST_SIGNER: frozenset(),
    AnchorPurpose.VICAL_PROVIDER: frozenset({EKU_VICAL_SIGNER}),
    AnchorPurpose.TRUST_LIST_OPERATOR: frozenset(),
    AnchorPurpose.WALLET_PROVIDER: frozenset({EKU_WALLET_PROVIDER}),
    AnchorPurpose.REGISTRAR: frozenset({EKU_REGISTRAR}),
    AnchorPurpose.VERIFIER_ATTESTER: frozenset({EKU_VERIFIER_ATTESTER}),
}
_EKU_ALL = frozenset().union(*_EKU_OF.values())

# Of the leaf, _validate_leaf and the profiles look at the extensions.
_CA_POLICY = verification.ExtensionPolicy.webpki_defaults_ca()
_LEAF_POLICY = verification.ExtensionPolicy.permit_all()

# What cryptography raises for bytes that are no certificate, or for an extension that does not parse.
_PARSE_ERRORS = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True)
class TrustedCertificate:
    """The leaf of a chain that leads to an anchor of ``purpose``.

    Attributes:
        leaf: the certificate itself.
        purpose: what it is trusted for.
        public_key: the key that signs.
        name: the organisation, for people to read; the common name where there is none.
        dns_names: dNSName entries of the subject alternative name.
        uris: URI entries of it.
        sha256: SHA-256 of the DER form, 32 bytes.
        anchor_sha256: SHA-256 of the DER form of the anchor that the chain led to, 32 bytes.
        valid_from: from when the whole chain is valid.
        valid_until: until when the whole chain is valid.
        chain: the chain in DER as it came, leaf first, without the anchor.
        organization_id: the registered number of the organisation (ETSI EN 319 412-1 5.1.4); None where there is none.
    """

    leaf: x509.Certificate
    purpose: AnchorPurpose
    public_key: PublicKey
    name: str
    dns_names: tuple[str, ...]
    uris: tuple[str, ...]
    sha256: bytes
    anchor_sha256: bytes
    valid_from: datetime
    valid_until: datetime
    chain: tuple[bytes, ...] = field(compare=False, repr=False)
    organization_id: str | None = None


def parse_x5c(value: Json) -> tuple[bytes, ...]:
    """Return the DER certificates of a JOSE ``x5c`` header member, leaf first (RFC 7515 4.1.6). No trust in them yet.

    Raises:
        MalformedError: not a non-empty array of standard base64 text, or over a limit.
    """
    # jose-7515.4.1.6-x5c
    if not isinstance(value, list) or not value or len(value) > MAX_CHAIN:
        raise MalformedError(f"x5c is not an array of 1 to {MAX_CHAIN} certificates", clause="RFC 7515 4.1.6")
    return tuple(_decode_certificate(entry) for entry in value)


def format_x5c(chain: Sequence[bytes]) -> list[str]:
    """Return DER certificates, leaf first, as the ``x5c`` header member."""
    return [_encode_certificate(der) for der in chain]


@lru_cache(maxsize=256)
def _encode_certificate(der: bytes) -> str:
    return base64.b64encode(der).decode("ascii")


def x509_hash(leaf_der: bytes) -> str:
    """Return what follows ``x509_hash:`` in a Client Identifier (OpenID4VP 5.9.3), 43 characters."""
    return base64url.encode(hashlib.sha256(leaf_der).digest())


def verify_chain(
    chain: Sequence[bytes], anchors: TrustAnchors, *, purpose: AnchorPurpose, at: datetime
) -> TrustedCertificate:
    """Return the leaf of ``chain`` if it leads to an anchor for ``purpose`` at the time ``at``.

    RFC 5280 section 6, with the rules of HAIP 6.1.1 for what may stand in ``x5c``; for mdocs (``x5chain``) those of
    ISO 18013-5 9.3.3 and annex B.

    Steps:
        1. Parse every certificate.
        2. Refuse an anchor or a self-signed certificate in the chain (HAIP 6.1.1, ISO 18013-5 9.1.2.4).
        3. Check that every certificate of the chain is valid at ``at`` (RFC 5280 6.1.3 a 2).
        4. Build the path to an anchor of this purpose; it is the chain as given, in its order (RFC 7515 4.1.6). For
           mdocs: one document signer directly below an IACA that is valid too, both with their profiles (annex B).
        5. Check the leaf: it may sign, is no CA, and is not made for another purpose (RFC 5280 4.2.1.3, 4.2.1.12).
        6. Take the leaf's key, of the closed list of algorithms.

    Not done here: revocation of certificates; whether the leaf may speak for a name
    (:func:`validate_issuer_name`, :func:`validate_dns_name`, :func:`validate_issuing_country`); whether it may issue
    a type (``trust.policy``).

    Raises:
        MalformedError: a certificate does not parse, or the chain is empty or too long.
        NotYetValid, Expired: step 3.
        UntrustedError: any other step.
    """
    # 1
    if not 1 <= len(chain) <= MAX_CHAIN:
        raise MalformedError(f"the chain does not have 1 to {MAX_CHAIN} certificates")
    certificates = [load_certificate(der) for der in chain]
    # 2
    for certificate in certificates:
        _refuse_root(certificate, anchors)
    # 3
    for certificate in certificates:
        # x509-6.1.3-time
        _validate_time(certificate, at)
    # 4
    build = _build_iso_path if purpose is AnchorPurpose.MDL_ISSUER else _build_path
    path = build(certificates, anchors, purpose, at)
    # 5
    leaf = certificates[0]
    _validate_leaf(leaf, purpose)
    # 6
    return _trusted(leaf, path, purpose, chain)


def validate_issuer_name(certificate: TrustedCertificate, issuer: CredentialIssuerId) -> None:
    """Check that ``certificate`` may sign credentials of ``issuer`` (M22: URI SAN = ``iss``; its host as dNSName).

    A certificate with URI entries speaks for exactly those: many agencies share a host. One without speaks for
    every issuer of its hosts, as earlier editions of SD-JWT VC had it.

    Raises:
        UntrustedError: it is for another issuer.
    """
    if certificate.uris:
        named = str(issuer) in certificate.uris
    else:
        named = (urlsplit(issuer).hostname or "").lower() in certificate.dns_names
    # sdjwtvc-3.5-issuer-name
    if not named:
        raise UntrustedError("the certificate is not for this credential issuer", clause="SD-JWT VC 3.5")


def validate_issuing_country(
    certificate: TrustedCertificate, issuing_country: Json, issuing_jurisdiction: Json = None
) -> None:
    """Check that an mDL names the place that its document signer is of (ISO 18013-5 9.3.3, ``protocols.md`` 13.2).

    Args:
        certificate: the document signer of the mDL.
        issuing_country: the element of that name; None if it was not released, and then nothing is compared.
        issuing_jurisdiction: the same.

    Raises:
        UntrustedError: the document signer is of another country, or of another state or province.
    """
    # x509-18013.9.3.3-issuing-country
    if issuing_country is not None and issuing_country != country_of(certificate.leaf):
        raise UntrustedError("the document is of another country than its signer", clause="ISO 18013-5 9.3.3")
    state = state_of(certificate.leaf)
    # x509-18013.9.3.3-issuing-jurisdiction
    if issuing_jurisdiction is not None and state is not None and issuing_jurisdiction != state:
        raise UntrustedError("the document is of another jurisdiction than its signer", clause="ISO 18013-5 9.3.3")


def certificate_uris(der: bytes) -> tuple[str, ...]:
    """Return the URI names of a certificate of our own. Raises ``MalformedError`` if it does not parse."""
    names = extension_of(load_certificate(der), x509.SubjectAlternativeName)
    return tuple(names.get_values_for_type(x509.UniformResourceIdentifier)) if names else ()


def validate_dns_name(certificate: TrustedCertificate, host: str) -> None:
    """Check that ``host`` is a dNSName of ``certificate`` (OpenID4VP 5.9.3, ``x509_san_dns``).

    Raises:
        UntrustedError: it is not. Wildcards match nothing.
    """
    # vp-5.9.3-x509-san-dns
    if host.lower() not in certificate.dns_names:
        raise UntrustedError("the certificate is not for this host", clause="OpenID4VP 5.9.3")


def load_certificate(der: bytes) -> x509.Certificate:
    """Return the certificate of DER bytes, with everything in it parsed. No trust in it yet.

    Raises:
        MalformedError: it does not parse, is too long, its serial number is not positive, or its signature has bits
            that are not used.
    """
    if len(der) > MAX_CERTIFICATE:
        raise MalformedError(f"a certificate is longer than {MAX_CERTIFICATE} bytes")
    try:
        certificate = x509.load_der_x509_certificate(der)
        _ = certificate.extensions, certificate.subject, certificate.issuer  # parsed late by the library: parse now
    except _PARSE_ERRORS as exc:
        raise MalformedError("a certificate does not parse", clause="RFC 5280 4.1") from exc
    # The library only warns of it, for now.
    if certificate.serial_number <= 0:
        raise MalformedError("the serial number of a certificate is not positive", clause="RFC 5280 4.1.2.2")
    # The library takes a signature with unused bits for the same one: two texts would stand for one certificate.
    # x509-5280.4.1.1.3-signature
    if not der.endswith(b"\0" + certificate.signature):
        raise MalformedError("the signature of a certificate has unused bits", clause="RFC 5280 4.1.1.3")
    return certificate


class VerdictCache:
    """Remembers which chains were trusted, by chain, purpose and anchors, until the first of them ends.

    Only success is remembered: a refusal costs the sender, not us.
    """

    def __init__(self, max_entries: int = 1024) -> None:
        self._max_entries = max_entries
        self._verdicts: dict[tuple[bytes, AnchorPurpose, tuple[bytes, ...]], TrustedCertificate] = {}

    def verify_chain(
        self, chain: Sequence[bytes], anchors: TrustAnchors, *, purpose: AnchorPurpose, at: datetime
    ) -> TrustedCertificate:
        """Return what :func:`verify_chain` returns, and raise what it raises."""
        key = (anchors.fingerprint, purpose, tuple(chain))
        verdict = self._verdicts.get(key)
        if verdict is not None and verdict.valid_from <= at <= verdict.valid_until:
            return verdict
        verdict = verify_chain(chain, anchors, purpose=purpose, at=at)
        while len(self._verdicts) >= self._max_entries:
            self._verdicts.pop(next(iter(self._verdicts)), None)
        self._verdicts[key] = verdict
        return verdict

    def __len__(self) -> int:
        return len(self._verdicts)


def _decode_certificate(entry: Json) -> bytes:
    if not isinstance(entry, str) or len(entry) > 2 * MAX_CERTIFICATE:
        raise MalformedError("a certificate in x5c is not a short text", clause="RFC 7515 4.1.6")
    try:
        # RFC 7515 4.1.6: standard base64 with padding, "not base64url-encoded".
        return base64.b64decode(entry.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as exc:
        raise MalformedError("a certificate in x5c is not base64", clause="RFC 7515 4.1.6") from exc


def _refuse_root(certificate: x509.Certificate, anchors: TrustAnchors) -> None:
    # HAIP 6.1.1: the trust anchor is not in x5c, and the leaf is not self-signed.
    # x509-HAIP6.1.1-self-signed
    if certificate.issuer == certificate.subject:
        raise UntrustedError("the chain contains a self-signed certificate", step=2, clause="HAIP 6.1.1")
    # x509-HAIP6.1.1-anchor
    if any(anchor.certificate == certificate for anchor in anchors.anchors):
        raise UntrustedError("the chain contains its trust anchor", step=2, clause="HAIP 6.1.1")


def _validate_time(certificate: x509.Certificate, at: datetime) -> None:
    if at < certificate.not_valid_before_utc:
        raise NotYetValid("a certificate is not yet valid", step=3, clause="RFC 5280 4.1.2.5")
    if at > certificate.not_valid_after_utc:
        raise Expired("a certificate has expired", step=3, clause="RFC 5280 4.1.2.5")


def _build_iso_path(
    certificates: list[x509.Certificate], anchors: TrustAnchors, purpose: AnchorPurpose, at: datetime
) -> list[x509.Certificate]:
    # ISO 18013-5 9.1.2.4, B.1.1: a document signer stands directly below an IACA, which may certify no further CA.
    # x509-18013B.1.1-one-link
    if len(certificates) != 1:
        raise UntrustedError("the chain of an mdoc is one certificate", step=4, clause="ISO 18013-5 B.1.1")
    leaf = certificates[0]
    issuers = [root for root in anchors.certificates(purpose) if _issued(root, leaf)]
    # x509-18013.9.3.3-iaca
    if not issuers:
        raise UntrustedError(
            "the certificate chain leads to no trust anchor for this purpose",
            step=4,
            detail=f"no IACA certified it; {_other_purposes(leaf, anchors, purpose)}",
            clause="ISO 18013-5 9.3.3",
        )
    root = issuers[0]
    # x509-18013.9.3.3-iaca-time
    _validate_time(root, at)
    validate_profile(root, CertificateRole.IACA, step=4)
    validate_profile(leaf, CertificateRole.DOCUMENT_SIGNER, root, step=5)
    return [leaf, root]


def _issued(root: x509.Certificate, leaf: x509.Certificate) -> bool:
    """Return whether name and signature say that ``root`` certified ``leaf``."""
    try:
        leaf.verify_directly_issued_by(root)
    except (InvalidSignature, *_PARSE_ERRORS):
        return False
    return True


def _build_path(
    certificates: list[x509.Certificate], anchors: TrustAnchors, purpose: AnchorPurpose, at: datetime
) -> list[x509.Certificate]:
    verifier = _policy(anchors, purpose).time(at.astimezone(UTC).replace(tzinfo=None)).build_client_verifier()
    try:
        path = verifier.verify(certificates[0], certificates[1:]).chain
    except (verification.VerificationError, *_PARSE_ERRORS) as exc:
        # x509-6.1-path
        raise UntrustedError(
            "the certificate chain leads to no trust anchor for this purpose",
            step=4,
            detail=f"no path to an anchor for {purpose}; {_other_purposes(certificates[-1], anchors, purpose)}",
            clause="RFC 5280 6.1",
        ) from exc
    # RFC 7515 4.1.6: each certificate certifies the one before it; nothing is left over.
    # jose-7515.4.1.6-x5c-order
    if path[:-1] != certificates:
        raise UntrustedError("the certificates of the chain are not in order", step=4, clause="RFC 7515 4.1.6")
    return path


@lru_cache(maxsize=64)
def _policy(anchors: TrustAnchors, purpose: AnchorPurpose) -> verification.PolicyBuilder:
    """Return everything but the time: the keys of the anchors are read once, which takes a third of a signature."""
    roots = anchors.certificates(purpose)
    if not roots:
        raise UntrustedError("no trust anchor is known for this purpose", step=4, detail=f"no anchor for {purpose}")
    return (
        verification.PolicyBuilder()
        .store(verification.Store(list(roots)))
        .max_chain_depth(MAX_CHAIN)
        .extension_policies(ca_policy=_CA_POLICY, ee_policy=_LEAF_POLICY)
    )


@lru_cache(maxsize=1024)
def _fingerprint(root: x509.Certificate) -> bytes:
    return root.fingerprint(SHA256())


def _other_purposes(last: x509.Certificate, anchors: TrustAnchors, purpose: AnchorPurpose) -> str:
    issuer_of = {
        anchor.purpose.value
        for anchor in anchors.anchors
        if anchor.purpose is not purpose and anchor.certificate.subject == last.issuer
    }
    return f"its issuer is an anchor for {', '.join(sorted(issuer_of))}" if issuer_of else "its issuer is unknown"


def _validate_leaf(leaf: x509.Certificate, purpose: AnchorPurpose) -> None:
    constraints = extension_of(leaf, x509.BasicConstraints)
    # x509-4.2.1.9-ca
    if constraints is not None and constraints.ca:
        raise UntrustedError("the leaf certificate is a CA certificate", step=5, clause="RFC 5280 4.2.1.9")
    usage = extension_of(leaf, x509.KeyUsage)
    # Providers of VICALs certify their keys for contentCommitment, which verifies signatures over documents too.
    commits = purpose is AnchorPurpose.VICAL_PROVIDER and usage is not None and usage.content_commitment
    # x509-4.2.1.3-usage
    if usage is not None and not usage.digital_signature and not commits:
        raise UntrustedError("the certificate is not for signatures", step=5, clause="RFC 5280 4.2.1.3")
    extended = extension_of(leaf, x509.ExtendedKeyUsage)
    # x509-4.2.1.12-purpose
    if extended is not None and not _serves(frozenset(extended), purpose):
        raise UntrustedError("the certificate is for another purpose", step=5, clause="RFC 5280 4.2.1.12")


def _serves(usages: frozenset[ObjectIdentifier], purpose: AnchorPurpose) -> bool:
    if ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usages or not usages & _EKU_ALL:
        return True
    return bool(usages & _EKU_OF[purpose])


def _trusted(
    leaf: x509.Certificate, path: list[x509.Certificate], purpose: AnchorPurpose, chain: Sequence[bytes]
) -> TrustedCertificate:
    try:
        key = public_key(leaf.public_key())
    except (MalformedError, *_PARSE_ERRORS) as exc:
        raise UntrustedError("the certificate has a key of a kind that is not supported here", step=6) from exc
    names = extension_of(leaf, x509.SubjectAlternativeName)
    return TrustedCertificate(
        leaf=leaf,
        purpose=purpose,
        public_key=key,
        name=_subject_name(leaf),
        dns_names=tuple(name.lower() for name in names.get_values_for_type(x509.DNSName)) if names else (),
        uris=tuple(names.get_values_for_type(x509.UniformResourceIdentifier)) if names else (),
        sha256=hashlib.sha256(chain[0]).digest(),
        anchor_sha256=_fingerprint(path[-1]),
        valid_from=max(each.not_valid_before_utc for each in path),
        valid_until=min(each.not_valid_after_utc for each in path),
        chain=tuple(chain),
        organization_id=organization_id_of(leaf),
    )


def _subject_name(certificate: x509.Certificate) -> str:
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in certificate.subject.get_attributes_for_oid(oid):
            return one_line(attribute.value) if isinstance(attribute.value, str) else attribute.value.hex()
    return ""
