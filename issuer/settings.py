"""Settings of the issuer: ``JIGAP_ISSUER_…``."""

from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator

from issuer.issuance.ports import DeferralTerms
from issuer.status.ports import StatusTerms
from wallet_core.adapters.config import AppSettings, Origin, SettingsError
from wallet_core.catalogue.text import Text
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
        login_key: name of the issuer's own access key: with it people may log in by showing a card. Whom we trust to
            issue such cards is in ``trust_anchors``: roots, trust lists and VICALs.
        login_seconds: how long a wallet may answer such a request.
        openid_issuer: an outside OpenID provider at which people may log in, with
        openid_client_id: our name there, and
        openid_client_secret_file: a file with the secret it gave us, or
        openid_client_key: name of the key in the key store that proves us there (``private_key_jwt``).
        openid_name_ko, openid_name_en: what pages call the provider.
        deferred_interval_seconds: how long a wallet waits before it asks again for what a clerk must decide. An access
            token lives 300 seconds, so that it is good for the next question.
        deferred_notifications: whether deferred answers have a ``notification_id``, which some wallets refuse there.
        insecure_approve_deferred: the first question finds everything approved; for conformance tests only.
        status_history: whether lists of the past are handed out, which tells more about people than lists of today.
    """

    prefix: ClassVar[str] = "JIGAP_ISSUER_"
    wallet: Origin | None = None
    clients: Path | None = None
    status_ttl_seconds: int = Field(default=300, ge=1, le=604_800)
    status_life_seconds: int = Field(default=86_400, ge=2, le=2_592_000)
    status_list_size: int = Field(default=131_072, ge=8, le=16_777_216, multiple_of=8)
    status_history: bool = False
    login_key: str | None = Field(default=None, min_length=1, max_length=100)
    login_seconds: int = Field(default=300, ge=10, le=1800)
    openid_issuer: str | None = Field(default=None, min_length=1, max_length=2000)
    openid_client_id: str | None = Field(default=None, min_length=1, max_length=500)
    openid_client_secret_file: Path | None = None
    openid_client_key: str | None = Field(default=None, min_length=1, max_length=100)
    openid_name_ko: str = Field(default="외부 인증 기관", min_length=1, max_length=60)
    openid_name_en: str = Field(default="Outside provider", min_length=1, max_length=60)
    deferred_interval_seconds: int = Field(default=30, ge=1, le=240)
    deferred_notifications: bool = False
    insecure_approve_deferred: bool = False

    @model_validator(mode="after")
    def _life_after_ttl(self) -> Self:
        if self.status_life_seconds <= self.status_ttl_seconds:
            raise ValueError("STATUS_LIFE_SECONDS must be more than STATUS_TTL_SECONDS")
        return self

    @property
    def deferral_terms(self) -> DeferralTerms:
        """How deferred requests are handled."""
        return DeferralTerms(
            self.deferred_interval_seconds, self.insecure_approve_deferred, self.deferred_notifications
        )

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

    @model_validator(mode="after")
    def _provider_whole(self) -> Self:
        proofs = (self.openid_client_secret_file, self.openid_client_key)
        if self.openid_issuer is None:
            if self.openid_client_id is not None or any(proofs):
                raise ValueError("OPENID_ISSUER is missing, though the rest of the provider is there")
        elif self.openid_client_id is None or sum(proof is not None for proof in proofs) != 1:
            raise ValueError(
                "OPENID_ISSUER needs OPENID_CLIENT_ID, and one of OPENID_CLIENT_SECRET_FILE and OPENID_CLIENT_KEY"
            )
        return self

    @property
    def openid_name(self) -> Text:
        """What pages call the OpenID provider."""
        return Text(self.openid_name_ko, self.openid_name_en)

    def status_terms(self, decoy_key: bytes) -> StatusTerms:
        """Return how lists are made and published."""
        return StatusTerms(
            ttl=timedelta(seconds=self.status_ttl_seconds),
            life=timedelta(seconds=self.status_life_seconds),
            list_size=self.status_list_size,
            history=self.status_history,
            decoy_key=decoy_key,
        )
