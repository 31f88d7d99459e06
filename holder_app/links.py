"""What a person pastes, scans or clicks: an offer, a request, or neither (OpenID4VCI 4.1, OpenID4VP 5).

The query counts, not the scheme: links of other wallets and links with custom schemes all work.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, urlsplit

from wallet_core.errors import MalformedError
from wallet_core.protocols.oauth2.identifiers import parse_url

MAX_LINK_CHARACTERS = 32 * 1024
"""Longest text that is looked at; an offer or request passed by value is about 4 kB."""

MAX_PARAMETERS = 64

_OFFER = frozenset({"credential_offer", "credential_offer_uri"})
_REQUEST = frozenset({"request_uri", "request", "dcql_query"})
_AUTHORITY = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")
_UNSUPPORTED_SCHEMES = ("mdoc-openid4vp", "mdoc")


class UnsupportedLink(MalformedError):
    """A link of a kind that others know and this wallet does not."""


class LinkKind(StrEnum):
    """What a link leads to."""

    OFFER = "offer"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Link:
    """A link that was recognised. Nothing has been fetched."""

    kind: LinkKind
    text: str


def parse_link(text: str) -> Link:
    """Return what the text is: up to the first white space, which no link holds. Words after it are no part of it.

    Raises:
        MalformedError: neither an offer nor a request, or too long.
        UnsupportedLink: of a kind this wallet does not have.
    """
    text = text.strip()
    if len(text) > MAX_LINK_CHARACTERS:
        raise MalformedError(f"the link is longer than {MAX_LINK_CHARACTERS} characters")
    text = "".join(text.split(maxsplit=1)[:1])
    # ISO 18013-5 engagements and OpenID4VP as of ISO/IEC TS 18013-7 annex B; the latter's query looks like ours.
    scheme = text.partition(":")[0].lower()
    if scheme in _UNSUPPORTED_SCHEMES:
        raise UnsupportedLink(f"links that begin with {scheme}: are not supported by this wallet")
    names = {name for name, _ in query_of(text)}
    if names & _OFFER:
        return Link(LinkKind.OFFER, text)
    if "client_id" in names and names & _REQUEST:
        return Link(LinkKind.REQUEST, text)
    raise MalformedError("the text is neither an offer nor a request")


def query_of(text: str) -> tuple[tuple[str, str], ...]:
    """Return the parameters of a link's query. Raises ``MalformedError`` if it cannot be read."""
    query = text.partition("?")[2].partition("#")[0]
    try:
        return tuple(parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS))
    except ValueError as exc:
        raise MalformedError("the link has a query that cannot be read") from exc


def host_of(url: str) -> str:
    """Return the host of a URL for people to read, with its port if it is not the usual one.

    Empty if the protocols would not take the URL: readers of URLs disagree about what is wrong, and so about its host.
    """
    try:
        return urlsplit(parse_url(url, what="a URL")).netloc.lower()
    except MalformedError:
        return ""


def origin_of(url: str) -> str:
    """Return ``scheme://host:port`` of a URL; empty if it has none, or one with characters a policy header reads."""
    try:
        parts = urlsplit(parse_url(url.partition("#")[0], what="a URL"))
    except MalformedError:
        return ""
    return f"{parts.scheme}://{parts.netloc}" if _AUTHORITY.fullmatch(parts.netloc) else ""
