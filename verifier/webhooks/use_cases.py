"""What is done with webhooks: set where to tell, send, try again, give up, send again by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from verifier.relying_parties.ports import PartyId
from verifier.webhooks.ports import Delivery, Endpoint, WebhookPorts, WebhookStorage
from wallet_core.errors import FetchError, InvalidRequest, KeyUnavailable, MalformedError, NotFound, StorageError
from wallet_core.http import HttpResponse
from wallet_core.protocols.oauth2.identifiers import parse_url
from wallet_core.protocols.webhooks import create_webhook_request, new_webhook_secret, wait_after
from wallet_core.types import RandomBytes

OVERLAP: Final = timedelta(hours=24)
"""How long the previous secret signs beside the new one."""

PAGE: Final = 50
"""Rows of one page of the list."""

BATCH: Final = 200
"""Deliveries that one job forgets: a receiver that was away for a day may leave a hundred thousand."""

MAX_URL: Final = 2000


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: of what, and what came of it.

    Attributes:
        delivery: what was tried.
        response: None if the receiver was not reached.
        problem: in words; empty if it was heard.
        unexpected: the error behind the problem, where it is none of those that receivers cause.
    """

    delivery: Delivery
    response: HttpResponse | None
    problem: str
    unexpected: Exception | None = None


def parse_webhook_url(value: str) -> str:
    """Return the address of a receiver. Raises ``InvalidRequest`` if it is not https or too long."""
    try:
        # webhook-1-https
        url = parse_url(value, what="webhook")
    except MalformedError as exc:
        raise InvalidRequest(exc.description) from exc
    if len(url) > MAX_URL:
        raise InvalidRequest("webhook is too long")
    return url


def set_webhook(
    storage: WebhookStorage,
    party_id: PartyId,
    *,
    url: str | None,
    rotate: bool,
    random: RandomBytes,
    now: datetime,
) -> tuple[Endpoint, bool]:
    """Set where a party is told, and return that with whether its secret is new and so to be shown, this once.

    Args:
        storage: one transaction.
        party_id: whose.
        url: for requests that name none of their own; None leaves it as it is.
        rotate: make a new secret; the old one signs beside it for :data:`OVERLAP`.
        random: source of the secret.
        now: the present time.

    Raises:
        InvalidRequest: the address is not https.
    """
    address = None if url is None else parse_webhook_url(url)
    with storage.unit:
        known = storage.webhooks.endpoint(party_id)
        if known is None:
            endpoint, new = Endpoint(address, new_webhook_secret(random)), True
        elif rotate:
            secret = new_webhook_secret(random)
            endpoint, new = Endpoint(address or known.url, secret, known.secret, now + OVERLAP), True
        else:
            endpoint, new = replace(known, url=address or known.url), False
        storage.webhooks.put(party_id, endpoint)
    return endpoint, new


def remove_webhook(storage: WebhookStorage, party_id: PartyId) -> None:
    """Tell a party nothing any more. Raises ``NotFound`` if it was not told before."""
    with storage.unit:
        if not storage.webhooks.remove(party_id):
            raise NotFound("the relying party has no webhook")


def require_secret(storage: WebhookStorage, party_id: PartyId) -> None:
    """Check that what is sent to a party can be signed. Raises ``InvalidRequest``."""
    with storage.unit:
        # webhook-1-signed
        if storage.webhooks.endpoint(party_id) is None:
            raise InvalidRequest(
                "webhooks are signed: ask for a secret first", detail="jigap verifier party webhook makes it"
            )


def send_delivery(ports: WebhookPorts, delivery_id: str, turn: int) -> Attempt | None:
    """Try to deliver, in no transaction. Returns None where there is nothing to be done any more."""
    storage, now = ports.reading(), ports.clock.now()
    with storage.unit:
        delivery = storage.webhooks.find(delivery_id)
    # Sent again by hand meanwhile, or heard: another job is about it, or none.
    if delivery is None or delivery.turn != turn or delivery.dead_at is not None:
        return None
    try:
        with storage.unit:
            endpoint = storage.webhooks.endpoint(delivery.party_id)
        if endpoint is None:
            return Attempt(delivery, None, "the relying party has no secret any more")
        request = create_webhook_request(delivery.url, delivery.id, delivery.body, endpoint.secrets(now), now=now)
        response = ports.send(request)
    except (FetchError, KeyUnavailable) as exc:
        return Attempt(delivery, None, exc.description)
    except StorageError:
        # Of our own database: the job comes back, and nothing could be stored of an attempt.
        raise
    except Exception as exc:  # noqa: BLE001 - whatever an address or a secret does to us, it is tried again and listed
        return Attempt(delivery, None, f"it could not be sent ({type(exc).__name__})", exc)
    # "a 2xx status code (status codes 200-299), and it is considered a failure in any other scenario".
    return Attempt(delivery, response, "" if response.ok else f"answered {response.status}")


def settle_attempt(storage: WebhookStorage, attempt: Attempt, *, random: RandomBytes, now: datetime) -> None:
    """Store what came of a try, in the caller's transaction: heard, put off, or given up."""
    delivery, response = attempt.delivery, attempt.response
    # webhook-1-heard
    if response is not None and response.ok:
        storage.webhooks.heard(delivery)
        return
    tries = delivery.tries + 1
    wait = wait_after(tries, response, random)
    storage.webhooks.put_off(
        replace(
            delivery,
            turn=delivery.turn + 1,
            tries=tries,
            status=None if response is None else response.status,
            problem=attempt.problem,
            next_at=None if wait is None else now + wait,
            dead_at=now if wait is None else None,
        ),
        wait,
    )


def list_failed(
    storage: WebhookStorage, party_id: PartyId, *, before: str = ""
) -> tuple[Sequence[Delivery], str | None]:
    """Return a page of what a party has not heard, newest first, and the cursor of the next page."""
    with storage.unit:
        found = storage.webhooks.failed(party_id, before=before, limit=PAGE + 1)
    page = found[:PAGE]
    return page, page[-1].id if len(found) > PAGE else None


def send_again(storage: WebhookStorage, party_id: PartyId, delivery_id: str, *, now: datetime) -> None:
    """Send what a party has not heard once more, at once, and then as if it had just happened, under the same id.

    Raises:
        NotFound: the party has no such delivery, or has heard it.
    """
    with storage.unit:
        delivery = storage.webhooks.find(delivery_id)
        # webhook-1-own
        if delivery is None or delivery.party_id != party_id:
            raise NotFound("there is no such webhook, or it was delivered")
        anew = replace(delivery, turn=delivery.turn + 1, tries=0, next_at=now, dead_at=None)
        storage.webhooks.put_off(anew, timedelta())


def delete_dead(storage: WebhookStorage, *, before: datetime) -> int:
    """Delete up to :data:`BATCH` that were given up before then, in the caller's transaction; return how many."""
    return storage.webhooks.delete_dead(before=before, limit=BATCH)
