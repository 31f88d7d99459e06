"""An agency that signs mdocs and a holder who shows them, for tests of presentations: invented, with keys made here."""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.mdoc import NAME_SPACES
from tests.support.presentations import AGENCY, NOW, der
from wallet_core.formats.mdoc.holder import HeldMdoc, index_mdoc
from wallet_core.formats.mdoc.issuer import issue_mdoc
from wallet_core.formats.mdoc.structures import ValidityInfo
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.spec_versions import DOCTYPE_MDL, NAMESPACE_MDL
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchor, TrustAnchors
from wallet_core.trust.certificates import CertificateAuthority, create_document_signer, create_iaca

NAME, CLASSES = (NAMESPACE_MDL, "family_name"), (NAMESPACE_MDL, "driving_privileges")


def mdoc_query(*claims: Any, **members: Any) -> dict[str, Any]:
    """A DCQL query for one mDL; each claim is a path or a whole Claims Query."""
    credential = {"id": "mdl", "format": "mso_mdoc", "meta": {"doctype_value": DOCTYPE_MDL}, **members}
    if claims:
        credential["claims"] = [claim if isinstance(claim, dict) else {"path": list(claim)} for claim in claims]
    return {"credentials": [credential]}


def new_iaca(country: str = "KR", now: datetime = NOW) -> CertificateAuthority:
    """An issuing authority CA of its own."""
    return create_iaca(
        organization="시험용 발급 인증기관",
        common_name="시험용 IACA",
        contact="https://ca.example",
        revocation_list="https://ca.example/crl",
        private_key=ec.generate_private_key(ec.SECP256R1()),
        now=now - timedelta(days=2),
        random=secrets.token_bytes,
        country=country,
    )


@dataclass
class MdocAgency:
    """Signs mDLs with a document signer of its own below an IACA."""

    iaca: CertificateAuthority = field(default_factory=new_iaca)
    name: str = "시험경찰청 (시험용)"
    issuer: str = AGENCY
    signer: SoftwareSigner = field(default_factory=SoftwareSigner.generate)
    now: datetime = NOW

    @property
    def anchors(self) -> TrustAnchors:
        """Trust in the IACA for mdocs."""
        return TrustAnchors([TrustAnchor(self.iaca.certificate, AnchorPurpose.MDL_ISSUER)])

    def chain(self) -> tuple[bytes, ...]:
        """Its certificate."""
        certificate = create_document_signer(
            self.iaca,
            issuer=self.issuer,  # type: ignore[arg-type]
            organization=self.name,
            public_key=self.signer.public_key,
            now=self.now - timedelta(days=1),
            random=secrets.token_bytes,
        )
        return (der(certificate),)

    def issue(self, holder: SoftwareSigner, **changes: Any) -> bytes:
        """An mDL."""
        hour = self.now.replace(minute=0, second=0, microsecond=0)
        arguments: dict[str, Any] = {
            "doc_type": DOCTYPE_MDL,
            "name_spaces": NAME_SPACES,
            "device_key": holder.public_key,
            "validity": ValidityInfo(hour, hour, hour + timedelta(days=30)),
            "signer": self.signer,
            "x5chain": self.chain(),
            "random": secrets.token_bytes,
            **changes,
        }
        return issue_mdoc(**arguments)

    def held(self, holder: SoftwareSigner, **changes: Any) -> HeldMdoc:
        """An mDL as its holder keeps it."""
        return index_mdoc(self.issue(holder, **changes))
