"""The issuer as its own processes behind one port, run by the commands people use."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.support.commands import JIGAP, jigap
from tests.support.network import free_port


@dataclass
class IssuerProgram:
    """An issuer in ``folder``. Start, stop and kill it as often as wanted: its state is in the database."""

    folder: Path
    database_url: str
    port: int = field(default_factory=free_port)
    workers: int = 2
    process: subprocess.Popen[bytes] | None = None
    api_keys: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("JIGAP_")},  # noqa: TID251
            "JIGAP_ISSUER_PUBLIC_URL": self.url,
            "JIGAP_ISSUER_DATABASE_URL": self.database_url,
            "JIGAP_ISSUER_KEY_STORE": str(self.folder / "keys"),
            "JIGAP_ISSUER_SEALING_KEY_FILE": str(self.folder / "sealing.key"),
            "JIGAP_ISSUER_INSECURE_ALLOW_LOOPBACK": "true",
        }

    def run(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run ``jigap ARGUMENTS --json`` and return the object it printed."""
        done = jigap([*arguments, "--json"], environment=self.environment)
        assert done.returncode == code, done.stderr
        printed: dict[str, Any] = json.loads(done.stdout)
        return printed

    def prepare(self, *agencies: str, tokens: Mapping[str, Path] | None = None) -> None:
        """Make keys, tables and agencies, and keep their API keys; ``tokens`` are descriptions of keys in a token."""
        store = ["--store", str(self.folder / "keys")]
        self.run("keys", "new-sealing-key", str(self.folder / "sealing.key"))
        purpose = ["--purpose", "credential_issuer"]
        self.run(
            "keys", "new-ca", "ca", *store, "--organization", "시험용", *purpose, "--contact", "https://ca.example"
        )
        self.run("issuer", "migrate")
        for agency in agencies:
            identifier = ["--issuer", f"{self.url}/agencies/{agency}", "--organization", f"시험용 {agency}"]
            hsm = ["--hsm", str(tokens[agency])] if tokens and agency in tokens else []
            self.run("keys", "new-issuer", agency, *store, "--ca", "ca", *identifier, *hsm)
            self.api_keys[agency] = self.run("issuer", "agency", "add", agency)["api_key"]

    def api(self, agency: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post to our own API as an agency and return the answer."""
        headers = {"Authorization": f"Bearer {self.api_keys[agency]}"}
        answer = httpx2.post(f"{self.url}/api/v1/agencies/{agency}{path}", json=body, headers=headers, timeout=30)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, agency: str, path: str) -> dict[str, Any]:
        """Ask our own API as an agency."""
        headers = {"Authorization": f"Bearer {self.api_keys[agency]}"}
        answer = httpx2.get(f"{self.url}/api/v1/agencies/{agency}{path}", headers=headers, timeout=30)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def start(self) -> None:
        """Start the server and wait until it answers."""
        serve = ["issuer", "serve", "--host", "127.0.0.1", "--port", str(self.port), "--workers", str(self.workers)]
        log = (self.folder / "issuer.log").open("ab")
        self.process = subprocess.Popen([*JIGAP, *serve], env=self.environment, stderr=log, start_new_session=True)
        log.close()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                if httpx2.get(f"{self.url}/healthz", timeout=2).status_code == 200:
                    return
            except httpx2.HTTPError:
                time.sleep(0.1)
        raise AssertionError((self.folder / "issuer.log").read_text())

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the server and its workers."""
        if self.process is not None:
            os.killpg(self.process.pid, how)
            self.process.wait(30)
            self.process = None

    def log(self) -> str:
        """What the server wrote."""
        return (self.folder / "issuer.log").read_text()
