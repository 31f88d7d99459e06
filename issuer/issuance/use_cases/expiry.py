"""What time alone does to offers and deferred requests: they expire, and what was kept about the person is deleted."""

from datetime import datetime

from issuer.issuance.ports import Storage
from wallet_core.errors import StateConflict
from wallet_core.protocols.openid4vci import deferral
from wallet_core.protocols.openid4vci.issuance import expire

BATCH = 200
"""Offers of one sweep, about 10 ms: a wallet's request waits no longer than that."""


def forget_authorizations(storage: Storage, *, now: datetime) -> int:
    """Delete authorizations whose time is over and return how many; call again while it is ``BATCH``."""
    with storage.unit:
        return storage.authorizations.forget(now=now, limit=BATCH)


def expire_offers(storage: Storage, *, now: datetime) -> int:
    """End offers whose time is over, delete their data, and return how many; call again while it is ``BATCH``."""
    with storage.unit:
        ended = storage.offers.ended(now=now, limit=BATCH)
        for offer in ended:
            try:
                storage.offers.forget(offer, expire(offer.state, now=now))
            except StateConflict:
                # Somebody used it in this very moment; the next sweep sees it again.
                continue
    return len(ended)


def expire_deferrals(storage: Storage, *, now: datetime) -> int:
    """End deferred requests whose time is over, as :func:`expire_offers` does with offers."""
    with storage.unit:
        ended = storage.deferrals.ended(now=now, limit=BATCH)
        for deferred in ended:
            try:
                storage.deferrals.forget(deferred, deferral.expire(deferred.state, now=now))
            except StateConflict:
                continue
    return len(ended)
