"""Which stops can a team make in this order, and where would another one fit in?

A tour is always possible: every hour of every stop is kept. Inserting is decided for thousands of cases at
once, from how late each stop may begin without breaking one that comes after it.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from server.planning.board import Board, Chosen
from server.planning.distance import Row
from server.planning.improving import shortest_found
from server.planning.workday import HORIZON, NEVER, WorkClock

FAR: Final = 2**40
"""More metres than any way: not possible."""


class Tour:
    """One team's round. `fixed`: places it has to be at whatever is planned (appointments)."""

    def __init__(
        self,
        board: Board,
        clock: WorkClock,
        *,
        start: int,
        end: int | None,
        fixed: Sequence[int] = (),
        most_stops: int | None = None,
    ) -> None:
        self._board, self.clock = board, clock
        self.start, self.end = start, end
        self._most = HORIZON if most_stops is None else most_stops + len(fixed)
        self._begins_of_kind = np.stack([clock.begins(minutes) for minutes in board.durations or (1,)])
        self.order: list[int] = []
        self.begins: list[int] = []
        self.limits: list[int] = []
        self.keeps_fixed = self.take(list(fixed))
        if not self.keeps_fixed:
            self.take([])

    def schedule(self, order: Sequence[int]) -> list[int] | None:
        """Return when each stop begins; None when the team cannot make it in this order."""
        board, at, here = self._board, self.clock.opens, self.start
        begins: list[int] = []
        for place in order:
            arrives = int(self.clock.after(at, board.places.minutes(here)[place]))
            begin = self.clock.begin(max(arrives, int(board.opens[place])), int(board.minutes[place]))
            if begin > board.latest[place]:
                return None
            begins.append(begin)
            at, here = begin + int(board.minutes[place]), place
        if order and self.end is not None:
            back = self.clock.after(at, board.places.minutes(here)[self.end])
            if back > self.clock.closes:
                return None
        return begins

    def take(self, order: list[int]) -> bool:
        """Make the tour this one, if it is possible."""
        begins = self.schedule(order)
        if begins is None:
            return False
        self.order, self.begins = order, begins
        self.limits = self._latest_begins()
        return True

    def _latest_begins(self) -> list[int]:
        """Return how late each stop may begin so that every later one is still kept."""
        board, limits = self._board, list[int]()
        there, by = self.end, self.clock.closes
        for place in reversed(self.order):
            minutes = int(board.minutes[place])
            if there is not None:
                by = self.clock.latest_leave(by, int(board.places.minutes(place)[there]))
            by = self.clock.latest_begin(min(by - minutes, int(board.latest[place])), minutes)
            there = place
            limits.append(by)
        return limits[::-1]

    def _leaves(self) -> list[int]:
        stops = zip(self.begins, self.order, strict=True)
        return [begin + int(self._board.minutes[place]) for begin, place in stops]

    def metres(self) -> int:
        """Return the length of the whole round."""
        return sum(self.legs())

    def legs(self) -> list[int]:
        """Return the metres of each way; the last one leads to the end, 0 where there is none."""
        if not self.order:
            return [0]
        here = [self.start, *self.order]
        ways = [int(self._board.places.metres(one)[to]) for one, to in zip(here, self.order, strict=False)]
        return [*ways, 0 if self.end is None else int(self._board.places.metres(self.order[-1])[self.end])]

    def offers(self, chosen: Chosen) -> tuple[Row, Chosen]:
        """Return, for each chosen place, the fewest metres more for which it fits in, and where; or FAR."""
        nobody = np.full(len(chosen), FAR), np.zeros(len(chosen), dtype=np.intp)
        if not self.clock.stretches or len(self.order) >= self._most:
            return nobody
        board = self._board
        here, there = [self.start, *self.order], [*self.order, self.end]
        to, to_minutes = self._ways(here, chosen)
        on, on_minutes = self._ways(there, chosen)
        leaves = np.array([self.clock.opens, *self._leaves()])[:, None]
        arrives = np.maximum(self.clock.after(leaves, to_minutes), board.opens[chosen])
        begins = self._begins_of_kind[board.kind[chosen], arrives]
        ends = np.minimum(begins + board.minutes[chosen], NEVER)
        then = self.clock.after(ends, on_minutes)
        limits = np.array([*self.limits, self.clock.closes])[:, None]
        more = to + on - np.array(self.legs())[:, None]
        cost = np.where((begins <= board.latest[chosen]) & (then <= limits), more, FAR)
        place = cost.argmin(axis=0)
        return cost[place, np.arange(len(chosen))], place

    def could_begin(self, chosen: Chosen) -> NDArray[np.bool_]:
        """Say of each chosen place whether the team is at work at its hours, however far it is."""
        if not self.clock.stretches:
            return np.zeros(len(chosen), dtype=bool)
        earliest = np.maximum(self._board.opens[chosen], self.clock.opens)
        return self._begins_of_kind[self._board.kind[chosen], earliest] <= self._board.latest[chosen]

    def _ways(self, places: Sequence[int | None], chosen: Chosen) -> tuple[Row, Row]:
        """Return metres and minutes from (or to) these places; nothing where nobody has to return."""
        nothing = np.zeros(len(chosen), dtype=np.int64)
        rows = self._board.places
        metres = [nothing if one is None else rows.metres(one)[chosen] for one in places]
        minutes = [nothing if one is None else rows.minutes(one)[chosen] for one in places]
        return np.stack(metres), np.stack(minutes)

    def insert(self, place: int, at: int) -> None:
        """Put a place in where `offers` said that it fits."""
        if not self.take([*self.order[:at], place, *self.order[at:]]):
            raise AssertionError(f"place {place} was offered at {at} and does not fit")

    def shorten(self) -> bool:
        """Look for a shorter order of the same stops; whether there was one."""
        if len(self.order) < 2:
            return False
        around = [self.start, *self.order]
        table = [[int(row[there]) for there in around] for row in map(self._board.places.metres, around)]
        for row, one in zip(table, around, strict=True):
            row.append(0 if self.end is None else int(self._board.places.metres(one)[self.end]))
        table.append([row[-1] for row in table] + [0])
        now = list(range(1, len(around)))
        found = shortest_found(
            now, table, lambda order: self.schedule([around[number] for number in order]) is not None
        )
        return found != now and self.take([around[number] for number in found])
