"""Certificate profiles: what each kind of certificate must look like, and which of these rules one breaks.

ISO/IEC 18013-5 annex B (``protocols.md`` 13.5), and M22 and M29 for the certificates of OpenID4VC. The one invariant:
what a certificate says of itself never makes it trusted; a profile can only take trust away.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final, TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID, ObjectIdentifier

from wallet_core.errors import UntrustedError

EKU_CREDENTIAL_ISSUER: Final = ObjectIdentifier("1.0.23220.4.1.2")
EKU_VERIFIER_ACCESS: Final = ObjectIdentifier("1.0.23220.4.1.6")
EKU_MDL_DOCUMENT_SIGNER: Final = ObjectIdentifier("1.0.18013.5.1.2")
EKU_MDL_READER: Final = ObjectIdentifier("1.0.18013.5.1.6")
EKU_VICAL_SIGNER: Final = ObjectIdentifier("1.0.18013.5.1.8")

EKU_WALLET_PROVIDER: Final = ObjectIdentifier("2.25.172693482563925716824062838517412983402")
"""Our own, by its UUID (ITU-T X.667): no specification names one. A provider's certificate without it is taken too."""

EKU_REGISTRAR: Final = ObjectIdentifier("2.25.112069384949933742601470089788428154849")
"""Our own likewise: ETSI TS 119 475 names none for those who sign registration certificates."""

EKU_VERIFIER_ATTESTER: Final = ObjectIdentifier("2.25.54668238727413807606742072776196194454")
"""Our own likewise: OpenID4VP 12 leaves open how those who attest verifiers are known."""

MAX_CA_LIFE: Final = timedelta(days=20 * 365)
"""ISO 18013-5 table B.1."""

MAX_LEAF_LIFE: Final = timedelta(days=457)
"""ISO 18013-5 table B.3, and our limit for verifiers' certificates too."""

MAX_STATUS_SIGNER_LIFE: Final = timedelta(days=1187)
"""ISO 18013-5 second edition, profile of the status list signer."""

MAX_SERIAL_OCTETS: Final = 20

# 63 random bits are asked for; a number this short comes from them once in 2^31 times.
_MIN_SERIAL_BITS = 32

FORBIDDEN_EXTENSIONS: Final = frozenset(
    {
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.FRESHEST_CRL,
    }
)
"""What no certificate of ISO 18013-5 may carry."""

_UNDERSTOOD: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.ISSUER_ALTERNATIVE_NAME,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
    }
)

KEY_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


class CertificateRole(StrEnum):
    """What a certificate is made for."""

    CA = "ca"
    """Certifies agencies, verifiers and operators of lists."""

    IACA = "iaca"
    """Certifies document signers (issuing authority CA, ISO 18013-5 B.1.2)."""

    CREDENTIAL_ISSUER = "credential_issuer"
    """Signs SD-JWT VCs."""

    DOCUMENT_SIGNER = "document_signer"
    """Signs mdocs (ISO 18013-5 B.1.4)."""

    VERIFIER_ACCESS = "verifier_access"
    """Signs requests: Request Objects and reader authentication (ISO 18013-5 B.1.7)."""

    STATUS_LIST_SIGNER = "status_list_signer"
    """Signs status lists and nothing else."""

    VICAL_SIGNER = "vical_signer"
    """Signs a VICAL (ISO 18013-5 C.1.7.1)."""

    TRUST_LIST_SIGNER = "trust_list_signer"
    """Signs a trust list (``specs/trust-list.md``)."""

    WALLET_PROVIDER = "wallet_provider"
    """Signs client attestations and key attestations."""

    REGISTRAR = "registrar"
    """Signs registration certificates of relying parties."""

    VERIFIER_ATTESTER = "verifier_attester"
    """Signs Verifier Attestation JWTs."""


@dataclass(frozen=True, slots=True)
class CertificateProfile:
    """What a certificate of one role has.

    Attributes:
        usages: exactly these bits of its key usage.
        max_life: longest validity.
        purpose: what its extended key usage must name; None if it need not have one.
        iso: whether the rest of ISO 18013-5 annex B holds: country, contact, revocation list, forbidden extensions.
        ca: whether it certifies others.
        purpose_critical: whether the extended key usage must be critical.
    """

    usages: frozenset[str]
    max_life: timedelta
    purpose: ObjectIdentifier | None = None
    iso: bool = False
    ca: bool = False
    purpose_critical: bool = False


_SIGNS = frozenset({"digital_signature"})
_CERTIFIES = frozenset({"key_cert_sign", "crl_sign"})

PROFILES: Final[Mapping[CertificateRole, CertificateProfile]] = {
    CertificateRole.CA: CertificateProfile(_CERTIFIES, MAX_CA_LIFE, ca=True),
    CertificateRole.IACA: CertificateProfile(_CERTIFIES, MAX_CA_LIFE, ca=True, iso=True),
    CertificateRole.CREDENTIAL_ISSUER: CertificateProfile(_SIGNS, MAX_LEAF_LIFE, EKU_CREDENTIAL_ISSUER),
    CertificateRole.DOCUMENT_SIGNER: CertificateProfile(
        _SIGNS, MAX_LEAF_LIFE, EKU_MDL_DOCUMENT_SIGNER, iso=True, purpose_critical=True
    ),
    CertificateRole.VERIFIER_ACCESS: CertificateProfile(_SIGNS, MAX_LEAF_LIFE, EKU_VERIFIER_ACCESS),
    # No purpose: the number of id-kp-oauthStatusSigning is not assigned yet, and it must not be critical (M30).
    CertificateRole.STATUS_LIST_SIGNER: CertificateProfile(_SIGNS, MAX_STATUS_SIGNER_LIFE),
    CertificateRole.VICAL_SIGNER: CertificateProfile(_SIGNS, MAX_STATUS_SIGNER_LIFE, EKU_VICAL_SIGNER),
    CertificateRole.TRUST_LIST_SIGNER: CertificateProfile(_SIGNS, MAX_STATUS_SIGNER_LIFE),
    CertificateRole.WALLET_PROVIDER: CertificateProfile(_SIGNS, MAX_LEAF_LIFE, EKU_WALLET_PROVIDER),
    CertificateRole.REGISTRAR: CertificateProfile(_SIGNS, MAX_LEAF_LIFE, EKU_REGISTRAR),
    CertificateRole.VERIFIER_ATTESTER: CertificateProfile(_SIGNS, MAX_LEAF_LIFE, EKU_VERIFIER_ATTESTER),
}
"""The profile of each role."""


class ProfileRule(StrEnum):
    """Every rule of a profile, by a stable name; ``jigap keys show`` has words for each."""

    NOT_A_CA = "not_a_ca"
    IS_A_CA = "is_a_ca"
    KEY_USAGE = "key_usage"
    PURPOSE = "purpose"
    FORBIDDEN_EXTENSION = "forbidden_extension"
    UNKNOWN_EXTENSION = "unknown_extension"
    COUNTRY = "country"
    COUNTRY_DIFFERS = "country_differs"
    STATE_DIFFERS = "state_differs"
    KEY_IDENTIFIER_DIFFERS = "key_identifier_differs"
    KEY_IDENTIFIER = "key_identifier"
    LIFE = "life"
    OUTLIVES_CA = "outlives_ca"
    SERIAL = "serial"
    CRITICAL = "critical"
    PATH_LENGTH = "path_length"
    CONTACT = "contact"
    REVOCATION_LIST = "revocation_list"


_CLAUSES: Final[Mapping[ProfileRule, str]] = {
    ProfileRule.NOT_A_CA: "RFC 5280 4.2.1.9",
    ProfileRule.IS_A_CA: "RFC 5280 4.2.1.9",
    ProfileRule.KEY_USAGE: "RFC 5280 4.2.1.3",
    ProfileRule.PURPOSE: "RFC 5280 4.2.1.12",
    ProfileRule.UNKNOWN_EXTENSION: "RFC 5280 4.2",
    ProfileRule.COUNTRY_DIFFERS: "ISO 18013-5 9.3.3",
    ProfileRule.STATE_DIFFERS: "ISO 18013-5 9.3.3",
    ProfileRule.KEY_IDENTIFIER_DIFFERS: "RFC 5280 4.2.1.1",
}
_FATAL: Final = frozenset({*_CLAUSES, ProfileRule.FORBIDDEN_EXTENSION, ProfileRule.COUNTRY})


@dataclass(frozen=True, slots=True)
class ProfileFault:
    """A rule that a certificate breaks."""

    rule: ProfileRule

    @property
    def clause(self) -> str:
        """Where the rule stands."""
        return _CLAUSES.get(self.rule, "ISO 18013-5 annex B")

    @property
    def fatal(self) -> bool:
        """Whether whoever verifies refuses for it; the others are what its maker should mend."""
        return self.rule in _FATAL


def profile_faults(
    certificate: x509.Certificate, role: CertificateRole, issuer: x509.Certificate | None = None
) -> tuple[ProfileFault, ...]:
    """Return every rule of ``role`` that ``certificate`` breaks.

    Args:
        certificate: what is looked at; its extensions must parse.
        role: what it is meant to be.
        issuer: the certificate that certified it, for the rules that compare both.
    """
    profile = PROFILES[role]
    rules = [*_usage_rules(certificate, profile), *_general_rules(certificate, profile)]
    if profile.iso:
        rules += _iso_rules(certificate, profile)
    if issuer is not None:
        rules += _pair_rules(certificate, issuer, iso=profile.iso)
    return tuple(ProfileFault(rule) for rule in rules)


def validate_profile(
    certificate: x509.Certificate, role: CertificateRole, issuer: x509.Certificate | None = None, *, step: int
) -> None:
    """Refuse a certificate that breaks a rule of its profile that counts for whoever verifies (13.2, 13.5).

    Raises:
        UntrustedError: it does; ``detail`` names the first such rule.
    """
    for fault in profile_faults(certificate, role, issuer):
        # x509-18013B-profile
        if fault.fatal:
            raise UntrustedError(
                "a certificate does not have the profile of its purpose",
                step=step,
                detail=f"as {role} the certificate breaks the rule {fault.rule}",
                clause=fault.clause,
            )


def extension_of(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """Return an extension of ``certificate``, None if it has none of that kind."""
    found = _raw_extension(certificate, kind)
    return None if found is None else found.value


def country_of(certificate: x509.Certificate) -> str | None:
    """Return the countryName of its subject."""
    return _subject_value(certificate, NameOID.COUNTRY_NAME)


def state_of(certificate: x509.Certificate) -> str | None:
    """Return the stateOrProvinceName of its subject."""
    return _subject_value(certificate, NameOID.STATE_OR_PROVINCE_NAME)


def organization_id_of(certificate: x509.Certificate) -> str | None:
    """Return the organizationIdentifier of its subject: ``NTRKR-…``, say (ETSI EN 319 412-1 5.1.4)."""
    return _subject_value(certificate, NameOID.ORGANIZATION_IDENTIFIER)


def role_of(certificate: x509.Certificate) -> CertificateRole:
    """Return what a certificate seems to be made for, by its own words; trust in it comes from elsewhere."""
    constraints = extension_of(certificate, x509.BasicConstraints)
    extended = frozenset(extension_of(certificate, x509.ExtendedKeyUsage) or ())
    if constraints is not None and constraints.ca:
        has_list = extension_of(certificate, x509.CRLDistributionPoints) is not None
        return CertificateRole.IACA if has_list else CertificateRole.CA
    # The narrower name first: a document signer may name the general purpose of issuing too.
    for usage, role in _ROLE_OF_PURPOSE:
        if usage in extended:
            return role
    return CertificateRole.TRUST_LIST_SIGNER


_ROLE_OF_PURPOSE = (
    (EKU_MDL_DOCUMENT_SIGNER, CertificateRole.DOCUMENT_SIGNER),
    (EKU_VICAL_SIGNER, CertificateRole.VICAL_SIGNER),
    (EKU_CREDENTIAL_ISSUER, CertificateRole.CREDENTIAL_ISSUER),
    (EKU_VERIFIER_ACCESS, CertificateRole.VERIFIER_ACCESS),
    (EKU_MDL_READER, CertificateRole.VERIFIER_ACCESS),
    (EKU_WALLET_PROVIDER, CertificateRole.WALLET_PROVIDER),
    (EKU_REGISTRAR, CertificateRole.REGISTRAR),
    (EKU_VERIFIER_ATTESTER, CertificateRole.VERIFIER_ATTESTER),
)


def _usage_rules(certificate: x509.Certificate, profile: CertificateProfile) -> Iterator[ProfileRule]:
    constraints = extension_of(certificate, x509.BasicConstraints)
    is_ca = constraints is not None and constraints.ca
    if is_ca != profile.ca:
        yield ProfileRule.NOT_A_CA if profile.ca else ProfileRule.IS_A_CA
    usage = extension_of(certificate, x509.KeyUsage)
    if usage is None or _granted(usage) != profile.usages:
        yield ProfileRule.KEY_USAGE
    extended = extension_of(certificate, x509.ExtendedKeyUsage)
    if profile.purpose is not None and profile.purpose not in (extended or ()):
        yield ProfileRule.PURPOSE


def _general_rules(certificate: x509.Certificate, profile: CertificateProfile) -> Iterator[ProfileRule]:
    if any(extension.critical and extension.oid not in _UNDERSTOOD for extension in certificate.extensions):
        yield ProfileRule.UNKNOWN_EXTENSION
    if certificate.not_valid_after_utc - certificate.not_valid_before_utc > profile.max_life:
        yield ProfileRule.LIFE
    bits = certificate.serial_number.bit_length()
    if not _MIN_SERIAL_BITS <= bits < 8 * MAX_SERIAL_OCTETS:
        yield ProfileRule.SERIAL
    if extension_of(certificate, x509.SubjectKeyIdentifier) is None:
        yield ProfileRule.KEY_IDENTIFIER
    if not _is_critical(certificate, profile):
        yield ProfileRule.CRITICAL


def _is_critical(certificate: x509.Certificate, profile: CertificateProfile) -> bool:
    kinds: list[type[x509.ExtensionType]] = [x509.KeyUsage]
    if profile.ca:
        kinds.append(x509.BasicConstraints)
    if profile.purpose_critical:
        kinds.append(x509.ExtendedKeyUsage)
    found = [_raw_extension(certificate, kind) for kind in kinds]
    return all(extension is None or extension.critical for extension in found)


def _iso_rules(certificate: x509.Certificate, profile: CertificateProfile) -> Iterator[ProfileRule]:
    if not FORBIDDEN_EXTENSIONS.isdisjoint(extension.oid for extension in certificate.extensions):
        yield ProfileRule.FORBIDDEN_EXTENSION
    country = country_of(certificate)
    if country is None or len(country) != 2 or not country.isascii() or not country.isalpha() or not country.isupper():
        yield ProfileRule.COUNTRY
    constraints = extension_of(certificate, x509.BasicConstraints)
    if profile.ca and constraints is not None and constraints.path_length != 0:
        yield ProfileRule.PATH_LENGTH
    if extension_of(certificate, x509.IssuerAlternativeName) is None:
        yield ProfileRule.CONTACT
    if extension_of(certificate, x509.CRLDistributionPoints) is None:
        yield ProfileRule.REVOCATION_LIST


def _pair_rules(certificate: x509.Certificate, issuer: x509.Certificate, *, iso: bool) -> Iterator[ProfileRule]:
    above = extension_of(certificate, x509.AuthorityKeyIdentifier)
    identifier = extension_of(issuer, x509.SubjectKeyIdentifier)
    named = above.key_identifier if above is not None else None
    if named is not None and identifier is not None and named != identifier.digest:
        yield ProfileRule.KEY_IDENTIFIER_DIFFERS
    if certificate.not_valid_after_utc > issuer.not_valid_after_utc:
        yield ProfileRule.OUTLIVES_CA
    if not iso:
        return
    if country_of(certificate) != country_of(issuer):
        yield ProfileRule.COUNTRY_DIFFERS
    state, state_above = state_of(certificate), state_of(issuer)
    # 13.2: equal "if in both".
    if state is not None and state_above is not None and state != state_above:
        yield ProfileRule.STATE_DIFFERS


def _granted(usage: x509.KeyUsage) -> frozenset[str]:
    # encipher_only and decipher_only are defined only beside key_agreement, which no profile has.
    names = KEY_USAGES if usage.key_agreement else KEY_USAGES[:-2]
    return frozenset(name for name in names if getattr(usage, name))


def _raw_extension(certificate: x509.Certificate, kind: type[_Extension]) -> x509.Extension[_Extension] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def _subject_value(certificate: x509.Certificate, oid: ObjectIdentifier) -> str | None:
    for attribute in certificate.subject.get_attributes_for_oid(oid):
        return attribute.value if isinstance(attribute.value, str) else attribute.value.hex()
    return None
