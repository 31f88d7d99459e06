"""The web wallet's FastAPI app."""

from pathlib import Path
from urllib.parse import quote

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from holder_app.accounts import pages as account_pages
from holder_app.credentials import pages as card_pages
from holder_app.dependencies import SignInNeeded, Wallet, create_wallet
from holder_app.issuance import pages as issuance_pages
from holder_app.issuance import router as issuance_router
from holder_app.presentation import pages as presentation_pages
from holder_app.presentation import router as presentation_router
from holder_app.settings import WalletSettings
from holder_app.tables import APP_TABLES
from wallet_core.adapters import log
from wallet_core.adapters.web import create_app, see_other

_FOLDER = Path(__file__).parent
_TEMPLATES = [
    _FOLDER / "templates",
    *(_FOLDER / name / "templates" for name in ("accounts", "credentials", "issuance", "presentation")),
]

PROTOCOL_PATHS = (r"/\.well-known/oauth-authorization-server", "/client")
"""What other people's pages may read across origins (protocols.md M7)."""


def create() -> FastAPI:
    """Return the app that the environment describes: what uvicorn calls in each worker."""
    log.configure()
    return create_wallet_app(create_wallet(WalletSettings.from_environment()))


def create_wallet_app(wallet: Wallet) -> FastAPI:
    """Return the app of a wallet."""
    app = create_app(
        wallet.settings,
        name="wallet",
        title="Jigap wallet",
        database=wallet.database,
        tables=APP_TABLES,
        sealer=wallet.sealer,
        clock=wallet.clock,
        template_folders=_TEMPLATES,
        protocol_paths=PROTOCOL_PATHS,
        guarded_paths=("/sign-in",),
        routers=[
            issuance_router.router,
            presentation_router.router,
            account_pages.router,
            card_pages.router,
            issuance_pages.router,
            presentation_pages.router,
        ],
    )
    app.state.wallet = wallet
    app.add_exception_handler(SignInNeeded, _to_sign_in)
    return app


async def _to_sign_in(request: Request, _error: Exception) -> Response:
    """Lead to the sign-in page, and back to this page afterwards; a form's content is not carried along."""
    if request.method != "GET":
        return see_other("/sign-in")
    address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return see_other(f"/sign-in?next={quote(address, safe='')}")
