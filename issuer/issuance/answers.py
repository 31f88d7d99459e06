"""What our API, pages and commands answer of issuance, as JSON."""

from issuer.issuance.bulk import BulkOrder, BulkReissuance, bulk_kind
from issuer.issuance.ports import IssuedCredential
from issuer.issuance.use_cases.decisions import DeferredStatus
from issuer.issuance.use_cases.offers import CreatedOffer, OfferStatus
from issuer.issuance.use_cases.reissuance import DeviceLost, Replaced
from issuer.issuance.use_cases.withdrawal import CredentialStatus
from wallet_core.adapters.qr import qr_svg
from wallet_core.types import Json, JsonObject


def offer_json(made: CreatedOffer) -> JsonObject:
    """Return a new offer as our API and the command line show it."""
    return {
        "id": made.id,
        "uri": made.uri,
        "credential_offer": made.credential_offer.to_json(),
        "credential_offer_uri": made.credential_offer_uri,
        "tx_code": made.tx_code,
        "qr_svg": qr_svg(made.uri),
        "expires_at": made.expires_at.isoformat(),
    }


def status_json(status: OfferStatus) -> JsonObject:
    """Return what became of an offer as our API shows it."""
    return {
        "id": status.id,
        "state": status.state,
        "credential_configuration_ids": list(status.configuration_ids),
        "tries_left": status.tries_left,
        "issued": list(status.issued),
        "deferred": [issuance_json(each) for each in status.deferred],
        "created_at": status.created_at.isoformat(),
    }


def issuance_json(found: DeferredStatus) -> JsonObject:
    """Return a deferred issuance as our API shows it."""
    return {
        "id": found.id,
        "offer_id": found.offer_id,
        "subject_id": found.subject_id,
        "credential_configuration_id": found.configuration_id,
        "copies": found.copies,
        "state": found.state,
        "requested_at": found.requested_at.isoformat(),
        "expires_at": None if found.expires_at is None else found.expires_at.isoformat(),
        "decided_at": None if found.decided_at is None else found.decided_at.isoformat(),
        "decided_by": found.decided_by,
        "reason": found.reason,
        "can_undo": found.can_undo,
    }


def credential_json(credential: IssuedCredential) -> JsonObject:
    """Return the record of an issued credential as our API shows it."""
    return {
        "credential_id": credential.id,
        "credential_configuration_id": credential.configuration_id,
        "subject_id": credential.subject_id,
        "offer_id": credential.offer_id,
        "issued_at": credential.issued_at.isoformat(),
        "expires_at": credential.expires_at.isoformat(),
        "status": credential.status,
        "event": credential.event,
    }


def credential_status_json(found: CredentialStatus) -> JsonObject:
    """Return an issued credential with its history as our API shows it."""
    history: list[Json] = [
        {
            "before": each.before,
            "after": each.after,
            "reason": each.reason,
            "changed_by": each.changed_by,
            "changed_at": each.changed_at.isoformat(),
        }
        for each in found.history
    ]
    return {**credential_json(found.credential), "history": history, "possible_statuses": [*found.possible]}


def replaced_json(replaced: Replaced) -> JsonObject:
    """Return what an order for one person did, as our API and the command line show it."""
    return {"copies": replaced.copies, "replace_by": replaced.replace_by.isoformat()}


def lost_json(lost: DeviceLost) -> JsonObject:
    """Return what was taken back, as our API and the command line show it."""
    return {"revoked": lost.copies, "grants_ended": lost.grants}


def order_json(order: BulkOrder) -> JsonObject:
    """Return an order as our API and the command line show it."""
    return {
        "credential_type": order.type_id,
        "reason": order.reason,
        "grace_seconds": int(order.grace.total_seconds()),
        "ordered_by": order.ordered_by,
        "subjects": order.subjects,
        "copies": order.copies,
    }


def bulk_json(bulk: BulkReissuance) -> JsonObject:
    """Return a stored order with its progress, as our API and the command line show it."""
    progress = bulk.state.progress
    return {
        "id": bulk.id,
        "state": bulk_kind(bulk.state),
        **order_json(bulk.state.order),
        "subjects_done": progress.subjects,
        "copies_done": progress.copies,
        "created_at": bulk.created_at.isoformat(),
    }
