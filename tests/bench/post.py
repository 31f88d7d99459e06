"""Load: requests written to a file, sent once each and never again by Debian's ``wrk``, and the rate of the answers."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

SCRIPT = Path(__file__).with_name("post.lua")
THREADS, CONNECTIONS = 2, 32
TIMEOUT = 20
"""Seconds: an answer that comes late on a busy machine is late, not refused."""
_LINE = re.compile(r"(?m)^RESULT" + r" (\d+)" * 7 + "$")


@dataclass(frozen=True)
class Post:
    """One request, to be sent once."""

    path: str
    authorization: str
    media_type: str
    body: str

    def on_the_wire(self, host: str) -> bytes:
        """Return the bytes that are sent to ``host``."""
        body = self.body.encode()
        lines = [f"POST {self.path} HTTP/1.1", f"Host: {host}", f"Content-Type: {self.media_type}"]
        if self.authorization:
            lines.append(f"Authorization: {self.authorization}")
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body


@dataclass(frozen=True)
class Answers:
    """What came back for ``posts`` requests.

    Attributes:
        per_second: of the answers that were 2xx.
        answered: how many those are.
        refused: answers that were no 2xx, or none.
        p99: in milliseconds.
        posts: how many requests there were to send.
        used_up: whether there were too few: a connection had nothing left to send.
    """

    per_second: float
    answered: int
    refused: int
    p99: float
    posts: int
    used_up: bool

    @classmethod
    def parse(cls, said: str) -> Self:
        """Return what the last line of ``post.lua`` says."""
        found = _LINE.search(said)
        if found is None:
            raise RuntimeError(f"wrk said: {said}")
        requests, microseconds, statuses, broken, p99, posts, beyond = map(int, found.groups())
        answered = requests - statuses
        return cls(answered * 1e6 / microseconds, answered, statuses + broken, p99 / 1000, posts, beyond > 0)

    @property
    def void(self) -> str:
        """Why this measures nothing; empty if it does."""
        if self.refused:
            return f"{self.refused:,} refused, {self.answered:,} answered"
        if self.answered > self.posts:
            return f"{self.answered:,} answers to {self.posts:,} posts"
        return f"the {self.posts:,} posts were used up too soon" if self.used_up else ""


def missing() -> str:
    """Return why nothing can be measured here; empty if it can."""
    lacking = [name for name in ("wrk", "openssl") if shutil.which(name) is None]
    return (
        f"not measured: {' and '.join(lacking)} not installed (Debian: apt-get install wrk openssl)" if lacking else ""
    )


def write_posts(posts: Sequence[Post], origin: str, path: Path) -> None:
    """Write the files for :func:`send`, one for each of its threads."""
    host = urlsplit(origin).netloc
    for number in range(THREADS):
        with _of_thread(path, number).open("wb") as file:
            for request in (post.on_the_wire(host) for post in posts[number::THREADS]):
                file.write(b"%d\n%b" % (len(request), request))


def _of_thread(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def send(origin: str, requests: Path, seconds: float) -> Answers:
    """Send the requests that :func:`write_posts` wrote for some seconds, over 32 connections."""
    options = [f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--timeout", f"{TIMEOUT}s", "-s", str(SCRIPT)]
    finished = subprocess.run(
        ["wrk", *options, origin, "--", str(requests)],
        capture_output=True,
        text=True,
        timeout=60 + seconds,
        check=True,
    )
    return Answers.parse(finished.stdout + finished.stderr)


def openssl_rates() -> tuple[float, float]:
    """Return how often two processes of ``openssl speed`` sign and verify in a second (P-256)."""
    finished = subprocess.run(
        ["openssl", "speed", "-seconds", "1", "-multi", "2", "ecdsap256"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    *_, sign, verify = finished.stdout.split()
    return float(sign), float(verify)
