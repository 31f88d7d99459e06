"""The API document of an app: what FastAPI derives from the code, made true where our own APIs answer otherwise.

An operation is named as its endpoint, so that clients that are generated from the document keep their names.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from wallet_core.adapters.idempotency import MAX_KEY_CHARACTERS
from wallet_core.adapters.web.callers import SCOPE
from wallet_core.adapters.web.context import WebContext
from wallet_core.adapters.web.frame import OWN_API
from wallet_core.types import JsonObject

_REFUSALS: Final = {
    "400": "The request cannot be met; the description says why.",
    "401": "No API key, or one that is not valid.",
    "403": "The API key may not do this.",
    "404": "There is no such thing, or it is somebody else's.",
    "409": "It moved or ended meanwhile, or was done before.",
    "413": "The body is too large.",
    "500": "A mistake of ours; the trace id names it.",
    "503": "The database or a key cannot be used now; try again.",
}
_TOO_MANY: Final = "Too many calls of this party with all its keys; wait as long as Retry-After says."
_MISMATCH: Final = {"422": "The Idempotency-Key came before with another request."}

_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Error",
    "required": ["error", "error_description", "trace_id", "fault"],
    "additionalProperties": False,
    "properties": {
        "error": {"type": "string", "description": "A registered code, such as invalid_request."},
        "error_description": {"type": "string", "description": "One sentence in ASCII, without personal data."},
        "trace_id": {"type": "string", "description": "Names the lines of our log."},
        "clause": {"type": "string", "description": "The clause of a specification, where known."},
        "fault": {"type": "string", "enum": ["you", "us", "peer"], "description": "Whose fault it is."},
    },
    "examples": [
        {
            "error": "not_found",
            "error_description": "there is no such presentation",
            "trace_id": "5f0c1f7a9be04c2d",
            "fault": "you",
        }
    ],
}
_RATE_HEADERS: Final[dict[str, Any]] = {
    "RateLimit-Policy": {
        "description": "Calls at once after a pause (q), within so many seconds (w).",
        "schema": {"type": "string"},
        "example": '"party";q=200;w=20',
    },
    "RateLimit": {
        "description": "Calls that are left now (r); all of them again in so many seconds (t).",
        "schema": {"type": "string"},
        "example": '"party";r=187;t=2',
    },
}
_RETRY_AFTER: Final[dict[str, Any]] = {
    "Retry-After": {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer", "minimum": 1}}
}
STORES_NOTHING: Final = "x-stores-nothing"
"""``openapi_extra`` of a POST whose repeat is answered anew: there is nothing that could be done twice."""

_IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeat with the same key and body gets the first answer; with another body it is 422.",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARACTERS},
}


def describe(app: FastAPI, scopes: Mapping[str, str], examples: Mapping[str, JsonObject]) -> dict[str, Any]:
    """Return the OpenAPI document of ``app``: our shape of errors, API keys, ``Idempotency-Key`` where it is taken.

    Args:
        app: with the routers of our own APIs.
        scopes: what the API key must be good for, by the name of the endpoint.
        examples: of answers, by the name of their schema.
    """
    if app.openapi_schema is None:
        document, web = FastAPI.openapi(app), app.state.web
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                # FastAPI names a 422 of its own shape, which none of our endpoints answers.
                operation["responses"].pop("422", None)
                if path.startswith(OWN_API):
                    stores = not operation.pop(STORES_NOTHING, False)
                    _own(operation, is_repeatable=method == "post" and stores)
                    _secure(operation, scopes.get(operation["operationId"]))
                    _limit(operation, web)
        _components(document)
        for name, example in examples.items():
            document["components"]["schemas"][name]["examples"] = [example]
    return app.openapi_schema or {}


def scopes_of(routers: Iterable[APIRouter]) -> dict[str, str]:
    """Return what the API key must be good for, by the name of each endpoint that asks for one."""
    return dict(_scopes(route for router in routers for route in router.routes))


def _scopes(routes: Iterable[Any]) -> Iterator[tuple[str, str]]:
    for route in routes:
        if isinstance(route, APIRoute):
            for dependency in route.dependant.dependencies:
                scope = getattr(dependency.call, SCOPE, None)
                if isinstance(scope, str):
                    yield route.name, scope


def _own(operation: dict[str, Any], *, is_repeatable: bool) -> None:
    refusals = _REFUSALS | _MISMATCH if is_repeatable else _REFUSALS
    for status, text in refusals.items():
        operation["responses"].setdefault(status, _refusal(text))
    if is_repeatable:
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)


def _secure(operation: dict[str, Any], scope: str | None) -> None:
    # OpenAPI 3.1 4.8.30: for a scheme other than OAuth 2 the list names the roles that are needed.
    operation["security"] = [{"apiKey": [] if scope is None else [scope]}]
    if scope is not None:
        told = f"The API key needs the scope `{scope}`."
        operation["description"] = "\n\n".join(filter(None, [operation.get("description"), told]))


def _limit(operation: dict[str, Any], web: WebContext) -> None:
    if web.call_limit is None:
        return
    operation["responses"]["429"] = _refusal(_TOO_MANY) | {"headers": _RATE_HEADERS | _RETRY_AFTER}
    for status, answer in operation["responses"].items():
        if status < "300":
            answer["headers"] = _RATE_HEADERS


def _refusal(text: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"description": text, "content": content}


def _components(document: dict[str, Any]) -> None:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Error"] = _ERROR
    components["securitySchemes"] = {
        "apiKey": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key: jgk_..., shown once when it is made.",
        }
    }
