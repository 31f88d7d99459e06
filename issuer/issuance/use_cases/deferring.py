"""Holding a Credential Request until somebody has decided, and the data that wait with it (OpenID4VCI 8.3, 9)."""

from collections.abc import Sequence
from datetime import datetime

from issuer.issuance.ports import DeferredIssuance, IssuancePorts, IssuedType, Offer, Storage
from issuer.issuance.use_cases.dataset import new_id, subject_record
from wallet_core.encoding import strict_json
from wallet_core.errors import CredentialRequestDenied, NotFound
from wallet_core.protocols.openid4vci.deferral import create_transaction_id, defer
from wallet_core.protocols.openid4vci.issuance import Issued, digest
from wallet_core.protocols.openid4vci.messages import create_deferral
from wallet_core.protocols.openid4vci.proof import AcceptedKey
from wallet_core.types import AgencyId, CredentialConfigurationId, JsonObject

MAX_PER_OFFER = 20
"""Deferred requests under one offer: each is a line in a clerk's list."""


def must_wait(offer: Offer, issued: IssuedType, dataset: JsonObject) -> bool:
    """Return whether somebody decides before anything is signed: the offer says so, or the catalogue of the type.

    ``dataset`` is what came with the offer. Further copies of what was issued under an offer need no second decision:
    whoever decided may revoke them.
    """
    issuances = offer.state.issuances if isinstance(offer.state, Issued) else ()
    if any(each.configuration_id == issued.entry.configuration_id for each in issuances):
        return False
    return issued.type.issuance.clerk_decides or dataset.get("deferred") is True


def new_deferral(
    ports: IssuancePorts,
    offer: Offer,
    configuration_id: CredentialConfigurationId,
    keys: Sequence[AcceptedKey],
    dataset: JsonObject,
    now: datetime,
) -> tuple[DeferredIssuance, JsonObject]:
    """Return a request that is not answered yet, for :func:`hold`, and the answer for status 202.

    ``dataset`` is what came with the offer.
    """
    deferred_id = new_id(ports, now)
    transaction_id = create_transaction_id(ports.random)
    claims = dataset.get("claims")
    record = claims.get(configuration_id) if isinstance(claims, dict) else None
    deferred = DeferredIssuance(
        deferred_id,
        offer.agency_id,
        offer.id,
        1,
        defer(configuration_id, keys=tuple(keys), now=now),
        digest(transaction_id),
        offer.subject_id,
        seal_record(ports, offer.agency_id, deferred_id, record if isinstance(record, dict) else None),
    )
    return deferred, create_deferral(transaction_id, interval=ports.deferral.interval)


def hold(storage: Storage, deferred: DeferredIssuance) -> None:
    """Store a request that is not answered yet, in the unit of ``storage``.

    Raises:
        CredentialRequestDenied: the offer has too many of them.
    """
    if len(storage.deferrals.of_offers(deferred.agency_id, [deferred.offer_id])) >= MAX_PER_OFFER:
        raise CredentialRequestDenied("too many requests under this offer wait for a decision")
    storage.deferrals.add(deferred)


def seal_record(ports: IssuancePorts, agency_id: AgencyId, deferred_id: str, record: JsonObject | None) -> bytes:
    """Return the data of a deferred request as they lie in its row; None: the agency's own record at the time."""
    return ports.seal.seal(strict_json.dumps({"record": record}), _context(agency_id, deferred_id))


def held_record(ports: IssuancePorts, storage: Storage, deferred: DeferredIssuance, issued: IssuedType) -> JsonObject:
    """Return the data to sign for a deferred request: what came with it, or the agency's own record of today.

    Raises:
        NotFound: they are gone.
    """
    if deferred.sealed is not None:
        context = _context(deferred.agency_id, deferred.id)
        data = strict_json.loads_object(ports.seal.open(deferred.sealed, context), max_bytes=1 << 22)
        if isinstance(record := data.get("record"), dict):
            return record
    if deferred.subject_id is None:
        raise NotFound("the data of this request are no longer there")
    return subject_record(storage, deferred.agency_id, issued.type, deferred.subject_id)


def _context(agency_id: AgencyId, deferred_id: str) -> str:
    return f"issuer_deferred/{agency_id}/{deferred_id}"
