"""A one-person wallet in a folder: a sealing key only its owner can read, and a SQLite file."""

import os
from collections.abc import Iterable
from pathlib import Path

from pydantic import SecretStr

from holder_app.accounts.ports import Account
from holder_app.accounts.use_cases import create_person
from holder_app.dependencies import Wallet, create_wallet
from holder_app.settings import WalletSettings
from wallet_core.adapters.keystore import new_key_text
from wallet_core.adapters.migrations import migrate
from wallet_core.errors import StorageError

OWNER = "me"
"""Account id of the one person."""

_PUBLIC_URL = "https://wallet.invalid"


def open_home(home: Path, *, trust: Iterable[Path], allow_loopback: bool) -> tuple[Wallet, Account]:
    """Return the wallet in ``home`` and its owner; an empty folder becomes a new wallet.

    Raises:
        StorageError: the folder cannot be written.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = _sealing_key(home / "sealing.key")
    except OSError as exc:
        raise StorageError("the wallet's folder cannot be used", detail=f"{home}: {exc.strerror}") from exc
    settings = WalletSettings(
        public_url=_PUBLIC_URL,
        database_url=f"sqlite:///{home / 'wallet.db'}",
        sealing_key=SecretStr(key),
        trust_anchors=tuple(trust),
        insecure_allow_loopback=allow_loopback,
    )
    wallet = create_wallet(settings)
    migrate(wallet.database, "holder_app")
    return wallet, create_person(wallet.account_ports(), OWNER, OWNER)


def _sealing_key(path: Path) -> str:
    """Return the key in the file, made at first use; of two processes that start together, both get the first one's."""
    if not path.exists():
        draft = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(new_key_text())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text()
