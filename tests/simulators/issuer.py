"""A Credential Issuer in memory. Each attribute is one way to misbehave; the defaults are an honest issuer."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from wallet_core.http import HttpRequest, HttpResponse

ISSUER = "https://issuer.example/agencies/police"
NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
GRANT = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
PATH = "/agencies/police"


def configuration(vct: str) -> dict[str, Any]:
    """One entry of ``credential_configurations_supported``."""
    return {
        "format": "dc+sd-jwt",
        "vct": vct,
        "scope": vct,
        "cryptographic_binding_methods_supported": ["jwk"],
        "proof_types_supported": {"jwt": {"proof_signing_alg_values_supported": ["ES256"]}},
        "credential_metadata": {"display": [{"name": "시험용", "locale": "ko"}], "claims": [{"path": ["name"]}]},
    }


def metadata() -> dict[str, Any]:
    """Honest Credential Issuer metadata."""
    return {
        "credential_issuer": ISSUER,
        "credential_endpoint": f"{ISSUER}/credential",
        "nonce_endpoint": f"{ISSUER}/nonce",
        "notification_endpoint": f"{ISSUER}/notification",
        "batch_credential_issuance": {"batch_size": 3},
        "credential_configurations_supported": {"licence": configuration("licence"), "record": configuration("record")},
        "unknown_member": {"ignored": True},
    }


def server_metadata() -> dict[str, Any]:
    """Honest Authorization Server metadata."""
    return {
        "issuer": ISSUER,
        "token_endpoint": f"{ISSUER}/oauth/token",
        "grant_types_supported": [GRANT],
        "pre-authorized_grant_anonymous_access_supported": True,
    }


def offer() -> dict[str, Any]:
    """An honest offer of both configurations."""
    return {
        "credential_issuer": ISSUER,
        "credential_configuration_ids": ["licence", "record"],
        "grants": {GRANT: {"pre-authorized_code": "the-code", "tx_code": {"length": 6}}, "other": {"ignored": 1}},
        "unknown_member": "ignored",
    }


@dataclass
class SimulatedIssuer:
    """Answers requests, and keeps them in ``seen``."""

    metadata: Any = field(default_factory=metadata)
    server: Any = field(default_factory=server_metadata)
    offer: Any = field(default_factory=offer)
    tx_code: str = "123456"
    token_response: Any = field(
        default_factory=lambda: {"access_token": "token", "token_type": "bearer", "expires_in": 300, "x": 1}
    )
    nonces: list[str] = field(default_factory=lambda: ["nonce-1", "nonce-2", "nonce-3"])
    good_nonces: set[str] = field(default_factory=lambda: {"nonce-1", "nonce-2", "nonce-3"})
    metadata_at: str = "/.well-known/openid-credential-issuer/agencies/police"
    server_at: str = "/.well-known/oauth-authorization-server/agencies/police"
    refuse: dict[str, HttpResponse] = field(default_factory=dict)
    extra_credentials: int = 0
    content_type: str = "application/json"
    seen: list[HttpRequest] = field(default_factory=list)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request."""
        self.seen.append(request)
        path = urlsplit(request.url).path
        if path in self.refuse:
            return self.refuse[path]
        documents = {self.metadata_at: self.metadata, self.server_at: self.server, "/offer": self.offer}
        if request.method == "GET":
            return self.reply(documents[path]) if path in documents else self.reply({"error": "not_found"}, 404)
        endpoint = {
            f"{PATH}/oauth/token": self._token,
            f"{PATH}/nonce": self._nonce,
            f"{PATH}/credential": self._credential,
            f"{PATH}/notification": lambda _: HttpResponse(204),
        }[path]
        return endpoint(request)

    def reply(self, body: Any, status: int = 200) -> HttpResponse:
        """A JSON answer."""
        return HttpResponse(status, {"content-type": self.content_type}, json.dumps(body).encode())

    def _token(self, request: HttpRequest) -> HttpResponse:
        form = parse_qs(request.body.decode())
        if form.get("tx_code") != [self.tx_code]:
            return self.reply({"error": "invalid_grant", "error_description": "wrong"}, 400)
        return self.reply(self.token_response)

    def _nonce(self, request: HttpRequest) -> HttpResponse:
        assert request.body == b""
        return self.reply({"c_nonce": self.nonces.pop(0)})

    def _credential(self, request: HttpRequest) -> HttpResponse:
        assert request.headers["Authorization"] == "Bearer token"
        body = json.loads(request.body)
        name = body.get("credential_configuration_id") or body["credential_identifier"]
        proofs = body.get("proofs", {}).get("jwt", [])
        if any(json.loads(_decode(proof.split(".")[1]))["nonce"] not in self.good_nonces for proof in proofs):
            return self.reply({"error": "invalid_nonce"}, 400)
        count = len(proofs) + self.extra_credentials
        credentials = [{"credential": f"{name}-{number}"} for number in range(count)]
        return self.reply({"credentials": credentials, "notification_id": f"n-{name}", "unknown": 0})


def _decode(part: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
