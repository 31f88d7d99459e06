"""Who calls our own APIs, and whether they called before."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from wallet_core.adapters.api_keys import ApiKey, find_api_key
from wallet_core.adapters.idempotency import Answer, RequestIdentity, answer_once
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.adapters.web.answers import protocol_json
from wallet_core.adapters.web.context import context
from wallet_core.encoding import strict_json


def require_api_key(scope: str, *, owner_path: str | None = None) -> Callable[[Request], Awaitable[ApiKey]]:
    """Return a dependency that admits callers whose key has ``scope``.

    Args:
        scope: such as ``offers:write``.
        owner_path: path parameter that must be the key's owner (``agency_id``).
    """

    async def api_key(request: Request) -> ApiKey:
        """Return the caller's key. Raises ``InvalidToken`` (401), ``InsufficientScope`` (403) or ``MalformedError``."""
        web = context(request)
        with web.database.reader() as unit:
            key = find_api_key(unit.connection, web.tables, request.headers.get("authorization"), now=web.clock.now())
        key.check(scope, request.path_params[owner_path] if owner_path else None)
        await _refuse_ambiguous_json(request)
        return key

    return api_key


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
