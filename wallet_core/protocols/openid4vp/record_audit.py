"""Auditing a verification record, years later and without its maker (``specs/verification-record.md`` section 4).

The invariant: a finding is ``ok`` only if what it says was recomputed from the record and what the auditor brought;
what could not be looked into says so.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Final, TypeAlias

from wallet_core import spec_versions as spec
from wallet_core.catalogue.policy import MAX_STATUS_AGE_HOURS
from wallet_core.encoding import base64url
from wallet_core.errors import UntrustedError, VerificationError, WalletError
from wallet_core.formats.sd_jwt.disclosure import open_disclosures
from wallet_core.jose import jws
from wallet_core.protocols.openid4vp.checks import CHECKS, CheckStep
from wallet_core.protocols.openid4vp.client_id import ClientIdPrefix, parse_client_id
from wallet_core.protocols.openid4vp.dcql import CredentialQuery
from wallet_core.protocols.openid4vp.matching import value_matches
from wallet_core.protocols.openid4vp.record import ParsedRecord, asks_for, parse_record
from wallet_core.protocols.openid4vp.record_question import expectation_of
from wallet_core.protocols.openid4vp.record_reading import (
    CLAUSE,
    RecordContent,
    read_number,
    read_object,
    read_objects,
    read_texts,
    read_time,
)
from wallet_core.protocols.openid4vp.validation import validate_vp_token
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.policy import IssuerPolicy, create_issuer_policy
from wallet_core.trust.status_list.judging import NO_STATUS, StatusFinding
from wallet_core.trust.trust_list import verify_trust_list
from wallet_core.trust.x509 import TrustedCertificate, parse_x5c, validate_dns_name, verify_chain, x509_hash
from wallet_core.types import CredentialIssuerId, Json, JsonObject, QueryId

LEEWAY: Final = timedelta(seconds=60)
"""How far two clocks may differ: a list signer's and the relying party's, the relying party's and the auditor's."""

REQUIRED_CHECKS: Final = tuple((int(step), name) for step, (name, _) in CHECKS.items() if step <= 10)
"""Numbers and names of the checks that every record of version 1 has; later ones may follow."""

_AGREED: Final = (int(CheckStep.TRANSACTION_AGREED), CHECKS[CheckStep.TRANSACTION_AGREED][0])

_PURPOSES: Final = {
    spec.FORMAT_SD_JWT_VC: AnchorPurpose.CREDENTIAL_ISSUER,
    spec.FORMAT_MDOC: AnchorPurpose.MDL_ISSUER,
}


class AuditStep(IntEnum):
    """The numbers of what an audit looks into."""

    FORM = 1
    SEAL = 2
    WHO_ASKED = 3
    TIMES = 4
    CHECKS = 5
    QUESTION_ANSWERED = 6
    ISSUERS = 7
    STATUS = 8
    SHOWN_CLAIMS = 9
    TRUST_LIST = 10
    PRESENTATIONS = 11


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found at one step: ``ok`` None means that it was not reached or that there was nothing to look into."""

    step: AuditStep
    ok: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found, and what the record says; ``payload`` counts only if the first two steps are ok."""

    findings: tuple[Finding, ...]
    payload: JsonObject
    claims: JsonObject = field(default_factory=dict)

    @property
    def refused_at(self) -> Finding | None:
        """The first step that failed; None if the record stands."""
        return next((one for one in self.findings if one.ok is False), None)


@dataclass(frozen=True, slots=True)
class Brought:
    """What the auditor brings.

    Attributes:
        anchors: roots: of access certificates at least; those of issuers and of trust lists are used if there are any.
        trust_lists: trust lists as they were signed.
        presentations: presentations that somebody kept.
    """

    anchors: TrustAnchors
    trust_lists: Sequence[str] = ()
    presentations: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Open:
    """What a look returns that could not look into its step, and why. A text means that it did, and what it found."""

    why: str


_Look: TypeAlias = Callable[[], str | _Open]


def audit_record(text: str, brought: Brought, *, now: datetime) -> Audit:
    """Return what is to be said of a verification record.

    Steps:
        1. It has the form of version 1.
        2. Its signature is by the key of a certificate that leads to a root for access certificates, when it was sealed
           and when the answer came.
        3. The question in it was asked under this certificate.
        4. Its times follow each other.
        5. Every check is there, and they say what the result says.
        6. The answer has what was asked, from the types that were asked for.
        7. Each issuer's certificate was good then; where roots of issuers are brought, it leads to one.
        8. The status of each credential was looked up in a list that was fresh enough for the policy.
        9. Claims that are shown belong to the record and were asked for, with a value that was asked for.
        10. A trust list that is brought is the one that counted, and permits the issuers.
        11. A presentation that is brought is one of the answer, and holds for this question at that time.

    Steps 3 to 11 are all looked into; after a failure at 1 or 2 nothing else is.
    """
    # 1.
    try:
        parsed = parse_record(text)
        record = RecordContent.of(parsed)
    except WalletError as exc:
        return Audit(_stopped(AuditStep.FORM, exc), {})
    # 2.
    try:
        leaf = _verify_seal(parsed, record, brought, now)
    except WalletError as exc:
        return Audit((Finding(AuditStep.FORM, True, record.said), *_stopped(AuditStep.SEAL, exc)), record.payload)
    auditor = _Auditor(record, leaf, brought, now)
    findings = [
        Finding(AuditStep.FORM, True, record.said),
        Finding(AuditStep.SEAL, True, f"sealed by {leaf.name} at {_said(record.sealed_at)}"),
        *(_found(step, look) for step, look in auditor.steps()),
    ]
    return Audit(tuple(findings), record.payload, auditor.claims)


def _found(step: AuditStep, look: _Look) -> Finding:
    try:
        found = look()
    except WalletError as exc:
        return Finding(step, False, exc.description)
    return Finding(step, None, found.why) if isinstance(found, _Open) else Finding(step, True, found)


def _stopped(step: AuditStep, error: WalletError) -> tuple[Finding, ...]:
    later = (Finding(each, None, "not reached") for each in AuditStep if each > step)
    return (Finding(step, False, error.description), *later)


def _verify_seal(parsed: ParsedRecord, record: RecordContent, brought: Brought, now: datetime) -> TrustedCertificate:
    chain = parse_x5c(parsed.unverified.header.get("x5c"))
    leaf = verify_chain(chain, brought.anchors, purpose=AnchorPurpose.VERIFIER_ACCESS, at=record.sealed_at)
    # record-4-certificate-then
    verify_chain(chain, brought.anchors, purpose=AnchorPurpose.VERIFIER_ACCESS, at=record.received_at)
    # record-4-seal
    jws.verify(parsed.unverified, leaf.public_key, typ=spec.TYP_VERIFICATION_RECORD)
    # record-4-future
    if record.sealed_at > now + LEEWAY:
        raise _refused("the record was sealed in the future")
    return leaf


@dataclass(slots=True)
class _Auditor:
    record: RecordContent
    leaf: TrustedCertificate
    brought: Brought
    now: datetime
    claims: JsonObject = field(default_factory=dict)
    _made: IssuerPolicy | None = None

    def steps(self) -> Iterator[tuple[AuditStep, _Look]]:
        """Return steps 3 to 11, each with the look into it."""
        yield AuditStep.WHO_ASKED, self.who_asked
        yield AuditStep.TIMES, self.times
        yield AuditStep.CHECKS, self.checks
        yield AuditStep.QUESTION_ANSWERED, self.question
        yield AuditStep.ISSUERS, self.issuers
        yield AuditStep.STATUS, self.status
        yield AuditStep.SHOWN_CLAIMS, self.shown
        yield AuditStep.TRUST_LIST, self.trust_list
        yield AuditStep.PRESENTATIONS, self.presentations

    def who_asked(self) -> str:
        # 3.
        call = self.record.dc_api
        # record-4-origin
        if call is not None and call.get("origin") not in read_texts(self.record.parameters.get("expected_origins")):
            raise UntrustedError("the answer came from a page where nobody asked", clause=CLAUSE)
        named = self.record.parameters.get("client_id")
        if named is None:
            return "the question names nobody: it was asked from the party's own page"
        client_id = parse_client_id(named)
        if client_id.prefix is ClientIdPrefix.X509_SAN_DNS:
            validate_dns_name(self.leaf, client_id.rest)
        # record-4-who-asked
        elif client_id.prefix is ClientIdPrefix.X509_HASH and client_id.rest != x509_hash(self.leaf.chain[0]):
            raise UntrustedError("the question was asked under another certificate", clause=CLAUSE)
        # A certificate without a number says nothing of the one that was attested.
        attested = client_id.prefix is ClientIdPrefix.VERIFIER_ATTESTATION
        # record-4-attested-number
        if attested and self.leaf.organization_id not in {None, client_id.rest}:
            raise UntrustedError("the question was asked under the number of somebody else", clause=CLAUSE)
        return f"{self.leaf.name} asked as {client_id.full}"

    def times(self) -> str:
        # 4.
        record = self.record
        order = (record.asked_at, record.received_at, record.ended_at, record.sealed_at)
        # record-4-times
        if list(order) != sorted(order) or record.received_at > record.expires_at:
            raise _refused("the times of the record do not follow each other")
        return f"asked {_said(record.asked_at)}, answered {_said(record.received_at)}"

    def checks(self) -> str:
        # 5.
        listed = read_objects(self.record.payload.get("checks"))
        results = [one.get("ok") for one in listed]
        refusal = read_object(self.record.payload, "result").get("error")
        # record-4-declined
        if self.record.state == "refused" and not listed and not self.record.presentations:
            return f"the wallet sent no presentation: {refusal}"
        found = [(one.get("step"), one.get("name")) for one in listed]
        count = len(REQUIRED_CHECKS) + (found[len(REQUIRED_CHECKS) : len(REQUIRED_CHECKS) + 1] == [_AGREED])
        # record-4-transaction
        if "transaction_data" in self.record.parameters and refusal is None and _AGREED not in found[:count]:
            raise _refused("nobody checked whether the transaction was agreed to")
        # After the numbered checks come those at which single presentations were discarded (OpenID4VP 8.6).
        discarded = results[count:]
        # record-4-every-check
        if tuple(found[: len(REQUIRED_CHECKS)]) != REQUIRED_CHECKS or any(ok is not False for ok in discarded):
            raise _refused("a check is missing or out of its place")
        results = results[:count]
        failing = results.index(False) if False in results else count
        # record-4-checks-agree
        if any(ok is not True for ok in results[:failing]) or True in results[failing:]:
            raise _refused("a check was passed over")
        # record-4-result
        if (self.record.state != "refused" and failing < count) or (
            self.record.state == "refused" and failing == count and refusal != "access_denied"
        ):
            raise _refused("the result is not what the checks say")
        return f"{count} checks" if failing == count else f"refused at check {listed[failing]['step']}"

    def question(self) -> str | _Open:
        # 6.
        record = self.record
        if not record.credentials:
            # record-4-nothing-verified
            if record.state in {"verified", "expired"}:
                raise _refused("nothing was verified")
            return _Open("no credential was accepted")
        for name, _, one in record.places:
            asked = record.query.credential(name)
            # record-4-asked-for
            if asked is None or one.get("format") != asked.format or not self._is_of_type(asked, one):
                raise _refused("a credential was not asked for")
            # record-4-holder
            if asked.holder_binding and one.get("holder_bound") is not True:
                raise _refused("nobody proved to hold a credential")
        sizes = {name: len(several) for name, several in record.credentials.items()}
        # record-4-every-credential
        if any(size > len(record.presentations.get(name, ())) for name, size in sizes.items()):
            raise _refused("there are more credentials than presentations")
        # record-4-satisfied
        if not record.query.is_satisfied_by(record.credentials):
            raise _refused("a required credential is missing")
        return f"{sum(sizes.values())} credential(s), as asked"

    def _is_of_type(self, asked: CredentialQuery, one: JsonObject) -> bool:
        return asked.accepts_type(str(one.get("type")), self._supertypes())

    def _supertypes(self) -> Mapping[str, frozenset[str]]:
        """Return which types the relying party knew to extend which others."""
        return {
            name: frozenset(read_texts(above)) for name, above in read_object(self.record.payload, "extends").items()
        }

    def issuers(self) -> str | _Open:
        # 7.
        if not self.record.credentials:
            return _Open("no credential was accepted")
        known = [self._issuer(one) for _, _, one in self.record.places]
        names = ", ".join(dict.fromkeys(str(one.get("issuer_name")) for _, _, one in self.record.places))
        return names if all(known) else _Open(f"{names}: bring the roots of issuers (--trust) to look into it")

    def _issuer(self, one: JsonObject) -> TrustedCertificate | None:
        purpose = _PURPOSES.get(str(one.get("format")))
        chain, at = parse_x5c(one.get("x5c")), self.record.received_at
        if purpose is None or not self._policy().anchors.certificates(purpose):
            return None
        certificate = verify_chain(chain, self._policy().anchors, purpose=purpose, at=at)
        # record-4-same-anchor
        if one.get("anchor_sha256") != base64url.encode(certificate.anchor_sha256):
            raise UntrustedError("the certificate of an issuer leads to another root than it did then", clause=CLAUSE)
        return certificate

    def status(self) -> str | _Open:
        # 8.
        found = [self._status(read_object(one, "status")) for _, _, one in self.record.places]
        if not found:
            return _Open("no credential was accepted")
        return "; ".join(dict.fromkeys(found))

    def _status(self, status: JsonObject) -> str:
        rule, at = read_object(self.record.payload, "status_rule"), self.record.received_at
        match status.get("status"):
            case "none":
                return "the credential has no status list"
            case "unknown":
                # record-4-unknown-status
                if rule.get("unknown") == "refuse":
                    raise _refused("a status was unknown, which the policy does not accept")
                return "the status was unknown, which the policy accepts"
            case "valid":
                seen, fetched = read_object(status, "list"), read_time(status, "fetched_at")
                hours = read_number(rule, "max_age_hours", most=MAX_STATUS_AGE_HOURS)
                oldest = at - timedelta(hours=hours, seconds=1)
                # record-4-status-age
                if not oldest <= fetched <= at or read_time(seen, "iat") > fetched + LEEWAY:
                    raise _refused("the status list was too old, or not there yet")
                # record-4-status-ended
                if seen.get("exp") is not None and read_time(seen, "exp") <= at:
                    raise _refused("the status list had ended")
                return f"valid in {seen.get('uri')} of {_said(read_time(seen, 'iat'))}"
            case _:
                raise _refused("the status of a credential is not one that is accepted")

    def shown(self) -> str | _Open:
        # 9.
        # record-4-disclosures
        opened = open_disclosures(self.record.payload, self.record.disclosures)
        credentials = read_object(opened.claims, "credentials") if self.record.credentials else {}
        shown: JsonObject = {}
        for name, several in credentials.items():
            query = self.record.query.credential(name)
            claims = [read_object(one, "claims") for one in read_objects(several) if one.get("claims") is not None]
            for each in claims if query is not None else ():
                self._as_asked(query, each)
            shown[name] = [*claims]
        self.claims = shown
        count = len(self.record.disclosures)
        return f"{count} claim(s) shown" if count else _Open("no claim is shown: the record has only their digests")

    @staticmethod
    def _as_asked(query: CredentialQuery | None, claims: JsonObject) -> None:
        asked = () if query is None else query.claims
        for path, value in _leaves(claims):
            fitting = [claim for claim in asked if asks_for(path, claim.path)]
            # record-4-shown-asked
            if not fitting:
                raise _refused("a claim is shown that was not asked for")
            exact = [claim for claim in fitting if claim.path == path]
            # record-4-shown-value
            if exact and not any(value_matches(claim, value) for claim in exact):
                raise _refused("a claim has a value that was not asked for")

    def trust_list(self) -> str | _Open:
        # 10.
        counted = read_object(self.record.payload, "trust").get("list")
        if not self.brought.trust_lists:
            if counted is None:
                return _Open("no trust list was used")
            number = read_object(read_object(self.record.payload, "trust"), "list").get("sequence_number")
            return _Open(f"list {number} counted; bring it (--trust) to look into it")
        if not isinstance(counted, dict):
            raise _refused("no trust list counted then")
        digests = [base64url.encode(hashlib.sha256(_payload(text)).digest()) for text in self.brought.trust_lists]
        # record-4-same-list
        if counted.get("sha256") not in digests:
            raise _refused("another trust list counted then")
        for _, _, one in self.record.places:
            certificate = self._issuer(one)
            issuer = one.get("issuer")
            if certificate is not None:
                # record-4-permitted
                self._policy().validate_may_issue(
                    certificate,
                    issuer=None if issuer is None else CredentialIssuerId(str(issuer)),
                    format=str(one.get("format")),
                    type=str(one.get("type")),
                    at=self.record.received_at,
                )
        return f"list {counted.get('sequence_number')} counted, and permits the issuers"

    def presentations(self) -> str | _Open:
        # 11.
        if not self.brought.presentations:
            return _Open("bring presentations that were kept (--presentation) to look into them")
        recorded = {digest for several in self.record.presentations.values() for digest in several}
        brought = {
            base64url.encode(hashlib.sha256(text.encode()).digest()): text for text in self.brought.presentations
        }
        # record-4-same-presentation
        if not recorded.issuperset(brought):
            raise _refused("a presentation is not of this answer")
        if self.record.state == "refused":
            return "of this answer, which was refused"
        purposes = {_PURPOSES.get(str(one.get("format"))) for _, _, one in self.record.places}
        if not all(each is not None and self._policy().anchors.certificates(each) for each in purposes):
            return "of this answer; bring the roots of issuers (--trust) to verify them again"
        if len(brought) != len(recorded):
            return "of this answer; bring every one of it to verify them again"
        # Records of an earlier version do not say how a page brought the answer.
        if self.record.dc_api is None and "response_uri" not in self.record.parameters:
            return "of this answer; the record does not say from which page it came, so it is not verified again"
        # One text may have answered several queries.
        self._verify_again(
            {QueryId(name): [brought[each] for each in several] for name, several in self.record.presentations.items()}
        )
        return f"{len(self.brought.presentations)} presentation(s) of this answer, verified again"

    def _verify_again(self, answered: Mapping[QueryId, Sequence[str]]) -> None:
        expected = expectation_of(
            self.record.parameters,
            self.record.dc_api,
            self._policy().anchors,
            supertypes=self._supertypes(),
            # Step 8 looked at what the record says of it; the lists of that day are gone.
            verify_status=_looked_at,
        )
        # record-4-verified-again
        validate_vp_token(answered, expected, now=self.record.received_at)

    def _policy(self) -> IssuerPolicy:
        """Return whom the auditor's files let issue what, as of the answer."""
        if self._made is not None:
            return self._made
        at, anchors = self.record.received_at, self.brought.anchors
        # The grace that a relying party grants a list is its own choice; the record says which list it relied on.
        grace = timedelta(days=30)
        lists = [verify_trust_list(text, anchors, at=at, grace=grace).content for text in self.brought.trust_lists]
        self._made = create_issuer_policy(anchors, lists, grace=grace)
        return self._made


def _looked_at(*_asked: object) -> StatusFinding:
    return NO_STATUS


def _payload(text: str) -> bytes:
    return jws.parse(text.strip(), what="trust list", max_characters=len(text) + 1).payload


def _leaves(claims: JsonObject, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Json]]:
    for name, value in claims.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*before, name))
        elif value != {}:
            # What is left of an object whose claims are all hidden is no claim.
            yield (*before, name), value


def _refused(description: str) -> VerificationError:
    return VerificationError(description, clause=CLAUSE)


def _said(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
