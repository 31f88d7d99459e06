"""Settings of the wallet: ``JIGAP_WALLET_…``."""

from typing import ClassVar

from wallet_core.adapters.config import AppSettings


class WalletSettings(AppSettings):
    """What the wallet is configured with. ``demo`` admits the sign-in by printed one-time code."""

    prefix: ClassVar[str] = "JIGAP_WALLET_"
