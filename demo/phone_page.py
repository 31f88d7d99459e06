"""The page, by plain http, from which a phone takes the demo's certificate and learns to trust it."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from demo.deployment import Deployment
from wallet_core.adapters.ui import STATIC
from wallet_core.adapters.ui.display import choose_display
from wallet_core.adapters.ui.environment import STATIC_PATH, Pages, create_pages
from wallet_core.adapters.ui.messages import Messages, load_messages

CERTIFICATE_PATH: Final = "/jigap-demo-ca.crt"

_FOLDER: Final = Path(__file__).parent
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_POLICY: Final = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; base-uri 'none'"


def phone_pages() -> Pages:
    """Return the pages of the demo itself."""
    base, own = load_messages(["base"]), load_messages(["demo"], _FOLDER / "messages")
    both = {language: {**base.texts[language], **own.texts[language]} for language in base.texts}
    return create_pages(Messages(both), [_FOLDER / "templates"])


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


def _handler(deployment: Deployment, certificate: x509.Certificate) -> type[BaseHTTPRequestHandler]:
    pages, files = phone_pages(), _files(certificate)
    told = {
        "host": deployment.host,
        "certificate": CERTIFICATE_PATH,
        "wallet": deployment.url("wallet"),
        "fingerprint": certificate.fingerprint(hashes.SHA256()).hex(":").upper(),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            if address.path in files:
                self.answer(*files[address.path])
                return
            found = address.path == "/"
            template, values = ("phone.html", told) if found else ("error.html", {"status": 404})
            display = choose_display(dict(parse_qsl(address.query)), {}, self.headers.get("Accept-Language", ""))
            page = pages.render(template, display, self.path, **values)
            self.answer("text/html; charset=utf-8", page.encode(), 200 if found else 404)

        def answer(self, kind: str, body: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", _POLICY)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing: the terminal belongs to the story."""

    return Handler


def _files(certificate: x509.Certificate) -> Mapping[str, tuple[str, bytes]]:
    """Return everything but the page, by path: nothing is looked up in folders while serving."""
    static = {
        f"{STATIC_PATH}/{file.relative_to(STATIC).as_posix()}": (_TYPES[file.suffix], file.read_bytes())
        for file in STATIC.rglob("*")
        if file.suffix in _TYPES
    }
    return {**static, CERTIFICATE_PATH: ("application/x-x509-ca-cert", certificate.public_bytes(Encoding.DER))}
