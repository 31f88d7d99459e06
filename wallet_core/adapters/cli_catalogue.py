"""``jigap catalogue check | list``."""

from pathlib import Path
from typing import Annotated

import typer

from wallet_core.adapters.cli import JsonFlag, out
from wallet_core.adapters.config import catalogue_folder, load_catalogue
from wallet_core.catalogue import Catalogue, CatalogueError

app = typer.Typer(no_args_is_help=True, help="Credential types, verifier policies and agencies.")

Folder = Annotated[Path | None, typer.Option("--folder", help="Another catalogue folder than the product's own.")]


@app.command()
def check(*, folder: Folder = None, as_json: JsonFlag = False) -> None:
    """Check every file: exit 0 if all rules hold, 1 with file, line and reason of each fault if not."""
    try:
        catalogue = load_catalogue(folder)
    except CatalogueError as error:
        problems = [
            {"file": each.file, "line": each.line, "rule": each.rule, "reason": each.reason} for each in error.problems
        ]
        lines = [*map(str, error.problems), f"{len(problems)} problems in {catalogue_folder(folder)}"]
        out(as_json, {"ok": False, "problems": problems}, "\n".join(lines))
        raise typer.Exit(1) from error
    counts = _counts(catalogue)
    words = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items())
    out(as_json, {"ok": True, **counts}, f"The catalogue is good: {words}.")


@app.command("list")
def list_all(*, folder: Folder = None, as_json: JsonFlag = False) -> None:
    """List agencies with what they issue, and the policies with who may use them."""
    catalogue = load_catalogue(folder)
    types = [
        {
            "id": each.id,
            "configuration_id": each.configuration_id,
            "vct": each.vct,
            "agency": each.agency,
            "name": {"ko": each.name.ko, "en": each.name.en},
            "claims": len(each.claims),
            "validity_days": each.validity_days,
        }
        for each in catalogue.types.values()
    ]
    policies = [
        {"id": each.id, "name": {"ko": each.name.ko, "en": each.name.en}, "party_kind": each.party.kind}
        for each in catalogue.policies.values()
    ]
    out(as_json, {"types": types, "policies": policies}, _listing(catalogue))


def _counts(catalogue: Catalogue) -> dict[str, int]:
    return {
        "credential_types": len(catalogue.types),
        "claims": sum(len(each.claims) for each in catalogue.types.values()),
        "policies": len(catalogue.policies),
        "agencies": len(catalogue.agencies),
    }


def _listing(catalogue: Catalogue) -> str:
    lines: list[str] = []
    for agency in catalogue.agencies.values():
        lines.append(f"{agency.id}: {agency.name.ko} · {agency.name.en}")
        lines += [
            f"  {each.id:32} {each.name.ko} · {each.name.en} ({each.validity_days} days)"
            for each in catalogue.issued_by(agency.id)
        ]
    lines.append("policies")
    lines += [f"  {each.id:32} {each.name.ko} · {each.name.en}" for each in catalogue.policies.values()]
    return "\n".join(lines)
