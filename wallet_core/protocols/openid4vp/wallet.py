"""The wallet's side of a presentation, as flows that end wherever a person or the holder's key must act.

```text
link ──resolve_request──▶ ResolvedRequest ──matching.match──▶ Matches ──(the person agrees) matching.approve──▶
  ApprovedDisclosure ──create_presentation──▶ PresentationToSign ──(the keys sign)── send_response ──▶ Sent
                     └──(the person says no, or nothing matches)── decline ──▶ Sent
```
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from wallet_core import spec_versions as spec
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import AccessDenied, MalformedError
from wallet_core.formats.mdoc.holder import HeldMdoc
from wallet_core.formats.sd_jwt.holder import HeldSdJwt, create_key_binding
from wallet_core.http import Flow, HttpResponse, get, post_form
from wallet_core.jose import jwe
from wallet_core.keys.jwk import parse_public_jwk
from wallet_core.protocols.oauth2.answers import peer_refusal
from wallet_core.protocols.openid4vp.candidates import HeldCredential
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix, VerifiedClient
from wallet_core.protocols.openid4vp.dc_api import DcApiRequest
from wallet_core.protocols.openid4vp.haip import validate_haip
from wallet_core.protocols.openid4vp.matching import ApprovedCredential, ApprovedDisclosure
from wallet_core.protocols.openid4vp.mdoc import create_document_to_sign, request_transcript
from wallet_core.protocols.openid4vp.pending import (
    MdocItem,
    PresentationItem,
    PresentationToSign,
    ResolvedRequest,
    SdJwtItem,
    Sent,
    VerifierIdentity,
    signed_vp_token,
)
from wallet_core.protocols.openid4vp.request import (
    AuthorizationRequest,
    RequestReference,
    UnsignedRequest,
    parse_authorization_request,
)
from wallet_core.protocols.openid4vp.request_object import verify_request_object
from wallet_core.protocols.openid4vp.response import (
    create_error_response,
    create_response,
    parse_response_answer,
    validate_size,
)
from wallet_core.protocols.openid4vp.transaction_data import (
    NO_TYPES,
    BoundTransactions,
    TransactionTypes,
    bind,
    understand,
)
from wallet_core.protocols.openid4vp.verifier_info import judge_verifier
from wallet_core.protocols.openid4vp.vp_formats import SIGNATURE_ALGORITHMS, vp_formats_supported
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.types import Json, JsonObject, Nonce, SessionTranscript

REQUEST_OBJECT_LIMIT: Final = 64 * 1024
"""Bytes of a Request Object; one with a chain of three certificates and a long query is about 12 kB."""

POSTED_MODES: Final = (spec.RESPONSE_MODE_DIRECT_POST, spec.RESPONSE_MODE_DIRECT_POST_JWT)
"""How a wallet's answer is posted (8.2, 8.3.1): in clear, and encrypted."""

__all__ = [
    "PresentationItem",
    "PresentationToSign",
    "ResolvedRequest",
    "Sent",
    "VerifierIdentity",
    "create_presentation",
    "decline",
    "resolve_request",
    "send_response",
    "validate_answer",
    "wallet_metadata",
]


def wallet_metadata(*, haip: bool = False) -> JsonObject:
    """Return what this wallet can do, for ``request_uri`` by POST and for its own metadata document (OpenID4VP 10).

    With ``haip`` it takes what the high-assurance profile allows, and says no more than that.
    """
    algorithms: list[Json] = list(SIGNATURE_ALGORITHMS)
    # haip-5-metadata
    prefixes = [ClientIdPrefix.X509_HASH] if haip else [*ClientIdPrefix]
    # haip-5-metadata
    modes = [spec.RESPONSE_MODE_DIRECT_POST_JWT] if haip else [*POSTED_MODES]
    return {
        "response_types_supported": [spec.RESPONSE_TYPE_VP_TOKEN],
        "response_modes_supported": [*modes],
        "vp_formats_supported": vp_formats_supported(),
        "client_id_prefixes_supported": [str(prefix) for prefix in prefixes],
        "request_object_signing_alg_values_supported": algorithms,
        "authorization_encryption_alg_values_supported": [jwe.ALG],
        "authorization_encryption_enc_values_supported": list(jwe.ENC_VALUES),
    }


def resolve_request(
    link: str | Mapping[str, str],
    *,
    anchors: TrustAnchors,
    now: datetime,
    wallet_nonce: str,
    audiences: Collection[str] = (spec.SELF_ISSUED_AUDIENCE,),
    transaction_types: TransactionTypes = NO_TYPES,
    haip: bool = False,
) -> Flow[ResolvedRequest]:
    """Fetch and verify a request. Call it only once the person has seen the host of the link and acted.

    Args:
        link: the link, the text of a QR code, or the parameters of an authorization endpoint.
        anchors: who is trusted to certify, attest and register Verifiers.
        now: the time.
        wallet_nonce: fresh and random (at least 128 bits, URL safe); sent where the link asks for POST.
        audiences: what ``aud`` may name: the fixed value of static discovery, and this wallet's own issuer.
        transaction_types: what may be agreed to; a request with anything else is refused (8.4).
        haip: whether only requests of the high-assurance profile are taken.

    Raises:
        ProfileNotKept: the request is good, and not of the profile that is demanded.
        WalletError: the request breaks a rule, nobody trusted vouches for the sender, or it brings a registration that
            is false. Nothing is posted then (M27).
    """
    parsed = parse_authorization_request(link)
    if isinstance(parsed, UnsignedRequest):
        # x509-HAIP5-haip
        if haip:
            validate_haip(parsed, parsed.request)
        # vp-8.4-transaction-data-unsigned
        understand(parsed.request.transaction_data, transaction_types)
        return ResolvedRequest(parsed.request, _identity(parsed.request, None))
    sent_nonce: str | None = None
    if isinstance(parsed, RequestReference):
        # vp-5.1-method-used
        sent_nonce = wallet_nonce if parsed.method == "post" else None
        token = yield from _fetch_request_object(parsed, sent_nonce, haip=haip)
        # Decision 0114: some Verifiers name the place where it lies instead of who may fetch it there.
        audiences = (*audiences, parsed.request_uri)
    else:
        token = parsed.token
    request, client = verify_request_object(
        token,
        client_id=parsed.client_id,
        anchors=anchors,
        now=now,
        wallet_nonce=sent_nonce,
        audiences=audiences,
        transaction_types=transaction_types,
    )
    # x509-HAIP5-haip
    if haip:
        validate_haip(parsed, request)
    judgement = judge_verifier(request.verifier_info, client.registered_numbers, anchors, now=now)
    return ResolvedRequest(request, _identity(request, client), judgement)


def create_presentation(
    resolved: ResolvedRequest,
    approved: ApprovedDisclosure,
    credentials: Mapping[str, HeldCredential],
    *,
    now: datetime,
    transaction_types: TransactionTypes = NO_TYPES,
) -> PresentationToSign:
    """Return the presentations that the holder agreed to, ready to sign; each transaction is bound in one of them.

    Args:
        resolved: the request.
        approved: what may be shown, and nothing else is.
        credentials: the held credentials by the wallet's name of them; at least those of ``approved``.
        now: becomes ``iat`` of the Key Binding JWTs, which a Verifier accepts for a few minutes.
        transaction_types: as in :func:`resolve_request`: nothing is signed that could not be shown.

    Raises:
        InvalidTransactionData: a transaction is not understood.
        QueryNotSatisfied: no approved credential can agree to one (``transaction_data.narrow`` keeps that from being
            chosen).
        MalformedError: a credential is bound to a key that is not supported.
        KeyError: ``credentials`` lacks one (a mistake of our own code).
    """
    request = resolved.request
    items = create_items(
        request,
        approved,
        credentials,
        audience=request.client_id.full,
        transcript=lambda: request_transcript(request),
        transaction_types=transaction_types,
        now=now,
    )
    return PresentationToSign(resolved, items)


def create_items(
    request: AuthorizationRequest | DcApiRequest,
    approved: ApprovedDisclosure,
    credentials: Mapping[str, HeldCredential],
    *,
    audience: str,
    transcript: Callable[[], SessionTranscript],
    transaction_types: TransactionTypes,
    now: datetime,
) -> tuple[PresentationItem, ...]:
    """Return the presentations of an answer, each bound to one request and ready to sign.

    Args:
        request: what is answered.
        approved: what may be shown, and nothing else is.
        credentials: the held credentials by the wallet's name of them; at least those of ``approved``.
        audience: for whom the answer is, as a Key Binding JWT says it.
        transcript: returns what binds an mdoc to the request.
        transaction_types: nothing is signed that could not be shown.
        now: becomes ``iat`` of the Key Binding JWTs.

    Raises:
        InvalidTransactionData: a transaction is not understood.
        QueryNotSatisfied: no approved credential can agree to one.
        MalformedError: a credential is bound to a key that is not supported.
        KeyError: ``credentials`` lacks one (a mistake of our own code).
    """
    understand(request.transaction_data, transaction_types)
    bound = bind(request.transaction_data, approved, request.dcql_query)
    return tuple(
        _mdoc_item(one, held, transcript())
        if isinstance(held := credentials[one.credential_id], HeldMdoc)
        else _sd_jwt_item(one, held, audience, request.nonce, bound.get(place), now)
        for place, one in enumerate(approved.credentials)
    )


def validate_answer(pending: PresentationToSign, signatures: Sequence[bytes]) -> None:
    """Check that a signed answer can be sent as large as it is. Call it before a copy of a card counts as used.

    Raises:
        ValueError: not one signature for each.
        AnswerTooLarge: it is to be encrypted, and too long for that.
    """
    validate_size(pending.resolved.request, signed_vp_token(pending.items, signatures))


def send_response(pending: PresentationToSign, signatures: Sequence[bytes]) -> Flow[Sent]:
    """Post the answer (OpenID4VP 8.2, 8.3.1).

    Args:
        pending: what was to be signed.
        signatures: JOSE-form signatures of ``pending.to_sign``, in their order.

    Raises:
        ValueError: not one signature for each.
        PeerRefusal: the Verifier did not accept the answer, which it has.
        AnswerTooLarge: as :func:`validate_answer`; nothing was posted.
        MalformedError: the Verifier's key cannot be encrypted to; nothing was posted.
    """
    vp_token = signed_vp_token(pending.items, signatures)
    return (yield from _post(pending.resolved.request, create_response(pending.resolved.request, vp_token)))


def decline(resolved: ResolvedRequest) -> Flow[Sent]:
    """Tell the Verifier that there is no answer (OpenID4VP 8.5).

    The same ``access_denied`` whether the person said no or nothing matched: the Verifier must not learn which
    (15.4.1, M27). Call it after the person acted, in either case.

    Raises:
        PeerRefusal: the Verifier did not accept the refusal.
        MalformedError: the Verifier's key cannot be encrypted to; nothing was posted.
    """
    # vp-15.4.1-values
    return (yield from _post(resolved.request, create_error_response(resolved.request, AccessDenied.code)))


def _fetch_request_object(reference: RequestReference, wallet_nonce: str | None, *, haip: bool) -> Flow[str]:
    if wallet_nonce is None:
        response = yield get(
            reference.request_uri, accept=spec.REQUEST_OBJECT_MEDIA_TYPE, response_limit=REQUEST_OBJECT_LIMIT
        )
    else:
        # 5.10: POST, form encoded, with this Accept header; both parameters are optional, and we send both.
        metadata = strict_json.dumps_text(wallet_metadata(haip=haip))
        fields = {"wallet_metadata": metadata, "wallet_nonce": wallet_nonce}
        # vp-5.10-post
        asked = post_form(reference.request_uri, fields, accept=spec.REQUEST_OBJECT_MEDIA_TYPE)
        response = yield replace(asked, response_limit=REQUEST_OBJECT_LIMIT)
    return _request_object_text(response)


def _request_object_text(response: HttpResponse) -> str:
    # 5.10.2: "If the Verifier responds with any HTTP error response, the Wallet MUST terminate the process." A redirect
    # counts as one (5.10.1).
    # vp-5.10.2-http-error
    if not response.ok:
        raise peer_refusal(response, who="the verifier")
    # 5.10.1: the content type MUST be that of a Request Object.
    # vp-5.10.1-media-type
    if response.media_type != spec.REQUEST_OBJECT_MEDIA_TYPE or len(response.body) > REQUEST_OBJECT_LIMIT:
        raise MalformedError("the verifier's answer is not a Request Object", clause="OpenID4VP 5.10.1")
    try:
        return response.body.decode("ascii").strip()
    except UnicodeDecodeError as exc:
        raise MalformedError("the verifier's answer is not a Request Object", clause="OpenID4VP 5.10.1") from exc


def _identity(request: AuthorizationRequest, client: VerifiedClient | None) -> VerifierIdentity:
    return VerifierIdentity(
        client_id=request.client_id.full,
        host=urlsplit(request.response_uri).netloc,
        name=client.name if client else None,
        certificate_sha256=base64url.encode(client.sha256) if client and client.sha256 else None,
    )


def _mdoc_item(approved: ApprovedCredential, held: HeldMdoc, session_transcript: SessionTranscript) -> MdocItem:
    # 6.4.1: nothing is shown but what was selected; each path shows its element whole.
    document = create_document_to_sign(session_transcript, held, approved.disclosed)
    return MdocItem(approved.query_id, approved.credential_id, document)


def _sd_jwt_item(
    approved: ApprovedCredential,
    held: HeldSdJwt,
    audience: str,
    nonce: Nonce,
    bound: BoundTransactions | None,
    now: datetime,
) -> SdJwtItem:
    # 6.4.1: nothing is shown but what was selected; each path shows its element whole.
    if not approved.holder_binding:
        return SdJwtItem(approved.query_id, approved.credential_id, held.select(approved.selected), None)
    cnf = held.claims.get("cnf")
    key = parse_public_jwk(cnf.get("jwk") if isinstance(cnf, dict) else None, what="cnf.jwk")
    # 14.1.2, B.3.6: nonce and audience of the request go into the Key Binding JWT.
    # vp-14.1.2-bound
    unsigned = create_key_binding(
        held,
        approved.selected,
        audience=audience,
        nonce=nonce,
        issued_at=now,
        algorithm=key.algorithm,
        # 8.4: "MUST include a representation or reference to the data in the respective Credential presentation".
        # vp-8.4-bound
        transaction_data_hashes=bound.hashes if bound else (),
        transaction_data_hashes_alg=bound.algorithm if bound else None,
    )
    return SdJwtItem(approved.query_id, approved.credential_id, unsigned.sd_jwt, unsigned.signing_input)


def _post(request: AuthorizationRequest, fields: Mapping[str, str]) -> Flow[Sent]:
    # vp-8.2-form
    response = yield post_form(request.response_uri, fields)
    try:
        return Sent(parse_response_answer(response))
    except MalformedError:
        # 8.2: with 2xx the Verifier has taken the answer, whatever else it says; only the way back is lost.
        return Sent(None)
