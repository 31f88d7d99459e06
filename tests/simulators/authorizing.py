"""A Credential Issuer with an authorization endpoint, in memory. Each attribute is one way to misbehave or demand."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from tests.simulators.issuer import ISSUER, PATH, SimulatedIssuer, metadata, server_metadata
from wallet_core.encoding import base64url
from wallet_core.http import HttpRequest, HttpResponse

CODE = "authorization_code"


def deferring_metadata() -> dict[str, Any]:
    """Honest metadata of an issuer that may take its time."""
    return {**metadata(), "deferred_credential_endpoint": f"{ISSUER}/deferred"}


def authorizing_server() -> dict[str, Any]:
    """Honest metadata of a server in the high-assurance profile."""
    return {
        **server_metadata(),
        "grant_types_supported": [CODE, "refresh_token", *server_metadata()["grant_types_supported"]],
        "authorization_endpoint": f"{ISSUER}/authorize",
        "pushed_authorization_request_endpoint": f"{ISSUER}/oauth/par",
        "require_pushed_authorization_requests": True,
        "challenge_endpoint": f"{ISSUER}/oauth/challenge",
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["attest_jwt_client_auth", "none"],
        "dpop_signing_alg_values_supported": ["ES256"],
        "authorization_details_types_supported": ["openid_credential"],
        "authorization_response_iss_parameter_supported": True,
    }


def plain_server() -> dict[str, Any]:
    """Honest metadata of a server without pushed requests, DPoP and attestations."""
    document = authorizing_server()
    for name in ("pushed_authorization_request_endpoint", "challenge_endpoint", "dpop_signing_alg_values_supported"):
        del document[name]
    document["require_pushed_authorization_requests"] = False
    document["token_endpoint_auth_methods_supported"] = ["none"]
    return document


def claims_of(jwt: str) -> dict[str, Any]:
    """The claims of a JWT, unverified."""
    claims: dict[str, Any] = json.loads(base64url.decode(jwt.split(".")[1]))
    return claims


@dataclass
class AuthorizingIssuer(SimulatedIssuer):
    """Lets every browser in at once; ``approve`` is what its login page would do.

    Attributes:
        dpop_nonces: the nonces it wants, in order, at the authorization server; empty for none.
        resource_nonce: the nonce it wants at the credential endpoint.
        challenge: the challenge it wants in the proof of possession.
        refuse_attestation: the error it answers to any attestation.
        deferrals: how often it puts a credential off.
        expired: access tokens it does not take any more.
        refresh_token: the one it takes.
        rotates: whether it gives another refresh token each time, and takes the one before it no more.
        answer: changes to what the browser is sent back with.
        pushed: the parameters of the request.
    """

    metadata: Any = field(default_factory=deferring_metadata)
    server: Any = field(default_factory=authorizing_server)
    dpop_nonces: list[str] = field(default_factory=list)
    resource_nonce: str | None = None
    challenge: str | None = None
    refuse_attestation: str = ""
    deferrals: int = 0
    interval: int = 60
    expired: set[str] = field(default_factory=set)
    refresh_token: str = "refresh"
    rotates: bool = False
    answer: dict[str, str | None] = field(default_factory=dict)
    pushed: dict[str, str] = field(default_factory=dict)
    token_response: Any = field(
        default_factory=lambda: {
            "access_token": "token",
            "token_type": "DPoP",
            "expires_in": 300,
            "refresh_token": "refresh",
        }
    )
    forms: list[dict[str, str]] = field(default_factory=list)
    put_off: HttpRequest | None = None

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        path = urlsplit(request.url).path
        special = {
            f"{PATH}/oauth/par": self._par,
            f"{PATH}/oauth/challenge": lambda _: self.reply(
                {"attestation_challenge": self.challenge or "a-challenge-nobody-checks"}
            ),
            f"{PATH}/deferred": self._deferred,
        }
        if path in special and path not in self.refuse:
            self.seen.append(request)
            return special[path](request)
        return super().__call__(request)

    def approve(self, url: str) -> str:
        """What the person's browser comes back with after the login page at ``url``."""
        parameters = dict(parse_qsl(urlsplit(url).query))
        if "request_uri" in parameters:
            assert parameters == {"client_id": self.pushed["client_id"], "request_uri": "urn:pushed:1"}
            parameters = self.pushed
        self.pushed = parameters
        answer = {"code": "the-code", "state": parameters["state"], "iss": ISSUER, **self.answer}
        return "&".join(f"{name}={value}" for name, value in answer.items() if value is not None)

    def headers_of(self, end: str) -> list[dict[str, str]]:
        """The headers of every request to an endpoint."""
        return [dict(request.headers) for request in self.seen if urlsplit(request.url).path.endswith(end)]

    def _authenticated(self, request: HttpRequest) -> HttpResponse | None:
        if "DPoP" in request.headers and self.dpop_nonces:
            wanted = self.dpop_nonces[0]
            if claims_of(request.headers["DPoP"]).get("nonce") != wanted:
                return self._asking("use_dpop_nonce", {"dpop-nonce": wanted})
        if "OAuth-Client-Attestation-PoP" in request.headers:
            if self.refuse_attestation:
                return self.reply({"error": self.refuse_attestation}, 401)
            proof = claims_of(request.headers["OAuth-Client-Attestation-PoP"])
            if self.challenge is not None and proof.get("challenge") != self.challenge:
                header = {"oauth-client-attestation-challenge": self.challenge}
                return self._asking("use_attestation_challenge", header)
        return None

    def _asking(self, error: str, headers: dict[str, str]) -> HttpResponse:
        answer = self.reply({"error": error}, 400)
        return HttpResponse(400, {**answer.headers, **headers}, answer.body)

    def _form(self, request: HttpRequest) -> dict[str, str]:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        self.forms.append(form)
        return form

    def _par(self, request: HttpRequest) -> HttpResponse:
        if (refusal := self._authenticated(request)) is not None:
            return refusal
        self.pushed = self._form(request)
        return self.reply({"request_uri": "urn:pushed:1", "expires_in": 90}, 201)

    def _token(self, request: HttpRequest) -> HttpResponse:
        if (refusal := self._authenticated(request)) is not None:
            return refusal
        form = self._form(request)
        if form["grant_type"] == CODE:
            challenge = base64url.encode(hashlib.sha256(form["code_verifier"].encode()).digest())
            assert challenge == self.pushed["code_challenge"]
            assert (form["code"], form["redirect_uri"]) == ("the-code", self.pushed["redirect_uri"])
        elif form["grant_type"] == "refresh_token":
            return self._refreshed(form)
        else:
            return super()._token(request)
        return self.reply(self.token_response)

    def _refreshed(self, form: dict[str, str]) -> HttpResponse:
        if form["refresh_token"] != self.refresh_token:
            return self.reply({"error": "invalid_grant"}, 400)
        fresh = {**self.token_response, "access_token": "fresh"}
        del fresh["refresh_token"]
        if self.rotates:
            self.refresh_token += "+"
            fresh["refresh_token"] = self.refresh_token
        return self.reply(fresh)

    def _at_resource(self, request: HttpRequest) -> HttpResponse | None:
        scheme, _, token = request.headers["Authorization"].partition(" ")
        assert scheme == self.token_response["token_type"]
        if token in self.expired:
            return HttpResponse(401, {"www-authenticate": f'{scheme} error="invalid_token"'})
        if scheme == "DPoP":
            claims = claims_of(request.headers["DPoP"])
            assert claims["ath"] == base64url.encode(hashlib.sha256(token.encode()).digest())
            assert claims["htu"] == request.url
            if self.resource_nonce is not None and claims.get("nonce") != self.resource_nonce:
                challenge = 'DPoP error="use_dpop_nonce", algs="ES256"'
                return HttpResponse(401, {"www-authenticate": challenge, "dpop-nonce": self.resource_nonce})
        return None

    def _credential(self, request: HttpRequest) -> HttpResponse:
        if (refusal := self._at_resource(request)) is not None:
            return refusal
        if self.deferrals > 0:
            self.deferrals -= 1
            self.put_off = request
            return self.reply({"transaction_id": "t-1", "interval": self.interval}, 202)
        return self.issue(request)

    def issue(self, request: HttpRequest) -> HttpResponse:
        """The credentials for what was proven."""
        body = json.loads(request.body)
        name = body.get("credential_configuration_id") or body["credential_identifier"]
        proofs = body.get("proofs", {})
        keys = [proof for group in proofs.values() for proof in group]
        credentials = [{"credential": f"{name}-{number}"} for number in range(len(keys))]
        return self.reply({"credentials": credentials, "notification_id": f"n-{name}"})

    def _deferred(self, request: HttpRequest) -> HttpResponse:
        if (refusal := self._at_resource(request)) is not None:
            return refusal
        transaction_id = json.loads(request.body)["transaction_id"]
        if self.deferrals > 0:
            self.deferrals -= 1
            return self.reply({"transaction_id": transaction_id, "interval": self.interval}, 202)
        return self.issue_later()

    def issue_later(self) -> HttpResponse:
        """The credentials that were put off."""
        return self.reply({"credentials": [{"credential": "later-0"}]})
