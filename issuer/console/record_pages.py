"""Pages for importing records: upload, see every bad row, then store."""

from typing import Annotated

from fastapi import Depends, File, Form, Query, UploadFile
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from issuer.console.desk import Desk, staff
from issuer.records.use_cases import ImportResult, check_records, count_records, import_records, template
from wallet_core.adapters.web import html, page_router
from wallet_core.catalogue.records import MAX_BYTES

router = page_router()

Staff = Annotated[Desk, Depends(staff)]
MAX_SHOWN = 200
"""Bad rows a page shows; whoever has more has a wrong column, and sees it in the first ones."""

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
    return html(
        request,
        "console/records_check.html",
        agency=desk.agency,
        report=_summary(result),
        problems=result.report.problems[:MAX_SHOWN],
        csv="" if result.report.problems else data.decode("utf-8-sig"),
        stored=result.imported > 0,
    )


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
