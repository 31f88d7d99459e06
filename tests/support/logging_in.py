"""An issuer at which people log in by showing a card of another agency: invented, with keys made here (시험용)."""

import os
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from starlette.testclient import TestClient

from issuer.app import create_app
from issuer.dependencies import build_issuer
from issuer.login.presentation.ports import LoginRequestStorage, PresentationLoginPorts
from issuer.login.presentation.repository import SqlLoginRequests
from tests.simulators import run_flow
from tests.support.issuing import (
    HOST,
    LICENCE,
    NOW,
    IssuerUnderTest,
    add_document_signer,
    issuer_settings,
    start_issuer,
)
from tests.support.mdoc_presentations import new_iaca
from tests.support.presentations import der
from wallet_core.adapters.keystore import KeyStore
from wallet_core.encoding import base64url
from wallet_core.errors import FetchError, PeerRefusal
from wallet_core.formats.mdoc.holder import index_mdoc
from wallet_core.formats.sd_jwt.holder import index_sd_jwt
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp import wallet
from wallet_core.protocols.openid4vp.candidates import HeldCredential, candidate_of
from wallet_core.protocols.openid4vp.matching import approve, match
from wallet_core.protocols.openid4vp.pending import PresentationToSign, ResolvedRequest, Sent
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors, format_trust_anchors
from wallet_core.trust.certificates import CertificateAuthority, create_verifier_certificate

LOGIN_KEY = "login"
MDOC = "drivers-licence-mdoc"


def add_login_key(store: KeyStore, ca: CertificateAuthority, *, public_url: str = HOST, now: Any = NOW) -> None:
    """Give the issuer its access key, as ``jigap keys new-verifier`` does."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = create_verifier_certificate(
        ca,
        response_uri=public_url,
        organization="시험용 발급기관 로그인",
        public_key=PublicKey(key.public_key()),
        now=now - timedelta(hours=1),
        random=os.urandom,
    )
    store.add(LOGIN_KEY, key, [der(certificate)])


@dataclass
class CardLogin:
    """The issuer, its network, and the wallet of one person."""

    under_test: IssuerUnderTest
    anchors: TrustAnchors
    holder: SoftwareSigner
    down: bool = False
    asked: list[str] = field(default_factory=list)
    others: dict[str | None, Any] = field(default_factory=dict)

    @property
    def ports(self) -> PresentationLoginPorts:
        """What the use cases of this login need."""
        found = self.under_test.issuer.presentation_login
        assert found is not None
        return found

    async def arun(self, flow: Any) -> Any:
        """The issuer's network leads back to itself: the list of the police lies there too."""
        try:
            request = next(flow)
            while True:
                try:
                    answer = self.answer(request)
                except FetchError as error:
                    request = flow.throw(error)
                else:
                    request = flow.send(answer)
        except StopIteration as stop:
            return stop.value

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Serve what the issuer fetches."""
        self.asked.append(request.url)
        if self.down:
            raise FetchError("the other server could not be reached")
        other = self.others.get(urlsplit(request.url).hostname)
        found: HttpResponse = other(request) if other else self.under_test.send(request)
        return found

    def licence(self, configuration: str = LICENCE, **record: Any) -> HeldCredential:
        """A licence that the police issue to this person's key; ``record`` is different from the example."""
        claims = {configuration: {**self.under_test.record(configuration), **record}}
        offer = self.under_test.offer(configuration=configuration, claims=claims)
        pending = self.under_test.proofs(offer["uri"], [self.holder])
        (batch,) = self.under_test.receive(pending, [self.holder]).batches  # type: ignore[union-attr]
        (text,) = batch.credentials
        return index_mdoc(base64url.decode(text)) if configuration == MDOC else index_sd_jwt(text)

    def set_status(self, status: str) -> None:
        """The police withdraw the licence issued last."""
        (issued,) = self.under_test.api("GET", "/credentials").json()["credentials"][-1:]
        answer = self.under_test.api("POST", f"/credentials/{issued['credential_id']}/status", json={"status": status})
        assert answer.status_code == 200, answer.text

    def resolve(self, link: str) -> ResolvedRequest:
        """Fetch and verify a request, as the wallet does."""
        flow = wallet.resolve_request(
            link, anchors=self.anchors, now=self.under_test.clock.now(), wallet_nonce="w-nonce-0123456789"
        )
        return run_flow(flow, self.under_test.send)

    def prepare(self, resolved: ResolvedRequest, *cards: HeldCredential) -> PresentationToSign:
        """What the person agreed to, not yet signed."""
        held = {f"card-{number}": card for number, card in enumerate(cards)}
        approved = approve(match(resolved.request.dcql_query, [candidate_of(*each) for each in held.items()]))
        return wallet.create_presentation(resolved, approved, held, now=self.under_test.clock.now())

    def send(self, pending: PresentationToSign) -> Sent:
        """Sign and send."""
        signatures = [self.holder.sign(item.signing_input) for item in pending.to_sign if item.signing_input]
        return run_flow(wallet.send_response(pending, signatures), self.under_test.send)

    def present(self, link: str, *cards: HeldCredential) -> str:
        """Resolve, agree, sign and send; where the wallet opens the browser."""
        sent = self.send(self.prepare(self.resolve(link), *cards))
        assert sent.redirect_uri is not None
        return sent.redirect_uri

    def vp_token(self, pending: PresentationToSign) -> dict[str, list[str]]:
        """The signed VP Token, to be sent elsewhere than it should."""
        return {item.query_id: [item.attach(self.holder.sign(item.signing_input or b""))] for item in pending.items}

    def storage(self, unit: Any) -> LoginRequestStorage:
        """Requests of ``unit``, as the durable jobs have them."""
        return LoginRequestStorage(unit, SqlLoginRequests(unit, self.under_test.issuer.sealer))

    def refused_to_fetch(self, link: str) -> PeerRefusal:
        """Fetch a request that is not served any more."""
        try:
            self.resolve(link)
        except PeerRefusal as refusal:
            return refusal
        raise AssertionError("the issuer served it")

    def refused(self, link: str, *cards: HeldCredential) -> PeerRefusal:
        """The same, refused by the issuer."""
        try:
            self.present(link, *cards)
        except PeerRefusal as refusal:
            return refusal
        raise AssertionError("the issuer accepted it")


def start_login_issuer(folder: Path, database_url: str, **more: Any) -> CardLogin:
    """Build an issuer that trusts the licences of its own police at every agency's login."""
    first = start_issuer(folder, database_url)
    iaca, access_ca = new_iaca(now=NOW), first.ca
    add_document_signer(first.issuer.keys, iaca, "police")
    add_login_key(first.issuer.keys, access_ca)
    anchors = TrustAnchors(
        [
            TrustAnchor(first.ca.certificate, AnchorPurpose.CREDENTIAL_ISSUER),
            TrustAnchor(access_ca.certificate, AnchorPurpose.VERIFIER_ACCESS),
            TrustAnchor(iaca.certificate, AnchorPurpose.MDL_ISSUER),
        ]
    )
    (folder / "anchors.pem").write_text(format_trust_anchors(anchors), encoding="utf-8")
    first.issuer.database.close()
    settings = issuer_settings(
        folder, database_url, **{"login_key": LOGIN_KEY, "trust_anchors": (folder / "anchors.pem",), **more}
    )
    login = CardLogin(first, anchors, SoftwareSigner.generate())
    issuer = replace(build_issuer(settings, clock=first.clock), http=login)
    app = create_app(issuer)
    client = TestClient(app, base_url=HOST, follow_redirects=False)
    login.under_test = replace(first, issuer=issuer, app=app, client=client)
    return login


def path_of(url: str) -> str:
    """Path and query of an address."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
