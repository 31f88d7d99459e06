"""The lists as whoever checks a credential fetches them (Token Status List 8, 9).

A list is signed when it is asked for and has changed since, or when its signature gets old. So a change costs one row,
a list that nobody asks for costs nothing, and two workers need not agree on anything but the row.
"""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from issuer.agencies.ports import Agency, document_signer_key
from issuer.status.ports import StatusListHead, StatusPorts, StoredStatusList
from issuer.status.use_cases.places import status_list_uri
from wallet_core import spec_versions as spec
from wallet_core.errors import InvalidRequest, NotFound, NotSupported
from wallet_core.keys.signer import Signer
from wallet_core.trust.status_list.array import with_statuses
from wallet_core.trust.status_list.cwt import create_status_list_cwt
from wallet_core.trust.status_list.fetching import create_aggregation
from wallet_core.trust.status_list.token import StatusListClaims, create_status_list_jwt, status_list_claims
from wallet_core.types import JsonObject

MAX_REMEMBERED: Final = 256
"""Signed lists that one worker keeps; one of the usual size is some ten kilobytes."""

_MAX_NUMBER = 2**31 - 1

Maker: TypeAlias = Callable[[StatusListClaims, Signer, tuple[bytes, ...]], bytes]


def _make_jwt(claims: StatusListClaims, signer: Signer, chain: tuple[bytes, ...]) -> bytes:
    return create_status_list_jwt(claims, signer=signer, x5c=chain).encode("ascii")


def _make_cwt(claims: StatusListClaims, signer: Signer, chain: tuple[bytes, ...]) -> bytes:
    return create_status_list_cwt(claims, signer=signer, x5chain=chain)


_MAKERS: Final[Mapping[str, Maker]] = {
    spec.STATUS_LIST_JWT_MEDIA_TYPE: _make_jwt,
    spec.STATUS_LIST_CWT_MEDIA_TYPE: _make_cwt,
}

FORMS: Final = tuple(_MAKERS)
"""Media types of a list, the default first."""


@dataclass(frozen=True, slots=True)
class PublishedList:
    """A signed list.

    Attributes:
        media_type: one of :data:`FORMS`.
        body: the token.
        gzipped: the same, compressed for the way; None for a form that is not text (8.2).
        issued_at: its ``iat``.
    """

    media_type: str
    body: bytes
    gzipped: bytes | None
    issued_at: datetime


class SignedLists:
    """What one worker has signed, by list and form. The row's version says whether it still holds."""

    def __init__(self, max_entries: int = MAX_REMEMBERED) -> None:
        self._max_entries = max_entries
        self._signed: dict[tuple[str, int, str], tuple[int, PublishedList]] = {}

    def find(self, head: StatusListHead, media_type: str) -> PublishedList | None:
        """Return what was signed of exactly this version of a list."""
        version, published = self._signed.get((head.agency_id, head.number, media_type), (0, None))
        return published if version == head.version else None

    def keep(self, head: StatusListHead, published: PublishedList) -> None:
        """Remember what was signed, and forget the oldest beyond the limit."""
        while len(self._signed) >= self._max_entries:
            self._signed.pop(next(iter(self._signed)), None)
        self._signed[head.agency_id, head.number, published.media_type] = (head.version, published)


def publish(ports: StatusPorts, signed: SignedLists, agency: Agency, number: str, media_type: str) -> PublishedList:
    """Return a list as it is now.

    Raises:
        NotFound: the agency has no such list.
        KeyUnavailable: its key cannot sign now.
    """
    now, storage = ports.clock.now(), ports.reading()
    with storage.unit:
        head = storage.lists.head(agency.id, _number(number))
        found = None if head is None else signed.find(head, media_type)
        # Signed anew at half its ttl, so that what a cache is given is never about to end.
        if found is not None and now - found.issued_at < ports.terms.ttl / 2:
            return found
        stored = _stored(storage.lists.read(agency.id, _number(number)))
    published = _sign(ports, agency, stored, media_type, issued_at=now, expires_at=now + ports.terms.life)
    signed.keep(stored.head, published)
    return published


def publish_past(ports: StatusPorts, agency: Agency, number: str, media_type: str, time: str) -> PublishedList:
    """Return a list as it was at ``time``, rebuilt from what changed since, and dated then (8.4).

    Raises:
        InvalidRequest: ``time`` is not a number of seconds.
        NotSupported: no lists of the past are handed out here.
        NotFound: the agency has no such list, or had none then.
    """
    # "If the Server does not support the additional query parameter, it SHOULD return … 501" (8.4).
    # tsl-8.4-501
    if not ports.terms.history:
        raise NotSupported("no status lists of the past are handed out here", clause="Token Status List 8.4")
    at, storage = _time(time), ports.reading()
    with storage.unit:
        stored = _stored(storage.lists.read(agency.id, _number(number)))
        # tsl-8.4-404
        if not stored.head.created_at <= at <= ports.clock.now():
            raise NotFound("there is no status list of that time", clause="Token Status List 8.4")
        changes = storage.lists.changed_after(agency.id, stored.head.number, at)
    # Newest first, so that what stood before the earliest change is what remains.
    array = with_statuses(stored.array, stored.head.bits, {change.idx: change.before for change in changes})
    then = StoredStatusList(stored.head, array)
    return _sign(ports, agency, then, media_type, issued_at=at, expires_at=at + ports.terms.ttl)


def aggregate(ports: StatusPorts, agency: Agency) -> JsonObject:
    """Return the addresses of all lists of an agency (9.3)."""
    storage = ports.reading()
    with storage.unit:
        numbers = storage.lists.numbers(agency.id)
    return create_aggregation([status_list_uri(agency, number) for number in numbers])


def aggregation_uri(agency: Agency) -> str:
    """Return where all lists of an agency are named."""
    return f"{agency.credential_issuer}/statuslists"


def _sign(
    ports: StatusPorts,
    agency: Agency,
    stored: StoredStatusList,
    media_type: str,
    *,
    issued_at: datetime,
    expires_at: datetime,
) -> PublishedList:
    claims = status_list_claims(
        stored.array,
        stored.head.bits,
        uri=status_list_uri(agency, stored.head.number),
        issued_at=issued_at,
        expires_at=expires_at,
        ttl=ports.terms.ttl,
        aggregation_uri=aggregation_uri(agency),
    )
    # ISO/IEC 18013-5, second edition: who signs an mdoc's list stands below the same IACA as who signs the mdoc.
    name = document_signer_key(agency.id) if stored.head.format == spec.FORMAT_MDOC else agency.id
    key = ports.keys.signing_key(name)
    body = _MAKERS[media_type](claims, key.signer, key.chain)
    text = media_type == spec.STATUS_LIST_JWT_MEDIA_TYPE
    return PublishedList(media_type, body, gzip.compress(body, mtime=0) if text else None, issued_at)


def _stored(stored: StoredStatusList | None) -> StoredStatusList:
    if stored is None:
        raise NotFound("the agency has no such status list")
    return stored


def _number(text: str) -> int:
    # What is no number of ours is not worth asking the database, which refuses some texts with an error.
    if not text.isascii() or not text.isdecimal() or text.startswith("0") or int(text[:12]) > _MAX_NUMBER:
        raise NotFound("the agency has no such status list")
    return int(text)


def _time(text: str) -> datetime:
    if not text.isascii() or not text.isdecimal() or len(text) > 12:
        raise InvalidRequest("time is a number of seconds since 1970", clause="Token Status List 8.4")
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise InvalidRequest("time is too far away", clause="Token Status List 8.4") from exc
