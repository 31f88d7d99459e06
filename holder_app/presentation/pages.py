"""Reading QR codes and links; answering requests."""

from typing import Any

from fastapi import File, Form, Request, Response, UploadFile

from holder_app.accounts.ports import Account
from holder_app.credentials.pages import registered_uses
from holder_app.credentials.refreshing import refresh_card
from holder_app.credentials.status import check_cards_soon
from holder_app.credentials.use_cases import show_record
from holder_app.dependencies import CurrentAccount, CurrentWallet, Wallet
from holder_app.issuance.use_cases import take_offer_link
from holder_app.links import Link, LinkKind, UnsupportedLink, parse_link
from holder_app.presentation.sending import CopiesUsedUp, ShownChanged
from holder_app.presentation.states import (
    Answered,
    Answering,
    Blocked,
    Declined,
    Failed,
    Given,
    Presentation,
    Reviewed,
)
from holder_app.presentation.use_cases import (
    answer_request,
    decline_request,
    fetch_request,
    report_error,
    request_host,
    review_request,
    show_presentation,
    take_request_link,
)
from wallet_core.adapters import qr
from wallet_core.adapters.web import html, page_router, see_other
from wallet_core.errors import AnswerTooLarge, FetchError, MalformedError

router = page_router()

MAX_FORM_BYTES = qr.MAX_IMAGE_BYTES + 64 * 1024
"""Bytes of the form with a picture: the largest picture, with room for the other fields."""

_GO_ON = "go-on"
"""In the query of a receipt that the browser leaves at once; without it one may stay and read."""


@router.get("/scan")
async def scan_page(request: Request, _account: CurrentAccount) -> Response:
    """Ask for a link or a picture of a QR code."""
    return html(request, "scan.html", error="", link="")


@router.post("/scan", max_body_size=MAX_FORM_BYTES)
async def scan_form(
    request: Request,
    account: CurrentAccount,
    wallet: CurrentWallet,
    link: str = Form(""),
    picture: UploadFile | None = File(None),
) -> Response:
    """Take the link that was pasted, or that the picture shows."""
    try:
        return see_other(_take(wallet, account, await _read_link(link, picture)))
    except UnsupportedLink as error:
        return html(request, "scan.html", status=400, error="not_supported", detail=error.description, link=link)
    except MalformedError as error:
        reason = "no_code" if picture is not None and picture.filename else "no_link"
        return html(request, "scan.html", status=400, error=reason, detail=error.description, link=link)


async def _read_link(link: str, picture: UploadFile | None) -> Link:
    if picture is None or not picture.filename:
        return parse_link(link)
    image = await picture.read(qr.MAX_IMAGE_BYTES + 1)
    texts = qr.read_qr(image)
    if not texts:
        raise MalformedError("the picture shows no QR code")
    return parse_link(texts[0])


def _take(wallet: Wallet, account: Account, link: Link) -> str:
    """Store the link and return the page that shows where it leads."""
    if link.kind is LinkKind.OFFER:
        return f"/offers/{take_offer_link(wallet.issuance_ports(), account.id, link.text).id}"
    return f"/requests/{take_request_link(wallet.presentation_ports(), account.id, link.text).id}"


@router.get("/authorize")
async def authorization_endpoint(request: Request, _account: CurrentAccount) -> Response:
    """Show who is about to be asked for a request. Nothing is stored and nothing fetched (protocols.md 25)."""
    link = f"/authorize?{request.url.query}"
    if parse_link(link).kind is not LinkKind.REQUEST:
        raise MalformedError("the address holds no authorization request")
    return html(request, "request_given.html", host=request_host(link), link=link, action="/requests", failed=False)


@router.post("/requests")
async def take_link(account: CurrentAccount, wallet: CurrentWallet, link: str = Form("")) -> Response:
    """Take the request that was shown, and fetch it; the browser came from the verifier's page."""
    presentation = take_request_link(wallet.presentation_ports(), account.id, link, same_device=True)
    return await _fetch(wallet, account, presentation.id)


@router.get("/requests/{presentation_id}")
async def request_page(
    request: Request, presentation_id: str, account: CurrentAccount, wallet: CurrentWallet
) -> Response:
    """Show how far the presentation has come."""
    presentation = show_presentation(wallet.presentation_ports(), account.id, presentation_id)
    return _page(request, wallet, presentation)


@router.post("/requests/{presentation_id}/fetch")
async def fetch_form(presentation_id: str, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Fetch the request."""
    return await _fetch(wallet, account, presentation_id)


@router.post("/requests/{presentation_id}/answer")
async def answer_form(
    request: Request, presentation_id: str, account: CurrentAccount, wallet: CurrentWallet
) -> Response:
    """Send what the person agreed to."""
    answers = {name: value for name, value in (await request.form()).items() if isinstance(value, str)}
    try:
        done = await answer_request(wallet.presentation_ports(), account.id, presentation_id, answers)
    except FetchError:
        return see_other(f"/requests/{presentation_id}?unreachable")
    except AnswerTooLarge:
        return see_other(f"/requests/{presentation_id}?large")
    except CopiesUsedUp:
        return see_other(f"/requests/{presentation_id}?used")
    except ShownChanged:
        return see_other(f"/requests/{presentation_id}?changed")
    return see_other(_next(done, wallet))


@router.post("/requests/{presentation_id}/refresh/{card_id}")
async def refresh_form(presentation_id: str, card_id: str, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Fetch new copies of a card before it is shown."""
    await refresh_card(wallet.card_ports, wallet.reissuer(), account.id, card_id, asked=True)
    return see_other(f"/requests/{presentation_id}")


@router.post("/requests/{presentation_id}/decline")
async def decline_form(presentation_id: str, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Say no."""
    done = await decline_request(wallet.presentation_ports(), account.id, presentation_id)
    return see_other(_next(done, wallet))


@router.post("/requests/{presentation_id}/report")
async def report_form(presentation_id: str, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Tell the company which rule its request broke."""
    await report_error(wallet.presentation_ports(), account.id, presentation_id)
    return see_other(f"/requests/{presentation_id}")


async def _fetch(wallet: Wallet, account: Account, presentation_id: str) -> Response:
    try:
        await fetch_request(wallet.presentation_ports(), account.id, presentation_id)
    except FetchError:
        return see_other(f"/requests/{presentation_id}?unreachable")
    await check_cards_soon(wallet.card_ports, wallet.fetch, wallet.anchors, account.id)
    return see_other(f"/requests/{presentation_id}")


def _next(presentation: Presentation, wallet: Wallet) -> str:
    """Return where the browser goes after the decision.

    Who came from the verifier's page on this device goes back there at once, as a top-level navigation (M26): by a
    redirect, if the consent page allowed that origin (M5), or else by way of the receipt, from which the browser moves
    on by itself. Everyone else sees the receipt, with the link on it.
    """
    state, here = presentation.state, f"/requests/{presentation.id}"
    if not presentation.same_device or not isinstance(state, Answered | Declined) or state.redirect_uri is None:
        return here
    if not _may_open(state.redirect_uri, wallet):
        return here
    # vp-8.2-go-back
    return state.redirect_uri if presentation.leads_back(state.redirect_uri) else f"{here}?{_GO_ON}"


def _may_open(url: str, wallet: Wallet) -> bool:
    """Whether a link that a verifier named may stand on a page: https; http only in development (M26)."""
    return url.startswith("https://") or (url.startswith("http://") and wallet.settings.insecure_allow_loopback)


def _page(request: Request, wallet: Wallet, presentation: Presentation) -> Response:
    """Return the page of a state; the query says what went wrong before."""
    unreachable = "unreachable" in request.query_params
    here = f"/requests/{presentation.id}"
    match presentation.state:
        case Given(_, host):
            return html(request, "request_given.html", host=host, link="", action=f"{here}/fetch", failed=unreachable)
        case Reviewed():
            view = review_request(wallet.presentation_ports(), presentation)
            template = "consent.html" if view.satisfiable else "no_match.html"
            targets = [presentation.origin] if presentation.same_device and presentation.origin else []
            return html(
                request,
                template,
                form_action=targets,
                view=view,
                at=here,
                failed=unreachable,
                scanned=not presentation.same_device,
                used="used" in request.query_params,
                changed="changed" in request.query_params,
                large="large" in request.query_params,
            )
        case Answering():
            return html(request, "answer_waiting.html", at=here, failed=unreachable)
        case Blocked(reason, detail, host, report, url):
            back_to = url if url and _may_open(url, wallet) else ""
            shown: dict[str, Any] = {"reason": reason, "detail": detail, "host": host, "at": here, "report": report}
            return html(request, "request_blocked.html", back_to=back_to, **shown)
        case Answered(record_id, url) | Declined(record_id, url):
            return _receipt(request, wallet, presentation, record_id, url or "")
        case Failed(record_id, _):
            return _receipt(request, wallet, presentation, record_id, "")


def _receipt(request: Request, wallet: Wallet, presentation: Presentation, record_id: str, url: str) -> Response:
    record = show_record(wallet.card_ports(read_only=True), presentation.account_id, record_id)
    link = url if _may_open(url, wallet) else ""
    page = html(request, "record.html", record=record, uses=registered_uses(record), back_to=link)
    if link and _GO_ON in request.query_params:
        page.headers["Refresh"] = f"0; url={link}"
    return page
