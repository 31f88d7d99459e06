"""Drawing the place of a credential that is about to be signed.

At random, so that neighbours in a list have nothing in common; from one open list for each agency and format, so that
many share it; and without counting: a list is full when a draw meets too many taken places in a row. What is left over
is never used and cannot be told from credentials that are valid.
"""

import hashlib
import hmac
from typing import Final

from issuer.agencies.ports import Agency
from issuer.status.ports import StatusEntry, StatusListHead, StatusLists, StatusPorts, StatusTerms
from wallet_core.errors import StorageError
from wallet_core.trust.status_list.array import new_array
from wallet_core.trust.status_list.reference import StatusReference
from wallet_core.types import AgencyId, RandomBytes
from wallet_core.values import statically_frozen

TRIES: Final = 16
"""Draws for one place before the list counts as full: it then is a little over half full."""

DECOYS: Final = 64
"""One place of so many is a decoy: it changes now and then although no credential has it (Token Status List 12.4)."""

_LISTS_TRIED = 8
_RANDOM_BYTES = 8


@statically_frozen
class StatusPlace:
    """A place in a list, drawn for one credential; it is that credential's once :func:`take_places` is committed."""

    number: int
    reference: StatusReference


def status_list_uri(agency: Agency, number: int) -> str:
    """Return the address of a list, which is its name too. No other code builds one."""
    return f"{agency.credential_issuer}/statuslists/{number}"


def draw_places(
    ports: StatusPorts, agency: Agency, *, credential_format: str, bits: int, count: int
) -> tuple[StatusPlace, ...]:
    """Return a fresh place for each of ``count`` credentials of one format. Nothing is taken yet.

    Raises:
        StorageError: list after list was full.
    """
    for _ in range(_LISTS_TRIED):
        # Two looks: between them a place may be taken, as it may until this one is.
        storage = ports.looking()
        with storage.unit:
            head = storage.lists.open_list(agency.id, credential_format)
            drawn = set[int]() if head is None else _draw(storage.lists, head, ports.terms, count, ports.random)
        if head is not None and len(drawn) == count:
            uri = status_list_uri(agency, head.number)
            return tuple([StatusPlace(head.number, StatusReference(idx, uri)) for idx in drawn])
        _open_new(ports, agency.id, credential_format, bits, full=head)
    raise StorageError("no place in a status list was found")


def take_places(lists: StatusLists, agency_id: AgencyId, places: dict[str, StatusPlace]) -> None:
    """Give each credential id its place, in the caller's transaction.

    Another credential may have got one since it was drawn; the transaction then fails with ``StateConflict``.
    """
    # "The Status Issuer MUST prevent any unintended double allocation" (13.3).
    # tsl-13.3-once
    lists.assign(
        StatusEntry(agency_id, place.number, place.reference.idx, credential_id)
        for credential_id, place in places.items()
    )


def is_decoy(terms: StatusTerms, head: StatusListHead, idx: int) -> bool:
    """Return whether a place is kept from credentials. Only we can tell, and no row says so."""
    text = f"{head.agency_id}/{head.number}/{idx}".encode()
    return int.from_bytes(hmac.digest(terms.decoy_key, text, hashlib.sha256)[:4], "big") % DECOYS == 0


def random_place(head: StatusListHead, random: RandomBytes) -> int:
    """Return a place of a list, each as likely as the others."""
    return int.from_bytes(random(_RANDOM_BYTES), "big") % head.size


def _draw(lists: StatusLists, head: StatusListHead, terms: StatusTerms, count: int, random: RandomBytes) -> set[int]:
    """Return free places, fewer than ``count`` if the list is full."""
    found = set[int]()
    for _ in range(TRIES):
        missing = count - len(found)
        if not missing:
            break
        # "indices … SHOULD be random" and each copy has its own (13.2): nothing links two copies.
        # tsl-13.2-random
        drawn = {random_place(head, random) for _ in range(missing)} - found
        fit = {idx for idx in drawn if not is_decoy(terms, head, idx)}
        found |= fit - lists.taken(head, fit)
    return found


def _open_new(
    ports: StatusPorts, agency_id: AgencyId, credential_format: str, bits: int, *, full: StatusListHead | None
) -> None:
    storage = ports.storage()
    with storage.unit:
        if full is not None:
            storage.lists.close(full)
        if storage.lists.open_list(agency_id, credential_format) is not None:
            return  # another worker was faster
        size, number = ports.terms.list_size, max(storage.lists.numbers(agency_id), default=0) + 1
        head = StatusListHead(agency_id, number, credential_format, bits, size, 1, ports.clock.now())
        storage.lists.add(head, bytes(new_array(size, bits)))
