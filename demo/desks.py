"""The desks that start things: an agency's office and a company's counter, over the APIs that real ones would use."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from demo.exchanges import Exchange, RecordingClient
from wallet_core.encoding import strict_json
from wallet_core.errors import FetchError, WalletError
from wallet_core.http import HttpRequest

_TEMPORARY: Final = 500


class ApiRefusal(WalletError):
    """One of our own APIs refused; ``exchange`` is what was said."""

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
