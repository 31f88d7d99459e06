"""``jigap catalogue check | list``."""

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Final

import typer

from wallet_core.adapters.cli import JsonFlag, out
from wallet_core.adapters.config import catalogue_folder, load_catalogue
from wallet_core.catalogue import Catalogue, CatalogueError, CredentialType
from wallet_core.formats.mdoc.issuer import issue_mdoc
from wallet_core.formats.mdoc.mdl import ZK_SHA256_BLOCKS, MsoSize, mso_size
from wallet_core.formats.mdoc.structures import ValidityInfo, parse_issuer_signed
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.types import DocType

app = typer.Typer(no_args_is_help=True, help="Credential types, verifier policies and agencies.")

_SIGNED: Final = datetime(2026, 1, 1, tzinfo=UTC)
_STATUS: Final = {"status_list": {"idx": 2**24, "uri": "https://agency.example/status-lists/" + "x" * 22}}
"""A reference of the usual length."""

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
    sizes = {each.id: _mso_size(each) for each in catalogue.types.values() if each.mdoc is not None}
    measured = {
        each: {"mso_bytes": size.mso_bytes, "digests": size.digests, "sha256_blocks": size.sha256_blocks}
        for each, size in sizes.items()
    }
    lines = [f"The catalogue is good: {words}.", *(_size_line(each, size) for each, size in sizes.items())]
    out(as_json, {"ok": True, **counts, "mdoc": measured}, "\n".join(lines))


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
    transactions = [
        {"id": each.id, "type": each.type, "name": {"ko": each.name.ko, "en": each.name.en}}
        for each in catalogue.transactions.values()
    ]
    out(as_json, {"types": types, "policies": policies, "transactions": transactions}, _listing(catalogue))


def _mso_size(credential_type: CredentialType) -> MsoSize:
    """Return how large the signed part of an mdoc with every element of the type is, whatever their values are."""
    entry = credential_type.mdoc
    if entry is None or entry.doctype is None:
        raise ValueError("the type has no mdoc form")
    name_spaces: dict[str, dict[str, bool]] = {}
    for place in (claim.mdoc for claim in credential_type.claims if claim.mdoc is not None):
        # The MSO holds digests, which are of one size.
        name_spaces.setdefault(place.namespace, {})[place.element] = True
    signer = SoftwareSigner.generate()
    encoded = issue_mdoc(
        doc_type=DocType(entry.doctype),
        name_spaces=name_spaces,
        device_key=signer.public_key,
        validity=ValidityInfo(_SIGNED, _SIGNED, _SIGNED + timedelta(days=credential_type.validity_days)),
        signer=signer,
        x5chain=[b""],  # not signed
        random=secrets.token_bytes,
        status=_STATUS if credential_type.revocable else None,
    )
    return mso_size(parse_issuer_signed(encoded))


def _size_line(type_id: str, size: MsoSize) -> str:
    room = "fits" if size.fits_zero_knowledge_circuits else "DOES NOT FIT"
    return (
        f"{type_id} as mdoc: an MSO of {size.mso_bytes} bytes with {size.digests} digests, "
        f"{size.sha256_blocks} blocks of SHA-256; it {room} the zero-knowledge circuits in use "
        f"({ZK_SHA256_BLOCKS} blocks)."
    )


def _counts(catalogue: Catalogue) -> dict[str, int]:
    return {
        "credential_types": len(catalogue.types),
        "claims": sum(len(each.claims) for each in catalogue.types.values()),
        "policies": len(catalogue.policies),
        "transaction_types": len(catalogue.transactions),
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
    lines.append("transaction types")
    lines += [f"  {each.id:32} {each.name.ko} · {each.name.en}" for each in catalogue.transactions.values()]
    return "\n".join(lines)
