"""Checking a file, a text or a picture: read it, verify it, say how old everything is that the verdict stands on.

Nothing is stored and nothing is logged of what is in it. With ``offline`` no connection is opened: the copies of trust
and status lists in the database count, each for as long as it may, and their age is part of the answer.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from verifier.checks.ports import CheckPorts
from verifier.status.use_cases import KEPT, look_until_known
from wallet_core import spec_versions as spec
from wallet_core.catalogue.policy import Policy, StatusRule
from wallet_core.encoding import base64url
from wallet_core.errors import InvalidRequest, MalformedError, NotFound, VerificationError, WalletError
from wallet_core.formats.mdoc.session_transcript import THUMBPRINT_BYTES
from wallet_core.protocols.openid4vp.checks import Check, ListCopy
from wallet_core.protocols.openid4vp.dcql import DcqlQuery, parse_dcql_query
from wallet_core.protocols.openid4vp.presented import PresentedCredential
from wallet_core.protocols.openid4vp.standalone import (
    NO_SESSION,
    Copies,
    Demands,
    Given,
    GivenKind,
    HolderProof,
    KnownSession,
    VerifiedGiven,
    holder_proof,
    kind_of,
    recognise,
    refused_checks,
    verified_checks,
    verify_given,
)
from wallet_core.protocols.openid4vp.statuses import StatusLook
from wallet_core.trust.status_list.fetching import fetch_aggregation
from wallet_core.trust.status_list.judging import StatusFinding, StatusVerifier
from wallet_core.trust.status_list.reading import ListName
from wallet_core.trust.status_list.reference import parse_status
from wallet_core.trust.x509 import TrustedCertificate
from wallet_core.types import ClientId, Nonce, SessionTranscript

RULE_WITHOUT_POLICY: Final = StatusRule(max_age_hours=int(KEPT.total_seconds()) // 3600, unknown="ask_the_clerk")
"""What holds where no policy is named: any copy counts until its own end, and an unknown status is shown as unknown."""

_PICTURES: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")
"""How a PNG and a JPEG begin; no credential begins like that."""


class FileState(StrEnum):
    """What became of a file: it holds; nothing speaks against it but its status is unknown; a check failed."""

    VERIFIED = "verified"
    NOT_VERIFIED = "not_verified"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class FileOrder:
    """What is to be checked, and how.

    Attributes:
        data: the file, or the text in UTF-8, or a picture of a QR code.
        policy: id of a policy of the catalogue: its query and its rule for the status count.
        offline: open no connection.
        session: what the caller knows of the session it was shown in.
        holder: refuse it unless the holder proved to hold it.
    """

    data: bytes
    policy: str | None = None
    offline: bool = False
    session: KnownSession = NO_SESSION
    holder: bool = False


@dataclass(frozen=True, slots=True)
class FileResult:
    """What is known of a file now.

    Attributes:
        state: the verdict.
        kind: what it was.
        holder: whether the holder showed it.
        credential: what it says; None if it was refused.
        checks: the numbered checks.
        copies: the lists that were used.
        policy_id: the policy that counted.
        offline: whether no connection was opened.
        checked_at: when.
        error: the check that failed; None if none did.
    """

    state: FileState
    kind: GivenKind
    holder: HolderProof
    credential: PresentedCredential | None
    checks: tuple[Check, ...]
    copies: Copies
    policy_id: str | None
    offline: bool
    checked_at: datetime
    error: VerificationError | None = None


@dataclass(frozen=True, slots=True)
class FetchedList:
    """One list that was to be kept for later: the copy, or why there is none."""

    name: ListName
    copy: ListCopy | None
    problem: WalletError | None = None


def known_session(
    nonce: str | None,
    audience: str | None,
    response_uri: str | None,
    jwk_thumbprint: str | None,
    session_transcript: str | None,
) -> KnownSession:
    """Return what is said of the session; empty texts say nothing.

    Raises:
        InvalidRequest: it is said by halves.
        MalformedError: a member is not base64url, or the thumbprint not 32 bytes.
    """
    if bool(nonce) != bool(audience) or (not nonce and (response_uri or jwk_thumbprint)):
        raise InvalidRequest("a session is known by nonce and audience together")
    thumbprint = base64url.decode(jwk_thumbprint, what="jwk_thumbprint") if jwk_thumbprint else None
    if thumbprint is not None and len(thumbprint) != THUMBPRINT_BYTES:
        raise MalformedError("jwk_thumbprint is not a SHA-256 thumbprint")
    transcript = base64url.decode(session_transcript, what="session_transcript") if session_transcript else None
    return KnownSession(
        audience=ClientId(audience) if audience else None,
        nonce=Nonce(nonce) if nonce else None,
        response_uri=response_uri or None,
        jwk_thumbprint=thumbprint,
        session_transcript=None if transcript is None else SessionTranscript(transcript),
    )


async def check_file(ports: CheckPorts, order: FileOrder) -> FileResult:
    """Return what is known of a file.

    Raises:
        MalformedError: it is no credential, no presentation, and no picture of one.
        InvalidRequest: the session lacks what this kind is bound to.
        NotFound: there is no such policy.
    """
    policy = _policy(ports, order.policy)
    given = recognise(_text_of(ports, order.data))
    task = _Task(ports, order, policy, given)
    if order.offline:
        return task.check(StatusLook(ports.statuses, offline=True))
    await ports.renew_trust()
    return await look_until_known(
        ports.statuses, ports.run, task.check, is_refused=lambda result: result.state is FileState.REFUSED
    )


async def fill_cache(
    ports: CheckPorts,
    uris: Iterable[str],
    *,
    media_type: str = spec.STATUS_LIST_JWT_MEDIA_TYPE,
    aggregated: bool = False,
) -> tuple[FetchedList, ...]:
    """Fetch the trust list and status lists, for checks without a network later; return what came.

    Args:
        ports: what is needed.
        uris: addresses of status lists.
        media_type: their form.
        aggregated: the addresses are those of aggregations (Token Status List 9.3), whose lists are wanted. It does not
            say in which form each is, so both are tried, ``media_type`` first.
    """
    await ports.renew_trust()
    forms = [media_type]
    if aggregated:
        forms += [other for other in _FORMS if other != media_type]
        uris = [name for uri in uris for name in await ports.run.arun(fetch_aggregation(uri))]
    return tuple(await asyncio.gather(*(_fetch(ports, uri, forms) for uri in dict.fromkeys(uris))))


_FORMS: Final = (spec.STATUS_LIST_JWT_MEDIA_TYPE, spec.STATUS_LIST_CWT_MEDIA_TYPE)


@dataclass(slots=True)
class _Noted:
    """Looks up statuses under a rule, and notes which copy was used."""

    look: StatusLook
    rule: StatusRule
    copy: ListCopy | None = field(default=None)

    def verifier(self) -> StatusVerifier:
        """Return the check of one credential's status."""
        verify = self.look.under(self.rule)

        def noting(status: Any, issuer: TrustedCertificate, media_type: str, now: datetime) -> StatusFinding:
            self._note(status, media_type, now)
            return verify(status, issuer, media_type, now)

        return noting

    def _note(self, status: Any, media_type: str, now: datetime) -> None:
        try:
            uri = parse_status(status).uri
        except MalformedError:
            return  # the check itself says so
        self.copy = _copy_of(self.look, (uri, media_type), now)


@dataclass(frozen=True, slots=True)
class _Task:
    ports: CheckPorts
    order: FileOrder
    policy: Policy | None
    given: Given

    def check(self, look: StatusLook) -> FileResult:
        """Look at it once, with the lists that are known."""
        now = self.ports.clock.now()
        rule = RULE_WITHOUT_POLICY if self.policy is None else self.policy.status
        noted = _Noted(look, rule)
        demands = Demands(
            self.ports.verify_chain,
            self.ports.verify_mdoc_chain,
            self.ports.may_issue,
            noted.verifier(),
            session=self.order.session,
            holder=self.order.holder,
            query=_query(self.policy),
            supertypes=self.ports.supertypes,
            trust_lists=self.ports.trust_lists,
        )
        try:
            verified = verify_given(self.given, demands, now=now)
        except VerificationError as error:
            return self._refused(error, Copies(self.ports.trust_copy(now), noted.copy), now)
        return self._verified(verified, rule, Copies(self.ports.trust_copy(now), noted.copy), now)

    def _verified(self, verified: VerifiedGiven, rule: StatusRule, copies: Copies, now: datetime) -> FileResult:
        # Only a policy that says so accepts what nobody could look up.
        accepted = rule.unknown == "accept_and_say_age"
        known = accepted or verified.credential.status.status != "unknown"
        asked = self.policy is not None
        return FileResult(
            FileState.VERIFIED if known else FileState.NOT_VERIFIED,
            verified.kind,
            verified.holder,
            verified.credential,
            verified_checks(verified, asked=asked, accepted=accepted, copies=copies, now=now),
            copies,
            self.order.policy,
            self.order.offline,
            now,
        )

    def _refused(self, error: VerificationError, copies: Copies, now: datetime) -> FileResult:
        session, asked = self.order.session, self.policy is not None
        proof = holder_proof(self.given, session)
        return FileResult(
            FileState.REFUSED,
            kind_of(self.given),
            HolderProof.NOT_PROVEN if proof is HolderProof.PROVEN else proof,
            None,
            refused_checks(error, self.given, session, asked=asked, copies=copies, now=now),
            copies,
            self.order.policy,
            self.order.offline,
            now,
            error,
        )


def _text_of(ports: CheckPorts, data: bytes) -> bytes:
    """Return the file itself, or the text of the QR code that a picture shows."""
    if not data.startswith(_PICTURES):
        return data
    texts = ports.read_qr(data)
    if not texts:
        raise MalformedError("the picture shows no QR code")
    if len(texts) > 1:
        raise MalformedError("the picture shows more than one QR code")
    return texts[0].encode()


def _policy(ports: CheckPorts, policy_id: str | None) -> Policy | None:
    if policy_id is None:
        return None
    found = ports.policies.get(policy_id)
    if found is None:
        raise NotFound("there is no such policy")
    return found


def _query(policy: Policy | None) -> DcqlQuery | None:
    return None if policy is None else parse_dcql_query(policy.dcql_query)


def _copy_of(look: StatusLook, name: ListName, now: datetime) -> ListCopy | None:
    known = look.lists.look(name, now=now)
    return None if known is None else ListCopy(known.fetched_at, known.statuses.claims.expires_at)


async def _fetch(ports: CheckPorts, uri: str, forms: Sequence[str]) -> FetchedList:
    """Fetch a list in the first form in which it holds; if in none, say what is wrong with the first."""
    found: list[FetchedList] = []
    for form in forms:
        await ports.statuses.fetch((uri, form), ports.run)
        found.append(_fetched(ports, (uri, form)))
        if found[-1].problem is None:
            return found[-1]
    return found[0]


def _fetched(ports: CheckPorts, name: ListName) -> FetchedList:
    now = ports.clock.now()
    problem = ports.statuses.failure(name, now=now)
    copy = None if problem is not None else _copy_of(StatusLook(ports.statuses), name, now)
    if copy is None and problem is None:
        problem = InvalidRequest("the list is out of date")
    return FetchedList(name, copy, problem)
