"""A verifier with its relying parties, and a holder with a card, for tests: invented, with keys made here (시험용)."""

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.simulators import run_flow
from tests.support.issuing import FixedClock
from tests.support.presentations import NOW, World, new_world
from tests.support.tables import migrate
from tests.support.transactions import transaction_types
from verifier.app import create_app
from verifier.dependencies import Verifier, build_verifier
from verifier.relying_parties.ports import PartyId, RelyingParty
from verifier.relying_parties.use_cases import register_party
from verifier.settings import VerifierSettings
from wallet_core.adapters.config import load_catalogue
from wallet_core.adapters.keystore import KeyStore, new_key_text
from wallet_core.catalogue import Catalogue, Text
from wallet_core.formats.sd_jwt.holder import HeldSdJwt
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.keys.algorithms import PublicKey
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.candidates import sd_jwt_candidate
from wallet_core.protocols.openid4vp.matching import approve, match
from wallet_core.protocols.openid4vp.pending import PresentationToSign, ResolvedRequest, Sent
from wallet_core.protocols.openid4vp.response import create_response
from wallet_core.trust.anchors import format_trust_anchors
from wallet_core.trust.certificates import CertificateAuthority, create_verifier_certificate

HOST = "https://verifier.example"
PARTY = "baram-rental"
BACK = "https://shop.example/back"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def add_access_key(
    store: KeyStore,
    ca: CertificateAuthority,
    party_id: str,
    *,
    public_url: str = HOST,
    now: Any = NOW,
    organization_id: str | None = None,
) -> None:
    """Give a relying party its key and certificate, as ``jigap keys new-verifier`` does."""
    import os

    key = ec.generate_private_key(ec.SECP256R1())
    certificate = create_verifier_certificate(
        ca,
        response_uri=public_url,
        organization=f"시험용 {party_id}",
        public_key=PublicKey(key.public_key()),
        now=now - timedelta(days=1),
        random=os.urandom,
        organization_id=organization_id,
    )
    store.add(party_id, key, [certificate.public_bytes(Encoding.DER)])


@dataclass
class VerifierUnderTest:
    """A verifier with two relying parties over ASGI, and a wallet with one licence."""

    verifier: Verifier
    app: FastAPI
    client: TestClient
    clock: FixedClock
    world: World
    api_keys: dict[str, str]
    held: HeldSdJwt
    sent: list[HttpRequest] = field(default_factory=list)

    def api(
        self, method: str, path: str = "", *, party: str = PARTY, headers: dict[str, str] | None = None, **options: Any
    ) -> Any:
        """Call our own API as a relying party."""
        authorization = {"Authorization": f"Bearer {self.api_keys[party]}"}
        url = f"{self.verifier.settings.public_url}/api/v1/presentations{path}"
        return self.client.request(method, url, headers={**authorization, **(headers or {})}, **options)

    def ask(self, *claims: Any, party: str = PARTY, **members: Any) -> dict[str, Any]:
        """Make a request and return the answer."""
        from tests.support.presentations import query

        body = dict(members)
        if "policy" not in body and "dcql_query" not in body:
            body["dcql_query"] = query(*(claims or [("name",), ("age_over_19",)]))
        answer = self.api("POST", party=party, json=body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def result(self, presentation_id: str, party: str = PARTY) -> dict[str, Any]:
        """What became of a presentation."""
        answer = self.api("GET", f"/{presentation_id}", party=party)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def send(self, request: HttpRequest) -> HttpResponse:
        """Answer one request of a flow."""
        self.sent.append(request)
        assert urlsplit(request.url).netloc == urlsplit(self.verifier.settings.public_url).netloc
        answer = self.client.request(request.method, request.url, headers=dict(request.headers), content=request.body)
        return HttpResponse(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content)

    def resolve(self, link: str) -> ResolvedRequest:
        """Fetch and verify a request, as the wallet does."""
        return run_flow(
            wallet.resolve_request(
                link,
                anchors=self.world.anchors,
                now=self.clock.now(),
                wallet_nonce="w-nonce",
                transaction_types=transaction_types(),
            ),
            self.send,
        )

    def prepare(self, resolved: ResolvedRequest, held: HeldSdJwt | None = None) -> PresentationToSign:
        """What the holder agreed to, not yet signed."""
        card = held or self.held
        approved = approve(match(resolved.request.dcql_query, [sd_jwt_candidate("card", card)]))
        return wallet.create_presentation(
            resolved, approved, {"card": card}, now=self.clock.now(), transaction_types=transaction_types()
        )

    def present(self, link: str, held: HeldSdJwt | None = None) -> Sent:
        """Resolve, agree, sign and send."""
        pending = self.prepare(self.resolve(link), held)
        return run_flow(wallet.send_response(pending, self.sign(pending)), self.send)

    def sign(self, pending: PresentationToSign) -> list[bytes]:
        """Sign with the holder's key."""
        return [self.world.holder.sign(item.signing_input) for item in pending.to_sign if item.signing_input]

    def vp_token(self, pending: PresentationToSign) -> dict[str, list[str]]:
        """The signed VP Token, to be changed before it is sent."""
        from wallet_core.jose.jws import attach_signature

        signatures = self.sign(pending)
        return {
            item.query_id: [item.sd_jwt + attach_signature(item.signing_input or b"", signature)]
            for item, signature in zip(pending.to_sign, signatures, strict=True)
        }

    def post(self, resolved: ResolvedRequest, vp_token: Any, **fields: str) -> Any:
        """Post an answer without the wallet's own checks."""
        return self.client.post(
            resolved.request.response_uri, data={**create_response(resolved.request, vp_token), **fields}
        )


def response_code(redirect_uri: str | None) -> str:
    """The code in the address that the wallet opens."""
    parts = urlsplit(redirect_uri or "")
    return parse_qs(parts.query or parts.fragment)["response_code"][0]


def verifier_settings(folder: Path, database_url: str, world: World, **more: Any) -> VerifierSettings:
    """Settings of a verifier whose files lie in ``folder``."""
    key_file, anchors = folder / "sealing.key", folder / "anchors.pem"
    if not key_file.exists():
        key_file.write_text(new_key_text())
        anchors.write_text(format_trust_anchors(world.anchors))
    return VerifierSettings(
        **{
            "public_url": HOST,
            "database_url": database_url,
            "key_store": folder / "keys",
            "sealing_key_file": key_file,
            "trust_anchors": (anchors,),
            **more,
        }
    )


def register(verifier: Verifier, party_id: str, **names: str) -> str:
    """Register a relying party and return its API key."""
    unit = verifier.database.unit()
    return register_party(
        unit,
        verifier.parties(unit),
        verifier.api_keys(unit),
        verifier.keys,
        RelyingParty(PartyId(party_id), Text(names.get("ko", f"시험용 {party_id}"), f"{party_id} (test)")),
        anchors=verifier.anchors,
        public_url=verifier.settings.public_url,
        now=verifier.clock.now(),
    ).api_key


@cache
def catalogue() -> Catalogue:
    """The shipped catalogue, read once."""
    return load_catalogue()


def start_verifier(
    folder: Path,
    database_url: str,
    parties: tuple[str, ...] = (PARTY, "dodam-bank"),
    world: World | None = None,
    **more: Any,
) -> Any:
    """Build a verifier with registered relying parties. ``more``: further settings."""
    clock, world = FixedClock(NOW), world or new_world()
    settings = verifier_settings(folder, database_url, world, **more)
    verifier = build_verifier(settings, clock=clock, catalogue=catalogue())
    migrate(verifier.database, "verifier")
    keys = {}
    for party_id in parties:
        add_access_key(verifier.keys, world.verifier_ca, party_id, public_url=settings.public_url)
        keys[party_id] = register(verifier, party_id)
    app = create_app(verifier)
    client = TestClient(app, base_url=settings.public_url, follow_redirects=False)
    return VerifierUnderTest(verifier, app, client, clock, world, keys, world.held())
