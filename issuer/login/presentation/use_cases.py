"""Login by showing a card: two requests beside each other, their answers, and the citizen they prove.

```text
start ──▶ two requests (M23) ──wallet answers──▶ verified           (another device: this browser polls)
                                      └─────────▶ answered ──return in this browser──▶ verified   (protocols 24)
verified ──take_citizen──▶ name and date of birth, once; every row of the login is deleted
```
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec

from issuer.agencies.ports import Agency
from issuer.login.citizens import create_citizen
from issuer.login.ports import LoginMethod
from issuer.login.presentation.ports import LoginRequest, LoginRequestStorage, PresentationLoginPorts
from issuer.records.ports import Citizen
from wallet_core import spec_versions as spec
from wallet_core.catalogue.credential_type import CredentialType
from wallet_core.catalogue.text import Text
from wallet_core.encoding.claims_path import resolve, value_at
from wallet_core.errors import InvalidRequest, NotFound, QueryNotSatisfied, StateConflict, VerificationError
from wallet_core.http import Flow
from wallet_core.protocols.openid4vp import presentation as states
from wallet_core.protocols.openid4vp.asking import (
    code_digest,
    create_response_encryption,
    find_access_key,
    match_number,
    new_secret,
    private_key_from_bytes,
    private_key_to_bytes,
    read_response,
    way_back,
)
from wallet_core.protocols.openid4vp.checks import CheckStep
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix, create_client_id
from wallet_core.protocols.openid4vp.dcql import DcqlQuery, parse_dcql_query, validate_own_query
from wallet_core.protocols.openid4vp.mdoc import request_transcript
from wallet_core.protocols.openid4vp.presentation import (
    Answered,
    Presentation,
    PresentationFlow,
    Refused,
    Requested,
    Retrieved,
    Terms,
    Verified,
)
from wallet_core.protocols.openid4vp.request import AuthorizationRequest, create_request_uri_link
from wallet_core.protocols.openid4vp.request_object import create_request_object
from wallet_core.protocols.openid4vp.response import ErrorResponse, PresentationResponse
from wallet_core.protocols.openid4vp.statuses import StatusLook, look_up_statuses
from wallet_core.protocols.openid4vp.validation import (
    Expectation,
    PresentedCredential,
    ValidatedResponse,
    validate_vp_token,
)
from wallet_core.protocols.openid4vp.verifier_info import registration_info
from wallet_core.protocols.openid4vp.wallet_metadata import (
    NOTHING_POSTED,
    PostedToRequestUri,
    encrypt_request_object,
    validate_wallet_can_answer,
)
from wallet_core.types import Json, JsonObject, Nonce, QueryId

METHOD: Final = LoginMethod(
    "presentation",
    Text("지갑의 신분증으로 로그인", "Show a card of your wallet"),
    Text(
        "운전면허증이나 주민등록증을 지갑에서 보여 줘요.",
        "Show your driving licence or resident card from your wallet.",
    ),
)
"""This method as the page that lets the person choose shows it."""

KEPT: Final = timedelta(minutes=5)
"""How long an answer waits for its browser, and a refusal for being read; then the row goes."""

PAGE_PATH: Final = "/login/presentation"
"""Below an agency's address: the page of this login."""

BATCH: Final = 200
"""Requests that one job deletes."""

NAME_CLAIM: Final = "name"
BIRTH_DATE_CLAIM: Final = "birth_date"
"""Ids of the two claims of the policy."""

Move: TypeAlias = Callable[[Presentation], Presentation]
"""A transition with everything but the state bound."""

_PROGRESS: Final = ("expired", "requested", "retrieved", "answered", "refused", "verified")
_TRIES = 3
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an answer means.

    Attributes:
        request: as it was read.
        move: to the state after the answer.
        redirect_uri: where the wallet sends the browser (8.2).
        error: what the wallet is told instead, once the verdict is stored; None if the answer was accepted.
    """

    request: LoginRequest
    move: Move
    redirect_uri: str
    error: VerificationError | None = None


def start(
    ports: PresentationLoginPorts, agency: Agency, login_id: str, *, types: Collection[str], until: datetime
) -> None:
    """Make the two requests of a login's page; those of an earlier try are forgotten (M23).

    Args:
        ports: what is needed.
        agency: at whose authorization endpoint.
        login_id: of the login session.
        types: ids of the credential types that are good enough for what the wallet asked for.
        until: when the login session ends.

    Raises:
        NotFound: none is.
        KeyUnavailable: the issuer has no access key.
    """
    names = {name for each in types if each in ports.types for name in _names(ports.types[each])}
    query = parse_dcql_query(narrow_query(ports.policy.dcql_query, names))
    validate_own_query(query)
    storage = ports.storage()
    with storage.unit:
        storage.requests.delete_of_login(login_id)
        for flow in (PresentationFlow.CROSS_DEVICE, PresentationFlow.SAME_DEVICE):
            storage.requests.add(_new_request(ports, agency, login_id, query, flow, until))


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
        "" if _is_here(furthest) else match_number(across.state.terms.request),
        furthest.terms.created_at,
        furthest.terms.expires_at,
        _problem(furthest) if isinstance(furthest, Refused) else "",
    )


def serve_request(
    ports: PresentationLoginPorts,
    agency: Agency,
    request_id: str,
    posted: PostedToRequestUri = NOTHING_POSTED,
) -> str:
    """Return the Request Object, signed anew at each call with the same ``nonce``, ``state`` and keys (M24).

    Raises:
        NotFound: there is no such request.
        StateConflict: it was answered or has ended.
        Expired: its time is over.
        InvalidRequest, VpFormatsNotSupported: the wallet says that it could not answer.
    """
    now, stored = ports.clock.now(), _find(ports, agency, request_id)
    retrieved = states.retrieve(stored.state, now=now)
    current, request = ports.keys.signing_key(ports.key_name), retrieved.terms.request
    key = find_access_key(request.client_id, current, lambda: ports.keys.signing_keys(ports.key_name))
    validate_wallet_can_answer(request, posted.metadata, algorithm=key.signer.public_key.algorithm)
    if not isinstance(stored.state, Retrieved):
        storage = ports.storage()
        with storage.unit:
            _settle(storage, stored, lambda state: states.retrieve(state, now=now))
    token = create_request_object(
        request,
        signer=key.signer,
        chain=key.chain,
        issued_at=now,
        expires_at=retrieved.terms.expires_at,
        wallet_nonce=posted.wallet_nonce,
    )
    return encrypt_request_object(token, posted.metadata)


def judge_response(
    ports: PresentationLoginPorts, agency: Agency, request_id: str, media_type: str, body: bytes
) -> Flow[Verdict]:
    """Return what a wallet's answer means, fetching the status lists it needs. :func:`record_verdict` stores it.

    An answer that cannot even be read, or that is not for this request, changes nothing: anybody could send one.

    Raises:
        NotFound: there is no such request.
        StateConflict: it was answered before (M25), or has ended.
        Expired: its time is over.
        MalformedError, InvalidRequest: the answer cannot be read.
        VerificationError: it cannot be decrypted.
    """
    now, code = ports.clock.now(), new_secret(ports.random)
    stored = _find(ports, agency, request_id)
    terms = states.require_open(stored.state, now=now).terms
    response = read_response(terms.request, media_type, body, open_key=lambda: _decryption_key(ports, stored))
    # M25: accepted error responses get a way back as well. Across devices the page there knows nothing (protocols 24).
    redirect_uri = way_back(terms.redirect_uri or f"{agency.credential_issuer}{PAGE_PATH}/elsewhere", code)
    if isinstance(response, ErrorResponse):
        error = response.error
        return Verdict(stored, lambda state: states.decline(state, error, now=now), redirect_uri)

    def judge(look: StatusLook) -> Verdict:
        try:
            validated = _validate(ports, terms.request, response, look, now)
        except VerificationError as exc:
            refused = exc
            return Verdict(stored, lambda state: states.refuse(state, refused, now=now), redirect_uri, refused)
        digest = code_digest(code)
        return Verdict(
            stored, lambda state: states.answer(state, validated, response_code_digest=digest, now=now), redirect_uri
        )

    signers = {
        spec.STATUS_LIST_JWT_MEDIA_TYPE: ports.verify_chain,
        spec.STATUS_LIST_CWT_MEDIA_TYPE: ports.verify_mdoc_chain,
    }
    return (
        yield from look_up_statuses(
            judge, is_refused=lambda verdict: verdict.error is not None, verify_signer=signers, now=now
        )
    )


def record_verdict(ports: PresentationLoginPorts, verdict: Verdict) -> None:
    """Store a verdict, and end the request that stands beside this one (M23).

    Raises:
        StateConflict: another answer came first.
        Expired: the time ran out meanwhile.
    """
    now, storage = ports.clock.now(), ports.storage()
    with storage.unit:
        _settle(storage, verdict.request, verdict.move)
        for other in storage.requests.of_login(verdict.request.login_id):
            # vp-13.3-one-of-two
            if other.id != verdict.request.id and isinstance(other.state, Requested | Retrieved):
                _settle(storage, other, lambda state: states.end(state, now=now))


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


def delete_old(storage: LoginRequestStorage, *, now: datetime) -> int:
    """Delete requests whose time is over, at most :data:`BATCH`, in the caller's unit of work; return how many."""
    return storage.requests.delete_old(now=now, limit=BATCH)


def narrow_query(query: JsonObject, names: Collection[str]) -> JsonObject:
    """Return the policy's query for these types only, by ``vct`` and doctype; the whole one is returned as it is.

    Raises:
        NotFound: it asks for none of them.
    """
    entries = query["credentials"]
    fitting = {str(each["id"]): each for each in _objects(entries) if not _named(each).isdisjoint(names)}
    if len(fitting) == len(_objects(entries)):
        return query
    options: list[Json] = [[name] for name in fitting]
    if not options:
        raise NotFound("no card is good enough for what the wallet asked for")
    return {**query, "credentials": [*fitting.values()], "credential_sets": [{"options": options}]}


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


def _names(of: CredentialType) -> tuple[str, ...]:
    return (of.vct, *(entry.doctype for entry in of.formats if entry.doctype))


def _named(entry: JsonObject) -> set[str]:
    meta = entry["meta"]
    if not isinstance(meta, dict):
        return set()
    types = meta.get("vct_values")
    return {str(each) for each in types} if isinstance(types, list) else {str(meta.get("doctype_value"))}


def _objects(entries: Json) -> list[JsonObject]:
    return [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []


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


def _new_request(
    ports: PresentationLoginPorts,
    agency: Agency,
    login_id: str,
    query: DcqlQuery,
    flow: PresentationFlow,
    until: datetime,
) -> LoginRequest:
    now, request_id = ports.clock.now(), new_secret(ports.random)
    answer_to = f"{agency.credential_issuer}/openid4vp/responses/{request_id}"
    leaf = ports.keys.signing_key(ports.key_name).chain[0]
    private_key = ec.generate_private_key(ec.SECP256R1())
    request = AuthorizationRequest(
        client_id=create_client_id(ClientIdPrefix.X509_HASH, leaf=leaf, response_uri=answer_to),
        response_uri=answer_to,
        # vp-5.2-fresh-nonce
        nonce=Nonce(new_secret(ports.random)),
        dcql_query=query,
        state=request_id,
        encryption=create_response_encryption(private_key, request_id),
        verifier_info=registration_info(ports.keys.statement(ports.key_name, f"registration.{ports.policy.id}")),
    )
    expires_at = min(now + ports.lifetime, until)
    here = flow is PresentationFlow.SAME_DEVICE
    terms = Terms(
        request,
        flow,
        "get",
        # 13.3, protocols 24: without a way back the answer could never be redeemed.
        f"{agency.credential_issuer}{PAGE_PATH}/return" if here else None,
        created_at=now,
        expires_at=expires_at,
        keep_for=KEPT,
    )
    sealed = ports.seal.seal(private_key_to_bytes(private_key), _key_context(request_id))
    return LoginRequest(
        request_id, login_id, agency.id, 1, Requested(terms), sealed, expires_at + states.REDEEM_WITHIN + KEPT
    )


def _validate(
    ports: PresentationLoginPorts,
    request: AuthorizationRequest,
    response: PresentationResponse,
    look: StatusLook,
    now: datetime,
) -> ValidatedResponse:
    expected = Expectation(
        request.dcql_query,
        request.client_id.full,
        request.nonce,
        ports.verify_chain,
        verify_mdoc_chain=ports.verify_mdoc_chain,
        session_transcript=request_transcript(request),
        may_issue=ports.may_issue,
        verify_status=look.under(ports.policy.status),
    )
    validated = validate_vp_token(response.vp_token, expected, now=now)
    # While the wallet still waits: a card that says nobody is refused like one that does not verify.
    read_citizen(request.dcql_query, {query_id: tuple(each) for query_id, each in validated.credentials.items()})
    return validated


def _decryption_key(ports: PresentationLoginPorts, stored: LoginRequest) -> ec.EllipticCurvePrivateKey:
    if stored.sealed_key is None:
        raise InvalidRequest("the answer cannot be decrypted any more", clause="OpenID4VP 8.3")
    return private_key_from_bytes(ports.seal.open(stored.sealed_key, _key_context(stored.id)))


def _link(agency: Agency, stored: LoginRequest, endpoint: str) -> str:
    terms = stored.state.terms
    uri = f"{agency.credential_issuer}/openid4vp/requests/{stored.id}"
    return create_request_uri_link(endpoint, terms.request.client_id, uri, method=terms.request_uri_method)


def _is_here(state: Presentation) -> bool:
    return isinstance(state, Retrieved | Answered) and state.terms.flow is PresentationFlow.SAME_DEVICE


def _problem(state: Refused) -> str:
    if not state.checks:
        return "declined" if state.error == "access_denied" else "other"
    if all(check.ok for check in state.checks):
        return "browser"
    failing = next(check.step for check in state.checks if check.ok is False)
    return _PROBLEMS.get(failing, "other")


def _find(ports: PresentationLoginPorts, agency: Agency, request_id: str) -> LoginRequest:
    storage = ports.reading()
    with storage.unit:
        found = storage.requests.find(agency.id, request_id)
    if found is None:
        raise NotFound("there is no such request")
    return found


def _settle(storage: LoginRequestStorage, stored: LoginRequest, move: Move) -> None:
    """Store the moved state; one that was fetched meanwhile is moved from where it stands now."""
    for _ in range(_TRIES - 1):
        moved = move(stored.state)
        try:
            storage.requests.advance(stored, moved)
        except StateConflict:
            again = storage.requests.find(stored.agency_id, stored.id)
            if again is None:
                raise
            stored = again
        else:
            return
    storage.requests.advance(stored, move(stored.state))


def _key_context(request_id: str) -> str:
    return f"issuer_login_request.sealed_key:{request_id}"
