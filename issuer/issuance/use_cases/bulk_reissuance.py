"""Replacing the copies of many people: count first, then from person to person by a durable job."""

from collections.abc import Callable, Sequence

from issuer.agencies.ports import Agency
from issuer.issuance.bulk import (
    CHUNK,
    BulkOrder,
    BulkReissuance,
    BulkState,
    Done,
    Progress,
    Running,
    go_on,
)
from issuer.issuance.ports import IssuancePorts, Storage
from issuer.issuance.use_cases.dataset import new_id
from issuer.issuance.use_cases.reissuance import ReplaceOrder, check_order, configurations_of, replace_for
from wallet_core.errors import InvalidRequest, NotFound
from wallet_core.types import AgencyId

LISTED = 50
"""Orders that a list shows: an agency makes a few a year."""


def count_bulk(ports: IssuancePorts, agency: Agency, order: ReplaceOrder) -> BulkOrder:
    """Return what an order would concern, and change nothing: the dry run.

    Raises:
        InvalidRequest, NotFound: as ``reissuance.check_order``.
    """
    configuration_ids = check_order(ports, agency, order)
    storage = ports.reading()
    with storage.unit:
        people, copies = storage.credentials.count_live(agency.id, configuration_ids, now=ports.clock.now())
    return BulkOrder(order.type_id, order.grace, order.reason, order.ordered_by, people, copies)


def start_bulk(ports: IssuancePorts, storage: Storage, agency: Agency, order: ReplaceOrder) -> BulkReissuance:
    """Store an order and have a worker begin.

    Raises:
        InvalidRequest: as ``reissuance.check_order``, or nobody has a credential of the type.
        NotFound: as ``reissuance.check_order``.
    """
    counted, now = count_bulk(ports, agency, order), ports.clock.now()
    if not counted.subjects:
        raise InvalidRequest("nobody has a credential of this type that could be replaced")
    bulk = BulkReissuance(new_id(ports, now), agency.id, 1, Running(counted, Progress()), now)
    with storage.unit:
        storage.bulks.add(bulk)
        storage.bulks.continue_soon(bulk)
    return bulk


def show_bulk(ports: IssuancePorts, agency: Agency, bulk_id: str) -> BulkReissuance:
    """Return an order with its progress. Raises ``NotFound``."""
    storage = ports.reading()
    with storage.unit:
        return _find(storage, agency.id, bulk_id)


def list_bulks(ports: IssuancePorts, agency: Agency) -> Sequence[BulkReissuance]:
    """Return an agency's orders, newest first."""
    storage = ports.reading()
    with storage.unit:
        return storage.bulks.latest(agency.id, limit=LISTED)


def move_bulk(storage: Storage, agency: Agency, bulk_id: str, move: Callable[[BulkState], BulkState]) -> BulkReissuance:
    """Pause, resume or cancel an order: ``move`` is the transition of ``issuance.bulk``.

    Raises:
        NotFound: the agency has no such order.
        StateConflict: it has ended.
    """
    with storage.unit:
        bulk = _find(storage, agency.id, bulk_id, to_change=True)
        state = move(bulk.state)
        if state == bulk.state:
            return bulk
        moved = storage.bulks.advance(bulk, state)
        if isinstance(state, Running):
            storage.bulks.continue_soon(moved)
    return moved


def continue_bulk(ports: IssuancePorts, storage: Storage, bulk_id: str, version: int) -> None:
    """Do the next chunk of an order in one transaction, and have a worker go on if there is more.

    Nothing happens if the order moved since this piece of work was enqueued: it was paused, or a later one goes on.
    """
    with storage.unit:
        bulk = storage.bulks.find(None, bulk_id, to_change=True)
        if bulk is None or bulk.version != version or not isinstance(bulk.state, Running):
            return
        moved = storage.bulks.advance(bulk, _after_chunk(ports, storage, bulk.agency_id, bulk.state))
        if not isinstance(moved.state, Done):
            storage.bulks.continue_soon(moved)


def _after_chunk(ports: IssuancePorts, storage: Storage, agency_id: AgencyId, state: Running) -> Running | Done:
    order, configuration_ids = state.order, configurations_of(ports, agency_id, state.order.type_id)
    people = storage.credentials.holders(
        agency_id, configuration_ids, now=ports.clock.now(), after=state.progress.cursor, limit=CHUNK
    )
    wanted = ReplaceOrder(order.type_id, order.reason, order.ordered_by, order.grace)
    copies = replace_for(ports, storage, agency_id, people, configuration_ids, wanted)
    return go_on(state, cursor=people[-1] if len(people) == CHUNK else None, subjects=len(people), copies=copies)


def _find(storage: Storage, agency_id: AgencyId, bulk_id: str, *, to_change: bool = False) -> BulkReissuance:
    # What is no id of ours is not worth asking the database, which refuses some texts with an error.
    found = storage.bulks.find(agency_id, bulk_id, to_change=to_change) if bulk_id.isalnum() else None
    if found is None:
        raise NotFound("the agency has no such re-issuance")
    return found
