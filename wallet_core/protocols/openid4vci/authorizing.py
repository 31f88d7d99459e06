"""The authorization code flow, the wallet's side: to the login page and back.

OpenID4VCI 5, RFC 9126 (pushed requests), RFC 7636 (PKCE), RFC 9207 (``iss``).

```text
ResolvedOffer ── start_authorization ──▶ AuthorizationStarted ──(the browser goes and comes back)── finish_authorization
     ──▶ ProofsToSign
```
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from wallet_core import spec_versions as spec
from wallet_core.encoding import base64url, strict_json
from wallet_core.errors import MalformedError
from wallet_core.http import Flow
from wallet_core.keys.jwk import thumbprint
from wallet_core.protocols.oauth2.authorization_response import validate_authorization_response
from wallet_core.protocols.oauth2.client import ClientInstance, ClientMemory
from wallet_core.protocols.oauth2.par import parse_pushed_response
from wallet_core.protocols.oauth2.pkce import code_challenge, create_code_verifier
from wallet_core.protocols.oauth2.token import TokenResponse, parse_token_response
from wallet_core.protocols.openid4vci.pending import AuthorizationStarted, ProofsToSign, ResolvedOffer
from wallet_core.protocols.openid4vci.receiving import Keys, open_session, proofs_to_sign, refresh, request_nonce
from wallet_core.protocols.openid4vci.receiving import validate_keys as validate_keys_of
from wallet_core.types import CredentialConfigurationId, Json, JsonObject, RandomBytes

ANSWER_WITHIN: Final = timedelta(minutes=30)
"""How long the answer of an authorization server is waited for: time to find an identity card and log in."""

_STATE_BYTES: Final = 24


def start_authorization(
    offer: ResolvedOffer,
    client: ClientInstance,
    *,
    configuration_ids: Sequence[CredentialConfigurationId],
    now: datetime,
    random: RandomBytes,
    memory: ClientMemory | None = None,
) -> Flow[AuthorizationStarted]:
    """Announce the request, and return where the browser is to go.

    A pushed request where the server takes one (RFC 9126; HAIP 4), otherwise everything goes through the browser.

    Args:
        offer: what the person accepted or chose.
        client: this instance.
        configuration_ids: what she wants of it.
        now: the time.
        random: for ``state`` and the code verifier.
        memory: what the servers gave before.

    Raises:
        ValueError: a configuration is not in the offer, or none is named.
        MalformedError: the server cannot do what is needed, or its answer breaks a rule.
        PeerRefusal: the server refused the pushed request.
    """
    server, names = offer.server, tuple(configuration_ids)
    if not names or not set(names) <= set(offer.offer.configuration_ids):
        raise ValueError("at least one configuration, each of the offer")
    endpoint = server.authorization_endpoint
    # vci-4.1.1-no-endpoint
    if endpoint is None or not offer.can_authorize:
        raise MalformedError("the authorization code grant cannot be used here", clause="OpenID4VCI 4.1.1")
    # RFC 8414 2: a server that lists its challenge methods takes no others; without S256 a stolen code could be used.
    # oauth-7636.4.2-s256-wallet
    if server.code_challenge_methods and spec.CODE_CHALLENGE_S256 not in server.code_challenge_methods:
        raise MalformedError("the server does not take S256 code challenges", clause="RFC 7636 4.2")
    talk = open_session(offer, client, now=now, random=random, memory=memory)
    state, verifier = base64url.encode(random(_STATE_BYTES)), create_code_verifier(random)
    parameters = _request_parameters(offer, client, names, state=state, code_challenge=code_challenge(verifier))
    expires_at = now + ANSWER_WITHIN
    # haip-4-par-wallet
    if server.pushed_endpoint is not None:
        response = yield from talk.post_form(server.pushed_endpoint, parameters)
        # RFC 9126 4: only client_id and the reference go through the browser.
        parameters = {"client_id": client.client_id, "request_uri": parse_pushed_response(response).request_uri}
    # RFC 9126 5: a server may take pushed requests only.
    # oauth-9126.5-required
    elif server.require_pushed:
        raise MalformedError("the server wants pushed requests but has no endpoint for them", clause="RFC 9126 5")
    elif talk.uses_dpop:
        # RFC 9449 10: the code is bound to the key before it exists.
        # dpop-9449.10-jkt
        parameters["dpop_jkt"] = base64url.encode(thumbprint(client.signer.public_key))
    url = f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"
    return AuthorizationStarted(offer, names, url, state, verifier, client.redirect_uri, expires_at, talk.memory)


def finish_authorization(
    started: AuthorizationStarted,
    callback: Mapping[str, str],
    keys: Keys,
    client: ClientInstance,
    *,
    now: datetime,
    random: RandomBytes,
) -> Flow[ProofsToSign]:
    """Check the answer the browser brought, redeem the code, and return what the holder's keys must sign.

    The code works once, so its answer comes last: nothing can fail between it and the value that is stored.

    Args:
        started: what :func:`start_authorization` returned.
        callback: the parameters the browser came back with, each once.
        keys: for each configuration wanted, new keys.
        client: this instance, with the key it started with.
        now: the time.
        random: for the client's proofs.

    Raises:
        ValueError: the keys do not fit what was asked for.
        UntrustedError: the answer is to another request, or of another server (RFC 9207).
        PeerRefusal: the server answered with an error, or refused the code.
        MalformedError: an answer breaks a rule.
    """
    offer = started.offer
    code = validate_authorization_response(
        callback, state=started.state, issuer=offer.server.issuer, iss_promised=offer.server.iss_promised
    )
    validate_keys_of(offer, keys)
    talk = open_session(offer, client, now=now, random=random, memory=started.memory)
    nonce = yield from request_nonce(offer, talk)
    fields = {
        "grant_type": spec.GRANT_AUTHORIZATION_CODE,
        "code": code,
        # RFC 6749 4.1.3: the same redirect_uri as in the request.
        "redirect_uri": started.redirect_uri,
        "code_verifier": started.code_verifier,
    }
    response = yield from talk.post_form(offer.server.token_endpoint, fields)
    token = parse_token_response(response, bound=talk.uses_dpop)
    return proofs_to_sign(offer, _checked(token, started), keys, nonce, talk)


def refresh_access(
    offer: ResolvedOffer,
    token: TokenResponse,
    client: ClientInstance | None,
    *,
    now: datetime,
    random: RandomBytes,
    memory: ClientMemory | None = None,
) -> Flow[tuple[TokenResponse, ClientMemory]]:
    """Return a new access token for a refresh token, and what the servers gave last (RFC 6749 6).

    Raises:
        ValueError: there is no refresh token.
        PeerRefusal: the server refused; ``invalid_grant`` means that the person must log in again.
        MalformedError: the answer breaks a rule.
    """
    talk = open_session(offer, client, now=now, random=random, memory=memory)
    fresh = yield from refresh(talk, token)
    return fresh, talk.memory


def request_more_proofs(
    offer: ResolvedOffer,
    token: TokenResponse,
    keys: Keys,
    client: ClientInstance | None,
    *,
    now: datetime,
    random: RandomBytes,
    memory: ClientMemory | None = None,
) -> Flow[ProofsToSign]:
    """Fetch a nonce for a token that is there already, and return what new keys must sign: for more copies.

    Raises:
        ValueError: the keys do not fit what is offered.
        PeerRefusal: the issuer refused.
        MalformedError: an answer breaks a rule.
    """
    validate_keys_of(offer, keys)
    talk = open_session(offer, client, now=now, random=random, memory=memory)
    nonce = yield from request_nonce(offer, talk)
    return proofs_to_sign(offer, token, keys, nonce, talk)


def _request_parameters(
    offer: ResolvedOffer,
    client: ClientInstance,
    names: Sequence[CredentialConfigurationId],
    *,
    state: str,
    code_challenge: str,
) -> dict[str, str]:
    parameters = {
        "response_type": "code",
        "client_id": str(client.client_id),
        "redirect_uri": client.redirect_uri,
        "state": state,
        "code_challenge": code_challenge,
        "code_challenge_method": spec.CODE_CHALLENGE_S256,
        **_what_is_asked(offer, names),
    }
    # OpenID4VCI 5.1.3: issuer_state of the offer MUST be copied.
    # vci-5.1.3-issuer-state
    if offer.offer.issuer_state is not None:
        parameters["issuer_state"] = offer.offer.issuer_state
    return parameters


def _what_is_asked(offer: ResolvedOffer, names: Sequence[CredentialConfigurationId]) -> dict[str, str]:
    """Return ``scope`` for the configurations that have one, and ``authorization_details`` for the others."""
    scopes = {name: offer.issuer.configurations[name].document.get("scope") for name in names}
    # HAIP 4.1: the wallet MUST use scope.
    # haip-4.1-scope-wallet
    found = list(dict.fromkeys(str(scope) for scope in scopes.values() if scope is not None))
    if any(not scope.isprintable() or " " in scope for scope in found):
        raise MalformedError("a scope has a space in it", clause="RFC 6749 3.3")
    bare = [name for name, scope in scopes.items() if scope is None]
    listed = "authorization_servers" in offer.issuer.document
    parameters: dict[str, str] = {}
    if found:
        parameters["scope"] = " ".join(found)
    # OpenID4VCI 5.1.2: where the issuer lists servers, resource tells for which issuer the scopes are.
    # vci-5.1.2-resource
    if found and listed:
        parameters["resource"] = offer.issuer.credential_issuer
    if bare:
        parameters["authorization_details"] = _authorization_details(offer, bare, listed=listed)
    return parameters


def _authorization_details(offer: ResolvedOffer, names: Sequence[CredentialConfigurationId], *, listed: bool) -> str:
    # OpenID4VCI 12.2.4: a configuration without scope needs authorization_details, which the server must list.
    # vci-5.1.1-details-supported
    if spec.DETAIL_OPENID_CREDENTIAL not in offer.server.details_types:
        raise MalformedError("a configuration can be asked for in no way the server takes", clause="OpenID4VCI 5.1.1")
    details: list[Json] = []
    for name in names:
        detail: JsonObject = {"type": spec.DETAIL_OPENID_CREDENTIAL, "credential_configuration_id": name}
        # OpenID4VCI 5.1.1: where the metadata list servers, locations MUST hold the issuer's identifier.
        # vci-5.1.1-locations
        if listed:
            detail["locations"] = [offer.issuer.credential_issuer]
        details.append(detail)
    return strict_json.dumps_text(details)


def _checked(token: TokenResponse, started: AuthorizationStarted) -> TokenResponse:
    """Refuse a token without identifiers for what was asked by ``authorization_details`` (OpenID4VCI 6.2)."""
    configurations = started.offer.issuer.configurations
    bare = [name for name in started.configuration_ids if configurations[name].document.get("scope") is None]
    # OpenID4VCI 6.2: authorization_details are REQUIRED in the answer if they were used.
    # vci-6.2-details-answered
    if bare and not any(name in token.credential_identifiers for name in bare):
        raise MalformedError("the token response lacks authorization_details", clause="OpenID4VCI 6.2")
    return token
