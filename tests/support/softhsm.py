"""SoftHSM in a folder of its own: tokens that are made, taken away and put back."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

_PLACES = ("/usr/lib/softhsm", "/usr/lib64", "/usr/local/lib/softhsm", "/opt/homebrew/lib/softhsm")

PIN = "q7-softhsm-pin-q7"


def find_module() -> Path | None:
    """Return SoftHSM's library, None where it or its tool is not installed."""
    found = [path for place in _PLACES if (path := Path(place) / "libsofthsm2.so").exists()]
    return found[0].resolve() if found and shutil.which("softhsm2-util") else None


@dataclass
class SoftHsm:
    """SoftHSM with its tokens in ``folder``; whoever uses it needs ``environment``."""

    module: Path
    folder: Path
    tokens: dict[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tokens.mkdir(parents=True)
        (self.folder / "away").mkdir()
        self.configuration.write_text(
            f"directories.tokendir = {self._tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )

    @contextmanager
    def in_use(self) -> Iterator[Self]:
        """Let this process and those it starts use it."""
        from wallet_core.adapters import hsm

        hsm.close_all()
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            yield self
            hsm.close_all()

    @property
    def configuration(self) -> Path:
        return self.folder / "softhsm2.conf"

    @property
    def environment(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.configuration)}

    @property
    def _tokens(self) -> Path:
        return self.folder / "tokens"

    def add_token(self, label: str, pin: str = PIN) -> None:
        """Make a token and a file with its PIN."""
        before = set(self._tokens.iterdir())
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", "87654321"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        (self.tokens[label],) = set(self._tokens.iterdir()) - before
        self.pin_file(label).write_text(pin + "\n")

    def pin_file(self, label: str) -> Path:
        return self.folder / f"{label}.pin"

    def describe(self, token: str, key: str = "signing", **members: str) -> str:
        """The description of a key, as an operator writes it."""
        wanted = {"module": str(self.module), "token": token, "key": key, "pin_file": str(self.pin_file(token))}
        wanted |= members
        return "".join(f'{name} = "{value}"\n' for name, value in wanted.items() if value)

    def take_away(self, label: str) -> None:
        """Pull the token out."""
        self.tokens[label].rename(self.folder / "away" / self.tokens[label].name)

    def put_back(self, label: str) -> None:
        """Put it in again."""
        (self.folder / "away" / self.tokens[label].name).rename(self.tokens[label])


def sign_in_child(what: Any, message: bytes, results: Any) -> None:
    """In another process: sign with a signer, or with the one a key describes."""
    from wallet_core.adapters.hsm import HsmKey

    signer = _opened(what) if isinstance(what, HsmKey) else what
    results.put(signer.sign(message))


def _opened(key: Any) -> Any:
    """Open a key as a server does, which is asked again: SoftHSM, begun in two processes at once, may lack a token."""
    from wallet_core.adapters.hsm import PAUSE_SECONDS, HsmSigner, HsmUnavailable

    until = time.monotonic() + 20
    while True:
        try:
            return HsmSigner.open(key)
        except HsmUnavailable:
            if time.monotonic() > until:
                raise
            time.sleep(PAUSE_SECONDS)
