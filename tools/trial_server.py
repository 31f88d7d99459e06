"""Runs pytest once for each line on standard input (a JSON array of arguments) and answers with its exit status.

Everything that is not ours is loaded once and each run is a fork, because loading takes longer than most tests. Started
by ``tools/mutate.py`` in a copy of the tree; nothing of ours is loaded here, so each run reads the tree as it is then.
"""

import contextlib
import json
import os
import signal
import sys
from importlib import import_module
from typing import NoReturn

import pytest

LIMIT = 300
"""Seconds for one run; who takes longer has noticed."""

# Not the plugins of pytest: it rewrites them as it loads them.
_LIBRARIES = [
    "hypothesis.strategies",
    "cryptography.x509.verification",
    "joserfc.jwe",
    "jwt",
    "orjson",
    "fastapi",
    "starlette.testclient",
    "sqlalchemy",
    "sqlmodel",
    "alembic.command",
    "pydantic",
    "typer",
    "rich.console",
    "structlog",
    "httpx2",
    "jinja2",
    "babel.dates",
    "qrcode",
    "PIL.Image",
    "uvicorn",
]


def main() -> None:
    """Serve until standard input ends."""
    for name in _LIBRARIES:
        with contextlib.suppress(ImportError):
            import_module(name)
    signal.signal(signal.SIGALRM, _late)
    for line in sys.stdin:
        print(_run(json.loads(line)), flush=True)


def _run(arguments: list[str]) -> int:
    child = os.fork()
    if child == 0:
        _be_trial(arguments)
    signal.alarm(LIMIT)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except TimeoutError:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return 1
    finally:
        signal.alarm(0)


def _be_trial(arguments: list[str]) -> NoReturn:
    status = 3
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        status = pytest.main(arguments)
    finally:
        os._exit(status)


def _late(*_: object) -> NoReturn:
    raise TimeoutError


if __name__ == "__main__":
    main()
