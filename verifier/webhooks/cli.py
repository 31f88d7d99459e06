"""``jigap verifier party webhook``: where a relying party is told that a presentation moved."""

import os
from typing import Annotated

import typer

from verifier.dependencies import Verifier, build_verifier
from verifier.relying_parties.ports import PartyId
from verifier.settings import VerifierSettings
from verifier.webhooks.use_cases import OVERLAP, remove_webhook, set_webhook
from wallet_core.adapters.cli import JsonFlag, out


def webhook(
    party: Annotated[str, typer.Argument(help="Id of the relying party.")],
    *,
    url: Annotated[str | None, typer.Option("--url", help="Where it is told, unless a request says else.")] = None,
    rotate: Annotated[
        bool, typer.Option("--rotate", help="Make a new secret; the old one signs for a day more.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Tell it nothing any more.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Set where a relying party is told of its presentations. A new signing secret is shown this once."""
    verifier = _verifier()
    known = verifier.party(party)
    storage = verifier.webhook_storage(verifier.database.unit())
    if remove:
        remove_webhook(storage, PartyId(known.id))
        out(as_json, {"id": party, "url": None}, f"{party} is told nothing any more")
        return
    endpoint, new = set_webhook(
        storage, PartyId(known.id), url=url, rotate=rotate, random=os.urandom, now=verifier.clock.now()
    )
    answer = {"id": party, "url": endpoint.url, "secret": endpoint.secret if new else None}
    where = endpoint.url or "where each request says"
    words = f"\nsecret (shown this once): {endpoint.secret}" if new else ""
    until = (
        f"\nthe old secret signs beside it for {OVERLAP.total_seconds() / 3600:.0f} h"
        if endpoint.previous and new
        else ""
    )
    out(as_json, answer, f"{party} is told at {where}{words}{until}")


def _verifier() -> Verifier:
    return build_verifier(VerifierSettings.from_environment())
