"""The certificates we make: a CA, an agency's signing certificate, a verifier's access certificate.

Profiles: ``protocols.md`` 13.5 (periods, key usage, key identifiers, serial numbers), M22 and M29 (names), HAIP 6.1.1.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID, ObjectIdentifier

from wallet_core.keys.algorithms import PublicKey, RawPrivateKey
from wallet_core.trust.x509 import EKU_CREDENTIAL_ISSUER, EKU_VERIFIER_ACCESS
from wallet_core.types import CredentialIssuerId, RandomBytes

MAX_CA_LIFE: Final = timedelta(days=20 * 365)
MAX_LEAF_LIFE: Final = timedelta(days=457)
"""ISO 18013-5 table B.3, and our limit for verifiers' certificates too."""

CLOCK_MARGIN: Final = timedelta(days=1)
"""How long before its making a certificate is valid: credentials carry times rounded down to the hour (M12)."""

_SERIAL_BYTES = 16
_KEY_USAGES = (
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
    if life > MAX_CA_LIFE:
        raise ValueError(f"a CA lives at most {MAX_CA_LIFE.days} days")
    subject = _name(country, organization, common_name)
    key = private_key.public_key()
    builder = (
        _builder(subject, subject, PublicKey(key), now, now + life, random)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
        .add_extension(x509.IssuerAlternativeName([x509.UniformResourceIdentifier(contact)]), critical=False)
    )
    return CertificateAuthority(_sign(builder, private_key), private_key)


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
    names = [x509.UniformResourceIdentifier(issuer), _host_name(issuer)]
    return _leaf(ca, organization, public_key, names, EKU_CREDENTIAL_ISSUER, now, random, life)


def create_verifier_certificate(
    ca: CertificateAuthority,
    *,
    response_uri: str,
    organization: str,
    public_key: PublicKey,
    now: datetime,
    random: RandomBytes,
    life: timedelta = timedelta(days=365),
) -> x509.Certificate:
    """Return the access certificate of a relying party: dNSName = host of ``response_uri`` (M29, OpenID4VP 5.9.3).

    Raises:
        ValueError: ``response_uri`` is no URL with a host, or the life is beyond 457 days.
    """
    return _leaf(ca, organization, public_key, [_host_name(response_uri)], EKU_VERIFIER_ACCESS, now, random, life)


def _leaf(
    ca: CertificateAuthority,
    organization: str,
    key: PublicKey,
    names: list[x509.GeneralName],
    purpose: ObjectIdentifier,
    now: datetime,
    random: RandomBytes,
    life: timedelta,
) -> x509.Certificate:
    # 13.5: at most 457 days, counted from the first second of validity.
    if life + CLOCK_MARGIN > MAX_LEAF_LIFE:
        raise ValueError(f"a signing certificate lives at most {(MAX_LEAF_LIFE - CLOCK_MARGIN).days} days")
    issuer = ca.certificate
    country = str(issuer.subject.get_attributes_for_oid(NameOID.COUNTRY_NAME)[0].value)
    until = min(now + life, issuer.not_valid_after_utc)
    ca_key_identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_name(country, organization, organization), issuer.subject, key, now, until, random)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_key_identifier), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer.extensions.get_extension_for_class(x509.IssuerAlternativeName).value, critical=False)
    )
    return _sign(builder, ca.private_key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PublicKey, now: datetime, until: datetime, random: RandomBytes
) -> x509.CertificateBuilder:
    # 13.5: at least 63 random bits, at most 20 octets; the first bit is kept clear so that the number is positive.
    serial = int.from_bytes(random(_SERIAL_BYTES), "big") >> 1 | 1 << (8 * _SERIAL_BYTES - 2)
    start = now.replace(minute=0, second=0, microsecond=0) - CLOCK_MARGIN
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.raw)
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.raw), critical=False)
    )


def _sign(builder: x509.CertificateBuilder, private_key: RawPrivateKey) -> x509.Certificate:
    return builder.sign(private_key, None if isinstance(private_key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


# X.520: at most 64 characters of a common name.
_COMMON_NAME_LENGTH = 64


def _name(country: str, organization: str, common_name: str) -> x509.Name:
    if len(country) != 2 or not country.isascii() or not country.isupper():
        raise ValueError("a country is two capital letters")
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, country),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_COMMON_NAME_LENGTH]),
        ]
    )


def _key_usage(*granted: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{usage: usage in granted for usage in _KEY_USAGES})


def _host_name(url: str) -> x509.GeneralName:
    host = urlsplit(url).hostname
    if not host:
        raise ValueError("the URL has no host")
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
