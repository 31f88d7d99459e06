"""Request Objects: signed by the Verifier, verified by the Wallet (OpenID4VP 1.0 sections 5.4, 5.9, 5.10; RFC 9101).

The invariant: where there is a Request Object, only what stands in it counts, and only after its signature verified.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from wallet_core import spec_versions as spec
from wallet_core.encoding.plain_text import one_line
from wallet_core.errors import (
    Expired,
    InvalidRequest,
    MalformedError,
    NotYetValid,
    RemoteProtocolError,
    UntrustedError,
    VerificationError,
)
from wallet_core.jose import jws
from wallet_core.keys.signer import Signer
from wallet_core.protocols.openid4vp.client_id import (
    ClientIdentifier,
    ClientIdPrefix,
    VerifiedClient,
    validate_redirect_uris,
    verify_attested_client,
    verify_client,
)
from wallet_core.protocols.openid4vp.reporting import reply_address
from wallet_core.protocols.openid4vp.request import AuthorizationRequest, parse_request_members
from wallet_core.protocols.openid4vp.transaction_data import NO_TYPES, TransactionTypes, understand
from wallet_core.trust.anchors import TrustAnchors
from wallet_core.trust.x509 import format_x5c, parse_x5c
from wallet_core.types import Json, JsonObject

LEEWAY: Final = timedelta(seconds=60)
"""How far the clocks of Wallet and Verifier may differ."""


def create_request_object(
    request: AuthorizationRequest,
    *,
    signer: Signer,
    chain: Sequence[bytes],
    issued_at: datetime,
    expires_at: datetime,
    wallet_nonce: str | None = None,
    attestation: str | None = None,
) -> str:
    """Return the signed Request Object (5.4, 5.10.1).

    Args:
        request: what is asked.
        signer: the key of the access certificate.
        chain: DER certificates, leaf first, without root (M29).
        issued_at: becomes ``iat``.
        expires_at: becomes ``exp``.
        wallet_nonce: the value the wallet posted, if it did; never one of our own making (5.10).
        attestation: the Verifier Attestation JWT, which under ``verifier_attestation`` takes the place of ``chain``.

    Raises:
        ValueError: the Client Identifier is one whose requests cannot be signed, or an attestation is missing.
    """
    if not request.client_id.signs:
        raise ValueError("a request under redirect_uri cannot be signed")
    # 5.9.3: "The Verifier attestation JWT MUST be added to the jwt JOSE Header of the request object".
    # vp-5.9.3-attestation-sent
    if (request.client_id.prefix is ClientIdPrefix.VERIFIER_ATTESTATION) != (attestation is not None):
        raise ValueError("a verifier attestation goes with its prefix")
    vouching: JsonObject = {"x5c": [*format_x5c(chain)]} if attestation is None else {"jwt": attestation}
    claims: JsonObject = {
        **request.to_json(),
        # 5.8: with static discovery the audience is this value.
        # vp-5.8-static
        "aud": spec.SELF_ISSUED_AUDIENCE,
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
    }
    # 5.10: "When received, the Verifier MUST use it as the wallet_nonce value in the signed […] request object."
    # vp-5.10-echo
    if wallet_nonce is not None:
        claims["wallet_nonce"] = wallet_nonce
    # vp-5-typ-sent
    return jws.sign({"typ": spec.TYP_REQUEST_OBJECT, **vouching}, claims, signer)


def verify_request_object(
    token: str,
    *,
    client_id: ClientIdentifier,
    anchors: TrustAnchors,
    now: datetime,
    wallet_nonce: str | None = None,
    audiences: Collection[str] = (spec.SELF_ISSUED_AUDIENCE,),
    transaction_types: TransactionTypes = NO_TYPES,
) -> tuple[AuthorizationRequest, VerifiedClient]:
    """Return the request in a Request Object, and the Verifier that signed it.

    Steps:
        1. It is a JWT of type ``oauth-authz-req+jwt`` (5.4).
        2. ``client_id`` in it is identical to the one outside, prefix included (5.10.1).
        3. The Client Identifier fits a certificate chain in ``x5c`` that leads to an anchor, or an attestation in
           ``jwt`` whose chain does (5.9.3).
        4. The key of the leaf, or the attested one, signed it (5.9.3); ``alg`` is that of the key, so never ``none``.
        5. ``wallet_nonce`` is the one that was sent (5.10.1).
        6. ``aud``, if there, names this wallet; ``exp``, ``nbf`` and ``iat``, if there, admit now (5.8, RFC 7519 4.1).
        7. The parameters keep the rules of section 5; ``response_uri`` is one this Verifier may use (5.9.3, 8.2).
        8. What is to be agreed to is of ``transaction_types`` (8.4).

    Raises:
        WalletError: a step failed; of the kinds ``MalformedError``, ``VerificationError`` (``step`` is its number) and
            ``InvalidRequest``.
    """
    # 1.
    unverified = jws.parse(token, what="Request Object")
    claims = request_claims(unverified)
    # 2.
    # vp-5.10.1-client-id
    if claims.get("client_id") != client_id.full:
        raise VerificationError("the client_id inside the request is another one", step=2, clause="OpenID4VP 5.10.1")
    # 3. and 4.
    client = verify_sender(unverified, client_id, anchors=anchors, now=now)
    # 5. "If it does not, the Wallet MUST terminate request processing."
    # vp-5.10.1-wallet-nonce
    if wallet_nonce is not None and claims.get("wallet_nonce") != wallet_nonce:
        raise VerificationError("the request does not carry our wallet_nonce", step=5, clause="OpenID4VP 5.10.1")
    # 6.
    validate_request_claims(claims, now=now, audiences=audiences)
    # 7.
    try:
        request = parse_request_members(claims)
        validate_redirect_uris(client, request.response_uri)
        # 8. 8.4: "If the Wallet does not support transaction_data parameter, it MUST return an error".
        # vp-8.4-transaction-data
        understand(request.transaction_data, transaction_types)
    except RemoteProtocolError as exc:
        exc.answer_to = reply_address(client_id, claims)
        raise
    return request, client


def request_claims(unverified: jws.UnverifiedJws) -> JsonObject:
    """Return the parameters in a signed request, still to be verified (step 1 of :func:`verify_request_object`).

    Raises:
        MalformedError, VerificationError, InvalidRequest: it is no Request Object, or there is another request in it.
    """
    # 1. Checked before anything is looked up, so that no other kind of JWT of this Verifier passes as a request.
    # vp-5.4-typ
    if unverified.header.get("typ") != spec.TYP_REQUEST_OBJECT:
        raise VerificationError("the request is not a Request Object", step=1, clause="OpenID4VP 5.4")
    claims = unverified.claims()
    # RFC 9101 4: "request and request_uri parameters MUST NOT be included in Request Objects."
    # jose-9101.4-nested
    if "request" in claims or "request_uri" in claims:
        raise InvalidRequest("there is another request inside the request", clause="RFC 9101 4")
    return claims


def verify_sender(
    unverified: jws.UnverifiedJws, client_id: ClientIdentifier, *, anchors: TrustAnchors, now: datetime
) -> VerifiedClient:
    """Return the Verifier that signed (steps 3 and 4 of :func:`verify_request_object`).

    Raises:
        MalformedError, VerificationError, InvalidRequest: nobody trusted signed under this Client Identifier.
    """
    # 3.
    try:
        client = _vouched_for(unverified.header, client_id, anchors, now)
    except (Expired, NotYetValid, UntrustedError) as exc:
        raise type(exc)(exc.description, step=3, detail=exc.detail, clause=exc.clause) from exc
    # 4.
    # vp-5.10.1-signature
    jws.verify(unverified, client.public_key, typ=spec.TYP_REQUEST_OBJECT)
    return client


def _vouched_for(
    header: JsonObject, client_id: ClientIdentifier, anchors: TrustAnchors, now: datetime
) -> VerifiedClient:
    if client_id.prefix is ClientIdPrefix.VERIFIER_ATTESTATION:
        found = verify_attested_client(client_id, header.get("jwt"), anchors, at=now)
        return VerifiedClient(one_line(found.subject), found.key, None, found.subject, found.redirect_uris)
    certificate = verify_client(client_id, parse_x5c(header.get("x5c")), anchors, at=now)
    return VerifiedClient(certificate.name, certificate.public_key, certificate.sha256, certificate.organization_id)


def validate_request_claims(claims: JsonObject, *, now: datetime, audiences: Collection[str]) -> None:
    """Check for whom and for when a signed request is (step 6 of :func:`verify_request_object`).

    Raises:
        MalformedError, VerificationError: for another wallet, or not for now.
    """
    _validate_audience(claims.get("aud"), audiences)
    _validate_times(claims, now)


def _validate_audience(audience: Json, accepted: Collection[str]) -> None:
    named = audience if isinstance(audience, list) else [audience]
    # vp-5.8-aud
    if audience is not None and not any(isinstance(one, str) and one in accepted for one in named):
        raise VerificationError("the request is for another wallet", step=6, clause="OpenID4VP 5.8")


def _validate_times(claims: JsonObject, now: datetime) -> None:
    expires_at, not_before, issued_at = (_time(claims, name) for name in ("exp", "nbf", "iat"))
    # vp-5.10.1-expired
    if expires_at is not None and now >= expires_at + LEEWAY:
        raise Expired("the request has expired", step=6, clause="RFC 7519 4.1.4")
    # vp-5.10.1-not-yet
    if any(start is not None and now < start - LEEWAY for start in (not_before, issued_at)):
        raise NotYetValid("the request is not valid yet", step=6, clause="RFC 7519 4.1.5")


def _time(claims: JsonObject, name: str) -> datetime | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MalformedError(f"{name} of the request is not a number", clause="RFC 7519 2")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError) as exc:
        raise MalformedError(f"{name} of the request is not a time", clause="RFC 7519 2") from exc
