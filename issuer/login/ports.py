"""What the login at the authorization endpoint needs, and what a method of login is.

A login session is begun by the authorization endpoint and bound to the browser by a cookie, of which only the digest is
stored. A method (test login, OpenID provider, presentation) serves its own pages below ``CI/login/<id>`` and ends by
calling ``use_cases.complete_login`` with the :class:`Citizen` it proved.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from issuer.issuance.ports import IssuancePorts
from issuer.records.ports import Citizen
from wallet_core.catalogue.text import Text
from wallet_core.ports import UnitOfWork
from wallet_core.types import AgencyId, JsonObject

__all__ = [
    "Choosing",
    "Citizen",
    "Ended",
    "LoggedIn",
    "LoginMethod",
    "LoginPorts",
    "LoginSession",
    "LoginSessions",
    "LoginState",
    "LoginStorage",
    "OneTimeCode",
    "OneTimeCodes",
    "Stranger",
]


@dataclass(frozen=True, slots=True)
class LoginMethod:
    """A way to log in that this deployment offers.

    Attributes:
        id: ``test``, ``openid`` or ``presentation``; its pages lie at ``CI/login/<id>``.
        name: on the page that lets the person choose.
        description: the line below it.
    """

    id: str
    name: Text
    description: Text


@dataclass(frozen=True, slots=True)
class Choosing:
    """Nobody has logged in yet.

    Attributes:
        tries_left: attempts of the test login until this session ends.
        memo: what a method keeps between its steps (a state, a nonce, the id of a presentation), under its id.
    """

    tries_left: int
    memo: JsonObject


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The agency knows who it is; consent is asked for."""

    subject_id: str
    method: str


@dataclass(frozen=True, slots=True)
class Stranger:
    """Somebody logged in of whom the agency has no record, or for whom the offer was not made."""

    method: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The wallet got its answer, or too many tries failed."""


LoginState: TypeAlias = Choosing | LoggedIn | Stranger | Ended


@dataclass(frozen=True, slots=True)
class LoginSession:
    """One browser's login for one authorization request. ``id`` is the digest of the cookie's secret, in hex."""

    id: str
    agency_id: AgencyId
    authorization_id: str
    version: int
    state: LoginState
    expires_at: datetime


class LoginSessions(Protocol):
    """Login sessions."""

    def add(self, session: LoginSession) -> None:
        """Store a new session."""
        ...

    def find(self, agency_id: AgencyId, session_id: str) -> LoginSession | None:
        """Return a session of an agency, None if there is none."""
        ...

    def advance(self, session: LoginSession, state: LoginState) -> LoginSession:
        """Store the next state and return the session in it. Raises ``StateConflict`` if it moved meanwhile."""
        ...

    def forget(self, *, now: datetime, limit: int) -> int:
        """Delete sessions and codes whose time is over, up to ``limit`` of each, and return how many."""
        ...


@dataclass(frozen=True, slots=True)
class OneTimeCode:
    """A one-time code of the test login for one person: both only as digests."""

    id: str
    code_digest: bytes
    tries_left: int
    expires_at: datetime


class OneTimeCodes(Protocol):
    """One-time codes of the test login, found by the digest of the person they are for."""

    def put(self, code: OneTimeCode) -> None:
        """Store a code; an older one of the same person is replaced."""
        ...

    def find(self, code_id: str) -> OneTimeCode | None:
        """Return the code of a person, None if there is none."""
        ...

    def count_try(self, code: OneTimeCode) -> None:
        """Take one try off. Raises ``StateConflict`` if the code moved meanwhile."""
        ...

    def spend(self, code: OneTimeCode) -> None:
        """Use the code up. Raises ``StateConflict`` if somebody else did."""
        ...


@dataclass(frozen=True, slots=True)
class LoginStorage:
    """One transaction and what the login can do in it."""

    unit: UnitOfWork
    sessions: LoginSessions
    codes: OneTimeCodes


@dataclass(frozen=True, slots=True)
class LoginPorts:
    """Everything the use cases of the login need.

    ``methods`` are those this deployment offers, in the order of the page. ``code_key`` is the key of digests of the
    test login.
    """

    storage: Callable[[], LoginStorage]
    reading: Callable[[], LoginStorage]
    issuance: IssuancePorts
    methods: Mapping[str, LoginMethod]
    code_key: bytes
