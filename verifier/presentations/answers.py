"""What our API, pages and commands answer of presentations: as JSON, and a record as a file.

Their shapes are documented in ``shapes.py``.
"""

from datetime import datetime

from starlette.responses import Response

from verifier.presentations.use_cases.requests import CreatedPresentation
from verifier.presentations.use_cases.results import Result
from wallet_core import spec_versions as spec
from wallet_core.adapters.qr import qr_svg
from wallet_core.protocols.openid4vp.presented import PresentedCredential
from wallet_core.types import Json, JsonObject


def record_file(presentation_id: str, record: str) -> Response:
    """Return a verification record as a file to be saved."""
    headers = {
        "Content-Disposition": f'attachment; filename="verification-record-{presentation_id}.jwt"',
        "Cache-Control": "no-store",
    }
    return Response(f"{record}\n", 200, headers, spec.VERIFICATION_RECORD_MEDIA_TYPE)


def created_json(made: CreatedPresentation) -> JsonObject:
    """Return a new request as our API and the command line show it."""
    return {
        "id": made.id,
        "authorization_request": made.authorization_request,
        "request_uri": made.request_uri,
        "qr_svg": None if made.authorization_request is None else qr_svg(made.authorization_request),
        "dc_api_request": made.dc_api_request,
        "expires_at": made.expires_at.isoformat(),
    }


def result_json(result: Result) -> JsonObject:
    """Return what became of a presentation as our API and the command line show it."""
    checks: list[Json] = [check.to_json() for check in result.checks]
    credentials: Json = None
    if result.credentials is not None:
        credentials = {
            query_id: [credential_json(one) for one in several] for query_id, several in result.credentials.items()
        }
    return {
        "id": result.id,
        "state": result.state,
        "policy": result.policy_id,
        "credentials": credentials,
        "transaction_data": [
            {"transaction": entry.members, "agreed_with": agreed} for entry, agreed in result.transactions
        ],
        "checks": checks,
        "error": result.error,
        "error_description": result.error_description,
        "clause": result.clause,
        "created_at": result.created_at.isoformat(),
        "expires_at": result.expires_at.isoformat(),
        "ended_at": _time(result.ended_at),
        "claims_until": _time(result.claims_until),
        "record_until": result.record_until.isoformat(),
        "portrait_matches": result.portrait_matches,
    }


def credential_json(credential: PresentedCredential) -> JsonObject:
    """Return a presented credential as our API shows it."""
    return {
        "format": credential.format,
        "type": credential.type,
        "claims": credential.claims,
        "issuer": credential.issuer,
        "issuer_name": credential.issuer_name,
        "status": credential.status.status,
        "status_checked_at": _time(credential.status.checked_at),
        "valid_until": _time(credential.valid_until),
    }


def _time(value: datetime | None) -> str | None:
    return None if value is None else value.isoformat()
