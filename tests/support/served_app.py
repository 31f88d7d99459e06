"""A small app served by real processes: python -m tests.support.served_app PORT WORKERS FOLDER [CERTIFICATE KEY]."""

import asyncio
import os
import sys
import threading
from pathlib import Path

from fastapi import FastAPI

from wallet_core.adapters.web.server import end_with_parent, serve


def create() -> FastAPI:
    """Return the app; a worker process calls this."""
    app = FastAPI()
    end_with_parent()

    @app.get("/pid")
    async def pid() -> int:
        return os.getpid()

    @app.get("/slow")
    async def slow() -> str:
        await asyncio.sleep(1)
        return "done"

    return app


def _work(folder: Path, stop: threading.Event) -> None:
    (folder / "started").touch()
    stop.wait()
    (folder / "stopped").touch()


if __name__ == "__main__":
    port, workers, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    serve(
        "tests.support.served_app:create",
        host="127.0.0.1",
        port=port,
        workers=workers,
        work=lambda stop: _work(folder, stop),
        tls=(Path(sys.argv[4]), Path(sys.argv[5])) if len(sys.argv) > 4 else None,
    )
