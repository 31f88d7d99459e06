"""HTTP as values, and the type of a client flow.

A client side of a protocol is a generator that yields :class:`HttpRequest` and receives :class:`HttpResponse`. The
driver that runs it over a real client is ``adapters.http``; a test runs it over a list.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar
from urllib.parse import urlencode

from wallet_core.values import statically_frozen

T = TypeVar("T")
Flow: TypeAlias = Generator["HttpRequest", "HttpResponse", T]

_MAX_LABEL_CHARACTERS = 63
"""RFC 1035 2.3.4."""

DEFAULT_RESPONSE_LIMIT = 1 << 20
"""Bytes of a response body that a flow accepts when it says nothing: metadata of a large issuer is about 200 kB."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request a flow wants made. Redirects are never followed, whatever the driver."""

    method: Literal["GET", "POST", "DELETE"]
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    response_limit: int = DEFAULT_RESPONSE_LIMIT


@statically_frozen
class HttpResponse:
    """One answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def media_type(self) -> str:
        """The media type of ``Content-Type`` in lower case, without parameters; empty if absent."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300


@statically_frozen
class ReceivedRequest:
    """A request one of our servers received.

    ``url`` is built from the configured public URL, never from ``Host``, and has no query. Header names are lower case,
    every value is kept, in order.
    """

    method: str
    url: str
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    body: bytes = b""

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of the header ``name``, which is lower case; none if it was not sent."""
        return self.headers.get(name, ())

    @property
    def media_type(self) -> str:
        """The media type of the only ``Content-Type`` in lower case, without parameters; empty otherwise."""
        values = self.all("content-type")
        return values[0].partition(";")[0].strip().lower() if len(values) == 1 else ""


def has_sound_labels(host: str) -> bool:
    """Return whether each label of a host has 1 to 63 characters (RFC 1035 2.3.4); a final dot may stand for the root.

    What resolves names raises a ``UnicodeError`` for any other.
    """
    return all(0 < len(label) <= _MAX_LABEL_CHARACTERS for label in host.removesuffix(".").split("."))


def get(url: str, *, accept: str, response_limit: int = DEFAULT_RESPONSE_LIMIT) -> HttpRequest:
    """Return a GET request that asks for one media type."""
    return HttpRequest("GET", url, {"Accept": accept}, response_limit=response_limit)


def post_form(
    url: str,
    fields: Mapping[str, str],
    *,
    accept: str = "application/json",
    headers: Mapping[str, str] | None = None,
) -> HttpRequest:
    """Return a POST request with an ``application/x-www-form-urlencoded`` body."""
    all_headers = {"Accept": accept, "Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
    return HttpRequest("POST", url, all_headers, urlencode(fields).encode())


def post_json(
    url: str, body: bytes, *, accept: str = "application/json", headers: Mapping[str, str] | None = None
) -> HttpRequest:
    """Return a POST request whose body is JSON text, as ``encoding.strict_json.dumps`` gives it."""
    all_headers = {"Accept": accept, "Content-Type": "application/json", **(headers or {})}
    return HttpRequest("POST", url, all_headers, body)
