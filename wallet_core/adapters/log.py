"""Logs: one JSON object a line, with the trace id of the request, and nothing personal or secret in it."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, TextIO

import orjson
import structlog

trace_id: ContextVar[str] = ContextVar("trace_id", default="")
"""The trace id of the request or job being worked on; it is given to the peer with an error and stands in each line."""

HIDDEN = "[hidden]"

_SECRET_NAMES = re.compile(
    r"(token|secret|password|passwd|cookie|authorization|api_?key|tx_?code|pre-?authorized_?code|c_?nonce|"
    r"response_?code|disclosure|vp_token|sealing)",
    re.IGNORECASE,
)
_SECRET_TEXTS = (
    # Resident or alien registration number, with and without the hyphen: six digits of birth, then 1-8 and six more.
    re.compile(r"(?<!\d)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])[- ]?[0-9]\d{6}(?!\d)"),
    # Driver's licence number: 11-22-123456-78.
    re.compile(r"(?<!\d)\d{2}-?\d{2}-?\d{6}-?\d{2}(?!\d)"),
    # Mobile telephone number.
    re.compile(r"(?<!\d)01[016789][- ]?\d{3,4}[- ]?\d{4}(?!\d)"),
    # A compact JWS, an SD-JWT or a JWE.
    re.compile(r"eyJ[\w-]{8,}\.[\w.~-]*"),
    re.compile(r"(?i)\b(?:bearer|dpop|basic)\s+[\w.~+/=-]{8,}"),
    # Values of secret parameters in a query or a form.
    re.compile(r"(?i)(?<=code=|oken=|tate=|once=)[^&\s\"]+"),
)


# What every pattern above needs somewhere: most lines have none of it and are let through after one look.
_SUSPICIOUS = re.compile(r"(?i)\d{6}|01[016789]|eyJ|bearer|dpop|basic|code=|oken=|tate=|once=")


def scrub(value: Any, name: str = "") -> Any:
    """Return ``value`` with personal numbers, tokens and the values of secret-sounding names replaced."""
    if name and _is_secret(name) and value not in (None, "", True, False):
        return HIDDEN
    if isinstance(value, str):
        return _scrub_text(value) if _SUSPICIOUS.search(value) else value
    if isinstance(value, Mapping):
        return {key: scrub(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [scrub(item) for item in value]
    return value


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


def _scrub_text(text: str) -> str:
    for pattern in _SECRET_TEXTS:
        text = pattern.sub(HIDDEN, text)
    return text


def configure(*, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send structlog and the standard library's logging as scrubbed JSON lines to ``stream`` (standard error)."""
    output = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.processors.format_exc_info,
        _scrub_event,
        # After the scrubbing: what follows is ours and holds nothing to hide.
        _add_trace_id,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer(_to_json)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(output),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(_to_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of one module."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return logger


def _to_json(event: Any, **options: Any) -> str:
    return orjson.dumps(event, default=options.get("default")).decode()


def _add_trace_id(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if current := trace_id.get():
        event.setdefault("trace_id", current)
    return event


def _scrub_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {name: scrub(value, name) for name, value in event.items()}
