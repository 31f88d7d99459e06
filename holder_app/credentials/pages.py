"""Home, cards, history."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import groupby
from typing import Annotated, Any

from fastapi import Query, Request, Response

from holder_app.credentials.ports import HistoryRecord, RecordKind
from holder_app.credentials.refreshing import Refreshed, refresh_card
from holder_app.credentials.status import check_cards_soon
from holder_app.credentials.use_cases import (
    delete_card,
    list_cards,
    list_history,
    page_history,
    show_card,
    show_record,
)
from holder_app.dependencies import CurrentAccount, CurrentWallet
from wallet_core.adapters.web import html, page_router, see_other
from wallet_core.catalogue import SEOUL
from wallet_core.types import JsonObject

router = page_router()

RECENT = 3
"""Lines of the history that other pages show."""

FILTERS: Mapping[str, tuple[RecordKind, ...]] = {
    "sent": (RecordKind.SENT, RecordKind.SENDING),
    "received": (RecordKind.RECEIVED, RecordKind.UPDATED),
    "refused": (RecordKind.REQUEST_DECLINED, RecordKind.OFFER_DECLINED),
    "blocked": (RecordKind.BLOCKED, RecordKind.FAILED),
    "deleted": (RecordKind.DELETED,),
}


@router.get("/")
async def home(request: Request, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Show the cards and what happened last."""
    ports = wallet.card_ports(read_only=True)
    records = list_history(ports, account.id, limit=RECENT)
    return html(
        request,
        "home.html",
        account=account,
        cards=list_cards(ports, account.id),
        records=records,
        unfinished=wallet.unfinished(account.id),
    )


@router.get("/cards/{card_id}")
async def card_page(request: Request, card_id: str, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Show one card, both faces, and where it was used."""
    await check_cards_soon(wallet.card_ports, wallet.fetch, wallet.anchors, account.id, card_id)
    ports = wallet.card_ports(read_only=True)
    card = show_card(ports, account.id, card_id)
    used = [record for record in list_history(ports, account.id, FILTERS["sent"]) if _names(record, card_id)]
    changes = [record for record in list_history(ports, account.id, (RecordKind.UPDATED,)) if _names(record, card_id)]
    refreshed = request.query_params.get("refreshed", "")
    shown = refreshed if refreshed in {each.value for each in Refreshed} else ""
    return html(request, "card.html", card=card, records=used[:RECENT], changes=changes[:RECENT], refreshed=shown)


@router.post("/cards/{card_id}/refresh")
async def refresh_form(card_id: str, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Fetch new copies of the card."""
    done = await refresh_card(wallet.card_ports, wallet.reissuer(), account.id, card_id, asked=True)
    return see_other(f"/cards/{card_id}?refreshed={done}")


@router.get("/cards/{card_id}/delete")
async def delete_page(request: Request, card_id: str, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Ask whether the card is to go."""
    return html(request, "delete.html", card=show_card(wallet.card_ports(read_only=True), account.id, card_id))


@router.post("/cards/{card_id}/delete")
async def delete_form(card_id: str, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Remove the card."""
    record = delete_card(wallet.card_ports(), account.id, card_id)
    return see_other(f"/history/{record.id}")


@router.get("/history")
async def history_page(
    request: Request,
    account: CurrentAccount,
    wallet: CurrentWallet,
    kind: str = "",
    before: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Show a page of everything that came and went, by month."""
    records, older = page_history(wallet.card_ports(read_only=True), account.id, FILTERS.get(kind), before=before)
    return html(
        request,
        "history.html",
        months=_months(records, wallet.clock.now()),
        filters=FILTERS,
        kind=kind if kind in FILTERS else "",
        before=before,
        older=older,
    )


@router.get("/history/{record_id}")
async def record_page(request: Request, record_id: str, account: CurrentAccount, wallet: CurrentWallet) -> Response:
    """Show one line of the history as a receipt."""
    record = show_record(wallet.card_ports(read_only=True), account.id, record_id)
    return html(request, "record.html", record=record, uses=registered_uses(record), back_to="")


def registered_uses(record: HistoryRecord) -> list[dict[str, Any]]:
    """Return why the other side asked for what and how long it keeps it, as registered; empty where nothing is."""
    body, known = record.body, record.body.get("registration")
    uses = body.get("uses")
    # Receipts of earlier versions have one use, and one of the catalogue's where nobody was registered.
    if uses is None and isinstance(known, dict) and known.get("standing") == "registered" and body.get("purpose"):
        uses = [{"claims": [], **{name: body.get(name) for name in ("purpose", "retention", "kept_until")}}]
    return [_with_day(use) for use in uses if isinstance(use, dict)] if isinstance(uses, list) else []


def _with_day(use: JsonObject) -> dict[str, Any]:
    until = use.get("kept_until")
    return {**use, "kept_until": datetime.fromisoformat(until) if isinstance(until, str) else None}


def _names(record: HistoryRecord, card_id: str) -> bool:
    cards = record.body.get("cards")
    return isinstance(cards, list) and any(isinstance(card, dict) and card.get("card_id") == card_id for card in cards)


def _months(records: tuple[HistoryRecord, ...], now: datetime) -> list[dict[str, Any]]:
    """Group by today, and by month before."""
    today = now.astimezone(SEOUL).date()

    def group(record: HistoryRecord) -> tuple[bool, int, int]:
        day = record.at.astimezone(SEOUL).date()
        return (True, 0, 0) if day > today - timedelta(days=1) else (False, day.year, day.month)

    return [
        {"today": key[0], "year": key[1], "month": key[2], "records": list(found)}
        for key, found in groupby(records, key=group)
    ]
