"""The ``jigap issuer reissue`` commands: replace copies of a person or of many, take back what a lost device holds."""

from datetime import timedelta
from typing import Annotated

import typer

from issuer.dependencies import Issuer, build_issuer
from issuer.issuance.answers import bulk_json, lost_json, order_json, replaced_json
from issuer.issuance.bulk import MOVES
from issuer.issuance.use_cases.bulk_reissuance import count_bulk, move_bulk, show_bulk, start_bulk
from issuer.issuance.use_cases.reissuance import GRACE, ReplaceOrder, replace_copies, report_lost_device
from issuer.settings import IssuerSettings
from wallet_core.adapters.cli import JsonFlag, out
from wallet_core.types import JsonObject

app = typer.Typer(no_args_is_help=True, help="New copies of what was issued.")

AgencyOption = Annotated[str, typer.Option("--agency", help="Id of the agency in the catalogue.")]
TypeOption = Annotated[str, typer.Option("--type", help="Id of the credential type in the catalogue.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; only the agency reads it.")]
GraceOption = Annotated[
    int, typer.Option("--grace-days", min=0, help="How long old copies stay good; 0 revokes them at once.")
]
Subject = Annotated[str, typer.Argument(help="subject_id of the agency's record.")]
Id = Annotated[str, typer.Argument(help="Id of the re-issuance.")]
BY = "command line"


@app.command()
def person(
    subject: Subject,
    *,
    agency: AgencyOption,
    type_id: TypeOption,
    reason: ReasonOption,
    grace_days: GraceOption = GRACE.days,
    as_json: JsonFlag = False,
) -> None:
    """Have all copies that a person has of a type replaced; import the new data first."""
    issuer = _issuer()
    order = ReplaceOrder(type_id, reason, BY, timedelta(days=grace_days))
    storage = issuer.storage(issuer.database.unit())
    done = replace_copies(issuer.issuance, storage, issuer.agency(agency), subject, order)
    out(as_json, replaced_json(done), f"{done.copies} copies, to be replaced by {done.replace_by.isoformat()}")


@app.command()
def lost(
    subject: Subject,
    *,
    agency: AgencyOption,
    reason: ReasonOption,
    credential: Annotated[
        str | None, typer.Option("--credential", help="One that the lost wallet holds; default: all wallets.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Revoke everything a lost wallet holds, and end its codes and tokens."""
    issuer = _issuer()
    storage, found = issuer.storage(issuer.database.unit()), issuer.agency(agency)
    done = report_lost_device(
        issuer.issuance, storage, found, subject, credential_id=credential, reason=reason, reported_by=BY
    )
    out(as_json, lost_json(done), f"{done.copies} copies revoked, {done.grants} grants ended")


@app.command()
def start(
    *,
    agency: AgencyOption,
    type_id: TypeOption,
    reason: ReasonOption,
    grace_days: GraceOption = GRACE.days,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Have the copies of everybody who has a type replaced, by the worker."""
    issuer = _issuer()
    order, found = ReplaceOrder(type_id, reason, BY, timedelta(days=grace_days)), issuer.agency(agency)
    if dry_run:
        counted = count_bulk(issuer.issuance, found, order)
        out(as_json, order_json(counted), f"{counted.subjects} people, {counted.copies} copies; nothing was changed")
        return
    bulk = start_bulk(issuer.issuance, issuer.storage(issuer.database.unit()), found, order)
    _say(bulk_json(bulk), as_json=as_json)


@app.command()
def show(reissuance: Id, *, agency: AgencyOption, as_json: JsonFlag = False) -> None:
    """Show how far it has come."""
    issuer = _issuer()
    _say(bulk_json(show_bulk(issuer.issuance, issuer.agency(agency), reissuance)), as_json=as_json)


@app.command()
def pause(reissuance: Id, *, agency: AgencyOption, as_json: JsonFlag = False) -> None:
    """Stop after the chunk in hand, until it is resumed."""
    _move("pause", reissuance, agency, as_json=as_json)


@app.command()
def resume(reissuance: Id, *, agency: AgencyOption, as_json: JsonFlag = False) -> None:
    """Go on where it was paused."""
    _move("resume", reissuance, agency, as_json=as_json)


@app.command()
def cancel(reissuance: Id, *, agency: AgencyOption, as_json: JsonFlag = False) -> None:
    """End it; what was marked stays marked."""
    _move("cancel", reissuance, agency, as_json=as_json)


def _move(move: str, reissuance: str, agency: str, *, as_json: bool) -> None:
    issuer = _issuer()
    storage = issuer.storage(issuer.database.unit())
    _say(bulk_json(move_bulk(storage, issuer.agency(agency), reissuance, MOVES[move])), as_json=as_json)


def _say(answer: JsonObject, *, as_json: bool) -> None:
    done = f"{answer['subjects_done']} of {answer['subjects']} people, {answer['copies_done']} copies"
    out(as_json, answer, f"{answer['id']} {answer['state']}: {done}")


def _issuer() -> Issuer:
    return build_issuer(IssuerSettings.from_environment())
