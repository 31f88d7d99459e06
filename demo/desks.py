"""The desks that start things: an agency's office and a company's counter, over our APIs and a console's forms."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from demo.exchanges import Exchange, RecordingClient
from wallet_core.encoding import strict_json
from wallet_core.errors import FetchError, WalletError
from wallet_core.http import HttpRequest, HttpResponse, get, post_form

_TEMPORARY: Final = 500
_SEE_OTHER: Final = 303
_PAGE: Final = "text/html"
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

    def get(self, path: str) -> dict[str, Any]:
        """Return the answer to a GET. Raises as :meth:`post`."""
        return self._ask(HttpRequest("GET", self.url + path, self._with_key({"Accept": "application/json"})))

    def _with_key(self, headers: dict[str, str]) -> dict[str, str]:
        return {**headers, "Authorization": f"Bearer {self.api_key}"}

    def _ask(self, request: HttpRequest) -> dict[str, Any]:
        response = self.client.send(request)
        if response.status >= _TEMPORARY:
            raise FetchError("a server cannot answer now", detail=f"{request.url} answered {response.status}")
        if not response.ok:
            raise ApiRefusal(self.client.last)
        return strict_json.loads_object(response.body, max_bytes=1 << 20)


@dataclass(slots=True)
class Console:
    """Uses a console as a browser without script does: fetches pages, sends their forms, keeps the session cookie."""

    client: RecordingClient
    url: str
    _cookie: str = field(default="", repr=False)

    def sign_in(self, api_key: str) -> None:
        """Open the console with a key. Raises as :meth:`submit`."""
        self.submit("/console/sign-in", "/console/sign-in", {"api_key": api_key})

    def submit(self, page: str, action: str, fields: Mapping[str, str]) -> None:
        """Fetch ``page`` and send its form to ``action``.

        Raises:
            FetchError: the server was not reached, or cannot answer now.
            ApiRefusal: the page or the form was refused.
        """
        form = self._send(get(self.url + page, accept=_PAGE))
        token = _CSRF_TOKEN.search(form.body)
        if not form.ok or token is None:
            raise ApiRefusal(self.client.last)
        answer = self._send(post_form(self.url + action, {**fields, "csrf_token": token[1].decode()}, accept=_PAGE))
        # What was done answers with the address of the page that shows it.
        if answer.status != _SEE_OTHER:
            raise ApiRefusal(self.client.last)

    def _send(self, request: HttpRequest) -> HttpResponse:
        headers = {**request.headers, **({"Cookie": self._cookie} if self._cookie else {})}
        response = self.client.send(HttpRequest(request.method, request.url, headers, request.body))
        if response.status >= _TEMPORARY:
            raise FetchError("a server cannot answer now", detail=f"{request.url} answered {response.status}")
        if cookie := response.headers.get("set-cookie", "").partition(";")[0]:
            self._cookie = cookie
        return response
