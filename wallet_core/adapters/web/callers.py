"""Who calls our own APIs, whether they called too often, and whether they called before."""

import math
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from wallet_core.adapters.api_keys import ApiKey, find_api_key, is_use_due, note_use
from wallet_core.adapters.idempotency import Answer, RequestIdentity, answer_once
from wallet_core.adapters.jobs.queue import Turn, take_turn
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.adapters.web.answers import protocol_json
from wallet_core.adapters.web.context import CallLimit, WebContext, add_answer_header, context
from wallet_core.encoding import strict_json
from wallet_core.errors import RemoteProtocolError

SCOPE: Final = "scope"
"""Attribute of the dependency that admits callers: what the API document says the key must be good for."""

_CALLS: Final = "calls/"
_POLICY: Final = "party"


class TooManyCalls(RemoteProtocolError):
    """The owner of this API key called too often."""

    code = "temporarily_unavailable"
    http_status = 429


def require_api_key(scope: str, *, owner_path: str | None = None) -> Callable[[Request], Awaitable[ApiKey]]:
    """Return a dependency that admits callers whose key has ``scope``.

    Args:
        scope: such as ``offers:write``.
        owner_path: path parameter that must be the key's owner (``agency_id``).
    """

    async def api_key(request: Request) -> ApiKey:
        """Return the caller's key.

        Raises:
            InvalidToken: there is no good key (401).
            TooManyCalls: its owner called too often (429).
            InsufficientScope: the key is for something else (403).
            MalformedError: two readers would understand the body differently (400).
        """
        web = context(request)
        with web.database.reader() as unit:
            key = find_api_key(unit.connection, web.tables, request.headers.get("authorization"), now=web.clock.now())
        _count(request, web, key)
        key.check(scope, request.path_params[owner_path] if owner_path else None)
        await _refuse_ambiguous_json(request)
        return key

    setattr(api_key, SCOPE, scope)
    return api_key


def _count(request: Request, web: WebContext, key: ApiKey) -> None:
    """Note the use of ``key``, and take a call of its owner. Raises ``TooManyCalls``."""
    now, limit = web.clock.now(), web.call_limit
    if limit is None and not is_use_due(key, now=now):
        return
    with web.database.unit() as unit:
        note_use(unit.connection, web.tables, key, now=now)
        if limit is None:
            return
        turn = take_turn(unit.connection, web.tables, _CALLS + key.owner, interval=limit.interval, burst=limit.burst)
    for name, value in _rate_headers(limit, turn).items():
        add_answer_header(request, name, value)
    if not turn.taken:
        wait = str(max(1, math.ceil(turn.wait)))
        raise TooManyCalls("too many calls; wait as long as Retry-After says", headers={"Retry-After": wait})


def _rate_headers(limit: CallLimit, turn: Turn) -> dict[str, str]:
    """Return the two headers of draft-ietf-httpapi-ratelimit-headers: the policy, and where the caller stands."""
    window = max(1, round(limit.burst * limit.interval.total_seconds()))
    return {
        "RateLimit-Policy": f'"{_POLICY}";q={limit.burst};w={window}',
        "RateLimit": f'"{_POLICY}";r={turn.left};t={math.ceil(turn.full_in)}',
    }


async def _refuse_ambiguous_json(request: Request) -> None:
    """Refuse a body that two readers would understand differently, which FastAPI's own reader takes (RFC 7493)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if (kind == "application/json" or kind.endswith("+json")) and (body := await request.body()):
        strict_json.loads(body, what="body", max_bytes=len(body))


async def idempotent(request: Request, unit: UnitOfWork, key: ApiKey, create: Callable[[], Answer]) -> Response:
    """Answer with ``create()``, or as the first time if this ``Idempotency-Key`` came before.

    ``unit`` must be the unit of work that ``create`` writes with: both become one transaction.

    Raises:
        IdempotencyMismatch: the key came with another request (422).
    """
    answer = await answer_idempotently(request, unit, key, create)
    return protocol_json(answer.body, status=answer.status)


async def answer_idempotently(request: Request, unit: UnitOfWork, key: ApiKey, create: Callable[[], Answer]) -> Answer:
    """Return ``create()`` as :func:`idempotent` does, for an endpoint whose answer must not be remembered whole."""
    name = request.headers.get("idempotency-key")
    if name is None:
        return create()
    web = context(request)
    target = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    identity = RequestIdentity(key.owner, name, target + await request.body())
    return answer_once(unit, web.tables, web.sealer, identity, now=web.clock.now(), create=create)
