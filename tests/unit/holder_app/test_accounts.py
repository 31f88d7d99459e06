"""Signing in by a printed one-time code."""

from datetime import timedelta

import pytest

from holder_app.accounts import use_cases
from holder_app.accounts.ports import SignInRefused
from tests.support.wallets import Town
from wallet_core.errors import NotFound


def _code(town: Town) -> str:
    return use_cases.create_sign_in_code(town.wallet.account_ports(), town.owner.id)


def test_a_code_opens_one_session(town: Town) -> None:
    ports = town.wallet.account_ports()
    code = _code(town)
    use_cases.sign_in(ports, f" {code.replace('-', ' ')} ", "token")
    assert use_cases.resolve_session(ports, "token") == town.owner
    assert use_cases.resolve_session(ports, "other") is None
    with pytest.raises(SignInRefused):
        use_cases.sign_in(ports, code, "second")
    assert use_cases.resolve_session(ports, "second") is None


def test_a_code_dies_after_five_wrong_tries(town: Town) -> None:
    ports = town.wallet.account_ports()
    code = _code(town)
    wrong = code[:-1] + str((int(code[-1]) + 1) % 10)
    for _ in range(use_cases.CODE_TRIES):
        with pytest.raises(SignInRefused):
            use_cases.sign_in(ports, wrong, "token")
    with pytest.raises(SignInRefused):
        use_cases.sign_in(ports, code, "token")


def test_four_wrong_tries_leave_one(town: Town) -> None:
    ports = town.wallet.account_ports()
    code = _code(town)
    wrong = code[:-1] + str((int(code[-1]) + 1) % 10)
    for _ in range(use_cases.CODE_TRIES - 1):
        with pytest.raises(SignInRefused):
            use_cases.sign_in(ports, wrong, "token")
    use_cases.sign_in(ports, code, "token")


@pytest.mark.parametrize("code", ["", "1234", "abcd-efgh-ijkl", "0" * 11, "0" * 13, "\u0660" * 12])
def test_no_code_is_refused(town: Town, code: str) -> None:
    with pytest.raises(SignInRefused):
        use_cases.sign_in(town.wallet.account_ports(), code, "token")


def test_codes_and_sessions_end_in_time(town: Town) -> None:
    ports = town.wallet.account_ports()
    early, late = _code(town), _code(town)
    use_cases.sign_in(ports, early, "token")
    town.clock.pass_by(use_cases.SESSION_LIFETIME)
    assert use_cases.resolve_session(ports, "token") is None
    town.clock.pass_by(use_cases.CODE_LIFETIME)
    with pytest.raises(SignInRefused):
        use_cases.sign_in(ports, late, "token")


def test_signing_out_ends_the_session(town: Town) -> None:
    ports = town.wallet.account_ports()
    use_cases.sign_in(ports, _code(town), "token")
    use_cases.sign_out(ports, "token")
    assert use_cases.resolve_session(ports, "token") is None


def test_a_person_is_made_once_for_each_id(town: Town) -> None:
    ports = town.wallet.account_ports()
    again = use_cases.create_person(ports, "다른 이름", town.owner.id)
    assert again == town.owner
    other = use_cases.create_person(ports, "김하나")
    town.clock.pass_by(timedelta(seconds=1))
    assert {person.id for person in use_cases.list_people(ports)} == {town.owner.id, other.id}
    with pytest.raises(ValueError, match="name"):
        use_cases.create_person(ports, "  ")
    with pytest.raises(NotFound):
        use_cases.create_sign_in_code(ports, "nobody")
