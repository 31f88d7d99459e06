"""Every state of an authorization with every input, and what each step of redeeming a code refuses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.encoding import strict_json
from wallet_core.errors import InvalidGrant, InvalidRequest, InvalidRequestUri, WalletError
from wallet_core.protocols.oauth2.authorization import AuthorizationRequest
from wallet_core.protocols.oauth2.authorization_states import (
    CODE_LIFETIME,
    LOGIN_LIFETIME,
    REQUEST_URI_LIFETIME,
    Approved,
    Asked,
    Denied,
    Expired,
    Pushed,
    Redeemed,
    Replayed,
    Started,
    approve,
    begin,
    deny,
    ends_at,
    expire,
    open_request,
    push,
    redeem,
)
from wallet_core.protocols.oauth2.authorization_stored import state_from_json, state_kind, state_to_json
from wallet_core.protocols.oauth2.pkce import code_challenge
from wallet_core.protocols.oauth2.token import AuthorizationCodeRequest

NOW = datetime(2026, 11, 22, 3, 25, tzinfo=UTC)
VERIFIER = "v" * 43
ASKED = Asked(AuthorizationRequest("w", "https://w.example/cb", "s", code_challenge(VERIFIER), ("a",)), ("a",))
CODE = AuthorizationCodeRequest("c", "https://w.example/cb", VERIFIER)

times = st.integers(-2000, 2000).map(lambda seconds: NOW + timedelta(seconds=seconds))
keys = st.none() | st.binary(min_size=32, max_size=32)
names = st.lists(st.text(max_size=5), max_size=3).map(tuple)
requests = st.builds(
    AuthorizationRequest,
    st.sampled_from(["w", "other"]),
    st.just("https://w.example/cb"),
    st.none() | st.text(max_size=9),
    st.just(code_challenge(VERIFIER)),
    names,
    names,
    st.none() | st.text(max_size=9),
    keys,
)
asked = st.just(ASKED) | st.builds(Asked, requests, names, names, keys, keys)
states = (
    st.builds(Pushed, asked, times)
    | st.builds(Started, asked, times, times)
    | st.builds(Approved, asked, times)
    | st.builds(Redeemed, asked, st.text(max_size=9), times)
    | st.builds(Replayed, st.text(max_size=9))
    | st.builds(Denied, st.just("access_denied"))
    | st.just(Expired())
)
MOVES = {
    ("pushed", "open"): {"started", InvalidRequestUri},
    ("started", "open"): {"started", InvalidRequestUri},
    ("started", "approve"): {"approved", InvalidRequest},
    ("started", "deny"): {"denied", InvalidRequest},
    ("approved", "redeem"): {"redeemed", InvalidGrant},
    ("redeemed", "redeem"): {"replayed"},
    ("pushed", "expire"): {"pushed", "expired"},
    ("started", "expire"): {"started", "expired"},
    ("approved", "expire"): {"approved", "expired"},
    ("redeemed", "expire"): {"redeemed"},
    ("replayed", "expire"): {"replayed"},
    ("denied", "expire"): {"denied"},
    ("expired", "expire"): {"expired"},
}
FALLBACK = {
    "open": {InvalidRequestUri},
    "approve": {InvalidRequest},
    "deny": {InvalidRequest},
    "redeem": {InvalidGrant},
}


def attempt(state, request: AuthorizationCodeRequest = CODE, *, now: datetime = NOW, **changes):
    who = {"client_id": "w", "instance": None, "dpop": None, "grant_id": "g", **changes}
    return redeem(state, request, now=now, **who)


INPUTS = {
    "open": lambda state, now: open_request(state, client_id="w", now=now),
    "approve": lambda state, now: approve(state, now=now),
    "deny": lambda state, now: deny(state, error="access_denied", now=now),
    "redeem": lambda state, now: attempt(state, now=now),
    "expire": lambda state, now: expire(state, now=now),
}


@pytest.mark.parametrize("name", INPUTS)
@given(state=states, now=times)
def test_every_state_and_input_is_in_the_table(name, state, now):
    allowed = MOVES.get((state_kind(state), name)) or FALLBACK[name]
    try:
        outcome = state_kind(INPUTS[name](state, now))
    except WalletError as error:
        outcome = type(error)
    assert outcome in allowed


@given(states)
def test_states_survive_storage(state):
    body = strict_json.loads_object(strict_json.dumps(state_to_json(state)))
    assert state_from_json(state_kind(state), body) == state
    assert (ends_at(state) is None) == isinstance(state, Replayed | Denied | Expired)


def test_an_unknown_kind_is_our_own_mistake():
    with pytest.raises(ValueError, match="no state"):
        state_from_json("deferred", {})


@pytest.mark.clause("oauth-9126.4-expired", "oauth-9126.4-client", "oauth-9126.4-once", "oauth-6749.4.1-started")
def test_a_pushed_request_is_opened_in_time_by_its_client_until_it_is_over():
    pushed = push(ASKED, now=NOW)
    assert timedelta(seconds=60) <= REQUEST_URI_LIFETIME <= timedelta(seconds=90)
    started = open_request(pushed, client_id="w", now=NOW)
    assert open_request(started, client_id="w", now=NOW + timedelta(seconds=89)) == started
    for state in (pushed, started):
        with pytest.raises(InvalidRequestUri, match="expired"):
            open_request(state, client_id="w", now=NOW + REQUEST_URI_LIFETIME)
        with pytest.raises(InvalidRequestUri, match="another"):
            open_request(state, client_id="other", now=NOW)
    approved = approve(started, now=NOW)
    for over in (approved, deny(started, error="access_denied", now=NOW), attempt(approved)):
        with pytest.raises(InvalidRequestUri, match="used"):
            open_request(over, client_id="w", now=NOW)
        with pytest.raises(InvalidRequest):
            approve(over, now=NOW)
        with pytest.raises(InvalidRequest):
            deny(over, error="access_denied", now=NOW)
    with pytest.raises(InvalidRequest):
        approve(pushed, now=NOW)
    with pytest.raises(InvalidRequest):
        approve(started, now=NOW + LOGIN_LIFETIME)


def test_a_request_from_the_browser_has_no_request_uri_to_open():
    with pytest.raises(InvalidRequestUri):
        open_request(begin(ASKED, now=NOW), client_id="w", now=NOW)


@pytest.mark.clause(
    "oauth-6749.4.1.2-expired",
    "oauth-6749.4.1.3-client",
    "oauth-6749.4.1.3-redirect-uri",
    "oauth-7636.4.6-verifier",
    "oauth-9449.10-bound",
    "oauth-ABCA-instance",
)
def test_a_code_is_redeemed_by_whom_and_how_it_was_given():
    bound = replace(ASKED, instance=b"i", dpop=b"d")
    state, good = Approved(bound, NOW + CODE_LIFETIME), {"instance": b"i", "dpop": b"d"}
    assert timedelta(seconds=60) >= CODE_LIFETIME
    assert isinstance(attempt(state, **good, now=NOW + timedelta(seconds=59)), Redeemed)
    for request, changes in (
        (CODE, {"now": NOW + CODE_LIFETIME}),
        (CODE, {"client_id": "other"}),
        (CODE, {"client_id": None}),
        (CODE, {"instance": None}),
        (CODE, {"instance": b"x"}),
        (CODE, {"dpop": None}),
        (CODE, {"dpop": b"x"}),
        (replace(CODE, redirect_uri="https://w.example/cb/"), {}),
        (replace(CODE, code_verifier=None), {}),
        (replace(CODE, code_verifier="w" * 43), {}),
        (replace(CODE, code_verifier="v" * 42), {}),
        (replace(CODE, code_verifier="v" * 129), {}),
    ):
        with pytest.raises(InvalidGrant):
            attempt(state, request, **{**good, **changes})


@pytest.mark.clause("oauth-6749.4.1.2-once")
def test_a_code_that_comes_again_is_remembered():
    redeemed = attempt(Approved(ASKED, NOW + CODE_LIFETIME))
    assert attempt(redeemed, now=NOW + timedelta(minutes=50)) == Replayed("g")
    with pytest.raises(InvalidGrant):
        attempt(Replayed("g"))
