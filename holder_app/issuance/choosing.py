"""Ask an agency of one's own accord: whom this wallet knows, what each offers, and choosing (OpenID4VCI 3.3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from holder_app.accounts.ports import AccountId
from holder_app.credentials.describe import Text
from holder_app.issuance.describe import OfferedCard, issuer_name, offered_card
from holder_app.issuance.receiving import ID_BYTES, IssuancePorts, keeps, missing_anchor
from holder_app.issuance.states import Issuance, Reviewed
from holder_app.issuance.verification import NoAnchor
from holder_app.links import host_of
from wallet_core.errors import MalformedError, NotFound
from wallet_core.protocols.openid4vci import wallet
from wallet_core.protocols.openid4vci.signed_metadata import metadata_trust
from wallet_core.types import CredentialConfigurationId, CredentialIssuerId

CHOSEN: Final = timedelta(hours=1)
"""How long what was chosen waits for the person."""

MAX_ISSUERS: Final = 200
"""Issuers on one page; a state has about that many agencies that issue."""


@dataclass(frozen=True, slots=True)
class KnownIssuer:
    """A Credential Issuer that may be asked. ``name`` by language, as a trust list has it; empty if none does."""

    id: CredentialIssuerId
    name: Text
    host: str


@dataclass(frozen=True, slots=True)
class Choice:
    """One thing that an issuer offers."""

    id: CredentialConfigurationId
    card: OfferedCard


@dataclass(frozen=True, slots=True)
class IssuerView:
    """An issuer with what it offers."""

    issuer: KnownIssuer
    name: Text
    choices: tuple[Choice, ...]


def known_issuers(ports: IssuancePorts, account_id: AccountId) -> Sequence[KnownIssuer]:
    """Return whom this wallet knows: from trust lists, its settings, and the cards it holds. Fetches nothing."""
    found: dict[CredentialIssuerId, Text] = {}
    for issuer, grants in ports.issuers.by_issuer.items():
        # The Korean name, or whatever the list has, stands in for a language it has not.
        found[CredentialIssuerId(issuer)] = {"ko": grants[0].name, **grants[0].names} if grants else {}
    with ports.unit:
        cards = ports.cards.of_account(account_id)
    for issuer_id in (*ports.identity.issuers, *(card.issuer for card in cards)):
        found.setdefault(issuer_id, {})
    for card in cards:
        found[card.issuer] = found[card.issuer] or ({"ko": card.issuer_name} if card.issuer_name else {})
    known = (KnownIssuer(id_, name, host_of(id_)) for id_, name in found.items())
    return sorted(known, key=lambda each: (each.name.get("ko", each.host), each.id))[:MAX_ISSUERS]


async def browse(ports: IssuancePorts, account_id: AccountId, issuer: str) -> IssuerView:
    """Return what a known issuer offers.

    Raises:
        NotFound: this wallet does not know the issuer; nothing is fetched then (protocols.md M21).
        FetchError: it was not reached.
        PeerRefusal: it refused.
        MalformedError, VerificationError: its metadata break a rule, or are signed by somebody else.
    """
    known = _known(ports, account_id, issuer)
    trust = metadata_trust(ports.anchors, at=ports.clock.now())
    metadata = await ports.fetch.arun(wallet.resolve_catalogue(known.id, trust=trust))
    usable = keeps(ports)
    choices = tuple(
        Choice(each.id, offered_card(each, ports.catalogue, usable=usable(each)))
        for each in metadata.configurations.values()
    )
    return IssuerView(known, issuer_name(metadata), choices)


async def choose(
    ports: IssuancePorts, account_id: AccountId, issuer: str, configuration_ids: Sequence[str]
) -> Issuance:
    """Store what the person wants of a known issuer, ready to log in there.

    Raises:
        NotFound: as :func:`browse`.
        MalformedError: nothing is chosen, or the issuer does not have it or cannot let anybody log in.
        NoAnchor: what it signs could not be verified.
        FetchError, PeerRefusal, VerificationError: as :func:`browse`.
    """
    known = _known(ports, account_id, issuer)
    names = [CredentialConfigurationId(name) for name in dict.fromkeys(configuration_ids)]
    if not names:
        raise MalformedError("nothing was chosen")
    trust = metadata_trust(ports.anchors, at=ports.clock.now())
    offer = await ports.fetch.arun(wallet.resolve_choice(known.id, names, trust=trust))
    if not any(map(keeps(ports), offer.configurations)):
        raise MalformedError("this wallet cannot hold what was chosen")
    if (purpose := missing_anchor(ports, offer)) is not None:
        raise NoAnchor("this wallet trusts nobody to issue", detail=f"no anchor for {purpose}")
    now = ports.clock.now()
    issuance = Issuance(ports.random(ID_BYTES).hex(), account_id, 1, Reviewed(offer), now + CHOSEN)
    with ports.unit:
        ports.issuances.forget_expired(now)
        ports.issuances.add(issuance)
    return issuance


def _known(ports: IssuancePorts, account_id: AccountId, issuer: str) -> KnownIssuer:
    found = next((each for each in known_issuers(ports, account_id) if each.id == issuer), None)
    if found is None:
        raise NotFound("this wallet does not know the issuer")
    return found
