"""A private PostgreSQL cluster for one test run: its own folder and a free loopback port."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

_PLACES = ("/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt/postgresql")

_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made there
_ROOM = 4 << 30

_ICU_SINCE = 15
"""The first PostgreSQL whose databases can order text by ICU."""


def find_programs() -> Path | None:
    """Return the folder of ``initdb`` and ``pg_ctl``, the newest version first."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    candidates = [path.parent for place in _PLACES for path in Path(place).glob("**/bin/initdb")]
    return max(
        candidates, key=lambda path: [int(part) for part in str(path).split("/") if part.isdigit()], default=None
    )


class Cluster:
    """Runs while the ``with`` block does. PostgreSQL refuses root, so root lends it to ``postgres`` or ``nobody``."""

    def __init__(self, programs: Path, *, durable: bool = True) -> None:
        self._programs = programs
        self._fsync = "on" if durable else "off"
        self._folder = Path(tempfile.mkdtemp(prefix="jigap-postgres-", dir=None if durable else _in_memory()))
        self._user = _other_user() if os.geteuid() == 0 else None
        self.port = free_port()

    def __enter__(self) -> Self:
        if self._user:
            shutil.chown(self._folder, self._user)
        data = self._folder / "data"
        self._run("initdb", "-D", str(data), "-U", "jigap", "-A", "trust", "-E", "UTF8", *self._locale(), "--no-sync")
        settings = {"listen_addresses": "127.0.0.1", "max_connections": "200", "fsync": self._fsync}
        chosen = " ".join(f"-c {name}={value}" for name, value in settings.items())
        options = f"-p {self.port} -k {self._folder} {chosen}"
        self._run("pg_ctl", "-D", str(data), "-w", "-t", "60", "-l", str(self._folder / "log"), "-o", options, "start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "-w", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def create_database(self, name: str, template: str = "template1") -> str:
        """Create a database like another one, which nobody uses now, and return its URL."""
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return self._url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, ending what still uses it."""
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())

    def _locale(self) -> tuple[str, ...]:
        """Order text as an ordinary installation does, by language, where that needs no locale of the system."""
        said = subprocess.run([self._programs / "initdb", "--version"], capture_output=True, check=True)
        version = re.search(rb"(\d+)", said.stdout)
        if version is None or int(version[1]) < _ICU_SINCE:
            return ("--locale=C",)
        return "--locale=C", "--locale-provider=icu", "--icu-locale=en-US"

    def _url(self, name: str) -> str:
        return f"postgresql://jigap@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        if self._user:
            command = ["runuser", "-u", self._user, "--", *command]
        # The server inherits what pg_ctl has open: a pipe would keep us waiting for its end.
        with (self._folder.parent / f"{self._folder.name}.out").open("w+b") as output:
            done = subprocess.run(
                command, cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, check=False
            )
            output.seek(0)
            said = output.read().decode(errors="replace")
            Path(output.name).unlink()
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {said}")


def _in_memory() -> str | None:
    """Return a folder in memory if there is a large one: a database is made of some hundred files."""
    return str(_MEMORY) if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM else None


def _other_user() -> str:
    import pwd

    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
