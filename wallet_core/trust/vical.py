"""VICAL: the signed list of IACAs, each with the doctypes it may be relied on for (ISO/IEC 18013-5 annex C).

The one invariant: only :func:`verify_vical` makes a :class:`VerifiedVical`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from wallet_core.cose import sign1
from wallet_core.encoding import cbor
from wallet_core.encoding.cbor import Tagged
from wallet_core.errors import Expired, MalformedError, NotYetValid, UntrustedError
from wallet_core.keys.signer import Signer
from wallet_core.spec_versions import FORMAT_MDOC
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.policy import Grant
from wallet_core.trust.profiles import country_of, extension_of, state_of
from wallet_core.trust.trust_list import LEEWAY, KnownList, Period
from wallet_core.trust.x509 import TrustedCertificate, load_certificate, verify_chain

MAX_BYTES: Final = 4 << 20
"""Bytes of a VICAL: some thousand certificates; the largest we know has 14 and 21 kB."""

MAX_CERTIFICATES: Final = 5_000
MAX_DOCTYPES: Final = 100
"""Doctypes of one certificate; one is usual."""

VERSION: Final = "1.0"

_SHA256 = SHA256()
_CLAUSE = "ISO 18013-5 C.1.7.1"


@dataclass(frozen=True, slots=True)
class VicalCertificate:
    """An IACA and what it may be relied on for.

    Attributes:
        certificate: the IACA.
        doctypes: of the documents below it.
        profiles: ``certificateProfile``, URNs.
        issuing_authority: name of the authority, for people; empty if it is not said.
    """

    certificate: x509.Certificate
    doctypes: tuple[str, ...]
    profiles: tuple[str, ...] = ()
    issuing_authority: str = ""


@dataclass(frozen=True, slots=True)
class Vical:
    """What a VICAL says.

    Attributes:
        provider: ``vicalProvider``.
        date: when it was issued.
        certificates: in its order.
        issue_id: ``vicalIssueID``, grows; None if it has none.
        next_update: before when the next one is expected; None if it is not said.
        left_out: how many entries cannot be used: the certificate does not parse, or is another than the entry says.
    """

    provider: str
    date: datetime
    certificates: tuple[VicalCertificate, ...]
    issue_id: int | None = None
    next_update: datetime | None = None
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class VerifiedVical:
    """A VICAL whose signature and time were checked. ``digest`` is SHA-256 of its payload."""

    content: Vical
    signer: TrustedCertificate
    digest: bytes

    @property
    def anchors(self) -> TrustAnchors:
        """The IACAs, as anchors for mdocs and for nothing else."""
        return TrustAnchors(
            TrustAnchor(each.certificate, AnchorPurpose.MDL_ISSUER) for each in self.content.certificates
        )

    def grants(self, *, grace: timedelta = timedelta()) -> dict[bytes, list[Grant]]:
        """Return what may be issued below each IACA, by its SHA-256. ``grace``: how long after ``nextUpdate``."""
        end = self.content.next_update
        fresh_until = None if end is None else end + grace
        found: dict[bytes, list[Grant]] = {}
        for each in self.content.certificates:
            types = {(FORMAT_MDOC, doctype): Period() for doctype in each.doctypes}
            grant = Grant(each.issuing_authority or self.content.provider, types, Period(), fresh_until)
            found.setdefault(each.certificate.fingerprint(_SHA256), []).append(grant)
        return found


def create_vical(content: Vical, *, signer: Signer, chain: Sequence[bytes]) -> bytes:
    """Return ``content`` as a signed VICAL: an untagged COSE_Sign1 (C.1.7.1).

    Args:
        content: what it says.
        signer: the provider's key.
        chain: its DER certificates, leaf first, without root.

    Raises:
        ValueError: a certificate has no subject key identifier, or a time has a fraction of a second.
        KeyUnavailable: the signer cannot sign now.
    """
    payload: dict[str, Any] = {"version": VERSION, "vicalProvider": content.provider, "date": cbor.tdate(content.date)}
    if content.issue_id is not None:
        payload["vicalIssueID"] = content.issue_id
    if content.next_update is not None:
        payload["nextUpdate"] = cbor.tdate(content.next_update)
    payload["certificateInfos"] = [_certificate_info(each) for each in content.certificates]
    return sign1.sign(cbor.dumps(payload), signer, unprotected=sign1.x5chain_header(chain))


def parse_vical(payload: bytes) -> Vical:
    """Return what the payload of a VICAL says. No trust in it yet. Unknown members are ignored.

    Raises:
        MalformedError: a member is missing or of the wrong type, or over a limit.
    """
    members = cbor.loads_map(payload, what="VICAL", max_bytes=MAX_BYTES)
    version = members.get("version")
    # vical-C.1.7.1-version
    if not isinstance(version, str) or version.partition(".")[0] != VERSION.partition(".")[0]:
        raise MalformedError("the VICAL is of a version that is not known", clause=_CLAUSE)
    issue_id = _number(members["vicalIssueID"], "vicalIssueID") if "vicalIssueID" in members else None
    date = cbor.parse_tdate(members.get("date"), what="date of the VICAL")
    next_update = None
    if "nextUpdate" in members:
        next_update = cbor.parse_tdate(members["nextUpdate"], what="nextUpdate of the VICAL")
    infos = members.get("certificateInfos")
    # vical-C.1.7.1-certificates
    if not isinstance(infos, list) or len(infos) > MAX_CERTIFICATES:
        raise MalformedError("certificateInfos of the VICAL is not an array", clause=_CLAUSE)
    found = [_certificate(info) for info in infos]
    usable = tuple(each for each in found if each is not None)
    return Vical(_text(members, "vicalProvider"), date, usable, issue_id, next_update, len(found) - len(usable))


def verify_vical(
    data: bytes, anchors: TrustAnchors, *, at: datetime, known: KnownList | None = None, grace: timedelta = timedelta()
) -> VerifiedVical:
    """Return what a signed VICAL says, if its provider is trusted and it is not older than the last one.

    ISO/IEC 18013-5 C.1.7.

    Args:
        data: a COSE_Sign1 without tag.
        anchors: whom we trust; only those for providers of VICALs count.
        at: the time.
        known: the last one that was accepted from this provider; None for the first.
        grace: how long after ``nextUpdate`` it is still taken.

    Steps:
        1. It is an untagged COSE_Sign1 with certificates in ``x5chain``.
        2. The certificates lead to an anchor for providers of VICALs.
        3. The signature verifies.
        4. The payload is a VICAL.
        5. It is not from the future, and not past its ``nextUpdate`` and ``grace``.
        6. Its issue ID is not lower than that of the last one; the same ID is the same list.

    Not done here: the profiles of the IACAs, which are checked when a document signer stands below one.

    Raises:
        MalformedError: step 1 or 4.
        UntrustedError: step 2 or 6.
        InvalidSignature, VerificationError: step 3.
        NotYetValid, Expired: step 2 or 5.
    """
    # 1.
    message = sign1.parse(data, tagged=False, what="VICAL", max_bytes=MAX_BYTES)
    # 2. The root may come along here; it adds nothing.
    chain = _without_roots(message.x5chain())
    # vical-C.1.7.1-anchor
    signer = verify_chain(chain, anchors, purpose=AnchorPurpose.VICAL_PROVIDER, at=at)
    # 3.
    # vical-C.1.7.1-signature
    verified = sign1.verify(message, signer.public_key)
    # 4.
    content = parse_vical(verified.payload)
    # 5.
    # vical-C.1.7.1-date
    if content.date > at + LEEWAY:
        raise NotYetValid("the VICAL is from the future", step=5, clause=_CLAUSE)
    # vical-C.1.7.1-next-update
    if content.next_update is not None and at >= content.next_update + grace:
        raise Expired("the VICAL is past its nextUpdate", step=5, clause=_CLAUSE)
    # 6.
    digest = hashlib.sha256(verified.payload).digest()
    _validate_issue_id(content.issue_id, digest, known)
    return VerifiedVical(content, signer, digest)


def _validate_issue_id(issue_id: int | None, digest: bytes, known: KnownList | None) -> None:
    if known is None:
        return
    # vical-C.1.7.1-issue-id
    if issue_id is None or issue_id < known.sequence_number:
        raise UntrustedError("the VICAL is older than the last one", step=6, clause=_CLAUSE)
    # vical-C.1.7.1-one-issue
    if issue_id == known.sequence_number and digest != known.digest:
        raise UntrustedError("two VICALs have one issue ID", step=6, clause=_CLAUSE)


def _certificate_info(entry: VicalCertificate) -> dict[str, Any]:
    certificate = entry.certificate
    identifier = extension_of(certificate, x509.SubjectKeyIdentifier)
    if identifier is None:
        raise ValueError("a certificate without subject key identifier is not listed")
    info: dict[str, Any] = {
        "certificate": certificate.public_bytes(Encoding.DER),
        "serialNumber": Tagged(cbor.TAG_BIGNUM, _big_endian(certificate.serial_number)),
        "ski": identifier.digest,
        "docType": [*entry.doctypes],
    }
    if entry.profiles:
        info["certificateProfile"] = [*entry.profiles]
    named = {
        "issuingAuthority": entry.issuing_authority,
        "issuingCountry": country_of(certificate),
        "stateOrProvinceName": state_of(certificate),
    }
    info |= {name: text for name, text in named.items() if text}
    info["notBefore"] = cbor.tdate(certificate.not_valid_before_utc)
    info["notAfter"] = cbor.tdate(certificate.not_valid_after_utc)
    return info


def _certificate(info: Any) -> VicalCertificate | None:
    """Return an entry, None if its certificate cannot be used: the others are not worse for that."""
    if not isinstance(info, dict) or not isinstance(info.get("certificate"), bytes):
        raise MalformedError("an entry of the VICAL has no certificate", clause=_CLAUSE)
    doctypes = _texts(info, "docType")
    # vical-C.1.7.1-doctype
    if not 1 <= len(doctypes) <= MAX_DOCTYPES:
        raise MalformedError("an entry of the VICAL is for no doctype", clause=_CLAUSE)
    serial, identifier = _number(info.get("serialNumber"), "serialNumber"), info.get("ski")
    try:
        certificate = load_certificate(info["certificate"])
    except MalformedError:
        return None
    own = extension_of(certificate, x509.SubjectKeyIdentifier)
    # One provider writes the identifier as it stands in the extension, with its DER heads.
    fits = own is not None and isinstance(identifier, bytes) and identifier.endswith(own.digest)
    # vical-C.1.7.1-same-certificate
    if not fits or serial != certificate.serial_number:
        return None
    profiles = _texts(info, "certificateProfile") if "certificateProfile" in info else ()
    authority = _text(info, "issuingAuthority") if "issuingAuthority" in info else ""
    return VicalCertificate(certificate, doctypes, profiles, authority)


def _without_roots(chain: Sequence[bytes]) -> tuple[bytes, ...]:
    loaded = [(der, load_certificate(der)) for der in chain]
    while len(loaded) > 1 and loaded[-1][1].issuer == loaded[-1][1].subject:
        loaded.pop()
    return tuple(der for der, _ in loaded)


def _number(value: Any, name: str) -> int:
    if isinstance(value, Tagged) and value.tag == cbor.TAG_BIGNUM and isinstance(value.value, bytes):
        return int.from_bytes(value.value, "big")
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MalformedError(f"{name} in the VICAL is not a number", clause=_CLAUSE)
    return value


def _big_endian(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _text(members: dict[Any, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise MalformedError(f"{name} in the VICAL is missing or not a text", clause=_CLAUSE)
    return value


def _texts(members: dict[Any, Any], name: str) -> tuple[str, ...]:
    value = members.get(name)
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise MalformedError(f"{name} in the VICAL is not an array of texts", clause=_CLAUSE)
    return tuple(value)
