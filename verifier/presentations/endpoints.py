"""The endpoints that wallets call, as plain Starlette routes: they are the hot ones.

Every address comes from the configured public URL, never from ``Host``. There are no redirects. Errors are mapped in
``adapters.web``; bodies are bounded before they are read.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from verifier.dependencies import verifier_of
from verifier.presentations.use_cases import protocol
from verifier.status.use_cases import look_until_known
from wallet_core import spec_versions as spec
from wallet_core.adapters.web import next_step, protocol_json
from wallet_core.protocols.openid4vp.wallet_metadata import MAX_REQUEST_FORM, parse_request_uri_post

PROTOCOL_PATHS = (r"/openid4vp/(requests|responses)/[^/]+",)
"""Paths that wallets in a browser call."""


async def get_request_object(request: Request) -> Response:
    """``request_uri`` by GET (RFC 9101 5.2.3)."""
    token = protocol.serve_request(verifier_of(request).presentations, request.path_params["request_id"])
    return _request_object(token)


async def post_for_request_object(request: Request) -> Response:
    """``request_uri`` by POST (OpenID4VP 5.10)."""
    wallet_says = parse_request_uri_post(_media_type(request), await request.body())
    ports = verifier_of(request).presentations
    return _request_object(protocol.serve_request(ports, request.path_params["request_id"], wallet_says))


async def receive_response(request: Request) -> Response:
    """``response_uri`` (OpenID4VP 8.2). The verdict is committed before the answer, with those of other requests."""
    verifier, body = verifier_of(request), await request.body()
    ports = verifier.presentations
    stored = await verifier.find_request(request.path_params["request_id"])
    answer = protocol.read_answer(ports, stored, _media_type(request), body)
    await next_step()
    judged = await look_until_known(
        verifier.status_lists,
        verifier.http,
        lambda look: protocol.judge_answer(ports, answer, look),
        is_refused=lambda judged: judged.judgement.error is not None,
    )
    await next_step()
    verdict = protocol.conclude(ports, judged)
    await verifier.commit(lambda storage: protocol.record_verdict(storage, verdict, now=ports.clock.now()))
    if verdict.error is not None:
        raise verdict.error
    # 8.2: 200 with a JSON object, for accepted error responses too.
    # vp-8.2-answer
    return protocol_json({"redirect_uri": verdict.redirect_uri})


def _request_object(token: str) -> Response:
    # 5.10.1: "an HTTP response with the content type application/oauth-authz-req+jwt".
    # vp-5.10.1-own-media-type
    return Response(token, media_type=spec.REQUEST_OBJECT_MEDIA_TYPE)


def _media_type(request: Request) -> str:
    # Not request.headers: making them costs more than looking through what came.
    for name, value in request.scope["headers"]:
        if name == b"content-type":
            return str(value, "latin-1").partition(";")[0].strip().lower()
    return ""


_REQUEST = "/openid4vp/requests/{request_id}"

ROUTES = [
    # The hottest one first: its size is bounded by the app and checked once more when the form is read.
    Route("/openid4vp/responses/{request_id}", receive_response, methods=["POST"]),
    Route(_REQUEST, get_request_object),
    Route(_REQUEST, post_for_request_object, methods=["POST"], max_body_size=MAX_REQUEST_FORM),
]
"""The addresses that wallets know."""
