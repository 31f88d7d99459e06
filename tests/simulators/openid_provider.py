"""An OpenID provider in memory. Each attribute is one way to misbehave; the defaults are an honest one. 시험용."""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.support.presentations import NOW
from wallet_core.http import HttpRequest, HttpResponse

ISSUER = "https://login.example"
CLIENT_ID = "jigap-issuer"
SECRET = "s3cret of tests/+"


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """A key made once: 2048 bits take a moment."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    """A key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def rsa_jwk(bits: int = 2048, **members: Any) -> dict[str, Any]:
    """The public key as the provider publishes it."""
    jwk = json.loads(RSAAlgorithm.to_jwk(rsa_key(bits).public_key()))
    return {**{name: jwk[name] for name in ("kty", "n", "e")}, "kid": "r1", "use": "sig", "alg": "RS256", **members}


def ec_jwk(**members: Any) -> dict[str, Any]:
    """The public key on P-256."""
    jwk = json.loads(ECAlgorithm.to_jwk(ec_key().public_key()))
    return {**{name: jwk[name] for name in ("kty", "crv", "x", "y")}, "kid": "e1", "use": "sig", **members}


@dataclass
class SimulatedProvider:
    """Serves metadata, keys, tokens and UserInfo, and logs in one person."""

    name: str | None = "한지우"
    birthdate: str | None = "1993-05-14"
    metadata: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    answer: dict[str, Any] = field(default_factory=dict)
    keys: Any = None
    signing_key: Any = None
    algorithm: str = "RS256"
    change_token: Callable[[str], str] | None = None
    userinfo: dict[str, Any] | None = None
    token_response: dict[str, Any] | None = None
    down: str = ""
    now: Callable[[], datetime] = lambda: NOW
    seen: list[HttpRequest] = field(default_factory=list)
    asked: dict[str, str] = field(default_factory=dict)
    redeemed: int = 0

    def document(self) -> dict[str, Any]:
        """Its metadata."""
        return {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
            "userinfo_endpoint": f"{ISSUER}/userinfo",
            "response_types_supported": ["code"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "claims_parameter_supported": True,
            **self.metadata,
        }

    def log_in(self, url: str) -> str:
        """The person logs in at ``url``; the address to which the provider sends the browser back."""
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        answer = {"code": "code-1", "state": self.asked["state"], "iss": ISSUER, **self.answer}
        kept = {name: value for name, value in answer.items() if value is not None}
        return f"{self.asked['redirect_uri']}?{urlencode(kept)}"

    def id_token(self) -> str:
        """The ID Token, misbehaviour included."""
        issued = int(self.now().timestamp())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "sub": "subject-1",
            "aud": CLIENT_ID,
            "iat": issued,
            "exp": issued + 300,
            "nonce": self.asked.get("nonce"),
        }
        if self.userinfo is None:
            claims |= self.person()
        claims = {name: value for name, value in {**claims, **self.claims}.items() if name not in self.without}
        header = {"kid": "r1" if self.algorithm.startswith(("RS", "PS")) else "e1", **self.header}
        key = self.signing_key or (rsa_key(2048) if self.algorithm.startswith(("RS", "PS")) else ec_key())
        kept = {name: value for name, value in header.items() if value is not None}
        token = jwt.encode(claims, key, algorithm=self.algorithm, headers=kept)
        return self.change_token(token) if self.change_token else token

    def person(self) -> dict[str, Any]:
        """What it says of the person."""
        said = {"name": self.name, "birthdate": self.birthdate}
        return {name: value for name, value in said.items() if value is not None}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        self.seen.append(request)
        path = urlsplit(request.url).path
        if self.down == path:
            return HttpResponse(503)
        match path:
            case "/.well-known/openid-configuration":
                return reply(self.document())
            case "/keys":
                return reply({"keys": [rsa_jwk(), ec_jwk()]} if self.keys is None else self.keys)
            case "/token":
                return self._token(request)
            case "/userinfo":
                assert request.headers["Authorization"] == "Bearer access-1"
                return reply({"sub": "subject-1", **self.person(), **(self.userinfo or {})})
        return HttpResponse(404)

    def _token(self, request: HttpRequest) -> HttpResponse:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        if not self._knows(request, form) or form["code"] != "code-1" or self.redeemed:
            return reply({"error": "invalid_grant"}, 400)
        if challenge.decode() != self.asked["code_challenge"] or form["redirect_uri"] != self.asked["redirect_uri"]:
            return reply({"error": "invalid_grant"}, 400)
        self.redeemed += 1
        if self.token_response is not None:
            return reply(self.token_response)
        return reply({"access_token": "access-1", "token_type": "Bearer", "id_token": self.id_token()})

    def _knows(self, request: HttpRequest, form: dict[str, str]) -> bool:
        if "client_assertion" in form:
            self.assertion = form["client_assertion"]
            return True
        if "client_secret" in form:
            return (form["client_id"], form["client_secret"]) == (CLIENT_ID, SECRET)
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        name, _, secret = base64.b64decode(credentials).decode().partition(":")
        return (scheme, unquote_plus(name), unquote_plus(secret)) == ("Basic", CLIENT_ID, SECRET)


def reply(body: Any, status: int = 200) -> HttpResponse:
    """A JSON answer."""
    return HttpResponse(status, {"content-type": "application/json"}, json.dumps(body).encode())
