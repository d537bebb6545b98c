"""How long does a phone wait before it tries again?

Doubling pauses with full jitter, so that a thousand phones that lost the office together do not come back
together. What the office asked for (`Retry-After`, in seconds or as a date) is a lower bound that jitter is
added to; it cannot silence a phone for longer than an hour, and whoever else answers not for longer than five
minutes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

MOST_ASKED: Final = timedelta(hours=1)
MOST_BY_OTHERS: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class BackOff:
    """Pauses after failures in a row."""

    first: timedelta = timedelta(seconds=2)
    most: timedelta = timedelta(minutes=5)

    def most_after(self, failures: int) -> timedelta:
        """Return the longest pause after this many failures in a row."""
        return min(self.most, self.first * 2 ** min(max(failures - 1, 0), 16))

    def wait(self, failures: int, *, jitter: float, asked: timedelta | None = None) -> timedelta:
        """Return the pause; `jitter` is a random number in [0, 1), `asked` what the office wants at least."""
        pause = self.most_after(failures) * jitter
        return pause if asked is None else min(asked, MOST_ASKED) + pause


def retry_after(headers: Mapping[str, str], *, is_office: bool) -> int | None:
    """Return how many seconds an answer makes a phone wait; None if it asks for none, or not understandably.

    A date is taken against the answer's own `Date`: the phone's clock may be years off.
    """
    asked = _asked_seconds(headers)
    most = MOST_ASKED if is_office else MOST_BY_OTHERS
    return None if asked is None else min(max(asked, 0), int(most.total_seconds()))


def _asked_seconds(headers: Mapping[str, str]) -> int | None:
    asked = headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        return int(asked[:9])
    until, told = _date(asked), _date(headers.get("Date", ""))
    return None if until is None or told is None else math.ceil((until - told).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
