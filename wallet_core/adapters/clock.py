"""The only place that asks the operating system what time it is."""

from datetime import UTC, datetime


class SystemClock:
    """The machine's clock. Apps name what they need as their own ``Clock`` port; this fulfils it."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the clock
