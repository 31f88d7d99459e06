"""What our API and commands answer of a checked file, as JSON; its shape is documented in ``shapes.py``."""

from verifier.checks.use_cases import FileResult
from verifier.presentations.answers import credential_json
from wallet_core.protocols.openid4vp.checks import ListCopy
from wallet_core.types import Json, JsonObject


def result_json(result: FileResult) -> JsonObject:
    """Return a verdict as our API and the command line show it."""
    error = result.error
    return {
        "state": result.state,
        "kind": result.kind,
        "holder_binding": result.holder,
        "credential": None if result.credential is None else credential_json(result.credential),
        "checks": [check.to_json() for check in result.checks],
        "trust_list": _copy_json(result.copies.trust_list, result),
        "status_list": _copy_json(result.copies.status_list, result),
        "policy": result.policy_id,
        "offline": result.offline,
        "checked_at": result.checked_at.isoformat(),
        "error": None if error is None else error.code,
        "error_description": None if error is None else error.description,
        "clause": None if error is None else error.clause,
    }


def _copy_json(copy: ListCopy | None, result: FileResult) -> Json:
    if copy is None:
        return None
    return {
        "fetched_at": copy.fetched_at.isoformat(),
        "age_seconds": max(0, int((result.checked_at - copy.fetched_at).total_seconds())),
        "good_until": None if copy.good_until is None else copy.good_until.isoformat(),
    }
