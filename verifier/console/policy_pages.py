"""Pages of policies, and of queries that staff try: what a request would be, and what becomes of it."""

import json
from typing import Annotated

from fastapi import Depends, Form
from starlette.requests import Request
from starlette.responses import Response

from verifier.console.desk import Desk, staff
from verifier.console.use_cases import show_asked
from verifier.presentations.use_cases.requests import PresentationOrder, create_presentation
from wallet_core.adapters.web import html, page_router, protocol_json, see_other
from wallet_core.encoding import strict_json
from wallet_core.errors import WalletError

router = page_router()

Staff = Annotated[Desk, Depends(staff)]
MAX_QUERY_CHARACTERS = 64 * 1024
"""Characters of a query that staff try: the longest policy has some thousand."""


@router.get("/console/policies")
async def policy_list(request: Request, desk: Staff) -> Response:
    """List what the party may ask, its own policies first."""
    return html(
        request,
        "console/policies.html",
        party=desk.party,
        policies=desk.cautioned_policies,
    )


@router.get("/console/policies/{policy_id}")
async def policy_detail(request: Request, desk: Staff, policy_id: str) -> Response:
    """Show one policy whole: purpose, what is asked in words and as a query, how long it is kept."""
    policy = desk.policy(policy_id)
    query = json.dumps(policy.dcql_query, ensure_ascii=False, indent=2)
    return html(
        request,
        "console/policy_detail.html",
        party=desk.party,
        policy=policy,
        caution=desk.caution(policy),
        query=query,
    )


@router.get("/console/try")
async def try_page(request: Request, desk: Staff) -> Response:
    """Ask for a query."""
    caution = desk.own_query_caution
    return html(request, "console/try.html", party=desk.party, caution=caution, query="", problem="")


@router.post("/console/try")
async def try_form(
    request: Request, desk: Staff, query: Annotated[str, Form(max_length=MAX_QUERY_CHARACTERS)] = ""
) -> Response:
    """Make a request of a query, or say what is wrong with it."""
    ports = desk.verifier.presentations
    try:
        order = PresentationOrder(dcql_query=strict_json.loads_object(query.encode(), what="the query"))
        made = create_presentation(ports, ports.storage(), desk.party, order)
    except WalletError as error:
        # Ours, and never the query's words: what is wrong with it is for whoever wrote it.
        if error.fault != "you":
            raise
        shown = {"caution": desk.own_query_caution, "query": query, "problem": error.description}
        return html(request, "console/try.html", status=400, party=desk.party, **shown)
    return see_other(f"/console/asked/{made.id}")


@router.get("/console/asked/{presentation_id}")
async def asked_page(request: Request, desk: Staff, presentation_id: str) -> Response:
    """Show a presentation that stands alone: its code while it waits, and the result afterwards."""
    asked = show_asked(desk.verifier.presentations, desk.party, presentation_id)
    return html(request, "console/asked.html", party=desk.party, check=desk.shown_asked(asked))


@router.get("/console/asked/{presentation_id}/state")
async def asked_state(desk: Staff, presentation_id: str) -> Response:
    """Tell the open page whether it moved on."""
    asked = show_asked(desk.verifier.presentations, desk.party, presentation_id)
    return protocol_json({"state": asked.result.state})
