"""``jigap wallet present`` in a process of its own, with a company in memory: ``python -m …at_a_terminal FOLDER``.

What the company was sent stands in ``FOLDER/seen`` at the end, one method a line.
"""

import sys
from pathlib import Path
from typing import Any

import holder_app.home
from holder_app.cli import app
from holder_app.dependencies import create_wallet
from holder_app.settings import WalletSettings
from tests.support.presentations import new_world
from tests.support.wallets import new_town, new_verifier


def main(folder: Path) -> None:
    """Receive a licence, then be asked for it."""
    town = new_town(folder, new_world())

    def in_town(settings: WalletSettings) -> Any:
        return create_wallet(settings, fetch=town.network, clock=town.clock)

    holder_app.home.create_wallet = in_town
    options = ["--home", str(folder / "home"), "--trust", str(folder / "anchors.pem"), "--lang", "en"]
    app(["accept", town.issuer.link, "--tx-code", "123456", "--yes", *options], standalone_mode=False)
    verifier = new_verifier(town)
    try:
        app(["present", verifier.link, *options])
    finally:
        (folder / "seen").write_text("".join(f"{request.method}\n" for request in verifier.seen))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
