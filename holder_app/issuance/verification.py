"""What the wallet checks before it keeps a credential."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from wallet_core.encoding import base64url
from wallet_core.errors import HolderBindingError, UntrustedError, VerificationError
from wallet_core.formats.mdoc.structures import parse_issuer_signed
from wallet_core.formats.mdoc.verifier import claims_to_json, verify_issuer_signed
from wallet_core.formats.sd_jwt import holder, vc, verifier
from wallet_core.keys.jwk import thumbprint
from wallet_core.keys.signer import SoftwareSigner
from wallet_core.protocols.openid4vci.metadata import CredentialConfiguration
from wallet_core.spec_versions import FORMAT_MDOC, NAMESPACE_MDL
from wallet_core.trust import x509
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.policy import IssuerPolicy
from wallet_core.trust.x509 import TrustedCertificate
from wallet_core.types import CredentialIssuerId, DocType


class NoAnchor(UntrustedError):
    """This wallet trusts nobody to issue what was asked for, whoever signs it."""


@dataclass(frozen=True, slots=True)
class VerifiedCredential:
    """A credential that :func:`verify_issued` accepted, with the key it is bound to.

    Attributes:
        text: as it came.
        type: ``vct`` or document type.
        expires_at: when it ends; None if it has no end.
        signer: the key it is bound to.
        certificate: under which it is signed.
    """

    text: str
    type: str
    expires_at: datetime | None
    signer: SoftwareSigner
    certificate: TrustedCertificate


def anchor_purpose(credential_format: str) -> AnchorPurpose:
    """Return for what the root above credentials of a format must be trusted."""
    return AnchorPurpose.MDL_ISSUER if credential_format == FORMAT_MDOC else AnchorPurpose.CREDENTIAL_ISSUER


def verify_copies(
    texts: Sequence[str],
    *,
    issuer: CredentialIssuerId,
    configuration: CredentialConfiguration,
    signers: Mapping[bytes, SoftwareSigner],
    anchors: TrustAnchors,
    now: datetime,
    issuers: IssuerPolicy | None = None,
) -> list[VerifiedCredential]:
    """Check the copies of one card that an issuer sent, each as :func:`verify_issued`, and return them.

    Raises:
        MalformedError, VerificationError: as there; or two of them are bound to one key.
    """
    copies = [
        verify_issued(
            text,
            issuer=issuer,
            configuration=configuration,
            signers=signers,
            anchors=anchors,
            now=now,
            issuers=issuers,
        )
        for text in texts
    ]
    # OpenID4VCI 8.3: at most one credential per key.
    # vci-8.3-key-once
    if len({thumbprint(copy.signer.public_key) for copy in copies}) != len(copies):
        raise VerificationError("two copies are bound to one key", clause="OpenID4VCI 8.3")
    return copies


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

    As :func:`verify_sd_jwt_vc` or :func:`verify_mdoc`, by the format that was asked for; then its issuer may issue this
    type, where a trust list says who may (specs/trust-list.md 4). ``issuers`` is who may issue what.
    """
    verify = verify_mdoc if configuration.format == FORMAT_MDOC else verify_sd_jwt_vc
    found = verify(text, issuer=issuer, configuration=configuration, signers=signers, anchors=anchors, now=now)
    if issuers is not None:
        named = issuer if issuer in found.certificate.uris else None
        # tl-4-received
        issuers.validate_may_issue(
            found.certificate, issuer=named, format=configuration.format, type=found.type, at=now
        )
    return found


def verify_mdoc(
    text: str,
    *,
    issuer: CredentialIssuerId,
    configuration: CredentialConfiguration,
    signers: Mapping[bytes, SoftwareSigner],
    anchors: TrustAnchors,
    now: datetime,
) -> VerifiedCredential:
    """Check an mdoc that an issuer sent and return it. Arguments as :func:`verify_sd_jwt_vc`.

    Steps:
        1. It is base64url of an IssuerSigned (OpenID4VCI A.2.4).
        2. The certificates of IssuerAuth lead to an anchor for mdocs (ISO/IEC 18013-5 9.3.1, step 1), and the leaf is
           for the issuer of the offer if it names one.
        3. Signature, digests and times hold, and the document type is the one asked for (9.3.1).
        4. ``issuing_country`` is that of the certificate (9.3.1).
        5. The device key is one of ours (M11).
        6. Every element has a form in JSON, in which the wallet shows it and compares it (OpenID4VP B.2.1).

    Raises:
        MalformedError: it does not parse, or step 6 failed.
        VerificationError: a step failed; ``step`` is its number where the check is ours.
    """
    # 1
    issuer_signed = parse_issuer_signed(base64url.decode(text, what="credential"))
    # 2
    # mdoc-18013.9.3.1-chain-wallet
    certificate = x509.verify_chain(issuer_signed.x5chain(), anchors, purpose=AnchorPurpose.MDL_ISSUER, at=now)
    # No standard asks for a URI there, so a stranger's need not have one.
    # mdoc-18013.9.3.1-issuer-asked
    if certificate.uris and issuer not in certificate.uris:
        raise UntrustedError("the document signer is another issuer's", step=2, clause="decision 0056")
    # 3
    verified = verify_issuer_signed(
        issuer_signed,
        issuer_key=certificate.public_key,
        doc_type=DocType(str(configuration.document.get("doctype"))),
        now=now,
        signer_validity=(certificate.valid_from, certificate.valid_until),
    )
    # 4
    elements = verified.claims.get(NAMESPACE_MDL, {})
    x509.validate_issuing_country(certificate, elements.get("issuing_country"), elements.get("issuing_jurisdiction"))
    # 5
    signer = signers.get(thumbprint(verified.mso.device_key))
    # vci-8.3-our-device-key
    if signer is None:
        raise HolderBindingError("the mdoc is not bound to a key of this wallet", step=5, clause="protocols.md M11")
    # 6. Once it is kept, every page and every request reads it.
    # vp-B.2.1-sayable
    claims_to_json(verified.claims)
    return VerifiedCredential(text, verified.mso.doc_type, verified.mso.validity.valid_until, signer, certificate)


def verify_sd_jwt_vc(
    text: str,
    *,
    issuer: CredentialIssuerId,
    configuration: CredentialConfiguration,
    signers: Mapping[bytes, SoftwareSigner],
    anchors: TrustAnchors,
    now: datetime,
) -> VerifiedCredential:
    """Check an SD-JWT VC that an issuer sent and return it.

    Args:
        text: the credential as it came.
        issuer: the Credential Issuer Identifier of the offer.
        configuration: what was asked for.
        signers: our new keys by thumbprint.
        anchors: whom this wallet trusts.
        now: the time.

    Steps:
        1. It is an SD-JWT without key binding, and its Disclosures fit (RFC 9901 7.2).
        2. The certificate in its header leads to an anchor for Credential Issuers (HAIP 6.1.1).
        3. That certificate is for the issuer of the offer, and so is ``iss`` (SD-JWT VC 3.5).
        4. Signature, Disclosures and times hold (RFC 9901 7.1), and the rules of SD-JWT VC.
        5. ``vct`` is the one asked for (OpenID4VCI A.3.2).
        6. ``cnf`` is one of our keys: position tells nothing (RFC 7800, protocols.md M11).

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
    return VerifiedCredential(text, content.vct, content.expires_at, signer, certificate)
