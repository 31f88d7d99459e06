"""Whatever comes in, only WalletError leaves."""

import contextlib
from urllib.parse import urlencode

from hypothesis import given
from hypothesis import strategies as st

from tests.support.presentations import NOW, query, world
from wallet_core.encoding import strict_json
from wallet_core.errors import InvalidRequest, WalletError
from wallet_core.http import HttpResponse
from wallet_core.protocols.openid4vp import dcql
from wallet_core.protocols.openid4vp.candidates import sd_jwt_candidate
from wallet_core.protocols.openid4vp.client_id import parse_client_id
from wallet_core.protocols.openid4vp.matching import match
from wallet_core.protocols.openid4vp.request import parse_authorization_request, parse_request_members
from wallet_core.protocols.openid4vp.request_object import verify_request_object
from wallet_core.protocols.openid4vp.response import (
    EncryptedResponse,
    decrypt_response,
    parse_posted_response,
    parse_response_answer,
)

WORLD = world()
CARD = sd_jwt_candidate("card", WORLD.held())
MEMBERS = WORLD.request().to_json()
FORM = "application/x-www-form-urlencoded"
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20)
VALUES = st.recursive(LEAVES, lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(max_size=8), x, max_size=4))


def changed_at_random(value, draw):
    """Put something else in one place of a JSON value."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: changed_at_random(value[name], draw)}
    if isinstance(value, list) and value and draw(st.booleans()):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], changed_at_random(value[index], draw), *value[index + 1 :]]
    return draw(VALUES)


@st.composite
def changed(draw, source):
    return changed_at_random(source, draw)


QUERY = {
    **query({"id": "a", "path": ["classes", None, 0], "values": ["x"]}, {"id": "b", "path": ["name"]}),
    "credential_sets": [{"options": [["licence"]], "required": False}],
}
QUERY["credentials"][0]["claim_sets"] = [["a"], ["b"]]
QUERY["credentials"][0]["trusted_authorities"] = [{"type": "aki", "values": ["AAAA"]}]


@given(changed(QUERY) | VALUES)
def test_dcql(value) -> None:
    try:
        parsed = dcql.parse_dcql_query(value)
    except InvalidRequest:
        return
    match(parsed, [CARD])
    with contextlib.suppress(InvalidRequest):
        dcql.validate_own_query(parsed)


@given(changed(MEMBERS))
def test_request_members(value) -> None:
    if isinstance(value, dict):
        with contextlib.suppress(WalletError):
            request = parse_request_members(value)
            assert parse_request_members(request.to_json()) == request


@given(st.text() | st.dictionaries(st.sampled_from(sorted(MEMBERS)), st.text()).map(lambda f: f"x:?{urlencode(f)}"))
def test_links(text) -> None:
    with contextlib.suppress(WalletError):
        parse_authorization_request(text)


@given(VALUES)
def test_client_id(value) -> None:
    with contextlib.suppress(InvalidRequest):
        assert parse_client_id(value).full == value


@given(st.text())
def test_request_object(token) -> None:
    with contextlib.suppress(WalletError):
        verify_request_object(token, client_id=WORLD.request().client_id, anchors=WORLD.anchors, now=NOW)


@given(
    st.binary()
    | st.dictionaries(
        st.sampled_from(["vp_token", "state", "error", "response"]), st.text() | VALUES.map(strict_json.dumps_text)
    ).map(lambda f: urlencode(f).encode())
)
def test_posted_response(body) -> None:
    with contextlib.suppress(WalletError):
        posted = parse_posted_response(FORM, body)
        if isinstance(posted, EncryptedResponse):
            decrypt_response(posted, {"enc-1": WORLD.encryption_key})


@given(VALUES)
def test_answer_of_the_verifier(value) -> None:
    body = strict_json.dumps({"redirect_uri": value})
    with contextlib.suppress(WalletError):
        parse_response_answer(HttpResponse(200, {"content-type": "application/json"}, body))
