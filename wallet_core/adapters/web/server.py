"""uvicorn with its workers, and durable work beside them."""

import threading
from collections.abc import Callable

import uvicorn

GRACE_SECONDS = 10
"""Seconds that requests in flight have to end when the server stops."""


def serve(
    factory: str,
    *,
    host: str,
    port: int,
    workers: int = 1,
    work: Callable[[threading.Event], None] | None = None,
) -> None:
    """Serve until a signal.

    Args:
        factory: import string of a function that returns the app (``issuer.app:create``).
        host: address to listen on.
        port: to listen on.
        workers: processes behind the port.
        work: runs durable jobs until the event is set, in a thread of this process: with several workers it only
            supervises them, so the work takes nobody's time.
    """
    stop = threading.Event()
    worker = threading.Thread(target=work, args=(stop,), name="work", daemon=True) if work else None
    if worker:
        worker.start()
    try:
        uvicorn.run(
            factory,
            factory=True,
            host=host,
            port=port,
            workers=workers,
            loop="uvloop",
            http="httptools",
            lifespan="on",
            log_config=None,
            access_log=False,  # Frame writes a line without query and ids
            server_header=False,
            proxy_headers=False,  # identifiers come from PUBLIC_URL, never from a header
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    finally:
        stop.set()
        if worker:
            worker.join(GRACE_SECONDS)
