"""Who may attest wallets and keys: wallet providers, and the wallets they stand for (``specs/trust-list.md`` 5).

The one invariant: a provider speaks for the wallets that its list names for it, and for no other.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256

from wallet_core.errors import Expired, UntrustedError
from wallet_core.trust.anchors import AnchorPurpose, TrustAnchors
from wallet_core.trust.trust_list import ListedWallet, TrustList
from wallet_core.trust.x509 import TrustedCertificate, VerdictCache

_SHA256: Final = SHA256()
_CLAUSE: Final = "specs/trust-list.md 5"


@dataclass(frozen=True, slots=True)
class WalletEntry:
    """A wallet as one list names it.

    Attributes:
        wallet: the entry.
        authorities: SHA-256 of the list's roots of wallet providers: the entry counts below them only.
        fresh_until: until when the list counts.
    """

    wallet: ListedWallet
    authorities: frozenset[bytes]
    fresh_until: datetime


@dataclass(frozen=True, slots=True)
class WalletProviders:
    """Whom we trust to attest wallets and keys.

    Attributes:
        anchors: roots chosen by hand and those of the lists.
        wallets: entries by ``client_id``.
        listed: SHA-256 of the roots that came from lists: providers below them speak for listed wallets only.
        verdicts: remembers chains: a provider's certificate comes with every request of its wallets.
    """

    anchors: TrustAnchors = field(default_factory=TrustAnchors)
    wallets: Mapping[str, Sequence[WalletEntry]] = field(default_factory=dict)
    listed: frozenset[bytes] = frozenset()
    verdicts: VerdictCache = field(default_factory=VerdictCache, compare=False, repr=False)

    def verify_attester(self, chain: Sequence[bytes], *, at: datetime) -> TrustedCertificate:
        """Return the certificate of a wallet provider (HAIP 4.4.1, 4.5.1: ``x5c``, no anchor, not self-signed).

        Raises:
            MalformedError, NotYetValid, Expired, UntrustedError: as ``trust.x509.verify_chain``.
        """
        # abca-07.6-attester
        return self.verdicts.verify_chain(chain, self.anchors, purpose=AnchorPurpose.WALLET_PROVIDER, at=at)

    @property
    def any(self) -> bool:
        """Whether anybody is trusted to attest."""
        return bool(self.anchors.certificates(AnchorPurpose.WALLET_PROVIDER))

    def find_wallet(self, client_id: str, attester: TrustedCertificate, *, at: datetime) -> ListedWallet:
        """Return the wallet ``client_id``, which ``attester`` stands for.

        Raises:
            UntrustedError: no list names it, or names it for another provider or another time.
            Expired: its list is out of date.
        """
        refusals: list[Expired | UntrustedError] = []
        for entry in self.wallets.get(client_id, ()):
            refusal = _refusal(entry, attester, at)
            if refusal is None:
                return entry.wallet
            refusals.append(refusal)
        # tl-5-unlisted
        raise refusals[0] if refusals else UntrustedError("the wallet is not on the trust list", clause=_CLAUSE)


def create_wallet_providers(
    anchors: TrustAnchors, lists: Iterable[TrustList] = (), *, grace: timedelta = timedelta()
) -> WalletProviders:
    """Return whom roots and lists make us trust to attest.

    Args:
        anchors: roots chosen by hand; those for other purposes do no harm. Below them keys may be attested; a wallet
            needs a list.
        lists: trust lists.
        grace: how long a list still counts after its ``next_update``.
    """
    roots, wallets, listed = anchors, dict[str, list[WalletEntry]](), set[bytes]()
    for content in lists:
        own = TrustAnchors(each for each in content.authorities if each.purpose is AnchorPurpose.WALLET_PROVIDER)
        roots += own
        authorities = frozenset(each.certificate.fingerprint(_SHA256) for each in own.anchors)
        listed |= authorities
        for wallet in content.wallets:
            entry = WalletEntry(wallet, authorities, content.next_update + grace)
            wallets.setdefault(wallet.client_id, []).append(entry)
    return WalletProviders(roots, wallets, frozenset(listed))


def _refusal(entry: WalletEntry, attester: TrustedCertificate, at: datetime) -> Expired | UntrustedError | None:
    # tl-5-fresh
    if at >= entry.fresh_until:
        return Expired("the trust list is out of date", clause=_CLAUSE)
    # tl-5-provider
    if attester.anchor_sha256 not in entry.authorities or entry.wallet.provider not in attester.uris:
        return UntrustedError("the wallet provider does not stand for this wallet", clause=_CLAUSE)
    # tl-5-period
    if not entry.wallet.period.holds(at):
        return UntrustedError("the wallet is not to be trusted at this time", clause=_CLAUSE)
    return None
