"""The code that a clerk says aloud at a counter with a printed link. Pure.

A printed link is the same for everybody and for good; what it leads to is made anew for each customer (OpenID4VP 5.2).
The code keeps those away who only know the link: they could have requests made in the party's name.
"""

import hmac
from datetime import datetime, timedelta
from typing import Final

SPOKEN_FOR: Final = timedelta(minutes=10)
"""How long a code is the one to say; it is taken for as long again, for the customer who heard it last."""

SPOKEN_DIGITS: Final = 6
"""What can be said and typed at a counter, as a one-time code is; wrong ones are rationed by address and by counter."""

WRONG_AT_ONCE: Final = 100
"""Wrong codes at one party's counter for one policy, whoever typed them, before everybody there has to wait."""

WRONG_INTERVAL: Final = timedelta(seconds=20)
"""In the long run one wrong code for each: of a million two are good, so a day of guessing finds one in a hundred."""


def spoken_code(secret: bytes, party_id: str, policy_id: str, *, now: datetime) -> str:
    """Return the code of this party and policy at this time: the same at every worker, and stored nowhere."""
    return _code(secret, party_id, policy_id, _period(now))


def is_spoken(secret: bytes, party_id: str, policy_id: str, code: str, *, now: datetime) -> bool:
    """Return whether ``code`` is the one said now, or just before."""
    periods = (_period(now), _period(now) - 1)
    typed = code.strip().encode()
    return any(hmac.compare_digest(_code(secret, party_id, policy_id, each).encode(), typed) for each in periods)


def _period(now: datetime) -> int:
    return int(now.timestamp() // SPOKEN_FOR.total_seconds())


def _code(secret: bytes, party_id: str, policy_id: str, period: int) -> str:
    drawn = hmac.digest(secret, f"{party_id} {policy_id} {period}".encode(), "sha256")
    return f"{int.from_bytes(drawn[:8], 'big') % 10**SPOKEN_DIGITS:0{SPOKEN_DIGITS}d}"
