"""What other software reads about this wallet for OpenID4VP, and where requests arrive by form (protocols.md 25)."""

from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from holder_app.dependencies import CurrentWallet
from wallet_core.adapters.web import protocol_json, see_other
from wallet_core.errors import MalformedError
from wallet_core.protocols.openid4vp.wallet import wallet_metadata

router = APIRouter()

MAX_FIELDS = 64


@router.get("/.well-known/oauth-authorization-server")
async def metadata(wallet: CurrentWallet) -> Response:
    """Return the wallet metadata (OpenID4VP 10)."""
    origin = wallet.settings.public_url
    said = wallet_metadata(haip=wallet.settings.haip)
    return protocol_json({"issuer": origin, "authorization_endpoint": f"{origin}/authorize", **said})


@router.post("/authorize")
async def authorize_form(request: Request) -> Response:
    """Take a request by form: the browser goes on to the page for it, which is the same as for a link.

    The form comes from a verifier's page, so there is no token of ours in it; nothing is stored, fetched or decided.
    """
    form = await request.form(max_fields=MAX_FIELDS, max_files=0)
    pairs = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    if not pairs:
        raise MalformedError("the form holds no request")
    return see_other(f"/authorize?{urlencode(pairs)}")
