"""One presentation as the wallet remembers it between two steps.

```text
Given ──fetch──▶ Reviewed ──consent──▶ Answering ──the verifier took it──▶ Answered
  └── fetch ──▶ Blocked    └──decline──▶ Declined          └── it did not ──▶ Failed
                └──report──▶ Blocked
```

The signed answer is stored, with its line in the history, before it is sent: nothing leaves without a trace, and after
a crash the same bytes are sent again. Every state is sealed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from holder_app.accounts.ports import AccountId
from holder_app.links import origin_of
from wallet_core.encoding import base64url
from wallet_core.errors import MalformedError
from wallet_core.protocols.openid4vp.pending import PresentationToSign, ResolvedRequest
from wallet_core.protocols.openid4vp.reporting import ErrorReport
from wallet_core.types import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Given:
    """A link was pasted, scanned or followed; nothing has been fetched. ``host`` is where it would be fetched from."""

    link: str
    host: str


@dataclass(frozen=True, slots=True)
class Reviewed:
    """The request is here and its sender verified; the person decides."""

    resolved: ResolvedRequest


@dataclass(frozen=True, slots=True)
class Answering:
    """The person agreed, the keys signed, and the answer is on its way.

    ``record_id`` is its line in the history, ``since`` when it was last sent, ``tries`` how often.
    """

    pending: PresentationToSign
    signatures: tuple[bytes, ...]
    record_id: str
    since: datetime
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Answered:
    """The verifier took the answer at ``origin``. ``redirect_uri`` is where the browser goes next."""

    record_id: str
    redirect_uri: str | None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Declined:
    """The person said no, or nothing matched. Members as in :class:`Answered`."""

    record_id: str
    redirect_uri: str | None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Blocked:
    """The request broke a rule or nobody trusted vouches for its sender; nothing was posted (protocols.md M27).

    ``report`` is what its sender can be told if the person agrees; None where there is nothing, or it was sent.
    ``redirect_uri`` is where the sender then leads.
    """

    reason: str
    detail: str
    host: str
    report: ErrorReport | None = None
    redirect_uri: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The verifier did not take the answer."""

    record_id: str
    detail: str


PresentationState: TypeAlias = Given | Reviewed | Answering | Answered | Declined | Blocked | Failed


@dataclass(frozen=True, slots=True)
class Presentation:
    """One presentation of one account.

    ``same_device`` tells that the browser came from the verifier's page, and so goes back there by itself.
    """

    id: str
    account_id: AccountId
    version: int
    state: PresentationState
    same_device: bool
    expires_at: datetime

    @property
    def origin(self) -> str:
        """The origin the answer goes to, which a browser on the same device may be led back to; empty if unknown."""
        match self.state:
            case Reviewed(resolved):
                return origin_of(resolved.request.response_uri)
            case Answered(origin=origin) | Declined(origin=origin):
                return origin
            case _:
                return ""

    def leads_back(self, url: str) -> bool:
        """Whether ``url`` is of the origin the answer went to. An origin that nobody knows is no one's."""
        return self.origin != "" and origin_of(url) == self.origin


def kind_of(state: PresentationState) -> str:
    """Return the name under which a state is stored."""
    return type(state).__name__.lower()


def state_to_json(state: PresentationState) -> JsonObject:
    """Return a state as it is stored. Seal it."""
    match state:
        case Given(link, host):
            return {"link": link, "host": host}
        case Reviewed(resolved):
            return {"resolved": resolved.to_json()}
        case Answering():
            return _write_answering(state)
        case Answered(record_id, redirect_uri, origin) | Declined(record_id, redirect_uri, origin):
            return {"record_id": record_id, "redirect_uri": redirect_uri, "origin": origin}
        case Blocked():
            return _write_blocked(state)
        case Failed(record_id, detail):
            return {"record_id": record_id, "detail": detail}


def state_from_json(kind: str, value: JsonObject) -> PresentationState:
    """Return the state that :func:`state_to_json` wrote. Raises ``MalformedError`` for anything else."""
    try:
        return _READERS[kind](value)
    except (KeyError, ValueError, TypeError) as exc:
        raise MalformedError("a stored presentation cannot be read", detail=f"of kind {kind}") from exc


def _write_answering(state: Answering) -> JsonObject:
    return {
        "pending": state.pending.to_json(),
        "signatures": [base64url.encode(signature) for signature in state.signatures],
        "record_id": state.record_id,
        "since": state.since.isoformat(),
        "tries": state.tries,
    }


def _write_blocked(state: Blocked) -> JsonObject:
    return {
        "reason": state.reason,
        "detail": state.detail,
        "host": state.host,
        "report": None if state.report is None else state.report.to_json(),
        "redirect_uri": state.redirect_uri,
    }


def _read_blocked(value: JsonObject) -> Blocked:
    report, redirect_uri = value.get("report"), value.get("redirect_uri")
    return Blocked(
        str(value["reason"]),
        str(value["detail"]),
        str(value["host"]),
        None if report is None else ErrorReport.from_json(_object(report)),
        None if redirect_uri is None else str(redirect_uri),
    )


def _read_answering(value: JsonObject) -> Answering:
    signatures = value["signatures"]
    if not isinstance(signatures, list):
        raise TypeError("signatures are no array")
    decoded = tuple(base64url.decode(str(signature)) for signature in signatures)
    return Answering(
        PresentationToSign.from_json(_object(value["pending"])),
        decoded,
        str(value["record_id"]),
        datetime.fromisoformat(str(value["since"])),
        int(str(value["tries"])),
    )


def _read_ending(value: JsonObject) -> tuple[str, str | None, str]:
    redirect_uri = value["redirect_uri"]
    return str(value["record_id"]), None if redirect_uri is None else str(redirect_uri), str(value["origin"])


def _object(value: Json) -> JsonObject:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


_READERS: Mapping[str, Callable[[JsonObject], PresentationState]] = {
    "given": lambda value: Given(str(value["link"]), str(value["host"])),
    "reviewed": lambda value: Reviewed(ResolvedRequest.from_json(_object(value["resolved"]))),
    "answering": _read_answering,
    "answered": lambda value: Answered(*_read_ending(value)),
    "declined": lambda value: Declined(*_read_ending(value)),
    "blocked": _read_blocked,
    "failed": lambda value: Failed(str(value["record_id"]), str(value["detail"])),
}
