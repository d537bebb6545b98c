"""In which order is a round shortest?

Nearest neighbour to begin with, then 2-opt (turn a part around) and or-opt (carry up to three stops
elsewhere), each step only when the round becomes shorter and every hour is still kept. Works on numbers:
`metres[i][j]`, where 0 is the start and the last one the end. Where nobody has to return, the way to the end
is 0 metres from everywhere.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, pairwise
from typing import Final

Table = Sequence[Sequence[int]]
Possible = Callable[[list[int]], bool]
CARRIED: Final = 3


def length(order: Sequence[int], metres: Table) -> int:
    """Return the metres of a whole round from the start through `order` to the end."""
    path = [0, *order, len(metres) - 1]
    return sum(metres[here][there] for here, there in pairwise(path))


def nearest_neighbour(metres: Table) -> list[int]:
    """Return the order of always going to the nearest place not yet seen."""
    left = list(range(1, len(metres) - 1))
    order, here = [], 0
    while left:
        here = min(left, key=lambda there: (metres[here][there], there))
        left.remove(here)
        order.append(here)
    return order


def shortest_found(order: Sequence[int], metres: Table, is_possible: Possible) -> list[int]:
    """Return the best order found from this one and from the nearest neighbours'; never a longer one."""
    best = list(order)
    for begun in (best, nearest_neighbour(metres)):
        if begun is best or is_possible(begun):
            found = improve(begun, metres, is_possible)
            if length(found, metres) < length(best, metres):
                best = found
    return best


def improve(order: Sequence[int], metres: Table, is_possible: Possible) -> list[int]:
    """Shorten a round step by step until neither 2-opt nor or-opt finds anything."""
    current = list(order)
    while True:
        shorter = _first(chain(_turned(current, metres), _carried(current, metres)), is_possible)
        if shorter is None:
            return current
        current = shorter


def _first(orders: Iterator[list[int]], is_possible: Possible) -> list[int] | None:
    return next((order for order in orders if is_possible(order)), None)


def _turned(order: list[int], metres: Table) -> Iterator[list[int]]:
    """Every order that is shorter because one part of it is turned around."""
    path = [0, *order, len(metres) - 1]
    for i in range(1, len(path) - 2):
        before, first = path[i - 1], path[i]
        for j in range(i + 1, len(path) - 1):
            last, after = path[j], path[j + 1]
            saved = metres[before][first] + metres[last][after]
            if metres[before][last] + metres[first][after] < saved:
                yield [*path[1:i], *path[i : j + 1][::-1], *path[j + 1 : -1]]


def _carried(order: list[int], metres: Table) -> Iterator[list[int]]:
    """Every order that is shorter because up to three stops in a row stand elsewhere."""
    end = len(metres) - 1
    for size in range(1, min(CARRIED, len(order) - 1) + 1):
        for at in range(len(order) - size + 1):
            part, rest = order[at : at + size], [0, *order[:at], *order[at + size :], end]
            first, last = part[0], part[-1]
            before, after = rest[at], rest[at + 1]
            saved = metres[before][first] + metres[last][after] - metres[before][after]
            for to, (here, there) in enumerate(pairwise(rest)):
                gap = metres[here][there]
                if metres[here][first] + metres[last][there] - gap < saved and to != at:
                    yield [*rest[1 : to + 1], *part, *rest[to + 1 : -1]]
                if size > 1 and metres[here][last] + metres[first][there] - gap < saved:
                    yield [*rest[1 : to + 1], *part[::-1], *rest[to + 1 : -1]]
