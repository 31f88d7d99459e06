"""Receiving cards."""

from fastapi import Form, Request, Response

from holder_app.accounts.ports import Account
from holder_app.credentials.use_cases import view_card
from holder_app.dependencies import CurrentAccount, CurrentWallet, Wallet
from holder_app.issuance.describe import describe_offer
from holder_app.issuance.states import (
    Declined,
    Failed,
    Given,
    Issuance,
    Kept,
    Preview,
    Redeeming,
    Reviewed,
    Signing,
)
from holder_app.issuance.use_cases import (
    accept_offer,
    decline_offer,
    fetch_offer,
    keep_cards,
    offer_host,
    show_issuance,
    take_offer_link,
)
from wallet_core.adapters.web import html, page_router, see_other
from wallet_core.errors import FetchError

router = page_router()


@router.get("/credential-offer")
async def offer_endpoint(request: Request, _account: CurrentAccount) -> Response:
    """Show where an offer leads. Nothing is stored and nothing fetched (protocols.md 25)."""
    link = f"/credential-offer?{request.url.query}"
    return html(request, "offer_given.html", host=offer_host(link), link=link, action="/offers", failed=False)


@router.post("/offers")
async def take_link(account: CurrentAccount, wallet: CurrentWallet, link: str = Form("")) -> Response:
    """Take the offer that was shown, and fetch it."""
    issuance = take_offer_link(wallet.issuance_ports(), account.id, link)
    return await _fetch(wallet, account, issuance.id)


@router.get("/offers/{issuance_id}")
async def offer_page(request: Request, issuance_id: str, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Show how far the issuance has come."""
    issuance = show_issuance(wallet.issuance_ports(), account.id, issuance_id)
    return _page(request, wallet, issuance, unreachable="unreachable" in request.query_params)


@router.post("/offers/{issuance_id}/fetch")
async def fetch_form(issuance_id: str, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Fetch the offer."""
    return await _fetch(wallet, account, issuance_id)


@router.post("/offers/{issuance_id}/accept")
async def accept_form(
    issuance_id: str, account: CurrentAccount, wallet: CurrentWallet, tx_code: str = Form("")
) -> Response:
    """Accept the offer, or go on where it was interrupted."""
    try:
        await accept_offer(wallet.issuance_ports(), account.id, issuance_id, tx_code)
    except FetchError:
        return see_other(f"/offers/{issuance_id}?unreachable")
    return see_other(f"/offers/{issuance_id}")


@router.post("/offers/{issuance_id}/keep")
async def keep_form(issuance_id: str, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Put the cards into the wallet."""
    await keep_cards(wallet.issuance_ports(), account.id, issuance_id)
    return see_other(f"/offers/{issuance_id}")


@router.post("/offers/{issuance_id}/decline")
async def decline_form(issuance_id: str, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Say no."""
    await decline_offer(wallet.issuance_ports(), account.id, issuance_id)
    return see_other(f"/offers/{issuance_id}")


async def _fetch(wallet: Wallet, account: Account, issuance_id: str) -> Response:
    try:
        await fetch_offer(wallet.issuance_ports(), account.id, issuance_id)
    except FetchError:
        return see_other(f"/offers/{issuance_id}?unreachable")
    return see_other(f"/offers/{issuance_id}")


def _page(  # noqa: PLR0911 - one line for each state
    request: Request, wallet: Wallet, issuance: Issuance, *, unreachable: bool
) -> Response:
    """Return the page of a state."""
    here = f"/offers/{issuance.id}"
    match issuance.state:
        case Given(_, host):
            return html(request, "offer_given.html", host=host, link="", action=f"{here}/fetch", failed=unreachable)
        case Reviewed(offer) as state:
            view = describe_offer(offer, wallet.catalogue)
            return html(request, "offer.html", offer=view, at=here, state=state, failed=unreachable)
        case Redeeming() | Signing():
            return html(request, "offer_waiting.html", at=here, failed=unreachable)
        case Preview(issued, cards):
            views = [view_card(wallet.card_ports(read_only=True), card) for card in cards]
            return html(request, "offer_preview.html", cards=views, at=here, missing=len(issued.failures))
        case Kept(card_ids):
            return html(request, "offer_done.html", card_ids=card_ids)
        case Declined():
            return html(request, "offer_ended.html", reason="declined", detail="")
        case Failed(reason, detail):
            return html(request, "offer_ended.html", reason=reason, detail=detail)
