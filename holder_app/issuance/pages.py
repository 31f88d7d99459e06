"""Receiving cards: from an offer, or asked for at an agency."""

from contextlib import suppress
from datetime import datetime
from urllib.parse import urlencode

from fastapi import Form, Request, Response

from holder_app.accounts.ports import Account
from holder_app.credentials.use_cases import view_card
from holder_app.dependencies import CurrentAccount, CurrentWallet, MaybeAccount, Wallet
from holder_app.issuance.authorizing import NoSuchLogin, exchange, start_login, take_answer
from holder_app.issuance.choosing import browse, choose, known_issuers
from holder_app.issuance.describe import OfferView, describe_offer, issuer_display
from holder_app.issuance.receiving import keeps
from holder_app.issuance.states import (
    Authorizing,
    Declined,
    Exchanging,
    Failed,
    Given,
    Issuance,
    Kept,
    Preview,
    Reason,
    Redeeming,
    Reviewed,
    Signing,
    Waiting,
)
from holder_app.issuance.use_cases import (
    UnfitCode,
    accept_offer,
    decline_offer,
    fetch_offer,
    keep_cards,
    offer_host,
    show_issuance,
    take_offer_link,
)
from holder_app.issuance.verification import NoAnchor
from holder_app.issuance.waiting import ask_again
from holder_app.links import host_of, origin_of
from holder_app.ports import UNDER_WAY
from wallet_core.adapters.web import html, is_opened, page_router, see_other, session
from wallet_core.errors import FetchError, MalformedError, PeerRefusal, StateConflict, VerificationError
from wallet_core.protocols.oauth2.authorization_response import parse_callback
from wallet_core.protocols.openid4vci.pending import ResolvedOffer

router = page_router()


@router.get("/add")
async def issuers_page(request: Request, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Show the agencies that can be asked. Nothing is fetched."""
    return html(request, "issuers.html", issuers=known_issuers(wallet.issuance_ports(), account.id))


@router.get("/add/issuer")
async def issuer_page(request: Request, account: CurrentAccount, wallet: CurrentWallet, id: str = "") -> Response:  # noqa: A002 - the parameter of the address
    """Show what an agency offers, as it says now."""
    try:
        view = await browse(wallet.issuance_ports(), account.id, id)
    except (FetchError, PeerRefusal, MalformedError, VerificationError) as error:
        return _silent(request, id, error.detail)
    return html(request, "issuer.html", view=view, chosen=True)


@router.post("/add")
async def choose_form(request: Request, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Take what was chosen."""
    form = await request.form()
    issuer = str(form.get("issuer", ""))
    names = [str(name) for name in form.getlist("configuration")]
    ports = wallet.issuance_ports()
    try:
        if not names:
            view = await browse(ports, account.id, issuer)
            return html(request, "issuer.html", status=400, view=view, chosen=False)
        issuance = await choose(ports, account.id, issuer, names)
    except NoAnchor as error:
        return html(request, "offer_ended.html", status=400, reason=Reason.NO_ANCHOR, detail=error.detail)
    except (FetchError, PeerRefusal, MalformedError, VerificationError) as error:
        return _silent(request, issuer, error.detail)
    return see_other(f"/offers/{issuance.id}")


@router.get("/callback")
async def callback(request: Request, account: MaybeAccount, wallet: CurrentWallet) -> Response:
    """Take the answer of an authorization server, if this browser went there; then go on at a clean address."""
    # Only a person's own navigation: nothing that a page loads by itself (protocols.md 24, 7).
    if account is None or not is_opened(request):
        return html(request, "login_lost.html", status=403)
    ports = wallet.issuance_ports()
    try:
        parameters = parse_callback(request.url.query)
        issuance = take_answer(ports, account.id, session(request).id, parameters)
    except (NoSuchLogin, MalformedError):
        return html(request, "login_lost.html", status=403)
    try:
        await exchange(ports, issuance)
    except FetchError:
        return see_other(f"/offers/{issuance.id}?unreachable")
    return see_other(f"/offers/{issuance.id}")


@router.post("/offers/{issuance_id}/login")
async def login_form(request: Request, issuance_id: str, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Send the browser to the agency's login page, as a top-level navigation (protocols.md M5)."""
    ports = wallet.issuance_ports()
    issuance = show_issuance(ports, account.id, issuance_id)
    try:
        issuance = await start_login(ports, issuance, session(request).id)
    except FetchError:
        return see_other(f"/offers/{issuance_id}?unreachable")
    state = issuance.state
    return see_other(state.started.url if isinstance(state, Authorizing) else f"/offers/{issuance_id}")


@router.post("/offers/{issuance_id}/ask")
async def ask_form(issuance_id: str, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Ask the agency now whether it has decided; not before it said that one may."""
    ports = wallet.issuance_ports()
    state = show_issuance(ports, account.id, issuance_id).state
    early = isinstance(state, Waiting) and ports.clock.now() < state.next_at
    with suppress(StateConflict):  # the worker is asking at this moment
        await ask_again(ports, account.id, issuance_id)
    return see_other(f"/offers/{issuance_id}?{'early' if early else 'asked'}")


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
    return _page(request, wallet, issuance)


@router.post("/offers/{issuance_id}/fetch")
async def fetch_form(issuance_id: str, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Fetch the offer."""
    return await _fetch(wallet, account, issuance_id)


@router.post("/offers/{issuance_id}/accept")
async def accept_form(
    request: Request, issuance_id: str, account: CurrentAccount, wallet: CurrentWallet, tx_code: str = Form("")
) -> Response:
    """Accept the offer, or go on where it was interrupted."""
    try:
        await accept_offer(wallet.issuance_ports(), account.id, issuance_id, tx_code)
    except UnfitCode:
        issuance = show_issuance(wallet.issuance_ports(), account.id, issuance_id)
        return _page(request, wallet, issuance, typed=tx_code)
    except FetchError:
        return see_other(f"/offers/{issuance_id}?unreachable")
    except StateConflict:
        issuance = show_issuance(wallet.issuance_ports(), account.id, issuance_id)
        if _busy_until(wallet, issuance) is None:
            raise
        return see_other(f"/offers/{issuance_id}?busy")
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


def _silent(request: Request, issuer: str, detail: str) -> Response:
    again = f"/add/issuer?{urlencode({'id': issuer})}"
    return html(request, "issuer_silent.html", status=502, host=host_of(issuer), again=again, detail=detail)


def _offer_view(wallet: Wallet, offer: ResolvedOffer) -> OfferView:
    return describe_offer(offer, wallet.catalogue, keeps(wallet.issuance_ports()))


def _page(  # noqa: PLR0911 - one case for each state
    request: Request, wallet: Wallet, issuance: Issuance, typed: str = ""
) -> Response:
    """Return the page of a state; ``typed`` is a transaction code that cannot be right."""
    status = 400 if typed else 200
    here, unreachable = f"/offers/{issuance.id}", "unreachable" in request.query_params
    match issuance.state:
        case Given(_, host):
            return html(request, "offer_given.html", host=host, link="", action=f"{here}/fetch", failed=unreachable)
        case Reviewed(offer) as state:
            view, targets = _offer_view(wallet, offer), _login_origins(offer)
            shown = {"offer": view, "at": here, "state": state, "failed": unreachable, "typed": typed}
            return html(request, "offer.html", status=status, form_action=targets, **shown)
        case Authorizing(started):
            view, targets = _offer_view(wallet, started.offer), _login_origins(started.offer)
            return html(request, "login_waiting.html", form_action=targets, offer=view, at=here, failed=unreachable)
        case Exchanging() | Redeeming() | Signing() as state:
            asked = _offer_view(wallet, state.offer) if isinstance(state, Redeeming) else None
            return html(
                request,
                "offer_waiting.html",
                status=status,
                at=here,
                offer=asked,
                failed=unreachable,
                typed=typed,
                busy_until=_busy_until(wallet, issuance),
                again="busy" in request.query_params,
            )
        case Preview(issued, cards):
            views = [view_card(wallet.card_ports(read_only=True), card) for card in cards]
            waits = len(issued.deferred)
            return html(request, "offer_preview.html", cards=views, at=here, missing=len(issued.failures), waits=waits)
        case Waiting() as state:
            name = issuer_display(state.issued.offer)
            told = next((each for each in ("asked", "early") if each in request.query_params), "")
            return html(request, "offer_deferred.html", name=name, at=here, state=state, asked=told)
        case Kept(card_ids):
            return html(request, "offer_done.html", card_ids=card_ids)
        case Declined():
            return html(request, "offer_ended.html", reason="declined", detail="")
        case Failed(reason, detail):
            return html(request, "offer_ended.html", reason=reason, detail=detail)


def _busy_until(wallet: Wallet, issuance: Issuance) -> datetime | None:
    """Return until when another window counts as being at it, though it may have crashed; None if none is."""
    state = issuance.state
    if not isinstance(state, Redeeming | Exchanging):
        return None
    until = state.since + UNDER_WAY
    return until if wallet.issuance_ports().clock.now() < until else None


def _login_origins(offer: ResolvedOffer) -> list[str]:
    """Return where a form of the page may lead besides here: to the server whose metadata were fetched (M5)."""
    origin = origin_of(offer.server.authorization_endpoint or "") if offer.can_authorize else ""
    return [origin] if origin else []
