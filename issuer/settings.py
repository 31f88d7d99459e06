"""Settings of the issuer: ``JIGAP_ISSUER_…``."""

from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator

from issuer.status.ports import StatusTerms
from wallet_core.adapters.config import AppSettings, Origin, SettingsError
from wallet_core.protocols.oauth2.clients import RegisteredClient, parse_registered_clients
from wallet_core.types import ClientId


class IssuerSettings(AppSettings):
    """What the issuer is configured with. ``key_store`` holds one signing key for each agency, under its id.

    Attributes:
        wallet: origin of a web wallet that pages offer as a link beside the QR code; none is offered if absent.
        trust_anchors: whom to believe that a wallet is one and keeps its keys well: roots with the purpose
            ``wallet_provider``, and trust lists with their operators' roots; read again when a file changes.
        clients: TOML file of the wallets that may use the authorization code flow: names and redirect URIs.
        status_ttl_seconds: how long a fetched status list may be kept: a suspension is known everywhere after that.
        status_life_seconds: how long a list may be relied on where no fresh one can be had.
        status_list_size: places of a new status list; a multiple of 8.
        status_history: whether lists of the past are handed out, which tells more about people than lists of today.
    """

    prefix: ClassVar[str] = "JIGAP_ISSUER_"
    wallet: Origin | None = None
    clients: Path | None = None
    status_ttl_seconds: int = Field(default=300, ge=1, le=604_800)
    status_life_seconds: int = Field(default=86_400, ge=2, le=2_592_000)
    status_list_size: int = Field(default=131_072, ge=8, le=16_777_216, multiple_of=8)
    status_history: bool = False

    @model_validator(mode="after")
    def _life_after_ttl(self) -> Self:
        if self.status_life_seconds <= self.status_ttl_seconds:
            raise ValueError("STATUS_LIFE_SECONDS must be more than STATUS_TTL_SECONDS")
        return self

    def registered_clients(self) -> dict[ClientId, RegisteredClient]:
        """Return the wallets of the file ``clients``; none without one.

        Raises:
            SettingsError: the file cannot be read.
            MalformedError: it is not as it must be.
        """
        if self.clients is None:
            return {}
        try:
            return parse_registered_clients(self.clients.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as exc:
            raise SettingsError(f"{self.prefix}CLIENTS cannot be read: {self.clients}") from exc

    def status_terms(self, decoy_key: bytes) -> StatusTerms:
        """Return how lists are made and published."""
        return StatusTerms(
            ttl=timedelta(seconds=self.status_ttl_seconds),
            life=timedelta(seconds=self.status_life_seconds),
            list_size=self.status_list_size,
            history=self.status_history,
            decoy_key=decoy_key,
        )
