"""Every state against every input, and every state to JSON and back."""

import hashlib
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.protocol.openid4vp.test_validation import expectation, present
from tests.support.presentations import NOW, world
from tests.support.transactions import transaction, transaction_types
from wallet_core.errors import Expired as ExpiredError
from wallet_core.errors import HolderBindingError, MalformedError, NotFound, StateConflict
from wallet_core.protocols.openid4vp import presentation as states
from wallet_core.protocols.openid4vp.dc_api import DcApiOffer, DcApiProtocol, DcApiRequest
from wallet_core.protocols.openid4vp.presentation import (
    Answered,
    Expired,
    PresentationFlow,
    Refused,
    Requested,
    Retrieved,
    Terms,
    Verified,
)
from wallet_core.protocols.openid4vp.stored import credentials_of, credentials_to_json, state_from_json, state_to_json
from wallet_core.protocols.openid4vp.transaction_data import create_transactions
from wallet_core.protocols.openid4vp.validation import _SEAL, validate_vp_token

RIGHT, WRONG = (hashlib.sha256(code).digest() for code in (b"right", b"wrong"))
VALIDATED = validate_vp_token({"licence": [present()]}, expectation(), now=NOW)
LATER = NOW + timedelta(seconds=30)


def terms(flow=PresentationFlow.SAME_DEVICE):
    return Terms(
        world().request(), flow, "get", "https://shop.example/back", NOW, NOW + timedelta(minutes=5), timedelta(1)
    )


def every_state():
    requested = Requested(terms())
    retrieved = states.retrieve(requested, now=NOW)
    answered = states.answer(retrieved, VALIDATED, response_code_digest=RIGHT, now=NOW)
    return {
        "requested": requested,
        "retrieved": retrieved,
        "answered": answered,
        "verified": states.redeem(answered, RIGHT, now=NOW),
        "refused": states.refuse(retrieved, HolderBindingError("x", step=6), now=NOW),
        "expired": states.end(requested, now=NOW),
        "stopped": states.stop(requested, now=NOW),
    }


INPUTS = {
    "retrieve": lambda state: states.retrieve(state, now=LATER),
    "answer": lambda state: states.answer(state, VALIDATED, response_code_digest=RIGHT, now=LATER),
    "refuse": lambda state: states.refuse(state, HolderBindingError("x", step=6), now=LATER),
    "decline": lambda state: states.decline(state, "access_denied", now=LATER),
    "end": lambda state: states.end(state, now=LATER),
    "stop": lambda state: states.stop(state, now=LATER),
    "redeem": lambda state: states.redeem(state, RIGHT, now=LATER),
    "redeem wrong": lambda state: states.redeem(state, WRONG, now=LATER),
    "redeem late": lambda state: states.redeem(state, RIGHT, now=NOW + states.REDEEM_WITHIN),
    "return elsewhere": lambda state: states.return_elsewhere(state, now=LATER),
    "forget": lambda state: states.forget(state, now=LATER),
}
OPEN = {
    "retrieve": Retrieved,
    "answer": Answered,
    "refuse": Refused,
    "decline": Refused,
    "end": Expired,
    "stop": Expired,
}
TABLE = {
    "requested": OPEN,
    "retrieved": OPEN,
    "answered": {
        "redeem": Verified,
        "redeem wrong": Answered,
        "redeem late": Expired,
        "return elsewhere": Refused,
    },
    "verified": {"forget": Verified},
    "refused": {"forget": Refused},
    "expired": {"forget": Expired},
    "stopped": {"forget": Expired},
}


@pytest.mark.clause(
    "vp-13.3-once", "vp-13.3-same-device", "vp-13.3-response-code", "vp-13.3-redeem-late", "x509-HAIP5.1-other-browser"
)
@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("given", INPUTS)
def test_every_state_and_input(name, given) -> None:
    state = every_state()[name]
    if given in TABLE[name]:
        assert type(INPUTS[given](state)) is TABLE[name][given]
    else:
        with pytest.raises(StateConflict):
            INPUTS[given](state)


@pytest.mark.clause("vp-13.3-expired")
@pytest.mark.parametrize("given", ["retrieve", "answer", "refuse", "decline", "stop"])
def test_nothing_is_answered_late(given) -> None:
    late = Requested(replace(terms(), expires_at=NOW))
    with pytest.raises(ExpiredError):
        INPUTS[given](late)


@pytest.mark.clause("vp-13.3-same-device")
def test_across_devices_the_answer_is_verified_at_once() -> None:
    requested = Requested(terms(PresentationFlow.CROSS_DEVICE))
    verified = states.answer(requested, VALIDATED, response_code_digest=RIGHT, now=NOW)
    assert isinstance(verified, Verified)
    assert verified.keep_until == NOW + timedelta(1)


def test_wrong_codes_are_counted_and_then_the_answer_is_gone() -> None:
    state = every_state()["answered"]
    for _ in range(states.MAX_WRONG_CODES - 1):
        state = states.redeem(state, WRONG, now=LATER)
        assert isinstance(state, Answered)
    refused = states.redeem(state, WRONG, now=LATER)
    assert isinstance(refused, Refused)
    assert (refused.error, refused.clause) == ("access_denied", "OpenID4VP 13.3")


def test_an_answer_that_came_back_elsewhere_names_another_rule() -> None:
    refused = states.return_elsewhere(every_state()["answered"], now=LATER)
    assert (refused.error, refused.clause) == ("access_denied", "HAIP 5.1")


def test_what_is_forgotten_holds_no_claims_and_says_since_when() -> None:
    verified = every_state()["verified"]
    forgotten = states.forget(verified, now=LATER)
    assert forgotten == replace(verified, credentials=None, keep_until=LATER)
    assert states.next_change(forgotten) is None
    # Once more, later: it does not say that it happened then.
    assert states.forget(forgotten, now=NOW + timedelta(days=400)) == forgotten
    # What time has done already is no merit of whoever asks.
    in_time = states.forget(verified, now=verified.keep_until)
    assert in_time == replace(verified, credentials=None)


@pytest.mark.parametrize("name", ["requested", "retrieved", "answered"])
def test_what_ended_by_time_alone_can_be_forgotten(name) -> None:
    assert isinstance(states.forget(every_state()[name], now=NOW + timedelta(days=400)), Expired)


@pytest.mark.parametrize("name", ["refused", "expired"])
def test_what_never_had_claims_to_read_is_as_it_was(name) -> None:
    state = every_state()[name]
    assert states.forget(state, now=LATER) is state


@pytest.mark.parametrize("name", TABLE)
def test_time_alone(name) -> None:
    state = every_state()[name]
    change = states.next_change(state)
    assert states.observe(state, now=NOW) == state
    after = states.observe(state, now=NOW + timedelta(days=400))
    if change is None:
        assert after == state
    else:
        assert states.observe(state, now=change - timedelta(seconds=1)) == state
        assert states.observe(state, now=change) == after != state
        assert credentials_of(after) is None


@pytest.mark.parametrize("name", TABLE)
def test_stored_and_read_again(name) -> None:
    state = every_state()[name]
    body = json.loads(json.dumps(state_to_json(state)))
    held = credentials_of(state)
    claims = None if held is None else json.loads(json.dumps(credentials_to_json(held)))
    assert state_from_json(state.kind, body, claims) == state
    # No claim stands in the body, which is not sealed.
    assert "홍시험" not in json.dumps(body, ensure_ascii=False)


@pytest.mark.parametrize("flow", PresentationFlow)
def test_what_was_agreed_to_stays_with_the_record(flow) -> None:
    request = world().request()
    entries = create_transactions([transaction()], request.dcql_query, transaction_types())
    asked = replace(terms(flow), request=replace(request, transaction_data=entries))
    agreed = replace(VALIDATED, seal=_SEAL, agreed=("licence",))
    state = states.answer(Requested(asked), agreed, response_code_digest=RIGHT, now=NOW)
    if isinstance(state, Answered):
        state = states.redeem(state, RIGHT, now=NOW)
    read = state_from_json(state.kind, json.loads(json.dumps(state_to_json(state))), None)
    assert isinstance(read, Verified)
    assert (read.agreed, read.terms.request.transaction_data) == (("licence",), entries)


def test_a_refusal_says_whether_the_agreement_was_reached() -> None:
    request = world().request()
    entries = create_transactions([transaction()], request.dcql_query, transaction_types())
    asked = replace(terms(), request=replace(request, transaction_data=entries))
    refused = states.refuse(Requested(asked), HolderBindingError("x", step=6), now=NOW)
    assert [check.ok for check in refused.checks] == [True] * 5 + [False] + [None] * 5
    assert len(states.refuse(Requested(terms()), HolderBindingError("x", step=6), now=NOW).checks) == 10


def test_a_row_from_before_there_were_transactions() -> None:
    verified = every_state()["verified"]
    body = state_to_json(verified)
    del body["agreed"]
    assert state_from_json(verified.kind, body, None).agreed == ()


def test_claims_can_go_while_the_record_stays() -> None:
    verified = every_state()["verified"]
    without = state_from_json(verified.kind, state_to_json(verified), None)
    assert isinstance(without, Verified)
    assert without.credentials is None
    assert [check.ok for check in without.checks] == [True] * 10


@pytest.mark.parametrize("kind", ["answered", "nonsense"])
@pytest.mark.parametrize("body", [{}, {"terms": 1}, {"terms": {}}])
def test_a_row_that_makes_no_sense(kind, body) -> None:
    with pytest.raises(MalformedError):
        state_from_json(kind, body, None)


def dc_api_terms(info: str | None) -> Terms:
    request = DcApiRequest(
        world().request().client_id,
        world().request().nonce,
        world().request().dcql_query,
        world().encryption if info is None else None,
        ("https://verifier.example",),
    )
    offer = DcApiOffer((DcApiProtocol.SIGNED, DcApiProtocol.ISO_MDOC), info)
    return replace(terms(PresentationFlow.CROSS_DEVICE), request=request, redirect_uri=None, dc_api=offer)


@pytest.mark.clause("dcapi-A.2-no-response-uri")
@pytest.mark.parametrize("info", [None, "encryption-info"])
def test_a_request_over_the_dc_api_is_verified_by_its_answer_and_has_no_address(info) -> None:
    requested = Requested(dc_api_terms(info))
    body = json.loads(json.dumps(state_to_json(requested)))
    assert state_from_json("requested", body, None) == requested
    assert isinstance(states.answer(requested, VALIDATED, response_code_digest=b"", now=LATER), Verified)
    assert isinstance(states.decline(requested, "access_denied", now=LATER), Refused)
    assert states.end(requested, now=LATER).terms == requested.terms
    with pytest.raises(NotFound):
        _ = requested.terms.linked_request
    for wrong in ({"dc_api": []}, {"dc_api": {}}, {"dc_api": {"protocols": ["other"], "encryption_info": None}}):
        with pytest.raises(MalformedError):
            state_from_json("requested", {**body, "terms": {**body["terms"], **wrong}}, None)
