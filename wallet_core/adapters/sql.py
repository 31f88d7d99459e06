"""The database: one engine for SQLite and PostgreSQL, units of work, compare-and-set and spend-once.

Each app has its own registry and naming convention, so that equal table names never meet and three databases or one
both work::

    class IssuerBase(SQLModel, registry=app_registry()):
        '''Base of the issuer's tables; names begin with ``issuer_``.'''

    TABLES = app_tables("issuer", IssuerBase.metadata)  # adapters.app_tables: job, spent, idempotency, api_key, …
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Float,
    FunctionElement,
    MetaData,
    Table,
    TypeDecorator,
    Update,
    UpdateBase,
    bindparam,
    create_engine,
    delete,
    event,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, OperationalError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import registry
from sqlalchemy.pool import StaticPool
from sqlalchemy.sql.compiler import SQLCompiler
from sqlmodel import SQLModel

from wallet_core.encoding.strict_json import dumps_text
from wallet_core.errors import StateConflict, StorageError
from wallet_core.types import JsonObject

BUSY_TIMEOUT_MS = 30_000
"""Milliseconds a SQLite writer waits for another one; nobody holds the file longer than a migration."""

IDLE_IN_TRANSACTION_MS = 60_000
"""Milliseconds after which PostgreSQL ends a transaction that does nothing: dead rows behind it slow every queue."""

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

_LOCKED_OUT = frozenset({"55P03", "40P01"})
"""PostgreSQL's lock_not_available and deadlock_detected."""

_READ_ONLY = "jigap_read_only"
_AT_ONCE = "jigap_at_once"

_CHUNK: Final = 500  # SQLite takes 32,766 parameters in a statement; PostgreSQL plans short lists faster

_Item = TypeVar("_Item")


class DatabaseBusy(StorageError):
    """Another transaction holds what this one needs, and it was not to wait, or no longer, or for each other."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC on both engines. SQLite keeps no zone, so nothing but UTC is let in."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the value to store. A naive time is a mistake of ours (``ValueError``)."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time must be aware")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the stored time, aware, in UTC."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class database_now(FunctionElement[float]):  # noqa: N801 - reads as the SQL function it is
    """Seconds since 1970 by the database's own clock, the only one all workers share."""

    type = Float()
    inherit_cache = True


@compiles(database_now, "sqlite")
def _now_sqlite(_element: database_now, _compiler: SQLCompiler, **_options: Any) -> str:
    # SQLite 3.40 has no unixepoch('subsec'); a Julian day in a double resolves 40 microseconds.
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(database_now, "postgresql")
def _now_postgresql(_element: database_now, _compiler: SQLCompiler, **_options: Any) -> str:
    # clock_timestamp() moves on within a transaction; now() does not.
    return "extract(epoch from clock_timestamp())::double precision"


def app_registry() -> registry:
    """Return a registry of its own for one app's SQLModel base."""
    return registry(metadata=MetaData(naming_convention=NAMING_CONVENTION))


class Database:
    """One app's database.

    Args:
        url: ``sqlite:///file.db`` (local disk only), ``sqlite://`` (in memory, one connection, for tests and
            measurements) or ``postgresql://user@host/name``.
    """

    def __init__(self, url: str) -> None:
        self.engine = _create_engine(url)
        options: dict[str, Any] = {_READ_ONLY: True}
        if not self.is_sqlite:
            options |= {"postgresql_readonly": True, "isolation_level": "REPEATABLE READ"}
        self._reading = self.engine.execution_options(**options)
        # On SQLite a reader costs no round trip: there is nothing to spare.
        self._looking = self._reading if self.is_sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._at_once = self.engine.execution_options(**{_AT_ONCE: True}) if self.is_sqlite else self.engine

    @property
    def is_sqlite(self) -> bool:
        """Whether the engine is SQLite."""
        return self.engine.dialect.name == "sqlite"

    def unit(self) -> "UnitOfWork":
        """Return a unit of work: ``with unit:`` begins, commits at the end, rolls back on an exception."""
        return UnitOfWork(self.engine)

    def unit_at_once(self) -> "UnitOfWork":
        """Return a unit of work that raises :class:`DatabaseBusy` where it would have to wait before it begins."""
        return UnitOfWork(self._at_once)

    def reader(self) -> "UnitOfWork":
        """Return a unit that sees one consistent state, cannot write, and waits for no writer."""
        return UnitOfWork(self._reading)

    def glance(self) -> "UnitOfWork":
        """Return a unit for one statement that reads: on PostgreSQL it spares the two that begin and end a reader.

        Nothing keeps a statement from writing there, and it would be committed at once.
        """
        return UnitOfWork(self._looking)

    def close(self) -> None:
        """Close all connections; the next use opens new ones."""
        self.engine.dispose()


class UnitOfWork:
    """One transaction; nothing is awaited within. Entered again inside itself, it joins the transaction it is in.

    Attributes:
        writes: while a group commit runs the work of several requests, what :func:`write_together` has yet to do.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._depth = 0
        self.writes: Writes | None = None

    @property
    def connection(self) -> Connection:
        """The connection, between entering and leaving."""
        if self._connection is None:
            raise RuntimeError("the unit of work has not been entered")
        return self._connection

    def __enter__(self) -> Self:
        if self._connection is not None:
            self._depth += 1
            return self
        with _storage_errors():
            connection = self._engine.connect()
            try:
                connection.begin()
            except BaseException:
                connection.close()
                raise
        self._connection = connection
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._depth:
            self._depth -= 1
        else:
            self._end(commit=kind is None)
        if isinstance(error, SQLAlchemyError):
            raise storage_error(error) from error

    def _end(self, *, commit: bool) -> None:
        connection, self._connection = self.connection, None
        try:
            if commit:
                _commit(connection)
        finally:
            # Closing rolls back what was not committed.
            with suppress(SQLAlchemyError):
                connection.close()


def _commit(connection: Connection) -> None:
    try:
        connection.commit()
    except SQLAlchemyError as exc:
        # What state the connection is in is unknown (a full disk leaves SQLite's transaction open): never use it again.
        connection.invalidate()
        raise storage_error(exc) from exc


class _storage_errors:  # noqa: N801 - reads as a function in `with`
    """Turn SQLAlchemy's errors into ours."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, SQLAlchemyError):
            raise storage_error(error) from error


def storage_error(error: SQLAlchemyError) -> StateConflict | StorageError:
    """Return our error for one of SQLAlchemy's."""
    # The message of a driver quotes values of rows, so only its class goes into our log.
    reason = type(getattr(error, "orig", None) or error).__name__
    if isinstance(error, IntegrityError):
        return StateConflict("this exists already, or what it belongs to does not", detail=f"database: {reason}")
    if getattr(getattr(error, "orig", None), "sqlstate", None) in _LOCKED_OUT:
        return DatabaseBusy("another transaction holds what this one needs", detail=f"database: {reason}")
    return StorageError("the database could not be used", detail=f"database: {reason}")


def _create_engine(url: str) -> Engine:
    address = make_url(url)
    options: dict[str, Any] = {
        "json_serializer": dumps_text,
        "json_deserializer": orjson.loads,
        "hide_parameters": True,  # values of rows never stand in an error or a log
    }
    if address.get_backend_name() == "sqlite":
        if address.database in {None, "", ":memory:"}:
            options.update(poolclass=StaticPool, connect_args={"check_same_thread": False})
        engine = create_engine(address, **options)
        event.listen(engine, "do_connect", partial(_prepare_file, address.database))
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if address.drivername in {"postgresql", "postgres"}:
        address = address.set(drivername="postgresql+psycopg")
    settings = f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_MS} -c timezone=UTC"
    return create_engine(address, pool_recycle=1800, connect_args={"options": settings}, **options)


def _prepare_file(path: str | None, *_arguments: Any) -> None:
    """Make a new database file readable by its owner only; SQLite gives its journals the same rights."""
    if path and path != ":memory:":
        # Where this cannot be done, opening fails too, and says so.
        with suppress(OSError):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).touch(mode=0o600, exist_ok=True)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: _begin_sqlite does
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",  # NORMAL survives kill -9 but not a power cut
        "foreign_keys = ON",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    read_only, at_once = bool(options.get(_READ_ONLY)), bool(options.get(_AT_ONCE))
    # Past SQLAlchemy, whose way to run a statement costs ten times as much as beginning: there are several a request.
    driver: Any = connection.connection.dbapi_connection
    # A writer takes its lock at once: a reader that turns writer cannot wait and fails.
    begin = "BEGIN" if read_only else "BEGIN IMMEDIATE"
    try:
        if connection.info.get(_READ_ONLY) is not read_only:
            driver.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")
            connection.info[_READ_ONLY] = read_only
        if at_once:
            driver.execute("PRAGMA busy_timeout = 0")
        try:
            driver.execute(begin)
        finally:
            if at_once:
                driver.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    except sqlite3.Error as exc:
        # The extended code says more: that the file is recovered after a crash just now, for one.
        if at_once and getattr(exc, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            raise DatabaseBusy("another process writes to the database") from exc
        raise OperationalError(begin, None, exc) from exc


# --- two atomic tools -------------------------------------------------------------------------------------------------


class Writes:
    """Writes of several requests that are made in one go, each of them of one row."""

    def __init__(self) -> None:
        self._rows: dict[UpdateBase, list[Mapping[str, Any]]] = {}

    def add(self, statement: UpdateBase, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add some."""
        self._rows.setdefault(statement, []).extend(rows)

    def make(self, connection: Connection) -> None:
        """Make them, one statement for all its rows.

        Raises:
            StateConflict: one of them is not possible; which one is not known.
        """
        for statement, rows in self._rows.items():
            _write(connection, statement, rows)


def write_together(unit: UnitOfWork, statement: UpdateBase, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a row for each of ``rows``: in a group commit with those of all its requests, at its end.

    Until then whoever reads finds everything as it was. If one of the rows cannot be written, the group runs the work
    of each request again, and each writes at once.

    Args:
        unit: the unit of work.
        statement: writes one row for each set of values; made once, and an ``INSERT`` with ``preserve_rowcount``.
        rows: the values.

    Raises:
        StateConflict: a row was not written. In a group commit that is found out later.
    """
    if not rows:
        return
    if unit.writes is not None:
        unit.writes.add(statement, rows)
    else:
        _write(unit.connection, statement, rows)


def _write(connection: Connection, statement: UpdateBase, rows: Sequence[Mapping[str, Any]]) -> None:
    if connection.execute(statement, rows).rowcount != len(rows):
        raise StateConflict("this was done before, or moved on, or ended")


def advance_together(
    unit: UnitOfWork,
    table: Table | type[SQLModel],
    *,
    id: str,  # noqa: A002 - the name of the column
    version: int,
    kind: str,
    body: JsonObject,
    **columns: Any,
) -> None:
    """Move a state as :func:`advance` does, as :func:`write_together` writes. Raises ``StateConflict`` as they do."""
    if unit.writes is None:
        advance(unit.connection, table, id=id, version=version, kind=kind, body=body, **columns)
    else:
        statement, values = _move(table, id, version, kind, body, columns)
        unit.writes.add(statement, [values])


def advance(
    connection: Connection,
    table: Table | type[SQLModel],
    *,
    id: str,  # noqa: A002 - the name of the column
    version: int,
    kind: str,
    body: JsonObject,
    **columns: Any,
) -> int:
    """Move the state row ``id`` from ``version`` to the next and return that version (compare-and-set).

    Args:
        connection: of the unit of work.
        table: with the columns ``id``, ``version``, ``kind`` and ``body``.
        id: of the row.
        version: that was read.
        kind: name of the new state.
        body: of the new state.
        columns: further columns to set.

    Raises:
        StateConflict: the row is not there in that version: somebody else moved it.
    """
    statement, values = _move(table, id, version, kind, body, columns)
    if connection.execute(statement, values).rowcount != 1:
        raise StateConflict(
            "the session moved on or ended", detail=f"{_core_table(table).name} changed since it was read"
        )
    return version + 1


def _move(
    table: Table | type[SQLModel], row_id: str, version: int, kind: str, body: JsonObject, columns: Mapping[str, Any]
) -> tuple[Update, dict[str, Any]]:
    statement = _advance_statement(_core_table(table), tuple(sorted(columns)))
    return statement, {"row_id": row_id, "seen": version, "version": version + 1, "kind": kind, "body": body, **columns}


@lru_cache(maxsize=256)
def _advance_statement(table: Table, columns: tuple[str, ...]) -> Update:
    # Built once: putting a statement together costs as much as running it.
    names = ("version", "kind", "body", *columns)
    return (
        update(table)
        .where(table.c.id == bindparam("row_id"), table.c.version == bindparam("seen"))
        .values({name: bindparam(name) for name in names})
    )


def spend_together(
    unit: UnitOfWork, table: Table | type[SQLModel], digests: Iterable[bytes], *, expires_at: datetime
) -> None:
    """Record that the secrets with these SHA-256 digests were used, as :func:`write_together` writes.

    Args:
        unit: the unit of work.
        table: the app's ``spent`` table.
        digests: of the secrets, with whatever they are bound to, each a different one.
        expires_at: when the secrets would be refused anyway, so that the rows may go.

    Raises:
        StateConflict: one was used before. In a group commit that is found out later.
    """
    # In order: two requests that spend the same ones never wait for each other.
    rows = [{"digest": digest, "expires_at": expires_at} for digest in sorted(digests)]
    write_together(unit, _insert_if_absent(_core_table(table), unit.connection.dialect.name), rows)


def chunks(items: Collection[_Item]) -> Iterator[list[_Item]]:
    """Return the items in parts that one statement can name."""
    every = list(items)
    yield from (every[start : start + _CHUNK] for start in range(0, len(every), _CHUNK))


def insert_if_absent(connection: Connection, table: Table, row: Mapping[str, Any]) -> bool:
    """Insert ``row`` unless a unique key is taken, and return whether it was inserted.

    While another transaction is inserting the same key, this waits for its end.
    """
    return connection.execute(_insert_if_absent(table, connection.dialect.name), dict(row)).rowcount == 1


@lru_cache(maxsize=64)
def _insert_if_absent(table: Table, dialect: str) -> sqlite.Insert | postgresql.Insert:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    # DO NOTHING rather than an error: an error would end the whole transaction on PostgreSQL.
    return insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def delete_expired(connection: Connection, table: Table, *, now: datetime, limit: int) -> int:
    """Delete up to ``limit`` rows whose ``expires_at`` has passed and return how many; call again as of the next."""
    return delete_some(connection, table, table.c.expires_at < now, limit=limit)


def delete_some(connection: Connection, table: Table, over: ColumnElement[bool], *, limit: int) -> int:
    """Delete up to ``limit`` rows that are ``over`` and return how many.

    Call again, in another transaction, while it is ``limit``: none grows with what has gathered.
    """
    (key,) = table.primary_key.columns
    # It is asked twice: a row that somebody prolongs meanwhile is looked at again, the list of keys is not.
    old = delete(table).where(key.in_(select(key).where(over).limit(limit)), over)
    return connection.execute(old).rowcount


def _core_table(table: Table | type[SQLModel]) -> Table:
    if isinstance(table, Table):
        return table
    core: Table = table.__table__  # type: ignore[attr-defined]  # SQLModel adds it to classes with table=True
    return core
