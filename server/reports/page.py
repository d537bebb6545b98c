"""How does a report become a page that stands by itself: no script, no address of anybody else's?

Everything is escaped by the template; pictures are drawn into it.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from server.reports.drawing import svg
from server.reports.sheet import MOST_ROWS_TO_READ, Cell, Sheet, written

_pages = Environment(
    loader=PackageLoader("server.reports"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class Cut:
    """The first rows of a long table, and then how many were left out."""

    def __init__(self, rows: Iterator[Sequence[Cell]]) -> None:
        self._rows = rows
        self.shown = 0
        self.left_out = 0

    def __iter__(self) -> Iterator[Sequence[Cell]]:
        for row in islice(self._rows, MOST_ROWS_TO_READ):
            self.shown += 1
            yield row
        self.left_out = sum(1 for _ in self._rows)


def write_page(sheet: Sheet, target: BinaryIO) -> int:
    """Write a report as HTML; return how many lines it has, shown or not."""
    lines = Cut(iter(sheet.lines.rows))
    values: dict[str, Any] = {
        "sheet": sheet,
        "lines": lines,
        "written": written,
        "pictures": [(title, Markup(svg(drawing))) for title, drawing in sheet.pictures],
    }
    for piece in _pages.get_template("report.html").generate(values):
        target.write(piece.encode())
    return lines.shown + lines.left_out
