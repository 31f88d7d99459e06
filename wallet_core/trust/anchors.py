"""Trust anchors: certificates that are trusted for a stated purpose, and for no other.

An anchor file is PEM text (RFC 7468). The line ``Purpose: credential_issuer``, or another of :class:`AnchorPurpose`,
above a block says what its certificate is trusted for; two lines give two purposes.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from wallet_core.errors import MalformedError

MAX_ANCHOR_TEXT: Final = 1 << 20
"""Characters of one anchor file: about 1000 certificates, more than any trust list we know."""

_SHA256 = SHA256()
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")
_PURPOSE = re.compile(r"^Purpose:[ \t]*(\S+)[ \t]*$", re.MULTILINE)


class AnchorPurpose(StrEnum):
    """What the certificates below an anchor may do."""

    CREDENTIAL_ISSUER = "credential_issuer"
    """Sign credentials (SD-JWT VC 3.5, HAIP 6.1.1)."""

    VERIFIER_ACCESS = "verifier_access"
    """Sign Request Objects (OpenID4VP 5.9.3, ``x509_hash`` and ``x509_san_dns``), and requests of mdoc readers."""

    MDL_ISSUER = "mdl_issuer"
    """Sign mdocs: the anchor is an IACA (ISO 18013-5 B.1.2)."""

    STATUS_LIST_SIGNER = "status_list_signer"
    """Sign status lists, where another signs them than the issuer (Token Status List 11.3)."""

    VICAL_PROVIDER = "vical_provider"
    """Sign VICALs (ISO 18013-5 C.1.7.1)."""

    TRUST_LIST_OPERATOR = "trust_list_operator"
    """Sign trust lists (``specs/trust-list.md``)."""

    WALLET_PROVIDER = "wallet_provider"
    """Sign client attestations and key attestations (HAIP 4.4.1, 4.5.1)."""

    REGISTRAR = "registrar"
    """Sign registration certificates: who may ask for what (OpenID4VP 5.1 ``verifier_info``, ETSI TS 119 475)."""

    VERIFIER_ATTESTER = "verifier_attester"
    """Sign Verifier Attestation JWTs (OpenID4VP 5.9.3 ``verifier_attestation``, 12)."""


@dataclass(frozen=True, slots=True)
class TrustAnchor:
    """A certificate and the one purpose it is trusted for."""

    certificate: x509.Certificate
    purpose: AnchorPurpose


@dataclass(frozen=True, slots=True)
class TrustAnchors:
    """All anchors of one deployment.

    Attributes:
        anchors: in the order of the files.
        fingerprint: SHA-256 over purposes and certificates, 32 bytes; equal for equal anchors.
    """

    anchors: tuple[TrustAnchor, ...]
    fingerprint: bytes = field(init=False, compare=False)

    def __init__(self, anchors: Iterable[TrustAnchor] = ()) -> None:
        object.__setattr__(self, "anchors", tuple(anchors))
        digest = hashlib.sha256()
        for anchor in self.anchors:
            digest.update(anchor.purpose.encode() + b"\0" + anchor.certificate.fingerprint(_SHA256))
        object.__setattr__(self, "fingerprint", digest.digest())

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def certificates(self, purpose: AnchorPurpose) -> tuple[x509.Certificate, ...]:
        """Return the certificates trusted for ``purpose``."""
        return tuple(anchor.certificate for anchor in self.anchors if anchor.purpose is purpose)

    def __add__(self, other: Self) -> "TrustAnchors":
        return TrustAnchors(self.anchors + other.anchors)


def parse_trust_anchors(text: str, *, purpose: AnchorPurpose | None = None) -> TrustAnchors:
    """Return the anchors of PEM ``text``.

    Args:
        text: certificates in PEM form with ``Purpose:`` lines.
        purpose: for certificates without such a line; ``None`` refuses them.

    Raises:
        MalformedError: too long, no certificate, one that does not parse, or a purpose missing or unknown.
    """
    if len(text) > MAX_ANCHOR_TEXT:
        raise MalformedError(f"the trust anchors are longer than {MAX_ANCHOR_TEXT} characters")
    anchors: list[TrustAnchor] = []
    end = 0
    for block in _BLOCK.finditer(text):
        purposes = _purposes(text[end : block.start()], purpose)
        certificate = _certificate(block.group())
        anchors.extend(TrustAnchor(certificate, each) for each in purposes)
        end = block.end()
    if not anchors:
        raise MalformedError("there is no certificate among the trust anchors", clause="RFC 7468 5.1")
    return TrustAnchors(anchors)


def format_trust_anchors(anchors: TrustAnchors) -> str:
    """Return ``anchors`` as the text that :func:`parse_trust_anchors` reads."""
    blocks = (
        f"Subject: {anchor.certificate.subject.rfc4514_string()}\n"
        f"Purpose: {anchor.purpose}\n"
        f"{anchor.certificate.public_bytes(Encoding.PEM).decode()}"
        for anchor in anchors.anchors
    )
    return "\n".join(blocks)


def _purposes(heading: str, default: AnchorPurpose | None) -> tuple[AnchorPurpose, ...]:
    names = _PURPOSE.findall(heading)
    if not names:
        if default is None:
            known = " or ".join(AnchorPurpose)
            raise MalformedError(f"a trust anchor has no purpose: write the line 'Purpose: {known}' above it")
        return (default,)
    try:
        return tuple(AnchorPurpose(name) for name in dict.fromkeys(names))
    except ValueError as exc:
        raise MalformedError(f"a trust anchor has a purpose other than {' and '.join(AnchorPurpose)}") from exc


def _certificate(pem: str) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        _ = certificate.extensions, certificate.subject  # parsed late by the library: parse now
    except (ValueError, TypeError, x509.InvalidVersion, x509.DuplicateExtension, UnsupportedAlgorithm) as exc:
        raise MalformedError("a trust anchor is not a certificate", clause="RFC 7468 5.1") from exc
    return certificate
