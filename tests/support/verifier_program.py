"""The verifier as its own processes behind one port, run by the commands people use."""

import json
import os
import signal
import ssl
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.support.commands import JIGAP, jigap
from tests.support.network import free_port
from tests.support.presentations import World
from tests.support.tables import migrate
from tests.support.verifying import PARTY, add_access_key, catalogue, register, verifier_settings
from verifier.dependencies import build_verifier
from wallet_core.adapters.clock import SystemClock
from wallet_core.adapters.config import child_environment
from wallet_core.adapters.keystore import KeyStore


@dataclass
class VerifierProgram:
    """A verifier in ``folder``. Start, stop and kill it as often as wanted: its state is in the database."""

    folder: Path
    database_url: str
    world: World
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    api_key: str = ""
    tls: tuple[Path, Path, Path] | None = None
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}"

    def browser(self) -> httpx2.Client:
        """A client that knows the certificate, follows nothing and keeps cookies."""
        verify = ssl.create_default_context(cafile=self.tls[2]) if self.tls else True
        return httpx2.Client(base_url=self.url, timeout=30, verify=verify)

    @property
    def environment(self) -> dict[str, str]:
        return child_environment(
            {
                "JIGAP_VERIFIER_PUBLIC_URL": self.url,
                "JIGAP_VERIFIER_DATABASE_URL": self.database_url,
                "JIGAP_VERIFIER_KEY_STORE": str(self.folder / "keys"),
                "JIGAP_VERIFIER_SEALING_KEY_FILE": str(self.folder / "sealing.key"),
                "JIGAP_VERIFIER_TRUST_ANCHORS": str(self.folder / "anchors.pem"),
                "JIGAP_VERIFIER_INSECURE_ALLOW_LOOPBACK": "true",
                **self._files(),
                **self.settings,
            }
        )

    def _files(self) -> dict[str, str]:
        if self.tls is None:
            return {}
        certificate, key, _ = self.tls
        return {"JIGAP_VERIFIER_TLS_CERTIFICATE": str(certificate), "JIGAP_VERIFIER_TLS_KEY": str(key)}

    def run(self, *arguments: str) -> dict[str, Any]:
        """Run ``jigap verifier ARGUMENTS --json`` and return the object it printed."""
        done = jigap(["verifier", *arguments, "--json"], environment=self.environment)
        assert done.returncode == 0, done.stderr
        printed: dict[str, Any] = json.loads(done.stdout)
        return printed

    def prepare(self) -> None:
        """Make keys, tables and a relying party."""
        verifier_settings(self.folder, self.database_url, self.world)
        store = KeyStore(self.folder / "keys")
        add_access_key(store, self.world.verifier_ca, PARTY, public_url=self.url, now=SystemClock().now())
        self.run("migrate")
        self.api_key = self.run("party", "add", PARTY, "--name-ko", "시험용", "--name-en", "Test")["api_key"]

    def prepare_here(self) -> None:
        """The same in this process, which costs no start of a program."""
        settings = verifier_settings(
            self.folder, self.database_url, self.world, public_url=self.url, insecure_allow_loopback=True
        )
        verifier = build_verifier(settings, catalogue=catalogue())
        add_access_key(verifier.keys, self.world.verifier_ca, PARTY, public_url=self.url, now=SystemClock().now())
        migrate(verifier.database, "verifier")
        self.api_key = register(verifier, PARTY)
        verifier.database.close()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        serve = ["verifier", "serve", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "2"]
        with (self.folder / "verifier.log").open("ab") as log:
            self.process = subprocess.Popen([*JIGAP, *serve], env=self.environment, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                with self.browser() as browser:
                    if browser.get("/healthz", timeout=2).status_code == 200:
                        return
            except httpx2.HTTPError:
                time.sleep(0.2)
        raise AssertionError((self.folder / "verifier.log").read_text())

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the server and its workers."""
        if self.process is not None:
            os.killpg(self.process.pid, how)
            self.process.wait(30)
            self.process = None

    def log(self) -> str:
        """What the server wrote."""
        return (self.folder / "verifier.log").read_text()

    def ask(self, **body: Any) -> dict[str, Any]:
        """Make a request by our API."""
        authorization = {"Authorization": f"Bearer {self.api_key}"}
        with self.browser() as browser:
            made = browser.post("/api/v1/presentations", json=body, headers=authorization)
        assert made.status_code == 201, made.text
        found: dict[str, Any] = made.json()
        return found

    def result(self, presentation_id: str) -> dict[str, Any]:
        """What became of a presentation."""
        authorization = {"Authorization": f"Bearer {self.api_key}"}
        with self.browser() as browser:
            found: dict[str, Any] = browser.get(
                f"/api/v1/presentations/{presentation_id}", headers=authorization
            ).json()
        return found

    def redeem(self, presentation_id: str, response_code: str) -> httpx2.Response:
        """Bring a response code."""
        path, authorization = f"/api/v1/presentations/{presentation_id}/redeem", f"Bearer {self.api_key}"
        with self.browser() as browser:
            return browser.post(path, json={"response_code": response_code}, headers={"Authorization": authorization})
