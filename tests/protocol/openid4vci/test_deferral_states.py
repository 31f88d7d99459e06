from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.encoding import strict_json
from wallet_core.errors import CredentialRequestDenied, InvalidTransactionId, StateConflict, WalletError
from wallet_core.keys.jwk import public_jwk
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.deferral import (
    COLLECTION_LIFETIME,
    DECISION_LIFETIME,
    MAX_REASON,
    DeferralState,
    Delivered,
    Denied,
    Lapsed,
    Ready,
    Request,
    Waiting,
    approve,
    ask,
    can_undo,
    create_transaction_id,
    defer,
    deliver,
    deny,
    ends_at,
    expire,
    state_from_json,
    state_kind,
    state_to_json,
    undo,
)
from wallet_core.protocols.openid4vci.proof import AcceptedKey

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
KEYS = tuple(
    AcceptedKey.from_json({"jwk": public_jwk(SoftwareSigner.generate().public_key), "nonce": "n"}) for _ in range(2)
)

times = st.integers(-10_000, 10_000).map(lambda seconds: NOW + timedelta(seconds=seconds))
requests = st.builds(Request, st.sampled_from(["a", "b"]), st.sampled_from([KEYS, KEYS[:1], ()]), times)
waiting = st.builds(Waiting, requests, times)
ready = st.builds(Ready, requests, times, st.just("clerk"), times)
denied = st.builds(Denied, requests, times, st.just("clerk"), st.text(max_size=5), times, st.none() | times)
delivered = st.builds(Delivered, requests, times, st.just("clerk"), times)
lapsed = st.builds(Lapsed, requests)
states = waiting | ready | denied | delivered | lapsed

MOVES: dict[tuple[str, str], set[Any]] = {
    ("waiting", "approve"): {"ready", StateConflict},
    ("waiting", "deny"): {"denied", StateConflict},
    ("waiting", "ask"): {"waiting", InvalidTransactionId},
    ("waiting", "expire"): {"waiting", "lapsed"},
    ("ready", "undo"): {"waiting", StateConflict},
    ("ready", "ask"): {"ready", InvalidTransactionId},
    ("ready", "deliver"): {"delivered", InvalidTransactionId},
    ("ready", "expire"): {"ready", "lapsed"},
    ("denied", "undo"): {"waiting", StateConflict},
    ("denied", "ask"): {"denied", CredentialRequestDenied, InvalidTransactionId},
    ("denied", "expire"): {"denied"},
    ("delivered", "expire"): {"delivered"},
    ("lapsed", "expire"): {"lapsed"},
}
FALLBACK: dict[str, set[Any]] = {
    "approve": {StateConflict},
    "deny": {StateConflict},
    "undo": {StateConflict},
    "ask": {InvalidTransactionId},
    "deliver": {InvalidTransactionId},
}
INPUTS: dict[str, Any] = {
    "approve": lambda s, now: approve(s, decided_by="clerk", now=now),
    "deny": lambda s, now: deny(s, decided_by="clerk", reason="r", now=now),
    "undo": lambda s, now: undo(s, now=now),
    "ask": lambda s, now: ask(s, now=now),
    "deliver": lambda s, now: deliver(s, now=now),
    "expire": lambda s, now: expire(s, now=now),
}


@pytest.mark.clause("vci-9.2-once", "vci-9.3-too-late", "vci-9.3-denied", "vci-9.2-ready")
@pytest.mark.parametrize("name", INPUTS)
@given(state=states, now=times)
def test_every_state_and_input_is_in_the_table(name: str, state: DeferralState, now: datetime) -> None:
    allowed = MOVES.get((state_kind(state), name)) or FALLBACK[name]
    outcome: Any
    try:
        after = INPUTS[name](state, now)
        outcome = state_kind(after)
        assert after.request == state.request
    except WalletError as error:
        outcome = type(error)
    assert outcome in allowed


@given(states)
def test_states_survive_storage(state: DeferralState) -> None:
    body = strict_json.loads_object(strict_json.dumps(state_to_json(state)))
    assert state_from_json(state_kind(state), body) == state


def test_an_unknown_kind_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="no state"):
        state_from_json("issued", state_to_json(defer("a", keys=KEYS, now=NOW)))


@pytest.mark.clause("vci-9.2-once", "vci-9.2-ready")
def test_what_is_approved_is_delivered_once() -> None:
    state = defer("a", keys=KEYS, now=NOW)
    assert ask(state, now=NOW) == state
    with pytest.raises(InvalidTransactionId):
        deliver(state, now=NOW)
    approved = approve(state, decided_by="clerk", now=NOW)
    assert ask(approved, now=NOW) == approved
    after = deliver(approved, now=NOW)
    assert after.request.keys == KEYS
    for again in (ask, deliver):
        with pytest.raises(InvalidTransactionId):
            again(after, now=NOW)
    with pytest.raises(StateConflict):
        approve(approved, decided_by="other", now=NOW)


@pytest.mark.clause("vci-9.3-denied")
def test_a_refusal_is_told_once_as_a_state_and_then_for_good() -> None:
    state = deny(defer("a", keys=KEYS, now=NOW), decided_by="clerk", reason="가" * 1000, now=NOW)
    assert len(state.reason) == MAX_REASON
    told = ask(state, now=NOW)
    assert isinstance(told, Denied)
    assert told.told_at == NOW
    with pytest.raises(CredentialRequestDenied) as caught:
        ask(told, now=NOW)
    assert "가" not in caught.value.description


def test_a_decision_can_be_taken_back_until_the_wallet_has_heard_of_it() -> None:
    state = defer("a", keys=KEYS, now=NOW)
    later = NOW + timedelta(hours=1)
    for decided in (
        approve(state, decided_by="clerk", now=later),
        deny(state, decided_by="clerk", reason="r", now=later),
    ):
        assert can_undo(decided, now=later)
        assert undo(decided, now=later) == state
    told = ask(deny(state, decided_by="clerk", reason="r", now=later), now=later)
    sent = deliver(approve(state, decided_by="clerk", now=later), now=later)
    for final in (told, sent, state, Lapsed(state.request)):
        assert not can_undo(final, now=later)


@pytest.mark.clause("vci-9.3-too-late")
def test_nobody_waits_for_ever() -> None:
    state = defer("a", keys=KEYS, now=NOW)
    end = NOW + DECISION_LIFETIME
    assert ends_at(state) == end
    assert expire(state, now=end) == Lapsed(state.request)
    approved = approve(state, decided_by="clerk", now=NOW)
    assert ends_at(approved) == NOW + COLLECTION_LIFETIME
    assert expire(approved, now=NOW + COLLECTION_LIFETIME) == Lapsed(state.request)
    assert ends_at(Lapsed(state.request)) is None
    with pytest.raises(StateConflict):
        approve(state, decided_by="clerk", now=end)
    with pytest.raises(InvalidTransactionId):
        ask(approved, now=NOW + COLLECTION_LIFETIME)


def test_a_transaction_id_cannot_be_guessed() -> None:
    assert len(create_transaction_id(lambda n: b"\0" * n)) == 43
