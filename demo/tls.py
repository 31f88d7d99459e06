"""https for the demo: a certification authority made on the spot, and how a phone learns to trust it.

The authority can certify nothing but the demo's own host (RFC 5280 4.2.1.10), so that trusting it costs nobody more.
"""

import ipaddress
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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

CERTIFICATE_PATH: Final = "/jigap-demo-ca.crt"

_BACKDATED = timedelta(days=1)

_PAGE = """<!doctype html>
<html lang="ko"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Jigap 시험용 인증서</title>
<h1>시험용 인증서를 이 기기에 등록해요</h1>
<p><a href="{path}">인증서 내려받기 · Download the certificate</a></p>
<p>SHA-256: <code>{fingerprint}</code></p>
<h2>iPhone · iPad</h2>
<ol><li>내려받은 뒤 설정 → 프로파일이 다운로드됨 → 설치</li>
<li>설정 → 일반 → 정보 → 인증서 신뢰 설정에서 켜기</li></ol>
<h2>Android</h2>
<ol><li>설정 → 보안 → 암호화 및 사용자 인증 정보 → 인증서 설치 → CA 인증서</li><li>내려받은 파일 고르기</li></ol>
<p>이 인증서는 {host} 밖에서는 쓸모가 없어요. 시험이 끝나면 같은 곳에서 지워 주세요.</p>
<p lang="en">iOS: install the downloaded profile in Settings, then switch it on in General → About → Certificate Trust
Settings. Android: Settings → Security → Encryption &amp; credentials → Install a certificate → CA certificate. It can
certify nothing but {host}; remove it in the same place when you are done.</p>
<p><a href="{wallet}">지갑 열기 · Open the wallet</a></p>
</html>
"""


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


@contextmanager
def trust_page(deployment: Deployment) -> Iterator[str]:
    """Serve the authority's certificate, and how to install it, by plain http; yield the address of the page."""
    certificate = x509.load_pem_x509_certificate(deployment.tls_roots.read_bytes())
    server = ThreadingHTTPServer((deployment.listen, deployment.trust_port), _handler(deployment, certificate))
    thread = threading.Thread(target=server.serve_forever, name="trust-page", daemon=True)
    thread.start()
    try:
        yield f"http://{deployment.host}:{deployment.trust_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


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


def _handler(deployment: Deployment, certificate: x509.Certificate) -> type[BaseHTTPRequestHandler]:
    page = _PAGE.format(
        path=CERTIFICATE_PATH,
        host=escape(deployment.host),
        wallet=escape(deployment.url("wallet")),
        fingerprint=certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
    )
    answers = {
        "/": ("text/html; charset=utf-8", page.encode()),
        CERTIFICATE_PATH: ("application/x-x509-ca-cert", certificate.public_bytes(Encoding.DER)),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path)
            if found is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Type", found[0])
            self.send_header("Content-Length", str(len(found[1])))
            self.end_headers()
            self.wfile.write(found[1])

        def log_message(self, *_: object) -> None:
            """Write nothing: the terminal belongs to the story."""

    return Handler


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
