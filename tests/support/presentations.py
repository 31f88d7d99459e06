"""A Verifier, an agency and a holder for tests of presentations: invented, with keys made here (시험용)."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from wallet_core.formats.sd_jwt.holder import HeldSdJwt, index_sd_jwt
from wallet_core.formats.sd_jwt.vc import issue_sd_jwt_vc
from wallet_core.keys.jwk import public_jwk
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix, create_client_id
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.request import AuthorizationRequest, ResponseEncryption
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.certificates import (
    CertificateAuthority,
    create_ca,
    create_issuer_certificate,
    create_verifier_certificate,
)

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
AGENCY = "https://issuer.example/agencies/police"
VCT = "urn:jigap:vct:drivers-licence:1"
HOST = "https://verifier.example"
RESPONSE_URI = f"{HOST}/openid4vp/responses/request-1"
REQUEST_URI = f"{HOST}/openid4vp/requests/request-1"
CLAIMS: dict[str, Any] = {
    "name": "홍시험",
    "age_over_19": True,
    "address": {"region": "제주특별자치도", "street": "시험로 1"},
    "classes": ["1종 보통", "2종 소형"],
    "licence_no": "11-00-000000-00",
    "country": "KR",
}
HIDEABLE: list[tuple[Any, ...]] = [
    ("name",),
    ("age_over_19",),
    ("address",),
    ("address", "region"),
    ("address", "street"),
    ("classes", None),
    ("licence_no",),
]


def query(*claims: Any, **members: Any) -> dict[str, Any]:
    """A DCQL query for one licence; each claim is a path or a whole Claims Query."""
    credential = {"id": "licence", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, **members}
    if claims:
        credential["claims"] = [claim if isinstance(claim, dict) else {"path": list(claim)} for claim in claims]
    return {"credentials": [credential]}


def new_ca(name: str = "시험용 인증기관", now: datetime = NOW) -> CertificateAuthority:
    """A CA of its own."""
    return create_ca(
        organization=name,
        common_name=name,
        contact="https://ca.example",
        private_key=ec.generate_private_key(ec.SECP256R1()),
        now=now - timedelta(days=2),
        random=secrets.token_bytes,
    )


def der(certificate: Any) -> bytes:
    """DER form of a certificate."""
    encoded: bytes = certificate.public_bytes(Encoding.DER)
    return encoded


@dataclass
class Agency:
    """Signs credentials. ``issuer`` and the CA can be other ones than honest."""

    ca: CertificateAuthority
    issuer: str = AGENCY
    name: str = "시험경찰청 (시험용)"
    signer: SoftwareSigner = field(default_factory=SoftwareSigner.generate)
    now: datetime = NOW

    def chain(self) -> tuple[bytes, ...]:
        """Its certificate."""
        certificate = create_issuer_certificate(
            self.ca,
            issuer=self.issuer,  # type: ignore[arg-type]
            organization=self.name,
            public_key=self.signer.public_key,
            now=self.now - timedelta(days=1),
            random=secrets.token_bytes,
        )
        return (der(certificate),)

    def issue(self, holder: SoftwareSigner | None, claims: dict[str, Any] | None = None, **changes: Any) -> str:
        """A licence."""
        arguments: dict[str, Any] = {
            "vct": VCT,
            "issuer": self.issuer,
            "claims": CLAIMS if claims is None else claims,
            "selectively_disclosable": [path for path in HIDEABLE if claims is None or path[0] in claims],
            "holder_key": holder.public_key if holder else None,
            "issued_at": self.now - timedelta(hours=1),
            "expires_at": self.now + timedelta(days=365),
            "signer": self.signer,
            "x5c": self.chain(),
            "random": secrets.token_bytes,
            **changes,
        }
        return issue_sd_jwt_vc(**arguments)


@dataclass
class World:
    """Everyone who takes part in a test."""

    issuer_ca: CertificateAuthority
    verifier_ca: CertificateAuthority
    agency: Agency
    verifier_signer: SoftwareSigner
    verifier_chain: tuple[bytes, ...]
    holder: SoftwareSigner
    encryption_key: ec.EllipticCurvePrivateKey
    more_anchors: tuple[TrustAnchor, ...] = ()

    @property
    def anchors(self) -> TrustAnchors:
        """Both CAs, each for its own purpose, and what a test adds."""
        return TrustAnchors(
            [
                TrustAnchor(self.issuer_ca.certificate, AnchorPurpose.CREDENTIAL_ISSUER),
                TrustAnchor(self.verifier_ca.certificate, AnchorPurpose.VERIFIER_ACCESS),
                *self.more_anchors,
            ]
        )

    @property
    def encryption(self) -> ResponseEncryption:
        """The verifier's key for answers."""
        from wallet_core.keys.algorithms import PublicKey

        jwk = public_jwk(PublicKey(self.encryption_key.public_key()))
        return ResponseEncryption({**jwk, "kid": "enc-1", "use": "enc", "alg": "ECDH-ES"}, ("A128GCM", "A256GCM"))

    def held(self, **changes: Any) -> HeldSdJwt:
        """The holder's licence."""
        return index_sd_jwt(self.agency.issue(self.holder, **changes))

    def request(
        self,
        dcql: dict[str, Any] | None = None,
        *,
        prefix: ClientIdPrefix = ClientIdPrefix.X509_HASH,
        encrypted: bool = True,
        state: str | None = "request-1",
    ) -> AuthorizationRequest:
        """A request of the verifier."""
        return AuthorizationRequest(
            client_id=create_client_id(prefix, leaf=self.verifier_chain[0], response_uri=RESPONSE_URI),
            response_uri=RESPONSE_URI,
            nonce="n-0123456789abcdef0123",  # type: ignore[arg-type]
            dcql_query=parse_dcql_query(dcql or query(("name",), ("age_over_19",))),
            state=state,
            encryption=self.encryption if encrypted else None,
        )


def new_world(now: datetime = NOW, response_uri: str = RESPONSE_URI) -> World:
    """Fresh keys and certificates for everyone."""
    issuer_ca, verifier_ca = new_ca("시험용 발급 인증기관", now), new_ca("시험용 검증 인증기관", now)
    verifier = SoftwareSigner.generate()
    certificate = create_verifier_certificate(
        verifier_ca,
        response_uri=response_uri,
        organization="바람렌터카 (시험용)",
        public_key=verifier.public_key,
        now=now - timedelta(days=1),
        random=secrets.token_bytes,
    )
    return World(
        issuer_ca,
        verifier_ca,
        Agency(issuer_ca, now=now),
        verifier,
        (der(certificate),),
        SoftwareSigner.generate(),
        ec.generate_private_key(ec.SECP256R1()),
    )


@lru_cache(maxsize=1)
def world() -> World:
    """One world for tests that change nothing in it."""
    return new_world()
