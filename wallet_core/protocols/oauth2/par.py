"""Pushed Authorization Requests, both sides (RFC 9126)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from wallet_core.encoding import base64url
from wallet_core.errors import InvalidRequest, InvalidRequestUri, MalformedError
from wallet_core.http import HttpResponse
from wallet_core.protocols.oauth2.answers import parse_answer
from wallet_core.types import JsonObject, RandomBytes

MAX_REQUEST_URI_CHARACTERS: Final = 512
"""Longest ``request_uri`` that is looked at; ours have 79 characters."""

_PREFIX: Final = "urn:ietf:params:oauth:request_uri:"
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class PushedRequest:
    """A successful answer to a pushed request (RFC 9126 2.2)."""

    request_uri: str
    expires_in: int


def create_request_uri(random: RandomBytes) -> str:
    """Return a new ``request_uri`` with 256 random bits (RFC 9126 2.2 asks for 128, 7.1)."""
    return f"{_PREFIX}{base64url.encode(random(_SECRET_BYTES))}"


def check_pushed_parameters(parameters: Mapping[str, str]) -> None:
    """Check what only a pushed request is forbidden.

    Raises:
        InvalidRequest: it brings a ``request_uri`` itself.
    """
    # RFC 9126 2.1: "The request_uri authorization request parameter ... MUST NOT be provided in this case".
    # oauth-9126.2.1-request-uri
    if "request_uri" in parameters:
        raise InvalidRequest("a pushed request has no request_uri", clause="RFC 9126 2.1")


def create_pushed_response(request_uri: str, *, lifetime: timedelta) -> JsonObject:
    """Return the body of the answer, which goes with status 201 (RFC 9126 2.2)."""
    return {"request_uri": request_uri, "expires_in": int(lifetime.total_seconds())}


def parse_request_uri(parameters: Mapping[str, str]) -> str | None:
    """Return the ``request_uri`` of an authorization request, None if it was not pushed.

    Raises:
        InvalidRequestUri: it is none that we give out.
    """
    request_uri = parameters.get("request_uri")
    # RFC 9101 request objects by reference are not fetched: only what was pushed here is known.
    # oauth-9126.4-ours
    if request_uri is not None and (
        len(request_uri) > MAX_REQUEST_URI_CHARACTERS or not request_uri.startswith(_PREFIX)
    ):
        raise InvalidRequestUri("this request_uri was not given out here", clause="RFC 9126 4")
    return request_uri


def parse_pushed_response(response: HttpResponse) -> PushedRequest:
    """Return the answer to a pushed request, as the wallet reads it.

    Raises:
        PeerRefusal: the server refused.
        MalformedError: a member is missing or of the wrong type.
    """
    answer = parse_answer(response, who="the pushed authorization request endpoint")
    request_uri, expires_in = answer.get("request_uri"), answer.get("expires_in")
    if not isinstance(request_uri, str) or not request_uri:
        raise MalformedError("the answer holds no request_uri", clause="RFC 9126 2.2")
    # oauth-9126.2.2-expires
    if isinstance(expires_in, bool) or not isinstance(expires_in, int) or expires_in <= 0:
        raise MalformedError("expires_in is not a positive integer", clause="RFC 9126 2.2")
    return PushedRequest(request_uri, expires_in)
