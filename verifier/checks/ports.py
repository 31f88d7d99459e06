"""What the checking of files needs."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from verifier.status.ports import RunFlow
from verifier.status.use_cases import StatusLists
from wallet_core.catalogue.policy import Policy
from wallet_core.ports import Clock
from wallet_core.protocols.openid4vp.checks import ListCopy
from wallet_core.protocols.openid4vp.presented import ChainVerifier, IssuerPermission, TrustListsOf


@dataclass(frozen=True, slots=True)
class CheckPorts:
    """Everything the use cases need. None of it stores what is checked.

    Attributes:
        policies: of the catalogue.
        verify_chain: whom we trust to issue credentials.
        verify_mdoc_chain: whom we trust to issue mdocs.
        may_issue: which types each of them may issue.
        trust_copy: how old the trust list is that counts at a time; None if none is used.
        renew_trust: asks for the next trust list if ours is missing or was asked for long ago; never for long.
        statuses: the status lists that are known.
        run: drives the fetching of one.
        read_qr: returns the texts of the QR codes in a picture. Raises ``MalformedError``.
        clock: tells the time.
        trust_lists: on which lists an issuer stands.
        supertypes: which types a ``vct`` extends.
    """

    policies: Mapping[str, Policy]
    verify_chain: ChainVerifier
    verify_mdoc_chain: ChainVerifier
    may_issue: IssuerPermission
    trust_copy: Callable[[datetime], ListCopy | None]
    renew_trust: Callable[[], Awaitable[None]]
    statuses: StatusLists
    run: RunFlow
    read_qr: Callable[[bytes], Sequence[str]]
    clock: Clock
    trust_lists: TrustListsOf
    supertypes: Mapping[str, frozenset[str]]
