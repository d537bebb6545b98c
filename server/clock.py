"""What time is it for this server?

One reading for the whole product, so that a demonstration can run on a shifted clock (a setting that a
production boot refuses). Workflows never read a clock: they are given `now`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Clock:
    """The machine's clock plus a constant shift."""

    shift: timedelta = timedelta(0)

    def now(self) -> datetime:
        """Return the current instant, aware, UTC."""
        return datetime.now(UTC) + self.shift
