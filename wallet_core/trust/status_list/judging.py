"""What a list says about one credential, and whether its signer may say so."""

from collections.abc import Callable
from dataclasses import field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

from wallet_core.errors import RevokedError, StatusUnknown, UntrustedError
from wallet_core.trust.status_list.array import Status
from wallet_core.trust.status_list.reference import StatusReference
from wallet_core.trust.status_list.token import StatusListClaims, VerifiedStatusList
from wallet_core.trust.x509 import TrustedCertificate
from wallet_core.values import statically_frozen

LEAST_TTL: Final = timedelta(seconds=5)
"""How long a list is kept at least, however short its ``ttl``: it must not make us ask all the time (11.5)."""

MOST_TTL: Final = timedelta(days=1)
"""How long a list is kept at most before a fresh one is asked for, however long its ``ttl`` (11.5)."""

USUAL_TTL: Final = timedelta(hours=1)
"""How long a list without ``ttl`` is kept."""


@statically_frozen
class StatusEvidence:
    """What a finding stands on: the place in a list, and which edition of the list it was.

    Attributes:
        uri: address of the list.
        index: the credential's place in it. It tells one credential from another.
        issued_at: ``iat`` of the list.
        expires_at: ``exp`` of the list; None if it has none.
        token_sha256: SHA-256 of the token as it was fetched, 32 bytes.
    """

    uri: str
    index: int
    issued_at: datetime
    expires_at: datetime | None
    token_sha256: bytes


@statically_frozen
class StatusFinding:
    """What was found out about a credential that may be relied on.

    Attributes:
        status: ``valid``; ``none`` for a credential without status; ``unknown`` where no list could be had and the
            policy accepts that.
        checked_at: when the list was fetched, the last one known for ``unknown``; None if there never was one.
        evidence: the list that was looked into; not stored with the claims. None if there was none.
    """

    status: Literal["none", "valid", "unknown"]
    checked_at: datetime | None = None
    evidence: StatusEvidence | None = field(default=None, compare=False, repr=False)


StatusVerifier: TypeAlias = Callable[[Any, TrustedCertificate, str, datetime], StatusFinding]
"""Called with a ``status`` claim, the certificate of the credential's issuer, the media type of the list that goes
with the credential's format, and the present time. Raises ``RevokedError``, ``StatusUnknown`` or another
``VerificationError``."""

_WITHDRAWN: Final = {
    int(Status.INVALID): "the credential was revoked",
    int(Status.SUSPENDED): "the credential is suspended",
}

NO_STATUS: Final = StatusFinding("none")


def refuse_status(_status: Any, _issuer: TrustedCertificate, _media_type: str, _now: datetime) -> StatusFinding:
    """Refuse every credential that has a status: what one does who cannot look it up."""
    raise StatusUnknown("the status of the credential cannot be looked up", clause="OpenID4VP 8.6")


def judge_status(
    status_list: VerifiedStatusList,
    reference: StatusReference,
    *,
    checked_at: datetime,
    evidence: StatusEvidence | None = None,
) -> StatusFinding:
    """Return the finding for a credential that its list calls valid, and what it stands on.

    Raises:
        VerificationError: the reference is to another list, or its index is beyond this one.
        RevokedError: the credential was revoked or suspended.
        StatusUnknown: its status has a number that means nothing here.
    """
    status = status_list.status(reference)
    # tsl-8.3-status
    if status in _WITHDRAWN:
        raise RevokedError(_WITHDRAWN[status], clause="Token Status List 7.1")
    if status != Status.VALID:
        raise StatusUnknown("the credential has a status that is not known here", clause="Token Status List 7.1")
    return StatusFinding("valid", checked_at, evidence)


def validate_list_signer(signer: TrustedCertificate, issuer: TrustedCertificate) -> None:
    """Check that a list is signed by the agency that issued the credential (11.3).

    Both certificates lead to an anchor for credential issuers; without this one agency could revoke, or keep alive,
    what another has issued. A certificate with URI names speaks for those, one without for its subject under its CA.

    Raises:
        UntrustedError: it is signed by somebody else.
    """
    if issuer.uris:
        same = not set(issuer.uris).isdisjoint(signer.uris)
    else:
        same = (issuer.name, issuer.leaf.issuer) == (signer.name, signer.leaf.issuer)
    # tsl-11.3-signer
    if not same:
        raise UntrustedError("the status list is signed by another issuer", clause="Token Status List 11.3")


def fresh_until(claims: StatusListClaims, *, fetched_at: datetime) -> datetime:
    """Return until when a copy is used without asking again: its ``ttl`` after it was fetched, within bounds (13.7)."""
    # tsl-13.7-ttl
    kept = USUAL_TTL if claims.ttl is None else min(max(claims.ttl, LEAST_TTL), MOST_TTL)
    until = fetched_at + kept
    return until if claims.expires_at is None else min(until, claims.expires_at)
