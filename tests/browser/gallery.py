"""Serves every template with its sample context, so that pages are judged in states an app reaches only rarely."""

import json
import threading
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import holder_app
import issuer.console
import issuer.login
import verifier.console
from demo.phone_page import phone_pages
from tests.support.page_samples import AGENCY, ISSUER, LOGIN, LOGIN_METHODS, NOW, PARTY, VERIFIER
from tests.support.wallet_samples import WALLET
from wallet_core.adapters.ui import STATIC
from wallet_core.adapters.ui.display import choose_display
from wallet_core.adapters.ui.environment import STATIC_PATH, Pages, create_pages
from wallet_core.adapters.ui.messages import load_messages

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def _pages(area: str, module: Any, parts: Sequence[str] = ("",)) -> Pages:
    folder = Path(module.__file__).parent
    return create_pages(load_messages(["base", area]), [folder / part / "templates" for part in parts])


def _below(folder: str, samples: Mapping[str, tuple[str, dict[str, Any]]]) -> dict[str, tuple[str, dict[str, Any]]]:
    return {name: (f"{folder}/{template}", context) for name, (template, context) in samples.items()}


SHELVES: Mapping[str, tuple[Pages, dict[str, Any], dict[str, tuple[str, dict[str, Any]]]]] = {
    "issuer": (_pages("issuer", issuer.console), AGENCY, {k: (f"console/{t}", c) for k, (t, c) in ISSUER.items()}),
    "login": (
        _pages("issuer", issuer.login),
        AGENCY | {"root": "/agencies/police"},
        _below("login", LOGIN | LOGIN_METHODS),
    ),
    "verifier": (
        _pages("verifier", verifier.console),
        PARTY,
        {k: (f"console/{t}", c) for k, (t, c) in VERIFIER.items()},
    ),
    "wallet": (
        _pages("wallet", holder_app, ("", "accounts", "credentials", "issuance", "presentation")),
        {"now": NOW, "csrf_token": "token"},
        WALLET,
    ),
    "demo": (
        phone_pages(),
        {"host": "a-rather-long-name-of-a-laptop.local"},
        {
            "phone": (
                "phone.html",
                {"certificate": "/x.crt", "wallet": "https://demo.local:8300", "fingerprint": "AB:" * 31 + "CD"},
            )
        },
    ),
    "base": (
        create_pages(load_messages(["base"])),
        {"now": NOW},
        {
            **{
                f"error-{status}": ("error.html", {"status": status, "error": "invalid_request", "trace_id": "7f3a"})
                for status in (400, 401, 403, 404, 409, 413, 422, 429, 500, 502)
            },
            "blank": ("blank.html", {"heading": "아직 카드가 없어요", "action": {"href": "/", "text": "받기"}}),
        },
    ),
}
ADDRESSES = [f"/{shelf}/{name}" for shelf, (_, _, samples) in SHELVES.items() for name in samples]
CITIZEN_ADDRESSES = [address for address in ADDRESSES if not address.startswith(("/issuer", "/verifier"))]
STAFF_ADDRESSES = [address for address in ADDRESSES if address not in CITIZEN_ADDRESSES]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.path.startswith(STATIC_PATH):
            file = STATIC / address.path.removeprefix(STATIC_PATH + "/")
            return self.answer(file.read_bytes(), TYPES[file.suffix])
        if address.path.endswith("/state"):
            return self.tell_state()
        _, shelf, name = address.path.split("/")
        pages, common, samples = SHELVES[shelf]
        template, context = samples[name]
        display = choose_display(dict(parse_qsl(address.query)), {})
        html = pages.render(template, display, self.path, **{**common, **context})
        return self.answer(html.encode(), "text/html; charset=utf-8")

    def tell_state(self) -> None:
        assert isinstance(self.server, Gallery)
        if self.server.state is None:
            self.send_error(503)
        else:
            self.answer(json.dumps({"state": self.server.state}).encode(), "application/json")

    def answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Security-Policy", POLICY)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class names it so
        pass


class Gallery(ThreadingHTTPServer):
    """A server of all samples. ``state`` is what pages that poll are told; None: the server is away."""

    request_queue_size = 128  # a page asks for a dozen files at once; the default of 5 resets some
    daemon_threads = True
    state: str | None = None


def start_gallery() -> Gallery:
    """Return a running server of all samples on a free port of this machine."""
    server = Gallery(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
