"""What wallets do: fetch a request, post an answer (OpenID4VP 1.0 sections 5.10 and 8.2)."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from verifier.presentations.ports import PresentationPorts, Storage, StoredPresentation
from verifier.presentations.use_cases.access_keys import attestation_of, signing_key
from verifier.presentations.use_cases.records import note
from verifier.presentations.use_cases.requests import key_context
from wallet_core import spec_versions as spec
from wallet_core.encoding import strict_json
from wallet_core.errors import (
    InvalidRequest,
    NotFound,
    QueryNotSatisfied,
    VerificationError,
)
from wallet_core.protocols.openid4vp import presentation as states
from wallet_core.protocols.openid4vp.asking import (
    Judgement,
    Move,
    code_digest,
    end_others,
    judge,
    new_secret,
    private_keys_from_bytes,
    read_response,
    settle,
    sign_request,
    way_back,
)
from wallet_core.protocols.openid4vp.checks import CheckStep
from wallet_core.protocols.openid4vp.dcql import DcqlQuery
from wallet_core.protocols.openid4vp.mdoc import request_transcript
from wallet_core.protocols.openid4vp.presentation import Retrieved
from wallet_core.protocols.openid4vp.presented import Expectation, PresentedCredential
from wallet_core.protocols.openid4vp.record import RecordNotes
from wallet_core.protocols.openid4vp.response import Response, VpToken
from wallet_core.protocols.openid4vp.statuses import DEFAULT_RULE, StatusLook
from wallet_core.protocols.openid4vp.validation import ValidatedResponse, validate_vp_token
from wallet_core.protocols.openid4vp.wallet_metadata import (
    NOTHING_POSTED,
    PostedToRequestUri,
    validate_wallet_can_answer,
)
from wallet_core.trust.status_list.judging import refuse_status
from wallet_core.types import ClientId, JsonObject, SessionTranscript
from wallet_core.values import statically_frozen

ELSEWHERE_PATH: Final = "/continue"
"""Path of our page that says: go on at the other screen (protocols 24)."""


@statically_frozen
class ReadAnswer:
    """A wallet's answer in clear: to which request, what it says, and its body as it came."""

    presentation: StoredPresentation
    response: Response
    body: bytes


@statically_frozen
class JudgedAnswer:
    """What an answer means.

    Attributes:
        answer: as it was read.
        judgement: of it.
        code: the ``response_code`` that goes with it.
        at: when it was judged.
        trust: which roots and which list counted then, as a record shows it.
    """

    answer: ReadAnswer
    judgement: Judgement
    code: str
    at: datetime
    trust: JsonObject


@statically_frozen
class Verdict:
    """What an answer means.

    Attributes:
        presentation: as it was read.
        move: to the state after the answer.
        redirect_uri: where the wallet sends the browser (8.2).
        notes: what its verification record will need.
        error: what the wallet is told instead, once the verdict is stored; None if the answer was accepted.
    """

    presentation: StoredPresentation
    move: Move
    redirect_uri: str
    notes: RecordNotes
    error: VerificationError | None = None


def serve_request(ports: PresentationPorts, request_id: str, wallet_says: PostedToRequestUri = NOTHING_POSTED) -> str:
    """Return the Request Object, signed anew at each call with the same ``nonce``, ``state`` and keys (M24).

    Args:
        ports: what is needed.
        request_id: from the address.
        wallet_says: what the wallet said when it fetched, if anything.

    Raises:
        NotFound: there is no such request, or it travels in its link only.
        StateConflict: it was answered or has ended.
        Expired: its time is over.
        InvalidRequest, VpFormatsNotSupported: the wallet says that it could not answer; another one still may.
    """
    now = ports.clock.now()
    stored = _find(ports, request_id)
    # vp-5.9.3-not-by-reference
    if not stored.state.terms.linked_request.client_id.signs:
        raise NotFound("there is no such request")
    retrieved = states.retrieve(stored.state, now=now)
    client_id = retrieved.terms.linked_request.client_id
    key = signing_key(ports, stored.party_id, client_id)
    validate_wallet_can_answer(
        retrieved.terms.linked_request, wallet_says.metadata, algorithm=key.signer.public_key.algorithm
    )
    if not isinstance(stored.state, Retrieved):
        storage = ports.storage()
        with storage.unit:
            _settle(storage, stored, lambda state: states.retrieve(state, now=now))
    attestation = attestation_of(ports, stored.party_id, client_id)
    return sign_request(retrieved.terms, key, wallet_says, now=now, attestation=attestation)


def read_answer(
    ports: PresentationPorts, stored: StoredPresentation | None, media_type: str, body: bytes
) -> ReadAnswer:
    """Return a wallet's answer, if it can be read and its request is open.

    One that cannot even be read, or that is not for this request, changes nothing: anybody could send one.

    Args:
        ports: what is needed.
        stored: the request of the address, if there is one.
        media_type: of the body.
        body: what the wallet posted.

    Raises:
        NotFound: there is no such request.
        StateConflict: it was answered before (M25), or has ended.
        Expired: its time is over.
        MalformedError, InvalidRequest: the answer cannot be read.
        VerificationError: it cannot be decrypted.
    """
    stored = _required(stored)
    states.require_open(stored.state, now=ports.clock.now())
    request = stored.state.terms.linked_request
    response = read_response(request, media_type, body, open_key=lambda: private_keys(ports, stored)[0])
    return ReadAnswer(stored, response, body)


def judge_answer(ports: PresentationPorts, answer: ReadAnswer, statuses: StatusLook | None = None) -> JudgedAnswer:
    """Return what an answer means for its request.

    Args:
        ports: what is needed.
        answer: as it was read.
        statuses: looks up the status of credentials; without it those that have one are refused. If it lacked a list,
            the judgement counts only if it is a refusal.

    Raises:
        Expired: the time ran out meanwhile.
    """
    # vp-8.2-fresh-code
    now, code = ports.clock.now(), new_secret(ports.random)
    states.require_open(answer.presentation.state, now=now)
    request = answer.presentation.state.terms.linked_request
    judgement = judge(
        answer.response,
        lambda vp_token: validate_answer(
            ports,
            answer.presentation,
            vp_token,
            audience=request.client_id.full,
            transcript=lambda: request_transcript(request),
            statuses=statuses,
            now=now,
        ),
        response_code_digest=code_digest(code),
        now=now,
    )
    # Now, not when it is noted: another answer's look may bring a new trust list in between.
    return JudgedAnswer(answer, judgement, code, now, ports.trust_version(now))


def conclude(ports: PresentationPorts, judged: JudgedAnswer) -> Verdict:
    """Return the verdict on an answer. Nothing is stored yet: :func:`record_verdict` does that."""
    answer = judged.answer
    redirect_uri = _redirect(ports, answer.presentation, judged.code)
    return give_verdict(
        ports, answer.presentation, judged.judgement, answer.body, redirect_uri, now=judged.at, trust=judged.trust
    )


def record_verdict(storage: Storage, verdict: Verdict, *, now: datetime) -> None:
    """Store a verdict with what its record will need, and end the requests that stand beside this one (M23).

    All in the caller's transaction.

    Raises:
        StateConflict: another answer came first, or the request has ended meanwhile.
    """
    _settle(storage, verdict.presentation, verdict.move, verdict.notes)
    check_id = verdict.presentation.check_id
    if check_id is not None:
        beside = storage.presentations.of_check(check_id)
        end_others(verdict.presentation, beside, partial(_settle, storage), now=now)


def give_verdict(
    ports: PresentationPorts,
    stored: StoredPresentation,
    judged: Judgement,
    answer_body: bytes,
    redirect_uri: str = "",
    *,
    now: datetime,
    trust: JsonObject,
    dc_api: JsonObject | None = None,
) -> Verdict:
    """Return a judgement and what goes with it.

    ``answer_body`` is the answer as it came; ``now``, ``trust`` and ``dc_api`` are those of ``records.note``.
    """
    notes = note(ports, stored, answer_body, judged.vp_token, judged.validated, now=now, trust=trust, dc_api=dc_api)
    return Verdict(stored, judged.move, redirect_uri, notes, judged.error)


def validate_answer(
    ports: PresentationPorts,
    stored: StoredPresentation,
    vp_token: VpToken,
    *,
    audience: ClientId,
    transcript: Callable[[], SessionTranscript],
    statuses: StatusLook | None,
    now: datetime,
) -> ValidatedResponse:
    """Return what an answer proves, if it passes every check, those of the policy too.

    Args:
        ports: what is needed.
        stored: the request.
        vp_token: of the answer.
        audience: for whom the holder's proofs must be.
        transcript: returns what binds an mdoc to the request; asked only where the request asks for an mdoc.
        statuses: as in :func:`judge_answer`.
        now: the time.

    Raises:
        VerificationError: a check failed; ``step`` is its number.
    """
    request = stored.state.terms.request
    policy = ports.policies.get(stored.policy_id or "")
    rule = DEFAULT_RULE if policy is None else policy.status
    expected = Expectation(
        request.dcql_query,
        audience,
        request.nonce,
        ports.verify_chain,
        verify_mdoc_chain=ports.verify_mdoc_chain,
        session_transcript=transcript() if _asks_for_mdoc(request.dcql_query) else None,
        may_issue=ports.may_issue,
        verify_status=refuse_status if statuses is None else statuses.under(rule),
        supertypes=ports.supertypes,
        trust_lists=ports.trust_lists,
        transaction_data=request.transaction_data,
    )
    validated = validate_vp_token(vp_token, expected, now=now)
    if policy is not None:
        _validate_same_person(policy.must_match, validated)
    return validated


def _asks_for_mdoc(query: DcqlQuery) -> bool:
    return spec.FORMAT_MDOC in [entry.format for entry in query.credentials]


def _validate_same_person(groups: Sequence[Sequence[str]], validated: ValidatedResponse) -> None:
    """Check that the credentials share a value of each group: one may name several people, a parent's all children."""
    presented = [one for several in validated.credentials.values() for one in several]
    for group in groups:
        named = [found for one in presented if (found := _values(one, group))]
        if named and not frozenset.intersection(*named):
            raise QueryNotSatisfied(
                "the credentials belong to different people", step=CheckStep.QUERY_ANSWERED, detail="must_match"
            )


def _values(credential: PresentedCredential, claim_ids: Sequence[str]) -> frozenset[bytes]:
    """Return what a credential shows of these claims, each value as its JSON: ``1`` is neither ``"1"`` nor ``true``."""
    return frozenset(
        strict_json.dumps_sorted(value) for claim_id in claim_ids for value in credential.answers.get(claim_id, ())
    )


def private_keys(ports: PresentationPorts, stored: StoredPresentation) -> list[ec.EllipticCurvePrivateKey]:
    """Return the keys of a request: of ``dc_api.jwt`` first, of the ISO protocol last, where there are such."""
    if stored.sealed_key is None:
        raise InvalidRequest("no encrypted answer was asked for", clause="OpenID4VP 8.3")
    return private_keys_from_bytes(ports.seal.open(stored.sealed_key, key_context(stored.id)))


def _find(ports: PresentationPorts, request_id: str) -> StoredPresentation:
    storage = ports.looking()
    with storage.unit:
        return _required(storage.presentations.by_request_id(request_id))


def _required(found: StoredPresentation | None) -> StoredPresentation:
    if found is None:
        raise NotFound("there is no such request")
    return found


def _settle(storage: Storage, stored: StoredPresentation, move: Move, notes: RecordNotes | None = None) -> None:
    presentations = storage.presentations
    settle(
        stored,
        move,
        advance=lambda one, state: presentations.advance(one, state, notes),
        read_again=lambda: presentations.by_request_id(stored.request_id),
    )


def _redirect(ports: PresentationPorts, stored: StoredPresentation, code: str) -> str:
    # M25: accepted error responses get a way back as well, so that the person returns.
    # Protocols 24: across devices the wallet's browser is sent to a page that knows nothing, and the code, which
    # 8.2 asks for all the same, opens nothing.
    target = stored.state.terms.redirect_uri or f"{ports.public_url}{ELSEWHERE_PATH}"
    return way_back(target, code)
