"""Our own API for what a relying party has not heard."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from verifier.dependencies import verifier_of
from verifier.presentations.shapes import Shape
from verifier.relying_parties.ports import PartyId
from verifier.webhooks.ports import Delivery
from verifier.webhooks.use_cases import list_failed, send_again
from wallet_core.adapters.api_keys import ApiKey
from wallet_core.adapters.idempotency import Answer
from wallet_core.adapters.web import idempotent, protocol_json, require_api_key
from wallet_core.types import JsonObject

router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"])

Writer = Annotated[ApiKey, Depends(require_api_key("presentations:write"))]
Reader = Annotated[ApiKey, Depends(require_api_key("presentations:read"))]


class FailedWebhook(Shape):
    """A webhook that your server has not taken."""

    id: str = Field(description="`webhook-id`, the same on every try.")
    type: str = Field(description="presentation. and the state.")
    presentation_id: str
    url: str
    created_at: datetime
    state: Literal["waiting", "dead"] = Field(description="dead: it is not tried any more.")
    tries: int
    next_try_at: datetime | None
    status: int | None = Field(description="What your server answered last; null if it was not reached.")
    problem: str = Field(description="Why the last try failed.")
    dead_at: datetime | None


class FailedWebhooks(Shape):
    """A page of them, newest first."""

    webhooks: list[FailedWebhook]
    next_cursor: str | None = Field(description="For `cursor` of the next page; null on the last one.")


class SentAgain(Shape):
    """It is on its way."""

    id: str


@router.get("/failed", response_model=FailedWebhooks)
async def list_failed_webhooks(
    request: Request, key: Reader, cursor: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """List webhooks that your server has not taken, newest first: those still tried, and those given up."""
    verifier = verifier_of(request)
    storage = verifier.webhook_storage(verifier.database.reader())
    page, following = list_failed(storage, PartyId(key.owner), before=cursor)
    return protocol_json({"webhooks": [delivery_json(each) for each in page], "next_cursor": following})


@router.post("/failed/{webhook_id}/send-again", status_code=202, response_model=SentAgain)
async def send_webhook_again(request: Request, webhook_id: str, key: Writer) -> Response:
    """Send one again now, under the same `webhook-id`, and then by the same schedule."""
    verifier, unit = verifier_of(request), verifier_of(request).database.unit()

    def again() -> Answer:
        """Do it the first time the key comes."""
        storage = verifier.webhook_storage(unit)
        send_again(storage, PartyId(key.owner), webhook_id, now=verifier.clock.now())
        return Answer(202, {"id": webhook_id})

    return await idempotent(request, unit, key, again)


def delivery_json(delivery: Delivery) -> JsonObject:
    """Return what was not heard as our API shows it."""
    return {
        "id": delivery.id,
        "type": delivery.event,
        "presentation_id": delivery.presentation_id,
        "url": delivery.url,
        "created_at": delivery.created_at.isoformat(),
        "state": "waiting" if delivery.dead_at is None else "dead",
        "tries": delivery.tries,
        "next_try_at": _time(delivery.next_at),
        "status": delivery.status,
        "problem": delivery.problem,
        "dead_at": _time(delivery.dead_at),
    }


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()
