"""What a browser's Digital Credentials API returned to a page; ``protocol`` is about answers that wallets post."""

from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from verifier.presentations.ports import PresentationPorts, StoredPresentation
from verifier.presentations.use_cases.dc_api_requests import asks_one_mdoc
from verifier.presentations.use_cases.protocol import Verdict, validate_answer
from verifier.presentations.use_cases.records import note
from verifier.presentations.use_cases.requests import key_context
from verifier.relying_parties.ports import RelyingParty
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import AccessDenied, InvalidRequest, NotFound, VerificationError
from wallet_core.formats.mdoc.document import parse_device_response
from wallet_core.protocols.iso18013.dc_api import open_response_data
from wallet_core.protocols.openid4vp import presentation as states
from wallet_core.protocols.openid4vp.asking import open_response, private_key_from_bytes
from wallet_core.protocols.openid4vp.checks import CheckStep, check_failed
from wallet_core.protocols.openid4vp.dc_api import (
    DcApiOffer,
    DcApiProtocol,
    DcApiRequest,
    origin_audience,
    parse_dc_api_response,
)
from wallet_core.protocols.openid4vp.record import RecordNotes, dc_api_members
from wallet_core.protocols.openid4vp.response import ErrorResponse, PresentationResponse, Response, VpToken
from wallet_core.protocols.openid4vp.statuses import StatusLook
from wallet_core.protocols.openid4vp.validation import ValidatedResponse
from wallet_core.types import Json, SessionTranscript

_PRIVATE_KEY_BYTES = 32


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


def judge_dc_api_answer(
    ports: PresentationPorts,
    party: RelyingParty,
    presentation_id: str,
    answer: DcApiAnswer,
    statuses: StatusLook | None = None,
) -> Verdict:
    """Return what an answer means for its request. Nothing is stored yet: ``protocol.record_verdict`` does that.

    An answer that cannot even be read, or a mistake of the caller, changes nothing.

    Args:
        ports: what is needed.
        party: who brings it.
        presentation_id: of the request.
        answer: what the page received.
        statuses: as in ``protocol.judge_response``.

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
    storage = ports.reading()
    with storage.unit:
        stored = storage.presentations.by_id(party.id, presentation_id)
    offer = None if stored is None else stored.state.terms.dc_api
    request = None if stored is None else stored.state.terms.request
    if stored is None or offer is None or not isinstance(request, DcApiRequest):
        raise NotFound("there is no such request over the Digital Credentials API")
    states.require_open(stored.state, now=now)
    protocol = _validate_call(request, offer, answer)
    try:
        opened = _open(ports, stored, protocol, answer)
        if isinstance(opened.response, ErrorResponse):
            error, notes = opened.response.error, _note(ports, stored, answer, now=now)
            return Verdict(stored, lambda state: states.decline(state, error, now=now), "", notes)
    except VerificationError as exc:
        return _refused(stored, exc, _note(ports, stored, answer, {}, now=now), now)
    try:
        return _accepted(ports, stored, opened.response, opened.transcript, answer, statuses, now)
    except VerificationError as exc:
        return _refused(stored, exc, _note(ports, stored, answer, opened.response.vp_token, now=now), now)


def _refused(stored: StoredPresentation, error: VerificationError, notes: RecordNotes, now: datetime) -> Verdict:
    return Verdict(stored, lambda state: states.refuse(state, error, now=now), "", notes, error)


def _accepted(
    ports: PresentationPorts,
    stored: StoredPresentation,
    response: PresentationResponse,
    transcript: SessionTranscript,
    answer: DcApiAnswer,
    statuses: StatusLook | None,
    now: datetime,
) -> Verdict:
    validated = validate_answer(
        ports,
        stored,
        response,
        audience=origin_audience(answer.origin),
        transcript=lambda: transcript,
        statuses=statuses,
        now=now,
    )
    # There is no way back to redeem: the answer came in the page that asked.
    notes = _note(ports, stored, answer, response.vp_token, validated, now=now)
    return Verdict(stored, lambda state: states.answer(state, validated, response_code_digest=b"", now=now), "", notes)


def _note(
    ports: PresentationPorts,
    stored: StoredPresentation,
    answer: DcApiAnswer,
    vp_token: VpToken | None = None,
    validated: ValidatedResponse | None = None,
    *,
    now: datetime,
) -> RecordNotes:
    offer = stored.state.terms.dc_api
    sealed_for = offer.encryption_info if offer and answer.protocol == DcApiProtocol.ISO_MDOC else None
    call = dc_api_members(answer.protocol, answer.origin, sealed_for)
    return note(ports, stored, strict_json.dumps(answer.data), vp_token, validated, now=now, dc_api=call)


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
        response = open_response(terms.request.encryption, received, open_key=lambda: _private_keys(ports, stored)[0])
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
        _private_keys(ports, stored)[-1],
        encryption_info=offer.encryption_info,
        origin=answer.origin,
    )
    # ISO/IEC 18013-5 8.3.2.1.2.2: without a document the device says no.
    if not parse_device_response(device_response).documents:
        return _Opened(ErrorResponse(AccessDenied.code, None), transcript)
    presentation = base64url.encode(device_response)
    return _Opened(PresentationResponse({asked.id: (presentation,)}, None), transcript)


def _private_keys(ports: PresentationPorts, stored: StoredPresentation) -> list[ec.EllipticCurvePrivateKey]:
    """Return the keys of a request: of ``dc_api.jwt`` first, of the ISO protocol last, where there are such."""
    if stored.sealed_key is None:
        raise InvalidRequest("no encrypted answer was asked for", clause="OpenID4VP 8.3")
    opened = ports.seal.open(stored.sealed_key, key_context(stored.id))
    starts = range(0, len(opened), _PRIVATE_KEY_BYTES)
    return [private_key_from_bytes(opened[start : start + _PRIVATE_KEY_BYTES]) for start in starts]
