"""What the browser of the login gets: how far it is, its answer back, and in the end the citizen."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from issuer.agencies.ports import Agency
from issuer.login.citizens import create_citizen
from issuer.login.presentation.ports import LoginRequest, PresentationLoginPorts
from issuer.records.ports import Citizen
from wallet_core import spec_versions as spec
from wallet_core.encoding.claims_path import resolve, value_at
from wallet_core.errors import NotFound, QueryNotSatisfied
from wallet_core.protocols.openid4vp import presentation as states
from wallet_core.protocols.openid4vp.asking import code_digest, match_number
from wallet_core.protocols.openid4vp.checks import CheckStep
from wallet_core.protocols.openid4vp.dcql import DcqlQuery
from wallet_core.protocols.openid4vp.presentation import (
    Answered,
    Presentation,
    PresentationFlow,
    Refused,
    Retrieved,
    Verified,
)
from wallet_core.protocols.openid4vp.presented import PresentedCredential
from wallet_core.protocols.openid4vp.request import create_request_uri_link
from wallet_core.types import QueryId

NAME_CLAIM: Final = "name"
BIRTH_DATE_CLAIM: Final = "birth_date"
"""Ids of the two claims of the policy."""

_PROGRESS: Final = ("expired", "requested", "retrieved", "answered", "refused", "verified")

_PROBLEMS: Final[Mapping[int, str]] = {
    CheckStep.ISSUER_TRUSTED: "issuer",
    CheckStep.ISSUER_PERMITTED: "issuer",
    CheckStep.WITHIN_VALIDITY: "expired",
    CheckStep.NOT_WITHDRAWN: "withdrawn",
}


@dataclass(frozen=True, slots=True)
class LoginView:
    """What the page of a login may know: nothing personal.

    Attributes:
        state: of the request that got furthest; ``new`` before there is one.
        across: link for a wallet on another device, for a QR code.
        beside: link for a wallet on this device.
        match_number: what both screens show of the request across devices; empty once a wallet on this device has it.
        created_at: when they were made; None for ``new``.
        expires_at: until when one can be answered; None for ``new``.
        problem: why it was refused: declined, expired, withdrawn, issuer, browser or other; empty if it was not.
    """

    state: str
    across: str = ""
    beside: str = ""
    match_number: str = ""
    created_at: datetime | None = None
    expires_at: datetime | None = None
    problem: str = ""


def show(ports: PresentationLoginPorts, agency: Agency, login_id: str) -> LoginView:
    """Return what the page of a login shows."""
    now, storage = ports.clock.now(), ports.reading()
    with storage.unit:
        found = [one for one in storage.requests.of_login(login_id) if one.agency_id == agency.id]
    if not found:
        return LoginView("new")
    by_flow = {one.state.terms.flow: one for one in found}
    across, beside = by_flow[PresentationFlow.CROSS_DEVICE], by_flow[PresentationFlow.SAME_DEVICE]
    furthest = max((states.observe(one.state, now=now) for one in found), key=lambda one: _PROGRESS.index(one.kind))
    return LoginView(
        furthest.kind,
        _link(agency, across, spec.REQUEST_SCHEME),
        _link(agency, beside, ports.wallet_endpoint),
        # Once a wallet on this device has the request there is no other screen.
        "" if _is_here(furthest) else match_number(across.state.terms.linked_request),
        furthest.terms.created_at,
        furthest.terms.expires_at,
        _problem(furthest) if isinstance(furthest, Refused) else "",
    )


def return_in_browser(
    ports: PresentationLoginPorts, agency: Agency, response_code: str, *, login_id: str | None
) -> bool:
    """Take the response code that a browser brought back, once, and return whether it is the browser that began.

    In another one the answer is refused, and nobody can use it any more (HAIP 5.1, protocols 24).

    Args:
        ports: what is needed.
        agency: from the address.
        response_code: from the address.
        login_id: the login session of the browser that brought it; None if it has none.

    Raises:
        NotFound: nobody waits for this code.
        StateConflict: it was redeemed before.
    """
    now, storage, digest = ports.clock.now(), ports.storage(), code_digest(response_code)
    with storage.unit:
        stored = storage.requests.by_response_code(agency.id, digest)
        if stored is None:
            raise NotFound("nobody waits for this answer")
        # x509-HAIP5.1-session
        same_browser = stored.login_id == login_id
        moved: Presentation = (
            states.redeem(stored.state, digest, now=now)
            if same_browser
            else states.return_elsewhere(stored.state, now=now)
        )
        storage.requests.advance(stored, moved)
    return same_browser


def take_citizen(ports: PresentationLoginPorts, agency: Agency, login_id: str) -> Citizen | None:
    """Return who the card says it is, once: the rows of the login are deleted with it. None if nothing is verified.

    Raises:
        StateConflict: another request of the same browser took it.
    """
    now, storage = ports.clock.now(), ports.storage()
    with storage.unit:
        for one in storage.requests.of_login(login_id):
            state = states.observe(one.state, now=now)
            if isinstance(state, Verified) and state.credentials is not None and one.agency_id == agency.id:
                citizen = read_citizen(state.terms.request.dcql_query, state.credentials)
                # Of two that take at once, one finds the row moved or gone.
                storage.requests.advance(one, Verified(state.terms, state.checks, None, now, now))
                storage.requests.delete_of_login(login_id)
                return citizen
    return None


def read_citizen(query: DcqlQuery, credentials: Mapping[QueryId, tuple[PresentedCredential, ...]]) -> Citizen:
    """Return the one person that all presented cards speak of.

    Raises:
        QueryNotSatisfied: they speak of several, or of a person without name or date of birth.
    """
    people = {
        _citizen_of(query, query_id, credential) for query_id, several in credentials.items() for credential in several
    }
    if len(people) != 1:
        raise QueryNotSatisfied("the cards speak of different people", step=CheckStep.QUERY_ANSWERED)
    return people.pop()


def _citizen_of(query: DcqlQuery, query_id: QueryId, credential: PresentedCredential) -> Citizen:
    entry = query.credential(query_id)
    found = {
        claim.id: value_at(credential.claims, concrete)
        for claim in (entry.claims if entry else ())
        for concrete in resolve(credential.claims, claim.path)
    }
    citizen = create_citizen(found.get(NAME_CLAIM), found.get(BIRTH_DATE_CLAIM))
    if citizen is None:
        raise QueryNotSatisfied("the card does not say name and date of birth", step=CheckStep.QUERY_ANSWERED)
    return citizen


def _link(agency: Agency, stored: LoginRequest, endpoint: str) -> str:
    terms = stored.state.terms
    uri = f"{agency.credential_issuer}/openid4vp/requests/{stored.id}"
    return create_request_uri_link(endpoint, terms.linked_request.client_id, uri, method=terms.request_uri_method)


def _is_here(state: Presentation) -> bool:
    return isinstance(state, Retrieved | Answered) and state.terms.flow is PresentationFlow.SAME_DEVICE


def _problem(state: Refused) -> str:
    if not state.checks:
        return "declined" if state.error == "access_denied" else "other"
    if all(check.ok for check in state.checks):
        return "browser"
    failing = next(check.step for check in state.checks if check.ok is False)
    return _PROBLEMS.get(failing, "other")
