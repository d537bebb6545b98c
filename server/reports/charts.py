"""How do a few numbers become a picture that is read at a glance?

Two forms: bars that lie (names with a count each, longest first) and columns that stand (a value for each
day). Several values of one name are stacked. Numbers are written where they are, so no axis is needed to read
them; colours differ in lightness too, for people who do not see them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from server.reports.drawing import Bar, Drawing, Label, Rule, Shape

INK: Final = "#1f2933"
FAINT: Final = "#7b8794"
LINE: Final = "#cbd2d9"
COLOURS: Final = ("#1d4e89", "#f2a541", "#b8c4d0")
WIDTH: Final = 500.0
ROW: Final = 17.0
NAMES: Final = 190.0
LEGEND: Final = 16.0
MOST_BARS: Final = 12
COLUMNS_HEIGHT: Final = 130.0


@dataclass(frozen=True, slots=True)
class Series:
    """What is counted: its name, and one value for each name or day."""

    name: str
    values: tuple[int, ...]


def lying(title: str, names: Sequence[str], series: Sequence[Series], *, rest: str, nothing: str) -> Drawing:
    """Draw names with stacked bars, the longest first; beyond a dozen the others are one bar named `rest`."""
    rows = [(name, tuple(one.values[place] for one in series)) for place, name in enumerate(names)]
    rows = [row for row in sorted(rows, key=lambda row: (-sum(row[1]), row[0])) if sum(row[1])]
    if not rows:
        return _empty(title, nothing)
    if len(rows) > MOST_BARS:
        left = [values for _, values in rows[MOST_BARS - 1 :]]
        together = tuple(sum(column) for column in zip(*left, strict=True))
        rows = [*rows[: MOST_BARS - 1], (rest, together)]
    longest = max(sum(values) for _, values in rows)
    shapes: list[Shape] = _legend(series)
    for number, (name, values) in enumerate(rows):
        y = LEGEND + number * ROW
        shapes.append(Label(NAMES - 6, y + 11, name, 8.5, INK, "end"))
        x = NAMES
        for value, colour in zip(values, COLOURS, strict=False):
            width = (WIDTH - NAMES - 40) * value / longest
            if width:
                shapes.append(Bar(x, y + 3, width, ROW - 6, colour))
            x += width
        shapes.append(Label(x + 4, y + 11, str(sum(values)), 8.5, INK))
    return Drawing(WIDTH, LEGEND + len(rows) * ROW + 4, title, tuple(shapes))


def standing(
    title: str,
    names: Sequence[str],
    series: Sequence[Series],
    *,
    write: Callable[[int], str],
    nothing: str,
) -> Drawing:
    """Draw a group of columns for each day, each with its value above it."""
    highest = max((value for one in series for value in one.values), default=0)
    if highest <= 0:
        return _empty(title, nothing)
    floor = LEGEND + 14 + COLUMNS_HEIGHT
    step = WIDTH / max(1, len(names))
    width = min(34.0, 0.86 * step / len(series))
    shapes: list[Shape] = [*_legend(series), Rule(0, floor, WIDTH, floor, LINE)]
    is_crowded = len(names) * len(series) > 16
    for place, name in enumerate(names):
        middle = step * (place + 0.5)
        left = middle - width * len(series) / 2
        for number, one in enumerate(series):
            value = one.values[place]
            height = COLUMNS_HEIGHT * value / highest
            x, thick = left + number * width, width * 0.94
            if height:
                shapes.append(Bar(x, floor - height, thick, height, COLOURS[number % len(COLOURS)]))
            if value and not is_crowded:
                shapes.append(Label(x + width / 2, floor - height - 3, write(value), 7, INK, "middle"))
        if not is_crowded or place % (len(names) // 8 + 1) == 0:
            shapes.append(Label(middle, floor + 11, name, 8, FAINT, "middle"))
    if is_crowded:
        shapes.append(Label(WIDTH, LEGEND + 10, f"max {write(highest)}", 7, FAINT, "end"))
    return Drawing(WIDTH, floor + 18, title, tuple(shapes))


def _legend(series: Sequence[Series]) -> list[Shape]:
    """Name the colours where there is more than one."""
    shapes: list[Shape] = []
    x = 0.0
    for one, colour in zip(series, COLOURS, strict=False):
        shapes += [Bar(x, 2, 8, 8, colour), Label(x + 12, 9.5, one.name, 8, FAINT)]
        x += 28 + 9 * len(one.name)
    return shapes


def _empty(title: str, nothing: str) -> Drawing:
    return Drawing(WIDTH, 24, title, (Label(0, 15, nothing, 9, FAINT),))
