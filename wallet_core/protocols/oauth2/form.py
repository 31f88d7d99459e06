"""Parameters of an ``application/x-www-form-urlencoded`` body (RFC 6749 appendix B)."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from wallet_core import spec_versions as spec
from wallet_core.errors import InvalidRequest, InvalidTarget

MAX_FORM_BYTES: Final = 16 * 1024
"""Bytes of a form; a token request with client assertion is about 3 kB."""

MAX_PARAMETERS: Final = 64
"""Parameters of a form; the specifications together name about 20."""


def parse_form(media_type: str, body: bytes, *, max_bytes: int = MAX_FORM_BYTES) -> dict[str, str]:
    """Return the parameters of a form. A parameter without value counts as left out (RFC 6749 3.2).

    Raises:
        InvalidRequest: not a form, too large, not UTF-8, or a parameter twice.
        InvalidTarget: more than one ``resource``.
    """
    # RFC 6749 3.2, 4.1.3: parameters are sent in the "application/x-www-form-urlencoded" format.
    # oauth-6749.3.2-form
    if media_type != spec.FORM:
        raise InvalidRequest(f"the body is not {spec.FORM}", clause="RFC 6749 3.2")
    if len(body) > max_bytes:
        raise InvalidRequest(f"the body is larger than {max_bytes} bytes")
    return _parameters(body, "the body")


def parse_query(query: bytes) -> dict[str, str]:
    """Return the parameters of a query (RFC 6749 3.1), as :func:`parse_form` does those of a form.

    Raises:
        InvalidRequest: too large, not UTF-8, or a parameter twice.
        InvalidTarget: more than one ``resource``.
    """
    if len(query) > MAX_FORM_BYTES:
        raise InvalidRequest(f"the query is larger than {MAX_FORM_BYTES} bytes")
    return _parameters(query, "the query")


def _parameters(data: bytes, what: str) -> dict[str, str]:
    fields = _fields(data.replace(b"+", b" "))
    if fields is None or not data.isascii():
        raise InvalidRequest(f"{what} is not a form that can be read", clause="RFC 6749 B")
    try:
        pairs = [(_decoded(name), _decoded(value)) for name, _, value in [f.partition(b"=") for f in fields if f]]
    except UnicodeDecodeError as exc:
        raise InvalidRequest(f"{what} is not a form that can be read", clause="RFC 6749 B") from exc
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        _refuse_repeated(pairs)
    return {name: value for name, value in parameters.items() if value}


def _fields(data: bytes) -> list[bytes] | None:
    """Return the fields of a form; None if there are too many. Not by bytes.split, which is slow on a presentation."""
    fields: list[bytes] = []
    start = 0
    while (end := data.find(b"&", start)) >= 0:
        fields.append(data[start:end])
        start = end + 1
        if len(fields) == MAX_PARAMETERS:
            return None
    return [*fields, data[start:]]


def _refuse_repeated(pairs: Sequence[tuple[str, str]]) -> None:
    # RFC 8707 2: resource alone may be there more than once; here all of them must name the one there is.
    # oauth-8707.2-repeated
    if len({value for name, value in pairs if name == "resource"}) > 1:
        raise InvalidTarget("only one resource can be asked for", clause="RFC 8707 2")
    others = [name for name, _ in pairs if name != "resource"]
    # RFC 6749 3.2: "Request and response parameters MUST NOT be included more than once."
    # oauth-6749.3.2-once
    if len(set(others)) != len(others):
        raise InvalidRequest("a parameter is there twice", clause="RFC 6749 3.2")


def _decoded(text: bytes) -> str:
    """Return a name or value of a form. A percent sign without two hexadecimal digits stands for itself."""
    return (unquote_to_bytes(text) if b"%" in text else text).decode()
