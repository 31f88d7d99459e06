"""The test login (시험용): name, date of birth and a one-time code that the operator prints. Only in a demo.

A code has eight digits and is one person's; it works once. Wrong tries are counted twice over: five in a session, and
five against the person's code, whatever the session. Who is on record, and who has a code, no answer tells.
"""

import hmac
from dataclasses import dataclass
from datetime import date, timedelta

from issuer.agencies.ports import Agency
from issuer.issuance.use_cases.races import until_no_race
from issuer.login.ports import Choosing, Citizen, LoginPorts, LoginSession, LoginState, OneTimeCode
from issuer.login.use_cases.session import TEST, check_method, login_state
from wallet_core.errors import InvalidRequest, NotFound

CODE_DIGITS = 8
CODE_LIFETIME = timedelta(hours=24)
CODE_TRIES = 5
"""Wrong codes for one person until the code dies: of a hundred million, five may be tried."""

MAX_NAME = 100
"""Characters of a name."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The login failed. At ``tries_left`` 0 the session must be ended."""

    tries_left: int


def create_one_time_code(ports: LoginPorts, citizen: Citizen) -> str:
    """Return a new code for a person, as it is printed: ``1234-5678``. An older one stops working.

    Raises:
        NotFound: this deployment has no test login.
    """
    if TEST.id not in ports.methods:
        raise NotFound("the test login is only for a demo")
    digits = str(int.from_bytes(ports.issuance.random(16), "big") % 10**CODE_DIGITS).zfill(CODE_DIGITS)
    expires_at = ports.issuance.clock.now() + CODE_LIFETIME
    code_id = _code_id(ports, citizen)
    storage = ports.storage()
    with storage.unit:
        storage.codes.put(OneTimeCode(code_id, _digest(ports, code_id, digits), CODE_TRIES, expires_at))
    return f"{digits[:4]}-{digits[4:]}"


def log_in_by_code(
    ports: LoginPorts, agency: Agency, session: LoginSession, *, name: str, birth_date: str, code: str
) -> LoginSession | Refused:
    """Return the session of a person who proved to be ``name``, or how many tries are left.

    Raises:
        NotFound: this deployment has no test login, or somebody logged in before in this session.
        InvalidRequest: the date is none, or the name is too long; nothing is counted.
    """
    check_method(ports, agency, session, TEST.id)
    citizen = _citizen(name, birth_date)

    def attempt() -> LoginSession | Refused:
        storage = ports.storage()
        with storage.unit:
            current = storage.sessions.find(session.agency_id, session.id)
            if current is None or not isinstance(current.state, Choosing) or current.state.tries_left <= 0:
                raise NotFound("this login is over; begin again in the wallet")
            right = _redeem(ports, storage.codes.find(_code_id(ports, citizen)), citizen, code)
            state = current.state
            if right is None:
                left = Choosing(state.tries_left - 1, state.memo)
                storage.sessions.advance(current, left)
                wrong = storage.codes.find(_code_id(ports, citizen))
                if wrong is not None and wrong.tries_left > 0:
                    storage.codes.count_try(wrong)
                return Refused(left.tries_left)
            storage.codes.spend(right)
            return storage.sessions.advance(current, _next(ports, session, citizen))

    return until_no_race(attempt)


def _next(ports: LoginPorts, session: LoginSession, citizen: Citizen) -> LoginState:
    return login_state(ports.issuance, session, citizen, TEST.id)


def _redeem(ports: LoginPorts, found: OneTimeCode | None, citizen: Citizen, code: str) -> OneTimeCode | None:
    """Return the stored code if ``code`` is it; the work is the same if the person has none."""
    code_id = _code_id(ports, citizen)
    digits = "".join(each for each in code if each in "0123456789")
    same = hmac.compare_digest(_digest(ports, code_id, digits), found.code_digest if found else b"")
    alive = found is not None and found.tries_left > 0 and ports.issuance.clock.now() < found.expires_at
    return found if same and alive else None


def _citizen(name: str, birth_date: str) -> Citizen:
    trimmed = name.strip()
    if not trimmed or len(trimmed) > MAX_NAME:
        raise InvalidRequest("a name has 1 to 100 characters")
    digits = "".join(each for each in birth_date if each in "0123456789")
    try:
        return Citizen(trimmed, date.fromisoformat(f"{digits[:4]}-{digits[4:6]}-{digits[6:]}"))
    except ValueError as exc:
        raise InvalidRequest("the date of birth is written 1990-01-31") from exc


def _code_id(ports: LoginPorts, citizen: Citizen) -> str:
    return hmac.digest(ports.code_key, f"person\x00{citizen.compared}".encode(), "sha256").hex()


def _digest(ports: LoginPorts, code_id: str, digits: str) -> bytes:
    return hmac.digest(ports.code_key, f"code\x00{code_id}\x00{digits}".encode(), "sha256")
