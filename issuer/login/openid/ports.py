"""What the login at an OpenID provider needs."""

from collections.abc import Callable
from dataclasses import dataclass

from issuer.login.ports import LoginPorts
from wallet_core.keys.signer import Signer
from wallet_core.ports import Clock, Seal
from wallet_core.types import RandomBytes


@dataclass(frozen=True, slots=True)
class ProviderAccount:
    """Us at the provider: the settings of the same names. ``signer`` opens the key of ``private_key_jwt``, if any."""

    issuer: str
    client_id: str
    secret: str | None
    signer: Callable[[], Signer] | None
    key_id: str | None


@dataclass(frozen=True, slots=True)
class OpenIdLoginPorts:
    """Everything the use cases of this login need."""

    login: LoginPorts
    account: ProviderAccount
    seal: Seal
    clock: Clock
    random: RandomBytes
