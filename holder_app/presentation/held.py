"""The cards that could answer a request: only those whose type it names are opened, one copy of each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from holder_app.accounts.ports import AccountId
from holder_app.credentials.ports import Card, CardCopy, Cards, CardStatus
from holder_app.credentials.use_cases import UNREADABLE, open_copy
from wallet_core.catalogue import Catalogue
from wallet_core.catalogue.credential_type import Sensitivity
from wallet_core.errors import WalletError
from wallet_core.ports import UnitOfWork
from wallet_core.protocols.openid4vp import matching
from wallet_core.protocols.openid4vp.candidates import HeldCredential, Knowledge, candidate_of
from wallet_core.protocols.openid4vp.dcql import TRUST_LIST, DcqlQuery
from wallet_core.protocols.openid4vp.matching import Candidate, Matches
from wallet_core.protocols.openid4vp.request import AuthorizationRequest
from wallet_core.protocols.openid4vp.transaction_data import narrow
from wallet_core.spec_versions import FORMAT_MDOC, FORMAT_SD_JWT_VC
from wallet_core.trust.anchors import AnchorPurpose
from wallet_core.trust.policy import IssuerPolicy
from wallet_core.trust.x509 import verify_chain
from wallet_core.types import ClaimsPath

WITHDRAWN = frozenset({CardStatus.SUSPENDED, CardStatus.REVOKED})


@dataclass(frozen=True, slots=True)
class HeldCards:
    """The account's usable cards of the asked types: one copy of each, chosen for this answer.

    The maps are by the id of the card.

    Attributes:
        request: what is asked.
        cards: the cards.
        copies: the copy of each that would be shown, with the key that signs for it.
        indexed: the credential in that copy, opened: what a presentation of it is made from.
        candidates: the same as matching sees it: its type, claims and issuer.
    """

    request: AuthorizationRequest
    cards: Mapping[str, Card]
    copies: Mapping[str, CardCopy]
    indexed: Mapping[str, HeldCredential]
    candidates: Mapping[str, Candidate]

    @property
    def withdrawn(self) -> frozenset[str]:
        """The cards that their issuer has suspended or revoked, as far as is known here."""
        return frozenset(card.id for card in self.cards.values() if card.status in WITHDRAWN)

    def matches(self) -> Matches:
        """Return what of these cards answers the request."""
        # What cannot agree to a transaction that comes with the request is not offered.
        request = self.request
        found = matching.match(request.dcql_query, self.candidates.values(), request.formats)
        return narrow(found, request.transaction_data)


def held_cards(
    unit: UnitOfWork,
    cards: Cards,
    account_id: AccountId,
    request: AuthorizationRequest,
    catalogue: Catalogue,
    issuers: IssuerPolicy,
    now: datetime,
) -> HeldCards:
    """Return the account's cards that a request could ask for, that have not expired and can be read, opened."""
    knowledge = knowledge_for(request.dcql_query, catalogue, issuers, now)
    with unit:
        held = cards.of_types(account_id, knowledge.asked_types(request.dcql_query))
    in_time = (card for card in held if card.expires_at is None or card.expires_at > now)
    opened = [(card, index) for card in in_time if (index := _open_next(card)) is not None]
    usable = {card.id: card for card, _ in opened}
    copies = {card_id: card.next_copy for card_id, card in usable.items()}
    indexed = {card.id: index for card, index in opened}
    candidates = {card_id: candidate_of(card_id, each, knowledge) for card_id, each in indexed.items()}
    return HeldCards(request, usable, copies, indexed, candidates)


def _open_next(card: Card) -> HeldCredential | None:
    """Return the copy that would be shown, opened; None for a card that cannot be read: the others answer."""
    try:
        return open_copy(card, card.next_copy) if card.copies else None
    except UNREADABLE:
        return None


def knowledge_for(query: DcqlQuery, catalogue: Catalogue, issuers: IssuerPolicy, now: datetime) -> Knowledge:
    """Return what this wallet knows of types and issuers. Nothing is fetched for a query."""
    known = Knowledge(catalogue.supertypes(), _special_claims(catalogue))
    asked = {authority.type for one in query.credentials for authority in one.trusted_authorities}
    # Verifying a chain costs signatures; only a query that names a list needs it.
    return Knowledge(known.supertypes, known.special, _lists_of(issuers, now)) if TRUST_LIST in asked else known


def _special_claims(catalogue: Catalogue) -> dict[tuple[str, str], frozenset[ClaimsPath]]:
    special: dict[tuple[str, str], frozenset[ClaimsPath]] = {}
    for each in catalogue.types.values():
        claims = [claim for claim in each.claims if claim.sensitivity is Sensitivity.SPECIAL]
        special[FORMAT_SD_JWT_VC, each.vct] = frozenset(claim.path for claim in claims)
        if each.mdoc is not None and each.mdoc.doctype is not None:
            special[FORMAT_MDOC, each.mdoc.doctype] = frozenset(
                (claim.mdoc.namespace, claim.mdoc.element) for claim in claims if claim.mdoc is not None
            )
    return special


def _lists_of(issuers: IssuerPolicy, now: datetime) -> Callable[[Sequence[bytes], str], frozenset[str]]:
    """Return what says on which trust lists a chain stands, as far as it leads to a root of this wallet."""

    def lists(chain: Sequence[bytes], format_: str) -> frozenset[str]:
        purpose = AnchorPurpose.MDL_ISSUER if format_ == FORMAT_MDOC else AnchorPurpose.CREDENTIAL_ISSUER
        try:
            return issuers.lists_of(verify_chain(chain, issuers.anchors, purpose=purpose, at=now))
        except WalletError:  # nobody we trust: on no list of ours
            return frozenset()

    return lists
