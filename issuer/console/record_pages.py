"""Pages for importing records: upload, see every bad row, then store."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Depends, File, Form, Query, UploadFile
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from issuer.console.desk import Desk, staff
from issuer.records.use_cases import (
    ImportResult,
    check_records,
    count_records,
    faults_file,
    import_records,
    template,
)
from wallet_core.adapters.web import context, display_of, html, page_router
from wallet_core.catalogue.records import MAX_BYTES, RowProblem

router = page_router()

Staff = Annotated[Desk, Depends(staff)]
MAX_SHOWN = 200
"""Bad rows a page shows; whoever has more has a wrong column, and sees it in the first ones."""

MAX_SAVED = 50_000
"""Faults in the file that a page offers: 8 MB at most, which come with the page, because the upload is not kept."""

MAX_FORM_BYTES = MAX_BYTES + (1 << 20)
"""Bytes of a form that carries a file: what surrounds it, and the line ends that a browser makes longer."""


@router.get("/console/records")
async def records_page(request: Request, desk: Staff) -> Response:
    """Ask for a file."""
    return _ask(request, desk)


def _ask(request: Request, desk: Desk, *, empty: bool = False) -> Response:
    unit = desk.issuer.database.reader()
    counts = count_records(unit, desk.issuer.records(unit), desk.agency)
    types = [
        {"id": each.id, "name": each.name, "count": counts.get(each.id, 0), "columns": len(each.record_columns) + 2}
        for each in desk.types
    ]
    status = 400 if empty else 200
    return html(request, "console/records.html", status=status, agency=desk.agency, types=types, empty=empty)


@router.get("/console/records/template")
async def template_file(
    desk: Staff, type_id: Annotated[str | None, Query(alias="type", max_length=64)] = None
) -> Response:
    """Hand out a file to begin with: every column that is taken, and an example row."""
    name = f"{type_id or desk.agency.id}-template.csv"
    return Response(
        template(desk.types, type_id),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.post("/console/records/check", max_body_size=MAX_FORM_BYTES)
async def check_file(request: Request, desk: Staff, csv: Annotated[UploadFile, File()]) -> Response:
    """Check the file without storing anything."""
    data = await csv.read()
    if not data.strip():
        return _ask(request, desk, empty=True)
    return await _report(request, desk, data, dry_run=True)


@router.post("/console/records/faults", max_body_size=MAX_FORM_BYTES, form_limits={"max_part_size": MAX_FORM_BYTES})
async def save_faults(desk: Staff, faults: Annotated[str, Form()]) -> Response:
    """Hand back as a file the faults that the page holds: nothing of the upload was kept to find them again."""
    headers = {
        "Content-Disposition": f'attachment; filename="{desk.agency.id}-faults.csv"',
        "Cache-Control": "no-store",
    }
    # Without a byte order mark Excel takes it for CP949.
    return Response(faults.encode("utf-8-sig"), media_type="text/csv; charset=utf-8", headers=headers)


@router.post("/console/records", max_body_size=MAX_FORM_BYTES, form_limits={"max_part_size": MAX_FORM_BYTES})
async def store_file(request: Request, desk: Staff, csv: Annotated[str, Form()]) -> Response:
    """Store the file that was checked, if it is still without fault."""
    return await _report(request, desk, csv.encode(), dry_run=False)


async def _report(request: Request, desk: Desk, data: bytes, *, dry_run: bool) -> Response:
    issuer = desk.issuer
    unit, now = issuer.database.unit(), issuer.clock.now()
    # In a thread, so that wallets are answered meanwhile.
    report = await run_in_threadpool(check_records, desk.types, data, now=now)
    result = import_records(unit, issuer.records(unit), desk.agency, report, dry_run=dry_run, now=now)
    saved = result.report.problems[:MAX_SAVED]
    return html(
        request,
        "console/records_check.html",
        agency=desk.agency,
        report=_summary(result),
        problems=result.report.problems[:MAX_SHOWN],
        csv="" if result.report.problems else data.decode("utf-8-sig"),
        faults=await run_in_threadpool(_faults_file, request, saved) if saved else "",
        saved=len(saved),
        stored=result.imported > 0,
    )


def _faults_file(request: Request, problems: Sequence[RowProblem]) -> str:
    language, messages = display_of(request).language, context(request).pages.messages
    heads = [str(messages.text(language, f"issuer.records.{each}")) for each in ("line", "column", "reason", "cure")]
    return faults_file(problems, heads, language)


def _summary(result: ImportResult) -> dict[str, int]:
    report = result.report
    return {
        "rows": report.rows,
        "good": len(report.records),
        "bad": report.bad_rows,
        "faults": len(report.problems),
        "new": result.new,
        "replaced": result.replaced,
    }
