"""A demo whose servers can be broken: honest parts run as they are, one part from a copy with one check taken out."""

import importlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

from demo.deployment import Deployment
from demo.servers import Server
from tools.clauses import ROOT, marks
from tools.mutations import mutations

_PARTS = ("wallet_core", "issuer", "verifier", "holder_app", "specs")


@dataclass(frozen=True)
class Sabotage:
    """One check of one server taken out, and the step of the story that must notice.

    ``clause`` names the enforcing statement, in ``file`` where it stands in several; where no rule of
    ``tools.mutations`` fits it, ``instead`` is a line of ``file`` and what stands there then. ``check`` is its number
    among those of a company that gets an answer, or of the wallet that gets a request or a card.
    ``words`` stand in what the story says when it fails: of several forgeries, the one that was taken.
    """

    app: str
    step: str
    clause: str
    file: str = ""
    instead: tuple[str, str] = ("", "")
    check: str = ""
    words: str = ""

    def broken(self) -> tuple[Path, str]:
        """Return the file, below the root, and its text without the check."""
        if self.instead[0]:
            honest = (ROOT / self.file).read_text()
            assert honest.count(self.instead[0]) == 1
            return Path(self.file), honest.replace(*self.instead)
        found = [mark for mark in marks() if mark.id == self.clause]
        (mark,) = (mark for mark in found if not self.file or mark.path == ROOT / self.file)
        return mark.path.relative_to(ROOT), mutations(mark.path.read_text(), mark.line)[0].source


def break_in_process(sabotage: Sabotage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a check out of this process, in which the citizen's wallet runs, also for whoever imported the function."""
    file, text = sabotage.broken()
    name = ".".join(file.with_suffix("").parts)
    broken = ModuleType(name)
    exec(compile(text, file, "exec"), vars(broken))  # noqa: S102 - our own module, less one line
    for each in vars(importlib.import_module(name)).values():
        if isinstance(each, FunctionType) and each.__module__ == name:
            monkeypatch.setattr(each, "__code__", vars(broken)[each.__name__].__code__)


def copy_tree(target: Path) -> Path:
    """Copy what the servers are made of."""
    for part in _PARTS:
        shutil.copytree(ROOT / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
    return target


@dataclass
class Saboteur:
    """Breaks one server of a running demo at a time, and mends it when something else is to be broken or nothing."""

    deployment: Deployment
    servers: dict[str, Server]
    tree: Path
    _broken: tuple[str, Path, str] | None = None

    def sabotage(self, sabotage: Sabotage) -> None:
        """Run one server from the copy without one of its checks."""
        file, text = sabotage.broken()
        self._restore(sabotage.app)
        self._broken = (sabotage.app, file, (self.tree / file).read_text())
        (self.tree / file).write_text(text)
        self._run(Server(replace(self.deployment, extra_environment={"PYTHONPATH": str(self.tree)}), sabotage.app))

    def mend(self) -> None:
        """Run only honest servers."""
        self._restore()

    def _restore(self, taken_over: str = "") -> None:
        """Put the file back, and the server, unless the next one takes its place."""
        if self._broken is None:
            return
        app, file, honest = self._broken
        (self.tree / file).write_text(honest)
        self._broken = None
        if app != taken_over:
            self._run(Server(self.deployment, app))

    def _run(self, server: Server) -> None:
        before = self.servers[server.app]
        before.ask_to_stop()
        before.kill()  # a second sooner than politely, each time
        before.stop()
        self.servers[server.app] = server
        server.start()
        server.wait()
