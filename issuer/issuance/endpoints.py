"""The endpoints that wallets call, as plain Starlette routes: they are the hot ones.

Every identifier comes from the configured public URL, never from ``Host``. There are no redirects. Errors are mapped in
``adapters.web``; bodies are bounded before they are read.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from issuer.agencies.ports import Agency
from issuer.dependencies import Issuer, issuer_of
from issuer.issuance.use_cases import clients, metadata, offers, protocol
from issuer.issuance.use_cases.authorization import push_authorization
from issuer.issuance.use_cases.credential import (
    answer_credential_request,
    check_credential_request,
    prepare_answer,
)
from issuer.issuance.use_cases.deferred import answer_deferred_request
from issuer.issuance.use_cases.token import redeem
from wallet_core import spec_versions as spec
from wallet_core.adapters.web import add_answer_header, next_step, protocol_answer, protocol_json
from wallet_core.errors import InvalidToken, StateConflict
from wallet_core.http import HttpResponse, ReceivedRequest
from wallet_core.protocols.openid4vci.encryption import MAX_ENCRYPTED_REQUEST_BYTES

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

PROTOCOL_PATHS = (
    r"/agencies/[^/]+/(oauth/(token|par|challenge)|nonce|credential|deferred|notification|offers/[^/]+|types/[^/]+)",
    r"/\.well-known/.*",
    r"/agencies/[^/]+/\.well-known/.*",
)
"""Paths that wallets in a browser call."""

GUARDED_PATHS = (r"/agencies/[^/]+/(oauth/.*|authorize|login.*|offers/[^/]+)",)
"""Paths where codes are tried."""


async def token(request: Request) -> Response:
    """Token Endpoint (OpenID4VCI 6)."""
    issuer, agency = _tenant(request)
    return protocol_json(redeem(issuer.issuance, agency, await _received(issuer, request)))


async def pushed_authorization(request: Request) -> Response:
    """Pushed Authorization Request Endpoint (RFC 9126)."""
    issuer, agency = _tenant(request)
    return protocol_json(push_authorization(issuer.issuance, agency, await _received(issuer, request)), status=201)


async def challenge(request: Request) -> Response:
    """Challenge Endpoint (attestation-based client authentication 8.1)."""
    issuer, _ = _tenant(request)
    return protocol_json(clients.answer_challenge_request(issuer.issuance))


async def nonce(request: Request) -> Response:
    """Nonce Endpoint (OpenID4VCI 7)."""
    issuer, agency = _tenant(request)
    return protocol_json(protocol.create_nonce(issuer.issuance, agency))


async def credential(request: Request) -> Response:
    """Credential Endpoint (OpenID4VCI 8). The issue is committed before the answer, with those of other requests."""
    issuer, agency = _tenant(request)
    ports, received = issuer.issuance, await _received(issuer, request)
    checked = check_credential_request(ports, agency, received)
    await next_step()
    store = prepare_answer(ports, checked)
    try:
        return _answered(await issuer.commit(store))
    except StateConflict:
        # Another request under the same offer was faster, or got a place drawn here. Begun again, it lets no other
        # request of this worker in between.
        return _answered(answer_credential_request(ports, agency, received))


async def deferred(request: Request) -> Response:
    """Deferred Credential Endpoint (OpenID4VCI 9)."""
    issuer, agency = _tenant(request)
    return _answered(answer_deferred_request(issuer.issuance, agency, await _received(issuer, request)))


async def notification(request: Request) -> Response:
    """Notification Endpoint (OpenID4VCI 11): 204, as 11.2 recommends."""
    issuer, agency = _tenant(request)
    protocol.record_notification(issuer.issuance, agency, await _received(issuer, request))
    return Response(status_code=204)


async def offer(request: Request) -> Response:
    """A Credential Offer by reference (OpenID4VCI 4.1.3)."""
    issuer, agency = _tenant(request)
    return protocol_json(offers.show_offer(issuer.issuance, agency, request.path_params["offer_id"]).to_json())


async def credential_issuer(request: Request) -> Response:
    """Credential Issuer metadata (OpenID4VCI 12.2), plain or signed, in the order of the languages asked for."""
    issuer, agency = _tenant(request)
    accept, language = request.headers.get("accept", ""), request.headers.get("accept-language", "")
    answer = metadata.negotiated_metadata(issuer.issuance, agency, accept=accept, accept_language=language)
    return Response(answer.body, answer.status, answer.headers)


async def authorization_server(request: Request) -> Response:
    """Authorization Server metadata (RFC 8414)."""
    issuer, agency = _tenant(request)
    return protocol_json(metadata.authorization_server_metadata(issuer.issuance, agency))


async def jwt_vc_issuer(request: Request) -> Response:
    """JWT VC Issuer metadata (SD-JWT VC 4.1)."""
    issuer, agency = _tenant(request)
    return protocol_json(metadata.jwt_vc_issuer_metadata(issuer.issuance, agency))


async def credential_type(request: Request) -> Response:
    """Type metadata (SD-JWT VC 4.2)."""
    issuer, agency = _tenant(request)
    return protocol_json(metadata.type_metadata(issuer.issuance, agency, request.path_params["type_id"]))


def _tenant(request: Request) -> tuple[Issuer, Agency]:
    issuer = issuer_of(request)
    return issuer, issuer.agency(request.path_params["agency_id"])


async def _received(issuer: Issuer, request: Request) -> ReceivedRequest:
    """Return the request as the core sees it."""
    headers: dict[str, tuple[str, ...]] = {}
    for raw_name, raw_value in request.scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = (*headers[name], value) if name in headers else (value,)
    url = f"{issuer.settings.public_url}{request.scope['path']}"
    return ReceivedRequest(request.method, url, headers, await request.body())


def _answered(answer: HttpResponse) -> Response:
    """Return an answer of the core, that no cache keeps (protocols.md M6)."""
    return protocol_answer(answer)


def _with_dpop_nonce(endpoint: Endpoint) -> Endpoint:
    """Send a fresh DPoP nonce with every answer, errors included (RFC 9449 8, 9; M3)."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        nonce = clients.create_nonce_for_dpop(issuer_of(request).issuance)
        # dpop-9449.8.2-nonce-header
        add_answer_header(request, spec.HEADER_DPOP_NONCE, nonce)
        return await endpoint(request)

    return answer


def _at_authorization_server(endpoint: Endpoint) -> Endpoint:
    """Send a fresh challenge too (attestation-based client authentication 8.2; M13)."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        challenge = clients.create_attestation_challenge(issuer_of(request).issuance)
        # abca-07.8.2-challenge-header
        add_answer_header(request, spec.HEADER_ATTESTATION_CHALLENGE, challenge)
        return await endpoint(request)

    return _with_dpop_nonce(answer)


def _at_resource_server(endpoint: Endpoint) -> Endpoint:
    """Challenge whoever came with a DPoP token, or must have one, in the scheme DPoP (RFC 9449 7.1)."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except InvalidToken as exc:
            scheme = request.headers.get("authorization", "").partition(" ")[0].lower()
            if scheme == "dpop" or _tenant(request)[1].haip:
                raise exc.with_dpop() from exc
            raise

    return _with_dpop_nonce(answer)


def _post(path: str, endpoint: Endpoint) -> Route:
    return Route(path, endpoint, methods=["POST"], max_body_size=MAX_ENCRYPTED_REQUEST_BYTES)


_AGENCY = "/agencies/{agency_id}"
_ISSUER, _SERVER, _KEYS = (
    spec.WELL_KNOWN_CREDENTIAL_ISSUER,
    spec.WELL_KNOWN_AUTHORIZATION_SERVER,
    spec.WELL_KNOWN_JWT_VC_ISSUER,
)
_OPENID = spec.WELL_KNOWN_OPENID_CONFIGURATION

ROUTES = [
    # They are tried in this order: the most frequent ones first.
    _post(f"{_AGENCY}/credential", _at_resource_server(credential)),
    _post(f"{_AGENCY}/nonce", _with_dpop_nonce(nonce)),
    _post(f"{_AGENCY}/oauth/token", _at_authorization_server(token)),
    _post(f"{_AGENCY}/oauth/par", _at_authorization_server(pushed_authorization)),
    _post(f"{_AGENCY}/oauth/challenge", _with_dpop_nonce(challenge)),
    _post(f"{_AGENCY}/deferred", _at_resource_server(deferred)),
    _post(f"{_AGENCY}/notification", _at_resource_server(notification)),
    Route(f"{_AGENCY}/offers/{{offer_id}}", offer),
    Route(f"{_AGENCY}/types/{{type_id}}", credential_type),
    # By insertion first (OpenID4VCI 12.2.2, RFC 8414 3); the rest is for older clients, the same documents.
    Route(f"/.well-known/{_ISSUER}{_AGENCY}", credential_issuer),
    Route(f"/.well-known/{_SERVER}{_AGENCY}", authorization_server),
    Route(f"/.well-known/{_KEYS}{_AGENCY}", jwt_vc_issuer),
    Route(f"/.well-known/{_OPENID}{_AGENCY}", authorization_server),
    Route(f"{_AGENCY}/.well-known/{_ISSUER}", credential_issuer),
    Route(f"{_AGENCY}/.well-known/{_SERVER}", authorization_server),
    Route(f"{_AGENCY}/.well-known/{_OPENID}", authorization_server),
]
"""Every address that one agency has."""
