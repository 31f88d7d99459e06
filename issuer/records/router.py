"""Our own API for agencies: import records, delete those of a person."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from issuer.dependencies import issuer_of
from issuer.records.use_cases import ImportResult, check_records, delete_subject, import_records
from wallet_core.adapters.api_keys import ApiKey
from wallet_core.adapters.idempotency import Answer
from wallet_core.adapters.web import idempotent, require_api_key
from wallet_core.catalogue.records import MAX_BYTES
from wallet_core.errors import InvalidRequest

router = APIRouter(prefix="/api/v1/agencies/{agency_id}", tags=["records"])


class BadRows(InvalidRequest):
    """Rows of the file cannot be stored; the dry run names each."""

    code = "bad_rows"


_CSV = {"requestBody": {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}}


@router.post("/records", max_body_size=MAX_BYTES, openapi_extra=_CSV)
async def post_records(
    request: Request,
    agency_id: str,
    key: Annotated[ApiKey, Depends(require_api_key("records:write", owner_path="agency_id"))],
    *,
    dry_run: Annotated[bool, Query()] = False,
) -> Response:
    """Import a CSV file, all of it or nothing. With `dry_run` every bad row is reported and nothing is stored."""
    issuer, data = issuer_of(request), await request.body()
    agency, unit, now = issuer.agency(agency_id), issuer.database.unit(), issuer.clock.now()
    # In a thread, so that wallets are answered meanwhile.
    report = await run_in_threadpool(check_records, issuer.catalogue.issued_by(agency.id), data, now=now)

    def create() -> Answer:
        """Do it the first time the key comes."""
        return _answer(
            import_records(unit, issuer.records(unit), agency, report, dry_run=dry_run, now=now), dry_run=dry_run
        )

    return await idempotent(request, unit, key, create)


@router.delete("/records/{subject_id}")
async def delete_records(
    request: Request,
    agency_id: str,
    subject_id: str,
    key: Annotated[ApiKey, Depends(require_api_key("records:write", owner_path="agency_id"))],
) -> Response:
    """Delete the records of a person, of all your types. What was issued stays good until you withdraw it."""
    issuer = issuer_of(request)
    agency, unit = issuer.agency(agency_id), issuer.database.unit()

    def create() -> Answer:
        """Do it the first time the key comes."""
        # Not whose they were: the answer is kept for its Idempotency-Key.
        return Answer(200, {"deleted": delete_subject(unit, issuer.records(unit), agency, subject_id)})

    return await idempotent(request, unit, key, create)


def _answer(result: ImportResult, *, dry_run: bool) -> Answer:
    if result.report.problems and not dry_run:
        count = len(result.report.problems)
        first = result.report.problems[0]
        raise BadRows(
            f"nothing was imported: {count} faults, the first in line {first.line}: {first.reason.en}; "
            "send the file with dry_run=true for all of them"
        )
    return Answer(200, result.to_json())
