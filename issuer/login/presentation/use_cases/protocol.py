"""What wallets do: fetch a request, post an answer (OpenID4VP 1.0 sections 5.10 and 8.2)."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from cryptography.hazmat.primitives.asymmetric import ec

from issuer.agencies.ports import Agency
from issuer.login.presentation.ports import LoginRequest, LoginRequestStorage, PresentationLoginPorts
from issuer.login.presentation.use_cases.requests import PAGE_PATH, key_context
from issuer.login.presentation.use_cases.results import read_citizen
from wallet_core import spec_versions as spec
from wallet_core.errors import InvalidRequest, NotFound, VerificationError
from wallet_core.http import Flow
from wallet_core.protocols.openid4vp import presentation as states
from wallet_core.protocols.openid4vp.asking import (
    Move,
    code_digest,
    end_others,
    find_access_key,
    judge,
    new_secret,
    private_keys_from_bytes,
    read_response,
    settle,
    sign_request,
    way_back,
)
from wallet_core.protocols.openid4vp.mdoc import request_transcript
from wallet_core.protocols.openid4vp.presentation import Retrieved
from wallet_core.protocols.openid4vp.presented import Expectation
from wallet_core.protocols.openid4vp.request import AuthorizationRequest
from wallet_core.protocols.openid4vp.response import VpToken
from wallet_core.protocols.openid4vp.statuses import StatusLook, look_up_statuses
from wallet_core.protocols.openid4vp.validation import ValidatedResponse, validate_vp_token
from wallet_core.protocols.openid4vp.wallet_metadata import (
    NOTHING_POSTED,
    PostedToRequestUri,
    validate_wallet_can_answer,
)


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


def serve_request(
    ports: PresentationLoginPorts,
    agency: Agency,
    request_id: str,
    wallet_says: PostedToRequestUri = NOTHING_POSTED,
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
    current, request = ports.keys.signing_key(ports.key_name), retrieved.terms.linked_request
    key = find_access_key(request.client_id, current, lambda: ports.keys.signing_keys(ports.key_name))
    validate_wallet_can_answer(request, wallet_says.metadata, algorithm=key.signer.public_key.algorithm)
    if not isinstance(stored.state, Retrieved):
        storage = ports.storage()
        with storage.unit:
            _settle(storage, stored, lambda state: states.retrieve(state, now=now))
    return sign_request(retrieved.terms, key, wallet_says, now=now)


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
    response = read_response(terms.linked_request, media_type, body, open_key=lambda: _decryption_key(ports, stored))
    # M25: accepted error responses get a way back as well. Across devices the page there knows nothing (protocols 24).
    redirect_uri = way_back(terms.redirect_uri or f"{agency.credential_issuer}{PAGE_PATH}/elsewhere", code)

    def look(statuses: StatusLook) -> Verdict:
        judged = judge(
            response,
            lambda vp_token: _validate(ports, terms.linked_request, vp_token, statuses, now),
            response_code_digest=code_digest(code),
            now=now,
        )
        return Verdict(stored, judged.move, redirect_uri, judged.error)

    signers = {
        spec.STATUS_LIST_JWT_MEDIA_TYPE: ports.verify_chain,
        spec.STATUS_LIST_CWT_MEDIA_TYPE: ports.verify_mdoc_chain,
    }
    return (
        yield from look_up_statuses(
            look, is_refused=lambda verdict: verdict.error is not None, verify_signer=signers, now=now
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
        beside = storage.requests.of_login(verdict.request.login_id)
        end_others(verdict.request, beside, partial(_settle, storage), now=now)


def _validate(
    ports: PresentationLoginPorts,
    request: AuthorizationRequest,
    vp_token: VpToken,
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
    validated = validate_vp_token(vp_token, expected, now=now)
    # While the wallet still waits: a card that says nobody is refused like one that does not verify.
    read_citizen(request.dcql_query, {query_id: tuple(each) for query_id, each in validated.credentials.items()})
    return validated


def _decryption_key(ports: PresentationLoginPorts, stored: LoginRequest) -> ec.EllipticCurvePrivateKey:
    if stored.sealed_key is None:
        raise InvalidRequest("the answer cannot be decrypted any more", clause="OpenID4VP 8.3")
    return private_keys_from_bytes(ports.seal.open(stored.sealed_key, key_context(stored.id)))[0]


def _find(ports: PresentationLoginPorts, agency: Agency, request_id: str) -> LoginRequest:
    storage = ports.reading()
    with storage.unit:
        found = storage.requests.find(agency.id, request_id)
    if found is None:
        raise NotFound("there is no such request")
    return found


def _settle(storage: LoginRequestStorage, stored: LoginRequest, move: Move) -> None:
    requests = storage.requests
    settle(stored, move, advance=requests.advance, read_again=lambda: requests.find(stored.agency_id, stored.id))
