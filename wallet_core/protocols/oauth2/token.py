"""The token endpoint with its three grants, and Bearer tokens (OpenID4VCI 6, RFC 6749 4.1.3, 5, 6, RFC 6750)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias

from wallet_core import spec_versions as spec
from wallet_core.errors import InvalidRequest, InvalidTarget, InvalidToken, MalformedError, UnsupportedGrantType
from wallet_core.http import HttpResponse
from wallet_core.protocols.oauth2.answers import parse_answer
from wallet_core.protocols.oauth2.details import create_authorization_details, parse_authorization_details
from wallet_core.types import CredentialConfigurationId, Json, JsonObject
from wallet_core.values import statically_frozen

ACCESS_TOKEN_LIFETIME: Final = timedelta(seconds=300)
"""OpenID4VCI 13.10: a token that lives longer than 5 minutes would have to be sender-constrained."""

MAX_TOKEN_CHARACTERS: Final = 8192
"""Longest access token that is kept; a JWT access token is about 1 kB."""

BEARER: Final = "Bearer"
DPOP: Final = "DPoP"

BOUND_TOKEN_LIFETIME: Final = timedelta(minutes=30)
"""How long a token lives that is bound to a DPoP key: a batch of certificates, and a clerk who decides meanwhile."""

# RFC 6750 2.1: b64token.
_DIGITS = re.compile(r"[0-9]{1,9}\Z")
_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*\Z")

_TOKEN_TYPES: Final = {"bearer": BEARER, "dpop": DPOP}


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token request for the pre-authorized code grant (OpenID4VCI 6.1).

    ``details`` are the configurations that ``authorization_details`` pick; None if the parameter is not there.
    """

    pre_authorized_code: str
    tx_code: str | None
    details: tuple[CredentialConfigurationId, ...] | None = None


@dataclass(frozen=True, slots=True)
class AuthorizationCodeRequest:
    """A token request for the authorization code grant (RFC 6749 4.1.3, RFC 7636 4.5)."""

    code: str
    redirect_uri: str
    code_verifier: str | None
    details: tuple[CredentialConfigurationId, ...] | None = None


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """A token request with a refresh token (RFC 6749 6).

    ``scopes`` and ``details`` are what it names of what was granted; None if it does not say.
    """

    refresh_token: str
    scopes: tuple[str, ...] | None = None
    details: tuple[CredentialConfigurationId, ...] | None = None


@dataclass(frozen=True, slots=True)
class TokenResponse:
    """A successful answer of a token endpoint (OpenID4VCI 6.2).

    ``credential_identifiers`` holds, per credential configuration, the identifiers the server returned; empty if none.
    ``token_type`` is ``Bearer`` or ``DPoP``.
    """

    access_token: str
    expires_in: int | None
    credential_identifiers: Mapping[str, tuple[str, ...]]
    token_type: str = BEARER
    refresh_token: str | None = None

    @property
    def is_bound(self) -> bool:
        """Whether every use needs a proof of the client's key (RFC 9449 7.1)."""
        return self.token_type == DPOP

    def to_json(self) -> JsonObject:
        """Return the answer as :func:`parse_token_members` reads it."""
        members: JsonObject = {"access_token": self.access_token, "token_type": self.token_type}
        if self.expires_in is not None:
            members["expires_in"] = self.expires_in
        if self.refresh_token is not None:
            members["refresh_token"] = self.refresh_token
        if self.credential_identifiers:
            members["authorization_details"] = [
                {"type": "openid_credential", "credential_configuration_id": name, "credential_identifiers": list(ids)}
                for name, ids in self.credential_identifiers.items()
            ]
        return members


AnyTokenRequest: TypeAlias = TokenRequest | AuthorizationCodeRequest | RefreshRequest


def parse_token_request(parameters: Mapping[str, str], *, issuer: str) -> AnyTokenRequest:
    """Return the token request in a form's parameters. Parameters that are not known are ignored (RFC 6749 3.2).

    Raises:
        InvalidRequest: ``grant_type``, or a parameter that the grant requires, is missing.
        UnsupportedGrantType: a grant that is not offered.
        InvalidTarget: ``resource`` names another issuer.
        InvalidAuthorizationDetails: as ``parse_authorization_details``.
    """
    # oauth-8707.2.2-resource
    if parameters.get("resource", issuer) != issuer:
        raise InvalidTarget("resource is not this issuer", clause="RFC 8707 2.2")
    grant_type = parameters.get("grant_type")
    # oauth-6749.5.2-no-grant
    if grant_type is None:
        raise InvalidRequest("grant_type is missing", clause="RFC 6749 4.1.3")
    match grant_type:
        case spec.GRANT_PRE_AUTHORIZED_CODE:
            # OpenID4VCI 6.1: pre-authorized_code is REQUIRED with this grant type.
            # vci-6.1-code
            code = _required(parameters, "pre-authorized_code", "OpenID4VCI 6.1")
            return TokenRequest(code, parameters.get("tx_code"), _details(parameters, issuer))
        case spec.GRANT_AUTHORIZATION_CODE:
            # RFC 6749 4.1.3: code is REQUIRED; so is redirect_uri, for every authorization request has one here.
            # oauth-6749.4.1.3-code
            code = _required(parameters, "code", "RFC 6749 4.1.3")
            redirect_uri = _required(parameters, "redirect_uri", "RFC 6749 4.1.3")
            verifier = parameters.get("code_verifier")
            return AuthorizationCodeRequest(code, redirect_uri, verifier, _details(parameters, issuer))
        case spec.GRANT_REFRESH_TOKEN:
            # oauth-6749.6-token
            refresh_token = _required(parameters, "refresh_token", "RFC 6749 6")
            scopes = tuple(parameters["scope"].split(" ")) if "scope" in parameters else None
            return RefreshRequest(refresh_token, scopes, _details(parameters, issuer))
        case _:
            # oauth-6749.5.2-grant
            raise UnsupportedGrantType("this grant is not offered here", clause="RFC 6749 5.2")


def token_lifetime(*, dpop: bytes | None) -> timedelta:
    """Return how long an access token lives that is bound to the DPoP key ``dpop``, or to none."""
    # OpenID4VCI 13.10: what lives longer than 5 minutes is sender-constrained.
    # vci-13.10-bound
    return ACCESS_TOKEN_LIFETIME if dpop is None else BOUND_TOKEN_LIFETIME


def create_token_response(
    access_token: str,
    *,
    lifetime: timedelta = ACCESS_TOKEN_LIFETIME,
    token_type: str = BEARER,
    refresh_token: str | None = None,
    identified: Sequence[CredentialConfigurationId] = (),
    scopes: Sequence[str] = (),
) -> JsonObject:
    """Return the body of a successful answer (RFC 6749 5.1, OpenID4VCI 6.2).

    Args:
        access_token: to give out.
        lifetime: of the access token.
        token_type: ``Bearer`` or ``DPoP``.
        refresh_token: to give out with it.
        identified: configurations that are asked for by identifier afterwards.
        scopes: that were granted, where scopes were asked for.

    Raises:
        ValueError: ``lifetime`` is longer than a Bearer token may live here.
    """
    # OpenID4VCI 13.10: long-lived tokens MUST be sender-constrained.
    # vci-13.10-lifetime
    if token_type == BEARER and lifetime > ACCESS_TOKEN_LIFETIME:
        raise ValueError("a Bearer token lives at most 300 seconds")
    body: JsonObject = {
        "access_token": access_token,
        "token_type": token_type,
        "expires_in": int(lifetime.total_seconds()),
    }
    if refresh_token is not None:
        body["refresh_token"] = refresh_token
    # RFC 6749 5.1: scope is REQUIRED if it is not what was asked for.
    # oauth-6749.5.1-scope
    if scopes:
        body["scope"] = " ".join(scopes)
    # OpenID4VCI 6.2: REQUIRED when authorization_details were used in the authorization or token request.
    # vci-6.2-details
    if identified:
        body["authorization_details"] = create_authorization_details(identified, identified=True)
    return body


@statically_frozen
class AccessToken:
    """An access token as a request brought it: the scheme is :data:`BEARER` or :data:`DPOP`."""

    scheme: str
    token: str


def parse_access_token(authorization: Sequence[str]) -> AccessToken:
    """Return the access token of the ``Authorization`` headers of a request (RFC 6750 2.1, RFC 9449 7.1).

    Args:
        authorization: every value of the header, in order.

    Raises:
        InvalidToken: no header, more than one, another scheme, or not a token.
    """
    # oauth-6750.2-one
    if len(authorization) != 1:
        text = "exactly one Authorization header with an access token is needed"
        raise InvalidToken(text, missing=not authorization, clause="RFC 6750 2")
    name, _, token = authorization[0].partition(" ")
    # RFC 9110 11.1: scheme names are case-insensitive.
    scheme = _TOKEN_TYPES.get(name.lower())
    # oauth-6750.2.1-bearer
    if scheme is None or len(token) > MAX_TOKEN_CHARACTERS or not _B64TOKEN.match(token):
        raise InvalidToken("the Authorization header holds no access token", clause="RFC 6750 2.1")
    return AccessToken(scheme, token)


def parse_token_response(response: HttpResponse, *, bound: bool = False) -> TokenResponse:
    """Return a token endpoint's answer.

    Args:
        response: of the token endpoint.
        bound: the request carried a DPoP proof, so the token is to be a DPoP token; without one, a Bearer token.

    Raises:
        PeerRefusal: the server refused.
        MalformedError: the answer lacks what OpenID4VCI 6.2 demands, or the token is of the other type.
    """
    token = parse_token_members(parse_answer(response, who="the token endpoint"))
    # RFC 9449 5: a client whose token is to be bound to its key takes no Bearer token instead; without a proof a DPoP
    # token could not be used.
    # oauth-9449.5-no-downgrade
    if token.is_bound != bound:
        raise MalformedError("the access token is not of the type that was asked for", clause="RFC 9449 5")
    return token


def parse_token_members(members: Mapping[str, Json]) -> TokenResponse:
    """Return the token response in a JSON object. Unknown members are ignored (OpenID4VCI 6.2).

    Raises:
        MalformedError: a member is missing or of the wrong type, or the token is neither a Bearer nor a DPoP token.
    """
    token, token_type, expires_in = members.get("access_token"), members.get("token_type"), members.get("expires_in")
    if not isinstance(token, str) or len(token) > MAX_TOKEN_CHARACTERS or not _B64TOKEN.match(token):
        raise MalformedError("the answer holds no access token", clause="RFC 6749 5.1")
    # RFC 6749 7.1: "The client MUST NOT use an access token if it does not understand the token type."
    # oauth-6749.7.1-token-type
    known = _TOKEN_TYPES.get(token_type.lower()) if isinstance(token_type, str) else None
    if known is None:
        raise MalformedError("the access token is neither a Bearer nor a DPoP token", clause="RFC 6749 7.1")
    # Some servers write the number as a string.
    if isinstance(expires_in, str) and _DIGITS.match(expires_in):
        expires_in = int(expires_in)
    if expires_in is not None and (isinstance(expires_in, bool) or not isinstance(expires_in, int) or expires_in <= 0):
        raise MalformedError("expires_in is not a positive integer", clause="RFC 6749 5.1")
    refresh_token = members.get("refresh_token")
    if refresh_token is not None and (
        not isinstance(refresh_token, str) or not refresh_token or len(refresh_token) > MAX_TOKEN_CHARACTERS
    ):
        raise MalformedError("refresh_token is not a token", clause="RFC 6749 5.1")
    identifiers = _credential_identifiers(members.get("authorization_details"))
    return TokenResponse(token, expires_in, identifiers, known, refresh_token)


def _required(parameters: Mapping[str, str], name: str, clause: str) -> str:
    value = parameters.get(name)
    if value is None:
        raise InvalidRequest(f"{name} is missing", clause=clause)
    return value


def _details(parameters: Mapping[str, str], issuer: str) -> tuple[CredentialConfigurationId, ...] | None:
    text = parameters.get("authorization_details")
    return None if text is None else parse_authorization_details(text, issuer=issuer)


def _credential_identifiers(details: Json) -> dict[str, tuple[str, ...]]:
    if details is None:
        return {}
    if not isinstance(details, list):
        raise MalformedError("authorization_details is not an array", clause="RFC 9396 2")
    found: dict[str, tuple[str, ...]] = {}
    for detail in details:
        if not isinstance(detail, dict) or detail.get("type") != "openid_credential":
            continue
        name, identifiers = detail.get("credential_configuration_id"), detail.get("credential_identifiers")
        # OpenID4VCI 6.2: an openid_credential detail of a token response carries a non-empty array of identifiers.
        # vci-6.2-identifiers
        if not isinstance(name, str) or not isinstance(identifiers, list) or not identifiers:
            raise MalformedError("authorization_details lack credential_identifiers", clause="OpenID4VCI 6.2")
        if not all(isinstance(identifier, str) for identifier in identifiers):
            raise MalformedError("credential_identifiers are not strings", clause="OpenID4VCI 6.2")
        found[name] = tuple(str(identifier) for identifier in identifiers)
    return found
