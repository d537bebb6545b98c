"""When does a team arrive, when it works in stretches with breaks between them?

Minutes since the day began. A way is interrupted by a break and goes on after it; a visit is not
interrupted, it waits until it fits into one stretch. Every question is a look into a table, for one instant
or for thousands at once.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Minutes = NDArray[np.int64]
HORIZON: Final = 26 * 60
"""A local day has at most 25 hours."""
NEVER: Final = HORIZON + 1


class WorkClock:
    """One team's working time. `stretches` are apart and in order; `opens` is when it can set out."""

    def __init__(self, stretches: Sequence[tuple[int, int]]) -> None:
        self.stretches = tuple(stretches)
        self.opens = stretches[0][0] if stretches else NEVER
        self.closes = stretches[-1][1] if stretches else -1
        works = np.zeros(HORIZON, dtype=np.int64)
        for begin, end in stretches:
            works[begin:end] = 1
        until = np.concatenate([[0], np.cumsum(works)])
        self._total = int(until[-1])
        hours = np.arange(self._total + 1)
        # How much was worked until an instant; the first and the last instant at which so much was worked.
        self._worked = np.append(until, self._total + 1)
        self._first = np.append(np.searchsorted(until, hours, side="left"), NEVER)
        self._last = np.searchsorted(until, hours, side="right") - 1
        self._begins: dict[int, Minutes] = {}

    def after(self, leaves: Any, minutes: Any) -> Any:
        """Return when a way of so many minutes ends; NEVER when working time is over before."""
        worked = np.minimum(self._worked[leaves] + minutes, self._total + 1)
        return np.maximum(leaves, self._first[worked])

    def latest_leave(self, arrives: int, minutes: int) -> int:
        """Return the last instant at which one may set out to arrive by then; -1: there is none."""
        worked = int(self._worked[arrives]) - minutes
        return -1 if worked < 0 else min(arrives, int(self._last[worked]))

    def begin(self, at: int, minutes: int) -> int:
        """Return the first instant, `at` or later, at which a visit of so many minutes fits; or NEVER."""
        return int(self.begins(minutes)[at])

    def latest_begin(self, by: int, minutes: int) -> int:
        """Return the last instant, not after `by`, at which a visit of so many minutes fits; or -1."""
        fitting = [min(by, end - minutes) for start, end in self.stretches if start <= min(by, end - minutes)]
        return max(fitting, default=-1)

    def begins(self, minutes: int) -> Minutes:
        """Return `begin` for every instant of the day, NEVER included."""
        table = self._begins.get(minutes)
        if table is None:
            fits = np.full(NEVER + 1, NEVER, dtype=np.int64)
            for start, end in self.stretches:
                if start <= end - minutes:
                    fits[start : end - minutes + 1] = np.arange(start, end - minutes + 1)
            table = self._begins[minutes] = np.minimum.accumulate(fits[::-1])[::-1]
        return table
