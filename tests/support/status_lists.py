"""Status List Tokens for tests: good ones through the library, bad ones signed by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.keys import fixed_signer
from wallet_core.encoding import base64url
from wallet_core.jose import jws
from wallet_core.trust.status_list.array import compress, new_array, with_statuses
from wallet_core.trust.status_list.token import (
    VerifiedStatusList,
    create_status_list_jwt,
    parse_status_list_jwt,
    status_list_claims,
    verify_status_list_token,
)

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
URI = "https://issuer.example/agencies/police/statuslists/1"
SIGNER = fixed_signer("status lists")
ARRAY = with_statuses(bytes(new_array(16, 2)), 2, {3: 1, 5: 2})


def payload(**changes: Any) -> dict[str, Any]:
    """Return the payload of a good token; a change to None takes a member out."""
    iat = int(NOW.timestamp())
    entry = {"bits": 2, "lst": base64url.encode(compress(ARRAY))}
    members = {"sub": URI, "iat": iat, "exp": iat + 3600, "ttl": 60, "status_list": entry, **changes}
    return {name: value for name, value in members.items() if value is not None}


def signed(header: dict[str, Any] | None = None, **changes: Any) -> bytes:
    """Return a token signed by hand."""
    return jws.sign({"typ": "statuslist+jwt", **(header or {})}, payload(**changes), SIGNER).encode()


def made(array: bytes = ARRAY, bits: int = 2, **changes: Any) -> bytes:
    """Return a token of the library."""
    arguments: dict[str, Any] = {
        "uri": URI,
        "issued_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
        "ttl": timedelta(seconds=60),
    }
    claims = status_list_claims(array, bits, **{**arguments, **changes})
    return create_status_list_jwt(claims, signer=SIGNER, x5c=[b"not read here"]).encode()


def verify(token: bytes, **changes: Any) -> VerifiedStatusList:
    """Verify a token in JWT form."""
    arguments: dict[str, Any] = {"key": SIGNER.public_key, "uri": URI, "now": NOW}
    return verify_status_list_token(parse_status_list_jwt(token), **{**arguments, **changes})
