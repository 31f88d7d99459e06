"""``jigap verifier party key …``: the API keys of relying parties."""

from datetime import datetime, timedelta
from typing import Annotated

import typer

from verifier.dependencies import Verifier, build_verifier
from verifier.relying_parties.ports import SCOPES, KeyTerms, KeyView
from verifier.relying_parties.use_cases import (
    MAX_OVERLAP,
    create_api_key,
    list_api_keys,
    revoke_api_key,
    rotate_api_key,
)
from verifier.settings import VerifierSettings
from wallet_core.adapters.cli import JsonFlag, out
from wallet_core.types import JsonObject

app = typer.Typer(no_args_is_help=True, help="API keys of relying parties: several at once, each with name and scopes.")

PartyArgument = Annotated[str, typer.Argument(help="Id of a registered relying party.")]
KeyArgument = Annotated[str, typer.Argument(help="Id of the API key, as `list` shows it.")]
DaysOption = Annotated[int, typer.Option("--days", min=0, max=3660, help="Days until it ends by itself; 0: never.")]


@app.command("create")
def create(
    party: PartyArgument,
    *,
    label: Annotated[str, typer.Option("--label", help="Whose or what for.")],
    scope: Annotated[list[str], typer.Option("--scope", help="Can be repeated; default: all.")] = [],  # noqa: B006
    days: DaysOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Print a further API key, which is shown this once."""
    verifier = _verifier()
    unit, now = verifier.database.unit(), verifier.clock.now()
    terms = KeyTerms(label, frozenset(scope or SCOPES), _end(now, days))
    made = create_api_key(unit, verifier.api_keys(unit), verifier.party(party), terms, now=now)
    _print_key(made, as_json=as_json)


@app.command("list")
def list_keys(party: PartyArgument, *, as_json: JsonFlag = False) -> None:
    """List the keys of a relying party, the newest first: never their texts."""
    verifier = _verifier()
    unit, now = verifier.database.reader(), verifier.clock.now()
    keys = list_api_keys(unit, verifier.api_keys(unit), verifier.party(party))
    lines = [_line(key, now) for key in keys]
    out(as_json, {"keys": [_json(key, now) for key in keys]}, "\n".join(lines) or "no API keys")


@app.command("rotate")
def rotate(
    party: PartyArgument,
    key: KeyArgument,
    *,
    overlap: Annotated[
        int, typer.Option("--overlap-days", min=0, max=MAX_OVERLAP.days, help="Days for which both keys are good.")
    ] = 7,
    days: DaysOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Print a new API key in place of an old one, which ends after the overlap."""
    verifier = _verifier()
    unit, now = verifier.database.unit(), verifier.clock.now()
    made = rotate_api_key(
        unit,
        verifier.api_keys(unit),
        verifier.party(party),
        key,
        overlap=timedelta(days=overlap),
        expires_at=_end(now, days),
        now=now,
    )
    _print_key(made, as_json=as_json)


@app.command("revoke")
def revoke(party: PartyArgument, key: KeyArgument, *, as_json: JsonFlag = False) -> None:
    """Make an API key useless from now on."""
    verifier = _verifier()
    unit = verifier.database.unit()
    revoke_api_key(unit, verifier.api_keys(unit), verifier.party(party), key, now=verifier.clock.now())
    out(as_json, {"api_key_id": key, "revoked": True}, f"API key {key} is revoked")


def _print_key(made: tuple[str, str], *, as_json: bool) -> None:
    key_id, text = made
    out(as_json, {"api_key_id": key_id, "api_key": text}, f"API key {key_id} (shown this once): {text}")


def _json(key: KeyView, now: datetime) -> JsonObject:
    return {
        "api_key_id": key.id,
        "label": key.label,
        "state": key.state(now),
        "scopes": [*sorted(key.scopes)],
        "created_at": key.created_at.isoformat(),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
        "last_used_at": _time(key.last_used_at),
    }


def _line(key: KeyView, now: datetime) -> str:
    end = f"until {key.expires_at:%Y-%m-%d}" if key.expires_at else "no end"
    used = f"last used {key.last_used_at:%Y-%m-%d %H:%M} UTC" if key.last_used_at else "never used"
    return f"{key.id}  {key.state(now)}  {key.label}  [{' '.join(sorted(key.scopes))}]  {end}, {used}"


def _end(now: datetime, days: int) -> datetime | None:
    return now + timedelta(days=days) if days else None


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()


def _verifier() -> Verifier:
    return build_verifier(VerifierSettings.from_environment())
