import os
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from wallet_core.keys.signer import SoftwareSigner
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.certificates import (
    CertificateAuthority,
    create_ca,
    create_issuer_certificate,
    create_verifier_certificate,
)
from wallet_core.types import CredentialIssuerId

NOW = datetime(2026, 11, 22, 1, 30, 30, tzinfo=UTC)
ISSUER = CredentialIssuerId("http://localhost:8100/agencies/police")


@dataclass(frozen=True)
class Pki:
    """One CA for each purpose, one leaf below each."""

    issuer_ca: CertificateAuthority
    verifier_ca: CertificateAuthority
    issuer_leaf: bytes
    verifier_leaf: bytes
    issuer_signer: SoftwareSigner

    @property
    def anchors(self) -> TrustAnchors:
        return TrustAnchors(
            [
                TrustAnchor(self.issuer_ca.certificate, AnchorPurpose.CREDENTIAL_ISSUER),
                TrustAnchor(self.verifier_ca.certificate, AnchorPurpose.VERIFIER_ACCESS),
            ]
        )


def new_ca(name: str = "Test CA", now: datetime = NOW) -> CertificateAuthority:
    return create_ca(
        organization="Jigap tests",
        common_name=name,
        contact="https://ca.example",
        private_key=ec.generate_private_key(ec.SECP256R1()),
        now=now,
        random=os.urandom,
    )


@pytest.fixture(scope="session")
def pki() -> Pki:
    issuer_ca, verifier_ca = new_ca("Issuers"), new_ca("Verifiers")
    signer = SoftwareSigner.generate()
    issuer_leaf = create_issuer_certificate(
        issuer_ca,
        issuer=ISSUER,
        organization="서울특별시경찰청 (시험용)",
        public_key=signer.public_key,
        now=NOW,
        random=os.urandom,
    )
    verifier_leaf = create_verifier_certificate(
        verifier_ca,
        response_uri="http://localhost:8200/response",
        organization="가람은행 (시험용)",
        public_key=SoftwareSigner.generate().public_key,
        now=NOW,
        random=os.urandom,
    )
    return Pki(
        issuer_ca,
        verifier_ca,
        issuer_leaf.public_bytes(Encoding.DER),
        verifier_leaf.public_bytes(Encoding.DER),
        signer,
    )
