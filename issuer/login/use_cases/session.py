"""Who is the person, and do they consent: from the opened authorization request to the way back to the wallet.

A method of login proves a :class:`Citizen` and calls :func:`complete_login`; the rest is the same for all methods. The
browser is bound by a cookie's secret, of which only the digest is stored.
"""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from issuer.agencies.ports import Agency
from issuer.issuance.ports import IssuancePorts, IssuedType
from issuer.issuance.use_cases.authorization import (
    ShownAuthorization,
    approve_authorization,
    available_records,
    deny_authorization,
    show_authorization,
)
from issuer.issuance.use_cases.races import until_no_race
from issuer.login.ports import (
    Choosing,
    Citizen,
    Ended,
    LoggedIn,
    LoginMethod,
    LoginPorts,
    LoginSession,
    LoginState,
    Stranger,
)
from wallet_core.catalogue.text import Text
from wallet_core.encoding import base64url
from wallet_core.errors import NotFound, StateConflict
from wallet_core.protocols.oauth2.authorization_states import LOGIN_LIFETIME
from wallet_core.types import JsonObject

SESSION_TRIES = 5
"""Attempts of the test login in one session; then the wallet is told that access was denied."""

_SECRET_BYTES = 32

TEST = LoginMethod(
    "test",
    Text("시험용 로그인", "Test login"),
    Text("이름, 생년월일, 일회용 번호를 적어요.", "Type a name, a date of birth and a one-time code."),
)
"""The method of the demo; see ``by_code``."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person who logged in decides about.

    ``subject_id`` is who they are to the agency, ``given`` what will go to the wallet, ``missing`` what was asked for
    and is not there; ``records`` are what the agency has of the person for what is given.
    """

    subject_id: str
    shown: ShownAuthorization
    given: Sequence[IssuedType]
    missing: Sequence[IssuedType]
    records: Sequence[JsonObject]


def begin_login(ports: LoginPorts, agency: Agency, authorization_id: str) -> tuple[str, LoginSession]:
    """Return the secret of a new login's cookie, and the session."""
    secret = base64url.encode(ports.issuance.random(_SECRET_BYTES))
    expires_at = ports.issuance.clock.now() + LOGIN_LIFETIME
    session = LoginSession(session_id(secret), agency.id, authorization_id, 1, Choosing(SESSION_TRIES, {}), expires_at)
    storage = ports.storage()
    with storage.unit:
        storage.sessions.add(session)
    return secret, session


def find_login(ports: LoginPorts, agency: Agency, secret: str | None) -> LoginSession:
    """Return the login of this browser at this agency.

    Raises:
        NotFound: there is none, or its time is over.
    """
    storage = ports.reading()
    with storage.unit:
        found = storage.sessions.find(agency.id, session_id(secret)) if secret else None
    if found is None or isinstance(found.state, Ended) or ports.issuance.clock.now() >= found.expires_at:
        raise NotFound("this login is over; begin again in the wallet")
    return found


def session_id(secret: str) -> str:
    """Return the id of the session whose cookie holds ``secret``."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def methods_for(ports: LoginPorts, shown: ShownAuthorization) -> Sequence[LoginMethod]:
    """Return how a person may log in for what is asked: by credential only where the catalogue allows it for all."""
    by_credential = all(each.type.issuance.login_by_credential for each in shown.issued)
    return [each for each in ports.methods.values() if by_credential or each.id != "presentation"]


def check_method(ports: LoginPorts, agency: Agency, session: LoginSession, method: str) -> ShownAuthorization:
    """Check that a method may be used now, and return what the person logs in for.

    Raises:
        NotFound: it is not offered, or the person is past choosing.
    """
    if isinstance(session.state, Choosing):
        shown = show_authorization(ports.issuance, agency, session.authorization_id)
        if any(each.id == method for each in methods_for(ports, shown)):
            return shown
    raise NotFound("this way to log in is not offered here")


def remember(ports: LoginPorts, session: LoginSession, method: str, memo: JsonObject) -> LoginSession:
    """Keep what a method needs between its steps, in place of what it kept before.

    Raises:
        NotFound: the person is past choosing.
        StateConflict: another request moved the session meanwhile.
    """
    state = session.state
    if not isinstance(state, Choosing):
        raise NotFound("this login is over; begin again in the wallet")
    return _move(ports, session, Choosing(state.tries_left, {**state.memo, method: memo}))


def complete_login(ports: LoginPorts, session: LoginSession, citizen: Citizen, method: str) -> LoginSession:
    """Return the session once ``method`` proved who the person is; consent comes next.

    Raises:
        NotFound: somebody logged in before in this session, or it is over.
        StateConflict: another request moved the session meanwhile.
    """
    if not isinstance(session.state, Choosing):
        raise NotFound("this login is over; begin again in the wallet")
    return _move(ports, session, login_state(ports.issuance, session, citizen, method))


def login_state(issuance: IssuancePorts, session: LoginSession, citizen: Citizen, method: str) -> LoginState:
    """Return the state of a session whose person is ``citizen``."""
    storage = issuance.reading()
    with storage.unit:
        subject_id = storage.records.find_subject(session.agency_id, citizen)
        found = storage.authorizations.find(session.agency_id, session.authorization_id)
        offer_id = None if found is None else found.offer_id
        offer = None if offer_id is None else storage.offers.find(session.agency_id, offer_id)
    # An offer that was made for somebody is for nobody else, whoever brought its issuer_state here.
    meant_for_another = offer is not None and offer.subject_id not in {None, subject_id}
    return Stranger(method) if subject_id is None or meant_for_another else LoggedIn(subject_id, method)


def ask_consent(ports: LoginPorts, agency: Agency, session: LoginSession) -> Consent:
    """Return what a person who logged in decides about.

    Raises:
        NotFound: nobody the agency knows has logged in, or the authorization is over.
    """
    state = session.state
    if not isinstance(state, LoggedIn):
        raise NotFound("nobody has logged in")
    shown = show_authorization(ports.issuance, agency, session.authorization_id)
    records = available_records(ports.issuance, agency, shown.issued, subject_id=state.subject_id)
    given = [each for each in shown.issued if each.entry.configuration_id in records]
    missing = [each for each in shown.issued if each.entry.configuration_id not in records]
    return Consent(state.subject_id, shown, given, missing, tuple(records.values()))


def confirm(ports: LoginPorts, agency: Agency, session: LoginSession) -> str:
    """Return where the browser goes with the code, once the person consented.

    Raises:
        NotFound: nobody the agency knows has logged in, or the authorization is over.
    """
    state = session.state
    if not isinstance(state, LoggedIn):
        raise NotFound("nobody has logged in")
    url = approve_authorization(ports.issuance, agency, session.authorization_id, subject_id=state.subject_id)
    _end(ports, session)
    return url


def cancel(ports: LoginPorts, agency: Agency, session: LoginSession) -> str:
    """Return where the browser goes once the person said no, or cannot go on.

    Raises:
        NotFound: the authorization is over.
    """
    url = deny_authorization(ports.issuance, agency, session.authorization_id, error="access_denied")
    _end(ports, session)
    return url


def _move(ports: LoginPorts, session: LoginSession, state: LoginState) -> LoginSession:
    storage = ports.storage()
    with storage.unit:
        return storage.sessions.advance(session, state)


def _end(ports: LoginPorts, session: LoginSession) -> None:
    """End the session, whatever another request of the same browser does with it."""
    with suppress(StateConflict):
        _move(ports, session, Ended())
        return

    def attempt() -> None:
        storage = ports.storage()
        with storage.unit:
            found = storage.sessions.find(session.agency_id, session.id)
            if found is not None and not isinstance(found.state, Ended):
                storage.sessions.advance(found, Ended())

    until_no_race(attempt)
