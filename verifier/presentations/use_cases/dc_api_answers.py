"""What a browser's Digital Credentials API returned to a page; ``protocol`` is about answers that wallets post."""

from dataclasses import dataclass

from verifier.presentations.ports import PresentationPorts, StoredPresentation
from verifier.presentations.use_cases.dc_api_requests import asks_one_mdoc
from verifier.presentations.use_cases.protocol import Verdict, give_verdict, private_keys, validate_answer
from verifier.relying_parties.ports import RelyingParty
from verifier.status.ports import RunFlow
from verifier.status.use_cases import StatusLists, look_until_known
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import AccessDenied, NotFound, VerificationError
from wallet_core.formats.mdoc.document import parse_device_response
from wallet_core.protocols.iso18013.dc_api import open_response_data
from wallet_core.protocols.openid4vp import presentation as states
from wallet_core.protocols.openid4vp.asking import judge, open_response, refused
from wallet_core.protocols.openid4vp.checks import CheckStep, check_failed
from wallet_core.protocols.openid4vp.dc_api import (
    DcApiOffer,
    DcApiProtocol,
    DcApiRequest,
    origin_audience,
    parse_dc_api_response,
)
from wallet_core.protocols.openid4vp.record import dc_api_members
from wallet_core.protocols.openid4vp.response import ErrorResponse, PresentationResponse, Response
from wallet_core.protocols.openid4vp.statuses import StatusLook
from wallet_core.types import Json, SessionTranscript


@dataclass(frozen=True, slots=True)
class DcApiAnswer:
    """What a page received from the API.

    Attributes:
        protocol: of the ``DigitalCredential``.
        data: of the ``DigitalCredential``.
        origin: of the page that made the call.
    """

    protocol: str
    data: Json
    origin: str


@dataclass(frozen=True, slots=True)
class _Opened:
    """An answer in clear, and what its holder must have signed over."""

    response: Response
    transcript: SessionTranscript


async def judge_with_statuses(
    ports: PresentationPorts,
    party: RelyingParty,
    presentation_id: str,
    answer: DcApiAnswer,
    lists: StatusLists,
    run: RunFlow,
) -> Verdict:
    """Return what :func:`judge_dc_api_answer` says with the status lists that it needs, of which ``run`` fetches more.

    Raises:
        NotFound, StateConflict, Expired, MalformedError, InvalidRequest, VerificationError: as there.
    """
    return await look_until_known(
        lists,
        run,
        lambda look: judge_dc_api_answer(ports, party, presentation_id, answer, look),
        is_refused=lambda verdict: verdict.error is not None,
    )


def judge_dc_api_answer(
    ports: PresentationPorts,
    party: RelyingParty,
    presentation_id: str,
    answer: DcApiAnswer,
    statuses: StatusLook | None = None,
) -> Verdict:
    """Return what an answer means for its request. Nothing is stored yet: ``protocol.record_verdict`` does that.

    What cannot be read, and what was not expected (step 1), is a mistake of the caller: it raises and changes nothing.
    An answer that does not open with the key of this request (step 2) ends it, as one that fails a later check does:
    the verdict refuses (decision 0091).

    Args:
        ports: what is needed.
        party: who brings it.
        presentation_id: of the request.
        answer: what the page received.
        statuses: as in ``protocol.judge_answer``.

    Steps before those of ``validation.validate_vp_token``:
        1. The origin is one of those that the request expects, and the protocol one that it offers (A.2).
        2. The answer is encrypted to the key of this request, if that asks for encryption (8.3, 18013-7 C.4).

    Raises:
        NotFound: the party has no such request over the API.
        StateConflict: it was answered before, or has ended.
        Expired: its time is over.
        VerificationError: step 1.
        MalformedError, InvalidRequest: the answer cannot be read.
    """
    now = ports.clock.now()
    storage = ports.looking()
    with storage.unit:
        stored = storage.presentations.by_id(party.id, presentation_id)
    offer = None if stored is None else stored.state.terms.dc_api
    request = None if stored is None else stored.state.terms.request
    if stored is None or offer is None or not isinstance(request, DcApiRequest):
        raise NotFound("there is no such request over the Digital Credentials API")
    states.require_open(stored.state, now=now)
    protocol, answer_body = _validate_call(request, offer, answer), strict_json.dumps(answer.data)
    sealed_for = offer.encryption_info if protocol is DcApiProtocol.ISO_MDOC else None
    call = dc_api_members(protocol, answer.origin, sealed_for)
    trust = ports.trust_version(now)
    try:
        opened = _open(ports, stored, protocol, answer)
    except VerificationError as exc:
        return give_verdict(ports, stored, refused(exc, {}, now=now), answer_body, now=now, trust=trust, dc_api=call)
    judged = judge(
        opened.response,
        lambda vp_token: validate_answer(
            ports,
            stored,
            vp_token,
            audience=origin_audience(answer.origin),
            transcript=lambda: opened.transcript,
            statuses=statuses,
            now=now,
        ),
        # There is no way back to redeem: the answer came in the page that asked.
        response_code_digest=b"",
        now=now,
    )
    return give_verdict(ports, stored, judged, answer_body, now=now, trust=trust, dc_api=call)


def _validate_call(request: DcApiRequest, offer: DcApiOffer, answer: DcApiAnswer) -> DcApiProtocol:
    # 1. Byte by byte, like the wallet.
    # dcapi-A.2-answer-origin
    if answer.origin not in request.expected_origins:
        raise check_failed(CheckStep.ANSWER_FITS_REQUEST, "the answer is from an origin that was not expected")
    offered = {str(each): each for each in offer.protocols}
    # dcapi-A.1-answer-protocol
    if answer.protocol not in offered:
        raise check_failed(CheckStep.ANSWER_FITS_REQUEST, "the answer is of a protocol that was not offered")
    return offered[answer.protocol]


def _open(
    ports: PresentationPorts, stored: StoredPresentation, protocol: DcApiProtocol, answer: DcApiAnswer
) -> _Opened:
    terms = stored.state.terms
    if terms.dc_api is None or not isinstance(terms.request, DcApiRequest):
        raise NotFound("there is no such request over the Digital Credentials API")
    try:
        if protocol is DcApiProtocol.ISO_MDOC:
            return _open_iso(ports, stored, terms.request, terms.dc_api, answer)
        # 2.
        received = parse_dc_api_response(answer.data)
        response = open_response(terms.request.encryption, received, open_key=lambda: private_keys(ports, stored)[0])
    except VerificationError as exc:
        # The steps of a decryption are not ours.
        raise check_failed(CheckStep.ANSWER_FITS_REQUEST, exc.description, exc) from exc
    return _Opened(response, terms.request.session_transcript(answer.origin))


def _open_iso(
    ports: PresentationPorts,
    stored: StoredPresentation,
    request: DcApiRequest,
    offer: DcApiOffer,
    answer: DcApiAnswer,
) -> _Opened:
    asked = asks_one_mdoc(request.dcql_query)
    if asked is None or offer.encryption_info is None:
        raise NotFound("there is no such request over the Digital Credentials API")
    # 2.
    device_response, transcript = open_response_data(
        answer.data,
        private_keys(ports, stored)[-1],
        encryption_info=offer.encryption_info,
        origin=answer.origin,
    )
    # ISO/IEC 18013-5 8.3.2.1.2.2: without a document the device says no.
    if not parse_device_response(device_response).documents:
        return _Opened(ErrorResponse(AccessDenied.code, None), transcript)
    presentation = base64url.encode(device_response)
    return _Opened(PresentationResponse({asked.id: (presentation,)}, None), transcript)
