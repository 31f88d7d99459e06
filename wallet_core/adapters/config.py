"""Settings from the environment, checked at start-up, and the catalogue from its folder.

Only this module reads ``os.environ``. A variable that begins with an app's prefix and names no setting stops the start:
a misspelt switch that is silently ignored is how insecure deployments happen.
"""

import difflib
import ipaddress
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from wallet_core.adapters.keystore import Sealer
from wallet_core.catalogue import Catalogue, Unreadable, parse_catalogue, parse_text
from wallet_core.errors import WalletError
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors, parse_trust_anchors
from wallet_core.trust.calendar import WARN_BEFORE

_SHIPPED_CATALOGUE = Path(__file__).parent / "catalogue_files"
_CHECKOUT_CATALOGUE = Path(__file__).parents[2] / "specs" / "catalogue"


class SettingsError(WalletError):
    """A setting is unknown, missing or wrong. ``detail`` names the variable and what to do."""


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _origin(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or value != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("must be an origin such as https://issuer.example, without path and closing slash")
    if parts.username is not None or value != value.lower():
        raise ValueError("must have no user information and be in lower case")
    return value


Origin = Annotated[str, AfterValidator(_origin)]
"""Scheme, host and port of a site, nothing after them."""

Paths = Annotated[tuple[Path, ...], BeforeValidator(_split)]
"""Several paths, separated by commas in the environment."""


Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

Networks = Annotated[tuple[Network, ...], BeforeValidator(_split)]
"""Several networks such as ``10.0.0.0/8``, separated by commas in the environment."""


class Settings(BaseModel):
    """Base of an app's settings: a field ``public_url`` is read from ``<prefix>PUBLIC_URL``."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
    prefix: ClassVar[str]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None, **overrides: Any) -> Self:
        """Read the settings.

        Args:
            environment: instead of the process's own environment.
            overrides: values that win over the environment (command line options); None means not given.

        Raises:
            SettingsError: a variable with the prefix names no setting, a value is missing, or one does not fit.
        """
        source = os.environ if environment is None else environment  # noqa: TID251 - the one reader
        named = {name.removeprefix(cls.prefix): name for name in source if name.startswith(cls.prefix)}
        for rest, name in named.items():
            if rest.lower() not in cls.model_fields or rest != rest.upper():
                raise SettingsError(cls._unknown(name))
        values: dict[str, Any] = {rest.lower(): source[name] for rest, name in named.items()}
        values.update((name, value) for name, value in overrides.items() if value is not None)
        try:
            return cls(**values)
        except ValidationError as exc:
            raise SettingsError(cls._explain(exc)) from exc

    @classmethod
    def _unknown(cls, name: str) -> str:
        known = [cls.prefix + field.upper() for field in cls.model_fields]
        close = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.0)
        return f"{name} is not a setting; the closest one is {close[0] if close else known[0]}"

    @classmethod
    def _explain(cls, error: ValidationError) -> str:
        # The value is left out: it may be a secret.
        return "; ".join(
            f"{cls.prefix}{str(problem['loc'][0]).upper() if problem['loc'] else '*'}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        )


class AppSettings(Settings):
    """What every app needs.

    Attributes:
        public_url: origin under which others reach the app; identifiers are built from it, never from ``Host``.
        database_url: ``sqlite:///file.db`` or ``postgresql://…``.
        key_store: folder of signing keys.
        trust_anchors: PEM files of roots.
        catalogue: folder of the catalogue; the shipped one if absent.
        sealing_key: key text for :class:`~wallet_core.adapters.keystore.Sealer`, or
        sealing_key_file: a file that holds it.
        insecure_allow_loopback: admits http and private addresses, for one machine's own demo and tests.
        expiry_warning_days: certificates that end within these days are reported at start-up.
        demo: switches on what only a demo may do (sign-in by printed code, consoles without a person's account).
        tls_certificate: PEM chain of the server, leaf first, if ``serve`` itself speaks https; otherwise a proxy does.
        tls_key: PEM file of its key.
        trusted_proxies: networks of our own proxies, whose ``X-Forwarded-For`` says who calls.
    """

    public_url: Origin  # well-known paths are at the host root (OpenID4VCI 12.2.2): a path would break them
    database_url: str
    key_store: Path | None = None
    trust_anchors: Paths = ()
    catalogue: Path | None = None
    sealing_key: SecretStr | None = None
    sealing_key_file: Path | None = None
    insecure_allow_loopback: bool = False
    expiry_warning_days: int = Field(default=WARN_BEFORE.days, ge=0, le=3660)
    demo: bool = False
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    trusted_proxies: Networks = ()

    @model_validator(mode="after")
    def _https_unless_insecure(self) -> Self:
        if self.public_url.startswith("http://") and not self.insecure_allow_loopback:
            raise ValueError(f"PUBLIC_URL must be https unless {self.prefix}INSECURE_ALLOW_LOOPBACK is true")
        if self.sealing_key is not None and self.sealing_key_file is not None:
            raise ValueError("give SEALING_KEY or SEALING_KEY_FILE, not both")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("TLS_CERTIFICATE and TLS_KEY go together")
        if self.tls_key is not None and not self.secure:
            raise ValueError("with TLS_CERTIFICATE the PUBLIC_URL must be https")
        return self

    @property
    def secure(self) -> bool:
        """Whether the app is reached by https."""
        return self.public_url.startswith("https://")

    @property
    def tls(self) -> tuple[Path, Path] | None:
        """Files of certificate chain and key with which ``serve`` speaks https; None: a proxy in front does."""
        if self.tls_certificate is None or self.tls_key is None:
            return None
        return self.tls_certificate, self.tls_key

    def insecure_switches(self) -> list[str]:
        """Return the names of the insecure switches that are on, for a warning at start-up."""
        return [
            self.prefix + name.upper()
            for name in type(self).model_fields
            if (name.startswith("insecure_") or name == "demo") and getattr(self, name) is True
        ]

    def sealer(self) -> Sealer:
        """Return the sealer of the configured key.

        Raises:
            SettingsError: none is configured, or its file cannot be read.
            KeyUnavailable: it does not parse.
        """
        if self.sealing_key is not None:
            return Sealer.from_text(self.sealing_key.get_secret_value())
        if self.sealing_key_file is None:
            raise SettingsError(f"set {self.prefix}SEALING_KEY or {self.prefix}SEALING_KEY_FILE")
        try:
            return Sealer.from_text(self.sealing_key_file.read_text())
        except OSError as exc:
            raise SettingsError(f"{self.prefix}SEALING_KEY_FILE cannot be read: {exc.strerror}") from exc


def catalogue_folder(folder: Path | None = None) -> Path:
    """Return ``folder``, or the catalogue of this checkout, or the one shipped in the wheel."""
    if folder is not None:
        return folder
    return _SHIPPED_CATALOGUE if _SHIPPED_CATALOGUE.is_dir() else _CHECKOUT_CATALOGUE


def read_catalogue_texts(folder: Path | None = None) -> dict[str, str | Unreadable]:
    """Return the text of every catalogue file, or why it has none, by its path below the folder, with forward slashes.

    Raises:
        SettingsError: the folder is not there, or a folder in it cannot be read.
    """
    root = catalogue_folder(folder)
    if not root.is_dir():
        raise SettingsError("the catalogue folder does not exist", detail=f"no catalogue folder {root}")
    paths = [Path(inside) / name for inside, folders, files in _walk(root) for name in (*folders, *files)]
    named = sorted(path for path in paths if path.suffix in {".toml", ".json"})
    return {path.relative_to(root).as_posix(): _catalogue_text(path) for path in named}


def _walk(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    def refuse(exc: OSError) -> None:
        raise SettingsError("a folder of the catalogue cannot be read", detail=f"in {root}: {exc}") from exc

    return os.walk(root, onerror=refuse)


def _catalogue_text(path: Path) -> str | Unreadable:
    try:
        # Reading a pipe would wait for whoever writes into it.
        if path.exists() and not path.is_file():
            return Unreadable(1, "it is a folder, not a file" if path.is_dir() else "it is not a plain file")
        return parse_text(path.read_bytes())
    except OSError as exc:
        return Unreadable(1, f"the file cannot be opened: {exc.strerror}")


def load_catalogue(folder: Path | None = None) -> Catalogue:
    """Return the catalogue of ``folder``, of this checkout, or of the wheel.

    Raises:
        SettingsError: the folder cannot be read.
        CatalogueError: it breaks a rule; ``detail`` has every problem with file and line.
    """
    return _parse_catalogue(tuple(read_catalogue_texts(folder).items()))


@lru_cache(maxsize=2)
def _parse_catalogue(texts: tuple[tuple[str, str | Unreadable], ...]) -> Catalogue:
    """Return the catalogue of these files, one for all parts of a program that read the same."""
    return parse_catalogue(dict(texts))


def load_trust_anchors(paths: Iterable[Path], *, purpose: AnchorPurpose | None = None) -> TrustAnchors:
    """Return the trust anchors of PEM files; ``purpose`` is for certificates without a ``Purpose:`` line.

    Raises:
        SettingsError: a file cannot be read.
        MalformedError: it holds no certificate, or one without a purpose.
    """
    anchors = TrustAnchors()
    for path in paths:
        try:
            anchors += parse_trust_anchors(path.read_text(encoding="utf-8"), purpose=purpose)
        except (OSError, UnicodeDecodeError) as exc:
            raise SettingsError("a trust anchor file cannot be read", detail=f"{path.name}: {exc}") from exc
    return anchors


def environment_secret(name: str) -> str | None:
    """Return the value of an environment variable that a key's description names (a PIN), None if it is not set."""
    return os.environ.get(name)  # noqa: TID251


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a program to start: ours without any ``JIGAP_`` variable, and ``extra``."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("JIGAP_")}  # noqa: TID251
    return ours | dict(extra)
