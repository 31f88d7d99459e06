"""Pages of a party's API keys: list, make, rotate, revoke. A key's text stands in the answer to its form, once.

Each form carries a number of its own, so that a page that is loaded again makes no second key.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import Depends, Form, Query
from starlette.requests import Request
from starlette.responses import Response

from verifier.console.desk import Desk, staff
from verifier.relying_parties.ports import MAX_LABEL_CHARACTERS, SCOPES, KeyTerms
from verifier.relying_parties.use_cases import (
    create_api_key,
    list_api_keys,
    revoke_api_key,
    rotate_api_key,
    show_api_key,
)
from verifier.tables import APP_TABLES
from wallet_core.adapters.idempotency import MAX_KEY_CHARACTERS, Answer, RequestIdentity, answer_once
from wallet_core.adapters.sql import UnitOfWork
from wallet_core.adapters.web import html, page_router, see_other
from wallet_core.errors import InvalidRequest

router = page_router()

Staff = Annotated[Desk, Depends(staff)]
Once = Annotated[str, Form(min_length=1, max_length=MAX_KEY_CHARACTERS)]
"""The number of a form."""

MAX_SCOPES: Final = 10
END_DAYS: Final = (90, 365, 0)
"""After how many days a new key may end; 0: never."""

OVERLAP_DAYS: Final = (0, 1, 7, 30)
"""For how many days both keys of a rotation may be good."""


@router.get("/console/keys")
async def key_list(request: Request, desk: Staff, repeated: Annotated[str, Query(max_length=1)] = "") -> Response:
    """List the party's keys, and ask what a new one is for; say so if a form came ``repeated``."""
    return _list(request, desk, repeated=bool(repeated))


@router.post("/console/keys")
async def make_key(
    request: Request,
    desk: Staff,
    once: Once,
    label: Annotated[str, Form(max_length=200)] = "",
    scope: Annotated[list[str], Form(max_length=MAX_SCOPES)] = [],  # noqa: B006 - FastAPI reads it
    days: Annotated[int, Form(ge=0, le=3660)] = 365,
) -> Response:
    """Make a key and show it, once."""
    verifier, now = desk.verifier, desk.verifier.clock.now()
    terms = KeyTerms(label.strip(), frozenset(scope), _end(now, days))
    try:
        made = _once(desk, once, lambda unit: create_api_key(unit, verifier.api_keys(unit), desk.party, terms, now=now))
    except InvalidRequest:
        return _list(request, desk, error=True, label=label, scopes=scope)
    return _made(request, desk, made)


@router.get("/console/keys/{key_id}/rotate")
async def rotate_page(request: Request, desk: Staff, key_id: str) -> Response:
    """Ask for how long both keys are to be good."""
    return _confirm(request, desk, key_id, "rotate")


@router.post("/console/keys/{key_id}/rotate")
async def rotate_form(
    request: Request,
    desk: Staff,
    key_id: str,
    once: Once,
    overlap: Annotated[int, Form(ge=0, le=90)] = 7,
    days: Annotated[int, Form(ge=0, le=3660)] = 365,
) -> Response:
    """Make a key in place of another and show it, once."""
    verifier, now = desk.verifier, desk.verifier.clock.now()
    ends, both = _end(now, days), timedelta(days=overlap)
    made = _once(
        desk,
        once,
        lambda unit: rotate_api_key(
            unit, verifier.api_keys(unit), desk.party, key_id, overlap=both, expires_at=ends, now=now
        ),
    )
    return _made(request, desk, made, overlap=overlap)


@router.get("/console/keys/{key_id}/revoke")
async def revoke_page(request: Request, desk: Staff, key_id: str) -> Response:
    """Say what revoking means before it is done."""
    return _confirm(request, desk, key_id, "revoke")


@router.post("/console/keys/{key_id}/revoke")
async def revoke_form(desk: Staff, key_id: str) -> Response:
    """Make a key useless; whoever signed in with it is signed out."""
    verifier = desk.verifier
    unit = verifier.database.unit()
    revoke_api_key(unit, verifier.api_keys(unit), desk.party, key_id, now=verifier.clock.now())
    return see_other("/console/keys")


def _list(
    request: Request,
    desk: Desk,
    *,
    error: bool = False,
    repeated: bool = False,
    label: str = "",
    scopes: list[str] | None = None,
) -> Response:
    verifier = desk.verifier
    unit, now = verifier.database.reader(), verifier.clock.now()
    keys = [(key, key.state(now)) for key in list_api_keys(unit, verifier.api_keys(unit), desk.party)]
    return html(
        request,
        "console/keys.html",
        status=400 if error else 200,
        party=desk.party,
        keys=keys,
        own=desk.key_id,
        scopes=SCOPES,
        chosen=scopes or [],
        label=label,
        error=error,
        repeated=repeated,
        once=_new_form(desk),
        longest=MAX_LABEL_CHARACTERS,
        ends=END_DAYS,
    )


def _confirm(request: Request, desk: Desk, key_id: str, what: str) -> Response:
    verifier = desk.verifier
    unit = verifier.database.reader()
    key = show_api_key(unit, verifier.api_keys(unit), desk.party, key_id)
    return html(
        request,
        "console/key_confirm.html",
        party=desk.party,
        key=key,
        what=what,
        own=desk.key_id,
        once=_new_form(desk),
        overlaps=OVERLAP_DAYS,
        ends=END_DAYS,
    )


def _new_form(desk: Desk) -> str:
    return desk.verifier.presentations.random(16).hex()


def _once(desk: Desk, form: str, make: Callable[[UnitOfWork], tuple[str, str]]) -> tuple[str, str] | None:
    """Return the id and the text of the key that ``make`` makes; None if the form came before: nothing is made."""
    verifier = desk.verifier
    made: list[tuple[str, str]] = []
    unit = verifier.database.unit()

    def create() -> Answer:
        made.append(make(unit))
        return Answer(201, {"id": made[0][0]})

    identity = RequestIdentity(f"console {desk.party.id}", form, b"a key")
    answer_once(unit, APP_TABLES, verifier.sealer, identity, now=verifier.clock.now(), create=create)
    return made[0] if made else None


def _made(request: Request, desk: Desk, made: tuple[str, str] | None, *, overlap: int | None = None) -> Response:
    if made is None:
        return see_other("/console/keys?repeated=1")
    key_id, text = made
    return html(
        request, "console/key_made.html", status=201, party=desk.party, key_id=key_id, api_key=text, overlap=overlap
    )


def _end(now: datetime, days: int) -> datetime | None:
    return now + timedelta(days=days) if days else None
