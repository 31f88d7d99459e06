"""``jigap verifier audit FILE``: an auditor's look at a verification record, without the verifier that made it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from verifier.settings import VerifierSettings
from wallet_core.adapters.cli import JsonFlag, out
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import SettingsError
from wallet_core.adapters.trust_files import load_roots
from wallet_core.protocols.openid4vp.record import MAX_RECORD_CHARACTERS
from wallet_core.protocols.openid4vp.record_audit import Audit, Brought, audit_record
from wallet_core.types import JsonObject

_JWS = "eyJ"  # a JSON object in base64url
_MARKS = {True: "ok", False: "FAILED", None: "-"}

_WORDS = {
    "form": "this is a verification record",
    "seal": "it is sealed under a certificate that leads to a root",
    "who_asked": "the question was asked under this certificate",
    "times": "its times follow each other",
    "checks": "every check is there and fits the result",
    "question_answered": "the answer has what was asked",
    "issuers": "the issuers' certificates were good then",
    "status": "no credential was withdrawn then",
    "shown_claims": "the claims that are shown belong to it",
    "trust_list": "the trust list that counted",
    "presentations": "the presentations that were kept",
}


def audit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The verification record, or - for standard input.")],
    *,
    trust: Annotated[
        list[Path] | None,
        typer.Option(
            "--trust", help="Roots (PEM), and the trust list of that time; default: JIGAP_VERIFIER_TRUST_ANCHORS."
        ),
    ] = None,
    presentation: Annotated[
        list[Path] | None, typer.Option("--presentation", help="A presentation of the answer that somebody kept.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Audit a verification record: what was asked, what was answered, which checks held, under whose certificates.

    Exit 0 if it stands, 1 if a step failed. It works years later, on any machine (specs/verification-record.md).
    """
    paths = trust or _configured()
    lists = [text for path in paths if (text := _read(path)).lstrip().startswith(_JWS)]
    kept = [_read(path).strip() for path in presentation or []]
    found = audit_record(_read(file), Brought(load_roots(paths), lists, kept), now=SystemClock().now())
    out(as_json, _json(found), _words(found))
    if found.refused_at is not None:
        raise typer.Exit(1)


def _configured() -> list[Path]:
    """Return the roots of the verifier that is configured here, for whoever audits at home."""
    try:
        paths = list(VerifierSettings.from_environment().trust_anchors)
    except SettingsError:
        paths = []
    if not paths:
        raise typer.BadParameter("name at least the root of access certificates", param_hint="--trust")
    return paths


def _read(path: Path) -> str:
    # One character more than may be: whoever brings something endless is told so.
    limit = MAX_RECORD_CHARACTERS + 1
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(limit)
        else:
            with path.open("rb") as opened:
                data = opened.read(limit)
    except OSError as exc:
        raise typer.BadParameter(f"{path.name} cannot be read: {exc.strerror}") from exc
    # What is no text is none of the files that are read here, and is refused as such.
    return data.decode("utf-8", errors="replace")


def _json(found: Audit) -> JsonObject:
    refused = found.refused_at
    return {
        "stands": refused is None,
        "refused_at": None if refused is None else int(refused.step),
        "steps": [
            {"step": int(one.step), "name": one.step.name.lower(), "ok": one.ok, "detail": one.detail}
            for one in found.findings
        ],
        "claims": found.claims,
        "record": found.payload,
    }


def _words(found: Audit) -> str:
    lines = []
    for one in found.findings:
        said = f": {one.detail}" if one.detail else ""
        lines.append(f"{one.step:>2}. {_MARKS[one.ok]:<6} {_WORDS[one.step.name.lower()]}{said}")
    lines += [f"    {query}: {claims}" for query, claims in found.claims.items() if claims]
    refused = found.refused_at
    lines.append("the record stands" if refused is None else f"refused at step {int(refused.step)}: {refused.detail}")
    return "\n".join(lines)
