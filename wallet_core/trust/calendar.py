"""Which certificates end soon: so that they are renewed before, not after."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509

WARN_BEFORE: Final = timedelta(days=30)
"""How long before its end a certificate is reported: time for a ceremony, holidays included."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A certificate that ends soon, or has ended.

    Attributes:
        name: of the key or the anchor.
        until: its last second.
        left: how long that is away; negative once it is over.
    """

    name: str
    until: datetime
    left: timedelta

    @property
    def days_left(self) -> int:
        """Whole days that are left; negative once it is over."""
        return self.left // timedelta(days=1)


def ending_soon(
    certificates: Iterable[tuple[str, x509.Certificate]], *, now: datetime, within: timedelta = WARN_BEFORE
) -> list[Ending]:
    """Return what ends within that time, the soonest first."""
    endings = (
        Ending(name, certificate.not_valid_after_utc, certificate.not_valid_after_utc - now)
        for name, certificate in certificates
    )
    return sorted((each for each in endings if each.left <= within), key=lambda each: each.until)
