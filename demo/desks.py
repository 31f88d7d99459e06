"""The desks that start things, over our APIs and a console's forms; and a person's browser."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any, Final
from urllib.parse import urljoin

from demo.exchanges import Exchange, RecordingClient
from wallet_core.encoding import strict_json
from wallet_core.errors import FetchError, WalletError
from wallet_core.http import HttpRequest, HttpResponse, get, post_form

_TEMPORARY: Final = 500
_SEE_OTHER: Final = 303
_PAGE: Final = "text/html"
_COOKIE: Final = re.compile(r"(?:^|, )((?:__Host-)?jigap-[a-z-]+)=([^;,]*)")
_HIDDEN: Final = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')
_CSRF_TOKEN: Final = re.compile(rb'name="csrf_token" value="([A-Za-z0-9_-]+)"')


class ApiRefusal(WalletError):
    """One of our own APIs or consoles refused; ``exchange`` is what was said."""

    code = "api_refusal"

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        super().__init__(
            "an API refused", detail=f"{exchange.request.url} answered {exchange.response.status} {exchange.error}"
        )


@dataclass(frozen=True, slots=True)
class Desk:
    """Calls one owner's API with its key."""

    client: RecordingClient
    url: str
    api_key: str

    def post(self, path: str, body: Mapping[str, Any], *, key: str) -> dict[str, Any]:
        """Return the answer to a POST. ``key`` makes a repeat harmless: it gets the first answer again.

        Raises:
            FetchError: the server was not reached, or cannot answer now.
            ApiRefusal: it said no.
        """
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        return self._ask(HttpRequest("POST", self.url + path, self._with_key(headers), strict_json.dumps(body)))

    def upload(self, path: str, table: str, *, key: str) -> dict[str, Any]:
        """Return the answer to a POST of a CSV file. Raises as :meth:`post`."""
        headers = {"Content-Type": "text/csv", "Idempotency-Key": key}
        return self._ask(HttpRequest("POST", self.url + path, self._with_key(headers), table.encode()))

    def get(self, path: str) -> dict[str, Any]:
        """Return the answer to a GET. Raises as :meth:`post`."""
        return self._ask(HttpRequest("GET", self.url + path, self._with_key({"Accept": "application/json"})))

    def download(self, path: str) -> str:
        """Return a file of text. Raises as :meth:`post`."""
        return self._answer(HttpRequest("GET", self.url + path, self._with_key({}))).body.decode()

    def _with_key(self, headers: dict[str, str]) -> dict[str, str]:
        return {**headers, "Authorization": f"Bearer {self.api_key}"}

    def _ask(self, request: HttpRequest) -> dict[str, Any]:
        return strict_json.loads_object(self._answer(request).body, max_bytes=1 << 20)

    def _answer(self, request: HttpRequest) -> HttpResponse:
        response = self.client.send(request)
        if response.status >= _TEMPORARY:
            raise FetchError("a server cannot answer now", detail=f"{request.url} answered {response.status}")
        if not response.ok:
            raise ApiRefusal(self.client.last)
        return response


@dataclass(slots=True)
class Browser:
    """A person's browser without script at one server: keeps its cookies, follows where it is sent, sends forms."""

    client: RecordingClient
    url: str
    page: HttpResponse = field(default_factory=lambda: HttpResponse(0), repr=False)
    _cookies: dict[str, str] = field(default_factory=dict, repr=False)

    def open(self, url: str) -> None:
        """Open a page of the server, from wherever it sends the browser to; ``page`` is what came.

        Raises:
            FetchError: the server was not reached, or cannot answer now.
            ApiRefusal: it refused.
        """
        self._arrive(self._send(get(url, accept=_PAGE)))

    def submit(self, path: str, fields: Mapping[str, str]) -> str:
        """Send a form of the open page, and return where that leads; within the server it is followed.

        Raises:
            FetchError: the server was not reached, or cannot answer now.
            ApiRefusal: the page has no form, or the form was refused.
        """
        token = _CSRF_TOKEN.search(self.page.body)
        if token is None:
            raise ApiRefusal(self.client.last)
        form = {**fields, "csrf_token": token[1].decode()}
        answer = self._send(post_form(self.url + path, form, accept=_PAGE))
        # What was done answers with the address of the page that shows it.
        if answer.status != _SEE_OTHER:
            raise ApiRefusal(self.client.last)
        return self._arrive(answer)

    @property
    def hidden(self) -> dict[str, str]:
        """The fields of the open page that nobody sees, to be sent along with a form."""
        return {name: unescape(value) for name, value in _HIDDEN.findall(self.page.body.decode())}

    def link(self, pattern: re.Pattern[str]) -> str:
        """Return the address in the open page that the pattern's group finds. Raises ``ApiRefusal`` without one."""
        found = pattern.search(self.page.body.decode())
        if found is None:
            raise ApiRefusal(self.client.last)
        return unescape(found[1])

    def _arrive(self, answer: HttpResponse) -> str:
        """Go where an answer sends the browser; return the address, and stop where it leaves the server."""
        address = ""
        while answer.status == _SEE_OTHER:
            address = urljoin(self.url, answer.headers.get("location", ""))
            if not address.startswith(f"{self.url}/"):
                return address
            answer = self._send(get(address, accept=_PAGE))
        if not answer.ok:
            raise ApiRefusal(self.client.last)
        self.page = answer
        return address

    def _send(self, request: HttpRequest) -> HttpResponse:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {**request.headers, **({"Cookie": cookies} if cookies else {})}
        response = self.client.send(HttpRequest(request.method, request.url, headers, request.body))
        if response.status >= _TEMPORARY:
            raise FetchError("a server cannot answer now", detail=f"{request.url} answered {response.status}")
        self._cookies |= dict(_COOKIE.findall(response.headers.get("set-cookie", "")))
        return response


@dataclass(slots=True)
class Console:
    """Uses a console as a browser does: fetches pages, sends their forms."""

    browser: Browser

    @classmethod
    def at(cls, client: RecordingClient, url: str) -> "Console":
        """Return the console of a server, not signed in."""
        return cls(Browser(client, url))

    def sign_in(self, api_key: str) -> None:
        """Open the console with a key. Raises as :meth:`submit`."""
        self.submit("/console/sign-in", "/console/sign-in", {"api_key": api_key})

    def submit(self, page: str, action: str, fields: Mapping[str, str]) -> None:
        """Fetch ``page`` and send its form to ``action``.

        Raises:
            FetchError: the server was not reached, or cannot answer now.
            ApiRefusal: the page or the form was refused.
        """
        self.browser.open(self.browser.url + page)
        self.browser.submit(action, fields)
