"""Making the credential that answers a Credential Request: a type of the catalogue, claims, and a proven key."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

from wallet_core.catalogue.credential_type import CredentialType, FormatEntry
from wallet_core.encoding import base64url
from wallet_core.errors import CertificateUnavailable
from wallet_core.formats.mdoc.issuer import issue_mdoc
from wallet_core.formats.mdoc.mdl import lint_mdl
from wallet_core.formats.mdoc.structures import ValidityInfo
from wallet_core.formats.sd_jwt.vc import issue_sd_jwt_vc
from wallet_core.keys.signer import Signer
from wallet_core.protocols.openid4vci.proof import AcceptedKey
from wallet_core.spec_versions import DOCTYPE_MDL, FORMAT_MDOC
from wallet_core.trust.status_list.reference import StatusReference
from wallet_core.trust.x509 import load_certificate
from wallet_core.types import ClaimsPath, CredentialIssuerId, DocType, JsonObject, RandomBytes


def create_credential(
    credential_type: CredentialType,
    *,
    issuer: CredentialIssuerId,
    claims: JsonObject,
    selectively_disclosable: Sequence[ClaimsPath],
    key: AcceptedKey,
    expires_at: datetime,
    status: StatusReference | None,
    signer: Signer,
    x5c: Sequence[bytes],
    now: datetime,
    random: RandomBytes,
) -> str:
    """Return an SD-JWT VC bound to ``key`` (OpenID4VCI A.3.4).

    Args:
        credential_type: gives ``vct``.
        issuer: becomes ``iss``.
        claims: what ``credential_type.prepare_claims`` returned.
        selectively_disclosable: ``credential_type.selectively_disclosable``; an argument because it is the same for
            every credential of the type and this is the hot path.
        key: only a verified key proof gives one.
        expires_at: full hour, from ``credential_type.expires_at``.
        status: a place in a status list that no other credential has; None for one that cannot be withdrawn.
        signer: of the agency's signing key.
        x5c: its certificates in DER, leaf first, no root.
        now: rounded down to the full hour, so that copies cannot be linked by their time of issue.
        random: for salts.

    Raises:
        KeyUnavailable: the signer cannot sign now.
        CertificateUnavailable: its certificate begins after the full hour.
    """
    return issue_sd_jwt_vc(
        vct=credential_type.vct,
        issuer=issuer,
        claims=claims,
        selectively_disclosable=selectively_disclosable,
        holder_key=key.key,
        issued_at=_signing_hour(now, x5c[0]),
        expires_at=expires_at,
        status=None if status is None else status.to_json(),
        signer=signer,
        x5c=x5c,
        random=random,
    )


def create_mdoc(
    credential_type: CredentialType,
    entry: FormatEntry,
    *,
    claims: JsonObject,
    key: AcceptedKey,
    expires_at: datetime,
    signer: Signer,
    x5chain: Sequence[bytes],
    now: datetime,
    random: RandomBytes,
    status: StatusReference | None,
) -> str:
    """Return an mdoc bound to ``key``: base64url of the encoded IssuerSigned (OpenID4VCI A.2.4).

    Not done here: :func:`lint_elements`.

    Args:
        credential_type: says which claim becomes which data element.
        entry: its mdoc form.
        claims: what ``credential_type.prepare_claims`` returned.
        key: only a verified key proof gives one; it becomes ``deviceKey``.
        expires_at: from :func:`mdoc_end`.
        signer: of the agency's document signer.
        x5chain: its certificates in DER, leaf first, no root.
        now: rounded down to the full hour (M12).
        random: for salts.
        status: as for :func:`create_credential`.

    Raises:
        KeyUnavailable: the signer cannot sign now.
        CertificateUnavailable: its certificate begins after the full hour.
    """
    signed = _signing_hour(now, x5chain[0])
    return base64url.encode(
        issue_mdoc(
            doc_type=DocType(entry.doctype or ""),
            name_spaces=credential_type.data_elements(claims),
            device_key=key.key,
            validity=ValidityInfo(signed, signed, expires_at),
            signer=signer,
            x5chain=x5chain,
            random=random,
            status=None if status is None else status.to_json(),
        )
    )


def lint_elements(credential_type: CredentialType, entry: FormatEntry, claims: JsonObject) -> tuple[str, ...]:
    """Return what readers of a mobile driving licence would stumble over, one sentence each without values.

    ISO/IEC 18013-5 7.2.1. Empty for every other form. Once for each record is enough: all copies state the same.

    Args:
        credential_type: says which claim becomes which data element.
        entry: the form in which the claims are to be signed.
        claims: what ``credential_type.prepare_claims`` returned.
    """
    if (entry.format, entry.doctype) != (FORMAT_MDOC, DOCTYPE_MDL):
        return ()
    return lint_mdl(credential_type.data_elements(claims))


def mdoc_end(expires_at: datetime, signer_certificate: bytes, *, now: datetime) -> datetime:
    """Return when an mdoc ends: as its type says, or with the certificate of its document signer if that is earlier.

    Args:
        expires_at: full hour, from ``credential_type.expires_at``.
        signer_certificate: DER.
        now: the time of signing.

    Raises:
        CertificateUnavailable: the certificate is at its end; nothing can be signed under it any more.
    """
    # ISO/IEC 18013-5 9.3.1, the issuer's own rule: "validUntil" is not later than the end of the signer's certificate.
    # mdoc-18013.9.1.2.4-signer-end
    until = min(expires_at, _full_hour(end_of_certificate(signer_certificate)))
    if until <= _full_hour(now):
        raise CertificateUnavailable("the agency's document signer is at its end", detail="its certificate has ended")
    return until


@lru_cache(maxsize=64)
def end_of_certificate(certificate: bytes) -> datetime:
    """Return when a certificate in DER ends. An issuer signs with the same few for months."""
    return load_certificate(certificate).not_valid_after_utc


@lru_cache(maxsize=64)
def _begin_of_certificate(certificate: bytes) -> datetime:
    return load_certificate(certificate).not_valid_before_utc


def _signing_hour(now: datetime, signer_certificate: bytes) -> datetime:
    """Return the time that stands in a credential signed now: the full hour, which links it to all others of the hour.

    Raises:
        CertificateUnavailable: the certificate of the signer was not valid then.
    """
    # Protocols M12: minutes and seconds would tell copies of one batch from all others.
    # vci-M12-full-hour
    hour = _full_hour(now)
    # Protocols M12: what is signed before its signer's certificate begins, readers refuse.
    # vci-M12-signer-before
    if _begin_of_certificate(signer_certificate) > hour:
        raise CertificateUnavailable("the agency's certificate is not valid for a full hour yet", detail="wait an hour")
    return hour


def _full_hour(time: datetime) -> datetime:
    return time.replace(minute=0, second=0, microsecond=0)
