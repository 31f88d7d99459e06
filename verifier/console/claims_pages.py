"""The page that asks whether what was shared is to be deleted before its time, and does it."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from verifier.console.desk import Desk, page_of, staff
from verifier.presentations.use_cases.results import Result, forget_claims, show_presentation
from wallet_core.adapters.web import html, page_router, see_other

router = page_router()

Staff = Annotated[Desk, Depends(staff)]


@router.get("/console/asked/{presentation_id}/forget-claims")
async def forget_page(request: Request, desk: Staff, presentation_id: str) -> Response:
    """Say what goes and what stays before it is done; where nothing is left to go, the result says so."""
    result = _shown(desk, presentation_id)
    if result.credentials is None:
        return see_other(page_of(result))
    return html(request, "console/forget_claims.html", party=desk.party, check=desk.shown_claims(result))


@router.post("/console/asked/{presentation_id}/forget-claims")
async def forget_form(desk: Staff, presentation_id: str) -> Response:
    """Delete the claims; the result then says that they are gone."""
    verifier = desk.verifier
    storage = verifier.storage(verifier.database.unit())
    forget_claims(storage, desk.party, presentation_id, now=verifier.clock.now())
    return see_other(page_of(_shown(desk, presentation_id)))


def _shown(desk: Desk, presentation_id: str) -> Result:
    return show_presentation(desk.verifier.presentations, desk.party, presentation_id)
