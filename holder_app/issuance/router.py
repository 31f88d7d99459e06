"""What other software reads about this wallet as an OpenID4VCI client (protocols.md 25)."""

from fastapi import APIRouter, Response

from holder_app.dependencies import CurrentWallet
from wallet_core.adapters.web import protocol_json

router = APIRouter()


@router.get("/client")
async def client_metadata(wallet: CurrentWallet) -> Response:
    """Return the client metadata. Only the pre-authorized code grant is used, so there is no ``redirect_uri`` yet."""
    origin = wallet.settings.public_url
    return protocol_json(
        {
            "client_id": f"{origin}/client",
            "client_name": "Jigap",
            "credential_offer_endpoint": f"{origin}/credential-offer",
            "token_endpoint_auth_method": "none",
            "grant_types": ["urn:ietf:params:oauth:grant-type:pre-authorized_code"],
        }
    )
