"""``jigap verifier verify FILE`` and ``jigap verifier cache``: checks of files, with and without a network."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from verifier.checks.answers import result_json
from verifier.checks.assembly import check_ports
from verifier.checks.use_cases import (
    FetchedList,
    FileOrder,
    FileResult,
    FileState,
    check_file,
    fill_cache,
    known_session,
)
from verifier.dependencies import Verifier, build_verifier
from verifier.settings import VerifierSettings
from wallet_core import spec_versions as spec
from wallet_core.adapters.cli import JsonFlag, out, say
from wallet_core.adapters.migrations import migrate
from wallet_core.adapters.qr import MAX_IMAGE_BYTES
from wallet_core.adapters.ui.claims import claim_lines
from wallet_core.adapters.ui.messages import load_messages
from wallet_core.catalogue import Catalogue, CredentialType
from wallet_core.encoding.plain_text import printable
from wallet_core.errors import InvalidRequest, MalformedError, NotFound
from wallet_core.protocols.openid4vp.presented import PresentedCredential
from wallet_core.protocols.openid4vp.standalone import KnownSession
from wallet_core.types import Vct

_STATES = {
    FileState.VERIFIED: "확인했어요 · verified",
    FileState.NOT_VERIFIED: "확인하지 못했어요 · not verified",
    FileState.REFUSED: "거절했어요 · refused",
}
_MARKS = {True: "통과 · ok", False: "실패 · FAILED", None: "- open"}
_STYLES = {True: "green", False: "bold red", None: "yellow"}

File = Annotated[Path, typer.Argument(metavar="FILE", help="The file, or - for standard input.")]


def verify(
    file: File,
    *,
    policy: Annotated[
        str | None, typer.Option("--policy", help="A policy of the catalogue: its query and rule for the status count.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Open no connection; the copies of lists count.")] = False,
    require_holder: Annotated[
        bool, typer.Option("--require-holder", help="Refuse what its holder did not prove to hold.")
    ] = False,
    nonce: Annotated[str, typer.Option("--nonce", help="Of the session it was shown in.")] = "",
    audience: Annotated[str, typer.Option("--audience", help="Full Client Identifier of whoever asked.")] = "",
    response_uri: Annotated[
        str, typer.Option("--response-uri", help="Where the answer went; for the session of an mdoc.")
    ] = "",
    jwk_thumbprint: Annotated[
        str, typer.Option("--jwk-thumbprint", help="base64url thumbprint of the key it was encrypted with; for mdocs.")
    ] = "",
    session_transcript: Annotated[
        str, typer.Option("--session-transcript", help="base64url of an mdoc's session, instead of the four others.")
    ] = "",
    as_json: JsonFlag = False,
) -> None:
    """Check a credential or presentation: SD-JWT VC, mdoc, or a PNG or JPEG of a QR code with one.

    Exit 0 only if it is verified. Nothing of it is kept.
    """
    data = _read(file)
    session = _session(nonce, audience, response_uri, jwk_thumbprint, session_transcript)
    verifier = _verifier()
    ports = check_ports(verifier)
    if policy is not None and policy not in ports.policies:
        raise typer.BadParameter("there is no such policy", param_hint="--policy")
    order = FileOrder(data, policy, offline, session, require_holder)
    result = asyncio.run(check_file(ports, order))
    if as_json:
        out(as_json, result_json(result), "")
    else:
        _show(result, verifier.catalogue)
    if result.state is not FileState.VERIFIED:
        raise typer.Exit(1)


def fill(
    uris: Annotated[list[str] | None, typer.Argument(metavar="[URI]", help="Addresses of status lists.")] = None,
    *,
    mdoc: Annotated[bool, typer.Option("--mdoc", help="The lists are those of mdocs (CWT).")] = False,
    aggregation: Annotated[
        bool, typer.Option("--aggregation", help="The addresses name lists of lists; all of those are fetched.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Fetch the trust list and status lists now, for checks without a network later."""
    ports = check_ports(_verifier())
    media_type = spec.STATUS_LIST_CWT_MEDIA_TYPE if mdoc else spec.STATUS_LIST_JWT_MEDIA_TYPE
    fetched = asyncio.run(fill_cache(ports, uris or [], media_type=media_type, aggregated=aggregation))
    trust = ports.trust_copy(ports.clock.now())
    answer: dict[str, Any] = {
        "trust_list": None if trust is None else trust.fetched_at.isoformat(),
        "status_lists": [_fetched_json(one) for one in fetched],
    }
    now = ports.clock.now()
    lines = ["no trust list is used, or none came" if trust is None else f"trust list {trust.said(now)}"]
    for one in fetched:
        said = (
            f"status list {one.copy.said(now)}" if one.copy else f"FAILED: {one.problem.detail if one.problem else ''}"
        )
        lines.append(f"{one.name[0]}: {said}")
    out(as_json, answer, "\n".join(lines))
    if any(one.copy is None for one in fetched):
        raise typer.Exit(1)


def _fetched_json(one: FetchedList) -> dict[str, Any]:
    return {
        "uri": one.name[0],
        "media_type": one.name[1],
        "fetched_at": one.copy.fetched_at.isoformat() if one.copy else None,
        "good_until": one.copy.good_until.isoformat() if one.copy and one.copy.good_until else None,
        "error_description": one.problem.description if one.problem else None,
    }


def _verifier() -> Verifier:
    verifier = build_verifier(VerifierSettings.from_environment())
    # Whoever only checks files has never started the server, which does this too.
    migrate(verifier.database, "verifier")
    return verifier


def _session(*said: str) -> KnownSession:
    try:
        return known_session(*said)
    except (InvalidRequest, MalformedError) as exc:
        raise typer.BadParameter(exc.description) from exc


def _read(file: Path) -> bytes:
    # One byte more than may be: whoever pipes an endless stream is told so.
    limit = MAX_IMAGE_BYTES + 1
    if str(file) == "-":
        return sys.stdin.buffer.read(limit)
    try:
        with file.open("rb") as opened:
            return opened.read(limit)
    except OSError as exc:
        raise typer.BadParameter(f"the file cannot be read: {exc.strerror}", param_hint="FILE") from exc


def _show(result: FileResult, catalogue: Catalogue) -> None:
    """Write the verdict to standard error as every command does: a table, in both languages."""
    messages = load_messages(["verifier"])
    table = Table("", "확인 · check", "근거 · clause", "결과 · result", box=None, padding=(0, 2, 0, 0))
    for check in result.checks:
        names = "\n".join(str(messages.text(language, f"verifier.step.{check.name}")) for language in ("ko", "en"))
        name = Text(names)
        if check.detail:
            name.append(f"\n{printable(check.detail)}", style="dim")
        table.add_row(str(check.step), name, check.clause, Text(_MARKS[check.ok], style=_STYLES[check.ok]))
    console = Console(stderr=True, highlight=False)
    console.print(table)
    if result.credential is not None:
        console.print(_claims(catalogue, result.credential))
    say(f"{_STATES[result.state]} ({result.kind})")
    key = f"verifier.file.holder_{result.holder}"
    say(f"{messages.text('ko', key)} · {messages.text('en', key)}")


def _claims(catalogue: Catalogue, credential: PresentedCredential) -> Table:
    """Return what it says, in the catalogue's words; none of it may steer the terminal."""
    table = Table("항목 · claim", "값 · value", box=None, padding=(0, 2, 0, 0))
    for line in claim_lines(_known(catalogue, credential), credential.claims):
        label = line.label.ko if line.label.ko == line.label.en else f"{line.label.ko} · {line.label.en}"
        table.add_row(Text(printable(label)), Text(printable(line.shown("ko"))))
    return table


def _known(catalogue: Catalogue, credential: PresentedCredential) -> CredentialType | None:
    try:
        if credential.format == spec.FORMAT_MDOC:
            return catalogue.by_doctype(credential.type)
        return catalogue.by_vct(Vct(credential.type))
    except NotFound:
        return None
