"""Settings of the wallet: ``JIGAP_WALLET_…``."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from holder_app.presentation.ports import ErrorPosting
from holder_app.provider.ports import ProviderTerms
from wallet_core.adapters.config import AppSettings
from wallet_core.types import ClientId

Level = Literal["iso_18045_high", "iso_18045_moderate", "iso_18045_enhanced-basic", "iso_18045_basic"]


def _split_names(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split_names)]
"""Several names, separated by commas in the environment."""


class WalletSettings(AppSettings):
    """What the wallet is configured with. ``demo`` admits the sign-in by printed one-time code.

    Attributes:
        client_id: of this wallet at issuers, the same for everybody; the address of its client metadata if absent.
        issuers: identifiers of Credential Issuers to offer beside those of the trust lists, separated by commas.
        provider_key: name of the key in ``key_store`` that attests instances and keys; without such a key the wallet is
            a public client and attests nothing.
        provider_url: URL in that key's certificate; the public URL if absent.
        wallet_name: what issuers may show of it.
        key_storage: how well holder keys are kept: sealed in the database here.
        user_authentication: how well the person is told apart before keys are used.
        post_errors: what verifiers are told besides answers, always after the person acted: ``never`` anything;
            ``declined`` (the default): ``access_denied`` when the person said no or nothing matched; ``all``: also
            which rule a request of a trusted verifier broke, if the person agrees.
        haip: take only requests that keep to the high-assurance profile (HAIP 1.0 section 5): signed under
            ``x509_hash``, fetched from a ``request_uri``, answered encrypted.
        attestation_hours: how long a client attestation may be used, counted from the full hour.
    """

    prefix: ClassVar[str] = "JIGAP_WALLET_"
    issuers: Names = ()
    client_id: str | None = Field(default=None, min_length=1, max_length=500)
    provider_key: str = Field(default="wallet-provider", min_length=1)
    provider_url: str | None = Field(default=None, min_length=1, max_length=500)
    wallet_name: str = Field(default="지갑 Jigap", min_length=1, max_length=100)
    key_storage: Level = "iso_18045_basic"
    user_authentication: Level = "iso_18045_basic"
    post_errors: ErrorPosting = ErrorPosting.DECLINED
    haip: bool = False
    attestation_hours: int = Field(default=3, ge=2, le=24)

    def provider_terms(self) -> ProviderTerms:
        """Return what this wallet says of itself to issuers."""
        return ProviderTerms(
            client_id=ClientId(self.client_id or f"{self.public_url}/client"),
            provider=self.provider_url or self.public_url,
            wallet_name=self.wallet_name,
            wallet_link=self.public_url,
            key_storage=(self.key_storage,),
            user_authentication=(self.user_authentication,),
            instance_lifetime=timedelta(hours=self.attestation_hours),
        )
