"""Where a browser brings the answer of a login to a command: a listener on the loopback address (RFC 8252 7.3)."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

PATH: Final = "/callback"

_PAGE: Final = (
    '<!doctype html><html lang="ko"><meta charset="utf-8"><title>Jigap</title>'
    '<p>터미널로 돌아가 주세요.</p><p lang="en">Please go back to the terminal.</p></html>'
).encode()


class LoopbackListener:
    """Takes the first request to :data:`PATH`, and nothing else. ``with`` opens it and closes it."""

    def __init__(self) -> None:
        self._query: str | None = None
        self._came = threading.Event()
        # RFC 8252 7.3, 8.3: a port that the system chooses, on the loopback address only.
        self._server = HTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def redirect_uri(self) -> str:
        """Where the authorization server is to send the browser."""
        return f"http://127.0.0.1:{self._server.server_port}{PATH}"

    def __enter__(self) -> Self:
        """Begin to listen."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def wait(self, seconds: float) -> str | None:
        """Return the query that came within so many seconds, or None."""
        self._came.wait(seconds)
        return self._query

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                taken = parts.path == PATH and not listener._came.is_set()
                self.send_response(200 if taken else 404)
                for name, value in (("Content-Type", "text/html; charset=utf-8"), ("Referrer-Policy", "no-referrer")):
                    self.send_header(name, value)
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                self.wfile.write(_PAGE if taken else b"")
                if taken:
                    listener._query = parts.query
                    listener._came.set()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                """Say nothing: the address holds a code."""

        return Handler
