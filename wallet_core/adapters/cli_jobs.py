"""``jigap issuer|verifier|wallet jobs``: durable work that was given up, and putting it back to work."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlalchemy import RowMapping

from wallet_core.adapters.app_tables import AppTables
from wallet_core.adapters.cli import JsonFlag, out
from wallet_core.adapters.jobs import failed_jobs, send_again
from wallet_core.adapters.sql import Database
from wallet_core.types import JsonObject


def jobs_commands(tables: AppTables, database: Callable[[], Database]) -> typer.Typer:
    """Return the commands of an app with these tables; ``database`` opens the one that is configured."""
    app = typer.Typer(no_args_is_help=True, help="Durable work that was given up after too many tries.")

    @app.command("failed")
    def list_failed(*, as_json: JsonFlag = False) -> None:
        """List what was given up, the latest first and at most 100: what it was, and why it failed."""
        with database().reader() as unit:
            failed = [_json(row) for row in failed_jobs(unit.connection, tables)]
        out(as_json, {"jobs": failed}, "\n".join(map(_line, failed)) or "nothing was given up")

    @app.command("retry")
    def retry(
        job: Annotated[int, typer.Argument(help="Number of the job, as `failed` shows it.")],
        *,
        as_json: JsonFlag = False,
    ) -> None:
        """Put a job that was given up back to work, with its tries renewed; mend first what the error says."""
        with database().unit() as unit:
            send_again(unit.connection, tables, job)
        out(as_json, {"job": job, "due": True}, f"job {job} is due again")

    return app


def _json(row: RowMapping) -> JsonObject:
    return {
        "job": row["id"],
        "name": row["name"],
        "tries": min(row["attempts"], row["max_attempts"]),
        "error": row["error"],
        "failed_at": datetime.fromtimestamp(row["failed_at"], UTC).isoformat(timespec="seconds"),
    }


def _line(job: JsonObject) -> str:
    return f"{job['job']:>6}  {job['failed_at']}  {job['name']} (tries: {job['tries']}): {job['error']}"
