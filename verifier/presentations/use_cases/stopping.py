"""Giving up: whoever asked ends what nobody has answered yet."""

from datetime import datetime
from functools import partial

from verifier.presentations.ports import Storage, StoredPresentation
from verifier.relying_parties.ports import RelyingParty
from wallet_core.errors import NotFound, StateConflict
from wallet_core.protocols.openid4vp import presentation as states
from wallet_core.protocols.openid4vp.asking import settle
from wallet_core.protocols.openid4vp.presentation import (
    Answered,
    Expired,
    Presentation,
    Refused,
    Requested,
    Retrieved,
    Verified,
)


def stop_check(storage: Storage, party: RelyingParty, check_id: str, *, now: datetime) -> None:
    """End the requests of a check, all or none, in the caller's transaction; what time has ended stays as it is.

    From then on no wallet gets the request, and the key that an answer would be encrypted to is gone.

    Raises:
        NotFound: the party has no such check.
        StateConflict: an answer came first. It stays.
    """
    with storage.unit:
        found = [one for one in storage.presentations.of_check(check_id) if one.party_id == party.id]
        if not found:
            raise NotFound("there is no such check")
        if any(isinstance(one.state, Answered | Verified | Refused) for one in found):
            raise StateConflict("this check was answered")
        for one in found:
            if isinstance(one.state, Requested | Retrieved) and now < one.state.terms.expires_at:
                _stop(storage, one, now)


def _stop(storage: Storage, stored: StoredPresentation, now: datetime) -> None:
    settle(
        stored,
        partial(_stopped, now=now),
        advance=storage.presentations.advance,
        read_again=lambda: storage.presentations.by_request_id(stored.request_id),
    )


def _stopped(state: Presentation, *, now: datetime) -> Expired:
    # Somebody else stopped it meanwhile: that is what was wanted.
    return state if isinstance(state, Expired) and state.stopped else states.stop(state, now=now)
