"""Accounts, codes and sessions in the database."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Row, delete, insert, select, update

from holder_app.accounts.ports import Account, AccountId, Session, SignInCode
from holder_app.accounts.tables import AccountRow, SessionRow, SignInCodeRow
from holder_app.tables import MOST_EXPIRED, table_of
from wallet_core.adapters import sql
from wallet_core.adapters.keystore import Sealer
from wallet_core.adapters.sql import UnitOfWork

_ACCOUNT = table_of(AccountRow)
_CODE = table_of(SignInCodeRow)
_SESSION = table_of(SessionRow)


class SqlAccounts:
    """Fulfils ``accounts.ports.Accounts`` within a unit of work."""

    def __init__(self, unit: UnitOfWork, sealer: Sealer) -> None:
        self._unit = unit
        self._sealer = sealer

    def add(self, account: Account) -> None:
        """Store a new account."""
        sealed = self._sealer.seal(account.name.encode(), _context(account.id))
        values = {"id": account.id, "sealed_name": sealed, "created_at": account.created_at}
        self._unit.connection.execute(insert(_ACCOUNT), values)

    def get(self, account_id: AccountId) -> Account | None:
        """Return the account of that id."""
        row = self._unit.connection.execute(select(_ACCOUNT).where(_ACCOUNT.c.id == account_id)).one_or_none()
        return None if row is None else self._account(row)

    def all(self) -> Sequence[Account]:
        """Return every account, oldest first."""
        rows = self._unit.connection.execute(select(_ACCOUNT).order_by(_ACCOUNT.c.created_at, _ACCOUNT.c.id))
        return [self._account(row) for row in rows]

    def _account(self, row: Row[tuple[object, ...]]) -> Account:
        name = self._sealer.open(row.sealed_name, _context(row.id)).decode()
        return Account(AccountId(row.id), name, row.created_at)

    def add_code(self, code: SignInCode) -> bool:
        """Store a new code; false if its selector is taken by a code still alive."""
        if self.code(code.selector) is not None:
            return False
        values = {
            "selector": code.selector,
            "account_id": code.account_id,
            "digest": code.digest,
            "tries_left": code.tries_left,
            "expires_at": code.expires_at,
        }
        self._unit.connection.execute(insert(_CODE), values)
        return True

    def code(self, selector: str) -> SignInCode | None:
        """Return the code of that selector."""
        row = self._unit.connection.execute(select(_CODE).where(_CODE.c.selector == selector)).one_or_none()
        if row is None:
            return None
        return SignInCode(row.selector, AccountId(row.account_id), row.digest, row.tries_left, row.expires_at)

    def spend_code(self, code: SignInCode) -> bool:
        """Remove the code; false if somebody else was first."""
        statement = delete(_CODE).where(_CODE.c.selector == code.selector, _CODE.c.digest == code.digest)
        return self._unit.connection.execute(statement).rowcount == 1

    def count_wrong_try(self, code: SignInCode) -> None:
        """Take one try from the code; remove it with the last."""
        connection, same = self._unit.connection, _CODE.c.selector == code.selector
        connection.execute(update(_CODE).where(same).values(tries_left=_CODE.c.tries_left - 1))
        connection.execute(delete(_CODE).where(same, _CODE.c.tries_left <= 0))

    def add_session(self, session: Session) -> None:
        """Store a session."""
        values = {"digest": session.digest, "account_id": session.account_id, "expires_at": session.expires_at}
        self._unit.connection.execute(insert(_SESSION), values)

    def session(self, digest: bytes) -> Session | None:
        """Return the session of that token digest."""
        row = self._unit.connection.execute(select(_SESSION).where(_SESSION.c.digest == digest)).one_or_none()
        return None if row is None else Session(row.digest, AccountId(row.account_id), row.expires_at)

    def end_session(self, digest: bytes) -> None:
        """Forget the session."""
        self._unit.connection.execute(delete(_SESSION).where(_SESSION.c.digest == digest))

    def forget_expired(self, now: datetime) -> int:
        """Remove codes and sessions whose time is over, up to ``MOST_EXPIRED`` of each, and return how many."""
        connection = self._unit.connection
        return sum(sql.delete_expired(connection, table, now=now, limit=MOST_EXPIRED) for table in (_CODE, _SESSION))


def _context(account_id: str) -> str:
    return f"wallet_account/{account_id}/name"
