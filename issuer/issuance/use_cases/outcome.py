"""What became of an offer in the words of its wallets: only they know whether anybody took the credentials."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from wallet_core.protocols.openid4vci.issuance import Issuance, IssuanceState, Issued, RefusalReason, Refused
from wallet_core.protocols.openid4vci.messages import NotificationEvent
from wallet_core.types import CredentialConfigurationId

_SAID: Final = {
    NotificationEvent.CREDENTIAL_ACCEPTED: "accepted",
    # OpenID4VCI 11.1: caused by what a person did, who declined.
    NotificationEvent.CREDENTIAL_DELETED: "declined",
    NotificationEvent.CREDENTIAL_FAILURE: "failed",
    None: "sent",
}
_OF_ONE: Final = ("accepted", "sent", "declined", "failed")
"""What counts of several answers for one card: a wallet asks again after a failure, and later for new copies."""

_OF_ALL: Final = ("sent", "failed", "declined", "accepted")
"""What counts of several cards: as long as one is open or was not taken, nobody is told that all were."""


def outcome_of(overall: str, state: IssuanceState, deferred: Sequence[str], *, now: datetime) -> str:
    """Return the state of an offer, and for an issued one what its wallets say of what they were sent.

    ``sent`` while a wallet may still say something (OpenID4VCI 11), ``unheard`` if none did in time, then ``accepted``,
    ``declined`` or ``failed``; ``partly`` where all that was sent was accepted and something else was denied. A refused
    one that the agency itself ended is ``withdrawn``.

    Args:
        overall: the state with the deferred requests.
        state: of the offer itself.
        deferred: the states of its deferred requests.
        now: the time.
    """
    if overall == "refused" and isinstance(state, Refused) and state.reason is RefusalReason.WITHDRAWN:
        return "withdrawn"
    if overall != "issued" or not isinstance(state, Issued):
        return overall
    said = _heard(state.issuances)
    if said == "accepted" and "denied" in deferred:
        return "partly"
    return "unheard" if said == "sent" and now >= state.token_expires_at else said


def _heard(issuances: Iterable[Issuance]) -> str:
    cards: dict[CredentialConfigurationId, str] = {}
    for each in issuances:
        words = cards.get(each.configuration_id, _SAID[each.event]), _SAID[each.event]
        cards[each.configuration_id] = min(words, key=_OF_ONE.index)
    return min(cards.values(), key=_OF_ALL.index, default="sent")
