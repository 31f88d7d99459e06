"""The API document of an app: what FastAPI derives from the code, made true where our own APIs answer otherwise."""

from typing import Any, Final

from fastapi import FastAPI

from wallet_core.adapters.idempotency import MAX_KEY_CHARACTERS
from wallet_core.adapters.web.frame import OWN_API

_REFUSALS: Final = {
    "400": "The request cannot be met; the description says why.",
    "401": "No API key, or one that is not valid.",
    "403": "The API key may not do this.",
    "404": "There is no such thing, or it is somebody else's.",
    "409": "It moved or ended meanwhile, or was done before.",
    "413": "The body is too large.",
}
_MISMATCH: Final = {"422": "The Idempotency-Key came before with another request."}

_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Error",
    "required": ["error", "error_description", "trace_id"],
    "properties": {
        "error": {"type": "string", "description": "A registered code, such as invalid_request."},
        "error_description": {"type": "string", "description": "One sentence in ASCII, without personal data."},
        "trace_id": {"type": "string", "description": "Names the lines of our log."},
        "clause": {"type": "string", "description": "The clause of a specification, where known."},
        "fault": {"type": "string", "enum": ["you", "us", "peer"], "description": "Whose fault it is."},
    },
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


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of ``app``: our shape of errors, API keys, ``Idempotency-Key`` where it is taken."""
    if app.openapi_schema is None:
        document = FastAPI.openapi(app)
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                # FastAPI names a 422 of its own shape, which none of our endpoints answers.
                operation["responses"].pop("422", None)
                if path.startswith(OWN_API):
                    stores = not operation.pop(STORES_NOTHING, False)
                    _own(operation, is_repeatable=method == "post" and stores)
        _components(document)
    return app.openapi_schema or {}


def _own(operation: dict[str, Any], *, is_repeatable: bool) -> None:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    refusals = _REFUSALS | _MISMATCH if is_repeatable else _REFUSALS
    for status, text in refusals.items():
        operation["responses"].setdefault(status, {"description": text, "content": content})
    operation["security"] = [{"apiKey": []}]
    if is_repeatable:
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)


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
