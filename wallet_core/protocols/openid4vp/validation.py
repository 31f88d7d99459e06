"""What the Verifier checks before it believes a VP Token (OpenID4VP 1.0 sections 8.6, 6.4, 14.1 and 14.9).

The invariant: only :func:`validate_vp_token` makes a :class:`ValidatedResponse`, which holds only what was asked.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeAlias

from cryptography.hazmat.primitives.serialization import Encoding

from wallet_core import spec_versions as spec
from wallet_core.encoding.claims_path import ConcretePath, resolve, value_at
from wallet_core.errors import (
    Expired,
    HolderBindingError,
    MalformedError,
    NotYetValid,
    QueryNotSatisfied,
    UntrustedError,
    VerificationError,
)
from wallet_core.formats.mdoc.verifier import VerifiedMdoc, claims_to_json
from wallet_core.formats.sd_jwt.vc import SdJwtVc, validate_sd_jwt_vc
from wallet_core.formats.sd_jwt.verifier import LEEWAY, UnverifiedSdJwt, parse_sd_jwt, verify_sd_jwt, verify_sd_jwt_kb
from wallet_core.keys.algorithms import PublicKey
from wallet_core.protocols.openid4vp import mdoc
from wallet_core.protocols.openid4vp.authorities import is_certified_as_asked
from wallet_core.protocols.openid4vp.binding import require_nonce_of_sd_jwt, require_session_of_mdoc
from wallet_core.protocols.openid4vp.checks import (
    Check,
    CheckStep,
    age_said,
    check_failed,
    discarded_checks,
    passed_checks,
)
from wallet_core.protocols.openid4vp.dcql import ClaimsQuery, CredentialQuery, DcqlQuery
from wallet_core.protocols.openid4vp.matching import overlap, value_matches
from wallet_core.protocols.openid4vp.response import VpToken
from wallet_core.protocols.openid4vp.transaction_data import PresentedBinding, TransactionData, validate_agreement
from wallet_core.trust.status_list.judging import NO_STATUS, StatusFinding, StatusVerifier, refuse_status
from wallet_core.trust.x509 import TrustedCertificate, validate_issuer_name
from wallet_core.types import (
    ClaimsPath,
    ClientId,
    CredentialIssuerId,
    DocType,
    Json,
    JsonObject,
    Nonce,
    QueryId,
    SessionTranscript,
)

_SEAL: Final = object()

_REFUSE_ALL: Final = frozenset({CheckStep.ANSWER_FITS_REQUEST, CheckStep.HOLDER_PRESENT})
"""Checks that refuse the whole answer, whichever presentation fails them (OpenID4VP 8.6, 14.1.2)."""

_MDOC_STEPS: Final[Mapping[int | None, CheckStep]] = {
    1: CheckStep.ISSUER_SIGNED,
    2: CheckStep.CONTENT_UNCHANGED,
    3: CheckStep.CONTENT_UNCHANGED,
    4: CheckStep.CONTENT_UNCHANGED,
    5: CheckStep.WITHIN_VALIDITY,
    6: CheckStep.WITHIN_VALIDITY,
}
"""Check to which each step of ``formats.mdoc.verifier.verify_issuer_signed`` belongs."""

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


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class ValidatedResponse:
    """An answer that passed every check. Only :func:`validate_vp_token` makes one.

    ``agreed`` has, for each entry of the request's ``transaction_data``, the query whose answer agreed to it.
    """

    credentials: Mapping[QueryId, tuple[PresentedCredential, ...]]
    checks: tuple[Check, ...]
    seal: InitVar[object]
    agreed: tuple[QueryId, ...] = ()

    def __post_init__(self, seal: object) -> None:
        """Refuse to exist without :func:`validate_vp_token`."""
        if seal is not _SEAL:
            raise TypeError("only validate_vp_token makes a ValidatedResponse")


@dataclass(frozen=True, slots=True)
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


def validate_vp_token(vp_token: VpToken, expected: Expectation, *, now: datetime) -> ValidatedResponse:
    """Return what a VP Token proves, if it answers the request in every respect.

    OpenID4VP 8.6: a presentation that fails is discarded, and what is left has to satisfy the request. The whole answer
    is refused if it is not one (1), or if a presentation was not made for this request (6): a wrong nonce means that
    somebody injects what was shown elsewhere.

    Steps (their names and clauses: :class:`CheckStep`; those of an mdoc are in ``openid4vp.mdoc``):
        1. The VP Token has an entry only for queries of the request, and one presentation unless ``multiple`` (8.1).
        2. Each issuer's certificate leads to an anchor, and speaks for ``iss`` (8.6).
        3. Each issuer's signature verifies (RFC 9901 7.1).
        4. Every Disclosure belongs to what was signed, and the rules of SD-JWT VC hold (RFC 9901 7.1).
        5. Each credential is valid now, and not meant for others only (RFC 9901 7.1, step 6; RFC 7519 4.1.3).
        6. Each holder proved possession, for this request and for us: ``aud``, ``nonce``, ``sd_hash`` (14.1.2).
        7. No credential is withdrawn; one whose status cannot be looked up is refused, unless policy says else (8.6).
        8. No claim was disclosed that the request did not ask for (6.4).
        9. Each presentation answers its query, values and authorities included, and what is left answers every required
           set (6.4, 14.9).
        10. Each issuer may issue this type: as the trust lists say, where lists are used (``trust.policy``).
        11. Exactly what the request asked to agree to is bound in one Key Binding JWT each (8.4, B.3.3.1).

    Not done here: decryption, ``state``, whether the request was answered before.

    Raises:
        VerificationError: a check failed; ``step`` is its number, ``query_id`` whose, ``others`` what else failed.
    """
    # 1.
    answered: list[tuple[CredentialQuery, Sequence[str]]] = []
    for query_id, presentations in vp_token.items():
        query = expected.query.credential(query_id)
        # vp-8.1-asked-and-single
        if query is None or (len(presentations) > 1 and not query.multiple):
            raise check_failed(CheckStep.ANSWER_FITS_REQUEST, "the vp_token has an entry that was not asked for")
        answered.append((query, presentations))
    # 2. to 10., each presentation by itself.
    looked_at = [
        (query, _look_at(text, query, expected, now)) for query, presentations in answered for text in presentations
    ]
    failures = [result for _, result in looked_at if isinstance(result, VerificationError)]
    good = [(query, result) for query, result in looked_at if not isinstance(result, VerificationError)]
    # 1., 6. "If any Verifiable Presentation in the response does not contain the correct nonce value, the response MUST
    # be rejected" (14.1.2).
    refusing = [failure for failure in failures if failure.step in _REFUSE_ALL]
    # vp-14.1.2-nonce-rejects-all
    if refusing:
        raise _blamed(refusing, failures)
    credentials: dict[QueryId, tuple[PresentedCredential, ...]] = {}
    for query, (credential, _) in good:
        credentials[query.id] = (*credentials.get(query.id, ()), credential)
    # 9. "Check that the set of Presentations returned satisfies all requirements" (8.6).
    # dcql-6.4.2-required
    if not expected.query.is_satisfied_by(credentials):
        needed = {query_id for query_id in expected.query.required_ids if query_id not in credentials}
        raise _blamed([failure for failure in failures if failure.query_id in needed], failures)
    # 11.
    agreed = _validate_agreed(expected.transaction_data, credentials, failures)
    passed = _passed([credential for _, (credential, _) in good], [name for _, (_, name) in good], agreed, now)
    return ValidatedResponse(credentials, (*passed, *discarded_checks(failures)), _SEAL, agreed)


def _validate_agreed(
    entries: Sequence[TransactionData],
    credentials: Mapping[QueryId, Sequence[PresentedCredential]],
    failures: Sequence[VerificationError],
) -> tuple[QueryId, ...]:
    """Return which query's answer agreed to each entry (11.); what was discarded agrees to nothing."""
    presented = [
        PresentedBinding(query_id, one.key_binding) for query_id, several in credentials.items() for one in several
    ]
    try:
        return validate_agreement(entries, presented)
    except VerificationError as exc:
        exc.others = tuple(failures)
        raise


def _look_at(
    text: str, query: CredentialQuery, expected: Expectation, now: datetime
) -> tuple[PresentedCredential, str] | VerificationError:
    """Return what one presentation proves and which listed issuer may say so, or why it is discarded (2. to 10.)."""
    try:
        try:
            credential = _validate_presentation(text, query, expected, now)
            # 10.
            return credential, validate_permitted(credential, expected.may_issue, now)
        except VerificationError as exc:
            if exc.step not in _REFUSE_ALL:
                _require_this_request(text, query, expected)
            raise
    except VerificationError as exc:
        # 8.6: "If any of the checks related to an individual Presentation fail, the effected Presentation MUST be
        # discarded."
        exc.query_id = query.id
        # vp-8.6-discarded
        return exc


def _require_this_request(text: str, query: CredentialQuery, expected: Expectation) -> None:
    """Check of a presentation that failed before check 6 that it was made for this request (6.)."""
    try:
        if query.format == spec.FORMAT_SD_JWT_VC:
            require_nonce_of_sd_jwt(text, expected.nonce, required=query.holder_binding)
        elif expected.session_transcript is not None:
            require_session_of_mdoc(text, expected.session_transcript)
    except HolderBindingError as exc:
        raise check_failed(CheckStep.HOLDER_PRESENT, exc.description, exc) from exc


def _blamed(candidates: Sequence[VerificationError], failures: Sequence[VerificationError]) -> VerificationError:
    """Return the failure that is the reason: of ``candidates`` the first in the list of checks. The others go with it.

    Where no presentation failed that was needed, the one that is needed did not come.
    """
    missing = QueryNotSatisfied(
        "a required credential is missing", step=CheckStep.QUERY_ANSWERED, clause="OpenID4VP 6.4.2"
    )
    reason = min(candidates, key=lambda failure: failure.step or 0, default=missing)
    reason.others = tuple(failure for failure in failures if failure is not reason)
    return reason


def presented_paths(
    claims: JsonObject, path: ClaimsPath, gaps: Mapping[ConcretePath, Sequence[int]]
) -> tuple[ConcretePath, ...]:
    """Return the elements of presented ``claims`` that a Claims Path Pointer selects; empty if none.

    Withheld array elements leave no hole, so an index of the query is compared with the index that the element had in
    the signed credential, which ``gaps`` tells.
    """
    # Most paths are one name.
    if len(path) == 1 and isinstance(name := path[0], str):
        return ((name,),) if name in claims else ()
    try:
        if not gaps or not any(isinstance(part, int) for part in path):
            return resolve(claims, path)
        found = resolve(claims, tuple(None if isinstance(part, int) else part for part in path))
    except MalformedError:
        return ()
    return tuple(concrete for concrete in found if _at_asked_indices(concrete, path, gaps))


def validate_claims(
    query: CredentialQuery, claims: JsonObject, gaps: Mapping[ConcretePath, Sequence[int]]
) -> tuple[ConcretePath, ...]:
    """Return the elements of presented ``claims`` that answer ``query`` (check 9 for one presentation).

    Raises:
        QueryNotSatisfied: no claim set is there whole, or a value is not one that was asked for.
    """
    return _validate_found(query, claims, _find_claims([query], claims, gaps))


def _find_claims(
    queries: Iterable[CredentialQuery], claims: JsonObject, gaps: Mapping[ConcretePath, Sequence[int]]
) -> dict[int, tuple[ConcretePath, ...]]:
    """Return what of presented ``claims`` is at the path of each Claims Query, by its identity.

    Its identity, for claim_sets hold the very same queries, and hashing them is dearer than resolving their paths.
    """
    return {id(claim): presented_paths(claims, claim.path, gaps) for query in queries for claim in query.claims}


def _validate_found(
    query: CredentialQuery, claims: JsonObject, found: Mapping[int, tuple[ConcretePath, ...]]
) -> tuple[ConcretePath, ...]:
    answers = {
        id(claim): found[id(claim)] if claim.values is None else _accepted(claim, found[id(claim)], claims)
        for claim in query.claims
    }
    missing = {claim for claim, paths in answers.items() if not paths}
    # 6.4.1, 14.9: the Verifier "MUST NOT rely on the Wallet to enforce these constraints".
    # dcql-6.4.1-checked
    if query.claim_sets and not any(missing.isdisjoint(map(id, option)) for option in query.claim_sets):
        raise QueryNotSatisfied(
            "a claim that was asked for is missing or has another value",
            step=CheckStep.QUERY_ANSWERED,
            clause="OpenID4VP 6.4.1",
        )
    return tuple(dict.fromkeys([path for paths in answers.values() for path in paths]))


def _validate_presentation(
    text: str, query: CredentialQuery, expected: Expectation, now: datetime
) -> PresentedCredential:
    if query.format == spec.FORMAT_MDOC:
        return _validate_mdoc(text, query, expected, now)
    if query.format != spec.FORMAT_SD_JWT_VC:
        raise check_failed(CheckStep.ANSWER_FITS_REQUEST, "the answer has a format that is not verified here")
    try:
        sd_jwt = parse_sd_jwt(text)
        chain = sd_jwt.x5c()
    except MalformedError as exc:
        raise check_failed(CheckStep.ANSWER_FITS_REQUEST, exc.description, exc) from exc
    certificate = trusted_issuer(chain, expected.verify_chain, now)
    credential = _verify(sd_jwt, certificate.public_key, query, expected, now)
    # vp-8.6-speaks-for
    validate_issuer(credential, certificate)
    validate_audience(credential, expected.client_id)
    # 7.
    finding = find_status(credential.status, certificate, spec.STATUS_LIST_JWT_MEDIA_TYPE, expected.verify_status, now)
    # 9. before 8, whose rule needs to know what kind of credential this is. Our own type metadata tell which types
    # extend an asked one, never the credential.
    # dcql-B.3.5-type
    if not query.accepts_type(credential.vct, expected.supertypes):
        raise QueryNotSatisfied(
            "the credential is of another type", step=CheckStep.QUERY_ANSWERED, clause="OpenID4VP B.3.5"
        )
    _validate_authorities(query, chain, certificate, expected, now)
    # 6.4: more than one query may ask for the same credential, so what any of them asks for may come with it.
    asking = [entry for entry in expected.query.credentials if _asks_for(entry, credential, expected)]
    found = _find_claims(asking, credential.claims, credential.gaps)
    _validate_disclosed(credential, found.values())
    paths = _validate_found(query, credential.claims, found)
    return PresentedCredential(
        format=query.format,
        type=credential.vct,
        claims=project(credential.claims, paths),
        issuer=credential.issuer,
        issuer_name=certificate.name,
        valid_until=credential.expires_at,
        holder_bound=credential.key_binding is not None,
        certificate=certificate,
        status=finding,
        key_binding=credential.key_binding,
    )


def _validate_mdoc(text: str, query: CredentialQuery, expected: Expectation, now: datetime) -> PresentedCredential:
    transcript = expected.session_transcript
    if transcript is None:
        raise check_failed(CheckStep.ANSWER_FITS_REQUEST, "an mdoc cannot be verified here")
    try:
        presented = mdoc.verify_presentation(
            text,
            doc_type=DocType(query.types[0]),
            session_transcript=transcript,
            verify_chain=expected.verify_mdoc_chain,
            now=now,
            leeway=expected.leeway,
        )
        claims: JsonObject = {**claims_to_json(presented.mdoc.claims)}
    except (VerificationError, MalformedError) as exc:
        raise check_failed(mdoc_step_of(exc), exc.description, exc) from exc
    # 7. ISO/IEC 18013-5, second edition: the lists of mdocs are CWTs.
    status = None if presented.mdoc.status is None else dict(presented.mdoc.status)
    finding = find_status(status, presented.certificate, spec.STATUS_LIST_CWT_MEDIA_TYPE, expected.verify_status, now)
    # 9.
    chain = [presented.certificate.leaf.public_bytes(Encoding.DER)] if query.trusted_authorities else ()
    _validate_authorities(query, chain, presented.certificate, expected, now)
    _validate_elements(presented.mdoc, expected.query)
    return PresentedCredential(
        format=query.format,
        type=presented.mdoc.doc_type,
        claims=project(claims, validate_claims(query, claims, {})),
        issuer=None,
        issuer_name=presented.certificate.name,
        valid_until=presented.mdoc.validity.valid_until,
        holder_bound=True,
        certificate=presented.certificate,
        status=finding,
    )


def mdoc_step_of(error: VerificationError | MalformedError) -> CheckStep:
    """Return the check to which a step of ``formats.mdoc.verifier.verify_document`` belongs."""
    if isinstance(error, HolderBindingError):
        return CheckStep.HOLDER_PRESENT
    if isinstance(error, UntrustedError) or (isinstance(error, VerificationError) and error.step is None):
        return CheckStep.ISSUER_TRUSTED
    return _MDOC_STEPS.get(getattr(error, "step", None), CheckStep.ANSWER_FITS_REQUEST)


def _validate_elements(presented: VerifiedMdoc, query: DcqlQuery) -> None:
    asked = {
        claim.path
        for entry in query.credentials
        if entry.format == spec.FORMAT_MDOC and presented.doc_type in entry.types
        for claim in entry.claims
    }
    shown = [
        (ns, element) for part in (presented.claims, presented.device_claims) for ns in part for element in part[ns]
    ]
    # 8. For mdocs a claim is a whole data element (7.2).
    # dcql-6.4-only-asked
    if not asked.issuperset(shown):
        raise QueryNotSatisfied(
            "a claim was disclosed that was not asked for", step=CheckStep.ONLY_WHAT_WAS_ASKED, clause="OpenID4VP 6.4"
        )


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


def trusted_issuer(chain: Sequence[bytes], verify_chain: ChainVerifier, now: datetime) -> TrustedCertificate:
    """Return the certificate under which an SD-JWT VC is signed (check 2).

    Raises:
        VerificationError: there is none, or it leads to no anchor.
    """
    # 2. HAIP 6.1.1: the issuer's key comes with a chain in x5c; there is no other way to trust one here.
    # sdjwtvc-3.5-x5c
    if not chain:
        raise UntrustedError("the credential has no certificate", step=CheckStep.ISSUER_TRUSTED, clause="HAIP 6.1.1")
    try:
        return verify_chain(chain, now)
    except (MalformedError, VerificationError) as exc:
        raise check_failed(CheckStep.ISSUER_TRUSTED, exc.description, exc) from exc


def _verify(
    sd_jwt: UnverifiedSdJwt, issuer_key: PublicKey, query: CredentialQuery, expected: Expectation, now: datetime
) -> SdJwtVc:
    # Whether key binding is needed comes from the query, never from the presentation (RFC 9901 7.3, step 1).
    # rfc9901-7.3-policy
    bound = query.holder_binding or sd_jwt.key_binding_jwt is not None
    try:
        if bound:
            verified = verify_sd_jwt_kb(
                sd_jwt,
                issuer_key=issuer_key,
                audience=expected.client_id,
                nonce=expected.nonce,
                now=now,
                leeway=expected.leeway,
            )
        else:
            verified = verify_sd_jwt(sd_jwt, issuer_key=issuer_key, now=now, leeway=expected.leeway)
        return validate_sd_jwt_vc(verified)
    except (VerificationError, MalformedError) as exc:
        raise check_failed(sd_jwt_step_of(exc), exc.description, exc) from exc


def sd_jwt_step_of(error: VerificationError | MalformedError) -> CheckStep:
    """Return the check to which a step of ``verify_sd_jwt_kb`` and ``validate_sd_jwt_vc`` belongs."""
    if isinstance(error, HolderBindingError):
        return CheckStep.HOLDER_PRESENT
    if isinstance(error, Expired | NotYetValid) or getattr(error, "step", None) == 6:
        return CheckStep.WITHIN_VALIDITY
    return CheckStep.ISSUER_SIGNED if getattr(error, "step", None) == 1 else CheckStep.CONTENT_UNCHANGED


def validate_issuer(credential: SdJwtVc, certificate: TrustedCertificate) -> None:
    """Check that the certificate speaks for ``iss`` (check 2). Raises ``UntrustedError``."""
    if credential.issuer is None:
        return
    try:
        validate_issuer_name(certificate, credential.issuer)
    except UntrustedError as exc:
        raise check_failed(CheckStep.ISSUER_TRUSTED, exc.description, exc) from exc


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


def validate_audience(credential: SdJwtVc, client_id: ClientId) -> None:
    """Check that the credential is not meant for others only (check 5). Raises ``VerificationError``."""
    audience = credential.claims.get("aud", client_id)
    # 5. RFC 7519 4.1.3: whoever is not among the audiences of a JWT "MUST" reject it.
    # jose-7519.4.1.3-aud
    if client_id not in (audience if isinstance(audience, list) else [audience]):
        raise check_failed(CheckStep.WITHIN_VALIDITY, "the credential is for another audience")


def _asks_for(query: CredentialQuery, credential: SdJwtVc, expected: Expectation) -> bool:
    return query.format == spec.FORMAT_SD_JWT_VC and query.accepts_type(credential.vct, expected.supertypes)


def _validate_authorities(
    query: CredentialQuery,
    chain: Sequence[bytes],
    certificate: TrustedCertificate,
    expected: Expectation,
    now: datetime,
) -> None:
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


def _validate_disclosed(credential: SdJwtVc, found: Iterable[Sequence[ConcretePath]]) -> None:
    asked = {path for paths in found for path in paths}
    others = [path for path in credential.disclosed if path not in asked]
    # 8. "Wallets MUST NOT send selectively disclosable claims that have not been selected".
    # dcql-6.4-only-asked
    if not all(any(overlap(path, part) for part in asked) for path in others):
        raise QueryNotSatisfied(
            "a claim was disclosed that was not asked for", step=CheckStep.ONLY_WHAT_WAS_ASKED, clause="OpenID4VP 6.4"
        )


def _accepted(claim: ClaimsQuery, paths: Sequence[ConcretePath], claims: JsonObject) -> tuple[ConcretePath, ...]:
    return tuple(path for path in paths if value_matches(claim, value_at(claims, path)))


def _at_asked_indices(concrete: ConcretePath, path: ClaimsPath, gaps: Mapping[ConcretePath, Sequence[int]]) -> bool:
    for position, asked in enumerate(path):
        index = concrete[position]
        if isinstance(asked, int) and isinstance(index, int):
            signed = gaps.get(concrete[:position])
            if (signed[index] if signed is not None else index) != asked:
                return False
    return True


def project(value: JsonObject, paths: Sequence[ConcretePath]) -> JsonObject:
    """Return only the elements of ``value`` at ``paths``, and what they hang from."""
    picked = _pick(value, paths)
    return picked if isinstance(picked, dict) else {}


def _pick(value: Json, paths: Sequence[ConcretePath]) -> Json:
    if () in paths:
        return value
    tails: dict[str | int, list[ConcretePath]] = {}
    for path in paths:
        tails.setdefault(path[0], []).append(path[1:])
    if isinstance(value, dict):
        return {
            name: element if () in tails[name] else _pick(element, tails[name])
            for name, element in value.items()
            if name in tails
        }
    if isinstance(value, list):
        return [_pick(element, tails[index]) for index, element in enumerate(value) if index in tails]
    return {}


def _passed(
    presented: Sequence[PresentedCredential], permitted: Sequence[str], agreed: Sequence[QueryId], now: datetime
) -> tuple[Check, ...]:
    until = [credential.valid_until for credential in presented if credential.valid_until is not None]
    details: dict[CheckStep, str] = {
        CheckStep.ISSUER_TRUSTED: _each_once([credential.issuer_name for credential in presented], ", "),
        CheckStep.WITHIN_VALIDITY: f"until {min(until).date().isoformat()}" if until else "",
        CheckStep.HOLDER_PRESENT: "" if all(c.holder_bound for c in presented) else "not asked for",
        CheckStep.NOT_WITHDRAWN: _each_once([status_said(one.status, now) for one in presented], "; "),
        CheckStep.QUERY_ANSWERED: f"{len(presented)} credential(s)",
        CheckStep.ISSUER_PERMITTED: _each_once([name or "no list used" for name in permitted], ", "),
    }
    if agreed:
        details[CheckStep.TRANSACTION_AGREED] = f"{len(agreed)} with {_each_once(agreed, ', ')}"
    return passed_checks(details, {credential.format for credential in presented})


def _each_once(texts: Sequence[str], between: str) -> str:
    return between.join(dict.fromkeys(texts))


def status_said(finding: StatusFinding, now: datetime) -> str:
    """Return what check 7 found of one credential, with the age of what it was found in."""
    age = "" if finding.checked_at is None else age_said(now - finding.checked_at)
    if finding.status == "none":
        return "the credential has no status list"
    if finding.status == "valid":
        return f"checked {age} ago"
    return f"the status could not be looked up{f'; the last list is {age} old' if age else ''}; the policy accepts that"
