"""Pages for a relying party's staff: sign in, ask, code, result, list; and where a wallet sends the browser back."""

from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import Depends, Form, Query
from starlette.requests import Request
from starlette.responses import Response

from verifier.console.desk import (
    RETURN,
    SESSION_CHECK,
    SESSION_KEY,
    SESSION_PARTY,
    SIGN_IN,
    Desk,
    asked_by_companies,
    check_open,
    has_portrait,
    session_digest,
    staff,
)
from verifier.console.use_cases import find_call, list_checks, show_links
from verifier.dependencies import verifier_of
from verifier.presentations.answers import record_file
from verifier.presentations.ports import Wanted
from verifier.presentations.use_cases.dc_api_answers import DcApiAnswer, judge_with_statuses
from verifier.presentations.use_cases.protocol import ELSEWHERE_PATH, record_verdict
from verifier.presentations.use_cases.records import show_record
from verifier.presentations.use_cases.requests import start_check
from verifier.presentations.use_cases.results import note_portrait, redeem_in_browser, show_check
from verifier.presentations.use_cases.stopping import stop_check
from verifier.relying_parties.use_cases import sign_in
from wallet_core.adapters import log
from wallet_core.adapters.web import html, is_opened, page_router, protocol_json, renew_session, see_other, session
from wallet_core.catalogue import Policy
from wallet_core.encoding import strict_json
from wallet_core.errors import (
    AccessDenied,
    InvalidTransactionData,
    MalformedError,
    NotFound,
    RemoteProtocolError,
    StateConflict,
    VerificationError,
)

router = page_router()

Staff = Annotated[Desk, Depends(staff)]
Comparison = Annotated[Literal["same", "different"], Form()]
OWN = "own"
"""In a list's address: only what follows no policy."""

MAX_ANSWER = 512 * 1024
"""Bytes of what a browser gave to the page, as of every form; an mDL with its portrait is about 100 kB."""

WAITING = frozenset({"requested", "retrieved", "answered"})


@router.get("/")
async def landing(request: Request) -> Response:
    """Show what can be asked here."""
    policies = asked_by_companies(verifier_of(request).catalogue.policies.values())
    return html(request, "console/landing.html", policies=policies)


@router.get(SIGN_IN)
async def sign_in_page(request: Request) -> Response:
    """Ask for a relying party's API key."""
    return html(request, "console/sign_in.html", demo=check_open(request).settings.demo)


@router.post(SIGN_IN)
async def sign_in_form(request: Request, api_key: Annotated[str, Form(max_length=200)]) -> Response:
    """Open the desk for the party whose key this is."""
    verifier = check_open(request)
    unit = verifier.database.unit()
    try:
        party, key_id = sign_in(
            unit, verifier.parties(unit), verifier.api_keys(unit), api_key.strip(), now=verifier.clock.now()
        )
    except (RemoteProtocolError, NotFound):
        return html(request, "console/sign_in.html", status=401, error=True, demo=verifier.settings.demo)
    current = renew_session(request)
    current.set(SESSION_PARTY, party.id)
    current.set(SESSION_KEY, key_id)
    return see_other("/console")


@router.post("/console/sign-out")
async def sign_out(request: Request) -> Response:
    """Forget who was signed in."""
    session(request).end()
    return see_other("/")


@router.get("/console")
async def choose(request: Request, desk: Staff) -> Response:
    """Ask what is to be checked."""
    return html(request, "console/choose.html", party=desk.party, policies=desk.cautioned_policies)


@router.get("/console/ask")
async def policy_page(request: Request, desk: Staff, policy: Annotated[str, Query(max_length=64)]) -> Response:
    """Show what a policy asks, why, what it leaves out and how long it keeps."""
    found = desk.policy(policy)
    return _policy(request, desk, found, desk.forms(found))


def _policy(
    request: Request, desk: Desk, policy: Policy, transactions: Any, *, status: int = 200, **faults: Any
) -> Response:
    return html(
        request,
        "console/policy.html",
        status=status,
        party=desk.party,
        policy=policy,
        caution=desk.caution(policy),
        transactions=transactions,
        **faults,
    )


@router.post("/console/checks")
async def start(
    request: Request,
    desk: Staff,
    policy: Annotated[str, Form(max_length=64)],
    instead: Annotated[str, Form(max_length=64)] = "",
    warned: Annotated[str, Form(max_length=2)] = "",
) -> Response:
    """Make the requests: a QR code for another device, a link and a browser's call for this one (protocols.md M23).

    They take the place of the check ``instead``, if one is named: that one ends, unless it was answered. What goes
    beyond the party's registrations is asked only if the staff was ``warned``.
    """
    ports, found = desk.verifier.presentations, desk.policy(policy)
    fields = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    if desk.caution(found) and not warned:
        return _policy(request, desk, found, desk.forms(found, fields), status=400, unwarned=True, instead=instead)
    if instead and not await _stop(desk, instead):
        return see_other(f"/console/checks/{instead}")
    try:
        started = start_check(
            ports,
            desk.party,
            policy,
            session_digest=session_digest(request),
            return_uri=f"{ports.public_url}{RETURN}",
            transaction_data=desk.read_transactions(found, fields),
        )
    except InvalidTransactionData as error:
        return _policy(request, desk, found, desk.forms(found, fields), status=400, fault=error.detail)
    session(request).set(SESSION_CHECK, started.id)
    return see_other(f"/console/checks/{started.id}")


@router.get("/console/checks")
async def check_list(
    request: Request,
    desk: Staff,
    cursor: Annotated[str, Query(max_length=64)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
    policy: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """List what was asked, newest first; if asked, only what stands in a state or follows a policy."""
    wanted = Wanted(state, policy if policy != OWN else "", own_query=policy == OWN)
    page, following = list_checks(desk.verifier.presentations, desk.party, before=cursor, wanted=wanted)
    return html(
        request,
        "console/checks.html",
        party=desk.party,
        checks=[desk.row(each) for each in page],
        next_cursor=following,
        policies=desk.policies,
        state=state,
        policy=policy,
        own=OWN,
    )


@router.get("/console/checks/{check_id}")
async def check_page(request: Request, desk: Staff, check_id: str) -> Response:
    """Show the code while the check waits, and the result afterwards."""
    ports = desk.verifier.presentations
    result = show_check(ports, desk.party, check_id).result
    shown = {**desk.shown(check_id, result)}
    if result.stopped:
        return html(request, "console/stopped.html", party=desk.party, check=shown)
    if result.state not in WAITING:
        return html(request, "console/result.html", party=desk.party, check=shown)
    links = show_links(ports, desk.party, check_id, wallet_endpoint=desk.wallet_endpoint)
    shown |= {
        "caution": desk.caution(shown["policy"]),
        "uri": links.across,
        "wallet_uri": links.beside,
        "browser": "" if links.browser is None else strict_json.dumps_text(links.browser),
        "match_number": links.match_number,
        "created_at": links.created_at,
        "expires_at": links.expires_at,
    }
    return html(request, "console/check.html", party=desk.party, check=shown)


@router.post("/console/checks/{check_id}/portrait")
async def compare_portrait(desk: Staff, check_id: str, says: Comparison) -> Response:
    """Note what staff say who compared the portrait with the person; where there is none, the page says so."""
    verifier = desk.verifier
    result = show_check(verifier.presentations, desk.party, check_id).result
    if has_portrait(desk.shown(check_id, result)):
        storage, now = verifier.storage(verifier.database.unit()), verifier.clock.now()
        with suppress(StateConflict):  # its time has come meanwhile
            note_portrait(storage, desk.party, result.id, matches=says == "same", now=now)
    return see_other(f"/console/checks/{check_id}")


@router.get("/console/checks/{check_id}/record")
async def check_record(desk: Staff, check_id: str) -> Response:
    """Give out the sealed verification record of the request that was answered."""
    ports = desk.verifier.presentations
    answered = show_check(ports, desk.party, check_id).result
    return record_file(answered.id, show_record(ports, desk.party, answered.id))


@router.get("/console/checks/{check_id}/state")
async def check_state(desk: Staff, check_id: str) -> Response:
    """Tell the open page whether the check moved on."""
    return protocol_json({"state": show_check(desk.verifier.presentations, desk.party, check_id).result.state})


@router.post("/console/checks/{check_id}/stop")
async def stop(desk: Staff, check_id: str) -> Response:
    """End the check for every wallet; the page then says so, or shows the answer that came first."""
    await _stop(desk, check_id)
    return see_other(f"/console/checks/{check_id}")


async def _stop(desk: Desk, check_id: str) -> bool:
    """Return whether the check is over without an answer."""
    now = desk.verifier.clock.now()
    try:
        await desk.verifier.commit(lambda storage: stop_check(storage, desk.party, check_id, now=now))
    except StateConflict:
        return False
    return True


@router.post("/console/checks/{check_id}/answer")
async def take_answer(desk: Staff, check_id: str, answer: Annotated[str, Form(max_length=MAX_ANSWER)]) -> Response:
    """Take what the browser's Digital Credentials API gave to the page; the page then shows what it means.

    The origin is our own: the call was made by the page that this form is on.
    """
    verifier, ports = desk.verifier, desk.verifier.presentations
    presentation_id = find_call(ports, desk.party, check_id)
    try:
        credential = strict_json.loads_object(answer, what="answer", max_bytes=MAX_ANSWER)
        given = DcApiAnswer(str(credential.get("protocol")), credential.get("data"), ports.public_url)
        verdict = await judge_with_statuses(
            ports, desk.party, presentation_id, given, verifier.status_lists, verifier.http
        )
        await verifier.commit(lambda storage: record_verdict(storage, verdict, now=ports.clock.now()))
    except (MalformedError, VerificationError, RemoteProtocolError, StateConflict) as exc:
        # The page is shown again as it stands: with the result if there is one, with the code if not.
        log.get_logger("verifier.console").info("refused", error=exc.code, detail=exc.detail, clause=exc.clause)
    return see_other(f"/console/checks/{check_id}")


@router.get(RETURN)
async def come_back(request: Request, response_code: Annotated[str, Query(max_length=128)] = "") -> Response:
    """Take the browser that a wallet on this device sent back; the code is spent at once (protocols.md 24).

    Without script: the code is in the query, and the answer leads to an address without it.
    """
    # vp-13.3-opened
    if not is_opened(request):
        raise AccessDenied("this address is opened by a browser's navigation")
    check_id = session(request).get(SESSION_CHECK)
    try:
        result = redeem_in_browser(
            verifier_of(request).presentations, response_code, session_digest=session_digest(request)
        )
    except (NotFound, StateConflict):
        # A refusal comes back with a code that nobody waits for; this browser's own check tells what happened.
        if isinstance(check_id, str):
            return see_other(f"/console/checks/{check_id}")
        return html(request, "console/back.html", status=404, kind="over")
    if result.state != "verified" or result.check_id is None:
        return html(request, "console/back.html", status=403, kind="stranger")
    return see_other(f"/console/checks/{result.check_id}", headers={"Referrer-Policy": "no-referrer"})


@router.get(ELSEWHERE_PATH)
async def go_on_elsewhere(request: Request) -> Response:
    """Tell whoever answered with another device to look at the first screen (protocols.md 24)."""
    return html(request, "console/back.html", kind="elsewhere")
