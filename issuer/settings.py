"""Settings of the issuer: ``JIGAP_ISSUER_…``."""

from typing import ClassVar

from wallet_core.adapters.config import AppSettings


class IssuerSettings(AppSettings):
    """What the issuer is configured with. ``key_store`` holds one signing key for each agency, under its id."""

    prefix: ClassVar[str] = "JIGAP_ISSUER_"
