"""Telling a Verifier which rule its request broke (OpenID4VP 1.0 section 8.5), in a wallet that is set to do so.

The invariant: a report goes to a Verifier whose signature verified, at an address that it may use, and says a code and
nothing of the person. When to send it is the caller's: after a person acted, never by itself (15.1, protocols.md M27).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from wallet_core.errors import MalformedError, RemoteProtocolError, WalletError
from wallet_core.http import Flow, post_form
from wallet_core.protocols.openid4vp.client_id import ClientIdentifier, ClientIdPrefix, validate_response_uri
from wallet_core.protocols.openid4vp.pending import Sent
from wallet_core.protocols.openid4vp.response import parse_response_answer
from wallet_core.types import Json, JsonObject

# Those that verify_client has tied to a certificate before the parameters were looked at.
_PROVEN: Final = (ClientIdPrefix.X509_HASH, ClientIdPrefix.X509_SAN_DNS)
_MAX_STATE: Final = 4096


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """What a Verifier would be told. In clear: 8.3.1 lets a wallet that cannot answer do so, and it names no one."""

    response_uri: str
    error: str
    state: str | None

    def to_json(self) -> JsonObject:
        """Return the value for storage."""
        return {"response_uri": self.response_uri, "error": self.error, "state": self.state}

    @classmethod
    def from_json(cls, value: JsonObject) -> Self:
        """Return the value that was stored. Raises ``KeyError`` if it was not made by :meth:`to_json`."""
        state = value["state"]
        return cls(str(value["response_uri"]), str(value["error"]), None if state is None else str(state))


def reply_address(client_id: ClientIdentifier, claims: Mapping[str, Json]) -> tuple[str, str | None] | None:
    """Return where a request whose signature verified wants its answer, with its state; None if nowhere it may."""
    uri, state = claims.get("response_uri"), claims.get("state")
    # vp-8.2-report-address
    if client_id.prefix not in _PROVEN or not isinstance(uri, str):
        return None
    try:
        validate_response_uri(client_id, uri)
    except WalletError:
        return None
    return uri, state if isinstance(state, str) and len(state) <= _MAX_STATE else None


def report_of(error: WalletError) -> ErrorReport | None:
    """Return what the sender of a request could be told of ``error``; None where nobody proved to be the sender."""
    if not isinstance(error, RemoteProtocolError) or error.answer_to is None:
        return None
    response_uri, state = error.answer_to
    return ErrorReport(response_uri, error.code, state)


def send_report(report: ErrorReport) -> Flow[Sent]:
    """Post the report.

    Raises:
        PeerRefusal: the Verifier did not accept it.
    """
    # vp-8.2-invalid-request
    fields = {"error": report.error, "state": report.state}
    response = yield post_form(
        report.response_uri, {name: value for name, value in fields.items() if value is not None}
    )
    try:
        return Sent(parse_response_answer(response))
    except MalformedError:
        return Sent(None)
