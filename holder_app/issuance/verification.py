"""What the wallet checks before it keeps a credential."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from wallet_core import spec_versions as spec
from wallet_core.errors import HolderBindingError, UntrustedError, VerificationError
from wallet_core.formats.sd_jwt import holder, vc, verifier
from wallet_core.formats.sd_jwt.vc import SdJwtVc
from wallet_core.keys.jwk import thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.metadata import CredentialConfiguration
from wallet_core.trust import x509
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.policy import IssuerPolicy
from wallet_core.trust.x509 import TrustedCertificate
from wallet_core.types import CredentialIssuerId


@dataclass(frozen=True, slots=True)
class VerifiedCredential:
    """A credential that :func:`verify_issued` accepted, with the key it is bound to."""

    text: str
    content: SdJwtVc
    signer: SoftwareSigner
    certificate: TrustedCertificate


def verify_issued(
    text: str,
    *,
    issuer: CredentialIssuerId,
    configuration: CredentialConfiguration,
    signers: Mapping[bytes, SoftwareSigner],
    anchors: TrustAnchors,
    now: datetime,
    issuers: IssuerPolicy | None = None,
) -> VerifiedCredential:
    """Check a credential that an issuer sent and return it.

    Args:
        text: the credential as it came.
        issuer: the Credential Issuer Identifier of the offer.
        configuration: what was asked for.
        signers: our new keys by thumbprint.
        anchors: whom this wallet trusts.
        now: the time.
        issuers: who may issue what, where a trust list says so.

    Steps:
        1. It is an SD-JWT without key binding, and its Disclosures fit (RFC 9901 7.2).
        2. The certificate in its header leads to an anchor for Credential Issuers (HAIP 6.1.1).
        3. That certificate is for the issuer of the offer, and so is ``iss`` (SD-JWT VC 3.5).
        4. Signature, Disclosures and times hold (RFC 9901 7.1), and the rules of SD-JWT VC.
        5. ``vct`` is the one asked for (OpenID4VCI A.3.2).
        6. ``cnf`` is one of our keys: position tells nothing (RFC 7800, protocols.md M11).
        7. The issuer may issue this type, as the trust list says (``trust.policy``).

    Raises:
        MalformedError: it does not parse.
        VerificationError: a step failed; ``step`` is its number where the check is ours.
    """
    # 1
    holder.index_sd_jwt(text)
    parsed = verifier.parse_sd_jwt(text)
    # 2
    chain = parsed.x5c()
    # sdjwtvc-3.5-chain
    certificate = x509.verify_chain(chain, anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=now)
    # 3
    x509.validate_issuer_name(certificate, issuer)
    content = vc.validate_sd_jwt_vc(verifier.verify_sd_jwt(parsed, issuer_key=certificate.public_key, now=now))  # 4
    # sdjwtvc-3.5-issuer-asked
    if content.issuer is not None and content.issuer != issuer:
        raise UntrustedError("the credential names another issuer than the offer", step=3, clause="SD-JWT VC 3.5")
    # 5
    # vci-A.3.4-type
    if content.vct != configuration.document.get("vct"):
        raise VerificationError("the credential is of another type than asked for", step=5, clause="OpenID4VCI A.3.2")
    # 6
    signer = signers.get(thumbprint(content.holder_key)) if content.holder_key is not None else None
    # vci-8.3-our-key
    if signer is None:
        raise HolderBindingError("the credential is not bound to a key of this wallet", step=6, clause="RFC 7800 3")
    # 7
    if issuers is not None:
        # tl-4-received
        issuers.validate_may_issue(certificate, issuer=issuer, format=spec.FORMAT_SD_JWT_VC, type=content.vct, at=now)
    return VerifiedCredential(text, content, signer, certificate)
