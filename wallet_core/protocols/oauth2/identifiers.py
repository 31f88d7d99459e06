"""URLs as identifiers, and where their metadata lie (RFC 8414 3, OpenID4VCI 12.2, RFC 8615).

The invariant: an identifier is compared as the string it is, never normalised.
"""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from wallet_core.errors import MalformedError
from wallet_core.http import has_sound_labels
from wallet_core.types import Json

MAX_URL_CHARACTERS: Final = 2048
"""Longest URL that is looked at: browsers and proxies cut longer ones."""

LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})
"""Hosts for which plain http parses. Whether it is *fetched* is the driver's choice, which refuses it by default."""

# Schemes that make a browser run or open something local are no wallet; those that merely begin like them may be one.
_WALLET_SCHEME = re.compile(r"(?!(?:javascript|data|vbscript|file|blob|about|https?):)[a-z][a-z0-9+.-]{1,40}:(?://)?\Z")

_URL_CHARACTERS = re.compile(r"[\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+\Z")


def parse_url(value: Json, *, what: str) -> str:
    """Return ``value`` if it is an absolute https URL without fragment and user information.

    OpenID4VCI 3, OpenID4VP 5: every endpoint is https. Plain http parses for a loopback host only.

    Raises:
        MalformedError: it is not.
    """
    _split(value, what)
    return str(value)


def parse_wallet_endpoint(value: Json, *, what: str) -> str:
    """Return ``value`` if a wallet may be called there: a URL as of :func:`parse_url`, or a scheme of the wallet's own.

    OpenID4VCI 4.1, OpenID4VP 5: links begin with it (``openid-credential-offer://``, ``haip-vp:``).

    Raises:
        MalformedError: it is neither.
    """
    if isinstance(value, str) and _WALLET_SCHEME.match(value):
        return value
    return parse_url(value, what=what)


def parse_identifier(value: Json, *, what: str) -> str:
    """Return ``value`` if it may name an issuer: as :func:`parse_url`, and without query.

    OpenID4VCI 12.2.1, RFC 8414 2: scheme, host and optionally port and path, no query or fragment component.

    Raises:
        MalformedError: it may not.
    """
    # vci-12.2.1-no-query
    if "?" in _split(value, what)[0]:
        raise MalformedError(f"{what} has a query", clause="OpenID4VCI 12.2.1")
    return str(value)


def well_known_location(identifier: str, name: str, *, keep_final_slash: bool = False) -> str:
    """Return where metadata lie by insertion between host and path (RFC 8414 3.1, OpenID4VCI 12.2.2).

    ``oauth-authorization-server`` and ``jwt-vc-issuer`` strip a final slash of the identifier,
    ``openid-credential-issuer`` keeps it.
    """
    parts = urlsplit(identifier)
    path = parts.path if keep_final_slash else parts.path.removesuffix("/")
    return f"{parts.scheme}://{parts.netloc}/.well-known/{name}{path}"


def appended_location(identifier: str, name: str) -> str:
    """Return where older software puts metadata: after the path (OpenID Connect Discovery 4)."""
    return f"{identifier.removesuffix('/')}/.well-known/{name}"


def _split(value: Json, what: str) -> tuple[str, SplitResult]:
    if not isinstance(value, str) or len(value) > MAX_URL_CHARACTERS or not _URL_CHARACTERS.match(value):
        raise MalformedError(f"{what} is not a URL", clause="RFC 3986 3")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as exc:
        raise MalformedError(f"{what} is not a URL", clause="RFC 3986 3") from exc
    if not host or "@" in parts.netloc or "#" in value:
        raise MalformedError(f"{what} has no host, or has user information or a fragment", clause="RFC 3986 3.2")
    if not has_sound_labels(host):
        raise MalformedError(f"the host of {what} is not a name", clause="RFC 1035 2.3.4")
    # vci-12.2.1-https
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK_HOSTS):
        raise MalformedError(f"{what} is not https", clause="OpenID4VCI 12.2.1")
    return value, parts
