"""What two credentials have in common: every value in them, signed or beside it, whatever the format."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from wallet_core.encoding import base64url, cbor, strict_json
from wallet_core.errors import MalformedError

TAG_CBOR = 24
EMBEDDED = b"\xd8\x18"
"""How an embedded item begins."""


def values_of(credential: str, *, is_mdoc: bool) -> frozenset[Any]:
    """Return every value of a credential that could be compared with one of another."""
    return frozenset(_mdoc_values(credential) if is_mdoc else _sd_jwt_values(credential))


def claim_values(claims: Any) -> frozenset[Any]:
    """Return every value that claims hold, as the credentials write it."""
    return frozenset(_atoms(_opened(claims)))


def _sd_jwt_values(text: str) -> Iterator[Any]:
    jwt, *disclosures = text.rstrip("~").split("~")
    header, payload, signature = jwt.split(".")
    yield signature
    yield from _atoms(strict_json.loads_object(base64url.decode(header)))
    yield from _atoms(strict_json.loads_object(base64url.decode(payload)))
    for disclosure in disclosures:
        yield disclosure
        yield from _atoms(strict_json.loads(base64url.decode(disclosure)))


def _mdoc_values(text: str) -> Iterator[Any]:
    yield from _atoms(_opened(cbor.loads(base64url.decode(text))))


def _opened(value: Any) -> Any:
    """Open what is embedded: items, the payload of IssuerAuth and the MobileSecurityObject in it."""
    if isinstance(value, cbor.Tagged):
        return [value.value, _opened(cbor.loads(value.value))] if value.tag == TAG_CBOR else _opened(value.value)
    if isinstance(value, dict):
        return {key: _opened(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_opened(each) for each in value]
    # The payload of IssuerAuth is text of CBOR within a byte string.
    if isinstance(value, bytes) and value[:2] == EMBEDDED:
        # One Digest of 65,536 begins like that by chance.
        with suppress(MalformedError):
            return [value, _opened(cbor.loads(value))]
    return value


def _atoms(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from _atoms(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _atoms(each)
    else:
        yield value
