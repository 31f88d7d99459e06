"""States of a presentation as JSON and back. The claims stand apart from the rest, so that they can be sealed."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import MalformedError
from wallet_core.protocols.openid4vp.checks import Check, Checks
from wallet_core.protocols.openid4vp.dc_api import DcApiOffer, DcApiProtocol, parse_dc_api_members
from wallet_core.protocols.openid4vp.presentation import (
    Answered,
    Credentials,
    Expired,
    Presentation,
    PresentationFlow,
    Refused,
    Requested,
    Retrieved,
    Terms,
    Verified,
)
from wallet_core.protocols.openid4vp.presented import PresentedCredential
from wallet_core.protocols.openid4vp.request import parse_request_members
from wallet_core.trust.status_list.judging import NO_STATUS, StatusFinding
from wallet_core.types import Json, JsonObject, QueryId

MAX_STORED_DEPTH: Final = strict_json.MAX_DEPTH + 8
"""Levels of what we made of claims, which may be as deep as any JSON here and then stand some levels further down."""


def state_to_json(state: Presentation) -> JsonObject:
    """Return everything of ``state`` but its claims and its kind."""
    body: JsonObject = {"terms": _terms_to_json(state.terms)}
    if isinstance(state, Answered | Verified | Refused):
        body["checks"] = [check.to_json() for check in state.checks]
    if isinstance(state, Answered | Verified):
        body["agreed"] = [*state.agreed]
    match state:
        case Retrieved():
            body["retrieved_at"] = _seconds(state.retrieved_at)
        case Answered():
            body["answered_at"] = _seconds(state.answered_at)
            body["response_code_digest"] = base64url.encode(state.response_code_digest)
            body["wrong_codes"] = state.wrong_codes
        case Verified():
            body["verified_at"], body["keep_until"] = _seconds(state.verified_at), _seconds(state.keep_until)
        case Refused():
            body["refused_at"], body["error"] = _seconds(state.refused_at), state.error
            body["description"], body["clause"] = state.description, state.clause
        case Expired():
            body["expired_at"] = _seconds(state.expired_at)
            body |= {"stopped": True} if state.stopped else {}
        case Requested():
            pass
    return body


def state_from_json(kind: str, body: JsonObject, credentials: JsonObject | None) -> Presentation:
    """Return the state that :func:`state_to_json` and :func:`credentials_to_json` gave.

    Raises:
        MalformedError: they did not.
    """
    try:
        return _STATES[kind](body, _terms_from_json(_object(body, "terms")), _credentials_from_json(credentials))
    except (KeyError, TypeError, ValueError, OverflowError) as exc:
        raise MalformedError("a stored presentation cannot be read", detail=type(exc).__name__) from exc


def credentials_of(state: Presentation) -> Credentials | None:
    """Return the claims that ``state`` holds, if it is one that does."""
    return state.credentials if isinstance(state, Answered | Verified) else None


def credentials_to_json(credentials: Credentials) -> JsonObject:
    """Return the claims of a presentation for storage."""
    return {
        query_id: [
            {
                "format": one.format,
                "type": one.type,
                "claims": one.claims,
                "issuer": one.issuer,
                "issuer_name": one.issuer_name,
                "valid_until": None if one.valid_until is None else _seconds(one.valid_until),
                "holder_bound": one.holder_bound,
                "status": one.status.status,
                "status_checked_at": None if one.status.checked_at is None else _seconds(one.status.checked_at),
            }
            for one in several
        ]
        for query_id, several in credentials.items()
    }


def _terms_to_json(terms: Terms) -> JsonObject:
    offer: JsonObject = {} if terms.dc_api is None else {"dc_api": terms.dc_api.to_json()}
    return {
        **offer,
        "request": terms.request.to_json(),
        "flow": str(terms.flow),
        "request_uri_method": terms.request_uri_method,
        "redirect_uri": terms.redirect_uri,
        "created_at": _seconds(terms.created_at),
        "expires_at": _seconds(terms.expires_at),
        "keep_for": terms.keep_for.total_seconds(),
    }


def _terms_from_json(value: JsonObject) -> Terms:
    offer = _offer_from_json(value["dc_api"]) if "dc_api" in value else None
    parse = parse_request_members if offer is None else parse_dc_api_members
    return Terms(
        request=parse(_object(value, "request")),
        flow=PresentationFlow(str(value["flow"])),
        request_uri_method="post" if value["request_uri_method"] == "post" else "get",
        redirect_uri=_optional_text(value, "redirect_uri"),
        created_at=_time(value, "created_at"),
        expires_at=_time(value, "expires_at"),
        keep_for=timedelta(seconds=_number(value, "keep_for")),
        dc_api=offer,
    )


def _offer_from_json(value: Json) -> DcApiOffer:
    protocols = value.get("protocols") if isinstance(value, dict) else None
    if not isinstance(value, dict) or not isinstance(protocols, list):
        raise TypeError("dc_api")
    return DcApiOffer(tuple(DcApiProtocol(str(each)) for each in protocols), _optional_text(value, "encryption_info"))


def _credentials_from_json(value: JsonObject | None) -> Credentials | None:
    if value is None:
        return None
    found: Credentials = {}
    for query_id, several in value.items():
        if not isinstance(several, list):
            raise TypeError(query_id)
        found[QueryId(query_id)] = tuple(_credential_from_json(one) for one in several)
    return found


def _credential_from_json(value: Json) -> PresentedCredential:
    if not isinstance(value, dict):
        raise TypeError("credential")
    return PresentedCredential(
        format=str(value["format"]),
        type=str(value["type"]),
        claims=_object(value, "claims"),
        issuer=_optional_text(value, "issuer"),
        issuer_name=str(value["issuer_name"]),
        valid_until=None if value["valid_until"] is None else _time(value, "valid_until"),
        holder_bound=value["holder_bound"] is True,
        status=_finding(value),
    )


def _finding(value: JsonObject) -> StatusFinding:
    # What was stored before statuses were looked up has none.
    checked_at = None if value.get("status_checked_at") is None else _time(value, "status_checked_at")
    match value.get("status"):
        case "valid":
            return StatusFinding("valid", checked_at)
        case "unknown":
            return StatusFinding("unknown", checked_at)
        case _:
            return NO_STATUS


def _checks(body: JsonObject) -> Checks:
    entries = body["checks"]
    if not isinstance(entries, list):
        raise TypeError("checks")
    return Checks(_check(entry) for entry in entries)


def _check(value: Json) -> Check:
    if not isinstance(value, dict):
        raise TypeError("check")
    ok = value["ok"]
    return Check(
        step=int(_number(value, "step")),
        name=str(value["name"]),
        clause=str(value["clause"]),
        ok=ok if isinstance(ok, bool) else None,
        detail=str(value["detail"]),
        # What was stored before answers were taken in part has none.
        query_id=None if value.get("query_id") is None else str(value["query_id"]),
    )


def _agreed(body: JsonObject) -> tuple[QueryId, ...]:
    # What was stored before there was transaction data has none.
    entries = body.get("agreed", [])
    if not isinstance(entries, list):
        raise TypeError("agreed")
    return tuple(QueryId(str(entry)) for entry in entries)


def _required(credentials: Credentials | None) -> Credentials:
    if credentials is None:
        raise TypeError("credentials")
    return credentials


_Reader = Callable[[JsonObject, Terms, Credentials | None], Presentation]

_STATES: Final[Mapping[str, _Reader]] = {
    Requested.kind: lambda _, terms, __: Requested(terms),
    Retrieved.kind: lambda body, terms, _: Retrieved(terms, _time(body, "retrieved_at")),
    Answered.kind: lambda body, terms, credentials: Answered(
        terms,
        _checks(body),
        _required(credentials),
        _time(body, "answered_at"),
        base64url.decode(str(body["response_code_digest"])),
        int(_number(body, "wrong_codes")),
        _agreed(body),
    ),
    Verified.kind: lambda body, terms, credentials: Verified(
        terms, _checks(body), credentials, _time(body, "verified_at"), _time(body, "keep_until"), _agreed(body)
    ),
    Refused.kind: lambda body, terms, _: Refused(
        terms,
        str(body["error"]),
        str(body["description"]),
        _optional_text(body, "clause"),
        _checks(body),
        _time(body, "refused_at"),
    ),
    Expired.kind: lambda body, terms, _: Expired(terms, _time(body, "expired_at"), body.get("stopped") is True),
}


def _seconds(time: datetime) -> float:
    return time.timestamp()


def _number(body: JsonObject, member: str) -> float:
    value = body[member]
    if not isinstance(value, int | float):
        raise TypeError(member)
    return value


def _time(body: JsonObject, member: str) -> datetime:
    return datetime.fromtimestamp(_number(body, member), UTC)


def _object(body: JsonObject, member: str) -> JsonObject:
    value = body[member]
    if not isinstance(value, dict):
        raise TypeError(member)
    return value


def _optional_text(body: JsonObject, member: str) -> str | None:
    value = body[member]
    return None if value is None else str(value)
