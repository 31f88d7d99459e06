"""Units of work, compare-and-set, spend-once: on SQLite and PostgreSQL."""

import hashlib
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from psycopg.pq import TransactionStatus
from sqlalchemy import func, insert, select
from sqlmodel import JSON, Column, Field, SQLModel

from wallet_core.adapters import sql
from wallet_core.adapters.app_tables import AppTables, app_tables
from wallet_core.adapters.sql import Database
from wallet_core.errors import StateConflict, StorageError
from wallet_core.types import JsonObject

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
DIGEST = hashlib.sha256(b"secret").digest()


class Base(SQLModel, registry=sql.app_registry()):
    pass


class Offer(Base, table=True):
    __tablename__ = "test_offer"

    id: str = Field(primary_key=True)
    version: int
    kind: str
    body: JsonObject = Field(sa_column=Column(JSON, nullable=False))
    expires_at: datetime = Field(sa_type=sql.UtcDateTime)


TABLES: AppTables = app_tables("test", Base.metadata)


@pytest.fixture
def made(database: Database) -> Database:
    Base.metadata.create_all(database.engine)
    return database


def _add(database: Database, offer_id: str = "a") -> None:
    with database.unit() as unit:
        unit.connection.execute(
            insert(Offer), {"id": offer_id, "version": 1, "kind": "offered", "body": {"이름": [1]}, "expires_at": NOW}
        )


def test_committed_rows_are_read_back_as_they_were(made: Database) -> None:
    _add(made)
    with made.reader() as unit:
        row = unit.connection.execute(select(Offer.__table__)).one()
    assert row.body == {"이름": [1]}
    assert row.expires_at == NOW
    assert row.expires_at.tzinfo is UTC


def test_an_exception_rolls_back(made: Database) -> None:
    with pytest.raises(KeyError), made.unit() as unit:  # noqa: PT012
        unit.connection.execute(insert(Offer), {"id": "b", "version": 1, "kind": "k", "body": {}, "expires_at": NOW})
        raise KeyError
    with made.reader() as unit:
        assert unit.connection.execute(select(func.count()).select_from(Offer)).scalar_one() == 0


def test_a_unit_serves_again_and_joins_itself(made: Database) -> None:
    unit = made.unit()
    for _ in range(2):
        with unit, unit:
            pass
    with pytest.raises(RuntimeError):
        _ = unit.connection


def test_what_an_inner_unit_wrote_goes_with_the_outer_one(made: Database) -> None:
    row = {"id": "b", "version": 1, "kind": "k", "body": {}, "expires_at": NOW}
    unit = made.unit()
    with pytest.raises(KeyError), unit:  # noqa: PT012
        with unit:
            unit.connection.execute(insert(Offer), row)
        raise KeyError
    with made.reader() as reader:
        assert reader.connection.execute(select(Offer.id)).all() == []


def test_advance_moves_a_row_once(made: Database) -> None:
    _add(made)
    with made.unit() as unit:
        assert sql.advance(unit.connection, Offer, id="a", version=1, kind="issued", body={"n": 1}) == 2
    with pytest.raises(StateConflict), made.unit() as unit:
        sql.advance(unit.connection, Offer, id="a", version=1, kind="refused", body={})
    later = NOW + timedelta(days=1)
    with made.unit() as unit:
        sql.advance(unit.connection, Offer, id="a", version=2, kind="done", body={}, expires_at=later)
        assert unit.connection.execute(select(Offer.expires_at)).scalar_one() == later


def test_a_secret_is_spent_once_and_the_rest_of_the_unit_goes_on(made: Database) -> None:
    with made.unit() as unit:
        sql.spend_together(unit, TABLES.spent, [DIGEST], expires_at=NOW)
    with made.unit() as unit:
        with pytest.raises(StateConflict):
            sql.spend_together(unit, TABLES.spent, [DIGEST], expires_at=NOW)
        unit.connection.execute(insert(Offer), {"id": "c", "version": 1, "kind": "k", "body": {}, "expires_at": NOW})
    with made.unit() as unit:
        assert unit.connection.execute(select(Offer.id)).scalars().all() == ["c"]
        assert sql.delete_expired(unit.connection, TABLES.spent, now=NOW + timedelta(seconds=1), limit=9) == 1


def test_what_has_expired_goes_in_parts(made: Database) -> None:
    for offer_id in "abc":
        _add(made, offer_id)
    with made.unit() as unit:
        assert sql.delete_expired(unit.connection, Offer.__table__, now=NOW, limit=2) == 0
        later = NOW + timedelta(seconds=1)
        assert [sql.delete_expired(unit.connection, Offer.__table__, now=later, limit=2) for _ in range(3)] == [2, 1, 0]


def test_of_two_simultaneous_spenders_exactly_one_wins(made: Database) -> None:
    barrier = threading.Barrier(4)
    results: list[str] = []

    def spend_it() -> None:
        barrier.wait()
        try:
            with made.unit() as unit:
                sql.spend_together(unit, TABLES.spent, [DIGEST], expires_at=NOW)
            results.append("won")
        except StateConflict:
            results.append("refused")

    threads = [threading.Thread(target=spend_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["refused", "refused", "refused", "won"]


def test_a_reader_cannot_write_and_sees_one_state(made: Database) -> None:
    _add(made)
    with made.reader() as reader:
        before = reader.connection.execute(select(func.count()).select_from(Offer)).scalar_one()
        _add(made, "later")
        assert reader.connection.execute(select(func.count()).select_from(Offer)).scalar_one() == before
    with pytest.raises(StorageError), made.reader() as unit:
        unit.connection.execute(insert(Offer), {"id": "x", "version": 1, "kind": "k", "body": {}, "expires_at": NOW})
    _add(made, "writer-after-reader")


def test_a_glance_sees_what_was_committed_before_it_and_begins_no_transaction(made: Database) -> None:
    _add(made)
    with made.glance() as glance:
        assert glance.connection.execute(select(func.count()).select_from(Offer)).scalar_one() == 1
        if not made.is_sqlite:
            driver: Any = glance.connection.connection.dbapi_connection
            assert driver.info.transaction_status == TransactionStatus.IDLE
    with made.unit() as unit:  # the same connection, from the pool
        assert unit.connection.execute(select(func.count()).select_from(Offer)).scalar_one() == 1
        if not made.is_sqlite:
            driver = unit.connection.connection.dbapi_connection
            assert driver.info.transaction_status == TransactionStatus.INTRANS


def test_errors_of_the_database_are_ours_and_quote_no_row(made: Database) -> None:
    _add(made, "홍길동")
    with pytest.raises(StateConflict) as conflict:
        _add(made, "홍길동")
    assert "홍길동" not in str(conflict.value)
    with pytest.raises(StorageError), made.unit() as unit:
        unit.connection.exec_driver_sql("SELECT nothing FROM nowhere")


def test_an_unreachable_database_is_a_storage_error() -> None:
    with pytest.raises(StorageError), Database("postgresql://nobody@127.0.0.1:1/none").unit():
        pass


def test_a_naive_time_is_refused(made: Database) -> None:
    with pytest.raises(StorageError), made.unit() as unit:
        sql.spend_together(unit, TABLES.spent, [DIGEST], expires_at=NOW.replace(tzinfo=None))


def test_the_clock_of_the_database_moves_within_a_transaction(made: Database) -> None:
    with made.unit() as unit:
        first = unit.connection.execute(select(sql.database_now())).scalar_one()
        threading.Event().wait(0.01)
        second = unit.connection.execute(select(sql.database_now())).scalar_one()
    assert 0.005 < second - first < 5
    assert abs(first - datetime.now(UTC).timestamp()) < 5  # noqa: TID251


def test_sqlite_survives_a_power_cut(tmp_path: Path) -> None:
    with Database(f"sqlite:///{tmp_path}/a.db").unit() as unit:
        assert unit.connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
        assert unit.connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert unit.connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1


def test_a_new_database_file_is_its_owner_s_only(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/new/folder/a.db")
    with database.unit() as unit:
        unit.connection.exec_driver_sql("CREATE TABLE a (b)")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new" / "folder").iterdir()}
    assert modes
    assert set(modes.values()) == {0o600}


def test_a_place_where_no_file_can_be_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError), Database(f"sqlite:///{tmp_path}/file/a.db").unit():
        pass


def test_a_database_in_memory_keeps_its_rows_between_units() -> None:
    database = Database("sqlite://")
    Base.metadata.create_all(database.engine)
    _add(database)
    with database.unit() as unit:
        assert unit.connection.execute(select(Offer.id)).scalars().all() == ["a"]
