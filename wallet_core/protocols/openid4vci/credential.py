"""Making the credential that answers a Credential Request: a type of the catalogue, claims, and a proven key."""

from collections.abc import Sequence
from datetime import datetime

from wallet_core.catalogue.credential_type import CredentialType
from wallet_core.formats.sd_jwt.vc import issue_sd_jwt_vc
from wallet_core.keys.signer import Signer
from wallet_core.protocols.openid4vci.proof import AcceptedKey
from wallet_core.trust.status_list.reference import StatusReference
from wallet_core.types import ClaimsPath, CredentialIssuerId, JsonObject, RandomBytes


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
    """
    return issue_sd_jwt_vc(
        vct=credential_type.vct,
        issuer=issuer,
        claims=claims,
        selectively_disclosable=selectively_disclosable,
        holder_key=key.key,
        issued_at=now.replace(minute=0, second=0, microsecond=0),
        expires_at=expires_at,
        status=None if status is None else status.to_json(),
        signer=signer,
        x5c=x5c,
        random=random,
    )
