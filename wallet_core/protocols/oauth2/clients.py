"""Clients that an Authorization Server knows, and where it may send people back to (RFC 6749 3.1.2, RFC 8252, M1).

The invariant: a redirect URI is compared as the string that was registered, but for the port of a loopback address.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from wallet_core.errors import InvalidRequest, MalformedError
from wallet_core.protocols.oauth2.identifiers import LOOPBACK_HOSTS, MAX_URL_CHARACTERS
from wallet_core.types import ClientId

MAX_CLIENT_ID_CHARACTERS: Final = 500
"""Longest ``client_id``: names of products and https URLs."""

_URI = re.compile(r"[\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]+\Z")
# Schemes that make a browser run, read or send something are no wallet's.
_FORBIDDEN: Final = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "ftp", "mailto", "ws", "wss"})


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """A wallet product as it was registered: its name on the consent page and its redirect URIs.

    ``public`` says that it may come without client authentication where the agency allows that.
    """

    client_id: ClientId
    name_ko: str
    name_en: str
    redirect_uris: tuple[str, ...]
    public: bool = True


def parse_registered_clients(text: str) -> dict[ClientId, RegisteredClient]:
    """Return the clients of a TOML file with a table ``[[clients]]`` for each.

    A table has ``client_id``, ``name`` with ``ko`` and ``en``, ``redirect_uris``, and ``public`` (default true).

    Raises:
        MalformedError: not TOML, or a member is missing or of the wrong type, or a client is there twice.
    """
    try:
        tables = tomllib.loads(text).get("clients", [])
    except tomllib.TOMLDecodeError as exc:
        raise MalformedError("the file of clients is not TOML", detail=f"the file of clients: {exc}") from exc
    if not isinstance(tables, list):
        raise MalformedError("clients is not an array of tables")
    found = [_registered(table) for table in tables]
    if len({each.client_id for each in found}) != len(found):
        raise MalformedError("a client_id is there twice")
    return {each.client_id: each for each in found}


def _registered(table: Any) -> RegisteredClient:
    match table:
        case {"client_id": str(client_id), "name": {"ko": str(ko), "en": str(en)}, "redirect_uris": list(uris)} if (
            0 < len(client_id) <= MAX_CLIENT_ID_CHARACTERS and uris
        ):
            redirect_uris = tuple(parse_redirect_uri(uri) for uri in uris)
            return RegisteredClient(ClientId(client_id), ko, en, redirect_uris, table.get("public", True) is True)
        case _:
            raise MalformedError("a client has no client_id, name or redirect_uris")


def parse_redirect_uri(value: object, *, what: str = "redirect_uri") -> str:
    """Return ``value`` if a wallet may be sent answers there: https, http of a loopback host, or a scheme of its own.

    Raises:
        MalformedError: it is no URI, has a fragment, or its scheme is not one for this.
    """
    parts = _split(value)
    # RFC 6749 3.1.2: absolute, without fragment. M1: no http but for loopback.
    # oauth-6749.3.1.2-absolute
    if parts is None or "#" in str(value):
        raise MalformedError(f"{what} is not an absolute URI without fragment", clause="RFC 6749 3.1.2")
    plain = parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS
    hostless = parts.scheme in {"http", "https"} and not parts.hostname
    # oauth-FAPI2.5.3.2.2-scheme
    if plain or hostless or parts.scheme in _FORBIDDEN or "@" in parts.netloc:
        raise MalformedError(f"{what} is neither https nor a wallet's own scheme", clause="FAPI 2.0 5.3.2.2")
    return str(value)


def validate_redirect_uri(client: RegisteredClient, redirect_uri: str | None) -> str:
    """Return ``redirect_uri`` if it is one of the client's. Until then nobody may be sent there (RFC 6749 3.1.2.4).

    Raises:
        InvalidRequest: it is missing or not registered.
    """
    # oauth-6749.3.1.2.3-missing
    if redirect_uri is None:
        raise InvalidRequest("redirect_uri is missing", clause="RFC 6749 3.1.2.3")
    # RFC 9700 2.1: "authorization servers MUST utilize exact string matching", ports of loopback excepted.
    # oauth-9700.2.1-exact
    if not any(_same_target(registered, redirect_uri) for registered in client.redirect_uris):
        raise InvalidRequest("redirect_uri is not registered for this client", clause="RFC 9700 2.1")
    return redirect_uri


def redirect_target(redirect_uri: str) -> str:
    """Return what a page's ``form-action`` must allow for ``redirect_uri``: its origin, or ``scheme:`` (M5)."""
    parts = urlsplit(redirect_uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in {"http", "https"} else f"{parts.scheme}:"


def _same_target(registered: str, sent: str) -> bool:
    if registered == sent:
        return True
    one, other = _split(registered), _split(sent)
    if one is None or other is None or one.scheme != "http" or one.hostname not in LOOPBACK_HOSTS:
        return False
    # RFC 8252 7.3: any port of the loopback interface; everything else as registered.
    return _without_port(one) == _without_port(other) and "#" not in sent and "@" not in other.netloc


def _without_port(parts: SplitResult) -> Sequence[str | None]:
    return (parts.scheme, parts.hostname, parts.path, parts.query)


def _split(value: object) -> SplitResult | None:
    if not isinstance(value, str) or len(value) > MAX_URL_CHARACTERS or not _URI.match(value):
        return None
    try:
        parts = urlsplit(value)
        _ = parts.hostname, parts.port
    except ValueError:
        return None
    return parts if parts.scheme else None
