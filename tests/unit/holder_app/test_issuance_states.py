"""The wallet's issuances: every state with every input, while no other server can be reached.

What an answer of a server leads to is in ``test_issuance``; here is what a person, a browser that comes back, and the
job that asks again may do in each state.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holder_app.issuance import authorizing, receiving, use_cases, waiting
from holder_app.issuance.authorizing import NoSuchLogin
from holder_app.issuance.receiving import ClientIdentity, IssuancePorts
from holder_app.issuance.states import (
    Authorizing,
    Declined,
    Exchanging,
    Failed,
    Given,
    Issuance,
    IssuanceState,
    Kept,
    Preview,
    Reason,
    Redeeming,
    Reviewed,
    Signing,
    Waiting,
    kind_of,
    state_from_json,
    state_to_json,
)
from holder_app.ports import UNDER_WAY
from tests.simulators import run_flow
from tests.simulators.authorizing import AuthorizingIssuer
from tests.simulators.issuer import NOW, SimulatedIssuer
from tests.support.presentations import new_ca
from wallet_core.adapters.config import load_catalogue
from wallet_core.adapters.ui.messages import load_messages
from wallet_core.encoding import strict_json
from wallet_core.errors import FetchError, MalformedError, StateConflict, WalletError
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.oauth2.client import ClientInstance
from wallet_core.protocols.openid4vci import wallet
from wallet_core.protocols.openid4vci.pending import DeferredCredential
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors

LINK = "openid-credential-offer://?credential_offer_uri=https%3A%2F%2Fissuer.example%2Foffer"
ACCOUNT, SESSION, STATE = "account", "session", "the state"
CATALOGUE = load_catalogue()
KEY = SoftwareSigner.generate()
CLIENT = ClientInstance("https://wallet.example/client", "https://wallet.example/callback", KEY)
ISS = "https://issuer.example/agencies/police"

OFFERS = [
    run_flow(wallet.resolve_offer(LINK), SimulatedIssuer()),
    run_flow(wallet.resolve_offer(LINK), AuthorizingIssuer()),
]
PENDING = run_flow(
    wallet.request_proofs(OFFERS[0], {"licence": [KEY.public_key]}, tx_code="123456", now=NOW), SimulatedIssuer()
)
ISSUED = run_flow(
    wallet.receive_credentials(PENDING, [KEY.sign(PENDING.proofs[0].signing_input)], now=NOW), SimulatedIssuer()
)
DEFERRED = replace(ISSUED, batches=(), deferred=(DeferredCredential("licence", "t", 60, 1),))
TWO_INTERVALS = tuple(DeferredCredential("licence", f"t-{seconds}", seconds, 1) for seconds in (30, 3600))
LOGIN = run_flow(wallet.resolve_choice(ISS, ["licence"]), AuthorizingIssuer())
STARTED = replace(
    run_flow(
        wallet.start_authorization(LOGIN, CLIENT, configuration_ids=["licence"], now=NOW, random=os.urandom),
        AuthorizingIssuer(),
    ),
    state=STATE,
)
BACK = {"state": STATE, "iss": ISS}
CALLBACKS = [
    {**BACK, "code": "c"},
    {**BACK, "error": "access_denied"},
    {**BACK, "error": "server_error"},
    {**BACK, "error": "invalid_scope"},
    {**BACK, "iss": "https://other.example", "code": "c"},
    {"state": "another", "code": "c"},
    BACK,
]

ANCHORS = TrustAnchors([TrustAnchor(new_ca().certificate, AnchorPurpose.CREDENTIAL_ISSUER)])

times = st.integers(-200, 200).map(lambda seconds: NOW + timedelta(seconds=seconds))
offers = st.sampled_from([*OFFERS, LOGIN])
texts = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=9)
signers = st.sampled_from([(), (KEY,)])
states = st.one_of(
    st.just(Given(LINK, "issuer.example")),
    st.builds(Reviewed, offers, st.integers(0, 5), st.none() | st.integers(0, 5), texts),
    st.builds(Redeeming, offers, times, st.integers(0, 5)),
    st.just(Authorizing(STARTED)),
    st.builds(Exchanging, st.just(STARTED), st.sampled_from(CALLBACKS), times),
    st.just(Signing(PENDING, (KEY,))),
    st.builds(Preview, st.sampled_from([ISSUED, DEFERRED]), st.just(()), signers),
    st.builds(
        Waiting,
        st.just(DEFERRED),
        signers,
        times,
        times,
        st.just(("c",)) | st.just(()),
        st.none() | times,
        st.booleans(),
    ),
    st.builds(Kept, st.just(("c",)) | st.just(())),
    st.just(Declined()),
    st.builds(Failed, st.sampled_from(Reason), texts),
)


@dataclass
class Memory:
    """Everything that the use cases keep, in memory."""

    kept: Issuance
    logins: dict[bytes, str] = field(default_factory=dict)
    reminders: list[timedelta] = field(default_factory=list)
    history: list[Any] = field(default_factory=list)

    def get(self, account_id: str, issuance_id: str) -> Issuance | None:
        return self.kept if (account_id, issuance_id) == (self.kept.account_id, self.kept.id) else None

    def advance(self, issuance: Issuance, state: IssuanceState, *, until: datetime | None = None) -> Issuance:
        if issuance.version != self.kept.version:
            raise StateConflict("somebody else was first")
        stored = state_from_json(kind_of(state), written(state))
        self.kept = replace(
            issuance, version=issuance.version + 1, state=stored, expires_at=until or issuance.expires_at
        )
        return self.kept


class Nowhere:
    """Every server is down."""

    async def arun(self, flow: Any) -> Any:
        try:
            next(flow)
        except StopIteration as stop:
            return stop.value
        raise FetchError("the other server could not be reached")


def written(state: IssuanceState) -> Any:
    return strict_json.loads_object(strict_json.dumps(state_to_json(state)))


def ports_of(memory: Memory) -> IssuancePorts:
    return IssuancePorts(
        unit=nullcontext(),
        issuances=memory,
        cards=SimpleNamespace(add=lambda card: None, get=lambda account_id, card_id: None),
        history=SimpleNamespace(add=memory.history.append),
        catalogue=CATALOGUE,
        anchors=ANCHORS,
        fetch=Nowhere(),
        clock=SimpleNamespace(now=lambda: NOW),
        random=os.urandom,
        issuers=SimpleNamespace(),
        logins=SimpleNamespace(
            add=lambda digest, *_ignored, expires_at: memory.logins.update({digest: memory.kept.id}),
            spend=lambda digest, *_ignored: memory.logins.pop(digest, None),
        ),
        reminders=SimpleNamespace(ask_later=lambda issuance, delay, turn="": memory.reminders.append(delay)),
        identity=ClientIdentity(CLIENT.client_id, CLIENT.redirect_uri, lambda account_id, issuer: KEY),
    )


INPUTS: dict[str, Callable[[IssuancePorts, Memory], Any]] = {
    "fetch": lambda ports, memory: use_cases.fetch_offer(ports, ACCOUNT, memory.kept.id),
    "accept": lambda ports, memory: use_cases.accept_offer(ports, ACCOUNT, memory.kept.id, "123456"),
    "log_in": lambda ports, memory: authorizing.start_login(ports, memory.kept, SESSION),
    "come_back": lambda ports, memory: authorizing.take_answer(ports, ACCOUNT, SESSION, {**BACK, "code": "c"}),
    "keep": lambda ports, memory: use_cases.keep_cards(ports, ACCOUNT, memory.kept.id),
    "decline": lambda ports, memory: use_cases.decline_offer(ports, ACCOUNT, memory.kept.id),
    "ask": lambda ports, memory: waiting.ask_again(ports, ACCOUNT, memory.kept.id),
}
# What may come of it: the state afterwards, and the error that was raised.
MOVES: dict[tuple[str, str], set[tuple[str, type[WalletError] | None]]] = {
    ("given", "fetch"): {("given", FetchError)},
    ("given", "accept"): {("given", StateConflict)},
    ("given", "decline"): {("declined", None)},
    ("reviewed", "accept"): {("reviewed", FetchError), ("failed", None)},
    ("reviewed", "log_in"): {("authorizing", None), ("reviewed", FetchError), ("failed", None)},
    ("reviewed", "decline"): {("declined", None)},
    ("redeeming", "accept"): {("redeeming", StateConflict), ("reviewed", FetchError), ("failed", None)},
    ("redeeming", "decline"): {("declined", None)},
    ("authorizing", "accept"): {("authorizing", StateConflict)},
    ("authorizing", "log_in"): {("authorizing", FetchError)},
    ("authorizing", "come_back"): {("exchanging", None)},
    ("authorizing", "decline"): {("declined", None)},
    ("exchanging", "accept"): {
        ("exchanging", StateConflict),
        ("exchanging", FetchError),
        ("reviewed", None),
        ("failed", None),
    },
    ("exchanging", "log_in"): {("exchanging", FetchError)},
    ("exchanging", "decline"): {("declined", None)},
    ("signing", "accept"): {("signing", FetchError)},
    ("signing", "decline"): {("declined", None)},
    ("preview", "keep"): {("kept", None), ("waiting", None)},
    ("preview", "decline"): {("declined", None)},
    ("waiting", "ask"): {("waiting", None), ("waiting", StateConflict)},
    ("waiting", "decline"): {("declined", None)},
    ("kept", "decline"): {("kept", StateConflict)},
    ("declined", "accept"): {("declined", StateConflict)},
}
UNLESS_LISTED: dict[str, type[WalletError] | None] = {
    # None: the state is shown as it is, and nothing happens.
    "fetch": None,
    "accept": None,
    "log_in": StateConflict,
    "come_back": NoSuchLogin,
    "keep": StateConflict,
    "decline": None,
    "ask": None,
}
ALREADY = {("kept", "keep"), ("waiting", "keep")}


def after(name: str, state: IssuanceState) -> tuple[str, type[WalletError] | None, Memory]:
    memory = Memory(Issuance("issuance", ACCOUNT, 1, state, NOW + timedelta(hours=1)))
    memory.logins[authorizing._digest(STATE)] = "issuance"
    error: type[WalletError] | None = None
    try:
        result = INPUTS[name](ports_of(memory), memory)
        if asyncio.iscoroutine(result):
            result = asyncio.run(result)
        assert result == memory.kept
    except WalletError as exc:
        error = type(exc)
    return kind_of(memory.kept.state), error, memory


@pytest.mark.parametrize("name", INPUTS)
@given(state=states)
def test_every_state_and_input_is_in_the_table(name: str, state: IssuanceState) -> None:
    before = kind_of(state)
    fallback = None if (before, name) in ALREADY else UNLESS_LISTED[name]
    kind, error, memory = after(name, state)
    assert (kind, error) in MOVES.get((before, name), {(before, fallback)})
    if (before, name) not in MOVES:
        assert memory.kept.version == 1
        assert memory.history == []


@given(states)
def test_states_survive_storage(state: IssuanceState) -> None:
    stored = written(state)
    assert state_to_json(state_from_json(kind_of(state), stored)) == stored


@pytest.mark.parametrize("language", ["ko", "en"])
def test_every_reason_has_its_words(language: str) -> None:
    texts = load_messages(["wallet"]).texts[language]
    wanted = {key for each in Reason for key in (f"ended.{each}_title", f"ended.{each}_text", f"reason.{each}")}
    assert {f"wallet.{key}" for key in wanted} <= set(texts)


def test_a_stored_state_of_no_kind_is_refused() -> None:
    with pytest.raises(MalformedError):
        state_from_json("issued", {})
    with pytest.raises(MalformedError):
        state_from_json("waiting", {"issued": None})


@given(st.integers(-200, 200), st.sampled_from(["redeeming", "exchanging", "waiting"]))
def test_what_is_under_way_is_begun_again_after_a_while(seconds: int, kind: str) -> None:
    since = NOW - timedelta(seconds=seconds)
    state, name = {
        "redeeming": (Redeeming(OFFERS[0], since), "accept"),
        "exchanging": (Exchanging(STARTED, CALLBACKS[0], since), "accept"),
        "waiting": (Waiting(DEFERRED, (KEY,), NOW, NOW, (), since), "ask"),
    }[kind]
    _, error, _ = after(name, state)
    assert (error is StateConflict) == (since + UNDER_WAY > NOW)


@pytest.mark.clause("vci-9.2-interval")
def test_who_asks_in_vain_is_reminded() -> None:
    _, _, memory = after("ask", Waiting(DEFERRED, (KEY,), NOW, NOW))
    assert isinstance(memory.kept.state, Waiting)
    assert memory.kept.state.trouble
    assert memory.reminders == [UNDER_WAY, waiting.RETRY_TROUBLE]


@pytest.mark.clause("vci-9.2-interval")
@pytest.mark.parametrize("order", [1, -1])
def test_of_two_intervals_the_longer_one_is_waited_for(order: int) -> None:
    deferred = replace(DEFERRED, deferred=TWO_INTERVALS[::order])
    _, _, memory = after("keep", Preview(replace(ISSUED, deferred=deferred.deferred), (), (KEY,)))
    assert isinstance(memory.kept.state, Waiting)
    assert memory.kept.state.next_at == NOW + timedelta(seconds=3600)
    assert memory.reminders == [timedelta(seconds=3600)]
    _, _, memory = after("ask", Waiting(deferred, (KEY,), NOW, NOW))
    assert memory.reminders == [UNDER_WAY, timedelta(seconds=3600)]


@pytest.mark.clause("haip-4.4.1-per-issuer")
def test_no_two_issuers_see_one_key() -> None:
    def key_at(account_id: str, issuer: str) -> SoftwareSigner:
        return keys.setdefault((account_id, issuer), SoftwareSigner.generate())

    keys: dict[tuple[str, str], SoftwareSigner] = {}
    ports = ports_of(Memory(Issuance("i", ACCOUNT, 1, Declined(), NOW)))
    ports = replace(ports, identity=replace(ports.identity, instance_key=key_at))
    elsewhere = replace(OFFERS[0], offer=replace(OFFERS[0].offer, credential_issuer="https://other.example"))
    one, other, again = (receiving.client_of(ports, ACCOUNT, each) for each in (OFFERS[0], elsewhere, OFFERS[0]))
    assert one.signer is again.signer is keys[ACCOUNT, ISS]
    assert other.signer is keys[ACCOUNT, "https://other.example"]
