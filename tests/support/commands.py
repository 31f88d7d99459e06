"""Commands of ``jigap``, each in a process of its own that need not import everything first.

A process that has imported the program waits, and forks for each command: the fork gets its own arguments, environment
and standard streams, and has run nothing yet. A command then costs what it does, not three seconds of imports. Servers
are started as people start them (``issuer_program``, ``verifier_program``).
"""

import atexit
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tools.clauses import ROOT

JIGAP = [sys.executable, "-c", "from wallet_core.adapters.cli import main; main()"]
"""How a server is started: as people start it."""

_MODULES = "demo.cli, holder_app.cli, issuer.cli, verifier.cli"
_WAITING = f"import {_MODULES}; from tests.support.commands import serve; serve()"


def jigap(
    arguments: Sequence[str], *, environment: Mapping[str, str], given: bytes = b""
) -> subprocess.CompletedProcess[str]:
    """Run ``jigap ARGUMENTS`` with ``given`` on its standard input, and return what it said and its exit status."""
    waiting = _waiting(os.getpid())
    assert waiting.stdin
    assert waiting.stdout
    with tempfile.TemporaryDirectory() as folder:
        streams = [Path(folder, name) for name in ("in", "out", "err")]
        streams[0].write_bytes(given)
        order = {"arguments": list(arguments), "environment": dict(environment), "streams": list(map(str, streams))}
        waiting.stdin.write(json.dumps(order) + "\n")
        waiting.stdin.flush()
        status = int(waiting.stdout.readline())
        return subprocess.CompletedProcess(list(arguments), status, streams[1].read_text(), streams[2].read_text())


def printed_by(command: str) -> set[str]:
    """Return the lines that the README shows as printed by a command, in the first block of text after it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = readme.partition(f"```sh\n{command}\n```\n")[2].partition("\n```sh\n")[0]
    found = re.search(r"```text\n(.*?)```", shown, re.DOTALL)
    assert found, f"the README shows nothing that {command} prints"
    return {line for line in found[1].splitlines() if line}


@cache
def _waiting(_of_process: int) -> "subprocess.Popen[str]":
    found = subprocess.Popen(
        [sys.executable, "-c", _WAITING], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(_end, found)
    return found


def _end(process: "subprocess.Popen[str]") -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    process.wait()


def serve() -> None:
    """Wait for orders on standard input, and answer each with the exit status of its command."""
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(order)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(order: dict[str, Any]) -> None:
    """Run the command of an order in this process, which ends with it."""
    status = 1
    try:
        environment = os.environ  # noqa: TID251 - a command gets the environment that it is given, and nothing else
        environment.clear()
        environment.update(order["environment"])
        modes = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT)
        for number, (path, mode) in enumerate(zip(order["streams"], modes, strict=True)):
            os.dup2(os.open(path, mode, 0o600), number)
        sys.stdin, sys.stdout, sys.stderr = (_stream(number, mode) for number, mode in enumerate("rww"))
        sys.argv = ["jigap", *order["arguments"]]
        from wallet_core.adapters.cli import main

        main()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # noqa: BLE001 - as the interpreter does at the end of a program
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


def _stream(number: int, mode: str) -> Any:
    return os.fdopen(number, mode, encoding="utf-8", closefd=False)
