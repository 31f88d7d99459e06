"""How a wallet talks to servers as a client instance: DPoP (RFC 9449) and attestation-based client authentication.

What a server gave last, nonces and challenge, is a value that is stored between two flows. Each server may ask once for
a fresh nonce and once for a fresh challenge; the second refusal is the flow's answer.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Self
from urllib.parse import urlsplit

from wallet_core import spec_versions as spec
from wallet_core.errors import DPOP_ALGORITHM, MalformedError
from wallet_core.http import Flow, HttpRequest, HttpResponse, post_form
from wallet_core.keys.signer import Signer
from wallet_core.protocols.oauth2.answers import peer_refusal
from wallet_core.protocols.oauth2.client_attestation import (
    create_client_attestation_pop,
    parse_challenge_response,
)
from wallet_core.protocols.oauth2.dpop import create_dpop_proof
from wallet_core.protocols.oauth2.metadata import AuthorizationServer
from wallet_core.protocols.oauth2.token import TokenResponse
from wallet_core.types import ClientId, Json, JsonObject, RandomBytes

MAX_ORIGINS: Final = 8
"""Origins whose DPoP nonce is remembered: authorization server, issuer, and room for endpoints on further hosts."""

# RFC 9449 8.1: nonce = 1*NQCHAR; challenges are URL-safe too. Bounded, because they go into headers.
_OPAQUE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,512}\Z")
_DPOP_NONCE_ASKED = re.compile(r'\berror\s*=\s*"?use_dpop_nonce"?')


@dataclass(frozen=True, slots=True)
class ClientInstance:
    """This wallet instance as a client of one issuer (protocols.md M15).

    Attributes:
        client_id: the wallet's, the same for all its instances.
        redirect_uri: where the authorization server sends the browser back.
        signer: the key of this instance at this issuer and no other: ``cnf`` of the attestation, and the DPoP key.
        attestation: from the wallet provider; None for a public client.
    """

    client_id: ClientId
    redirect_uri: str
    signer: Signer
    attestation: str | None = None


@dataclass(frozen=True, slots=True)
class ClientMemory:
    """What servers gave last: a DPoP nonce for each origin, and the attestation challenge."""

    dpop_nonces: Mapping[str, str] = field(default_factory=dict)
    challenge: str | None = None

    def to_json(self) -> JsonObject:
        """Return the memory as it is stored."""
        return {"dpop_nonces": dict(self.dpop_nonces), "challenge": self.challenge}

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Return what :meth:`to_json` wrote; what is not well-formed is forgotten, as it can be had anew."""
        nonces, challenge = value.get("dpop_nonces"), value.get("challenge")
        kept = {name: nonce for name, nonce in nonces.items() if _is_opaque(nonce)} if isinstance(nonces, dict) else {}
        return cls(
            {name: str(nonce) for name, nonce in kept.items()}, str(challenge) if _is_opaque(challenge) else None
        )

    def after(self, url: str, response: HttpResponse) -> "ClientMemory":
        """Return the memory with what an answer of ``url`` brought."""
        # RFC 9449 8.2: the newest nonce replaces the older one, also when it came with a success.
        # dpop-9449.8.2-newest
        nonce = response.headers.get(spec.HEADER_DPOP_NONCE.lower())
        memory = self
        if _is_opaque(nonce):
            others = {name: kept for name, kept in self.dpop_nonces.items() if name != _origin(url)}
            kept = dict(list(others.items())[1 - MAX_ORIGINS :])
            memory = replace(memory, dpop_nonces={**kept, _origin(url): str(nonce)})
        # Attestation-based client authentication 07, 8: the same for a challenge.
        # abca-07.8-newest
        challenge = response.headers.get(spec.HEADER_ATTESTATION_CHALLENGE.lower())
        return replace(memory, challenge=challenge) if _is_opaque(challenge) else memory


@dataclass(slots=True)
class ClientSession:
    """One flow's talk with an authorization server and its resources; ``memory`` moves on with every answer.

    Attributes:
        client: who talks; None is nobody in particular, as the pre-authorized code grant permits.
        server: the authorization server.
        now: the time, for ``iat``.
        random: for ``jti``.
        memory: what the servers gave last.
    """

    client: ClientInstance | None
    server: AuthorizationServer
    now: datetime
    random: RandomBytes
    memory: ClientMemory = field(default_factory=ClientMemory)

    @property
    def uses_dpop(self) -> bool:
        """Whether tokens are bound to the instance's key: wherever the server can."""
        # HAIP 4.3: DPoP MUST be supported; where a server lists the algorithm it is used.
        # haip-4.3-dpop-wallet
        return self.client is not None and DPOP_ALGORITHM in self.server.dpop_algorithms

    def post_form(self, url: str, fields: Mapping[str, str], *, anonymous: bool = False) -> Flow[HttpResponse]:
        """Send a form to the authorization server, as this client unless ``anonymous``.

        Raises:
            MalformedError: the server authenticates clients in no way that this one has.
            PeerRefusal: the challenge endpoint refused.
        """
        client = None if anonymous else self.client
        attestation = self._attestation(client)
        if client is not None:
            fields = {**fields, "client_id": client.client_id}
        if client is not None and attestation is not None:
            yield from self._fetch_challenge()
        request = post_form(url, fields)
        return (yield from self._send(request, None, attestation))

    def send(self, request: HttpRequest, token: TokenResponse) -> Flow[HttpResponse]:
        """Send a request to a protected resource with an access token (RFC 6750 2.1, RFC 9449 7.1)."""
        return (yield from self._send(request, token, None))

    def send_open(self, request: HttpRequest) -> Flow[HttpResponse]:
        """Send a request that needs neither token nor client, and remember what the answer brings."""
        response = yield request
        self.memory = self.memory.after(request.url, response)
        return response

    def _attestation(self, client: ClientInstance | None) -> str | None:
        """Return the attestation to authenticate with; None where the server takes public clients, or says nothing."""
        methods = self.server.auth_methods
        if client is None or not methods:
            return None
        if client.attestation is not None and spec.AUTH_METHOD_CLIENT_ATTESTATION in methods:
            return client.attestation
        # RFC 8414 2: the methods listed are those the server takes; a client without any of them is refused anyway.
        # oauth-8414.2-client-method
        if spec.AUTH_METHOD_NONE not in methods:
            raise MalformedError("the server authenticates clients in no way this wallet has", clause="RFC 8414 2")
        return None

    def _fetch_challenge(self) -> Flow[None]:
        # Attestation-based client authentication 07, 8.1: where the endpoint exists a challenge MUST be had and used.
        # abca-07.8.1-endpoint
        if self.memory.challenge is None and self.server.challenge_endpoint is not None:
            request = HttpRequest("POST", self.server.challenge_endpoint, {"Accept": spec.JSON})
            challenge = parse_challenge_response((yield from self.send_open(request)))
            self.memory = replace(self.memory, challenge=challenge)

    def _send(self, request: HttpRequest, token: TokenResponse | None, attestation: str | None) -> Flow[HttpResponse]:
        retried: set[str] = set()
        while True:
            headers = {**request.headers, **self._headers(request, token, attestation)}
            response = yield replace(request, headers=headers)
            before, self.memory = self.memory, self.memory.after(request.url, response)
            reason = _wanted_anew(response)
            # RFC 9449 8, 9 and ABCA 07 6.2: try again with what the refusal brought, once for each.
            # dpop-9449.8-retry
            if reason is None or reason in retried or self.memory == before:
                return response
            retried.add(reason)

    def _headers(self, request: HttpRequest, token: TokenResponse | None, attestation: str | None) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        client = self.client
        bound = token.is_bound if token is not None else self.uses_dpop
        if token is not None:
            # RFC 9449 7.1: a DPoP token is sent under its own scheme.
            # dpop-9449.7.1-scheme-wallet
            headers["Authorization"] = f"{'DPoP' if bound else 'Bearer'} {token.access_token}"
        if bound and client is not None:
            headers[spec.HEADER_DPOP] = create_dpop_proof(
                client.signer,
                method=request.method,
                url=request.url,
                issued_at=self.now,
                random=self.random,
                nonce=self.memory.dpop_nonces.get(_origin(request.url)),
                access_token=token.access_token if token is not None else None,
            )
        if attestation is not None and client is not None:
            headers[spec.HEADER_CLIENT_ATTESTATION] = attestation
            headers[spec.HEADER_CLIENT_ATTESTATION_POP] = create_client_attestation_pop(
                client.signer,
                client_id=client.client_id,
                # ABCA 07 5.2: aud is the issuer identifier of the authorization server, never an endpoint.
                audience=self.server.issuer,
                issued_at=self.now,
                random=self.random,
                challenge=self.memory.challenge,
            )
        return headers


def _wanted_anew(response: HttpResponse) -> str | None:
    """Return whether the answer asks for the same request with a fresh nonce or challenge, and for which."""
    # RFC 9449 9: at a resource server 401, the error stands in the challenge.
    if response.status == 401 and _DPOP_NONCE_ASKED.search(response.headers.get("www-authenticate", "")):
        return "use_dpop_nonce"
    if response.status not in {400, 401}:
        return None
    error = peer_refusal(response, who="the server").error
    return error if error in {"use_dpop_nonce", "use_attestation_challenge"} else None


def _is_opaque(value: Json) -> bool:
    return isinstance(value, str) and _OPAQUE.match(value) is not None


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
