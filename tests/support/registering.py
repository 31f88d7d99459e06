"""A registrar and an attester of verifiers, and verifiers that both know: invented, with keys made here (시험용)."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from tests.support.presentations import NOW, RESPONSE_URI, VCT, der, new_ca, query
from wallet_core import spec_versions as spec
from wallet_core.encoding import base64url
from wallet_core.jose import jws
from wallet_core.keys.signer import CertifiedSigner, SoftwareSigner
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix, create_client_id
from wallet_core.protocols.openid4vp.dcql import parse_dcql_query
from wallet_core.protocols.openid4vp.request import AuthorizationRequest
from wallet_core.protocols.openid4vp.verifier_attestation import create_verifier_attestation
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.certificates import (
    CertificateAuthority,
    create_operator_certificate,
    create_verifier_certificate,
)
from wallet_core.trust.profiles import CertificateRole
from wallet_core.types import Nonce

REGISTRAR = "https://registrar.example"
ATTESTER = "https://attester.example"
PARTY_ID = "NTRKR-110111-0000001"
OTHER_ID = "NTRKR-110111-0000002"


def signer_below(
    ca: CertificateAuthority, role: CertificateRole, operator: str, now: datetime = NOW
) -> CertifiedSigner:
    """A key with a certificate of that role below ``ca``."""
    key = SoftwareSigner.generate()
    certificate = create_operator_certificate(
        ca,
        role,
        operator=operator,
        organization="시험용 등록기관",
        public_key=key.public_key,
        now=now - timedelta(days=1),
        random=secrets.token_bytes,
    )
    return CertifiedSigner(key, (der(certificate),))


def registration_claims(
    *claims: tuple[str, ...], identifier: str = PARTY_ID, now: datetime = NOW, **changes: Any
) -> dict[str, Any]:
    """The payload of a good registration certificate; ... takes a member out."""
    asked = claims or (("name",), ("age_over_19",))
    good: dict[str, Any] = {
        "sub": identifier,
        "name": "가온편의점 (시험용)",
        "name#en": "Gaon Store (test)",
        "purpose": [
            {"lang": "ko", "value": "술을 팔 때 나이를 확인해요."},
            {"lang": "en-GB", "value": "To check ages."},
        ],
        "credentials": [
            {
                "format": spec.FORMAT_SD_JWT_VC,
                "meta": {"vct_values": [VCT]},
                "claim": [{"path": [*path]} for path in asked],
            }
        ],
        "jigap_retention": {
            "days": 0,
            "text": [{"lang": "ko", "value": "보관하지 않아요."}, {"lang": "en", "value": "Not kept."}],
        },
        "privacy_policy": "https://gaon.example/privacy",
        "support_uri": "https://gaon.example/help",
        "iat": int((now - timedelta(days=30)).timestamp()),
        "exp": int((now + timedelta(days=30)).timestamp()),
        **changes,
    }
    return {name: value for name, value in good.items() if value is not ...}


def info(token: Any, **members: Any) -> dict[str, Any]:
    """One entry of ``verifier_info``."""
    return {"format": spec.VERIFIER_INFO_REGISTRATION, "data": token, **members}


@dataclass
class Register:
    """Those who say who asks, and one verifier that both know."""

    access_ca: CertificateAuthority = field(default_factory=lambda: new_ca("시험용 접근 인증기관"))
    registrar_ca: CertificateAuthority = field(default_factory=lambda: new_ca("시험용 등록 인증기관"))
    attester_ca: CertificateAuthority = field(default_factory=lambda: new_ca("시험용 보증 인증기관"))
    verifier: CertifiedSigner = field(init=False)
    registrar: CertifiedSigner = field(init=False)
    attester: CertifiedSigner = field(init=False)

    def __post_init__(self) -> None:
        self.verifier = self.access(PARTY_ID)
        self.registrar = signer_below(self.registrar_ca, CertificateRole.REGISTRAR, REGISTRAR)
        self.attester = signer_below(self.attester_ca, CertificateRole.VERIFIER_ATTESTER, ATTESTER)

    @property
    def anchors(self) -> TrustAnchors:
        """Each CA for its own purpose."""
        return TrustAnchors(
            [
                TrustAnchor(self.access_ca.certificate, AnchorPurpose.VERIFIER_ACCESS),
                TrustAnchor(self.registrar_ca.certificate, AnchorPurpose.REGISTRAR),
                TrustAnchor(self.attester_ca.certificate, AnchorPurpose.VERIFIER_ATTESTER),
            ]
        )

    def access(self, identifier: str | None, organization: str = "가온편의점 (시험용)") -> CertifiedSigner:
        """An access key of a verifier with that registered number and name."""
        key = SoftwareSigner.generate()
        certificate = create_verifier_certificate(
            self.access_ca,
            response_uri=RESPONSE_URI,
            organization=organization,
            public_key=key.public_key,
            now=NOW - timedelta(days=1),
            random=secrets.token_bytes,
            organization_id=identifier,
        )
        return CertifiedSigner(key, (der(certificate),))

    def registration(
        self, claims: dict[str, Any] | None = None, *, by: CertifiedSigner | None = None, **header: Any
    ) -> str:
        """A registration certificate, signed as the arguments say."""
        import base64

        registrar = by or self.registrar
        chain = [base64.b64encode(one).decode() for one in registrar.chain]
        members = {"typ": spec.TYP_REGISTRATION, "x5c": chain, **header}
        return jws.sign(members, claims or registration_claims(), registrar.signer)

    def attestation(self, *, by: CertifiedSigner | None = None, typ: str | None = None, **changes: Any) -> str:
        """An attestation of the verifier's key with some claims replaced; ... takes one out."""
        good = create_verifier_attestation(
            by or self.attester,
            issuer=ATTESTER,
            subject=PARTY_ID,
            key=self.verifier.signer.public_key,
            issued_at=NOW - timedelta(days=1),
            expires_at=NOW + timedelta(days=1),
        )
        parsed = jws.parse(good)
        claims = {name: value for name, value in {**parsed.claims(), **changes}.items() if value is not ...}
        header = {**parsed.header, **({"typ": typ} if typ else {})}
        return jws.sign(header, claims, (by or self.attester).signer)

    def request(
        self,
        dcql: dict[str, Any] | None = None,
        *,
        prefix: ClientIdPrefix = ClientIdPrefix.X509_HASH,
        by: CertifiedSigner | None = None,
    ) -> AuthorizationRequest:
        """A request of the verifier."""
        return AuthorizationRequest(
            client_id=create_client_id(
                prefix, leaf=(by or self.verifier).chain[0], response_uri=RESPONSE_URI, attested=PARTY_ID
            ),
            response_uri=RESPONSE_URI,
            nonce=Nonce("n-0123456789abcdef0123"),
            dcql_query=parse_dcql_query(dcql or query(("name",), ("age_over_19",))),
            state="request-1",
            encryption=None,
        )

    def tampered(self, token: str) -> str:
        """The token with another name in its payload, and the old signature."""
        header, payload, signature = token.split(".")
        changed = base64url.decode(payload).replace("가온".encode(), "나온".encode())
        return f"{header}.{base64url.encode(changed)}.{signature}"


@lru_cache(maxsize=1)
def register() -> Register:
    """One for tests that change nothing in it."""
    return Register()
