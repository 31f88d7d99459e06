"""Rules for every test: what `JIGAP_REQUIRE` names must be there. pyproject.toml shuts sockets beyond this machine."""

import asyncio
import gc
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import postgres
from tests.support.softhsm import SoftHsm, find_module
from tests.support.tables import migrate_all
from wallet_core.adapters.sql import Database

REQUIRED = {name.strip() for name in os.environ.get("JIGAP_REQUIRE", "").split(",") if name.strip()}  # noqa: TID251
"""Services a run insists on (``postgres,chromium,interop,interop-node,softhsm``): a test that lacks one fails."""

READABLE_BYTES = 16
"""Bytes up to which a value is its own name in a list of tests."""

settings.register_profile("default", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
# CI takes the short form; `make fuzz` is the long one.
settings.register_profile("ci", parent=settings.get_profile("default"), derandomize=True, max_examples=20)
settings.load_profile("ci" if os.environ.get("CI") else "default")  # noqa: TID251


def lacking(service: str, reason: str) -> None:
    """Skip the test for want of ``service``, or fail it where the run insists on that service."""
    if service in REQUIRED:
        pytest.fail(f"JIGAP_REQUIRE names {service}, but {reason}")
    pytest.skip(reason)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run be confined to the tests of some clauses, as tools/mutate.py wants it."""
    text = "only the tests with the marker clause(ID); may be repeated"
    parser.addoption("--clause", action="append", default=[], help=text)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run the browser's tests last, and only the tests of the clauses that were asked for.

    Last, because Playwright leaves an event loop running in its thread, in which later tests could start none. After
    pytest's own order, which brings tests that share a parametrised fixture together.
    """
    items.sort(key=lambda item: item.get_closest_marker("browser") is not None)
    if wanted := set(config.getoption("--clause")):
        items[:] = [item for item in items if any(wanted & {*mark.args} for mark in item.iter_markers("clause"))]


def pytest_collection_finish() -> None:
    """Leave ten thousand tests out of every later round of the garbage collector, which takes a sixth of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def _no_event_loop_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test that leaves an event loop running in this thread, not those after it that could start none."""
    yield
    if request.node.get_closest_marker("browser") is None:
        assert asyncio._get_running_loop() is None, "an event loop was left running"


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name long byte strings by their argument: those made with new keys differ between the workers of one run."""
    del config
    return argname if isinstance(val, bytes) and len(val) > READABLE_BYTES else None


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[postgres.Cluster]:
    """A PostgreSQL of this test process."""
    programs = postgres.find_programs()
    if programs is None:
        lacking("postgres", "PostgreSQL is not installed (Debian: apt-get install postgresql)")
    # Tests kill our processes, never the database: waiting for the disk would show nothing.
    with postgres.Cluster(programs, durable=False) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def postgres_template(postgres_cluster: postgres.Cluster) -> str:
    """Name of a database with the empty tables of all apps."""
    migrate_all(postgres_cluster.create_database("migrated"))
    return "migrated"


@pytest.fixture
def postgres_url(postgres_cluster: postgres.Cluster, postgres_template: str) -> Iterator[str]:
    """URL of a PostgreSQL database in which nothing is but the empty tables of all apps."""
    name = f"test_{secrets.token_hex(6)}"
    yield postgres_cluster.create_database(name, postgres_template)
    postgres_cluster.drop_database(name)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a database without rows, once for each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('database')}/test.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty database, once for each engine."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def softhsm_module() -> Path:
    """The library of SoftHSM."""
    module = find_module()
    if module is None:
        lacking("softhsm", "SoftHSM is not installed (Debian: apt-get install softhsm2)")
    return module


@pytest.fixture
def softhsm(softhsm_module: Path, tmp_path: Path) -> Iterator[SoftHsm]:
    """SoftHSM of one test, without a token yet."""
    with SoftHsm(softhsm_module, tmp_path / "softhsm").in_use() as made:
        yield made
