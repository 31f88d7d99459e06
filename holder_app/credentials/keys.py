"""Holder keys as text, for rows that are sealed, and cards as JSON, for flows that are paused."""

from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from holder_app.accounts.ports import AccountId
from holder_app.credentials.ports import Card, CardCopy, Grant
from wallet_core.encoding import base64url
from wallet_core.errors import KeyUnavailable, MalformedError
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.types import ClientId, CredentialConfigurationId, CredentialIssuerId, Json, JsonObject

_P256_BYTES = 32


def key_to_text(signer: SoftwareSigner) -> str:
    """Return the private value of a P-256 key in base64url. Seal it before it is stored."""
    key = signer.private_key
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyUnavailable("only P-256 holder keys are kept")
    return base64url.encode(key.private_numbers().private_value.to_bytes(_P256_BYTES, "big"))


def key_from_text(text: str) -> SoftwareSigner:
    """Return the signer of what :func:`key_to_text` wrote. Raises ``KeyUnavailable`` for anything else."""
    try:
        value = int.from_bytes(base64url.decode(text), "big")
        return SoftwareSigner.from_key(ec.derive_private_key(value, ec.SECP256R1()))
    except (MalformedError, ValueError) as exc:
        raise KeyUnavailable("a stored holder key cannot be read") from exc


def card_to_json(card: Card) -> JsonObject:
    """Return a card with its keys. Seal it before it is stored."""
    return {
        "id": card.id,
        "account_id": card.account_id,
        "configuration_id": card.configuration_id,
        "format": card.format,
        "type": card.type,
        "issuer": card.issuer,
        "issuer_name": card.issuer_name,
        "received_at": card.received_at.isoformat(),
        "expires_at": card.expires_at.isoformat() if card.expires_at else None,
        "display": card.display,
        "copies": [
            {"id": copy.id, "credential": copy.credential, "key": key_to_text(copy.signer), "uses": copy.uses}
            for copy in card.copies
        ],
        "grant": grant_to_json(card.grant) if card.grant else None,
        "refresh_at": card.refresh_at.isoformat() if card.refresh_at else None,
    }


def grant_to_json(grant: Grant) -> JsonObject:
    """Return a grant with its token and key. Seal it before it is stored."""
    return {
        "issuer": grant.issuer,
        "authorization_server": grant.authorization_server,
        "configuration_id": grant.configuration_id,
        "credential_identifiers": list(grant.credential_identifiers),
        "refresh_token": grant.refresh_token,
        "is_bound": grant.is_bound,
        "client_id": grant.client_id,
        "redirect_uri": grant.redirect_uri,
        "instance": key_to_text(grant.instance) if grant.instance else None,
    }


def grant_from_json(value: JsonObject) -> Grant:
    """Return what :func:`grant_to_json` wrote. Raises ``KeyUnavailable`` or ``KeyError`` for anything else."""
    identifiers, client_id, instance = value["credential_identifiers"], value["client_id"], value["instance"]
    return Grant(
        CredentialIssuerId(str(value["issuer"])),
        str(value["authorization_server"]),
        CredentialConfigurationId(str(value["configuration_id"])),
        tuple(str(each) for each in (identifiers if isinstance(identifiers, list) else [])),
        str(value["refresh_token"]),
        value["is_bound"] is True,
        None if client_id is None else ClientId(str(client_id)),
        str(value["redirect_uri"]),
        None if instance is None else key_from_text(str(instance)),
    )


def card_from_json(value: JsonObject) -> Card:
    """Return what :func:`card_to_json` wrote. Raises ``KeyUnavailable`` or ``KeyError`` for anything else."""
    expires_at, display, copies = value["expires_at"], value["display"], value["copies"]
    grant, refresh_at = value.get("grant"), value.get("refresh_at")
    return Card(
        str(value["id"]),
        AccountId(str(value["account_id"])),
        CredentialConfigurationId(str(value["configuration_id"])),
        str(value["format"]),
        str(value["type"]),
        CredentialIssuerId(str(value["issuer"])),
        str(value["issuer_name"]),
        datetime.fromisoformat(str(value["received_at"])),
        datetime.fromisoformat(str(expires_at)) if expires_at else None,
        display if isinstance(display, dict) else {},
        tuple(_copy(copy) for copy in (copies if isinstance(copies, list) else [])),
        grant=grant_from_json(grant) if isinstance(grant, dict) else None,
        refresh_at=datetime.fromisoformat(str(refresh_at)) if refresh_at else None,
    )


def _copy(value: Json) -> CardCopy:
    if not isinstance(value, dict):
        raise KeyUnavailable("a stored card cannot be read")
    uses = value["uses"]
    return CardCopy(
        str(value["id"]),
        str(value["credential"]),
        key_from_text(str(value["key"])),
        uses if isinstance(uses, int) else 0,
    )
