"""Status List Tokens as CWT (Token Status List 5.2): what readers of mdocs use (ISO/IEC 18013-5, second edition)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wallet_core import spec_versions as spec
from wallet_core.cose import sign1
from wallet_core.encoding import cbor
from wallet_core.errors import VerificationError
from wallet_core.keys.algorithms import PublicKey
from wallet_core.keys.signer import Signer
from wallet_core.trust.status_list.token import (
    MAX_TOKEN_BYTES,
    StatusListClaims,
    UnverifiedStatusListToken,
    claim_error,
    read_claims,
)

# The draft of ISO/IEC 18013-5 prints the type without "application/" (protocols.md 11.8); we write the full form.
# A tuple: what stands in a header of CBOR need not be hashable.
_TYPES = (spec.STATUS_LIST_CWT_MEDIA_TYPE, spec.STATUS_LIST_CWT_MEDIA_TYPE.removeprefix("application/"))


@dataclass(frozen=True, slots=True)
class _CwtToken:
    token: sign1.UnverifiedSign1
    chain: tuple[bytes, ...]

    def verify(self, key: PublicKey) -> StatusListClaims:
        # tsl-5.2-typ
        if self.token.protected.get(spec.COSE_TYP) not in _TYPES:
            raise VerificationError("the token is not a status list", step=1, clause="Token Status List 5.2")
        verified = sign1.verify(self.token, key)
        return _claims_from_cbor(cbor.loads(verified.payload, what="Status List Token", max_bytes=MAX_TOKEN_BYTES))


def create_status_list_cwt(claims: StatusListClaims, *, signer: Signer, x5chain: Sequence[bytes]) -> bytes:
    """Return a Status List Token in CWT form: a tagged COSE_Sign1 with its certificates in the protected header.

    Args:
        claims: of :func:`~wallet_core.trust.status_list.token.status_list_claims`.
        signer: the key, to which ``x5chain[0]`` belongs.
        x5chain: DER certificates, leaf first, without the root.

    Raises:
        KeyUnavailable: the signer cannot sign now.
    """
    entry: dict[str, Any] = {"bits": claims.bits, "lst": claims.lst}
    if claims.aggregation_uri is not None:
        entry["aggregation_uri"] = claims.aggregation_uri
    payload: dict[int, Any] = {spec.CWT_SUB: claims.sub, spec.CWT_IAT: int(claims.issued_at.timestamp())}
    if claims.expires_at is not None:
        payload[spec.CWT_EXP] = int(claims.expires_at.timestamp())
    if claims.ttl is not None:
        payload[spec.CWT_TTL] = int(claims.ttl.total_seconds())
    data = cbor.dumps({**payload, spec.CWT_STATUS_LIST: entry})
    # ISO/IEC 18013-5 (second edition, draft): x5chain stands where the signature covers it.
    protected = {spec.COSE_TYP: spec.STATUS_LIST_CWT_MEDIA_TYPE, **sign1.x5chain_header(x5chain)}
    return sign1.sign(data, signer, protected=protected, tagged=True)


def parse_status_list_cwt(token: bytes) -> UnverifiedStatusListToken:
    """Return a Status List Token in CWT form, unverified.

    Raises:
        MalformedError: not a COSE_Sign1 with tag 18, or too long.
    """
    # "MUST be … tagged with the COSE_Sign1 tag", and not with that of a CWT (5.2).
    # tsl-5.2-tag
    parsed = sign1.parse(token, tagged=True, what="Status List Token", max_bytes=MAX_TOKEN_BYTES)
    return _CwtToken(parsed, parsed.x5chain())


def require_mdoc_profile(claims: StatusListClaims) -> None:
    """Check what ISO/IEC 18013-5 (second edition, draft) asks of an mdoc's list beyond Token Status List.

    Raises:
        VerificationError: it has no ``exp`` or more than one bit.
    """
    # tsl-5.2-mdoc
    if claims.expires_at is None or claims.bits != 1:
        raise VerificationError("the list is not one for mdocs", step=2, clause="ISO/IEC 18013-5 (second edition)")


def _claims_from_cbor(payload: Any) -> StatusListClaims:
    entry = payload.get(spec.CWT_STATUS_LIST) if isinstance(payload, dict) else None
    # tsl-5.2-status-list
    if not isinstance(entry, dict):
        raise claim_error("status_list")
    members = tuple(payload.get(label) for label in (spec.CWT_SUB, spec.CWT_IAT, spec.CWT_EXP, spec.CWT_TTL))
    return read_claims(members, tuple(entry.get(name) for name in ("bits", "lst", "aggregation_uri")))
