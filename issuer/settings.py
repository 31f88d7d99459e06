"""Settings of the issuer: ``JIGAP_ISSUER_…``."""

from typing import ClassVar

from wallet_core.adapters.config import AppSettings, Origin


class IssuerSettings(AppSettings):
    """What the issuer is configured with. ``key_store`` holds one signing key for each agency, under its id.

    Attributes:
        wallet: origin of a web wallet that pages offer as a link beside the QR code; none is offered if absent.
    """

    prefix: ClassVar[str] = "JIGAP_ISSUER_"
    wallet: Origin | None = None
