"""A printed link at a counter: the customer opens it, says the clerk's code, and gets a request of their own.

The link never changes; each request behind it has its own nonce, state and key. The answer comes back to the browser
that typed the code (protocols.md 24), which is told that it arrived and no more; the clerk sees the result at the desk.
"""

from typing import Annotated, Any

from fastapi import Depends, Form, Query
from starlette.requests import Request
from starlette.responses import Response

from verifier.console.counter import WRONG_AT_ONCE, WRONG_INTERVAL, is_spoken, spoken_code
from verifier.console.desk import Desk, session_digest, staff
from verifier.console.use_cases import show_links
from verifier.dependencies import Verifier, verifier_of
from verifier.presentations.use_cases.requests import start_check
from verifier.presentations.use_cases.results import redeem_in_browser, show_check
from verifier.relying_parties.ports import RelyingParty
from wallet_core import spec_versions as spec
from wallet_core.adapters.web import html, is_opened, page_router, protocol_json, see_other, session
from wallet_core.adapters.web.context import context
from wallet_core.adapters.web.limits import Failures
from wallet_core.catalogue import Policy
from wallet_core.errors import AccessDenied, NotFound, StateConflict

router = page_router()

Staff = Annotated[Desk, Depends(staff)]
GUARDED = r"/counter/(?!check/)[^/]+/[^/]+"
"""Where codes are tried; not what the open page asks every other second."""

_CHECK = "/counter/check"
_RETURN = "/counter/return"
_SESSION_CHECK = "counter"
_SECRET = "verifier.counter"
_WAITING = frozenset({"requested", "retrieved", "answered"})


@router.get("/console/counter")
async def sign(request: Request, desk: Staff, policy: Annotated[str, Query(max_length=64)]) -> Response:
    """Show the link to print, and the code to say now."""
    found, verifier = desk.policy(policy), desk.verifier
    code = spoken_code(verifier.sealer.derive(_SECRET), desk.party.id, found.id, now=verifier.clock.now())
    link = f"{verifier.settings.public_url}/counter/{desk.party.id}/{found.id}"
    caution = desk.caution(found)
    return html(
        request, "console/counter_sign.html", party=desk.party, policy=found, caution=caution, link=link, code=code
    )


@router.get(_CHECK)
async def check_page(request: Request) -> Response:
    """Show the customer how far their own request is, and nothing of what it brought."""
    verifier = verifier_of(request)
    party, check_id = _begun(request, verifier)
    state = show_check(verifier.presentations, party, check_id).result.state
    shown: dict[str, Any] = {"kind": "ended" if state in {"refused", "expired"} else "done", "party": party}
    if state in _WAITING:
        endpoint = f"{verifier.settings.wallet}/authorize" if verifier.settings.wallet else spec.REQUEST_SCHEME
        links = show_links(verifier.presentations, party, check_id, wallet_endpoint=endpoint)
        shown |= {"kind": "wait", "link": links.beside, "state": state}
    return html(request, "console/counter.html", **shown)


@router.get(f"{_CHECK}/state")
async def check_state(request: Request) -> Response:
    """Tell the open page whether the request moved on."""
    verifier = verifier_of(request)
    party, check_id = _begun(request, verifier)
    return protocol_json({"state": show_check(verifier.presentations, party, check_id).result.state})


@router.get(_RETURN)
async def come_back(request: Request, response_code: Annotated[str, Query(max_length=128)] = "") -> Response:
    """Take the browser that the customer's wallet sent back; the code is spent at once (protocols.md 24)."""
    # vp-13.3-opened
    if not is_opened(request):
        raise AccessDenied("this address is opened by a browser's navigation")
    ports, digest = verifier_of(request).presentations, session_digest(request)
    try:
        result = redeem_in_browser(ports, response_code, session_digest=digest)
    except (NotFound, StateConflict):
        # A refusal comes back with a code that nobody waits for; this browser's own request tells what happened.
        if isinstance(session(request).get(_SESSION_CHECK), list):
            return see_other(_CHECK)
        return html(request, "console/back.html", status=404, kind="over")
    if result.state != "verified":
        return html(request, "console/back.html", status=403, kind="stranger")
    return see_other(_CHECK, headers={"Referrer-Policy": "no-referrer"})


@router.get("/counter/{party_id}/{policy_id}")
async def ask_code(request: Request, party_id: str, policy_id: str) -> Response:
    """Show who asks for what, and ask for the clerk's code. Nothing is made yet."""
    party, policy = _asked(verifier_of(request), party_id, policy_id)
    return html(request, "console/counter.html", kind="ask", party=party, policy=policy, error=False)


@router.post("/counter/{party_id}/{policy_id}")
async def begin(request: Request, party_id: str, policy_id: str, code: Annotated[str, Form(max_length=20)]) -> Response:
    """Make a fresh request for this customer."""
    verifier = verifier_of(request)
    party, policy = _asked(verifier, party_id, policy_id)
    wrong = Failures(context(request), f"counter/{party.id}/{policy.id}", WRONG_INTERVAL, WRONG_AT_ONCE)
    # Before the code is looked at: else a right one could still be told from a wrong one.
    if not wrong.are_few():
        return wrong.refusal(request, "too many wrong numbers were typed for this counter; wait a little")
    if not is_spoken(verifier.sealer.derive(_SECRET), party.id, policy.id, code, now=verifier.clock.now()):
        wrong.count()
        return html(request, "console/counter.html", status=403, kind="ask", party=party, policy=policy, error=True)
    started = start_check(
        verifier.presentations,
        party,
        policy.id,
        session_digest=session_digest(request),
        return_uri=f"{verifier.settings.public_url}{_RETURN}",
    )
    session(request).set(_SESSION_CHECK, [party.id, started.id])
    return see_other(_CHECK)


def _asked(verifier: Verifier, party_id: str, policy_id: str) -> tuple[RelyingParty, Policy]:
    policy = verifier.catalogue.policies.get(policy_id)
    # Where no desk is open nobody says a code, or sees what became of a request.
    if not verifier.settings.demo:
        raise NotFound("this counter is closed")
    # What is to be agreed to is filled in by a clerk, for one customer: no printed link can hold it.
    if policy is None or policy.is_for_logins or policy.transactions:
        raise NotFound("there is nothing to ask at this counter")
    return verifier.party(party_id), policy


def _begun(request: Request, verifier: Verifier) -> tuple[RelyingParty, str]:
    found = session(request).get(_SESSION_CHECK)
    if not isinstance(found, list) or len(found) != 2:
        raise NotFound("nothing was begun in this browser")
    return verifier.party(str(found[0])), str(found[1])
