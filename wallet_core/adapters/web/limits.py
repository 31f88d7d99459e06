"""Callers whose requests keep failing are asked to wait: at doors where secrets are tried.

Counted are refusals, by the caller's network address, in the app's database, so that every worker counts together.
Successes are free, and so is being asked for a fresh nonce or challenge, as every wallet
is at its first request: behind one address of a mobile network stand thousands of citizens.
"""

import hmac
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wallet_core.adapters.config import Network
from wallet_core.adapters.jobs.queue import forget_rates, is_free, next_slot
from wallet_core.adapters.web.context import ASKED_AGAIN, WebContext
from wallet_core.adapters.web.errors import error_answer

FAILURES_AT_ONCE: Final = 100
"""Refusals that one address may cause after a pause, before it has to wait."""

FAILURE_INTERVAL: Final = timedelta(seconds=2)
"""In the long run one refusal for each interval."""

FORGOTTEN_AT_ONCE: Final = 100
"""Addresses that wait no longer and are forgotten with each failure: each adds one, so they do not gather."""

_KEY: Final = "refusals/"


@dataclass(frozen=True, slots=True)
class Failures:
    """What failed at a secret, counted in the app's database.

    Attributes:
        web: the app's context.
        key: of whom, or of which secret; nothing personal.
        interval: in the long run one failure for each.
        at_once: failures after a pause before there is a wait.
    """

    web: WebContext
    key: str
    interval: timedelta
    at_once: int

    def are_few(self) -> bool:
        """Return whether one more may be tried."""
        with self.web.database.reader() as unit:
            return is_free(
                unit.connection, self.web.tables, _KEY + self.key, interval=self.interval, burst=self.at_once
            )

    def count(self) -> None:
        """Count one."""
        with self.web.database.unit() as unit:
            forget_rates(unit.connection, self.web.tables, prefix=_KEY, limit=FORGOTTEN_AT_ONCE)
            next_slot(unit.connection, self.web.tables, _KEY + self.key, interval=self.interval)

    def refusal(self, request: Request, text: str) -> Response:
        """Return the answer to what may not be tried now."""
        wait = {"Retry-After": str(int(self.interval.total_seconds()))}
        return error_answer(request, 429, "temporarily_unavailable", text, {"fault": "you"}, wait)


class FailureLimit:
    """Middleware: answers 429 at the guarded doors to whoever was refused there too often.

    Args:
        app: what it surrounds.
        web: the app's context.
        doors: regular expressions of guarded paths; a whole path must match.
    """

    def __init__(self, app: ASGIApp, web: WebContext, doors: Sequence[str]) -> None:
        self._app = app
        self._web = web
        self._is_door = re.compile("|".join(f"(?:{path})" for path in doors) or r"(?!)").fullmatch
        self._digest_key = web.sealer.derive("rate")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not self._is_door(scope["path"]):
            await self._app(scope, receive, send)
            return
        caller = client_key(scope, self._web.settings.trusted_proxies, self._digest_key)
        failures = Failures(self._web, caller, FAILURE_INTERVAL, FAILURES_AT_ONCE)
        if not failures.are_few():
            text = "too many requests of this address were refused; wait a little"
            await failures.refusal(Request(scope), text)(scope, receive, send)
            return

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                is_refusal = 400 <= message["status"] < 500
                if is_refusal and not scope.get(ASKED_AGAIN, False):
                    # Before the answer leaves: whoever is refused twice at the same time is counted twice.
                    failures.count()
            await send(message)

        await self._app(scope, receive, watch)


def client_address(scope: Scope, trusted_proxies: Sequence[Network]) -> str:
    """Return the address a request came from, as the nearest proxy that is not ours was seen by one that is.

    ``X-Forwarded-For`` is read from its end, and only as far as our own proxies wrote it: the rest is anybody's claim.
    """
    peer = str((scope.get("client") or ("",))[0])
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    hops = [hop.strip() for hop in ",".join(values).split(",") if hop.strip()]
    while hops and _is_ours(peer, trusted_proxies):
        peer = hops.pop()
    return peer


def client_key(scope: Scope, trusted_proxies: Sequence[Network], secret: bytes) -> str:
    """Return a keyed digest of the caller's network: an address is personal data, and IPv6 hands out a /64 each."""
    address = client_address(scope, trusted_proxies)
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        network = address[:64]
    else:
        network = str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)
    return hmac.digest(secret, network.encode(), "sha256").hex()


def _is_ours(address: str, trusted_proxies: Sequence[Network]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in trusted_proxies)
