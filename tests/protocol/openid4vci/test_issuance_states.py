from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_core.encoding import strict_json
from wallet_core.errors import (
    CredentialRequestDenied,
    InvalidAuthorizationDetails,
    InvalidGrant,
    InvalidNotificationId,
    InvalidRequest,
    InvalidToken,
    UnknownCredentialConfiguration,
    UnknownCredentialIdentifier,
    WalletError,
)
from wallet_core.protocols.openid4vci.issuance import (
    ANYBODY,
    MAX_ISSUANCES,
    TX_CODE_TRIES,
    Authorized,
    Expired,
    Invited,
    Issuance,
    Issued,
    Offered,
    RefusalReason,
    Refused,
    TokenHolder,
    create_access_token,
    create_invited,
    create_issuer_state,
    create_offered,
    create_pre_authorized_code,
    create_tx_code,
    digest_tx_code,
    ends_at,
    expire,
    issue,
    notify,
    redeem_code,
    refresh,
    revoke,
    validate_configuration,
    validate_invitation,
)
from wallet_core.protocols.openid4vci.issuance_stored import state_from_json, state_kind, state_to_json
from wallet_core.protocols.openid4vci.messages import NotificationEvent

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
RIGHT, WRONG, TOKEN = b"r" * 32, b"w" * 32, b"t" * 32

times = st.integers(-10_000, 10_000).map(lambda seconds: NOW + timedelta(seconds=seconds))
ids = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True).map(tuple)
issuances = st.lists(
    st.builds(
        Issuance,
        st.sampled_from(["n1", "n2"]),
        st.sampled_from(["a", "b"]),
        st.integers(1, 10),
        times,
        st.none() | st.sampled_from(NotificationEvent),
    ),
    max_size=3,
).map(tuple)
offered = st.builds(Offered, ids, st.none() | st.just(RIGHT), st.integers(1, 5), times)
authorized = st.builds(Authorized, ids, st.just(TOKEN), times)
issued = st.builds(Issued, ids, st.just(TOKEN), times, issuances)
refused = st.builds(Refused, ids, st.just(RefusalReason.TOO_MANY_TRIES))
expired = st.builds(Expired, ids)
invited = st.builds(Invited, ids, times)
holders = st.just(ANYBODY) | st.builds(
    TokenHolder,
    st.sampled_from(["w", "other"]),
    st.none() | st.just(RIGHT),
    st.none() | st.just(RIGHT),
    st.just(()) | st.just(("a",)),
    st.none() | st.just(WRONG),
    st.none() | times,
)
held = st.builds(Authorized, ids, st.just(TOKEN), times, holders) | st.builds(
    Issued, ids, st.just(TOKEN), times, issuances, holders
)
states = offered | invited | authorized | issued | refused | expired | held

MOVES = {
    ("invited", "expire"): {"invited", "expired"},
    ("invited", "accept"): {"invited", InvalidGrant},
    ("authorized", "refresh"): {"authorized", InvalidGrant},
    ("issued", "refresh"): {"issued", InvalidGrant},
    ("offered", "redeem"): {"offered", "authorized", "refused", InvalidGrant, InvalidRequest},
    ("offered", "expire"): {"offered", "expired"},
    ("authorized", "issue"): {"issued", InvalidToken, UnknownCredentialConfiguration},
    ("authorized", "notify"): {InvalidToken, InvalidNotificationId},
    ("authorized", "expire"): {"authorized", "expired"},
    ("issued", "issue"): {"issued", InvalidToken, UnknownCredentialConfiguration},
    ("issued", "notify"): {"issued", InvalidToken, InvalidNotificationId},
    ("issued", "expire"): {"issued"},
    ("invited", "revoke"): {"refused"},
    ("refused", "expire"): {"refused"},
    ("expired", "expire"): {"expired"},
}
FALLBACK = {
    "accept": {InvalidGrant},
    "refresh": {InvalidGrant},
    "revoke": {"refused"},
    "redeem": {InvalidGrant},
    "issue": {InvalidToken},
    "notify": {InvalidToken},
}
INPUTS = {
    "accept": lambda s, now, _: validate_invitation(s, now=now),
    "refresh": lambda s, now, _: refresh(s, token_digest=TOKEN, holder=TokenHolder("w", RIGHT, RIGHT), now=now),
    "revoke": lambda s, _now, _: revoke(s),
    "redeem": lambda s, now, tx: redeem_code(s, tx_code_digest=tx, token_digest=TOKEN, now=now),
    "issue": lambda s, now, _: issue(s, configuration_id="a", copies=1, notification_id="n9", now=now),
    "notify": lambda s, now, _: notify(s, notification_id="n1", event=NotificationEvent.CREDENTIAL_ACCEPTED, now=now),
    "expire": lambda s, now, _: expire(s, now=now),
}


@pytest.mark.clause("vci-8.3.1.1-token", "vci-8.3.1.2-unknown-configuration", "vci-11.3-unknown-id")
@pytest.mark.parametrize("name", INPUTS)
@given(state=states, now=times, tx=st.sampled_from([None, RIGHT, WRONG]))
def test_every_state_and_input_is_in_the_table(name, state, now, tx):
    allowed = MOVES.get((state_kind(state), name)) or FALLBACK[name]
    try:
        outcome = state_kind(INPUTS[name](state, now, tx))
    except WalletError as error:
        outcome = type(error)
    assert outcome in allowed


@given(states)
def test_states_survive_storage(state):
    body = strict_json.loads_object(strict_json.dumps(state_to_json(state)))
    assert state_from_json(state_kind(state), body) == state


def test_an_unknown_kind_is_our_own_mistake():
    with pytest.raises(ValueError, match="no state"):
        state_from_json("deferred", {"configuration_ids": []})


def waiting(tx_code_digest: bytes | None = RIGHT) -> Offered:
    return create_offered(("a", "b"), tx_code_digest=tx_code_digest, now=NOW)


def redeem(state, tx_code_digest: bytes | None = RIGHT, now: datetime = NOW):
    return redeem_code(state, tx_code_digest=tx_code_digest, token_digest=TOKEN, now=now)


def test_the_right_code_gives_a_token_of_five_minutes():
    assert redeem(waiting()) == Authorized(("a", "b"), TOKEN, NOW + timedelta(seconds=300))


@pytest.mark.clause("vci-6.3-tx-code-wrong", "vci-13.6-tries")
def test_wrong_tries_are_counted_by_a_returned_state_and_then_the_code_dies():
    state = waiting()
    for used in range(1, TX_CODE_TRIES):
        state = redeem(state, WRONG)
        assert isinstance(state, Offered)
        assert state.tries_left == TX_CODE_TRIES - used
    state = redeem(state, WRONG)
    assert state == Refused(("a", "b"), RefusalReason.TOO_MANY_TRIES)
    with pytest.raises(InvalidGrant):
        redeem(state)


def test_the_right_code_after_wrong_ones_still_works():
    assert isinstance(redeem(redeem(waiting(), WRONG)), Authorized)


@pytest.mark.clause("vci-6.3-tx-code-expected")
@pytest.mark.parametrize(("asked", "sent"), [(RIGHT, None), (None, RIGHT)])
def test_a_transaction_code_too_few_or_too_many_is_invalid_request_and_no_try(asked, sent):
    with pytest.raises(InvalidRequest):
        redeem(waiting(asked), sent)


@pytest.mark.clause("vci-6.3-once", "vci-6.3-expired")
def test_a_code_works_once_and_not_after_its_time():
    with pytest.raises(InvalidGrant):
        redeem(redeem(waiting()))
    state = waiting()
    with pytest.raises(InvalidGrant):
        redeem(state, now=state.expires_at)
    assert isinstance(redeem(state, now=state.expires_at - timedelta(seconds=1)), Authorized)


@pytest.mark.clause("vci-8.3.1.1-token", "vci-M9-asked-too-often")
def test_a_token_may_ask_again_until_it_expires():
    state = redeem(waiting())
    for number in range(MAX_ISSUANCES):
        state = issue(state, configuration_id="a", copies=2, notification_id=f"n{number}", now=NOW)
    assert len(state.issuances) == MAX_ISSUANCES
    with pytest.raises(CredentialRequestDenied):
        issue(state, configuration_id="a", copies=1, notification_id="more", now=NOW)
    with pytest.raises(InvalidToken):
        issue(state, configuration_id="a", copies=1, notification_id="late", now=state.token_expires_at)


@pytest.mark.clause("vci-11.1-idempotent")
def test_notifications_are_idempotent():
    state = issue(redeem(waiting()), configuration_id="a", copies=1, notification_id="n", now=NOW)
    once = notify(state, notification_id="n", event=NotificationEvent.CREDENTIAL_ACCEPTED, now=NOW)
    assert once.issuances[0].event is NotificationEvent.CREDENTIAL_ACCEPTED
    assert notify(once, notification_id="n", event=NotificationEvent.CREDENTIAL_ACCEPTED, now=NOW) == once


def test_time_alone_ends_what_was_not_used():
    state = waiting()
    assert expire(state, now=NOW) == state
    assert expire(state, now=state.expires_at) == Expired(("a", "b"))
    token = redeem(state)
    assert expire(token, now=token.token_expires_at) == Expired(("a", "b"))
    used = issue(token, configuration_id="a", copies=1, notification_id="n", now=NOW)
    assert expire(used, now=NOW + timedelta(days=1)) == used
    assert ends_at(used) == token.token_expires_at
    assert ends_at(Expired(("a",))) is None


def test_secrets_are_derived_or_random_and_of_the_right_form():
    assert create_pre_authorized_code(b"s", "offer-1") == create_pre_authorized_code(b"s", "offer-1")
    assert create_pre_authorized_code(b"s", "offer-1") != create_pre_authorized_code(b"s", "offer-2")
    assert create_pre_authorized_code(b"s", "offer-1") != create_pre_authorized_code(b"t", "offer-1")
    assert len(create_pre_authorized_code(b"s", "offer-1")) == 43
    assert len(create_access_token(lambda n: b"\0" * n)) == 43
    assert create_tx_code(lambda n: b"\0" * n) == "000000"
    assert digest_tx_code(b"s", "offer-1", "000000") != digest_tx_code(b"s", "offer-2", "000000")


def test_a_stored_state_holds_no_secret_in_clear():
    text = strict_json.dumps_text(state_to_json(replace(waiting(), tx_code_digest=digest_tx_code(b"s", "o", "123456"))))
    assert "123456" not in text


HOLDER = TokenHolder("w", b"i", b"d", refresh_digest=b"x", refresh_expires_at=NOW + timedelta(days=1))


@pytest.mark.clause("vci-5.1.3-open")
def test_an_invitation_is_taken_once_and_in_time():
    state = create_invited(("a",), now=NOW)
    assert validate_invitation(state, now=NOW + timedelta(minutes=29)) == state
    for wrong, now in ((state, NOW + timedelta(minutes=30)), (waiting(), NOW), (Authorized(("a",), TOKEN, NOW), NOW)):
        with pytest.raises(InvalidGrant):
            validate_invitation(wrong, now=now)
    assert create_issuer_state(b"k", "o") != create_pre_authorized_code(b"k", "o")


@pytest.mark.clause("oauth-6749.6-expired", "oauth-6749.10.4-client", "oauth-9449.10-bound", "oauth-ABCA-instance")
def test_a_refresh_token_is_its_holders_until_it_ends():
    state = Authorized(("a",), b"old", NOW, HOLDER)
    fresh = refresh(state, token_digest=TOKEN, holder=HOLDER, now=NOW)
    assert (fresh.token_digest, fresh.holder) == (TOKEN, HOLDER)
    assert fresh.token_expires_at == NOW + timedelta(minutes=30)
    assert ends_at(fresh) == HOLDER.refresh_expires_at
    for who, now in (
        (HOLDER, NOW + timedelta(days=1)),
        (replace(HOLDER, client_id="other"), NOW),
        (replace(HOLDER, client_id=None), NOW),
        (replace(HOLDER, instance=None), NOW),
        (replace(HOLDER, dpop=b"other"), NOW),
    ):
        with pytest.raises(InvalidGrant):
            refresh(state, token_digest=TOKEN, holder=who, now=now)
    for dead in (revoke(state), Authorized(("a",), b"old", NOW)):
        with pytest.raises(InvalidGrant):
            refresh(dead, token_digest=TOKEN, holder=HOLDER, now=NOW)


def test_a_refresh_keeps_what_was_sent_last():
    many = tuple(Issuance(f"n{n}", "a", 1, NOW) for n in range(MAX_ISSUANCES))
    fresh = refresh(Issued(("a",), TOKEN, NOW, many, HOLDER), token_digest=TOKEN, holder=HOLDER, now=NOW)
    assert fresh.issuances == many[-50:]
    assert issue(fresh, configuration_id="a", copies=1, notification_id="n", now=NOW).holder == HOLDER


@pytest.mark.clause("vci-M9-asked-too-often")
def test_every_access_token_may_ask_as_often_as_the_first():
    state = Issued(("a",), TOKEN, NOW, tuple(Issuance(f"n{n}", "a", 1, NOW) for n in range(MAX_ISSUANCES)), HOLDER)
    for round_ in range(2):
        state = refresh(state, token_digest=TOKEN, holder=HOLDER, now=NOW)
        for number in range(MAX_ISSUANCES):
            state = issue(state, configuration_id="a", copies=1, notification_id=f"{round_} {number}", now=NOW)
            state = state_from_json(state_kind(state), state_to_json(state))
        with pytest.raises(CredentialRequestDenied):
            issue(state, configuration_id="a", copies=1, notification_id="more", now=NOW)
        # What is remembered has an end all the same.
        assert len(state.issuances) == 50 + MAX_ISSUANCES


@pytest.mark.clause("vci-6.1-subset", "vci-8.3.1.2-identifier-not-given")
def test_details_narrow_what_was_offered():
    state = redeem_code(waiting(None), tx_code_digest=None, token_digest=TOKEN, now=NOW, details=("b",))
    assert (state.configuration_ids, state.holder.identified) == (("b",), ("b",))
    validate_configuration(state, "b", by_identifier=True)
    validate_configuration(state, "b")
    with pytest.raises(UnknownCredentialIdentifier):
        validate_configuration(state, "a", by_identifier=True)
    with pytest.raises(UnknownCredentialConfiguration):
        validate_configuration(state, "a")
    with pytest.raises(InvalidAuthorizationDetails):
        redeem_code(waiting(None), tx_code_digest=None, token_digest=TOKEN, now=NOW, details=("c",))
