"""Create people and codes, sign in, sign out.

Until passkeys exist the wallet of the demo signs in with one-time codes that the operator prints. A code has three
groups of four digits: the first finds the row, the other two are the secret. Five wrong secrets kill the code.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta

from holder_app.accounts.ports import Account, AccountId, Accounts, CodeIncomplete, Session, SignInCode, SignInRefused
from wallet_core.errors import NotFound, StorageError
from wallet_core.ports import Clock, UnitOfWork
from wallet_core.types import RandomBytes

CODE_LIFETIME = timedelta(hours=24)
SESSION_LIFETIME = timedelta(hours=8)
CODE_TRIES = 5
CODE_DIGITS = 12
SELECTOR_DIGITS = 4
SELECTOR_ATTEMPTS = 50
NAME_LIMIT = 100
"""Characters of a person's name: the longest of the demo's names has 60."""


@dataclass(frozen=True, slots=True)
class AccountPorts:
    """What the use cases of this package need."""

    unit: UnitOfWork
    accounts: Accounts
    clock: Clock
    random: RandomBytes


def create_person(ports: AccountPorts, name: str, account_id: str | None = None) -> Account:
    """Return a new account; with ``account_id``, the account of that id if it exists already."""
    trimmed = name.strip()[:NAME_LIMIT]
    if not trimmed:
        msg = "a person needs a name"
        raise ValueError(msg)
    with ports.unit:
        if account_id is not None and (known := ports.accounts.get(AccountId(account_id))) is not None:
            return known
        new_id = AccountId(account_id or ports.random(12).hex())
        account = Account(new_id, trimmed, ports.clock.now())
        ports.accounts.add(account)
    return account


def list_people(ports: AccountPorts) -> tuple[Account, ...]:
    """Return every account, oldest first."""
    with ports.unit:
        return tuple(ports.accounts.all())


def create_sign_in_code(ports: AccountPorts, account_id: str) -> str:
    """Return a new one-time code for the account, as it is printed: ``1234-5678-9012``.

    Raises:
        NotFound: no such account.
    """
    now = ports.clock.now()
    with ports.unit:
        account = ports.accounts.get(AccountId(account_id))
        if account is None:
            raise NotFound("no such person")
        ports.accounts.forget_expired(now)
        for _ in range(SELECTOR_ATTEMPTS):
            digits = _digits(ports.random)
            selector, secret = digits[:SELECTOR_DIGITS], digits[SELECTOR_DIGITS:]
            code = SignInCode(selector, account.id, _digest(selector, secret), CODE_TRIES, now + CODE_LIFETIME)
            if ports.accounts.add_code(code):
                return "-".join((digits[:4], digits[4:8], digits[8:]))
    raise StorageError("too many open sign-in codes")


def sign_in(ports: AccountPorts, code: str, token: str) -> None:
    """Open a session for whoever the code belongs to; ``token`` is the secret in the browser's cookie.

    Raises:
        CodeIncomplete: another number of digits than a code has.
        SignInRefused: wrong, used, dead or too old; a wrong secret has been counted.
    """
    digits = "".join(c for c in code if c in "0123456789")
    if len(digits) != CODE_DIGITS:
        raise CodeIncomplete(f"a sign-in code has {CODE_DIGITS} digits")
    now = ports.clock.now()
    with ports.unit:  # a wrong try must be stored, so the refusal is raised after the commit
        signed_in = _redeem(ports.accounts, digits, token, now)
    if not signed_in:
        raise SignInRefused("the sign-in code is not valid")


def _redeem(accounts: Accounts, digits: str, token: str, now: datetime) -> bool:
    stored = accounts.code(digits[:SELECTOR_DIGITS])
    if stored is None or stored.expires_at <= now:
        return False
    if not hmac.compare_digest(stored.digest, _digest(stored.selector, digits[SELECTOR_DIGITS:])):
        accounts.count_wrong_try(stored)
        return False
    if not accounts.spend_code(stored):  # two browsers at once: one wins
        return False
    accounts.add_session(Session(_token_digest(token), stored.account_id, now + SESSION_LIFETIME))
    return True


def resolve_session(ports: AccountPorts, token: str | None) -> Account | None:
    """Return whose session the cookie's token opens, if any."""
    if not token:
        return None
    with ports.unit:
        session = ports.accounts.session(_token_digest(token))
        if session is None or session.expires_at <= ports.clock.now():
            return None
        return ports.accounts.get(session.account_id)


def sign_out(ports: AccountPorts, token: str | None) -> None:
    """End the session of the token."""
    if token:
        with ports.unit:
            ports.accounts.end_session(_token_digest(token))


def _digits(random: RandomBytes) -> str:
    """Return twelve decimal digits; the modulo bias of 16 bytes over 10**12 is below 2**-88."""
    return str(int.from_bytes(random(16), "big") % 10**CODE_DIGITS).zfill(CODE_DIGITS)


def _digest(selector: str, secret: str) -> bytes:
    """Return a slow digest, because eight digits can be searched."""
    return hashlib.scrypt(secret.encode(), salt=f"jigap sign-in {selector}".encode(), n=1 << 14, r=8, p=1, dklen=32)


def _token_digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
