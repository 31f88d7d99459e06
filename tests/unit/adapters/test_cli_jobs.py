"""``jobs failed`` and ``jobs retry``, which every app has: on both engines."""

import json
from typing import Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from holder_app import cli as wallet_cli
from issuer import cli as issuer_cli
from tests.support.job_programs import METADATA, TABLES
from verifier import cli as verifier_cli
from wallet_core.adapters import jobs
from wallet_core.adapters.cli_jobs import jobs_commands
from wallet_core.adapters.jobs import Task, Worker
from wallet_core.adapters.sql import Database
from wallet_core.errors import NotFound, StorageError


@pytest.fixture
def made(database: Database) -> Database:
    METADATA.create_all(database.engine)
    return database


def _give_up(made: Database, name: str = "effect") -> None:
    def run(*_: Any) -> None:
        raise StorageError("no", detail="\x1b[2Jwhat to change")

    with made.unit() as unit:
        jobs.enqueue(unit.connection, TABLES, name, {"id": "of a person"}, max_attempts=1)
    Worker(made, TABLES, {name: Task(run)}).run_due()


def _run(made: Database, *words: str, check: bool = True) -> Any:
    return CliRunner().invoke(jobs_commands(TABLES, lambda: made), [*words], catch_exceptions=not check)


def test_what_was_given_up_is_listed_with_its_reason(made: Database) -> None:
    assert _run(made, "failed").stderr == "nothing was given up\n"
    assert json.loads(_run(made, "failed", "--json").stdout) == {"jobs": []}
    _give_up(made, "first")
    _give_up(made, "second")
    words = _run(made, "failed").stderr
    assert words.index("second (tries: 1): StorageError: ") < words.index("first (tries: 1)")
    # Another's words steer no terminal, and payloads are not shown.
    assert "\x1b" not in words
    assert "person" not in words
    (latest, _) = json.loads(_run(made, "failed", "--json").stdout)["jobs"]
    assert (latest["name"], latest["tries"]) == ("second", 1)
    assert latest["failed_at"].endswith("+00:00")


def test_one_is_put_back_to_work_once(made: Database) -> None:
    _give_up(made)
    (job,) = json.loads(_run(made, "failed", "--json").stdout)["jobs"]
    assert "is due again" in _run(made, "retry", str(job["job"])).stderr
    with made.reader() as unit:
        (row,) = unit.connection.execute(select(TABLES.job)).all()
    assert (row.attempts, row.payload) == (0, {"id": "of a person"})
    with pytest.raises(NotFound):
        _run(made, "retry", str(job["job"]))
    assert _run(made, "failed").stderr == "nothing was given up\n"


@pytest.mark.parametrize(
    "app", [issuer_cli.app, verifier_cli.app, wallet_cli.app], ids=["issuer", "verifier", "wallet"]
)
def test_every_app_has_them(app: Any) -> None:
    for command in ("failed", "retry"):
        assert CliRunner().invoke(app, ["jobs", command, "--help"]).exit_code == 0
