"""Logs: one JSON object a line, with the trace id of the request, and nothing personal or secret in it."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, ClassVar, TextIO

import orjson
import structlog

from wallet_core.adapters.clock import SystemClock

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
_SUSPICIOUS_DIGITS = re.compile(r"\d(?:\d{5}|(?<=0)1[016789])")
_SUSPICIOUS_WORDS = ("eyj", "bearer", "dpop", "basic", "code=", "oken=", "tate=", "once=")
_PLAIN = frozenset({str, int, float, bool, type(None)})
_CLOCK = SystemClock()
_LEVELS = {"warn": "warning", "exception": "error"}


class _Requests:
    """Where lines of requests go: None as long as nothing is configured, or where they are not wanted."""

    output: ClassVar[TextIO | None] = None


def scrub(value: Any, name: str = "") -> Any:
    """Return ``value`` with personal numbers, tokens and the values of secret-sounding names replaced."""
    if name and _is_secret(name) and value not in (None, "", True, False):
        return HIDDEN
    if isinstance(value, str):
        return _scrub_text(value) if _is_suspicious(value) else value
    if isinstance(value, Mapping):
        return {key: scrub(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [scrub(item) for item in value]
    return value


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None


def _is_suspicious(text: str) -> bool:
    # Beyond ASCII there are letters that differ from ours in case only to a pattern: no short cut for them.
    if not text.isascii() or _SUSPICIOUS_DIGITS.search(text):
        return True
    lowered = text.lower()
    for word in _SUSPICIOUS_WORDS:  # noqa: SIM110 - a generator costs more than what it looks at
        if word in lowered:
            return True
    return False


def _scrub_text(text: str) -> str:
    for pattern in _SECRET_TEXTS:
        text = pattern.sub(HIDDEN, text)
    return text


def configure(*, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send structlog, the standard library's logging and its warnings as scrubbed JSON lines to ``stream`` (stderr)."""
    output = stream or sys.stderr
    _Requests.output = output if level <= logging.INFO else None
    structlog.configure(
        processors=[_line],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(output),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _line]
        )
    )
    # What a library warns of is a line like any other.
    logging.captureWarnings(capture=True)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of one module."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return logger


def note_request(module: str, *, method: str, path: str, status: int, ms: float) -> None:
    """Write the line of a request: as a logger would, without looking for one. It is written for every request."""
    output = _Requests.output
    if output is None:
        get_logger(module).info("request", method=method, path=path, status=status, ms=ms)
    else:
        output.write(f'{_request(module, method, path, status)},"ms":{ms},{_ours("info")}\n')
        output.flush()


@lru_cache(maxsize=1024)
def _request(module: str, method: str, path: str, status: int) -> str:
    """Return the scrubbed beginning of a line. A path is the pattern of a route, so there are few of them."""
    return _scrubbed({"module": module, "method": method, "path": path, "status": status, "event": "request"})


def _line(logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
    """Return the finished line. One step instead of a chain of them: there is a line for every request."""
    if "exc_info" in event:
        event = structlog.processors.format_exc_info(logger, method, event)
    return f"{_scrubbed(event)},{_ours(method)}"


def _scrubbed(event: MutableMapping[str, Any]) -> str:
    """Return an event as JSON that is still open at its end."""
    text = _to_json(event)
    # JSON only adds characters: what is suspicious in a value is suspicious in its line.
    if _is_suspicious(text) or not _PLAIN.issuperset(map(type, event.values())) or any(map(_is_secret, event)):
        text = _to_json(scrub(event))
    return text[:-1]


def _ours(method: str) -> str:
    """Return the end of a line: what is ours and holds nothing to hide."""
    ours: dict[str, Any] = {"level": _LEVELS.get(method, method), "timestamp": _CLOCK.now()}
    if current := trace_id.get():
        ours["trace_id"] = current
    return orjson.dumps(ours, option=orjson.OPT_UTC_Z).decode()[1:]


def _to_json(event: Any) -> str:
    return orjson.dumps(event, default=repr).decode()
