"""Errors become answers here, once for all apps.

Protocol endpoints get ``error`` and ``error_description`` only (OpenID4VCI 8.3.1.2); our own APIs below ``/api/`` also
the trace id, the clause and whose fault it is; a browser that asked for a page elsewhere gets a page.
"""

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from wallet_core.adapters import log
from wallet_core.adapters.web.answers import html, protocol_json
from wallet_core.adapters.web.context import ASKED_AGAIN, PROTOCOL, context
from wallet_core.adapters.web.frame import own_api_members
from wallet_core.errors import (
    RemoteProtocolError,
    UseAttestationChallenge,
    UseDpopNonce,
    UseFreshAttestation,
    WalletError,
    peer_text,
)
from wallet_core.types import JsonObject

_STATUS_CODES = {404: "not_found", 405: "method_not_allowed", 413: "request_too_large", 415: "unsupported_media_type"}


def install(app: FastAPI) -> None:
    """Register the mapping."""
    app.add_exception_handler(WalletError, wallet_error)
    app.add_exception_handler(RequestValidationError, _invalid_body)
    app.add_exception_handler(HTTPException, http_error)


async def wallet_error(request: Request, error: Exception) -> Response:
    """Answer a refusal of ours."""
    assert isinstance(error, WalletError)  # noqa: S101 - registered for it
    _log(request, error)
    request.scope[ASKED_AGAIN] = isinstance(error, UseDpopNonce | UseAttestationChallenge | UseFreshAttestation)
    headers = error.headers if isinstance(error, RemoteProtocolError) else {}
    members: JsonObject = {"fault": error.fault}
    if error.clause:
        members["clause"] = error.clause
    return error_answer(request, error.http_status, error.code, error.description, members, headers)


async def _invalid_body(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    return error_answer(request, 400, "invalid_request", _problems(error), {"fault": "you"})


async def http_error(request: Request, error: Exception) -> Response:
    """Answer a refusal of the framework: no such address, another method, a body too large."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    code = _STATUS_CODES.get(error.status_code, "invalid_request")
    headers = dict(error.headers or {})
    return error_answer(request, error.status_code, code, str(error.detail), {"fault": "you"}, headers)


async def unexpected(request: Request, error: Exception) -> Response:
    """Answer what nobody foresaw: a bug. The caller learns the trace id, the log the rest."""
    log.get_logger(f"{context(request).name}.web").error("unexpected", exc_info=error)
    text = f"an unexpected error; quote trace id {log.trace_id.get()}"
    return error_answer(request, 500, "server_error", text, {"fault": "us"})


def error_answer(
    request: Request,
    status: int,
    code: str,
    description: str,
    members: JsonObject,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return an error as whoever asked can read it."""
    trace = log.trace_id.get()
    own_members = own_api_members(request.url.path, trace)
    # OpenID4VCI 8.3.1.2, RFC 6749 5.2: errors are JSON, also for an HTTP library whose Accept begins with text/html.
    wants_page = "text/html" in request.headers.get("accept", "")
    # vci-8.3.1.2-json
    if wants_page and not own_members and not request.scope.get(PROTOCOL, False):
        page = html(request, "error.html", status=status, error=code, trace_id=trace)
        page.headers.update(headers or {})
        return page
    body: JsonObject = {"error": code, "error_description": peer_text(description)}
    # vci-8.3.1.2-members
    return protocol_json(body | own_members | members if own_members else body, status=status, headers=headers)


def _log(request: Request, error: WalletError) -> None:
    logger = log.get_logger(f"{context(request).name}.web")
    facts: dict[str, Any] = {"error": error.code, "kind": type(error).__name__, "detail": error.detail}
    facts |= {name: value for name in ("clause", "step") if (value := getattr(error, name, None)) is not None}
    if error.http_status >= 500:
        logger.error("failed", **facts, cause=type(error.__cause__).__name__ if error.__cause__ else None)
    else:
        logger.info("refused", **facts)


def _problems(error: RequestValidationError) -> str:
    """Where and what, never the value that was sent."""
    parts = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()]
    return "; ".join(parts[:5])
