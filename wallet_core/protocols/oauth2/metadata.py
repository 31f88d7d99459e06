"""Authorization Server metadata (RFC 8414, OpenID4VCI 12.3).

One identifier names an agency as Credential Issuer and as its own Authorization Server.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wallet_core import spec_versions as spec
from wallet_core.errors import MalformedError
from wallet_core.protocols.oauth2.details import TYPE
from wallet_core.protocols.oauth2.identifiers import (
    appended_location,
    parse_identifier,
    parse_url,
    well_known_location,
)
from wallet_core.protocols.oauth2.pkce import METHOD
from wallet_core.types import Json, JsonObject


@dataclass(frozen=True, slots=True)
class AuthorizationServer:
    """What a wallet needs to know of an Authorization Server (RFC 8414 2, RFC 9126 5, RFC 9207 3, RFC 9449 5.1).

    Attributes:
        issuer: its identifier.
        token_endpoint: of it.
        grant_types: that it offers.
        anonymous_pre_authorized: whether a pre-authorized code may be redeemed without naming a client.
        authorization_endpoint: None if it has no code flow.
        pushed_endpoint: of pushed requests; None if it takes none.
        require_pushed: whether it takes no others.
        challenge_endpoint: for client attestation; None if it has none.
        iss_promised: whether every authorization response carries ``iss``.
        auth_methods: of clients at its endpoints.
        code_challenge_methods: of PKCE.
        dpop_algorithms: of DPoP proofs; empty if it does not say.
        details_types: of ``authorization_details``.
    """

    issuer: str
    token_endpoint: str
    grant_types: tuple[str, ...]
    anonymous_pre_authorized: bool
    authorization_endpoint: str | None = None
    pushed_endpoint: str | None = None
    require_pushed: bool = False
    challenge_endpoint: str | None = None
    iss_promised: bool = False
    auth_methods: tuple[str, ...] = ("client_secret_basic",)
    code_challenge_methods: tuple[str, ...] = ()
    dpop_algorithms: tuple[str, ...] = ()
    details_types: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """Return the members of RFC 8414 that this object came from."""
        members: JsonObject = {
            "issuer": self.issuer,
            "token_endpoint": self.token_endpoint,
            "grant_types_supported": list(self.grant_types),
            "pre-authorized_grant_anonymous_access_supported": self.anonymous_pre_authorized,
            "authorization_endpoint": self.authorization_endpoint,
            "pushed_authorization_request_endpoint": self.pushed_endpoint,
            "require_pushed_authorization_requests": self.require_pushed,
            "challenge_endpoint": self.challenge_endpoint,
            "authorization_response_iss_parameter_supported": self.iss_promised,
            "token_endpoint_auth_methods_supported": list(self.auth_methods),
            "code_challenge_methods_supported": list(self.code_challenge_methods),
            "dpop_signing_alg_values_supported": list(self.dpop_algorithms),
            "authorization_details_types_supported": list(self.details_types),
        }
        return {name: value for name, value in members.items() if value is not None}


def create_authorization_server_metadata(
    issuer: str,
    *,
    scopes: Iterable[str],
    require_pushed: bool = False,
    anonymous_pre_authorized: bool = True,
    auth_methods: Sequence[str] = ("none",),
    challenge_endpoint: str | None = None,
    attestation_algorithms: Sequence[str] = (),
    dpop_algorithms: Sequence[str] = (),
    status_list_aggregation_endpoint: str | None = None,
) -> JsonObject:
    """Return the metadata document of an agency (RFC 8414 2, OpenID4VCI 12.3; protocols.md M4).

    Only what is served is named: what belongs to client attestation and DPoP is left out where it is not.

    Args:
        issuer: the identifier; the endpoints lie below it.
        scopes: of what is issued.
        require_pushed: whether authorization requests must be pushed.
        anonymous_pre_authorized: whether a pre-authorized code may be redeemed without naming a client.
        auth_methods: how clients authenticate.
        challenge_endpoint: of client attestation.
        attestation_algorithms: of client attestations and their proofs of possession.
        dpop_algorithms: of DPoP proofs.
        status_list_aggregation_endpoint: of Token Status List 9.1.
    """
    document: JsonObject = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "pushed_authorization_request_endpoint": f"{issuer}/oauth/par",
        "require_pushed_authorization_requests": require_pushed,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            spec.GRANT_AUTHORIZATION_CODE,
            spec.GRANT_PRE_AUTHORIZED_CODE,
            spec.GRANT_REFRESH_TOKEN,
        ],
        "code_challenge_methods_supported": [METHOD],
        # Never absent: some clients then assume client_secret_basic (RFC 8414 2).
        "token_endpoint_auth_methods_supported": list(auth_methods),
        "authorization_response_iss_parameter_supported": True,
        "authorization_details_types_supported": [TYPE],
        "scopes_supported": list(scopes),
        # OpenID4VCI 12.3: said because the default is false.
        "pre-authorized_grant_anonymous_access_supported": anonymous_pre_authorized,
    }
    if challenge_endpoint is not None:
        document["challenge_endpoint"] = challenge_endpoint
    if attestation_algorithms:
        document["client_attestation_signing_alg_values_supported"] = list(attestation_algorithms)
        document["client_attestation_pop_signing_alg_values_supported"] = list(attestation_algorithms)
    if dpop_algorithms:
        document["dpop_signing_alg_values_supported"] = list(dpop_algorithms)
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
        iss_promised=_boolean(document, "authorization_response_iss_parameter_supported"),
        # RFC 8414 2 means client_secret_basic by silence, which no wallet has; servers of public clients leave it out.
        auth_methods=_strings(document, "token_endpoint_auth_methods_supported", default=()),
        code_challenge_methods=_strings(document, "code_challenge_methods_supported", default=()),
        dpop_algorithms=_strings(document, "dpop_signing_alg_values_supported", default=()),
        details_types=_strings(document, "authorization_details_types_supported", default=()),
    )


def _boolean(document: Mapping[str, Json], member: str) -> bool:
    value = document.get(member, False)
    if not isinstance(value, bool):
        raise MalformedError(f"{member} is not a boolean", clause="RFC 8414 2")
    return value


def _optional_url(document: Mapping[str, Json], member: str) -> str | None:
    return parse_url(document[member], what=member) if member in document else None


def _strings(document: Mapping[str, Json], member: str, *, default: tuple[str, ...]) -> tuple[str, ...]:
    value = document.get(member)
    if value is None:
        return default
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise MalformedError(f"{member} is not an array of strings", clause="RFC 8414 2")
    return tuple(str(item) for item in value)
