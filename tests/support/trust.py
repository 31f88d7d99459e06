"""An operator of trust lists and what it lists, for tests: invented, with keys made here (시험용)."""

import os
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from wallet_core.keys.signer import SoftwareSigner
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.certificates import CertificateAuthority, create_ca, create_operator_certificate
from wallet_core.trust.profiles import CertificateRole
from wallet_core.trust.trust_list import ListedAgency, PermittedType, TrustList, create_trust_list

OPERATOR = "https://trust.example"


@dataclass
class ListOperator:
    """Keeps lists: a CA of its own, and a signing certificate below it."""

    now: datetime
    role: CertificateRole = CertificateRole.TRUST_LIST_SIGNER
    purpose: AnchorPurpose = AnchorPurpose.TRUST_LIST_OPERATOR
    operator: str = OPERATOR
    signer: SoftwareSigner = field(default_factory=SoftwareSigner.generate)
    ca: CertificateAuthority = field(init=False)
    chain: tuple[bytes, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.ca = create_ca(
            organization="시험용 목록 운영자",
            common_name="시험용 목록 인증기관",
            contact=OPERATOR,
            private_key=ec.generate_private_key(ec.SECP256R1()),
            now=self.now - timedelta(days=2),
            random=os.urandom,
        )
        leaf = create_operator_certificate(
            self.ca,
            self.role,
            operator=self.operator,
            organization="시험용 목록 운영자",
            public_key=self.signer.public_key,
            now=self.now - timedelta(days=1),
            random=os.urandom,
        )
        self.chain = (leaf.public_bytes(Encoding.DER),)

    @property
    def anchors(self) -> TrustAnchors:
        return TrustAnchors([TrustAnchor(self.ca.certificate, self.purpose)])

    def sign(self, content: TrustList) -> str:
        return create_trust_list(content, signer=self.signer, chain=self.chain)


def sha256_of(authority: CertificateAuthority) -> bytes:
    return authority.certificate.fingerprint(SHA256())


def new_list(
    now: datetime, *authorities: TrustAnchor, agencies: tuple[ListedAgency, ...] = (), **changes: Any
) -> TrustList:
    """A list that is good for a day."""
    content = TrustList(OPERATOR, 7, now, now + timedelta(days=1), authorities, agencies)
    return replace(content, **changes)


def listed(issuer: str, *types: str, format: str = "dc+sd-jwt", **changes: Any) -> ListedAgency:  # noqa: A002 - the specifications' word
    """An agency that may issue ``types``."""
    permitted = tuple(PermittedType(format, each) for each in types)
    name = {"ko": "시험경찰청 (시험용)", "en": "Test police"}
    return replace(ListedAgency("police", name, (issuer,), (), (), permitted), **changes)
