"""Answers of an OAuth server as its client reads them: JSON objects and errors (RFC 6749 5)."""

from wallet_core import spec_versions as spec
from wallet_core.encoding import strict_json
from wallet_core.errors import MalformedError, PeerRefusal
from wallet_core.http import DEFAULT_RESPONSE_LIMIT, HttpResponse
from wallet_core.types import JsonObject

_MAX_ERROR_CHARACTERS = 300


def parse_answer(response: HttpResponse, *, who: str) -> JsonObject:
    """Return the JSON object of a successful answer.

    Raises:
        PeerRefusal: the status is not 2xx.
        MalformedError: the answer is not ``application/json`` or not a JSON object.
    """
    if not response.ok:
        raise peer_refusal(response, who=who)
    # oauth-6749.5.1-json
    if response.media_type != spec.JSON:
        raise MalformedError(f"the answer of {who} is not {spec.JSON}", clause="RFC 6749 5.1")
    return strict_json.loads_object(response.body, what=f"answer of {who}", max_bytes=DEFAULT_RESPONSE_LIMIT)


def peer_refusal(response: HttpResponse, *, who: str) -> PeerRefusal:
    """Return the error answer of a server as an error of ours (RFC 6749 5.2; a body that is none counts as empty)."""
    try:
        body = strict_json.loads_object(response.body)
    except MalformedError:
        body = {}
    error, description = body.get("error"), body.get("error_description")
    return PeerRefusal(
        who,
        status=response.status,
        error=error[:_MAX_ERROR_CHARACTERS] if isinstance(error, str) else "",
        error_description=description[:_MAX_ERROR_CHARACTERS] if isinstance(description, str) else "",
    )
