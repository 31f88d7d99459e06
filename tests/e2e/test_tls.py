"""https: the demo's own authority, what `serve` offers (protocols.md M8), and addresses behind a proxy."""

import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.verification import DNSName, PolicyBuilder, Store, VerificationError

from demo.deployment import Deployment
from demo.phone_page import CERTIFICATE_PATH, trust_page
from demo.servers import DemoError
from demo.tls import check_host, make_certificates, own_name
from issuer.settings import IssuerSettings
from tests.support.issuing import HOST, LICENCE, IssuerUnderTest
from tests.support.network import free_base_port
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import SettingsError
from wallet_core.adapters.keystore import new_key_text

NOW = SystemClock().now()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    made = Deployment(tmp_path_factory.mktemp("tls"), free_base_port(), tls=True)
    make_certificates(made, NOW)
    return made


@pytest.fixture(scope="module")
def port(deployment: Deployment) -> Iterator[int]:
    """A small app served over TLS by two workers."""
    files = [str(deployment.tls_certificate), str(deployment.tls_key)]
    arguments = [str(deployment.base_port), "2", str(deployment.folder), *files]
    process = subprocess.Popen([sys.executable, "-m", "tests.support.served_app", *arguments])
    until = time.monotonic() + 30
    while not _answers(deployment):
        assert time.monotonic() < until, "the server did not start"
        time.sleep(0.1)
    yield deployment.base_port
    process.kill()
    process.wait()


def _answers(deployment: Deployment) -> bool:
    try:
        context = ssl.create_default_context(cafile=deployment.tls_roots)
        return httpx2.get(f"https://localhost:{deployment.base_port}/pid", verify=context).status_code == 200
    except httpx2.TransportError:
        return False


def _handshake(port: int, context: ssl.SSLContext) -> str | None:
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as secure:
        return secure.version()


def _client(*, lowest: ssl.TLSVersion, highest: ssl.TLSVersion, ciphers: str | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(ciphers or "ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = lowest, highest
    return context


def test_tls_1_3_is_preferred(port: int) -> None:
    assert _handshake(port, _client(lowest=ssl.TLSVersion.TLSv1_2, highest=ssl.TLSVersion.TLSv1_3)) == "TLSv1.3"


def test_tls_1_2_with_forward_secrecy_and_aead_is_taken(port: int) -> None:
    only = ssl.TLSVersion.TLSv1_2
    assert _handshake(port, _client(lowest=only, highest=only, ciphers="ECDHE+AESGCM")) == "TLSv1.2"


@pytest.mark.parametrize("ciphers", ["ECDHE+AES256:!AESGCM:!AESCCM", "ECDHE+CHACHA20", "ECDHE+AESCCM"])
def test_other_suites_of_tls_1_2_are_refused(port: int, ciphers: str) -> None:
    only = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _handshake(port, _client(lowest=only, highest=only, ciphers=f"{ciphers}:@SECLEVEL=0"))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_older_versions_are_refused(port: int) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _handshake(port, _client(lowest=ssl.TLSVersion.TLSv1, highest=ssl.TLSVersion.TLSv1_1))


def _verify(deployment: Deployment, leaf: x509.Certificate, host: str) -> None:
    root = x509.load_pem_x509_certificate(deployment.tls_roots.read_bytes())
    PolicyBuilder().store(Store([root])).time(NOW).build_server_verifier(DNSName(host)).verify(leaf, [])


def test_the_authority_certifies_one_host_and_its_key_is_gone(deployment: Deployment) -> None:
    server = x509.load_pem_x509_certificate(deployment.tls_certificate.read_bytes())
    root = x509.load_pem_x509_certificate(deployment.tls_roots.read_bytes())
    _verify(deployment, server, "localhost")
    with pytest.raises(VerificationError):
        _verify(deployment, server, "bank.example")
    constraints = root.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert constraints.value.permitted_subtrees == [x509.DNSName("localhost")]
    keys = [path for path in deployment.tls_roots.parent.iterdir() if b"PRIVATE KEY" in path.read_bytes()]
    assert keys == [deployment.tls_key]
    assert deployment.tls_key.stat().st_mode & 0o077 == 0


def test_a_certificate_for_another_host_below_a_constrained_authority_is_refused(tmp_path: Path) -> None:
    from demo.tls import _authority, _server

    deployment = Deployment(tmp_path, free_base_port(), tls=True)
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _authority("localhost", key, NOW)
    forged = _server("bank.example", root, key, other.public_key(), NOW)
    verifier = PolicyBuilder().store(Store([root])).time(NOW + timedelta(days=1))
    with pytest.raises(VerificationError):
        verifier.build_server_verifier(DNSName("bank.example")).verify(forged, [])
    assert not deployment.tls_key.exists()


def test_the_page_for_phones_gives_the_certificate_and_nothing_else(deployment: Deployment) -> None:
    with trust_page(deployment) as address:
        page, english = httpx2.get(address), httpx2.get(address, headers={"Accept-Language": "en-GB"})
        assert httpx2.get(f"{address}static/css/tokens.css").headers["content-type"] == "text/css"
        certificate = httpx2.get(address.rstrip("/") + CERTIFICATE_PATH)
        assert httpx2.get(f"{address}server.key").status_code == 404
        assert httpx2.get(f"{address}../server.key").status_code == 404
    assert "인증서" in page.text
    assert "Certificate Trust" in english.text
    assert deployment.url("wallet") in page.text
    assert certificate.headers["content-type"] == "application/x-x509-ca-cert"
    root = x509.load_pem_x509_certificate(deployment.tls_roots.read_bytes())
    assert x509.load_der_x509_certificate(certificate.content) == root


def test_a_host_must_be_a_name_that_resolves() -> None:
    check_host("localhost")
    with pytest.raises(DemoError) as caught:
        check_host("127.0.0.1")
    assert own_name() in caught.value.detail
    with pytest.raises(DemoError):
        check_host("no-such-name.invalid")


def test_certificate_and_key_go_together_and_only_with_https() -> None:
    settings = IssuerSettings(public_url="https://issuer.example", database_url="sqlite://", sealing_key=new_key_text())
    assert settings.tls is None
    files = {"JIGAP_ISSUER_TLS_CERTIFICATE": "chain.pem", "JIGAP_ISSUER_DATABASE_URL": "sqlite://"}
    with pytest.raises(SettingsError, match="go together"):
        IssuerSettings.from_environment({**files, "JIGAP_ISSUER_PUBLIC_URL": "https://issuer.example"})
    both = files | {"JIGAP_ISSUER_TLS_KEY": "key.pem"}
    plain = {"JIGAP_ISSUER_PUBLIC_URL": "http://localhost:8100", "JIGAP_ISSUER_INSECURE_ALLOW_LOOPBACK": "true"}
    with pytest.raises(SettingsError, match="must be https"):
        IssuerSettings.from_environment(both | plain)


def test_behind_a_proxy_every_address_is_the_public_one(sqlite_issuer: IssuerUnderTest) -> None:
    """The proxy ends TLS and calls us by another name; a stranger may send any forwarding header."""
    misleading = {
        "Host": "10.0.0.7:8100",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "Forwarded": "host=evil.example;proto=http",
    }
    made = sqlite_issuer.api(
        "POST",
        "/offers",
        json={"credential_configuration_ids": [LICENCE], "claims": {LICENCE: sqlite_issuer.record(LICENCE)}},
        headers=misleading,
    )
    assert made.status_code == 201
    documents = [
        sqlite_issuer.client.get(f"/.well-known/{name}/agencies/police", headers=misleading)
        for name in ("openid-credential-issuer", "oauth-authorization-server", "jwt-vc-issuer")
    ]
    for answer in (made, *documents):
        assert answer.status_code in {200, 201}
        assert "evil.example" not in answer.text
        assert "10.0.0.7" not in answer.text
        assert HOST in answer.text
    page = sqlite_issuer.client.get("/console", headers=misleading)
    cookies = page.headers.get_list("set-cookie")
    assert all(cookie.startswith("__Host-") and "secure" in cookie.lower() for cookie in cookies)
    assert page.headers["strict-transport-security"]
