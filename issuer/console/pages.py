"""Pages for an agency's staff: sign in, offers, issued cards, records. And the service's front page."""

from typing import Annotated, Literal

from fastapi import Depends, Form, Query
from starlette.requests import Request
from starlette.responses import Response

from issuer.agencies.use_cases import list_agencies, sign_in
from issuer.console.desk import SESSION_AGENCY, SIGN_IN, Desk, check_open, staff, wallet_link
from issuer.console.use_cases import MAX_FOUND, find_people, find_person, has_ended, preview_claims
from issuer.dependencies import issuer_of
from issuer.issuance.use_cases import decisions, offers
from issuer.issuance.use_cases.issued_cards import list_issued_cards
from issuer.issuance.use_cases.offers import OfferOrder
from issuer.records.use_cases import count_records
from wallet_core.adapters.ui.claims import claim_lines
from wallet_core.adapters.ui.masking import mask
from wallet_core.adapters.web import html, page_router, protocol_json, renew_session, see_other, session
from wallet_core.catalogue import seoul_day
from wallet_core.errors import (
    Expired,
    InvalidRequest,
    NotFound,
    RemoteProtocolError,
    StateConflict,
    UnknownCredentialConfiguration,
)

router = page_router()

Staff = Annotated[Desk, Depends(staff)]
SHORT_LIST = 5


@router.get("/")
async def landing(request: Request) -> Response:
    """Show which agencies issue what."""
    issuer = issuer_of(request)
    unit = issuer.database.reader()
    agencies = [
        {"id": agency.id, "name": agency.name, "types": issuer.catalogue.issued_by(agency.id)}
        for agency in list_agencies(unit, issuer.agencies(unit))
    ]
    return html(request, "console/landing.html", agencies=agencies)


@router.get(SIGN_IN)
async def sign_in_page(request: Request) -> Response:
    """Ask for an agency's API key."""
    return html(request, "console/sign_in.html", demo=check_open(request).settings.demo)


@router.post(SIGN_IN)
async def sign_in_form(request: Request, api_key: Annotated[str, Form(max_length=200)]) -> Response:
    """Open the console for the agency whose key this is."""
    issuer = check_open(request)
    unit = issuer.database.reader()
    try:
        agency = sign_in(unit, issuer.agencies(unit), issuer.api_keys(unit), api_key.strip(), now=issuer.clock.now())
    except (RemoteProtocolError, NotFound):
        return html(request, "console/sign_in.html", status=401, error=True, demo=issuer.settings.demo)
    current = renew_session(request)
    current.set(SESSION_AGENCY, agency.id)
    return see_other("/console")


@router.post("/console/sign-out")
async def sign_out(request: Request) -> Response:
    """Forget who was signed in."""
    session(request).end()
    return see_other("/")


@router.get("/console")
async def overview(request: Request, desk: Staff) -> Response:
    """Show what waits and what was done."""
    unit = desk.issuer.database.reader()
    counts = count_records(unit, desk.issuer.records(unit), desk.agency)
    latest, older = offers.list_offers(desk.issuer.issuance, desk.agency)
    issued, later = list_issued_cards(desk.issuer.issuance, desk.agency)
    figures = {
        "records": str(sum(counts.values())),
        "open": _at_least(sum(each.state == "offered" for each in latest), more=older),
        "waiting": decisions.count_waiting(desk.issuer.issuance, desk.agency),
        "issued": _at_least(len(issued), more=later),
        "failed": offers.count_failed(desk.issuer.issuance, desk.agency),
    }
    rows = [desk.offer_row(each) for each in latest[:SHORT_LIST]]
    return html(request, "console/overview.html", agency=desk.agency, figures=figures, offers=rows)


def _at_least(count: int, *, more: str | None) -> str:
    """Return a number counted on one page of a list, with a plus if the list goes on."""
    return f"{count}+" if more else str(count)


@router.get("/console/offers")
async def offer_list(request: Request, desk: Staff, cursor: Annotated[str, Query(max_length=64)] = "") -> Response:
    """List offers, newest first."""
    page, following = offers.list_offers(desk.issuer.issuance, desk.agency, before=cursor)
    rows = [desk.offer_row(each) for each in page]
    return html(request, "console/offers.html", agency=desk.agency, offers=rows, next_cursor=following)


@router.get("/console/credentials")
async def credential_list(
    request: Request,
    desk: Staff,
    cursor: Annotated[str, Query(max_length=64)] = "",
    query: Annotated[str, Query(alias="q", max_length=100)] = "",
) -> Response:
    """List what was issued, newest first, of everybody or of the people whose name or number holds ``q``."""
    subject_ids, more = desk.people(query) if query.strip() else (None, False)
    page, following = list_issued_cards(desk.issuer.issuance, desk.agency, subject_ids=subject_ids, before=cursor)
    rows = [desk.card_row(each) for each in page]
    return html(
        request,
        "console/credentials.html",
        agency=desk.agency,
        credentials=rows,
        next_cursor=following,
        query=query.strip(),
        most=MAX_FOUND if more else 0,
    )


@router.get("/console/offers/new")
async def new_offer(
    request: Request,
    desk: Staff,
    type_id: Annotated[str, Query(alias="type", max_length=64)] = "",
    query: Annotated[str, Query(alias="q", max_length=100)] = "",
) -> Response:
    """Ask which card, then for whom."""
    if not type_id:
        return html(request, "console/offer_new.html", agency=desk.agency, types=desk.types)
    credential_type = desk.type(type_id)
    unit = desk.issuer.database.reader()
    found = find_people(unit, desk.issuer.records(unit), desk.agency, credential_type, query)
    people = [
        {"value": each.subject_id, "text": mask(each.name, "name", "ko"), "sub": each.subject_id} for each in found
    ]
    return html(
        request,
        "console/offer_new.html",
        agency=desk.agency,
        type=credential_type,
        subjects=people,
        query=query,
        most=MAX_FOUND,
    )


@router.get("/console/offers/confirm")
async def confirm_offer(
    request: Request,
    desk: Staff,
    type_id: Annotated[str, Query(alias="type", max_length=64)],
    subject: Annotated[str, Query(max_length=64)],
) -> Response:
    """Show what the card would say before it is offered."""
    credential_type = desk.type(type_id)
    unit = desk.issuer.database.reader()
    records = desk.issuer.records(unit)
    today = seoul_day(desk.issuer.clock.now())
    claims = preview_claims(unit, records, desk.agency, credential_type, subject, today=today)
    person = find_person(unit, records, desk.agency, credential_type, subject)
    shown = {"id": subject, "name": mask(person.name, "name", "ko") if person else subject}
    return html(
        request,
        "console/offer_confirm.html",
        agency=desk.agency,
        type=credential_type,
        subject=shown,
        claims=claim_lines(credential_type, claims),
        forms=list(desk.forms(credential_type)),
        ended=has_ended(credential_type, claims, today=today),
    )


@router.post("/console/offers")
async def create_offer(
    desk: Staff,
    type_id: Annotated[str, Form(alias="type", max_length=64)],
    subject: Annotated[str, Form(max_length=64)],
    form: Annotated[str, Form(max_length=64)] = "sd_jwt",
    grant: Annotated[Literal["code", "login"], Form()] = "code",
    when: Annotated[Literal["at_once", "deferred"], Form()] = "at_once",
) -> Response:
    """Make the offer, with a transaction code where the catalogue demands one."""
    configuration_ids = desk.forms(desk.type(type_id)).get(form)
    if configuration_ids is None:
        raise InvalidRequest("the agency does not issue the card in that form")
    order = OfferOrder(
        configuration_ids, subject_id=subject, authorization_code=grant == "login", deferred=when == "deferred"
    )
    issuer = desk.issuer
    made = offers.create_offer(issuer.issuance, issuer.issuance.storage(), desk.agency, order)
    return see_other(f"/console/offers/{made.id}")


@router.get("/console/offers/{offer_id}")
async def offer_page(
    request: Request, desk: Staff, offer_id: str, renewed: Annotated[str, Query(max_length=10)] = ""
) -> Response:
    """Show the code while the offer waits, and what became of it afterwards; ``renewed``: of asking for a new code."""
    status = offers.offer_status(desk.issuer.issuance, desk.agency, offer_id)
    shown = {**desk.offer_row(status), "reason": "", "expires_at": None}
    if status.state == "offered":
        made = offers.show_offer_again(desk.issuer.issuance, desk.agency, offer_id)
        shown |= {
            "uri": made.uri,
            "wallet_uri": wallet_link(made.uri, desk.issuer.settings.wallet),
            "tx_code": made.tx_code,
            "expires_at": made.expires_at,
        }
    return html(request, "console/offer.html", agency=desk.agency, offer=shown, renewed=renewed)


@router.post("/console/offers/{offer_id}/renew")
async def renew_offer(desk: Staff, offer_id: str) -> Response:
    """Make a new code for the same person and cards and end the one before; the page then says what became of it."""
    issuance = desk.issuer.issuance
    offers.offer_status(issuance, desk.agency, offer_id)  # another agency's, or none: not found
    try:
        made = offers.renew_offer(issuance, issuance.storage(), desk.agency, offer_id)
    except StateConflict:
        return see_other(f"/console/offers/{offer_id}?renewed=over")
    except (NotFound, Expired, InvalidRequest, UnknownCredentialConfiguration):
        return see_other(f"/console/offers/{offer_id}?renewed=data")
    return see_other(f"/console/offers/{made.id}?renewed=new")


@router.get("/console/offers/{offer_id}/state")
async def offer_state(desk: Staff, offer_id: str) -> Response:
    """Tell the open page whether the offer moved on."""
    return protocol_json({"state": offers.offer_status(desk.issuer.issuance, desk.agency, offer_id).outcome})
