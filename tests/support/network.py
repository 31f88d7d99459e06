"""Ports of this machine."""

import contextlib
import socket
from typing import Final

_GUARD: Final = 50
"""Above a base port: bound by the test process that the base belongs to, so that two never choose the same."""

_guards: list[socket.socket] = []


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def free_base_port() -> int:
    """Return a port that is free with the ones 100 and 200 above it, and is this test process's own until it ends."""
    for base in range(21_000, 31_000, 317):
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            guard = held.enter_context(_bound(base + _GUARD))
            for above in (0, 100, 200):
                held.enter_context(_bound(base + above))
            _guards.append(guard.dup())
            return base
    raise RuntimeError("no free ports")


def _bound(port: int) -> socket.socket:
    taken = socket.socket()
    try:
        taken.bind(("127.0.0.1", port))
    except OSError:
        taken.close()
        raise
    return taken
