"""``authorization_details`` of type ``openid_credential`` (RFC 9396, OpenID4VCI 5.1.1, 6.2).

A credential identifier of ours is the configuration id with a suffix: one person has one dataset for each type.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from wallet_core.encoding import strict_json
from wallet_core.errors import InvalidAuthorizationDetails, InvalidRequest, MalformedError
from wallet_core.types import CredentialConfigurationId, Json, JsonObject

TYPE: Final = "openid_credential"

MAX_DETAILS: Final = 64
"""Entries that are looked at: as many as an offer may name configurations."""

_MAX_BYTES: Final = 16 * 1024
_SUFFIX: Final = ".own"


def parse_authorization_details(text: str, *, issuer: str) -> tuple[CredentialConfigurationId, ...]:
    """Return the configurations that ``authorization_details`` ask for, each once. Unknown members are ignored.

    Not done here: whether they are issued.

    Raises:
        InvalidAuthorizationDetails: not a JSON array of objects, another type, or no configuration id.
        InvalidRequest: ``locations`` name another issuer only.
    """
    try:
        value = strict_json.loads(text, what="authorization_details", max_bytes=_MAX_BYTES)
    except MalformedError as exc:
        raise InvalidAuthorizationDetails("authorization_details is not JSON", clause="RFC 9396 5") from exc
    # oauth-9396.2-array
    if not isinstance(value, list) or not value or len(value) > MAX_DETAILS:
        raise InvalidAuthorizationDetails("authorization_details is not an array", clause="RFC 9396 2")
    return tuple(dict.fromkeys(_configuration(each, issuer) for each in value))


def create_authorization_details(
    configuration_ids: Iterable[CredentialConfigurationId], *, identified: bool = False
) -> list[Json]:
    """Return details that ask for configurations, or, with identifiers, those of a token response."""
    details: list[Json] = []
    for each in configuration_ids:
        detail: JsonObject = {"type": TYPE, "credential_configuration_id": each}
        if identified:
            # OpenID4VCI 6.2: a non-empty array of identifiers.
            detail["credential_identifiers"] = [credential_identifier(each)]
        details.append(detail)
    return details


def credential_identifier(configuration_id: CredentialConfigurationId) -> str:
    """Return the one ``credential_identifier`` that a configuration has with us."""
    return f"{configuration_id}{_SUFFIX}"


def identified_configuration(identifier: str) -> CredentialConfigurationId | None:
    """Return what :func:`credential_identifier` made ``identifier`` of; None if it made nothing like it."""
    name = identifier.removesuffix(_SUFFIX)
    return None if name in {identifier, ""} else CredentialConfigurationId(name)


def _configuration(detail: Json, issuer: str) -> CredentialConfigurationId:
    # RFC 9396 5: an unknown type is refused.
    # oauth-9396.5-type
    if not isinstance(detail, Mapping) or detail.get("type") != TYPE:
        raise InvalidAuthorizationDetails("an authorization detail is not an openid_credential", clause="RFC 9396 5")
    name = detail.get("credential_configuration_id")
    # vci-5.1.1-configuration
    if not isinstance(name, str) or not name:
        raise InvalidAuthorizationDetails("credential_configuration_id is missing", clause="OpenID4VCI 5.1.1")
    locations = detail.get("locations")
    # OpenID4VCI 5.1.1: locations, if there, contain the Credential Issuer Identifier.
    # vci-5.1.1-locations
    if locations is not None and (not isinstance(locations, list) or issuer not in locations):
        raise InvalidRequest("locations do not contain this issuer", clause="OpenID4VCI 5.1.1")
    return CredentialConfigurationId(name)
