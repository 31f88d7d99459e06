"""What a verification record says, member by member (``specs/verification-record.md`` section 2).

The invariant: every member that is read is of the right type, and none is believed. ``record_audit`` judges them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from wallet_core.errors import MalformedError
from wallet_core.formats.sd_jwt.disclosure import DEFAULT_DIGEST_ALGORITHM, SD_ALG
from wallet_core.protocols.openid4vp.dcql import DcqlQuery, parse_dcql_query
from wallet_core.protocols.openid4vp.record import VERSION, ParsedRecord
from wallet_core.types import Json, JsonObject

CLAUSE: Final = "specs/verification-record.md 4"
"""Where the rules stand that a record has to keep."""

_LATEST: Final = 253_402_300_799  # the last second of the year 9999


@dataclass(frozen=True, slots=True)
class RecordContent:
    """The members of a record, of the right types. Nothing is believed yet.

    ``dc_api`` is how a browser's page brought the answer: None where the wallet posted it, and in records of an earlier
    version.
    """

    payload: JsonObject
    sealed_at: datetime
    asked_at: datetime
    expires_at: datetime
    received_at: datetime
    ended_at: datetime
    state: str
    parameters: JsonObject
    query: DcqlQuery
    presentations: Mapping[str, tuple[str, ...]]
    credentials: Mapping[str, tuple[JsonObject, ...]]
    disclosures: tuple[str, ...]
    dc_api: JsonObject | None

    @classmethod
    def of(cls, parsed: ParsedRecord) -> "RecordContent":
        """Read them. Raises ``MalformedError``, ``InvalidRequest``."""
        payload = parsed.payload
        # record-2-version
        if payload.get("version") != VERSION or payload.get(SD_ALG) != DEFAULT_DIGEST_ALGORITHM:
            raise MalformedError("the record is of a version that is not known here", clause=CLAUSE)
        request, answer, result = (read_object(payload, name) for name in ("request", "answer", "result"))
        parameters = read_object(request, "parameters")
        presentations = answer.get("presentations", {})
        credentials = payload.get("credentials", {})
        if not isinstance(presentations, dict) or not isinstance(credentials, dict):
            raise MalformedError("the answer of the record cannot be read", clause=CLAUSE)
        return cls(
            payload=payload,
            sealed_at=read_time(payload, "iat"),
            asked_at=read_time(request, "asked_at"),
            expires_at=read_time(request, "expires_at"),
            received_at=read_time(answer, "received_at"),
            ended_at=read_time(result, "at"),
            state=str(result.get("state")),
            parameters=parameters,
            query=parse_dcql_query(parameters.get("dcql_query")),
            presentations={name: read_texts(value) for name, value in presentations.items()},
            credentials={name: read_objects(value) for name, value in credentials.items()},
            disclosures=parsed.disclosures,
            dc_api=read_object(answer, "dc_api") if "dc_api" in answer else None,
        )

    @property
    def said(self) -> str:
        """The record in a few words."""
        return f"version {VERSION}, presentation {self.payload.get('id')}, {self.state}"

    @property
    def places(self) -> Iterator[tuple[str, int, JsonObject]]:
        """Every credential with its Credential Query and its number."""
        for name, several in self.credentials.items():
            for number, one in enumerate(several):
                yield name, number, one


def read_object(members: JsonObject, name: str) -> JsonObject:
    """Return the member, which is an object. Raises ``MalformedError``."""
    value = members.get(name)
    if not isinstance(value, dict):
        raise MalformedError(f"{name} of the record cannot be read", clause=CLAUSE)
    return value


def read_objects(value: Json) -> tuple[JsonObject, ...]:
    """Return the entries of an array of objects. Raises ``MalformedError``."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise MalformedError("a list of the record cannot be read", clause=CLAUSE)
    return tuple(each for each in value if isinstance(each, dict))


def read_texts(value: Json) -> tuple[str, ...]:
    """Return the entries of an array of texts. Raises ``MalformedError``."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise MalformedError("the answer of the record cannot be read", clause=CLAUSE)
    return tuple(each for each in value if isinstance(each, str))


def read_number(members: JsonObject, name: str, *, most: int = _LATEST) -> int:
    """Return the member, which is a whole number, not negative and not beyond ``most``. Raises ``MalformedError``."""
    value = members.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise MalformedError(f"{name} of the record is not a number", clause=CLAUSE)
    return value


def read_time(members: JsonObject, name: str) -> datetime:
    """Return the member, which is a time in seconds since 1970. Raises ``MalformedError``."""
    return datetime.fromtimestamp(read_number(members, name), UTC)
