"""How a session ends, on either side: the last state, and why (ISO/IEC 18013-5 9.1.1.4).

The invariant: an ended session holds no key. "Destruction of session keys and related ephemeral key material" is that
nobody has them any more.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Final

from wallet_core.errors import WalletError
from wallet_core.protocols.iso18013.session import SessionStatus

ENGAGED_FOR: Final = timedelta(minutes=5)
"""How long after the engagement a session may begin; at least 30 seconds (8.2.3)."""

IDLE_FOR: Final = timedelta(minutes=5)
"""How long neither side need say anything; at least 300 seconds (9.1.1.4)."""


class EndReason(StrEnum):
    """Why a session is over."""

    ENDED = "ended"
    """This side ended it."""

    ENDED_BY_PEER = "ended_by_peer"
    """The other side ended it as it should."""

    DECLINED = "declined"
    """The person said no."""

    REFUSED_BY_PEER = "refused_by_peer"
    """The other side could not read what it was sent, or says something else that ends a session."""

    NOT_DECRYPTED = "not_decrypted"
    """A key or a message of the other side did not pass session encryption."""

    NOT_DECODED = "not_decoded"
    """A message of the other side was not what it must be."""

    OUT_OF_TURN = "out_of_turn"
    """The other side spoke when it was not its turn."""

    TIMED_OUT = "timed_out"
    """Nothing came for too long."""

    DISCONNECTED = "disconnected"
    """What carried the messages was closed or broke before the session ended."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over. ``description`` is a sentence without personal data, ``clause`` where the rule stands."""

    kind: ClassVar[str] = "ended"
    reason: EndReason
    ended_at: datetime
    description: str = ""
    clause: str | None = None


def ended_with(error: WalletError, status: SessionStatus, *, now: datetime) -> Ended:
    """Return the end that a bad message of the other side makes; ``status`` is what this side tells it."""
    reason = EndReason.NOT_DECRYPTED if status is SessionStatus.ENCRYPTION_ERROR else EndReason.NOT_DECODED
    return Ended(reason, now, error.description, error.clause)


def ended_by_status(status: int, *, now: datetime) -> Ended:
    """Return the end that a status of the other side makes. One that nobody knows ends the session too."""
    # iso18013-9.1.1.4-status-ends
    if status == SessionStatus.TERMINATION:
        return Ended(EndReason.ENDED_BY_PEER, now)
    return Ended(EndReason.REFUSED_BY_PEER, now, f"the other side ended the session with status {status}")


def ended_out_of_turn(*, now: datetime) -> Ended:
    """Return the end that a message makes which nobody waited for."""
    return Ended(EndReason.OUT_OF_TURN, now, "the other side spoke out of turn", "ISO/IEC 18013-5 9.1.1.4")


def ended_by_disconnection(*, now: datetime) -> Ended:
    """Return the end that comes when nothing carries messages any more. There is nobody to tell."""
    return Ended(EndReason.DISCONNECTED, now, "the connection was closed before the session ended")
