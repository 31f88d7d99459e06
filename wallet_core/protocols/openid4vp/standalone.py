"""Verifying what nobody asked for: a credential or presentation that comes as a file, a text or a QR code.

The checks and their numbers are those of an answer (``checks``); the ones that compare with a request stay open. The
invariant: only :func:`verify_given` makes a :class:`VerifiedGiven`, and it says of the holder only what was proven.
"""

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeAlias

from wallet_core import spec_versions as spec
from wallet_core.encoding import base64url, cbor
from wallet_core.encoding.claims_path import ConcretePath
from wallet_core.errors import (
    HolderBindingError,
    InvalidRequest,
    MalformedError,
    QueryNotSatisfied,
    VerificationError,
)
from wallet_core.formats.mdoc.document import UnverifiedDeviceResponse, UnverifiedDocument, parse_device_response
from wallet_core.formats.mdoc.session_transcript import openid4vp_transcript
from wallet_core.formats.mdoc.structures import UnverifiedIssuerSigned, parse_issuer_signed, parse_mso
from wallet_core.formats.mdoc.verifier import (
    LEEWAY,
    claims_to_json,
    only_document,
    verify_document,
    verify_issuer_signed,
)
from wallet_core.formats.sd_jwt.json_serialization import parse_sd_jwt_json
from wallet_core.formats.sd_jwt.vc import NEVER_HIDDEN
from wallet_core.formats.sd_jwt.verifier import (
    MAX_SD_JWT_CHARACTERS,
    UnverifiedSdJwt,
    parse_sd_jwt,
)
from wallet_core.protocols.openid4vp.authorities import is_certified_as_asked
from wallet_core.protocols.openid4vp.checks import (
    CHECKS,
    WHERE_ASKED,
    Check,
    CheckStep,
    ListCopy,
    check_failed,
    clauses_of,
)
from wallet_core.protocols.openid4vp.dcql import DcqlQuery
from wallet_core.protocols.openid4vp.mdoc import trusted_signer
from wallet_core.protocols.openid4vp.presented import (
    ChainVerifier,
    IssuerPermission,
    PresentedCredential,
    TrustListsOf,
    find_status,
    on_no_list,
    status_said,
    validate_permitted,
)
from wallet_core.protocols.openid4vp.validation_claims import project, validate_claims
from wallet_core.protocols.openid4vp.validation_mdoc import mdoc_step_of
from wallet_core.protocols.openid4vp.validation_sd_jwt import (
    trusted_issuer,
    validate_audience,
    validate_issuer,
    verify_signed,
)
from wallet_core.trust.status_list.judging import StatusVerifier
from wallet_core.trust.x509 import TrustedCertificate, validate_issuing_country
from wallet_core.types import ClientId, DocType, JsonObject, Nonce, SessionTranscript

MAX_BYTES: Final = MAX_SD_JWT_CHARACTERS
"""Bytes of what is looked at: the longest SD-JWT; an mdoc with a portrait is shorter."""

Given: TypeAlias = UnverifiedSdJwt | UnverifiedIssuerSigned | UnverifiedDeviceResponse
"""What can be verified without a request. Nothing in it is to be believed yet."""

_SEAL: Final = object()
_STEPS: Final = tuple(step for step in CheckStep if step not in WHERE_ASKED)
_NOT_ABOUT_THE_PERSON: Final = NEVER_HIDDEN | {"iat", "aud"}
_NO_REQUEST: Final = "not checked: there is no request to compare with"
_WITHOUT_REQUEST: Final = frozenset(
    {CheckStep.ANSWER_FITS_REQUEST, CheckStep.ONLY_WHAT_WAS_ASKED, CheckStep.QUERY_ANSWERED}
)


class GivenKind(StrEnum):
    """What it is that came."""

    SD_JWT_VC = "sd_jwt_vc"
    SD_JWT_KB = "sd_jwt_kb"
    ISSUER_SIGNED = "mdoc_issuer_signed"
    DEVICE_RESPONSE = "mdoc_device_response"

    @property
    def is_mdoc(self) -> bool:
        """Whether it is an mdoc."""
        return self in {GivenKind.ISSUER_SIGNED, GivenKind.DEVICE_RESPONSE}

    @property
    def is_presentation(self) -> bool:
        """Whether a holder's proof is in it."""
        return self in {GivenKind.SD_JWT_KB, GivenKind.DEVICE_RESPONSE}


class HolderProof(StrEnum):
    """Whether the holder showed it: proven, not proven by anybody, or proven perhaps in a session nobody told us of."""

    PROVEN = "proven"
    NOT_PROVEN = "not_proven"
    NOT_CHECKED = "not_checked"


_HOLDER_SAID: Final[Mapping[HolderProof, str]] = {
    HolderProof.PROVEN: "",
    HolderProof.NOT_PROVEN: "nobody proved that the holder showed it",
    HolderProof.NOT_CHECKED: "the holder's proof cannot be checked without nonce and audience of its session",
}


@dataclass(frozen=True, slots=True)
class KnownSession:
    """What the caller knows of the session in which a presentation was made; it was fresh and is the caller's own.

    Attributes:
        audience: full Client Identifier of whoever asked.
        nonce: of the request.
        response_uri: where the answer went; for mdocs.
        jwk_thumbprint: of the key the answer was encrypted with; for mdocs; None if it was not encrypted.
        session_transcript: of an mdoc's session, instead of the four others.
    """

    audience: ClientId | None = None
    nonce: Nonce | None = None
    response_uri: str | None = None
    jwk_thumbprint: bytes | None = None
    session_transcript: SessionTranscript | None = None

    @property
    def is_known(self) -> bool:
        """Whether the caller says anything of a session."""
        return self.nonce is not None or self.session_transcript is not None

    def transcript(self) -> SessionTranscript:
        """Return the session transcript of an mdoc (OpenID4VP B.2.6.1). Raises ``InvalidRequest`` if it is unknown."""
        if self.session_transcript is not None:
            return self.session_transcript
        if self.audience is None or self.nonce is None or self.response_uri is None:
            raise InvalidRequest("the session of an mdoc needs audience, nonce and response_uri, or session_transcript")
        return openid4vp_transcript(
            client_id=self.audience,
            nonce=self.nonce,
            response_uri=self.response_uri,
            jwk_thumbprint=self.jwk_thumbprint,
        )

    def proof(self) -> tuple[ClientId, Nonce]:
        """Return audience and nonce of a Key Binding JWT. Raises ``InvalidRequest`` if one is unknown."""
        if self.audience is None or self.nonce is None:
            raise InvalidRequest("the session of an SD-JWT needs audience and nonce")
        return self.audience, self.nonce


NO_SESSION: Final = KnownSession()
"""What is known of the session in which a bare credential was found: nothing."""


@dataclass(frozen=True, slots=True)
class Demands:
    """What has to hold.

    Attributes:
        verify_chain: whom we trust to issue credentials.
        verify_mdoc_chain: whom we trust to issue mdocs.
        may_issue: which types each of them may issue.
        verify_status: looks up the status of credentials that have one.
        session: what is known of the session it was shown in.
        holder: refuse what its holder did not prove to hold.
        query: of a policy: what it has to answer; then nothing else of it is returned.
        leeway: how far clocks may differ.
        supertypes: the types that a ``vct`` extends, from type metadata that we trust.
        trust_lists: the identifiers of the trust lists on which an issuer stands.
    """

    verify_chain: ChainVerifier
    verify_mdoc_chain: ChainVerifier
    may_issue: IssuerPermission
    verify_status: StatusVerifier
    session: KnownSession = NO_SESSION
    holder: bool = False
    query: DcqlQuery | None = None
    leeway: timedelta = LEEWAY
    supertypes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    trust_lists: TrustListsOf = on_no_list


@dataclass(frozen=True, slots=True)
class VerifiedGiven:
    """What its issuer says, and whether the holder showed it. Only :func:`verify_given` makes one.

    Attributes:
        kind: what it was.
        credential: what may be relied on; ``status`` may be unknown.
        holder: whether the holder showed it.
        permitted: the listed issuer that may issue the type; empty if no list had to be asked.
    """

    kind: GivenKind
    credential: PresentedCredential
    holder: HolderProof
    permitted: str
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        """Refuse to exist without :func:`verify_given`."""
        if seal is not _SEAL:
            raise TypeError("only verify_given makes a VerifiedGiven")


@dataclass(frozen=True, slots=True)
class Copies:
    """Which copies of lists were used, for whoever has to judge how old they are."""

    trust_list: ListCopy | None = None
    status_list: ListCopy | None = None


def recognise(data: bytes) -> Given:
    """Return what ``data`` is: an SD-JWT in compact form or in JSON, an mdoc in CBOR, or one in base64url of CBOR.

    White space around a text is left out: files end with a line feed.

    Raises:
        MalformedError: it is none of them, or one that does not parse.
    """
    if len(data) > MAX_BYTES:
        raise MalformedError(f"the file is larger than {MAX_BYTES} bytes")
    # The first byte of a CBOR map is no character of either text form.
    if data[:1] and 0xA0 <= data[0] <= 0xBF:
        return _mdoc(data)
    if data.lstrip().startswith(b"{"):
        return parse_sd_jwt_json(data)
    try:
        text = data.decode("ascii").strip()
    except UnicodeDecodeError as exc:
        raise MalformedError("this is neither a credential nor a presentation") from exc
    if "~" in text:
        return parse_sd_jwt(text)
    if "://" in text or not base64url.is_alphabet(text):
        raise MalformedError("this is neither a credential nor a presentation", detail="a link, or another text")
    return _mdoc(base64url.decode(text, what="credential"))


def kind_of(given: Given) -> GivenKind:
    """Return the kind of what came."""
    if isinstance(given, UnverifiedSdJwt):
        return GivenKind.SD_JWT_VC if given.key_binding_jwt is None else GivenKind.SD_JWT_KB
    return GivenKind.ISSUER_SIGNED if isinstance(given, UnverifiedIssuerSigned) else GivenKind.DEVICE_RESPONSE


def holder_proof(given: Given, session: KnownSession) -> HolderProof:
    """Return what is known of the holder if every check holds."""
    if session.is_known:
        return HolderProof.PROVEN
    return HolderProof.NOT_CHECKED if kind_of(given).is_presentation else HolderProof.NOT_PROVEN


def verify_given(given: Given, demands: Demands, *, now: datetime) -> VerifiedGiven:
    """Return what a credential or presentation says, if its issuer may say it and nothing refutes it.

    Steps (numbers of :class:`CheckStep`; 1 and 8 need a request):
        1. An mdoc presentation holds one document.
        2. The issuer's certificate leads to an anchor, and speaks for ``iss`` or the issuing country.
        3. The issuer's signature verifies.
        4. Every Disclosure or data element belongs to what was signed.
        5. It is valid now, and not meant for others only.
        6. The holder proved possession in the session that the caller knows; where none is known, nothing is proven.
        7. It is not withdrawn; the caller's ``verify_status`` says what an unknown status means.
        9. It answers the policy's query, if there is one.
        10. The issuer may issue this type.

    Not done here: whether the session was fresh and the caller's own; fetching lists; transaction data.

    Raises:
        VerificationError: a check failed; ``step`` is its number.
        InvalidRequest: the session of the caller lacks what this kind of presentation is bound to.
    """
    found = (
        _verify_sd_jwt(given, demands, now) if isinstance(given, UnverifiedSdJwt) else _verify_mdoc(given, demands, now)
    )
    proof = holder_proof(given, demands.session)
    # 6. A policy that wants the holder gets a refusal, not a remark.
    # vp-14.1.2-holder-wanted
    if demands.holder and proof is not HolderProof.PROVEN:
        raise HolderBindingError(_HOLDER_SAID[proof], step=CheckStep.HOLDER_PRESENT, clause="OpenID4VP 14.1.2")
    # 7.
    status = find_status(found.status, found.certificate, found.list_type, demands.verify_status, now)
    # 9.
    claims = found.claims if demands.query is None else _answer(demands.query, found, demands, now)
    credential = PresentedCredential(
        format=found.format,
        type=found.type,
        claims=claims,
        issuer=found.issuer,
        issuer_name=found.certificate.name,
        valid_until=found.valid_until,
        holder_bound=proof is HolderProof.PROVEN,
        certificate=found.certificate,
        status=status,
    )
    # 10.
    permitted = validate_permitted(credential, demands.may_issue, now)
    return VerifiedGiven(kind_of(given), credential, proof, permitted, _SEAL)


def verified_checks(
    verified: VerifiedGiven, *, asked: bool, accepted: bool, copies: Copies, now: datetime
) -> tuple[Check, ...]:
    """Return the list of checks of what was verified: passed ones, and those that stay open with the reason.

    Args:
        verified: what was verified.
        asked: whether a policy's query was compared.
        accepted: whether the policy accepts an unknown status.
        copies: the lists that were used.
        now: the time, for their age.
    """
    credential = verified.credential
    status = credential.status
    open_status = status.status == "unknown" and not accepted
    until = f"until {credential.valid_until:%Y-%m-%d}" if credential.valid_until else ""
    details = {
        CheckStep.ISSUER_TRUSTED: credential.issuer_name,
        CheckStep.WITHIN_VALIDITY: until,
        CheckStep.HOLDER_PRESENT: _HOLDER_SAID[verified.holder],
        CheckStep.NOT_WITHDRAWN: _said(
            "" if open_status else status_said(status, now), "status list", copies.status_list, now
        ),
        CheckStep.ISSUER_PERMITTED: _said(
            verified.permitted or "no list names the issuer", "trust list", copies.trust_list, now
        ),
    }
    if open_status:
        details[CheckStep.NOT_WITHDRAWN] = (
            f"unknown: {details[CheckStep.NOT_WITHDRAWN] or 'there is no copy of its list'}"
        )
    still_open = _open_steps(verified.holder, asked=asked) | ({CheckStep.NOT_WITHDRAWN} if open_status else set())
    return tuple(
        _check(step, verified.kind, ok=None if step in still_open else True, detail=details.get(step, ""))
        for step in _STEPS
    )


def refused_checks(
    error: VerificationError, given: Given, session: KnownSession, *, asked: bool, copies: Copies, now: datetime
) -> tuple[Check, ...]:
    """Return the list of checks with the one marked at which ``error`` was raised; later ones were not reached."""
    failing = error.step if error.step in set(CheckStep) else CheckStep.ANSWER_FITS_REQUEST
    still_open = _open_steps(holder_proof(given, session), asked=asked)
    said = {
        CheckStep.NOT_WITHDRAWN: _said(error.description, "status list", copies.status_list, now),
        CheckStep.ISSUER_TRUSTED: _said(error.description, "trust list", copies.trust_list, now),
        CheckStep.ISSUER_PERMITTED: _said(error.description, "trust list", copies.trust_list, now),
    }
    checks: list[Check] = []
    for step in _STEPS:
        if step == failing:
            detail = said.get(step, error.description)
            checks.append(_check(step, kind_of(given), ok=False, detail=detail, clause=error.clause))
        else:
            passed = True if step < failing and step not in still_open else None
            checks.append(_check(step, kind_of(given), ok=passed))
    return tuple(checks)


@dataclass(frozen=True, slots=True)
class _Found:
    """What an issuer signed, before it is known whether that still holds."""

    format: str
    type: str
    claims: JsonObject
    issuer: str | None
    valid_until: datetime | None
    status: Any
    list_type: str
    certificate: TrustedCertificate
    gaps: Mapping[ConcretePath, tuple[int, ...]]
    chain: Sequence[bytes]


def _mdoc(data: bytes) -> UnverifiedIssuerSigned | UnverifiedDeviceResponse:
    # An IssuerSigned has no version, a DeviceResponse no issuerAuth.
    if "issuerAuth" in cbor.loads_map(data, what="mdoc"):
        return parse_issuer_signed(data)
    return parse_device_response(data)


def _verify_sd_jwt(given: UnverifiedSdJwt, demands: Demands, now: datetime) -> _Found:
    # 2.
    try:
        chain = given.x5c()
    except MalformedError as exc:
        raise check_failed(CheckStep.ISSUER_TRUSTED, exc.description, exc) from exc
    certificate = trusted_issuer(chain, demands.verify_chain, now)
    # 3. to 6. RFC 9901 7.3, step 1: a Key Binding JWT nobody can check is not looked at, and nothing is said for it.
    proof_for = demands.session.proof() if demands.session.is_known else None
    credential = verify_signed(given, certificate.public_key, proof_for, now=now, leeway=demands.leeway)
    validate_issuer(credential, certificate)
    # 5. Who is nobody in particular is not among the audiences of a credential that has some (RFC 7519 4.1.3).
    validate_audience(credential, demands.session.audience or ClientId(""))
    return _Found(
        format=spec.FORMAT_SD_JWT_VC,
        type=credential.vct,
        claims={name: value for name, value in credential.claims.items() if name not in _NOT_ABOUT_THE_PERSON},
        issuer=credential.issuer,
        valid_until=credential.expires_at,
        status=credential.status,
        list_type=spec.STATUS_LIST_JWT_MEDIA_TYPE,
        certificate=certificate,
        gaps=credential.gaps,
        chain=chain,
    )


def _verify_mdoc(given: UnverifiedIssuerSigned | UnverifiedDeviceResponse, demands: Demands, now: datetime) -> _Found:
    try:
        if isinstance(given, UnverifiedIssuerSigned):
            return _signed_mdoc(given, None, demands, now)
        # 1. Whichever type it names: nobody asked for one.
        document = only_document(given, given.documents[0].doc_type if given.documents else DocType(""))
        return _signed_mdoc(document.issuer_signed, document, demands, now)
    except (VerificationError, MalformedError) as exc:
        raise check_failed(mdoc_step_of(exc), exc.description, exc) from exc


def _signed_mdoc(
    issuer_signed: UnverifiedIssuerSigned, document: UnverifiedDocument | None, demands: Demands, now: datetime
) -> _Found:
    # 2.
    certificate = trusted_signer(issuer_signed.x5chain(), demands.verify_mdoc_chain, now)
    signer_validity = (certificate.valid_from, certificate.valid_until)
    # 3. to 5.
    verified = verify_issuer_signed(
        issuer_signed,
        issuer_key=certificate.public_key,
        doc_type=_doc_type(issuer_signed) if document is None else document.doc_type,
        now=now,
        signer_validity=signer_validity,
        leeway=demands.leeway,
    )
    elements = verified.claims.get(spec.NAMESPACE_MDL, {})
    validate_issuing_country(certificate, elements.get("issuing_country"), elements.get("issuing_jurisdiction"))
    if demands.session.is_known:
        # 6.
        _verify_device(document, certificate, demands, now)
    mso = verified.mso
    return _Found(
        format=spec.FORMAT_MDOC,
        type=mso.doc_type,
        claims={**claims_to_json(verified.claims)},
        issuer=None,
        valid_until=mso.validity.valid_until,
        status=None if mso.status is None else dict(mso.status),
        list_type=spec.STATUS_LIST_CWT_MEDIA_TYPE,
        certificate=certificate,
        gaps={},
        chain=issuer_signed.x5chain(),
    )


def _verify_device(
    document: UnverifiedDocument | None, certificate: TrustedCertificate, demands: Demands, now: datetime
) -> None:
    if document is None:
        raise HolderBindingError("no device has signed it", clause="ISO/IEC 18013-5 9.1.3")
    verify_document(
        document,
        issuer_key=certificate.public_key,
        session_transcript=demands.session.transcript(),
        now=now,
        signer_validity=(certificate.valid_from, certificate.valid_until),
        leeway=demands.leeway,
    )


def _doc_type(issuer_signed: UnverifiedIssuerSigned) -> DocType:
    """Return the type that the issuer signed: alone, an IssuerSigned names it nowhere else, and check 10 judges it."""
    try:
        return parse_mso(issuer_signed.issuer_auth.payload).doc_type
    except MalformedError as exc:
        raise VerificationError(exc.description, step=2, clause=exc.clause) from exc


def _answer(query: DcqlQuery, found: _Found, demands: Demands, now: datetime) -> JsonObject:
    """Return what of the claims the first matching Credential Query asks for (9)."""
    trust_lists = demands.trust_lists(found.certificate, now)
    refusal = QueryNotSatisfied(
        "the policy asks for another kind of credential", step=CheckStep.QUERY_ANSWERED, clause="OpenID4VP 6.4"
    )
    for entry in query.credentials:
        asked = entry.format == found.format and entry.accepts_type(found.type, demands.supertypes)
        if asked and is_certified_as_asked(entry, found.chain, trust_lists):
            try:
                return project(found.claims, validate_claims(entry, found.claims, found.gaps))
            except QueryNotSatisfied as exc:
                refusal = exc
    # dcql-6.4-policy-answered
    raise refusal


def _open_steps(proof: HolderProof, *, asked: bool) -> set[CheckStep]:
    """Return the checks about which nothing can be said."""
    steps = {CheckStep.ANSWER_FITS_REQUEST, CheckStep.ONLY_WHAT_WAS_ASKED}
    if not asked:
        steps.add(CheckStep.QUERY_ANSWERED)
    if proof is not HolderProof.PROVEN:
        steps.add(CheckStep.HOLDER_PRESENT)
    return steps


def _check(step: CheckStep, kind: GivenKind, *, ok: bool | None, detail: str = "", clause: str | None = None) -> Check:
    name, _ = CHECKS[step]
    usual = clauses_of(step, {spec.FORMAT_MDOC if kind.is_mdoc else spec.FORMAT_SD_JWT_VC})
    if ok is None and not detail and step in _WITHOUT_REQUEST:
        detail = _NO_REQUEST
    return Check(step, name, clause or usual, ok, detail)


def _said(text: str, what: str, copy: ListCopy | None, now: datetime) -> str:
    return "; ".join(part for part in (text, "" if copy is None else f"{what} {copy.said(now)}") if part)
