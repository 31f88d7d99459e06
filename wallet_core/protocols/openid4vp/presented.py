"""What the Verifier expects of a presentation and relies on of it, and the checks that are alike in every format.

The numbers are those of ``validation.validate_vp_token``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from typing import Protocol, TypeAlias

from wallet_core.errors import MalformedError, QueryNotSatisfied, UntrustedError, VerificationError
from wallet_core.formats.sd_jwt.verifier import LEEWAY
from wallet_core.protocols.openid4vp.authorities import is_certified_as_asked
from wallet_core.protocols.openid4vp.checks import CheckStep, age_said, check_failed
from wallet_core.protocols.openid4vp.dcql import CredentialQuery, DcqlQuery
from wallet_core.protocols.openid4vp.transaction_data import TransactionData
from wallet_core.trust.status_list.judging import NO_STATUS, StatusFinding, StatusVerifier, refuse_status
from wallet_core.trust.x509 import TrustedCertificate
from wallet_core.types import ClientId, CredentialIssuerId, Json, JsonObject, Nonce, SessionTranscript
from wallet_core.values import statically_frozen

ChainVerifier: TypeAlias = Callable[[Sequence[bytes], datetime], TrustedCertificate]
"""Returns the leaf of a chain of DER certificates if it leads to an anchor for the issuers of that format at that time.

``trust.x509.verify_chain``, or a cache in front of it, with the anchors bound."""


def _nobody(_chain: Sequence[bytes], _at: datetime) -> TrustedCertificate:
    raise UntrustedError("nobody is trusted to issue mdocs here")


TrustListsOf: TypeAlias = Callable[[TrustedCertificate, datetime], frozenset[str]]
"""Returns the identifiers of the trust lists on which an issuer stands: ``trust.policy.IssuerPolicy.lists_of``."""


def on_no_list(_certificate: TrustedCertificate, _at: datetime) -> frozenset[str]:
    """Say that an issuer stands on no list: where none is used."""
    return frozenset()


class IssuerPermission(Protocol):
    """Whether an issuer may issue a type: ``trust.policy.IssuerPolicy.validate_may_issue``. No I/O."""

    def __call__(
        self,
        certificate: TrustedCertificate,
        *,
        issuer: CredentialIssuerId | None,
        format: str,  # noqa: A002 - the specifications' word
        type: str,  # noqa: A002 - the same
        at: datetime,
    ) -> str:
        """Return the listed issuer's name, empty if no list has to be asked. Raises ``VerificationError``."""
        ...


def anybody_trusted(certificate: TrustedCertificate, **_asked: object) -> str:
    """Permit every type to every issuer that is trusted: where no list says more."""
    del certificate
    return ""


@statically_frozen
class PresentedCredential:
    """What the Verifier may rely on of one presentation.

    Attributes:
        format: Credential Format Identifier.
        type: ``vct`` or document type.
        claims: the claims that were asked for, nothing else.
        issuer: ``iss``; None where the certificate alone names the issuer.
        issuer_name: the organisation in the issuer's certificate, for people.
        valid_until: ``exp``, or ``validUntil`` of an mdoc; None if it has none.
        holder_bound: whether the holder proved possession of the credential's key.
        certificate: under which it is signed; not stored. Without one, nothing says that its issuer may issue it.
        status: what is known of its status.
        key_binding: payload of the verified Key Binding JWT; not stored; None for an mdoc, and without one.
        answers: what answers each Claims Query that has an id; not stored.
    """

    format: str
    type: str
    claims: JsonObject
    issuer: str | None
    issuer_name: str
    valid_until: datetime | None
    holder_bound: bool
    certificate: TrustedCertificate | None = field(default=None, compare=False, repr=False)
    status: StatusFinding = NO_STATUS
    key_binding: JsonObject | None = field(default=None, compare=False, repr=False)
    answers: Mapping[str, tuple[Json, ...]] = field(default_factory=dict, compare=False, repr=False)


@statically_frozen
class Expectation:
    """What the answer to one request must fit.

    Attributes:
        query: what was asked.
        client_id: our full Client Identifier, the audience of every proof.
        nonce: of this request.
        verify_chain: whom we trust to issue credentials.
        leeway: how far clocks may differ.
        verify_mdoc_chain: whom we trust to issue mdocs; by default nobody.
        session_transcript: of the request, from ``mdoc.request_transcript``; needed where it asks for an mdoc.
        may_issue: which types each of them may issue.
        verify_status: looks up the status of credentials that have one; refuses them if nothing is given.
        supertypes: the types that a ``vct`` extends, from type metadata that we trust.
        trust_lists: the identifiers of the trust lists on which an issuer stands.
        transaction_data: what had to be agreed to.
    """

    query: DcqlQuery
    client_id: ClientId
    nonce: Nonce
    verify_chain: ChainVerifier
    leeway: timedelta = LEEWAY
    verify_mdoc_chain: ChainVerifier = _nobody
    session_transcript: SessionTranscript | None = None
    may_issue: IssuerPermission = anybody_trusted
    verify_status: StatusVerifier = refuse_status
    supertypes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    trust_lists: TrustListsOf = on_no_list
    transaction_data: tuple[TransactionData, ...] = ()


def find_status(
    status: Json, issuer: TrustedCertificate, media_type: str, verify_status: StatusVerifier, now: datetime
) -> StatusFinding:
    """Return what is known of a status (check 7). ``media_type`` is that of the lists which go with the format.

    Raises:
        VerificationError: it is withdrawn, or cannot be looked up.
    """
    if status is None:
        return NO_STATUS
    try:
        # 8.6: "Perform the checks required by the Verifier's policy […] (e.g., revocation checks)".
        # sdjwtvc-2.2.2.3-status
        return verify_status(status, issuer, media_type, now)
    except (MalformedError, VerificationError) as exc:
        raise check_failed(CheckStep.NOT_WITHDRAWN, exc.description, exc) from exc


def validate_authorities(
    query: CredentialQuery,
    chain: Sequence[bytes],
    certificate: TrustedCertificate,
    expected: Expectation,
    now: datetime,
) -> None:
    """Check that an authority which the query names certifies the issuer (check 9). Raises ``QueryNotSatisfied``."""
    if not query.trusted_authorities:
        return
    # 6.1: "Verifiers must verify that the issuer of a received presentation is trusted on their own": that was check 2;
    # here whether the wallet chose as it was asked (14.9).
    # dcql-6.1.1-authorities-checked
    if not is_certified_as_asked(query, chain, expected.trust_lists(certificate, now)):
        raise QueryNotSatisfied(
            "the issuer is not certified by an authority that was named",
            step=CheckStep.QUERY_ANSWERED,
            clause="OpenID4VP 6.1.1",
        )


def validate_permitted(credential: PresentedCredential, may_issue: IssuerPermission, now: datetime) -> str:
    """Return which listed issuer may issue this type (check 10), empty if no list had to be asked.

    Raises:
        VerificationError: it may not.
    """
    certificate = credential.certificate
    if certificate is None:
        raise check_failed(CheckStep.ISSUER_PERMITTED, "nothing says that the issuer may issue this type")
    issuer = None if credential.issuer is None else CredentialIssuerId(credential.issuer)
    try:
        # vp-8.6-permitted
        return may_issue(certificate, issuer=issuer, format=credential.format, type=credential.type, at=now)
    except VerificationError as exc:
        raise check_failed(CheckStep.ISSUER_PERMITTED, exc.description, exc) from exc


def status_said(finding: StatusFinding, now: datetime) -> str:
    """Return what check 7 found of one credential, with the age of what it was found in."""
    age = "" if finding.checked_at is None else age_said(now - finding.checked_at)
    if finding.status == "none":
        return "the credential has no status list"
    if finding.status == "valid":
        return f"checked {age} ago"
    return f"the status could not be looked up{f'; the last list is {age} old' if age else ''}; the policy accepts that"
