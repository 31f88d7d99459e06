"""A fetched Status List Token made into a list that may be relied on: the one reading of wallets, verifiers, logins."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from wallet_core import spec_versions as spec
from wallet_core.trust.status_list.cwt import parse_status_list_cwt, require_mdoc_profile
from wallet_core.trust.status_list.judging import fresh_until
from wallet_core.trust.status_list.token import (
    TokenParser,
    VerifiedStatusList,
    parse_status_list_jwt,
    verify_status_list_token,
)
from wallet_core.trust.x509 import TrustedCertificate

ListName: TypeAlias = tuple[str, str]
"""Address and media type of a list."""

SignerVerifier: TypeAlias = Callable[[Sequence[bytes], datetime], TrustedCertificate]
"""Returns the leaf of a chain of DER certificates if it leads to an anchor for the issuers of the list's format."""

_PARSERS: Final[Mapping[str, TokenParser]] = {
    spec.STATUS_LIST_JWT_MEDIA_TYPE: parse_status_list_jwt,
    spec.STATUS_LIST_CWT_MEDIA_TYPE: parse_status_list_cwt,
}


@dataclass(frozen=True, slots=True)
class FetchedStatusList:
    """A copy of a list that holds, who signed it, until when it is used without asking again, and its SHA-256."""

    statuses: VerifiedStatusList
    signer: TrustedCertificate
    fetched_at: datetime
    fresh_until: datetime
    digest: bytes

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, about."""
        return len(self.statuses.statuses.data) + len(self.statuses.claims.lst)


def read_status_list(
    token: bytes, name: ListName, *, verify_signer: SignerVerifier, fetched_at: datetime, now: datetime
) -> FetchedStatusList:
    """Return the list in a Status List Token (Token Status List 8.3, 11.3).

    Steps:
        1. It parses in the form that was asked for.
        2. Its signer's chain leads to an anchor for the issuers of that form.
        3. Signature, ``sub`` and times hold; one of an mdoc's form keeps the profile of ISO/IEC 18013-5.

    Not done here: whether the signer may speak for a credential's issuer (``judging.validate_list_signer``).

    Args:
        token: as it was fetched.
        name: address and media type under which it was.
        verify_signer: whom we trust to issue credentials of that form, and so to sign their lists.
        fetched_at: when.
        now: the present time.

    Raises:
        MalformedError: it does not parse.
        VerificationError: a step failed.
    """
    uri, media_type = name
    # 1.
    parsed = _PARSERS[media_type](token)
    # 2. ISO/IEC 18013-5, second edition: the lists of mdocs are signed below the same IACA.
    # HAIP 6.1.1: the signer's key comes with its chain; a token without one is refused like one of a stranger.
    # tsl-11.3-chain
    signer = verify_signer(parsed.chain, now)
    # 3.
    statuses = verify_status_list_token(parsed, key=signer.public_key, uri=uri, now=now)
    if media_type == spec.STATUS_LIST_CWT_MEDIA_TYPE:
        require_mdoc_profile(statuses.claims)
    until = fresh_until(statuses.claims, fetched_at=fetched_at)
    return FetchedStatusList(statuses, signer, fetched_at, until, hashlib.sha256(token).digest())
