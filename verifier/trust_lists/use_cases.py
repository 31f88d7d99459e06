"""What is done with trust lists: fetch the next one, and answer who may issue what without asking anybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from verifier.trust_lists.ports import StoredTrustList, TrustPorts, TrustStorage
from wallet_core.errors import WalletError
from wallet_core.protocols.openid4vp.checks import ListCopy
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.policy import IssuerPolicy, extend_issuer_policy
from wallet_core.trust.trust_list import KnownList, VerifiedTrustList, verify_trust_list
from wallet_core.trust.x509 import TrustedCertificate, VerdictCache
from wallet_core.types import CredentialIssuerId

LOOK_AGAIN: Final = timedelta(seconds=5)
"""How long a process answers from memory before it looks whether the database has another list: one small read."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a try brought: a list, or why not. ``text`` is as it was signed."""

    text: str
    found: VerifiedTrustList | None
    problem: WalletError | None = None


def fetch_trust_list(ports: TrustPorts, source: str) -> Fetched:
    """Read and verify the list of ``source``. No transaction is open meanwhile; nothing is stored.

    A list that is refused is an answer too: the last good one goes on counting until its own end.
    """
    storage = ports.reading()
    with storage.unit:
        last = storage.lists.find(source)
    known = last.known if last else None
    try:
        text = ports.read(source)
        return Fetched(text, verify_trust_list(text, ports.by_hand.anchors, at=ports.clock.now(), known=known))
    except WalletError as exc:
        return Fetched("", None, exc)


def keep_trust_list(storage: TrustStorage, source: str, fetched: Fetched, *, now: datetime) -> None:
    """Store what a try brought, in the caller's transaction."""
    with storage.unit:
        if fetched.found is not None:
            known = KnownList(fetched.found.content.sequence_number, fetched.found.digest)
            storage.lists.keep(source, fetched.text, known, now=now)
        elif fetched.problem is not None:
            storage.lists.note_problem(source, fetched.problem.detail, now=now)


class CurrentTrust:
    """Whom this process trusts now: in memory, looked at again every :data:`LOOK_AGAIN`.

    With a trust list as source nobody may issue before the first good one is there.
    """

    def __init__(self, ports: TrustPorts) -> None:
        self._ports = ports
        self._verdicts = VerdictCache()
        self._policy = extend_issuer_policy(ports.by_hand, closed=ports.source is not None)
        self._known: KnownList | None = None
        self._good_until: datetime | None = None
        self._copy: ListCopy | None = None
        self._looked_at: datetime | None = None

    def policy(self, now: datetime) -> IssuerPolicy:
        """Return the policy of ``now``."""
        if self._ports.source is not None and not self._is_fresh(now):
            self._look(self._ports.source)
            self._looked_at = now
        return self._policy

    def copy(self, now: datetime) -> ListCopy | None:
        """Return how old the list is that counts now; None if none is used or none is there."""
        self.policy(now)
        return self._copy

    def look_again(self) -> None:
        """Look into the database at the next question: this process has just stored a list."""
        self._looked_at = None

    def verify_chain(self, chain: Sequence[bytes], now: datetime) -> TrustedCertificate:
        """Return the leaf of an issuer's chain if we trust it; the verdict is remembered by the hash of the chain."""
        # vp-8.6-issuer
        return self._verdicts.verify_chain(
            chain, self.policy(now).anchors, purpose=AnchorPurpose.CREDENTIAL_ISSUER, at=now
        )

    def verify_mdoc_chain(self, chain: Sequence[bytes], now: datetime) -> TrustedCertificate:
        """Return the document signer of an mdoc if it stands below an IACA that we trust."""
        return self._verdicts.verify_chain(chain, self.policy(now).anchors, purpose=AnchorPurpose.MDL_ISSUER, at=now)

    def may_issue(
        self,
        certificate: TrustedCertificate,
        *,
        issuer: CredentialIssuerId | None,
        format: str,  # noqa: A002 - the specifications' word
        type: str,  # noqa: A002 - the same
        at: datetime,
    ) -> str:
        """Return which listed issuer may issue the type. Raises as ``IssuerPolicy.validate_may_issue``."""
        return self.policy(at).validate_may_issue(certificate, issuer=issuer, format=format, type=type, at=at)

    def lists_of(self, certificate: TrustedCertificate, now: datetime) -> frozenset[str]:
        """Return the identifiers of the trust lists on which an issuer stands."""
        return self.policy(now).lists_of(certificate)

    def _is_fresh(self, now: datetime) -> bool:
        return self._looked_at is not None and self._looked_at <= now < self._looked_at + LOOK_AGAIN

    def _look(self, source: str) -> None:
        storage = self._ports.reading()
        with storage.unit:
            stored = storage.lists.find(source)
        if stored is None:
            return
        if stored.known != self._known:
            self._known = stored.known
            self._policy = self._policy_with(stored)
        # The same list, asked for anew, is as fresh as the answer.
        self._copy = ListCopy(stored.accepted_at, self._good_until)

    def _policy_with(self, stored: StoredTrustList) -> IssuerPolicy:
        """Return the policy with a stored list, verified again as of its acceptance: the database is no anchor."""
        by_hand = self._ports.by_hand
        self._good_until = None
        try:
            found = verify_trust_list(stored.text, by_hand.anchors, at=stored.accepted_at)
        except WalletError:
            # Its operator is no anchor of ours any more, say: then it permits nothing.
            return extend_issuer_policy(by_hand, closed=True)
        self._good_until = found.content.next_update + self._ports.grace
        return extend_issuer_policy(by_hand, [found.content], closed=True, grace=self._ports.grace)
