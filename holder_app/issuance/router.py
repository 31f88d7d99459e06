"""What other software reads about this wallet as an OpenID4VCI client (protocols.md 25)."""

from fastapi import APIRouter, Response

from holder_app.dependencies import CurrentWallet
from wallet_core import spec_versions as spec
from wallet_core.adapters.web import protocol_json
from wallet_core.types import JsonObject

router = APIRouter()


@router.get("/client")
async def client_metadata(wallet: CurrentWallet) -> Response:
    """Return the client metadata (RFC 7591 2, OpenID4VCI 12.1; its address is the ``client_id``)."""
    origin, identity = wallet.settings.public_url, wallet.identity
    attested = wallet.provider is not None
    method = spec.AUTH_METHOD_CLIENT_ATTESTATION if attested else spec.AUTH_METHOD_NONE
    metadata: JsonObject = {
        "client_id": identity.client_id,
        "client_name": wallet.settings.wallet_name,
        "client_uri": origin,
        "redirect_uris": [identity.redirect_uri],
        "credential_offer_endpoint": f"{origin}/credential-offer",
        "token_endpoint_auth_method": method,
        "grant_types": [
            spec.GRANT_AUTHORIZATION_CODE,
            spec.GRANT_REFRESH_TOKEN,
            spec.GRANT_PRE_AUTHORIZED_CODE,
        ],
        "response_types": ["code"],
        "dpop_bound_access_tokens": True,
    }
    return protocol_json(metadata)
