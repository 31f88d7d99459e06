"""Where the demo's parts are: ports, addresses, files, and the settings of each server."""

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

APPS: Final = ("issuer", "verifier", "wallet")
DATA: Final = Path(__file__).parent / "data"
DEFAULT_FOLDER: Final = Path(".demo")
STATUS_TTL_SECONDS: Final = 10
DEFERRED_INTERVAL_SECONDS: Final = 1
"""How soon wallets may ask again what a clerk decides: a demo does not wait."""
LOGIN_KEY: Final = "login"
"""Name of the issuer's own access key, with which it asks people for a card while they log in."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One demo in one folder.

    Attributes:
        folder: keys, databases, logs and ``demo.json``.
        base_port: of the issuer; the verifier has 100 more, the wallet 200 more.
        extra_environment: further variables for the servers, for tests.
        tls: whether the servers speak https, with certificates made on the spot (:mod:`demo.tls`).
        host: under which they are reached; another one than ``localhost`` needs ``tls``.
        workers: processes behind the port of a server.
    """

    folder: Path
    base_port: int
    extra_environment: Mapping[str, str] = field(default_factory=dict)
    tls: bool = False
    host: str = "localhost"
    workers: int = 1

    def port(self, app: str) -> int:
        """Return the port of one of :data:`APPS`."""
        return self.base_port + 100 * APPS.index(app)

    def url(self, app: str) -> str:
        """Return the origin of an app. ``localhost`` and not 127.0.0.1: a passkey will need a name."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port(app)}"

    @property
    def listen(self) -> str:
        """The address to listen on: this machine's own unless others are to reach it."""
        return "127.0.0.1" if self.host == "localhost" else "0.0.0.0"

    @property
    def trust_port(self) -> int:
        """The port of the page that tells a phone how to trust the demo."""
        return self.base_port + 100 * len(APPS)

    @property
    def tls_roots(self) -> Path:
        """The certificate of the authority for https."""
        return self.folder / "tls" / "ca.pem"

    @property
    def tls_certificate(self) -> Path:
        """The certificate of the three servers."""
        return self.folder / "tls" / "server.pem"

    @property
    def tls_key(self) -> Path:
        """Its key."""
        return self.folder / "tls" / "server.key"

    @property
    def file(self) -> Path:
        """``demo.json``, for scripts: addresses, API keys, trust anchors, people."""
        return self.folder / "demo.json"

    @property
    def ca_keys(self) -> Path:
        """The folder of the certification authorities and of the operator of the trust list."""
        return self.folder / "ca"

    @property
    def trust_anchors(self) -> tuple[Path, Path, Path]:
        """The anchor files: of those who certify agencies, companies, and agencies that sign mdocs."""
        return self.ca_keys / "issuers.anchor.pem", self.ca_keys / "verifiers.anchor.pem", self.iaca

    @property
    def iaca(self) -> Path:
        """The anchor file of those who certify the agencies that sign mdocs."""
        return self.ca_keys / "mdl.anchor.pem"

    @property
    def list_operator(self) -> Path:
        """The anchor file of those who certify the operator of the trust list."""
        return self.ca_keys / "lists.anchor.pem"

    @property
    def wallet_providers(self) -> Path:
        """The anchor file of those who certify wallet providers."""
        return self.ca_keys / "wallets.anchor.pem"

    @property
    def registrars(self) -> Path:
        """The anchor file of those who certify the register of companies."""
        return self.ca_keys / "registrars.anchor.pem"

    @property
    def trust_list(self) -> Path:
        """The trust list: which agency may issue what, which wallets and registers there are (specs/trust-list.md)."""
        return self.ca_keys / "trust-list.jwt"

    def keys(self, app: str) -> Path:
        """Return the key store of an app."""
        return self.folder / app / "keys"

    def sealing_key(self, app: str) -> Path:
        """Return the file of an app's sealing key."""
        return self.folder / app / "sealing.key"

    def settings_file(self, app: str) -> Path:
        """Return the file that a shell reads (``.``) so that ``jigap`` commands work on the demo's app."""
        return self.folder / app / "settings.sh"

    def log(self, app: str) -> Path:
        """Return the log file of an app."""
        return self.folder / "logs" / f"{app}.log"

    def settings(self, app: str) -> dict[str, str]:
        """Return an app's settings without their prefix, in lower case."""
        database = self.folder.resolve() / app / f"{app}.db"
        settings = {
            "public_url": self.url(app),
            "database_url": f"sqlite:///{database}",
            "key_store": str(self.keys(app).resolve()),
            "trust_anchors": ",".join(str(path.resolve()) for path in self.trust_files(app)),
            "sealing_key_file": str(self.sealing_key(app).resolve()),
            "insecure_allow_loopback": "true",
            "demo": "true",
        }
        if self.tls:
            settings |= {
                "tls_certificate": str(self.tls_certificate.resolve()),
                "tls_key": str(self.tls_key.resolve()),
            }
        if app == "issuer":
            # Short, so that whoever tries it sees a suspension take effect.
            settings |= {"status_ttl_seconds": str(STATUS_TTL_SECONDS), "status_history": "true"}
            # "Show your licence to get your tax certificate."
            settings["login_key"] = LOGIN_KEY
            settings["clients"] = str(self.clients.resolve())
            settings["deferred_interval_seconds"] = str(DEFERRED_INTERVAL_SECONDS)
        if app == "verifier":
            settings["trust_list"] = str(self.trust_list.resolve())
        # Pages of the other two link to the wallet.
        return settings if app == "wallet" else {**settings, "wallet": self.url("wallet")}

    def trust_files(self, app: str) -> tuple[Path, ...]:
        """Return what makes an app trust whom: verifiers come from root files, everybody else from the trust list.

        The verifier has the list as a setting of its own.
        """
        _, verifiers, _ = self.trust_anchors
        roots = (verifiers, self.list_operator)
        return roots if app == "verifier" else (*roots, self.trust_list)

    def environment(self, app: str) -> dict[str, str]:
        """Return an app's settings as the variables its server reads."""
        named = {f"JIGAP_{app.upper()}_{name.upper()}": value for name, value in self.settings(app).items()}
        # OpenSSL's own variable for the roots to trust: our servers fetch from one another.
        roots = {"SSL_CERT_FILE": str(self.tls_roots.resolve())} if self.tls else {}
        return named | roots | dict(self.extra_environment)

    @property
    def clients(self) -> Path:
        """The file of wallets that the issuer sends people back to."""
        return self.folder / "issuer" / "clients.toml"

    def write_clients(self) -> None:
        """Write which wallets there are: the demo's own, in the web and at the command line."""
        wallet = self.url("wallet")
        lines = (
            "[[clients]]",
            f'client_id = "{wallet}/client"',
            'name = { ko = "지갑 (시험용)", en = "Jigap wallet (test)" }',
            f'redirect_uris = ["{wallet}/callback"]',
            "",
            "[[clients]]",
            'client_id = "https://wallet.invalid/client"',
            'name = { ko = "명령줄 지갑 (시험용)", en = "Jigap at the command line (test)" }',
            'redirect_uris = ["http://127.0.0.1/callback"]',
        )
        self.clients.write_text("\n".join([*lines, ""]), encoding="utf-8")

    def write_settings(self) -> None:
        """Write the settings files, and the file of wallets. They hold paths and addresses, no secrets."""
        self.write_clients()
        for app in APPS:
            lines = [f"export {name}={shlex.quote(value)}" for name, value in self.environment(app).items()]
            self.settings_file(app).write_text("\n".join([*lines, ""]), encoding="utf-8")

    def read(self) -> dict[str, Any]:
        """Return what ``demo.json`` holds; empty if it is not there yet."""
        if not self.file.exists():
            return {}
        facts: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
        return facts

    def write(self, facts: Mapping[str, Any]) -> None:
        """Write ``demo.json``, whole or not at all, for its owner only: it holds API keys."""
        draft = self.file.with_suffix(".draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(facts, file, ensure_ascii=False, indent=2)
        draft.replace(self.file)
