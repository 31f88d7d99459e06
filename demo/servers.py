"""Starts the three servers as programs of their own, waits until they answer, and starts a dead one again."""

import contextlib
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from demo.deployment import APPS, Deployment
from wallet_core.adapters.config import child_environment
from wallet_core.adapters.http import HttpClient
from wallet_core.errors import FetchError, WalletError
from wallet_core.http import Flow, get

START_SECONDS: Final = 60.0
"""How long a server may take to answer first; two busy cores need about five."""

STOP_SECONDS: Final = 12.0
"""How long a server may take to end: uvicorn waits ten seconds for requests in flight."""

_PAUSE = 0.1
_DEATHS = 2
"""Deaths while a server starts after which it is not going to."""
_HEALTHY_SECONDS = 10.0
_LOG_TAIL = 20


class DemoError(WalletError):
    """The demo cannot run; the detail says what to do."""

    code = "demo_cannot_run"


class Server:
    """One server program. Dead, it is started again until :meth:`stop`."""

    def __init__(self, deployment: Deployment, app: str) -> None:
        self.app = app
        self.deployment = deployment
        self.restarts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._launched = 0.0
        self._stopping = threading.Event()
        self._away = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=f"keep-{app}", daemon=True)

    def start(self) -> None:
        """Start the program and a thread that keeps it alive."""
        self.deployment.log(self.app).parent.mkdir(parents=True, exist_ok=True)
        self._launch()
        self._keeper.start()

    def ask_to_stop(self) -> None:
        """Tell the program to end, and the keeper to let it."""
        self._stopping.set()
        if self._process is not None:
            self._process.terminate()

    def stop(self) -> None:
        """End the program, politely first, and wait until it is gone."""
        self.ask_to_stop()
        if self._keeper.is_alive():
            self._keeper.join(STOP_SECONDS)
        self._end()  # the keeper may have started it while it was told not to

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """Kill the program at once (-9), as a power cut would; the keeper starts it again."""
        if self._process is not None:
            self._process.kill()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """End the program and keep it down meanwhile; afterwards it is started again and answers."""
        self._away.set()
        try:
            self._end()
            yield
        finally:
            self._launch()
            self._away.clear()
            self.wait()

    @property
    def answers(self) -> bool:
        """Whether ``/healthz`` answers 200 now."""
        return _is_healthy(self.deployment, self.app)

    def wait(self, seconds: float = START_SECONDS) -> None:
        """Wait until the server answers.

        Raises:
            DemoError: it does not in time, or it ended at once.
        """
        deadline, restarts = time.monotonic() + seconds, self.restarts
        while not self.answers:
            if time.monotonic() > deadline or self.restarts > restarts + _DEATHS:
                log = self.deployment.log(self.app)
                raise DemoError(f"the {self.app} does not start", detail=f"see {log}:\n{_tail(log)}")
            time.sleep(_PAUSE)

    def _launch(self) -> None:
        self._launched = time.monotonic()
        # Appending: the reasons of earlier deaths stay readable.
        at = ["--host", self.deployment.listen, "--port", str(self.deployment.port(self.app))]
        with self.deployment.log(self.app).open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program, found beside this interpreter
                [program(), self.app, "serve", *at, "--workers", str(self.deployment.workers)],
                env=child_environment(self.deployment.environment(self.app)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C ends the demo, which then ends its servers one by one.
                start_new_session=True,
            )

    def _keep(self) -> None:
        while not self._stopping.is_set():
            process = self._process
            if process is None or process.poll() is None or self._away.is_set():
                self._stopping.wait(_PAUSE)
                continue
            self.restarts += 1
            # A program that dies at once would otherwise be started hundreds of times.
            lived = time.monotonic() - self._launched
            self._stopping.wait(0.0 if lived > _HEALTHY_SECONDS else 1.0)
            if not self._stopping.is_set():
                self._launch()


@contextlib.contextmanager
def running(deployment: Deployment) -> Iterator[dict[str, Server]]:
    """Run the three servers; they are stopped at the end, whatever happens.

    Raises:
        DemoError: a port is busy, or a server does not start.
    """
    check_ports(deployment)
    servers = {app: Server(deployment, app) for app in APPS}
    try:
        for server in servers.values():
            server.start()
        for server in servers.values():
            server.wait()
        yield servers
    finally:
        _stop_all(list(servers.values()))


def _stop_all(servers: Sequence[Server]) -> None:
    """Stop all at the same time; whoever is impatient (a second Ctrl-C) leaves none behind either."""
    try:
        for server in servers:
            server.ask_to_stop()
        for server in servers:
            server.stop()
    except BaseException:
        for server in servers:
            server.kill()
        raise


def check_ports(deployment: Deployment) -> None:
    """Check that the ports are free.

    Raises:
        DemoError: one is not; the detail says which and what to do.
    """
    ports = {app: deployment.port(app) for app in APPS}
    if deployment.tls:
        ports["page for phones"] = deployment.trust_port
    for app, port in ports.items():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((deployment.listen, port))
            except OSError as exc:
                raise DemoError(
                    "a port is busy",
                    detail=f"port {port} of the {app} is in use by another program: end it, or choose other ports, "
                    f"for example: make demo BASE_PORT={deployment.base_port + 1000}",
                ) from exc


def program() -> str:
    """Return the path of ``jigap``.

    Raises:
        DemoError: it is not there.
    """
    found = shutil.which("jigap", path=str(Path(sys.executable).parent))
    if found is None:
        raise DemoError("the program jigap is not installed beside this Python", detail="run make demo in the checkout")
    return found


def _is_healthy(deployment: Deployment, app: str) -> bool:
    def ask() -> Flow[bool]:
        answer = yield get(f"{deployment.url(app)}/healthz", accept="application/json")
        return answer.ok

    client = HttpClient(allow_loopback=True, timeout=2.0, tls_roots=deployment.tls_roots if deployment.tls else None)
    try:
        return client.run(ask())
    except FetchError:
        return False


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-_LOG_TAIL:])
