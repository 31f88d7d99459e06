"""Where a credential says its status is: ``status`` of a JWT, an SD-JWT VC or a Mobile Security Object (6.2, 6.3)."""

from typing import Any, Final
from urllib.parse import urlsplit

from wallet_core.errors import MalformedError
from wallet_core.types import JsonObject
from wallet_core.values import statically_frozen

MAX_URI_CHARACTERS: Final = 2048
"""Characters of the address of a list; ours have about 60."""

MAX_INDEX: Final = 2**53 - 1
"""Largest index every JSON reader holds exactly."""


@statically_frozen
class StatusReference:
    """A place in a status list.

    Attributes:
        idx: the index.
        uri: address and name of the list, compared as a string.
    """

    idx: int
    uri: str

    def to_json(self) -> JsonObject:
        """Return the ``status`` claim, the same members in JSON and in CBOR."""
        return {"status_list": {"idx": self.idx, "uri": self.uri}}


def parse_status(status: Any) -> StatusReference:
    """Return the reference in a ``status`` claim, read from JSON or from CBOR.

    Raises:
        MalformedError: there is no ``status_list`` in it, or it is not one: another mechanism cannot be looked up here.
    """
    entry = status.get("status_list") if isinstance(status, dict) else None
    if not isinstance(entry, dict):
        raise MalformedError("the credential has a status that is no status list", clause="Token Status List 6.1")
    idx, uri = entry.get("idx"), entry.get("uri")
    # tsl-6.2-idx
    if not isinstance(idx, int) or isinstance(idx, bool) or not 0 <= idx <= MAX_INDEX:
        raise MalformedError("idx of the status is not a non-negative integer", clause="Token Status List 6.2")
    # tsl-6.2-uri
    if not isinstance(uri, str) or not _is_uri(uri):
        raise MalformedError("uri of the status is not an address", clause="Token Status List 6.2")
    # ISO/IEC 18013-5 (second edition, draft): an anchor named by the credential itself; see specs/limitations.md.
    if "certificate" in entry:
        raise MalformedError("the status list has an anchor of its own, which is not supported here")
    return StatusReference(idx, uri)


def _is_uri(text: str) -> bool:
    if len(text) > MAX_URI_CHARACTERS or not text.isascii():
        return False
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)
