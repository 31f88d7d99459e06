"""Answer requests: take a link, fetch the request, see what is asked, consent or decline."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from holder_app.accounts.ports import AccountId
from holder_app.credentials.ports import RecordKind
from holder_app.credentials.use_cases import new_record
from holder_app.links import LinkKind, host_of, origin_of, parse_link, query_of
from holder_app.presentation.describe import (
    RequestView,
    UnlikeView,
    describe_receipt,
    describe_request,
    describe_unlike,
    without_values,
)
from holder_app.presentation.held import HeldCards
from holder_app.presentation.ports import ErrorPosting, PresentationPorts
from holder_app.presentation.sending import advance, claim_again, held_for, resolved_of, send, sign
from holder_app.presentation.states import Answered, Answering, Blocked, Declined, Given, Presentation, Reviewed
from wallet_core.encoding import base64url
from wallet_core.errors import (
    Expired,
    FalseRegistration,
    FetchError,
    InvalidTransactionData,
    MalformedError,
    NotFound,
    PeerRefusal,
    ProfileNotKept,
    StateConflict,
    UntrustedError,
    WalletError,
)
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.matching import Matches
from wallet_core.protocols.openid4vp.reporting import report_of, send_report
from wallet_core.spec_versions import PREFIX_REDIRECT_URI, SELF_ISSUED_AUDIENCE
from wallet_core.types import JsonObject

ID_BYTES = 16
NONCE_BYTES = 16
"""OpenID4VP 5.10: the wallet's nonce has enough entropy to prevent guessing; 128 bits."""
UNDECIDED = timedelta(minutes=30)
"""How long a request waits for the person; verifiers' requests live for some minutes."""


def take_request_link(
    ports: PresentationPorts, account_id: AccountId, text: str, *, same_device: bool = False
) -> Presentation:
    """Store a request link. Nothing is fetched (protocols.md 25).

    Raises:
        MalformedError: the text is no request.
    """
    link = parse_link(text)
    if link.kind is not LinkKind.REQUEST:
        raise MalformedError("the text is not a request")
    now = ports.clock.now()
    presentation = Presentation(
        ports.random(ID_BYTES).hex(),
        account_id,
        1,
        Given(link.text, request_host(link.text)),
        same_device,
        now + UNDECIDED,
    )
    with ports.unit:
        ports.presentations.forget_expired(now)
        ports.presentations.add(presentation)
    return presentation


def request_host(text: str) -> str:
    """Return the host that a request link leads to: where its Request Object lies, or where the answer would go.

    Empty where the link does not tell: of a Request Object that came along nothing is verified yet, and what stands
    beside it does not count (RFC 9101 6.3).
    """
    parameters = dict(query_of(text))
    if "request_uri" in parameters:
        return host_of(parameters["request_uri"])
    if "request" in parameters:
        return ""
    prefix, _, rest = parameters.get("client_id", "").partition(":")
    return host_of(parameters.get("response_uri", rest)) if prefix == PREFIX_REDIRECT_URI else ""


def show_presentation(ports: PresentationPorts, account_id: AccountId, presentation_id: str) -> Presentation:
    """Return a presentation of the account.

    Raises:
        NotFound: the account has no such presentation, or its time is over.
    """
    with ports.unit:
        presentation = ports.presentations.get(account_id, presentation_id)
    if presentation is None or presentation.expires_at <= ports.clock.now():
        raise NotFound("no such request in this wallet, or it waited too long")
    return presentation


async def fetch_request(ports: PresentationPorts, account_id: AccountId, presentation_id: str) -> Presentation:
    """Fetch and verify the request, now that the person asked for it. Nothing is posted if it is bad (M27).

    Raises:
        NotFound: as :func:`show_presentation`.
        FetchError: the server was not reached; it can be tried again.
    """
    presentation = show_presentation(ports, account_id, presentation_id)
    state = presentation.state
    if not isinstance(state, Given):
        return presentation
    flow = wallet.resolve_request(
        state.link,
        anchors=ports.anchors,
        now=ports.clock.now(),
        wallet_nonce=base64url.encode(ports.random(NONCE_BYTES)),
        audiences=(SELF_ISSUED_AUDIENCE, ports.issuer),
        transaction_types=ports.catalogue.transaction_types,
        haip=ports.haip,
    )
    try:
        resolved = await ports.fetch.arun(flow)
    except FetchError:
        raise
    except WalletError as exc:
        report = report_of(exc) if ports.post_errors is ErrorPosting.ALL else None
        return _block(ports, presentation, Blocked(_reason(exc), exc.detail, state.host, report))
    return advance(ports, presentation, Reviewed(resolved))


def review_request(ports: PresentationPorts, presentation: Presentation) -> RequestView:
    """Return what the person decides about.

    Raises:
        StateConflict: the request was not fetched yet, or is decided.
    """
    resolved = resolved_of(presentation)
    held = held_for(ports, presentation.account_id, resolved)
    now, matches = ports.clock.now(), held.matches()
    view = describe_request(resolved, matches, held.cards, ports.catalogue, now, held.withdrawn)
    return view if view.satisfiable else replace(view, unlike=_unlike(ports, held, matches))


def _unlike(ports: PresentationPorts, held: HeldCards, matches: Matches) -> tuple[UnlikeView, ...]:
    """Return the cards that are there but say something else. Only the person is told, never whoever asks (M27)."""
    open_query = without_values(held.request.dcql_query)
    any_value = replace(held, request=replace(held.request, dcql_query=open_query)).matches()
    return describe_unlike(matches, any_value, held.cards, ports.catalogue)


async def answer_request(
    ports: PresentationPorts, account_id: AccountId, presentation_id: str, answers: Mapping[str, str]
) -> Presentation:
    """Send what the person agreed to; after an interruption, send the same again.

    Args:
        ports: what is needed.
        account_id: whose.
        presentation_id: which.
        answers: the choices, as ``choices.choice_of`` reads them, with ``RequestView.shown`` of what was shown.

    Raises:
        NotFound: as :func:`show_presentation`.
        StateConflict: another window decided meanwhile.
        MalformedError: a choice that was not offered.
        AnswerTooLarge: more than can be sent at once; the request still waits.
        QueryNotSatisfied: nothing in the wallet answers, or the choice leaves out what is required.
        CopiesUsedUp, ShownChanged: as :func:`~.sending.sign`.
        FetchError: the verifier was not reached; it can be tried again.
    """
    presentation = show_presentation(ports, account_id, presentation_id)
    if isinstance(presentation.state, Answered):
        return presentation
    if isinstance(presentation.state, Answering):
        return await send(ports, claim_again(ports, presentation))
    return await send(ports, sign(ports, presentation, answers))


async def decline_request(ports: PresentationPorts, account_id: AccountId, presentation_id: str) -> Presentation:
    """Say no, or end a request that nothing answers. The verifier cannot tell the two apart (OpenID4VP 15.4.1, M27).

    Raises:
        NotFound: as :func:`show_presentation`.
        StateConflict: it is decided already.
    """
    presentation = show_presentation(ports, account_id, presentation_id)
    state = presentation.state
    if isinstance(state, Declined | Blocked):
        return presentation
    if not isinstance(state, Given | Reviewed):
        raise StateConflict("this request is decided already")
    body: JsonObject = (
        {"peer": {"name": None, "host": state.host}}
        if isinstance(state, Given)
        else describe_receipt(state.resolved, ports.catalogue, (), ports.clock.now())
    )
    now = ports.clock.now()
    record = new_record(ports.random, account_id, RecordKind.REQUEST_DECLINED, now, body)
    with ports.unit:
        declined = ports.presentations.advance(presentation, Declined(record.id, None))
        ports.history.add(record)
    # vp-15.1-acted-first
    if isinstance(state, Given) or ports.post_errors is ErrorPosting.NEVER:  # nobody was asked anything yet
        return declined
    try:
        sent = await ports.fetch.arun(wallet.decline(state.resolved))
    except WalletError:  # the person said no; that the verifier did not hear it changes nothing
        return declined
    origin = origin_of(state.resolved.request.response_uri)
    return advance(ports, declined, Declined(record.id, sent.redirect_uri, origin))


async def report_error(ports: PresentationPorts, account_id: AccountId, presentation_id: str) -> Presentation:
    """Tell the verifier which rule its request broke, now that the person agreed to that (OpenID4VP 8.2, 8.5). Once.

    Raises:
        NotFound: as :func:`show_presentation`.
        StateConflict: there is nothing to tell, or it was told before.
    """
    presentation = show_presentation(ports, account_id, presentation_id)
    state = presentation.state
    if not isinstance(state, Blocked) or state.report is None:
        raise StateConflict("there is nothing to tell the verifier")
    told = advance(ports, presentation, replace(state, report=None))
    try:
        sent = await ports.fetch.arun(send_report(state.report))
    except WalletError:  # nothing hangs on it
        return told
    return advance(ports, told, replace(state, report=None, redirect_uri=sent.redirect_uri))


def _block(ports: PresentationPorts, presentation: Presentation, state: Blocked) -> Presentation:
    body: JsonObject = {"peer": {"name": None, "host": state.host}, "reason": state.reason}
    with ports.unit:
        blocked = ports.presentations.advance(presentation, state)
        kind = RecordKind.FAILED if state.reason == "expired" else RecordKind.BLOCKED
        record = new_record(ports.random, presentation.account_id, kind, ports.clock.now(), body)
        ports.history.add(record)
    return blocked


def _reason(error: WalletError) -> str:
    if isinstance(error, UntrustedError):
        return "untrusted"
    if isinstance(error, FalseRegistration):
        return "registration"
    if isinstance(error, InvalidTransactionData):
        return "transaction"
    if isinstance(error, ProfileNotKept):
        return "profile"
    # OpenID4VP 5.10: where a request is gone, it was answered or is too old (protocols.md M24).
    gone = isinstance(error, PeerRefusal) and error.status in {404, 409, 410}
    return "expired" if gone or isinstance(error, Expired) else "bad_request"
