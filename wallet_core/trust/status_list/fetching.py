"""Getting lists over HTTP, as flows, and what a provider answers with (Token Status List 8.1, 8.4, 9.3)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from wallet_core import spec_versions as spec
from wallet_core.encoding import strict_json
from wallet_core.errors import FetchError, MalformedError
from wallet_core.http import Flow, get
from wallet_core.trust.status_list.reference import MAX_URI_CHARACTERS
from wallet_core.trust.status_list.token import MAX_TOKEN_BYTES
from wallet_core.types import JsonObject

MAX_AGGREGATED: Final = 10_000
"""Lists of one aggregation: each serves a hundred thousand credentials or more."""

_MAX_AGGREGATION_BYTES: Final = 1 << 20


def fetch_status_list(
    uri: str, *, media_type: str = spec.STATUS_LIST_JWT_MEDIA_TYPE, at: datetime | None = None
) -> Flow[bytes]:
    """Return the Status List Token at ``uri``, unverified (8.1).

    Args:
        uri: of the reference.
        media_type: which form is wanted: an SD-JWT VC has JWT lists, an mdoc CWT lists.
        at: a time in the past; None for the present (8.4).

    Raises:
        FetchError: the provider was not reached, or answered something else.
    """
    address = uri if at is None else f"{uri}{'&' if '?' in uri else '?'}{urlencode({'time': int(at.timestamp())})}"
    response = yield get(address, accept=media_type, response_limit=MAX_TOKEN_BYTES)
    # Redirects are not followed by any flow of ours: the address is one that the issuer signed.
    # tsl-8.2-status
    if not response.ok:
        raise FetchError(
            f"the status provider answered {response.status}",
            detail="501 and 404 mean that there is no answer for that time" if at else None,
        )
    # tsl-8.2-type
    if response.media_type != media_type:
        raise FetchError("the status provider answered in another form", detail=f"wanted {media_type}")
    return response.body


def fetch_aggregation(uri: str) -> Flow[tuple[str, ...]]:
    """Return the addresses of all lists of an issuer (9.3), for whoever wants to be ready before a credential comes.

    Raises:
        FetchError: the provider was not reached, or answered something else.
        MalformedError: the document does not parse.
    """
    response = yield get(uri, accept=spec.JSON, response_limit=_MAX_AGGREGATION_BYTES)
    if not response.ok:
        raise FetchError(f"the status provider answered {response.status}")
    return parse_aggregation(response.body)


def create_aggregation(uris: Sequence[str]) -> JsonObject:
    """Return the aggregation document (9.3)."""
    return {"status_lists": [*uris]}


def parse_aggregation(document: bytes) -> tuple[str, ...]:
    """Return the addresses in an aggregation document.

    Raises:
        MalformedError: it does not parse, or holds too many.
    """
    members = strict_json.loads_object(document, what="aggregation", max_bytes=_MAX_AGGREGATION_BYTES)
    lists = members.get("status_lists")
    # tsl-9.3-lists
    if not isinstance(lists, list) or len(lists) > MAX_AGGREGATED:
        raise MalformedError("the aggregation has no status_lists", clause="Token Status List 9.3")
    if not all(isinstance(uri, str) and len(uri) <= MAX_URI_CHARACTERS for uri in lists):
        raise MalformedError("the aggregation holds something else than addresses", clause="Token Status List 9.3")
    return tuple(str(uri) for uri in lists)
