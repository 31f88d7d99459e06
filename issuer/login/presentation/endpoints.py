"""The endpoints that wallets call while somebody logs in, as plain Starlette routes (OpenID4VP 1.0 5.10, 8.2)."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from issuer.agencies.ports import Agency
from issuer.dependencies import issuer_of
from issuer.login.presentation.ports import PresentationLoginPorts
from issuer.login.presentation.use_cases import protocol
from wallet_core import spec_versions as spec
from wallet_core.adapters.web import protocol_json
from wallet_core.errors import NotFound
from wallet_core.protocols.openid4vp.response import MAX_RESPONSE_BYTES
from wallet_core.protocols.openid4vp.wallet_metadata import MAX_REQUEST_FORM, parse_request_uri_post

PROTOCOL_PATHS = (r"/agencies/[^/]+/openid4vp/(requests|responses)/[^/]+",)
"""Paths that wallets in a browser call."""


async def get_request_object(request: Request) -> Response:
    """``request_uri`` by GET (RFC 9101 5.2.3)."""
    ports, agency = _tenant(request)
    return _request_object(protocol.serve_request(ports, agency, request.path_params["request_id"]))


async def post_for_request_object(request: Request) -> Response:
    """``request_uri`` by POST (OpenID4VP 5.10)."""
    ports, agency = _tenant(request)
    wallet_says = parse_request_uri_post(_media_type(request), await request.body())
    return _request_object(protocol.serve_request(ports, agency, request.path_params["request_id"], wallet_says))


async def receive_response(request: Request) -> Response:
    """``response_uri`` (OpenID4VP 8.2). Status lists are fetched first, outside of any transaction."""
    ports, agency = _tenant(request)
    body, request_id = await request.body(), request.path_params["request_id"]
    judging = protocol.judge_response(ports, agency, request_id, _media_type(request), body)
    verdict = await issuer_of(request).http.arun(judging)
    protocol.record_verdict(ports, verdict)
    if verdict.error is not None:
        raise verdict.error
    # 8.2: 200 with a JSON object, for accepted error responses too.
    return protocol_json({"redirect_uri": verdict.redirect_uri})


def _tenant(request: Request) -> tuple[PresentationLoginPorts, Agency]:
    issuer = issuer_of(request)
    if issuer.presentation_login is None:
        raise NotFound("nobody logs in by showing a card here")
    return issuer.presentation_login, issuer.agency(request.path_params["agency_id"])


def _request_object(token: str) -> Response:
    # 5.10.1: "an HTTP response with the content type application/oauth-authz-req+jwt".
    return Response(token, 200, {"Cache-Control": "no-store"}, spec.REQUEST_OBJECT_MEDIA_TYPE)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


_REQUEST = "/agencies/{agency_id}/openid4vp/requests/{request_id}"

ROUTES = [
    Route(_REQUEST, get_request_object),
    Route(_REQUEST, post_for_request_object, methods=["POST"], max_body_size=MAX_REQUEST_FORM),
    Route(
        "/agencies/{agency_id}/openid4vp/responses/{request_id}",
        receive_response,
        methods=["POST"],
        max_body_size=MAX_RESPONSE_BYTES,
    ),
]
"""The addresses that wallets know."""
