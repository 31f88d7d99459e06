"""Authorization Server metadata (RFC 8414, OpenID4VCI 12.3).

One identifier names an agency as Credential Issuer and as its own Authorization Server.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wallet_core import spec_versions as spec
from wallet_core.errors import MalformedError
from wallet_core.protocols.oauth2.identifiers import (
    appended_location,
    parse_identifier,
    parse_url,
    well_known_location,
)
from wallet_core.types import Json, JsonObject


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """What a wallet needs to know of an Authorization Server. Lists that the server left out are empty."""

    issuer: str
    token_endpoint: str
    grant_types: tuple[str, ...]
    anonymous_pre_authorized: bool
    authorization_endpoint: str | None = None
    pushed_endpoint: str | None = None
    require_pushed: bool = False
    challenge_endpoint: str | None = None
    auth_methods: tuple[str, ...] = ()
    code_challenge_methods: tuple[str, ...] = ()
    dpop_algorithms: tuple[str, ...] = ()
    details_types: tuple[str, ...] = ()
    iss_promised: bool = False

    def to_json(self) -> JsonObject:
        """Return the members of RFC 8414 that this object came from."""
        members: JsonObject = {
            "issuer": self.issuer,
            "token_endpoint": self.token_endpoint,
            "grant_types_supported": list(self.grant_types),
            "pre-authorized_grant_anonymous_access_supported": self.anonymous_pre_authorized,
            "require_pushed_authorization_requests": self.require_pushed,
            "authorization_response_iss_parameter_supported": self.iss_promised,
        }
        optional: JsonObject = {
            "authorization_endpoint": self.authorization_endpoint,
            "pushed_authorization_request_endpoint": self.pushed_endpoint,
            "challenge_endpoint": self.challenge_endpoint,
            "token_endpoint_auth_methods_supported": list(self.auth_methods),
            "code_challenge_methods_supported": list(self.code_challenge_methods),
            "dpop_signing_alg_values_supported": list(self.dpop_algorithms),
            "authorization_details_types_supported": list(self.details_types),
        }
        return members | {name: value for name, value in optional.items() if value}


def create_authorization_server_metadata(
    issuer: str, *, token_endpoint: str, scopes: Iterable[str], status_list_aggregation_endpoint: str | None = None
) -> JsonObject:
    """Return the metadata document of an agency (RFC 8414 2, OpenID4VCI 12.3).

    Only what is served is named: ``response_types_supported`` is left out, as OpenID4VCI 12.3 allows where there is no
    authorization endpoint.
    """
    document: JsonObject = {
        "issuer": issuer,
        "token_endpoint": token_endpoint,
        "grant_types_supported": [spec.GRANT_PRE_AUTHORIZED_CODE],
        # Never absent: some clients then assume client_secret_basic (RFC 8414 2).
        "token_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": list(scopes),
        # OpenID4VCI 12.3: said because the default is false.
        "pre-authorized_grant_anonymous_access_supported": True,
    }
    # Token Status List 9.1.
    if status_list_aggregation_endpoint is not None:
        document["status_list_aggregation_endpoint"] = status_list_aggregation_endpoint
    return document


def metadata_locations(issuer: str) -> tuple[str, ...]:
    """Return where to look for the metadata of ``issuer``: the place of RFC 8414 first, others only after 404."""
    return (
        well_known_location(issuer, spec.WELL_KNOWN_AUTHORIZATION_SERVER),
        appended_location(issuer, spec.WELL_KNOWN_AUTHORIZATION_SERVER),
        appended_location(issuer, spec.WELL_KNOWN_OPENID_CONFIGURATION),
        well_known_location(issuer, spec.WELL_KNOWN_OPENID_CONFIGURATION),
    )


def parse_authorization_server_metadata(document: Mapping[str, Json], *, issuer: str) -> AuthorizationServer:
    """Return what the metadata of ``issuer`` say. Unknown members are ignored.

    Raises:
        MalformedError: a member is missing or of the wrong type, or the document speaks of another issuer.
    """
    # RFC 8414 3.3: "The issuer value returned MUST be identical to the authorization server's issuer identifier".
    # oauth-8414.3.3-issuer
    if parse_identifier(document.get("issuer"), what="issuer of the authorization server") != issuer:
        raise MalformedError("the authorization server metadata name another issuer", clause="RFC 8414 3.3")
    return AuthorizationServer(
        issuer=issuer,
        token_endpoint=parse_url(document.get("token_endpoint"), what="token_endpoint"),
        grant_types=_strings(document, "grant_types_supported", default=(spec.GRANT_AUTHORIZATION_CODE, "implicit")),
        anonymous_pre_authorized=_boolean(document, "pre-authorized_grant_anonymous_access_supported"),
        authorization_endpoint=_optional_url(document, "authorization_endpoint"),
        pushed_endpoint=_optional_url(document, "pushed_authorization_request_endpoint"),
        require_pushed=_boolean(document, "require_pushed_authorization_requests"),
        challenge_endpoint=_optional_url(document, "challenge_endpoint"),
        auth_methods=_strings(document, "token_endpoint_auth_methods_supported", default=()),
        code_challenge_methods=_strings(document, "code_challenge_methods_supported", default=()),
        dpop_algorithms=_strings(document, "dpop_signing_alg_values_supported", default=()),
        details_types=_strings(document, "authorization_details_types_supported", default=()),
        iss_promised=_boolean(document, "authorization_response_iss_parameter_supported"),
    )


def _optional_url(document: Mapping[str, Json], member: str) -> str | None:
    return parse_url(document[member], what=member) if member in document else None


def _boolean(document: Mapping[str, Json], member: str) -> bool:
    value = document.get(member, False)
    if not isinstance(value, bool):
        raise MalformedError(f"{member} is not a boolean", clause="RFC 8414 2")
    return value


def _strings(document: Mapping[str, Json], member: str, *, default: tuple[str, ...]) -> tuple[str, ...]:
    value = document.get(member)
    if value is None:
        return default
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise MalformedError(f"{member} is not an array of strings", clause="RFC 8414 2")
    return tuple(str(item) for item in value)
