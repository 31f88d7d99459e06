"""An issuer with its agencies, keys and people, for tests: invented, with keys made here (시험용)."""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi import FastAPI
from starlette.testclient import TestClient

from issuer.agencies.use_cases import credential_issuer_id, register_agency
from issuer.app import create_app
from issuer.dependencies import Issuer, build_issuer
from issuer.settings import IssuerSettings
from tests.simulators import run_flow
from tests.support.tables import migrate
from wallet_core.adapters.keystore import KeyStore, new_key_text
from wallet_core.http import HttpRequest, HttpResponse
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.jwk import thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.pending import IssuedCredentials, ProofsToSign
from wallet_core.protocols.openid4vci.wallet import receive_credentials, request_proofs, resolve_offer
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.certificates import (
    CertificateAuthority,
    create_ca,
    create_document_signer,
    create_issuer_certificate,
)
from wallet_core.types import AgencyId

NOW = datetime(2026, 11, 22, 3, 25, tzinfo=UTC)
HOST = "https://issuer.example"
LICENCE = "drivers-licence-sd-jwt"
SUBJECT = "subject-1"


class FixedClock:
    """Stands still until a test moves it."""

    def __init__(self, now: datetime = NOW) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def new_ca(now: datetime = NOW) -> CertificateAuthority:
    """An invented certification authority."""
    return create_ca(
        organization="시험용 인증기관",
        common_name="시험용 뿌리",
        contact="https://ca.example",
        private_key=ec.generate_private_key(ec.SECP256R1()),
        now=now,
        random=os.urandom,
    )


def issuer_anchors(ca: CertificateAuthority) -> TrustAnchors:
    """Trust in ``ca`` for credentials."""
    return TrustAnchors((TrustAnchor(ca.certificate, AnchorPurpose.CREDENTIAL_ISSUER),))


def add_signing_key(
    store: KeyStore,
    ca: CertificateAuthority,
    agency_id: str,
    *,
    public_url: str = HOST,
    now: datetime = NOW,
    curve: ec.EllipticCurve = ec.SECP256R1(),  # noqa: B008 - a value
) -> None:
    """Give an agency its key and certificate, as ``jigap keys new-issuer`` does."""
    key = ec.generate_private_key(curve)
    certificate = create_issuer_certificate(
        ca,
        issuer=credential_issuer_id(public_url, AgencyId(agency_id)),
        organization=f"시험용 {agency_id}",
        public_key=PublicKey(key.public_key()),
        now=now,
        random=os.urandom,
    )
    store.add(agency_id, key, [certificate.public_bytes(Encoding.DER)])


def add_document_signer(
    store: KeyStore, iaca: CertificateAuthority, agency_id: str, *, public_url: str = HOST, now: datetime = NOW
) -> None:
    """Give an agency what it signs mdocs with, as ``jigap keys new-document-signer`` does."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = create_document_signer(
        iaca,
        issuer=credential_issuer_id(public_url, AgencyId(agency_id)),
        organization=f"시험용 {agency_id}",
        public_key=PublicKey(key.public_key()),
        now=now,
        random=os.urandom,
    )
    store.add(f"{agency_id}.mdoc", key, [certificate.public_bytes(Encoding.DER)])


@dataclass
class IssuerUnderTest:
    """An issuer with two agencies, over ASGI."""

    issuer: Issuer
    app: FastAPI
    client: TestClient
    clock: FixedClock
    ca: CertificateAuthority
    api_keys: dict[str, str]
    requests: list[HttpRequest] = field(default_factory=list)

    def api(
        self, method: str, path: str, *, agency: str = "police", headers: dict[str, str] | None = None, **options: Any
    ) -> Any:
        """Call our own API as an agency."""
        authorization = {"Authorization": f"Bearer {self.api_keys[agency]}"}
        url = f"{HOST}/api/v1/agencies/{agency}{path}"
        return self.client.request(method, url, headers={**authorization, **(headers or {})}, **options)

    def offer(self, agency: str = "police", **members: Any) -> dict[str, Any]:
        """Create an offer and return the answer."""
        configuration = members.pop("configuration", LICENCE)
        body = {"credential_configuration_ids": [configuration], "tx_code": False, **members}
        if "subject_id" not in body and "claims" not in body:
            body["claims"] = {configuration: self.record(configuration)}
        answer = self.api("POST", "/offers", agency=agency, json=body)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def record(self, configuration: str = LICENCE) -> dict[str, Any]:
        """The invented record of the catalogue's example."""
        return self.issuer.catalogue.by_configuration(configuration).example_record

    def send(self, request: HttpRequest) -> HttpResponse:
        """Answer one request of a flow."""
        self.requests.append(request)
        assert urlsplit(request.url).hostname == urlsplit(HOST).hostname
        answer = self.client.request(request.method, request.url, headers=dict(request.headers), content=request.body)
        return HttpResponse(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content)

    def proofs(self, uri: str, keys: list[SoftwareSigner], tx_code: str | None = None) -> ProofsToSign:
        """Redeem an offer of one configuration."""
        resolved = run_flow(resolve_offer(uri), self.send)
        wanted = {resolved.offer.configuration_ids[0]: [key.public_key for key in keys]}
        return run_flow(request_proofs(resolved, wanted, tx_code=tx_code, now=self.clock.now()), self.send)

    def receive(self, pending: ProofsToSign, keys: list[SoftwareSigner]) -> IssuedCredentials | ProofsToSign:
        """Sign with ``keys`` and ask for the credentials."""
        signatures = sign_proofs(pending, keys)
        return run_flow(receive_credentials(pending, signatures, now=self.clock.now()), self.send)


def sign_proofs(pending: ProofsToSign, keys: list[SoftwareSigner]) -> list[bytes]:
    """Sign each proof with the key it names."""
    signers = {thumbprint(key.public_key): key for key in keys}
    return [signers[thumbprint(proof.key)].sign(proof.signing_input) for proof in pending.proofs]


def issuer_settings(folder: Path, database_url: str, *, public_url: str = HOST, **more: Any) -> IssuerSettings:
    """Settings of an issuer whose files lie in ``folder``."""
    key_file = folder / "sealing.key"
    if not key_file.exists():
        key_file.write_text(new_key_text())
    return IssuerSettings(
        public_url=public_url, database_url=database_url, key_store=folder / "keys", sealing_key_file=key_file, **more
    )


def start_issuer(
    folder: Path, database_url: str, agencies: tuple[str, ...] = ("police", "city-tax"), **more: Any
) -> IssuerUnderTest:
    """Build an issuer with registered agencies; ``more`` are further settings."""
    clock, ca = FixedClock(), new_ca()
    settings = issuer_settings(folder, database_url, **more)
    issuer = build_issuer(settings, clock=clock)
    migrate(issuer.database, "issuer")
    keys = {}
    for agency_id in agencies:
        add_signing_key(issuer.keys, ca, agency_id)
        unit = issuer.database.unit()
        registered = register_agency(
            unit,
            issuer.agencies(unit),
            issuer.api_keys(unit),
            issuer.keys,
            issuer.catalogue,
            AgencyId(agency_id),
            public_url=HOST,
            now=NOW,
        )
        keys[agency_id] = registered.api_key
    app = create_app(issuer)
    return IssuerUnderTest(issuer, app, TestClient(app, base_url=HOST), clock, ca, keys)
