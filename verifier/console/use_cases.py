"""What the desk needs beside the results: the links of a check that still waits, and its latest checks."""

from dataclasses import dataclass
from datetime import datetime

from verifier.presentations.ports import PresentationPorts, StoredPresentation, Wanted
from verifier.presentations.use_cases.dc_api_requests import create_dc_api_call
from verifier.presentations.use_cases.requests import request_uri
from verifier.presentations.use_cases.results import EVERY, Result, list_presentations, show_presentation
from verifier.relying_parties.ports import RelyingParty
from wallet_core import spec_versions as spec
from wallet_core.errors import NotFound
from wallet_core.protocols.openid4vp.asking import match_number
from wallet_core.protocols.openid4vp.presentation import PresentationFlow, Requested
from wallet_core.protocols.openid4vp.request import create_request_uri_link
from wallet_core.types import JsonObject


@dataclass(frozen=True, slots=True)
class CheckLinks:
    """The requests of a check that stand beside each other (protocols.md M23).

    Attributes:
        across: for a wallet on another device, shown as a QR code.
        beside: for a wallet on this device; "" where no web wallet is configured.
        browser: what the page passes to the browser's Digital Credentials API; None once it cannot be answered.
        match_number: what the wallet that reads the code shows as well.
        created_at: when they were made.
        expires_at: until when one can be answered.
    """

    across: str
    beside: str
    browser: JsonObject | None
    match_number: str
    created_at: datetime
    expires_at: datetime


def show_links(
    ports: PresentationPorts, party: RelyingParty, check_id: str, *, wallet_endpoint: str | None
) -> CheckLinks:
    """Return the links of a check again, for a page that is opened anew.

    Raises:
        NotFound: the party has no such check.
    """
    storage = ports.reading()
    with storage.unit:
        found = [one for one in storage.presentations.of_check(check_id) if one.party_id == party.id]
    links = {PresentationFlow.CROSS_DEVICE: "", PresentationFlow.SAME_DEVICE: ""}
    linked = [one for one in found if one.state.terms.dc_api is None]
    for one in linked:
        terms = one.state.terms
        endpoint = spec.REQUEST_SCHEME if terms.flow is PresentationFlow.CROSS_DEVICE else wallet_endpoint
        if endpoint is not None:
            uri = request_uri(ports.public_url, one.request_id)
            links[terms.flow] = create_request_uri_link(
                endpoint, terms.linked_request.client_id, uri, method=terms.request_uri_method
            )
    if not found:
        raise NotFound("there is no such check")
    terms = found[0].state.terms
    numbers = [match_number(one.state.terms.linked_request) for one in linked if _is_across(one)]
    across, beside = links[PresentationFlow.CROSS_DEVICE], links[PresentationFlow.SAME_DEVICE]
    open_calls = [one for one in found if one.state.terms.dc_api is not None and isinstance(one.state, Requested)]
    browser = create_dc_api_call(ports, open_calls[0]) if open_calls else None
    return CheckLinks(across, beside, browser, "".join(numbers), terms.created_at, terms.expires_at)


def find_call(ports: PresentationPorts, party: RelyingParty, check_id: str) -> str:
    """Return the id of the presentation of a check that goes through the browser's Digital Credentials API.

    Raises:
        NotFound: the party has no such check.
    """
    storage = ports.reading()
    with storage.unit:
        found = storage.presentations.of_check(check_id)
    for one in found:
        if one.party_id == party.id and one.state.terms.dc_api is not None:
            return one.id
    raise NotFound("there is no such check")


@dataclass(frozen=True, slots=True)
class AskedQuery:
    """A presentation that stands alone: one that a program asked for, or a query that staff tried.

    Attributes:
        result: what became of it.
        link: for a QR code, while it waits; "" where it cannot be built again.
        query: what was asked (OpenID4VP 6).
    """

    result: Result
    link: str
    query: JsonObject


def show_asked(ports: PresentationPorts, party: RelyingParty, presentation_id: str) -> AskedQuery:
    """Return a presentation that stands alone, with its link.

    Raises:
        NotFound: the party has no such presentation.
    """
    result = show_presentation(ports, party, presentation_id)
    storage = ports.reading()
    with storage.unit:
        stored = storage.presentations.by_id(party.id, presentation_id)
    if stored is None:
        raise NotFound("there is no such presentation")
    terms, link = stored.state.terms, ""
    if terms.dc_api is None and terms.flow is PresentationFlow.CROSS_DEVICE and terms.linked_request.client_id.signs:
        uri = request_uri(ports.public_url, stored.request_id)
        link = create_request_uri_link(
            spec.REQUEST_SCHEME, terms.linked_request.client_id, uri, method=terms.request_uri_method
        )
    return AskedQuery(result, link, terms.request.dcql_query.source)


def _is_across(stored: StoredPresentation) -> bool:
    return stored.state.terms.flow is PresentationFlow.CROSS_DEVICE


def list_checks(
    ports: PresentationPorts, party: RelyingParty, *, before: str = "", wanted: Wanted = EVERY
) -> tuple[list[Result], str | None]:
    """Return a page of what the party asked, newest first, and the next cursor: of two sister requests the one used."""
    page, following = list_presentations(ports, party, before=before, wanted=wanted)
    shown: dict[str, Result] = {}
    for one in page:
        key = one.check_id or one.id
        if key not in shown or shown[key].state == "expired":
            shown[key] = one
    return list(shown.values()), following
