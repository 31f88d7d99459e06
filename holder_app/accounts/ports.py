"""Accounts, sign-in codes and sessions as values, and where they are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NewType, Protocol

from wallet_core.errors import AccessDenied

AccountId = NewType("AccountId", str)
"""Names one person's wallet; every row of the wallet carries one."""


@dataclass(frozen=True, slots=True)
class Account:
    """One person's wallet. ``name`` is what the pages greet the person with."""

    id: AccountId
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SignInCode:
    """A one-time code as it is stored: never the code itself.

    Attributes:
        selector: the first group of the code, which only finds this row.
        digest: scrypt of the secret groups.
        tries_left: wrong secrets still allowed before the code dies.
    """

    selector: str
    account_id: AccountId
    digest: bytes
    tries_left: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in browser. The token itself lies only in its cookie."""

    digest: bytes
    account_id: AccountId
    expires_at: datetime


class Accounts(Protocol):
    """Keeps accounts, codes and sessions."""

    def add(self, account: Account) -> None:
        """Store a new account."""
        ...

    def get(self, account_id: AccountId) -> Account | None:
        """Return the account of that id."""
        ...

    def all(self) -> Sequence[Account]:
        """Return every account, oldest first."""
        ...

    def add_code(self, code: SignInCode) -> bool:
        """Store a new code; false if its selector is taken by a code still alive."""
        ...

    def code(self, selector: str) -> SignInCode | None:
        """Return the code of that selector."""
        ...

    def spend_code(self, code: SignInCode) -> bool:
        """Remove the code; false if somebody else was first."""
        ...

    def count_wrong_try(self, code: SignInCode) -> None:
        """Take one try from the code; remove it with the last."""
        ...

    def add_session(self, session: Session) -> None:
        """Store a session."""
        ...

    def session(self, digest: bytes) -> Session | None:
        """Return the session of that token digest."""
        ...

    def end_session(self, digest: bytes) -> None:
        """Forget the session."""
        ...

    def forget_expired(self, now: datetime) -> int:
        """Remove codes and sessions whose time is over, up to a limit, and return how many."""
        ...


class SignInRefused(AccessDenied):
    """The one-time code is wrong, used, dead or too old; the person is not told which."""


class CodeIncomplete(SignInRefused):
    """What was typed has another number of digits than a code: no code was looked up, and no try is lost."""
