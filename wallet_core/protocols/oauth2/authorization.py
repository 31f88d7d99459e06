"""Authorization requests and responses of the code flow, both sides (RFC 6749 4.1, RFC 9207, OpenID4VCI 5).

Who is asked for what is read in two steps: first the client and where it may be answered, then the rest. Errors of the
first step are shown to the person, errors of the second go back to the wallet.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from wallet_core.encoding import base64url
from wallet_core.errors import (
    InvalidAuthorizationDetails,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    MalformedError,
    RequestNotSupported,
    UnsupportedResponseType,
)
from wallet_core.protocols.oauth2.clients import MAX_CLIENT_ID_CHARACTERS, RegisteredClient, validate_redirect_uri
from wallet_core.protocols.oauth2.details import parse_authorization_details
from wallet_core.protocols.oauth2.pkce import parse_code_challenge
from wallet_core.types import ClientId, CredentialConfigurationId

MAX_PARAMETER_CHARACTERS: Final = 4096
"""Longest ``state``, ``scope`` or ``issuer_state``: a wallet may keep a whole session in its ``state``."""

_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}\Z")


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a wallet asks a person's leave for.

    Attributes:
        client_id: who asks.
        redirect_uri: where the answer goes; it was found among the client's.
        state: handed back as it came.
        code_challenge: of PKCE, S256.
        scopes: as asked, unknown ones too.
        details: configurations that ``authorization_details`` name.
        issuer_state: from an offer, or from whoever made the wallet's link: prove nothing by it.
        dpop_jkt: thumbprint of the key that the code will be bound to; None without.
    """

    client_id: ClientId
    redirect_uri: str
    state: str | None
    code_challenge: str
    scopes: tuple[str, ...] = ()
    details: tuple[CredentialConfigurationId, ...] = ()
    issuer_state: str | None = None
    dpop_jkt: bytes | None = None


@dataclass(frozen=True, slots=True)
class RequestedCredentials:
    """What a request asks for here. ``identified`` are those of ``authorization_details``, by identifier afterwards."""

    configuration_ids: tuple[CredentialConfigurationId, ...]
    identified: tuple[CredentialConfigurationId, ...]


def parse_client_id(parameters: Mapping[str, str]) -> ClientId:
    """Return the ``client_id`` of a request (RFC 6749 4.1.1).

    Raises:
        InvalidRequest: it is missing or too long.
    """
    client_id = parameters.get("client_id")
    # oauth-6749.4.1.1-client-id
    if client_id is None or len(client_id) > MAX_CLIENT_ID_CHARACTERS:
        raise InvalidRequest("client_id is missing or too long", clause="RFC 6749 4.1.1")
    return ClientId(client_id)


def parse_authorization_request(
    parameters: Mapping[str, str], *, client: RegisteredClient, redirect_uri: str, issuer: str
) -> AuthorizationRequest:
    """Return an authorization request whose client and redirect URI are known. Unknown parameters are ignored.

    Not done here: whether what is asked for is issued; see :func:`requested_credentials`.

    Raises:
        RequestNotSupported: it comes as a request object.
        UnsupportedResponseType: another response type than ``code``.
        InvalidRequest: a parameter is missing, too long or malformed, or another response mode.
        InvalidTarget: ``resource`` names another issuer.
        InvalidAuthorizationDetails: as ``parse_authorization_details``.
    """
    # RFC 9101: request objects are not offered; "request" must not be ignored, for it says something else.
    # oauth-9101.5-request
    if "request" in parameters:
        raise RequestNotSupported("request objects are not supported", clause="RFC 9101 5")
    response_type = parameters.get("response_type")
    # oauth-6749.4.1.1-response-type
    if response_type is None:
        raise InvalidRequest("response_type is missing", clause="RFC 6749 4.1.1")
    # oauth-6749.4.1.2.1-response-type
    if response_type != "code":
        raise UnsupportedResponseType("only the response type code is offered", clause="RFC 6749 4.1.2.1")
    if parameters.get("response_mode", "query") != "query":
        raise InvalidRequest("only the response mode query is offered", clause="RFC 6749 4.1.2")
    for name in ("state", "scope", "issuer_state"):
        if len(parameters.get(name, "")) > MAX_PARAMETER_CHARACTERS:
            raise InvalidRequest(f"{name} is too long")
    # M1, protocols.md 23: the one resource here is the Credential Issuer itself.
    # oauth-8707.2-resource
    if parameters.get("resource", issuer) != issuer:
        raise InvalidTarget("resource is not this issuer", clause="RFC 8707 2")
    details = parameters.get("authorization_details")
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=validate_redirect_uri(client, redirect_uri),
        state=parameters.get("state"),
        code_challenge=parse_code_challenge(parameters),
        scopes=tuple(dict.fromkeys(parameters.get("scope", "").split(" "))) if parameters.get("scope") else (),
        details=() if details is None else parse_authorization_details(details, issuer=issuer),
        issuer_state=parameters.get("issuer_state"),
        dpop_jkt=_dpop_jkt(parameters),
    )


def requested_credentials(
    request: AuthorizationRequest,
    *,
    scopes: Mapping[str, CredentialConfigurationId],
    configuration_ids: Collection[CredentialConfigurationId],
) -> RequestedCredentials:
    """Return what a request asks for among what is issued (OpenID4VCI 5.1).

    Args:
        request: the request.
        scopes: which scope stands for which configuration.
        configuration_ids: everything that is issued.

    Raises:
        InvalidAuthorizationDetails: a detail names what is not issued here.
        InvalidScope: nothing that is issued here is asked for.
    """
    # vci-5.1.1-unknown
    if not set(request.details) <= set(configuration_ids):
        raise InvalidAuthorizationDetails("no such credential configuration", clause="RFC 9396 5")
    # OpenID4VCI 5.1.2: "Credential Issuers MUST ignore unknown scope values in a request."
    # vci-5.1.2-unknown-scope
    by_scope = [scopes[scope] for scope in request.scopes if scope in scopes]
    # OpenID4VCI 5.1: where both name the same credential, the detail decides.
    asked = tuple(dict.fromkeys([*request.details, *by_scope]))
    # oauth-6749.4.1.2.1-scope
    if not asked:
        raise InvalidScope("nothing is asked for that is issued here", clause="RFC 6749 4.1.2.1")
    # vci-5.1-details-win
    return RequestedCredentials(asked, request.details)


def create_code_url(request: AuthorizationRequest, *, code: str, issuer: str) -> str:
    """Return where the person is sent with a code (RFC 6749 4.1.2, RFC 9207)."""
    return _answer_url(request, {"code": code}, issuer)


def create_error_url(request: AuthorizationRequest, *, error: str, description: str | None, issuer: str) -> str:
    """Return where the person is sent with an error (RFC 6749 4.1.2.1, RFC 9207)."""
    members = {"error": error} | ({} if description is None else {"error_description": description})
    return _answer_url(request, members, issuer)


def create_authorization_url(endpoint: str, parameters: Mapping[str, str]) -> str:
    """Return the address a wallet opens in the browser."""
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"


def _dpop_jkt(parameters: Mapping[str, str]) -> bytes | None:
    value = parameters.get("dpop_jkt")
    if value is None:
        return None
    # RFC 9449 10: the SHA-256 thumbprint of the key, in base64url.
    # oauth-9449.10-jkt
    if not _THUMBPRINT.match(value):
        raise InvalidRequest("dpop_jkt is not a thumbprint", clause="RFC 9449 10")
    try:
        return base64url.decode(value)
    except MalformedError as exc:
        raise InvalidRequest("dpop_jkt is not a thumbprint", clause="RFC 9449 10") from exc


def _answer_url(request: AuthorizationRequest, members: Mapping[str, str], issuer: str) -> str:
    answer = dict(members)
    # RFC 9207 2: iss is in success and in error responses alike.
    # oauth-9207.2-iss
    answer["iss"] = issuer
    # RFC 6749 4.1.2: "REQUIRED if the state parameter was present in the client authorization request".
    # oauth-6749.4.1.2-state-back
    if request.state is not None:
        answer["state"] = request.state
    return create_authorization_url(request.redirect_uri, answer)
