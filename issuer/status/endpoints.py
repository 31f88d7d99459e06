"""The lists, for everybody: plain Starlette routes, because everybody asks for them."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from issuer.dependencies import issuer_of
from issuer.status.use_cases import publishing
from issuer.status.use_cases.publishing import FORMS, PublishedList
from wallet_core.adapters.web import protocol_json
from wallet_core.errors import InvalidRequest

PROTOCOL_PATHS = (r"/agencies/[^/]+/statuslists(/[^/]+)?",)
"""Paths that verifiers in a browser call."""

_QUALITY = "q="


async def status_list(request: Request) -> Response:
    """Status List Token, of now or of a time in the past (Token Status List 8.1, 8.4)."""
    issuer = issuer_of(request)
    agency, number = issuer.agency(request.path_params["agency_id"]), request.path_params["number"]
    media_type = negotiate(request.headers.get("accept", ""))
    time = request.query_params.get("time")
    if time is not None:
        past = publishing.publish_past(issuer.status, agency, number, media_type, time)
        return _answer(request, past, {"Cache-Control": "no-store"})
    published = publishing.publish(issuer.status, issuer.signed_lists, agency, number, media_type)
    left = published.issued_at + issuer.status.terms.ttl - issuer.clock.now()
    # 8.2: what caches may do follows the ttl, which outranks it.
    # tsl-8.2-cache
    return _answer(request, published, {"Cache-Control": f"public, max-age={max(0, int(left.total_seconds()))}"})


async def aggregation(request: Request) -> Response:
    """Addresses of all lists of an agency (Token Status List 9.3)."""
    issuer = issuer_of(request)
    document = publishing.aggregate(issuer.status, issuer.agency(request.path_params["agency_id"]))
    seconds = int(issuer.status.terms.ttl.total_seconds())
    return protocol_json(document, headers={"Cache-Control": f"public, max-age={seconds}"})


def negotiate(accept: str) -> str:
    """Return the form of a list that ``Accept`` asks for; the JWT form for whoever does not say (8.1).

    Raises:
        InvalidRequest: it asks for none of them.
    """
    wanted: dict[str, float] = {}
    for entry in accept.lower().split(",") if accept.strip() else ["*/*"]:
        media_range, *parameters = [part.strip() for part in entry.split(";")]
        weights = [each.removeprefix(_QUALITY) for each in parameters if each.startswith(_QUALITY)]
        wanted[media_range] = _weight(weights[0]) if weights else 1.0
    weights_of = {form: _weight_of(form, wanted) for form in FORMS}
    # The first of equals is the default.
    # tsl-8.1-accept
    best = max(FORMS, key=lambda form: weights_of[form])
    if weights_of[best] <= 0:
        raise InvalidRequest(f"a status list comes as {' or '.join(FORMS)}", clause="Token Status List 8.1")
    return best


def _weight_of(form: str, wanted: dict[str, float]) -> float:
    return next((wanted[each] for each in (form, "application/*", "*/*") if each in wanted), 0.0)


def _weight(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def _answer(request: Request, published: PublishedList, headers: dict[str, str]) -> Response:
    headers |= {"Vary": "Accept, Accept-Encoding"}
    body = published.body
    accepted = [part.partition(";")[0].strip() for part in request.headers.get("accept-encoding", "").split(",")]
    # 8.2: the text form SHOULD be compressed on the way.
    if published.gzipped is not None and "gzip" in accepted:
        headers["Content-Encoding"], body = "gzip", published.gzipped
    return Response(body, 200, headers, published.media_type)


ROUTES = [
    Route("/agencies/{agency_id}/statuslists", aggregation),
    Route("/agencies/{agency_id}/statuslists/{number}", status_list),
]
"""The addresses of one agency's lists."""
