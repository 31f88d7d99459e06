"""The token endpoint for the pre-authorized code grant, and Bearer tokens (OpenID4VCI 6, RFC 6749 5, RFC 6750)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from wallet_core import spec_versions as spec
from wallet_core.errors import InvalidRequest, InvalidToken, MalformedError, UnsupportedGrantType
from wallet_core.http import HttpRequest, HttpResponse, post_form
from wallet_core.protocols.oauth2.answers import parse_answer
from wallet_core.protocols.oauth2.form import parse_form
from wallet_core.types import Json, JsonObject

ACCESS_TOKEN_LIFETIME: Final = timedelta(seconds=300)
"""OpenID4VCI 13.10: a token that lives longer than 5 minutes would have to be sender-constrained."""

MAX_TOKEN_CHARACTERS: Final = 8192
"""Longest access token that is kept; a JWT access token is about 1 kB."""

BEARER: Final = "Bearer"
DPOP: Final = "DPoP"
_TOKEN_TYPES: Final = {"bearer": BEARER, "dpop": DPOP}

# RFC 6750 2.1: b64token.
_B64TOKEN = re.compile(r"[A-Za-z0-9\-._~+/]+=*\Z")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token request for the pre-authorized code grant (OpenID4VCI 6.1)."""

    pre_authorized_code: str
    tx_code: str | None


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


def parse_token_request(media_type: str, body: bytes) -> TokenRequest:
    """Return the token request in a form. Parameters that are not known are ignored (RFC 6749 3.2).

    Raises:
        InvalidRequest: not a form, a parameter twice, ``grant_type`` or ``pre-authorized_code`` missing.
        UnsupportedGrantType: another grant than the pre-authorized code.
    """
    parameters = parse_form(media_type, body)
    grant_type = parameters.get("grant_type")
    # oauth-6749.5.2-no-grant
    if grant_type is None:
        raise InvalidRequest("grant_type is missing", clause="RFC 6749 4.1.3")
    # oauth-6749.5.2-grant
    if grant_type != spec.GRANT_PRE_AUTHORIZED_CODE:
        raise UnsupportedGrantType("only the pre-authorized code grant is offered here", clause="RFC 6749 5.2")
    # OpenID4VCI 6.1: pre-authorized_code is REQUIRED with this grant type.
    code = parameters.get("pre-authorized_code")
    # vci-6.1-code
    if code is None:
        raise InvalidRequest("pre-authorized_code is missing", clause="OpenID4VCI 6.1")
    return TokenRequest(code, parameters.get("tx_code"))


def create_token_response(access_token: str, *, lifetime: timedelta = ACCESS_TOKEN_LIFETIME) -> JsonObject:
    """Return the body of a successful answer (RFC 6749 5.1).

    Raises:
        ValueError: ``lifetime`` is longer than a Bearer token may live here.
    """
    # OpenID4VCI 13.10: long-lived tokens MUST be sender-constrained; ours are not.
    # vci-13.10-lifetime
    if lifetime > ACCESS_TOKEN_LIFETIME:
        raise ValueError("a Bearer token lives at most 300 seconds")
    return {"access_token": access_token, "token_type": "Bearer", "expires_in": int(lifetime.total_seconds())}


def parse_bearer_token(authorization: Sequence[str]) -> str:
    """Return the access token of the ``Authorization`` headers of a request (RFC 6750 2.1).

    Args:
        authorization: every value of the header, in order.

    Raises:
        InvalidToken: no header, more than one, another scheme, or not a token.
    """
    # RFC 6750 2: "Clients MUST NOT use more than one method to transmit the token in each request."
    # oauth-6750.2-one
    if len(authorization) != 1:
        text = "exactly one Authorization header with an access token is needed"
        raise InvalidToken(text, missing=not authorization, clause="RFC 6750 2")
    scheme, _, token = authorization[0].partition(" ")
    # RFC 9110 11.1: scheme names are case-insensitive.
    # oauth-6750.2.1-bearer
    if scheme.lower() != "bearer" or len(token) > MAX_TOKEN_CHARACTERS or not _B64TOKEN.match(token):
        raise InvalidToken("the Authorization header holds no Bearer token", clause="RFC 6750 2.1")
    return token


def create_token_request(token_endpoint: str, *, pre_authorized_code: str, tx_code: str | None) -> HttpRequest:
    """Return the request that redeems a pre-authorized code, without client authentication (OpenID4VCI 6.1)."""
    fields = {"grant_type": spec.GRANT_PRE_AUTHORIZED_CODE, "pre-authorized_code": pre_authorized_code}
    if tx_code is not None:
        fields["tx_code"] = tx_code
    return post_form(token_endpoint, fields)


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
    if expires_in is not None and (isinstance(expires_in, bool) or not isinstance(expires_in, int) or expires_in <= 0):
        raise MalformedError("expires_in is not a positive integer", clause="RFC 6749 5.1")
    refresh_token = members.get("refresh_token")
    if refresh_token is not None and (
        not isinstance(refresh_token, str) or not 0 < len(refresh_token) <= MAX_TOKEN_CHARACTERS
    ):
        raise MalformedError("refresh_token is not a token", clause="RFC 6749 5.1")
    identifiers = _credential_identifiers(members.get("authorization_details"))
    return TokenResponse(token, expires_in, identifiers, known, refresh_token)


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
