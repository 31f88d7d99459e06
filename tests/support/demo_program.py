"""A demo whose servers can be broken: honest parts run as they are, one part from a copy with one check taken out."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from demo.deployment import Deployment
from demo.servers import Server
from tools.clauses import ROOT, marks
from tools.mutations import mutations

_PARTS = ("wallet_core", "issuer", "verifier", "holder_app", "specs")


@dataclass(frozen=True)
class Sabotage:
    """One check of one server taken out, and the step of the story that must notice.

    ``clause`` names the enforcing statement; where no rule of ``tools.mutations`` fits it, ``instead`` is a line of
    ``file`` and what stands there then.
    """

    app: str
    step: str
    clause: str
    file: str = ""
    instead: tuple[str, str] = ("", "")

    def broken(self) -> tuple[Path, str]:
        """Return the file, below the root, and its text without the check."""
        if self.file:
            honest = (ROOT / self.file).read_text()
            assert honest.count(self.instead[0]) == 1
            return Path(self.file), honest.replace(*self.instead)
        (mark,) = (mark for mark in marks() if mark.id == self.clause)
        return mark.path.relative_to(ROOT), mutations(mark.path.read_text(), mark.line)[0].source


def copy_tree(target: Path) -> Path:
    """Copy what the servers are made of."""
    for part in _PARTS:
        shutil.copytree(ROOT / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
    return target


@contextmanager
def sabotaged(deployment: Deployment, servers: dict[str, Server], tree: Path, sabotage: Sabotage) -> Iterator[None]:
    """Run one server from ``tree`` without one of its checks; afterwards the honest one again."""
    file, text = sabotage.broken()
    honest = (tree / file).read_text()
    servers[sabotage.app].stop()
    broken = Server(replace(deployment, extra_environment={"PYTHONPATH": str(tree)}), sabotage.app)
    (tree / file).write_text(text)
    try:
        broken.start()
        broken.wait()
        yield
    finally:
        broken.stop()
        (tree / file).write_text(honest)
        servers[sabotage.app] = Server(deployment, sabotage.app)
        servers[sabotage.app].start()
        servers[sabotage.app].wait()
