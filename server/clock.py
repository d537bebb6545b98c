"""What time is it for this server?

One reading for the whole product, so that a demonstration can run on a shifted clock (a setting that a
production boot refuses). Workflows never read a clock: they are given `now`.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

FIRST_DAY: Final = date(1900, 1, 1)
LAST_DAY: Final = date(2200, 12, 31)
"""No day that somebody writes down lies outside (the imports say the same): whoever reckons from it stays
within what dates can hold, and counting up to it ends."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The machine's clock plus a shift; `shift_file`, when given, holds the seconds and may be rewritten."""

    shift: timedelta = timedelta(0)
    shift_file: Path | None = None

    def now(self) -> datetime:
        """Return the current instant, aware, UTC."""
        if self.shift_file is not None:
            return datetime.now(UTC) + timedelta(seconds=float(self.shift_file.read_text()))
        return datetime.now(UTC) + self.shift
