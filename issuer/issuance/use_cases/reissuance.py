"""Replacing what was issued: new copies after a change of data, everything back after a lost device.

A wallet asks for new copies whenever it wants, with the token it has, and gets today's data; what it got before stays
as it is (protocols.md M9). Only where the agency marked copies as to be replaced does an issue end them: those of the
same card in the same wallet, in the transaction that issues the new ones. What no wallet replaced in time is revoked
by a job.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from issuer.agencies.ports import Agency
from issuer.issuance.ports import IssuancePorts, IssuedCredential, Offer, Storage
from issuer.status.use_cases.changes import MAX_REASON, StatusOrder, revoke_all
from wallet_core.catalogue.credential_type import CredentialType
from wallet_core.catalogue.records import is_subject_id
from wallet_core.errors import InvalidRequest, NotFound
from wallet_core.protocols.openid4vci.issuance import ANYBODY, Authorized, Issued, end_access
from wallet_core.types import AgencyId, CredentialConfigurationId

GRACE: Final = timedelta(days=14)
"""How long old copies stay good while wallets fetch new ones: wallets look every few days, phones lie in drawers."""

MAX_GRACE: Final = timedelta(days=90)
"""Longer would say that the old data are as good as the new."""

OVERDUE_BATCH: Final = 500
"""Copies that one sweep revokes, some ten milliseconds: other writers wait no longer than that."""

_BY_WALLET: Final = "the wallet fetched new copies"
_BY_DEADLINE: Final = "no new copies were fetched in time"


@dataclass(frozen=True, slots=True)
class ReplaceOrder:
    """That the copies of a type are to be replaced, why, and who says so. Without ``grace`` they end at once."""

    type_id: str
    reason: str
    ordered_by: str
    grace: timedelta = GRACE


@dataclass(frozen=True, slots=True)
class Replaced:
    """What an order did: how many copies it concerns, and until when they stay good."""

    copies: int
    replace_by: datetime


@dataclass(frozen=True, slots=True)
class DeviceLost:
    """What was taken back: how many copies were revoked, and how many wallets' grants were ended."""

    copies: int
    grants: int


def replace_copies(
    ports: IssuancePorts, storage: Storage, agency: Agency, subject_id: str, order: ReplaceOrder
) -> Replaced:
    """Mark all copies that a person has of a type as to be replaced: the data changed ("new address").

    Raises:
        InvalidRequest: the order contradicts itself, or credentials of the type cannot be revoked.
        NotFound: the agency does not issue the type, or the person has no live credential of it.
    """
    _check_subject(subject_id)
    configuration_ids = check_order(ports, agency, order)
    with storage.unit:
        copies = replace_for(ports, storage, agency.id, [subject_id], configuration_ids, order)
    if not copies:
        raise NotFound("the person has no credential of this type that could be replaced")
    return Replaced(copies, ports.clock.now() + order.grace)


def replace_for(
    ports: IssuancePorts,
    storage: Storage,
    agency_id: AgencyId,
    subject_ids: Collection[str],
    configuration_ids: Collection[CredentialConfigurationId],
    order: ReplaceOrder,
) -> int:
    """Mark the copies of some people in the caller's transaction, or revoke them at once; return how many there are."""
    now = ports.clock.now()
    # First: whoever is being answered at this moment with old data begins again, and what was issued is seen below.
    storage.offers.outdate(agency_id, subject_ids)
    live = storage.credentials.live(agency_id, now=now, subject_ids=subject_ids, configuration_ids=configuration_ids)
    ids = [each.id for each in live]
    if order.grace > timedelta(0):
        storage.credentials.mark(ids, replace_by=now + order.grace, reason=order.reason)
    else:
        revoke_copies(ports, storage, live, reason=order.reason, revoked_by=order.ordered_by)
    return len(ids)


def replace_old_copies(
    ports: IssuancePorts, storage: Storage, offer: Offer, configuration_id: CredentialConfigurationId
) -> None:
    """Revoke what the credentials issued in this transaction replace; nothing unless the agency marked something."""
    # "A later request does not revoke earlier copies" (M9): only what was marked ends, and only that of this wallet.
    # vci-M9-earlier-copies-stay
    old = storage.credentials.to_replace(offer.agency_id, offer.id, configuration_id)
    for reason in dict.fromkeys(each.replace_reason for each in old):
        same = [each for each in old if each.replace_reason == reason]
        revoke_copies(ports, storage, same, reason=_why(_BY_WALLET, reason), revoked_by="re-issuance")


def revoke_overdue(ports: IssuancePorts, storage: Storage) -> int:
    """Revoke marked copies whose time is over and return how many; call again while it is ``OVERDUE_BATCH``."""
    with storage.unit:
        overdue = storage.credentials.overdue(now=ports.clock.now(), limit=OVERDUE_BATCH)
        for agency_id, reason in dict.fromkeys((each.agency_id, each.replace_reason) for each in overdue):
            same = [each for each in overdue if (each.agency_id, each.replace_reason) == (agency_id, reason)]
            revoke_copies(ports, storage, same, reason=_why(_BY_DEADLINE, reason), revoked_by="re-issuance")
    return len(overdue)


def report_lost_device(
    ports: IssuancePorts,
    storage: Storage,
    agency: Agency,
    subject_id: str,
    *,
    credential_id: str | None,
    reason: str,
    reported_by: str,
) -> DeviceLost:
    """Take everything back that a wallet has of this agency, in one step: copies of all types, codes and tokens.

    Args:
        ports: what is needed.
        storage: the transaction.
        agency: whose credentials.
        subject_id: the person.
        credential_id: one that the lost wallet holds; None for all wallets of the person.
        reason: why; only the agency reads it.
        reported_by: who says so.

    Raises:
        InvalidRequest: no subject id, or a reason that is too long.
        NotFound: the person has no such credential, or nothing that could be taken back.
    """
    _check_subject(subject_id)
    _check_reason(reason)
    with storage.unit:
        storage.offers.outdate(agency.id, [subject_id])
        offers = list(storage.offers.of_subject(agency.id, subject_id))
        live = storage.credentials.live(agency.id, now=ports.clock.now(), subject_ids=[subject_id])
        if credential_id is not None:
            lost = _offers_of_instance(storage, agency, subject_id, credential_id, offers)
            offers = [each for each in offers if each.id in lost]
            live = [each for each in live if each.offer_id in lost]
        if not live and not offers:
            raise NotFound("the person has nothing of this agency that could be taken back")
        for offer in offers:
            # Without a token nobody asks for new copies with the device that was lost.
            # vci-M9-lost-device
            storage.offers.forget(offer, end_access(offer.state, now=ports.clock.now()))
        revoke_copies(ports, storage, live, reason=reason, revoked_by=reported_by)
    return DeviceLost(len(live), len(offers))


def revoke_copies(
    ports: IssuancePorts, storage: Storage, credentials: Collection[IssuedCredential], *, reason: str, revoked_by: str
) -> None:
    """Revoke credentials of one agency in the caller's transaction."""
    ids = [each.id for each in credentials]
    if not ids:
        return
    order = StatusOrder("invalid", reason, revoked_by)
    agency_id = next(iter(credentials)).agency_id
    now, terms = ports.clock.now(), ports.status.terms
    # Lists first, rows after them, as everywhere: two requests must not wait for each other.
    revoke_all(storage.statuses, terms, agency_id, ids, order, now=now, random=ports.random)
    storage.credentials.revoked(ids)


def check_order(ports: IssuancePorts, agency: Agency, order: ReplaceOrder) -> tuple[CredentialConfigurationId, ...]:
    """Return the configurations of the type that an order names.

    Raises:
        InvalidRequest: the reason is missing or too long, the grace is out of bounds, or the type cannot be revoked.
        NotFound: the agency does not issue the type.
    """
    _check_reason(order.reason)
    if not timedelta(0) <= order.grace <= MAX_GRACE:
        raise InvalidRequest(f"old copies stay good for 0 to {MAX_GRACE.days} days")
    known = _type(ports, agency.id, order.type_id)
    if not known.revocable:
        raise InvalidRequest("credentials of this type are not revoked: the next ones have the new data")
    return configurations_of(ports, agency.id, known.id)


def configurations_of(ports: IssuancePorts, agency_id: AgencyId, type_id: str) -> tuple[CredentialConfigurationId, ...]:
    """Return the configurations of a type: one for each form. Raises ``NotFound``."""
    return tuple(entry.configuration_id for entry in _type(ports, agency_id, type_id).formats)


def _type(ports: IssuancePorts, agency_id: AgencyId, type_id: str) -> CredentialType:
    for issued in ports.types.get(agency_id, {}).values():
        if issued.type.id == type_id:
            return issued.type
    raise NotFound("the agency does not issue that type")


def _offers_of_instance(
    storage: Storage, agency: Agency, subject_id: str, credential_id: str, offers: Collection[Offer]
) -> frozenset[str]:
    """Return the offers under which the wallet that holds a credential got what it has.

    A wallet instance has one key at one issuer (protocols.md M15); one without is known by the offer alone.
    """
    held = storage.credentials.find(agency.id, credential_id) if credential_id.isalnum() else None
    if held is None or held.subject_id != subject_id:
        raise NotFound("the person has no such credential")
    keys = {each.id: _instance_key(each) for each in offers}
    lost = keys.get(held.offer_id)
    return frozenset({held.offer_id, *(id_ for id_, key in keys.items() if key is not None and key == lost)})


def _instance_key(offer: Offer) -> bytes | None:
    holder = offer.state.holder if isinstance(offer.state, Authorized | Issued) else ANYBODY
    return holder.instance or holder.dpop


def _check_subject(subject_id: str) -> None:
    if not is_subject_id(subject_id):
        raise InvalidRequest("subject_id has up to 64 letters, digits, - . _")


def _check_reason(reason: str) -> None:
    if not 0 < len(reason) <= MAX_REASON:
        raise InvalidRequest(f"the reason has 1 to {MAX_REASON} characters")


def _why(what: str, reason: str | None) -> str:
    return f"{what}: {reason}"[:MAX_REASON] if reason else what
