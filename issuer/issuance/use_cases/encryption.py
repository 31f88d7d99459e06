"""The keys with which an agency opens encrypted requests, and what its metadata say of them (OpenID4VCI 10, 12.2.4)."""

from issuer.agencies.ports import Agency
from issuer.issuance.ports import IssuancePorts
from wallet_core.protocols.openid4vci.encryption import (
    RequestDecryption,
    create_request_encryption,
    create_response_encryption,
    decryption_keys,
    request_decryption,
)
from wallet_core.types import JsonObject


def decryption_of(ports: IssuancePorts, agency: Agency) -> RequestDecryption:
    """Return how requests to an agency are opened now."""
    return request_decryption(
        ports.secrets.encryption, agency.credential_issuer, now=ports.clock.now(), required=agency.encrypted
    )


def encryption_metadata(ports: IssuancePorts, agency: Agency) -> JsonObject:
    """Return both members of the metadata: whoever could ask for an encrypted answer must encrypt the request (M20).

    Only the newest key is published; the one before it still opens what wallets with older metadata send.
    """
    now = ports.clock.now()
    newest = decryption_keys(ports.secrets.encryption, agency.credential_issuer, now=now)[:1]
    return {
        "credential_request_encryption": create_request_encryption(newest, required=agency.encrypted),
        "credential_response_encryption": create_response_encryption(required=agency.encrypted),
    }
