"""The page of what a relying party's server has not heard, with a button to send it again."""

from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from verifier.console.desk import Desk, staff
from verifier.webhooks.use_cases import list_failed, send_again
from wallet_core.adapters.web import html, page_router, see_other
from wallet_core.errors import NotFound

router = page_router()

Staff = Annotated[Desk, Depends(staff)]


@router.get("/console/webhooks")
async def webhook_list(
    request: Request,
    desk: Staff,
    cursor: Annotated[str, Query(max_length=64)] = "",
    sent: Annotated[str, Query(max_length=1)] = "",
) -> Response:
    """List what was not heard, newest first."""
    verifier = desk.verifier
    page, following = list_failed(verifier.webhook_storage(verifier.database.reader()), desk.party.id, before=cursor)
    return html(request, "console/webhooks.html", party=desk.party, deliveries=page, next_cursor=following, sent=sent)


@router.post("/console/webhooks/{webhook_id}/send-again")
async def send_webhook_again(desk: Staff, webhook_id: str) -> Response:
    """Send one again now."""
    verifier = desk.verifier
    storage = verifier.webhook_storage(verifier.database.unit())
    try:
        send_again(storage, desk.party.id, webhook_id, now=verifier.clock.now())
    except NotFound:
        # Heard meanwhile: the list says so.
        return see_other("/console/webhooks")
    return see_other("/console/webhooks?sent=1")
