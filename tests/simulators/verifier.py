"""A Verifier in memory. Each attribute is one way to misbehave; the defaults are an honest one."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.presentations import NOW, REQUEST_URI, RESPONSE_URI, World
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.jose import jws
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp.request import AuthorizationRequest
from wallet_core.protocols.openid4vp.response import EncryptedResponse, decrypt_response, parse_posted_response
from wallet_core.trust.x509 import format_x5c

ACCEPTED = HttpResponse(200, {"content-type": "application/json"}, b'{"redirect_uri":"https://verifier.example/back"}')


@dataclass
class SimulatedVerifier:
    """Serves one request and takes its answer; what it was sent is kept in ``seen``."""

    world: World
    request: AuthorizationRequest
    content_type: str = "application/oauth-authz-req+jwt"
    status: int = 200
    header: dict[str, Any] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    chain: tuple[bytes, ...] | None = None
    signer: SoftwareSigner | None = None
    echo_wallet_nonce: bool = True
    change_token: Callable[[str], str] | None = None
    answer: HttpResponse = ACCEPTED
    seen: list[HttpRequest] = field(default_factory=list)

    @property
    def link(self) -> str:
        """What the QR code says."""
        return f"openid4vp://?client_id={self.request.client_id.full}&request_uri={REQUEST_URI}"

    def token(self, wallet_nonce: str | None = None) -> str:
        """The Request Object, misbehaviour included."""
        claims = {**self.request.to_json(), "aud": "https://self-issued.me/v2", "iat": int(NOW.timestamp())}
        if wallet_nonce is not None and self.echo_wallet_nonce:
            claims["wallet_nonce"] = wallet_nonce
        claims = {name: value for name, value in {**claims, **self.claims}.items() if name not in self.without}
        chain = self.world.verifier_chain if self.chain is None else self.chain
        header = {"typ": "oauth-authz-req+jwt", "x5c": format_x5c(chain), **self.header}
        header = {name: value for name, value in header.items() if value is not None}
        token = jws.sign(header, claims, self.signer or self.world.verifier_signer)
        return self.change_token(token) if self.change_token else token

    def respond(self, request: HttpRequest) -> HttpResponse:
        """Answer one request of the wallet."""
        self.seen.append(request)
        if request.url == RESPONSE_URI:
            return self.answer
        assert urlsplit(request.url).path == urlsplit(REQUEST_URI).path
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        body = self.token(form.get("wallet_nonce")).encode()
        return HttpResponse(self.status, {"content-type": self.content_type}, body)

    def run(self, flow: Any) -> Any:
        """Drive a flow against this verifier."""
        try:
            request = next(flow)
            while True:
                request = flow.send(self.respond(request))
        except StopIteration as stop:
            return stop.value

    def received(self) -> Any:
        """The answer that came, decrypted."""
        posted = parse_posted_response("application/x-www-form-urlencoded", self.seen[-1].body)
        if isinstance(posted, EncryptedResponse):
            return decrypt_response(posted, {"enc-1": self.world.encryption_key})
        return posted


def refusal(status: int, error: str) -> HttpResponse:
    """An answer that refuses."""
    return HttpResponse(status, {"content-type": "application/json"}, json.dumps({"error": error}).encode())
