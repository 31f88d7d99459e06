"""uvicorn with its workers, and durable work beside them."""

import gc
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn

from wallet_core.adapters.http import TLS12_CIPHERS
from wallet_core.adapters.web.connection import Connection

GRACE_SECONDS = 10
"""Seconds that requests in flight have to end when the server stops."""


KEEP_ALIVE_SECONDS: Final = 75
"""How long an idle connection stays open: longer than proxies (60 s) and wallets keep one that they send over again.

Who closes should be the one that sends: a POST that meets a closing connection is not repeated (RFC 9112 9.3.1)."""

_GC_THRESHOLDS = (20_000, 20, 20)
"""New objects before the collector looks: what some dozen requests have at hand. Cycles are rare and wait that long."""


def end_with_parent() -> None:
    """In a worker process: end when the supervising process is gone, even by ``kill -9``.

    Without it the workers would go on holding the port, and the supervisor could not be started again.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), name="parent-watch", daemon=True).start()


def settle() -> None:
    """In a worker process that is ready to serve: leave what is there now to itself.

    Nothing of the app ever becomes garbage, yet the collector would walk through all of it again and again, and through
    the objects of requests in flight before they have had time to end by themselves.
    """
    if multiprocessing.parent_process() is not None:
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)


def _end_after(sentinel: int) -> None:
    multiprocessing.connection.wait([sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def serve(
    factory: str,
    *,
    host: str,
    port: int,
    workers: int = 1,
    work: Callable[[threading.Event], None] | None = None,
    tls: tuple[Path, Path] | None = None,
) -> None:
    """Serve until a signal.

    Args:
        factory: import string of a function that returns the app (``issuer.app:create``).
        host: address to listen on.
        port: to listen on.
        workers: processes behind the port.
        work: runs durable jobs until the event is set, in a thread of this process: with several workers it only
            supervises them, so the work takes nobody's time.
        tls: PEM files of certificate chain and key, to speak https; None for http behind a proxy.
    """
    # uvicorn raises the signal again when it has stopped; left to its default, that would end us before our work.
    signal.signal(signal.SIGTERM, _leave)
    stop = threading.Event()
    worker = threading.Thread(target=work, args=(stop,), name="work", daemon=True) if work else None
    if worker:
        worker.start()
    certificate, key = tls or (None, None)
    try:
        uvicorn.run(
            factory,
            factory=True,
            host=host,
            port=port,
            workers=workers,
            loop="uvloop",
            http=Connection,
            ws="none",  # no app of ours speaks WebSocket; the proximity adapter has its own server
            lifespan="on",
            log_config=None,
            access_log=False,  # Frame writes a line without query and ids
            server_header=False,
            proxy_headers=False,  # identifiers come from PUBLIC_URL, never from a header
            timeout_graceful_shutdown=GRACE_SECONDS,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            ssl_certfile=certificate,
            ssl_keyfile=key,
            # protocols.md M8: Python offers nothing below TLS 1.2; of 1.2 only these, 1.3 is preferred.
            ssl_ciphers=TLS12_CIPHERS,
        )
    finally:
        stop.set()
        if worker:
            worker.join(GRACE_SECONDS)
