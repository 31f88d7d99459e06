"""Offers: make one, hand it out by reference, see what became of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from issuer.agencies.ports import Agency
from issuer.issuance.ports import IssuancePorts, IssuedCredential, Offer, Storage
from issuer.issuance.use_cases.dataset import (
    check_claims,
    issued_type,
    new_id,
    open_dataset,
    seal_dataset,
    subject_record,
)
from issuer.issuance.use_cases.decisions import DeferredStatus, deferred_status, overall_state
from issuer.issuance.use_cases.outcome import outcome_of
from issuer.issuance.use_cases.races import look, read
from wallet_core import spec_versions as spec
from wallet_core.catalogue.credential_type import seoul_day
from wallet_core.catalogue.records import is_subject_id
from wallet_core.errors import InvalidRequest, MalformedError, NotFound, StateConflict
from wallet_core.protocols.oauth2.identifiers import parse_wallet_endpoint
from wallet_core.protocols.openid4vci.issuance import (
    TX_CODE_DIGITS,
    Invited,
    Issued,
    Offered,
    create_invited,
    create_issuer_state,
    create_offered,
    create_pre_authorized_code,
    create_tx_code,
    digest,
    digest_tx_code,
    end_access,
    expire,
)
from wallet_core.protocols.openid4vci.issuance_stored import state_kind
from wallet_core.protocols.openid4vci.offer import (
    CredentialOffer,
    TxCodeInput,
    create_credential_offer,
    create_offer_link,
    create_reference_link,
)
from wallet_core.types import CredentialConfigurationId, JsonObject

MAX_CONFIGURATIONS = 20
"""Credentials of one offer: all the certificates one person takes home."""

PAGE = 50
"""Rows of one page of a list."""

_ID = re.compile(r"[0-9a-f]{44}\Z")


@dataclass(frozen=True, slots=True)
class OfferOrder:
    """What an agency wants to offer to one person. Either ``claims`` or ``subject_id`` says what will be signed.

    ``tx_code`` None asks for a transaction code if the catalogue demands one of any of the types. Under the
    authorization code grant the person logs in: then there is no transaction code, there are no ``claims``, and without
    ``subject_id`` whoever logs in receives their own. ``deferred``: the wallet is asked to come back, and somebody
    decides.
    """

    configuration_ids: tuple[CredentialConfigurationId, ...]
    tx_code: bool | None = None
    claims: Mapping[str, JsonObject] = field(default_factory=dict)
    subject_id: str | None = None
    by_reference: bool = True
    credential_offer_endpoint: str = spec.OFFER_SCHEME
    authorization_code: bool = False
    deferred: bool = False


@dataclass(frozen=True, slots=True)
class CreatedOffer:
    """An offer as it is handed over.

    Attributes:
        id: of the offer, for the agency.
        uri: the link to show as a QR code.
        credential_offer: the offer itself.
        credential_offer_uri: where the link finds it; None if the link carries it by value.
        tx_code: what the person is told by another way; None if none is asked for.
        expires_at: until when the code can be redeemed.
    """

    id: str
    uri: str
    credential_offer: CredentialOffer
    credential_offer_uri: str | None
    tx_code: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OfferStatus:
    """What became of an offer.

    Attributes:
        state: offered, authorized, deferred, issued, refused or expired.
        outcome: the same, and instead of issued what the wallet says of it: see :func:`outcome_of`.
        renewable: whether :func:`renew_offer` can make a new one of it.
    """

    id: str
    state: str
    outcome: str
    configuration_ids: tuple[CredentialConfigurationId, ...]
    tries_left: int | None
    issued: tuple[JsonObject, ...]
    created_at: datetime
    subject_id: str | None
    deferred: tuple[DeferredStatus, ...] = ()
    renewable: bool = False


def create_offer(ports: IssuancePorts, storage: Storage, agency: Agency, order: OfferOrder) -> CreatedOffer:
    """Store a new offer and return it ready to be handed over. The data are checked before anything is offered.

    Raises:
        InvalidRequest: the order contradicts itself, or the data cannot be signed.
        UnknownCredentialConfiguration: the agency does not issue one of them.
        NotFound: the agency has no record of the person.
        Expired: what the record states has ended.
    """
    _check_order(order)
    now = ports.clock.now()
    offer_id = new_id(ports, now)
    tx_code = create_tx_code(ports.random) if _wants_tx_code(ports, agency, order) else None
    state = _first_state(ports, order, offer_id, tx_code, now)
    code = _secret(ports, offer_id, state)
    sealed = seal_dataset(ports, agency.id, offer_id, claims=order.claims, tx_code=tx_code, deferred=order.deferred)
    offer = Offer(offer_id, agency.id, 1, state, digest(code), order.subject_id, sealed, now)
    with storage.unit:
        _check_data(ports, storage, agency, order, now)
        storage.offers.add(offer)
    return _created(agency, offer, state, code, tx_code, order)


def renew_offer(ports: IssuancePorts, storage: Storage, agency: Agency, offer_id: str) -> CreatedOffer:
    """End an offer that nobody redeemed and return a new one for the same person and cards, or neither.

    Raises:
        NotFound: the agency has no such offer, or no record of the person any more.
        StateConflict: it was redeemed, or ended so long ago that nobody knows any more whose it was.
        InvalidRequest, UnknownCredentialConfiguration, Expired: as :func:`create_offer`.
    """
    offer, now = _find(ports, agency, offer_id), ports.clock.now()
    order = _same_again(ports, offer)
    with storage.unit:
        # A wallet that redeems it at this moment comes first, or finds it ended: never are two codes good.
        storage.offers.forget(offer, end_access(expire(offer.state, now=now), now=now))
        return create_offer(ports, storage, agency, order)


def _is_renewable(offer: Offer) -> bool:
    return isinstance(offer.state, Offered | Invited) and offer.sealed is not None


def _same_again(ports: IssuancePorts, offer: Offer) -> OfferOrder:
    state, kept = offer.state, open_dataset(ports, offer)
    if not isinstance(state, Offered | Invited) or not kept:
        raise StateConflict("the offer was used, or what it was for is no longer known")
    claims = kept.get("claims")
    return OfferOrder(
        state.configuration_ids,
        tx_code=state.tx_code_digest is not None if isinstance(state, Offered) else None,
        claims=cast("Mapping[str, JsonObject]", claims) if isinstance(claims, dict) else {},
        subject_id=offer.subject_id,
        authorization_code=isinstance(state, Invited),
        deferred=kept.get("deferred") is True,
    )


def _first_state(
    ports: IssuancePorts, order: OfferOrder, offer_id: str, tx_code: str | None, now: datetime
) -> Offered | Invited:
    if order.authorization_code:
        return create_invited(order.configuration_ids, now=now)
    sent = None if tx_code is None else digest_tx_code(ports.secrets.tx_code, offer_id, tx_code)
    return create_offered(order.configuration_ids, tx_code_digest=sent, now=now)


def _secret(ports: IssuancePorts, offer_id: str, state: Offered | Invited) -> str:
    """Return what a wallet brings back: the pre-authorized code, or the ``issuer_state``; never one for the other."""
    create = create_issuer_state if isinstance(state, Invited) else create_pre_authorized_code
    return create(ports.secrets.code, offer_id)


def show_offer(ports: IssuancePorts, agency: Agency, offer_id: str) -> CredentialOffer:
    """Return an offer by reference, as long as its code can be redeemed (OpenID4VCI 4.1.3).

    Raises:
        NotFound: there is no such offer, or it was redeemed, refused or has expired.
    """
    _, state = _find_open(ports, agency, offer_id)
    return _credential_offer(agency, state, _secret(ports, offer_id, state))


def show_offer_again(
    ports: IssuancePorts, agency: Agency, offer_id: str, *, endpoint: str = spec.OFFER_SCHEME
) -> CreatedOffer:
    """Return an open offer as :func:`create_offer` does, always by reference, for the page that shows its QR code.

    Raises:
        NotFound: there is no such offer, or it is over.
    """
    offer, state = _find_open(ports, agency, offer_id)
    tx_code = open_dataset(ports, offer).get("tx_code")
    order = OfferOrder(state.configuration_ids, credential_offer_endpoint=endpoint)
    code = _secret(ports, offer_id, state)
    return _created(agency, offer, state, code, tx_code if isinstance(tx_code, str) else None, order)


def offer_status(ports: IssuancePorts, agency: Agency, offer_id: str) -> OfferStatus:
    """Return what became of an offer.

    Raises:
        NotFound: the agency has no such offer.
    """
    offer = _find(ports, agency, offer_id)
    return _statuses(ports, agency, [offer])[0]


def list_offers(ports: IssuancePorts, agency: Agency, *, before: str = "") -> tuple[list[OfferStatus], str | None]:
    """Return a page of offers, newest first, and the cursor of the next page (None at the end)."""
    storage = ports.reading()
    with storage.unit:
        offers = storage.offers.latest(agency.id, before=before, limit=PAGE + 1)
    return _statuses(ports, agency, offers[:PAGE]), offers[PAGE - 1].id if len(offers) > PAGE else None


def list_credentials(
    ports: IssuancePorts, agency: Agency, *, subject_id: str | None = None, after: str = ""
) -> tuple[Sequence[IssuedCredential], str | None]:
    """Return a page of the record of issue and the cursor of the next page (None at the end)."""
    storage = ports.reading()
    with storage.unit:
        found = storage.credentials.of_subject(agency.id, subject_id, after=after, limit=PAGE + 1)
    return found[:PAGE], found[PAGE - 1].id if len(found) > PAGE else None


def count_failed(ports: IssuancePorts, agency: Agency) -> int:
    """Return how many of an agency's answers failed in the citizen's wallet, as the wallet said."""
    return look(ports, lambda storage: storage.credentials.count_failed(agency.id))


def offer_uri(agency: Agency, offer_id: str) -> str:
    """Return where an offer by reference lies."""
    return f"{agency.credential_issuer}/offers/{offer_id}"


def _find(ports: IssuancePorts, agency: Agency, offer_id: str) -> Offer:
    # What is no id of ours is not worth asking the database, which refuses some texts with an error.
    if not _ID.match(offer_id):
        raise NotFound("no such offer")
    storage = ports.reading()
    with storage.unit:
        offer = storage.offers.find(agency.id, offer_id)
    if offer is None:
        raise NotFound("no such offer")
    return offer


def _find_open(ports: IssuancePorts, agency: Agency, offer_id: str) -> tuple[Offer, Offered | Invited]:
    offer = _find(ports, agency, offer_id)
    if not isinstance(offer.state, Offered | Invited) or ports.clock.now() >= offer.state.expires_at:
        raise NotFound("the offer is over")
    return offer, offer.state


def _check_order(order: OfferOrder) -> None:
    ids = order.configuration_ids
    if not 0 < len(ids) <= MAX_CONFIGURATIONS or len(set(ids)) != len(ids):
        raise InvalidRequest(f"an offer names 1 to {MAX_CONFIGURATIONS} credential configurations, each once")
    if order.authorization_code:
        _check_login_order(order)
    elif (order.subject_id is None) == (not order.claims):
        raise InvalidRequest("give either subject_id or claims")
    if order.subject_id is not None and not is_subject_id(order.subject_id):
        raise InvalidRequest("subject_id has up to 64 letters, digits, - . _")
    if order.claims and set(order.claims) != set(ids):
        raise InvalidRequest("claims are given for each credential configuration of the offer, and for no other")
    _check_endpoint(order.credential_offer_endpoint)


def _check_login_order(order: OfferOrder) -> None:
    # OpenID4VCI 4.1.1: tx_code belongs to the pre-authorized code grant.
    if order.tx_code:
        raise InvalidRequest("the authorization code grant has no transaction code: the person logs in")
    # Data that come with the offer are somebody's, and who logs in cannot be compared with them.
    if order.claims:
        raise InvalidRequest("the authorization code grant takes subject_id, or neither, but no claims")


def _check_endpoint(endpoint: str) -> None:
    try:
        parse_wallet_endpoint(endpoint, what="credential_offer_endpoint")
    except MalformedError as exc:
        raise InvalidRequest("credential_offer_endpoint is an https URL or a wallet's scheme") from exc


def _wants_tx_code(ports: IssuancePorts, agency: Agency, order: OfferOrder) -> bool:
    if order.authorization_code:
        return False
    if order.tx_code is not None:
        return order.tx_code
    types = [issued_type(ports, agency.id, configuration_id).type for configuration_id in order.configuration_ids]
    return any(each.issuance.tx_code == "required" for each in types)


def _check_data(ports: IssuancePorts, storage: Storage, agency: Agency, order: OfferOrder, now: datetime) -> None:
    today = seoul_day(now)
    for configuration_id in order.configuration_ids:
        issued = issued_type(ports, agency.id, configuration_id)
        # OpenID4VCI 4.1.1: what is offered can be had under the grant that is offered.
        if _grant_of(order) not in issued.type.issuance.grants:
            raise InvalidRequest(f"the catalogue does not allow that grant for {issued.type.id}")
        if order.authorization_code and order.subject_id is None:
            continue
        if order.subject_id is None:
            record = order.claims[configuration_id]
        else:
            record = subject_record(storage, agency.id, issued.type, order.subject_id)
        check_claims(issued, record, today=today)


def _grant_of(order: OfferOrder) -> str:
    return "authorization_code" if order.authorization_code else "pre-authorized_code"


def _credential_offer(agency: Agency, state: Offered | Invited, code: str) -> CredentialOffer:
    if isinstance(state, Invited):
        return create_credential_offer(agency.credential_issuer, state.configuration_ids, issuer_state=code)
    tx_code = None if state.tx_code_digest is None else TxCodeInput("numeric", TX_CODE_DIGITS)
    return create_credential_offer(
        agency.credential_issuer, state.configuration_ids, pre_authorized_code=code, tx_code=tx_code
    )


def _created(
    agency: Agency, offer: Offer, state: Offered | Invited, code: str, tx_code: str | None, order: OfferOrder
) -> CreatedOffer:
    credential_offer = _credential_offer(agency, state, code)
    endpoint = order.credential_offer_endpoint
    reference = offer_uri(agency, offer.id) if order.by_reference else None
    if reference is None:
        link = create_offer_link(credential_offer, endpoint=endpoint)
    else:
        link = create_reference_link(reference, endpoint=endpoint)
    return CreatedOffer(offer.id, link, credential_offer, reference, tx_code, state.expires_at)


def _statuses(ports: IssuancePorts, agency: Agency, offers: Sequence[Offer]) -> list[OfferStatus]:
    found = read(ports, lambda storage: storage.deferrals.of_offers(agency.id, [offer.id for offer in offers]))
    now = ports.clock.now()
    deferred = [deferred_status(each, now) for each in found]
    return [_status(offer, [each for each in deferred if each.offer_id == offer.id], now) for offer in offers]


def _status(offer: Offer, deferred: Sequence[DeferredStatus], now: datetime) -> OfferStatus:
    state = expire(offer.state, now=now)
    issuances = state.issuances if isinstance(state, Issued) else ()
    # What waits is offered, by whichever grant.
    kind = "offered" if isinstance(state, Invited) else state_kind(state)
    decided = [each.state for each in deferred]
    overall = overall_state(kind, decided)
    return OfferStatus(
        offer.id,
        overall,
        outcome_of(overall, state, decided, now=now),
        state.configuration_ids,
        state.tries_left if isinstance(state, Offered) else None,
        tuple(
            {
                "credential_configuration_id": issuance.configuration_id,
                "copies": issuance.copies,
                "issued_at": issuance.issued_at.isoformat(),
                "event": issuance.event,
                "event_description": issuance.description,
            }
            for issuance in issuances
        ),
        offer.created_at,
        offer.subject_id,
        tuple(deferred),
        _is_renewable(offer),
    )
