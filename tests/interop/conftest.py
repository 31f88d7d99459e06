"""Other people's packages, which run as programs of their own: Python's in a second environment, npm's beside them."""

import contextlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import lacking
from tests.support.issuing import NOW
from tests.support.network import free_port
from tests.support.serving import serving
from wallet_core.adapters.config import child_environment

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"

Peer = Callable[..., list[dict[str, Any]]]
NodePeer = Callable[..., list[Any]]
NodeServer = Callable[..., contextlib.AbstractContextManager[subprocess.Popen[str]]]


@pytest.fixture(scope="session")
def peer() -> Peer:
    """A function that hands tasks to the program and returns its answers."""
    python = ROOT / ".venv-interop" / "bin" / "python"
    if not python.exists():
        lacking("interop", "the second environment is not there (make venv-interop)")

    def ask(*tasks: dict[str, Any]) -> list[dict[str, Any]]:
        return _answers([str(python), str(PROGRAMS / "mdoc_and_cose.py")], tasks)

    return ask


def _node() -> str:
    """Return the program ``node``, where its packages are there too."""
    found = shutil.which("node")
    if found is None:
        lacking("interop-node", "Node.js is not there (Debian: apt-get install nodejs npm)")
    if not (PROGRAMS / "node_modules" / ".installed").exists():
        lacking("interop-node", "npm's packages are not there (make venv-interop, with Node.js 20 or newer)")
    return str(found)


@pytest.fixture(scope="session")
def node() -> NodePeer:
    """A function that hands tasks to a program with npm's packages, by its name, and returns its answers.

    ``now`` is the time there; ``roads`` says where the servers behind some origins really are.
    """
    program = _node()

    def ask(name: str, *tasks: dict[str, Any], now: datetime = NOW, roads: dict[str, str] | None = None) -> list[Any]:
        told = json.dumps({"now": now.isoformat(), "roads": roads or {}})
        return _answers([program, str(PROGRAMS / f"{name}.mjs")], tasks, JIGAP_INTEROP=told)

    return ask


@pytest.fixture(scope="session")
def node_server() -> NodeServer:
    """A function that starts a server of npm's packages: the program's name, what it is told, and the time there.

    It yields the running program, whose first line of output says that it listens.
    """
    program = _node()

    @contextlib.contextmanager
    def start(name: str, told: dict[str, Any], *, now: datetime = NOW) -> Iterator[subprocess.Popen[str]]:
        environment = child_environment({"JIGAP_INTEROP": json.dumps({"now": now.isoformat()})})
        command = [program, str(PROGRAMS / f"{name}.mjs"), json.dumps(told)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as running:
            try:
                yield running
            finally:
                running.terminate()

    return start


@contextlib.contextmanager
def behind_a_port(app: Any) -> Iterator[str]:
    """Serve ``app``, and return where it really is."""
    port = free_port()
    with serving(app, port):
        yield f"http://localhost:{port}"


def _answers(command: list[str], tasks: tuple[dict[str, Any], ...], **environment: str) -> list[Any]:
    done = subprocess.run(
        command,
        input=json.dumps(tasks),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=child_environment(environment),
    )
    assert done.returncode == 0, done.stderr[-4000:]
    answers: list[Any] = json.loads(done.stdout)
    return answers
