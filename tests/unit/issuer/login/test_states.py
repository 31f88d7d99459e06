"""The login at the authorization endpoint: every state of a session with every input."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from issuer.login.ports import (
    Choosing,
    Citizen,
    Ended,
    LoggedIn,
    LoginPorts,
    LoginSession,
    LoginState,
    LoginStorage,
    OneTimeCode,
    Stranger,
)
from issuer.login.repository import _state, _to_json
from issuer.login.use_cases import by_code, session
from issuer.login.use_cases.by_code import Refused
from issuer.login.use_cases.session import TEST
from wallet_core.encoding import strict_json
from wallet_core.errors import InvalidRequest, NotFound, StateConflict, WalletError

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
AGENCY = SimpleNamespace(id="police")
KIM, PARK = Citizen("김시험", date(1990, 1, 31)), Citizen("박시험", date(1980, 2, 3))
SECRET = "the secret of the cookie"
BACK = "https://wallet.example/callback?code=c"

texts = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=9)
memos = st.dictionaries(st.sampled_from(["openid", "presentation"]), st.dictionaries(texts, texts, max_size=2))
states = st.one_of(
    st.builds(Choosing, st.integers(0, 5), memos),
    st.builds(LoggedIn, st.just("p1"), texts),
    st.builds(Stranger, texts),
    st.just(Ended()),
)


@dataclass
class Memory:
    """Sessions and codes, and what of the issuance the login asks; ``meant_for`` is whom the offer was made for."""

    session: LoginSession
    meant_for: str | None = None
    over: bool = False
    codes: dict[str, OneTimeCode] = field(default_factory=dict)

    def find(self, agency_id: str, session_id: str) -> LoginSession | None:
        return self.session if (agency_id, session_id) == (self.session.agency_id, self.session.id) else None

    def advance(self, moved: LoginSession, state: LoginState) -> LoginSession:
        if moved.version != self.session.version:
            raise StateConflict("somebody else was first")
        self.session = replace(moved, version=moved.version + 1, state=_state(*written(state)))
        return self.session

    def count_try(self, code: OneTimeCode) -> None:
        self.codes[code.id] = replace(code, tries_left=code.tries_left - 1)

    def ports(self) -> LoginPorts:
        codes = SimpleNamespace(
            put=lambda code: self.codes.update({code.id: code}),
            find=self.codes.get,
            count_try=self.count_try,
            spend=lambda code: self.codes.pop(code.id),
        )
        storage = LoginStorage(nullcontext(), self, codes)
        reading = SimpleNamespace(
            unit=nullcontext(),
            records=SimpleNamespace(find_subject=lambda agency_id, citizen: "p1" if citizen == KIM else None),
            authorizations=SimpleNamespace(find=lambda *_: SimpleNamespace(offer_id="o" if self.meant_for else None)),
            offers=SimpleNamespace(find=lambda *_: SimpleNamespace(subject_id=self.meant_for)),
        )
        issuance = SimpleNamespace(
            clock=SimpleNamespace(now=lambda: NOW), random=lambda length: b"\1" * length, reading=lambda: reading
        )
        return LoginPorts(lambda: storage, lambda: storage, issuance, {TEST.id: TEST}, b"key")

    @contextmanager
    def authorization(self) -> Iterator[None]:
        """Put an authorization in place that is ``over`` or not."""

        def shown(*_: Any, **__: Any) -> Any:
            if self.over:
                raise NotFound("this authorization is over")
            return SimpleNamespace(issued=())

        def left(*_: Any, **__: Any) -> str:
            shown()
            return BACK

        with (
            patch.object(session, "show_authorization", shown),
            patch.object(session, "available_records", lambda *_, **__: {}),
            patch.object(session, "approve_authorization", left),
            patch.object(session, "deny_authorization", left),
        ):
            yield


def written(state: LoginState) -> tuple[str, Any]:
    kind, body = _to_json(state)
    return kind, strict_json.loads_object(strict_json.dumps(body))


def kind_of(state: LoginState) -> str:
    return _to_json(state)[0]


def memory_with(state: LoginState, **more: Any) -> Memory:
    end = NOW + timedelta(minutes=5)
    return Memory(LoginSession(session.session_id(SECRET), "police", "authorization", 1, state, end), **more)


def by_right_code(ports: LoginPorts, found: LoginSession) -> Any:
    code = by_code.create_one_time_code(ports, KIM)
    return by_code.log_in_by_code(ports, AGENCY, found, name=KIM.name, birth_date="1990-01-31", code=code)


def by_wrong_code(ports: LoginPorts, found: LoginSession) -> Any:
    by_code.create_one_time_code(ports, KIM)
    return by_code.log_in_by_code(ports, AGENCY, found, name=KIM.name, birth_date="1990-01-31", code="0000-0000")


INPUTS: dict[str, Callable[[LoginPorts, LoginSession], Any]] = {
    "look": lambda ports, found: session.find_login(ports, AGENCY, SECRET),
    "choose": lambda ports, found: session.check_method(ports, AGENCY, found, TEST.id),
    "remember": lambda ports, found: session.remember(ports, found, "openid", {"nonce": "n"}),
    "prove": lambda ports, found: session.complete_login(ports, found, KIM, "openid"),
    "prove a stranger": lambda ports, found: session.complete_login(ports, found, PARK, "openid"),
    "right code": by_right_code,
    "wrong code": by_wrong_code,
    "ask for consent": lambda ports, found: session.ask_consent(ports, AGENCY, found),
    "confirm": lambda ports, found: session.confirm(ports, AGENCY, found),
    "cancel": lambda ports, found: session.cancel(ports, AGENCY, found),
}
MOVES: dict[tuple[str, str], str] = {
    ("choosing", "look"): "choosing",
    ("logged_in", "look"): "logged_in",
    ("stranger", "look"): "stranger",
    ("choosing", "choose"): "choosing",
    ("choosing", "remember"): "choosing",
    ("choosing", "prove"): "logged_in",
    ("choosing", "prove a stranger"): "stranger",
    ("choosing", "right code"): "logged_in",
    ("choosing", "wrong code"): "choosing",
    ("logged_in", "ask for consent"): "logged_in",
    ("logged_in", "confirm"): "ended",
    ("choosing", "cancel"): "ended",
    ("logged_in", "cancel"): "ended",
    ("stranger", "cancel"): "ended",
    ("ended", "cancel"): "ended",
}


def outcome(name: str, memory: Memory) -> str | type[WalletError]:
    try:
        with memory.authorization():
            INPUTS[name](memory.ports(), memory.session)
    except WalletError as error:
        return type(error)
    return kind_of(memory.session.state)


@pytest.mark.parametrize("name", INPUTS)
@given(state=states)
def test_every_state_and_input_is_in_the_table(name: str, state: LoginState) -> None:
    memory = memory_with(state)
    wanted: str | type[WalletError] = MOVES.get((kind_of(state), name), NotFound)
    if isinstance(state, Choosing) and state.tries_left == 0 and name.endswith("code"):
        wanted = NotFound
    assert outcome(name, memory) == wanted
    if wanted is NotFound:
        assert memory.session.state == state


@given(states)
def test_states_survive_storage(state: LoginState) -> None:
    assert _state(*written(state)) == state


def test_an_unknown_kind_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="no state"):
        _state("approved", {})


@pytest.mark.parametrize("name", ["choose", "right code", "ask for consent", "confirm", "cancel"])
@given(state=states)
def test_nothing_moves_once_the_authorization_is_over(name: str, state: LoginState) -> None:
    memory = memory_with(state, over=True)
    assert outcome(name, memory) is NotFound
    assert memory.session.state == state


@pytest.mark.parametrize("name", ["prove", "right code"])
def test_an_offer_for_somebody_else_is_a_strangers(name: str) -> None:
    memory = memory_with(Choosing(5, {}), meant_for="p2")
    assert outcome(name, memory) == "stranger"
    memory = memory_with(Choosing(5, {}), meant_for="p1")
    assert outcome(name, memory) == "logged_in"


@pytest.mark.parametrize("name", ["remember", "prove"])
def test_of_two_requests_one_moves_the_session(name: str) -> None:
    memory = memory_with(Choosing(5, {}))
    before = memory.session
    assert outcome("remember", memory) == "choosing"
    with pytest.raises(StateConflict), memory.authorization():
        INPUTS[name](memory.ports(), before)


def test_wrong_codes_count_twice_and_a_date_that_is_none_does_not() -> None:
    memory = memory_with(Choosing(2, {}))
    ports = memory.ports()
    with memory.authorization():
        assert by_wrong_code(ports, memory.session) == Refused(1)
        assert [code.tries_left for code in memory.codes.values()] == [by_code.CODE_TRIES - 1]
        for name, day in (("", "1990-01-31"), ("x" * 101, "1990-01-31"), (KIM.name, "soon")):
            with pytest.raises(InvalidRequest):
                by_code.log_in_by_code(ports, AGENCY, memory.session, name=name, birth_date=day, code="1")
        assert by_wrong_code(ports, memory.session) == Refused(0)
        with pytest.raises(NotFound):
            by_right_code(ports, memory.session)


@pytest.mark.parametrize(("secret", "minutes"), [(None, 0), ("", 0), ("another", 0), (SECRET, 5)])
def test_a_login_is_its_browsers_for_its_time(secret: str | None, minutes: int) -> None:
    memory = memory_with(Choosing(5, {}))
    memory.session = replace(memory.session, expires_at=memory.session.expires_at - timedelta(minutes=minutes))
    with pytest.raises(NotFound):
        session.find_login(memory.ports(), AGENCY, secret)
