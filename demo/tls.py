"""https for the demo: a certification authority made on the spot.

The authority can certify nothing but the demo's own host (RFC 5280 4.2.1.10), so that trusting it costs nobody more.
"""

import ipaddress
import os
import socket
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from demo.deployment import Deployment
from demo.servers import DemoError

LIFE: Final = timedelta(days=365)
"""Apple's systems take no server certificate that lives longer than 825 days; the demo's folder is good for 330."""

_BACKDATED = timedelta(days=1)


def make_certificates(deployment: Deployment, now: datetime) -> None:
    """Write the authority's certificate and the servers' certificate and key. The authority's key is forgotten."""
    deployment.tls_roots.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority_key, server_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _authority(deployment.host, authority_key, now)
    server = _server(deployment.host, authority, authority_key, server_key.public_key(), now)
    pem = server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with os.fdopen(os.open(deployment.tls_key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
    deployment.tls_certificate.write_bytes(server.public_bytes(Encoding.PEM))
    deployment.tls_roots.write_bytes(authority.public_bytes(Encoding.PEM))


def own_name() -> str:
    """Return the name under which others in this network may reach this machine (multicast DNS, RFC 6762)."""
    name = socket.gethostname().lower().partition(".")[0]
    return f"{name}.local"


def check_host(host: str) -> None:
    """Check that the demo can be served under ``host``.

    Raises:
        DemoError: it is an address, or a name that this machine does not know either.
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        # OpenID4VP 5.9.3: an access certificate names a host by dNSName.
        raise DemoError("the host is an address", detail=f"certificates name hosts: try {own_name()} instead of {host}")
    try:
        socket.getaddrinfo(host, None)
    except OSError as exc:
        raise DemoError(
            "the host is unknown", detail=f"{host} does not resolve on this machine, so its servers would not find it"
        ) from exc


def _authority(host: str, key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Jigap 시험용"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Jigap demo CA for {host} {now:%Y-%m-%d %H:%M}"),
        ]
    )
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage("key_cert_sign"), critical=True)
        .add_extension(_only(host), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _server(
    host: str,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Jigap 시험용")])
    issuer_key = authority_key.public_key()
    return (
        x509.CertificateBuilder(authority.subject, name, public_key, x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _usage(granted: str) -> x509.KeyUsage:
    usages = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    every = (*usages, "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{usage: usage == granted for usage in every})


def _only(host: str) -> x509.NameConstraints:
    """Return the constraint to one name and to no address."""
    everywhere = [x509.IPAddress(ipaddress.ip_network(block)) for block in ("0.0.0.0/0", "::/0")]
    return x509.NameConstraints([x509.DNSName(host)], everywhere)
