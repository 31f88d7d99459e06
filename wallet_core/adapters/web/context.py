"""What the web side of one app has at hand."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from starlette.requests import HTTPConnection

from wallet_core.adapters.app_tables import AppTables
from wallet_core.adapters.config import AppSettings
from wallet_core.adapters.keystore import Sealer
from wallet_core.adapters.sql import Database
from wallet_core.adapters.ui.environment import Pages

PROTOCOL: Final = "jigap.protocol"
"""Member of the scope: whether the path is one that wallets call, whose answers are never pages."""


ASKED_AGAIN: Final = "jigap.asked_again"
"""Member of the scope: whether the refusal only asks for the same request with a fresh nonce or attestation."""

ANSWER_HEADERS: Final = "jigap.answer_headers"
"""Member of the scope: headers for whatever answer there will be, an error or not."""


@dataclass(frozen=True, slots=True)
class CallLimit:
    """How often one owner of API keys may call our own API, however many keys it has.

    Attributes:
        interval: the long-run distance of two calls.
        burst: how many may come at once after a pause.
    """

    interval: timedelta
    burst: int


def is_opened(connection: HTTPConnection) -> bool:
    """Return whether a person's browser goes to this address, as far as it says so.

    A page that fetches or embeds it, and a browser that fetches it in case somebody goes there, must not spend what is
    in it (protocols.md 24, traps). Browsers that say nothing are taken at their word.
    """
    headers = connection.headers
    ahead = f"{headers.get('sec-purpose', '')} {headers.get('purpose', '')} {headers.get('x-moz', '')}"
    return headers.get("sec-fetch-mode", "navigate") == "navigate" and "prefetch" not in ahead.lower()


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        ...


@dataclass(frozen=True, slots=True)
class WebContext:
    """Parts that requests share; it hangs on ``app.state.web``.

    Attributes:
        name: of the app (``issuer``, ``verifier``, ``wallet``), in cookies and logs.
        call_limit: of our own API; None: calls are not counted.
    """

    name: str
    settings: AppSettings
    database: Database
    tables: AppTables
    sealer: Sealer
    clock: Clock
    pages: Pages
    call_limit: CallLimit | None = None

    @property
    def session_cookie(self) -> str:
        """Name of the session cookie: the app's, because cookies ignore ports."""
        return f"__Host-jigap-{self.name}" if self.settings.secure else f"jigap-{self.name}"


def add_answer_header(connection: HTTPConnection, name: str, value: str) -> None:
    """Send a header with the answer to this request, once, whether it becomes an error or not."""
    connection.scope.setdefault(ANSWER_HEADERS, []).append((name.lower().encode(), value.encode()))


def context(connection: HTTPConnection) -> WebContext:
    """Return the context of the app that serves this request."""
    found: WebContext = connection.app.state.web
    return found
