"""What every app's web side stands on.

* `app`: the FastAPI app with errors, documentation page, static files and health check
* `frame`: what surrounds every answer: trace id, security headers, session cookie, CORS of protocol paths, log line
* `document`: OpenAPI of our own APIs
* `sessions`: sealed session cookies and CSRF tokens
* `answers`: pages, JSON, redirects
* `callers`: API keys and Idempotency-Key of our own APIs
* `protocol_routes`: the hot endpoints, before FastAPI's own machinery
* `cohort`: requests that came together take each step together
* `server`: uvicorn with its workers
* `connection`: answers leave in one packet
"""

from wallet_core.adapters.web.answers import display_of, html, page_router, protocol_answer, protocol_json, see_other
from wallet_core.adapters.web.app import create_app
from wallet_core.adapters.web.callers import answer_idempotently, idempotent, require_api_key
from wallet_core.adapters.web.cohort import next_step
from wallet_core.adapters.web.context import CallLimit, WebContext, add_answer_header, context, is_opened
from wallet_core.adapters.web.server import serve
from wallet_core.adapters.web.sessions import Session, renew_session, session

__all__ = [
    "CallLimit",
    "Session",
    "WebContext",
    "add_answer_header",
    "answer_idempotently",
    "context",
    "create_app",
    "display_of",
    "html",
    "idempotent",
    "is_opened",
    "next_step",
    "page_router",
    "protocol_answer",
    "protocol_json",
    "renew_session",
    "require_api_key",
    "see_other",
    "serve",
    "session",
]
