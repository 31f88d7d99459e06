"""The certificates we make: CAs, agencies' signing certificates, verifiers' access certificates, operators of lists.

Profiles: ``trust.profiles``; ``protocols.md`` 13.5 (periods, key usage, key identifiers, serial numbers), M22 and M29
(names), HAIP 6.1.1.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

from wallet_core.keys.algorithms import PublicKey, RawPrivateKey
from wallet_core.trust.profiles import (
    EKU_CREDENTIAL_ISSUER,
    EKU_MDL_DOCUMENT_SIGNER,
    EKU_MDL_READER,
    EKU_VERIFIER_ACCESS,
    EKU_WALLET_PROVIDER,
    KEY_USAGES,
    MAX_CA_LIFE,
    PROFILES,
    CertificateRole,
    country_of,
    extension_of,
    role_of,
    state_of,
)
from wallet_core.types import CredentialIssuerId, RandomBytes

CLOCK_MARGIN: Final = timedelta(days=1)
"""How long before its making a certificate is valid: credentials carry times rounded down to the hour (M12)."""

_SERIAL_BYTES = 16


@dataclass(frozen=True, slots=True)
class CertificateAuthority:
    """A CA that can sign: its certificate and its private key."""

    certificate: x509.Certificate
    private_key: RawPrivateKey


def create_ca(
    *,
    organization: str,
    common_name: str,
    contact: str,
    private_key: RawPrivateKey,
    now: datetime,
    random: RandomBytes,
    country: str = "KR",
    life: timedelta = timedelta(days=9 * 365),
) -> CertificateAuthority:
    """Return a new self-signed CA that may sign leaves but no further CA (13.5).

    Args:
        organization: who runs it, for people.
        common_name: which of their CAs it is.
        contact: an ``https:`` or ``http:`` URL for its issuer alternative name.
        private_key: its key.
        now: the time of making.
        random: for the serial number.
        country: two capital letters.
        life: at most 20 years.

    Raises:
        ValueError: a longer life, or a country that is not two capital letters.
    """
    return _authority(_name(country, organization, common_name), contact, private_key, now, life, random)


def create_issuer_certificate(
    ca: CertificateAuthority,
    *,
    issuer: CredentialIssuerId,
    organization: str,
    public_key: PublicKey,
    now: datetime,
    random: RandomBytes,
    life: timedelta = timedelta(days=365),
) -> x509.Certificate:
    """Return the certificate with which the agency ``issuer`` signs credentials.

    M22: the URI entry is the Credential Issuer Identifier, the dNSName its host, so that verifiers of every edition
    of SD-JWT VC accept it.

    Raises:
        ValueError: ``issuer`` is no URL with a host, or the life is beyond 457 days.
    """
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(issuer), _host_name(issuer)])
    extensions = [(names, False), (x509.ExtendedKeyUsage([EKU_CREDENTIAL_ISSUER]), False)]
    return _leaf(ca, CertificateRole.CREDENTIAL_ISSUER, organization, public_key, extensions, now, random, life)


def create_verifier_certificate(
    ca: CertificateAuthority,
    *,
    response_uri: str,
    organization: str,
    public_key: PublicKey,
    now: datetime,
    random: RandomBytes,
    life: timedelta = timedelta(days=365),
    organization_id: str | None = None,
) -> x509.Certificate:
    """Return the access certificate of a relying party: dNSName = host of ``response_uri`` (M29, OpenID4VP 5.9.3).

    ``organization_id`` is the party's number in the register: by it a registration certificate is bound to the party
    (ETSI TS 119 475 5.1.1).

    Raises:
        ValueError: ``response_uri`` is no URL with a host, the life is beyond 457 days, or the number has no form.
    """
    names = x509.SubjectAlternativeName([_host_name(response_uri)])
    extensions = [(names, False), (x509.ExtendedKeyUsage([EKU_VERIFIER_ACCESS, EKU_MDL_READER]), False)]
    return _leaf(
        ca, CertificateRole.VERIFIER_ACCESS, organization, public_key, extensions, now, random, life, organization_id
    )


def create_wallet_provider_certificate(
    ca: CertificateAuthority,
    *,
    provider: str,
    organization: str,
    public_key: PublicKey,
    now: datetime,
    random: RandomBytes,
    life: timedelta = timedelta(days=365),
) -> x509.Certificate:
    """Return the certificate with which the wallet provider ``provider`` attests its wallets and their keys.

    The URI entry is the provider's URL: by it a trust list says which wallets it stands for.

    Raises:
        ValueError: the life is beyond 457 days.
    """
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(provider)])
    extensions = [(names, False), (x509.ExtendedKeyUsage([EKU_WALLET_PROVIDER]), False)]
    return _leaf(ca, CertificateRole.WALLET_PROVIDER, organization, public_key, extensions, now, random, life)


def create_iaca(
    *,
    organization: str,
    common_name: str,
    contact: str,
    revocation_list: str,
    private_key: RawPrivateKey,
    now: datetime,
    random: RandomBytes,
    country: str = "KR",
    state: str | None = None,
    life: timedelta = timedelta(days=9 * 365),
) -> CertificateAuthority:
    """Return a new issuing authority CA, below which document signers stand (ISO 18013-5 B.1.2; 13.5).

    Args:
        organization: who runs it, for people.
        common_name: which of their CAs it is.
        contact: an ``https:`` or ``http:`` URL for its issuer alternative name.
        revocation_list: where its certificate revocation list is, or will be.
        private_key: its key.
        now: the time of making.
        random: for the serial number.
        country: two capital letters; documents say the same as ``issuing_country``.
        state: state or province, if it issues for one only.
        life: at most 20 years; 9 suffice for driving licences.

    Raises:
        ValueError: a longer life, or a country that is not two capital letters.
    """
    subject = _name(country, organization, common_name, state)
    more = [_distribution_points(revocation_list)]
    return _authority(subject, contact, private_key, now, life, random, more)


def create_document_signer(
    iaca: CertificateAuthority,
    *,
    issuer: CredentialIssuerId,
    organization: str,
    public_key: PublicKey,
    now: datetime,
    random: RandomBytes,
    life: timedelta = timedelta(days=365),
) -> x509.Certificate:
    """Return the certificate with which the agency ``issuer`` signs mdocs (ISO 18013-5 B.1.4; 13.5).

    Country and state are those of the IACA, as readers compare them. The URI entry, which no reader needs, is the
    Credential Issuer Identifier: by it a trust list tells the agencies below one IACA apart.

    Raises:
        ValueError: the CA is no IACA, or the life is beyond 457 days.
    """
    revocation = extension_of(iaca.certificate, x509.CRLDistributionPoints)
    if revocation is None:
        raise ValueError("that CA is no IACA: it has no revocation list")
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(issuer)])
    purposes = x509.ExtendedKeyUsage([EKU_MDL_DOCUMENT_SIGNER, EKU_CREDENTIAL_ISSUER])
    extensions = [(names, False), (purposes, True), (revocation, False)]
    return _leaf(iaca, CertificateRole.DOCUMENT_SIGNER, organization, public_key, extensions, now, random, life)


def create_operator_certificate(
    ca: CertificateAuthority,
    role: CertificateRole,
    *,
    operator: str,
    organization: str,
    public_key: PublicKey,
    now: datetime,
    random: RandomBytes,
    life: timedelta = timedelta(days=365),
) -> x509.Certificate:
    """Return the certificate of somebody who speaks for others: signs lists, registers or attests relying parties.

    Args:
        ca: who certifies it.
        role: ``STATUS_LIST_SIGNER``, ``VICAL_SIGNER``, ``TRUST_LIST_SIGNER``, ``REGISTRAR`` or ``VERIFIER_ATTESTER``.
        operator: URL that names the operator; ``iss`` of what it signs.
        organization: its name, for people.
        public_key: its key.
        now: the time of making.
        random: for the serial number.
        life: at most 1186 days, for the last two 456.

    Raises:
        ValueError: another role, or a life beyond that.
    """
    if role not in _OPERATORS:
        raise ValueError("that role signs no lists")
    extensions: list[_NewExtension] = [(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(operator)]), False)]
    purpose = PROFILES[role].purpose
    if purpose is not None:
        extensions.append((x509.ExtendedKeyUsage([purpose]), False))
    return _leaf(ca, role, organization, public_key, extensions, now, random, life)


def renew_certificate(
    ca: CertificateAuthority,
    certificate: x509.Certificate,
    *,
    public_key: PublicKey,
    now: datetime,
    random: RandomBytes,
    life: timedelta = timedelta(days=365),
) -> x509.Certificate:
    """Return a certificate that says of another key what ``certificate`` says of its own: for a rotation.

    Raises:
        ValueError: another CA certified ``certificate``, or the life is beyond that of its profile.
    """
    issuer = ca.certificate
    if certificate.issuer != issuer.subject:
        raise ValueError("another CA made that certificate")
    until = _leaf_end(role_of(certificate), issuer, now, life)
    builder = _builder(certificate.subject, issuer.subject, public_key, now, until, random)
    for extension in certificate.extensions:
        # basicConstraints stood in what we made before (decision 0112).
        if not isinstance(extension.value, _NOT_RENEWED):
            builder = builder.add_extension(extension.value, extension.critical)
    return _sign(builder.add_extension(_key_of(issuer), critical=False), ca.private_key)


_NOT_RENEWED = (x509.SubjectKeyIdentifier, x509.AuthorityKeyIdentifier, x509.BasicConstraints)
_NewExtension: TypeAlias = tuple[x509.ExtensionType, bool]
_OPERATORS = frozenset(
    {
        CertificateRole.STATUS_LIST_SIGNER,
        CertificateRole.VICAL_SIGNER,
        CertificateRole.TRUST_LIST_SIGNER,
        CertificateRole.REGISTRAR,
        CertificateRole.VERIFIER_ATTESTER,
    }
)


def _authority(
    subject: x509.Name,
    contact: str,
    private_key: RawPrivateKey,
    now: datetime,
    life: timedelta,
    random: RandomBytes,
    more: Sequence[x509.ExtensionType] = (),
) -> CertificateAuthority:
    if life > MAX_CA_LIFE:
        raise ValueError(f"a CA lives at most {MAX_CA_LIFE.days} days")
    key, until = PublicKey(private_key.public_key()), min(now + life, _start(now) + MAX_CA_LIFE)
    builder = (
        _builder(subject, subject, key, now, until, random)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.IssuerAlternativeName([x509.UniformResourceIdentifier(contact)]), critical=False)
    )
    for extension in more:
        builder = builder.add_extension(extension, critical=False)
    return CertificateAuthority(_sign(builder, private_key), private_key)


def _leaf(
    ca: CertificateAuthority,
    role: CertificateRole,
    organization: str,
    key: PublicKey,
    extensions: Sequence[_NewExtension],
    now: datetime,
    random: RandomBytes,
    life: timedelta,
    organization_id: str | None = None,
) -> x509.Certificate:
    issuer = ca.certificate
    subject = _name(country_of(issuer) or "", organization, organization, state_of(issuer), organization_id)
    until = _leaf_end(role, issuer, now, life)
    builder = (
        _builder(subject, issuer.subject, key, now, until, random)
        .add_extension(_key_of(issuer), critical=False)
        .add_extension(_key_usage("digital_signature"), critical=True)
        .add_extension(issuer.extensions.get_extension_for_class(x509.IssuerAlternativeName).value, critical=False)
    )
    # RFC 5280 4.2.1.9: who has no basicConstraints is no CA. Saying so in words trips others (decision 0112).
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return _sign(builder, ca.private_key)


def _leaf_end(role: CertificateRole, issuer: x509.Certificate, now: datetime, life: timedelta) -> datetime:
    longest = PROFILES[role].max_life
    # Counted from now, a life has a day less: the certificate is valid a little before its making.
    if life > longest - CLOCK_MARGIN:
        raise ValueError(f"a signing certificate lives at most {(longest - CLOCK_MARGIN).days} days")
    return min(now + life, _start(now) + longest, issuer.not_valid_after_utc)


def _key_of(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _distribution_points(url: str) -> x509.CRLDistributionPoints:
    point = x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
    return x509.CRLDistributionPoints([point])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, now: datetime, until: datetime, random: RandomBytes
) -> x509.CertificateBuilder:
    # 13.5: at least 63 random bits, at most 20 octets; the first bit is kept clear so that the number is positive.
    serial = int.from_bytes(random(_SERIAL_BYTES), "big") >> 1 | 1 << (8 * _SERIAL_BYTES - 2)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.raw)
        .serial_number(serial)
        .not_valid_before(_start(now))
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.raw), critical=False)
    )


def _start(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0) - CLOCK_MARGIN


def _sign(builder: x509.CertificateBuilder, private_key: RawPrivateKey) -> x509.Certificate:
    return builder.sign(private_key, None if isinstance(private_key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


# X.520: at most 64 characters of a common name.
_COMMON_NAME_LENGTH = 64


# ETSI EN 319 412-1 5.1.4: three letters for the kind of number, two for the country, a hyphen, the number.
_ORGANIZATION_ID = re.compile(r"[A-Z]{3}[A-Z]{2}-[\x21-\x7e]{1,60}\Z")


def _name(
    country: str, organization: str, common_name: str, state: str | None = None, organization_id: str | None = None
) -> x509.Name:
    if len(country) != 2 or not country.isascii() or not country.isupper():
        raise ValueError("a country is two capital letters")
    if organization_id is not None and not _ORGANIZATION_ID.match(organization_id):
        raise ValueError("the number of an organisation is like NTRKR-1234567890 (ETSI EN 319 412-1)")
    attributes = [x509.NameAttribute(NameOID.COUNTRY_NAME, country)]
    if state is not None:
        attributes.append(x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, state))
    registered = (
        [] if organization_id is None else [x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, organization_id)]
    )
    return x509.Name(
        [
            *attributes,
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            *registered,
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_COMMON_NAME_LENGTH]),
        ]
    )


def _key_usage(*granted: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in granted for usage in KEY_USAGES})


def _host_name(url: str) -> x509.GeneralName:
    host = urlsplit(url).hostname
    if not host:
        raise ValueError("the URL has no host")
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
