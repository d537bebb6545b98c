"""What is a report, before anybody decides whether it is a page, a workbook or a PDF?

A heading, figures, pictures, tables. Small tables are whole; the long one streams its rows, so that a report
of a hundred thousand lines needs no more memory than one of ten.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from server.reports.drawing import Drawing

Kind = Literal["text", "count", "money", "date"]
Cell = str | int | None
MOST_ROWS_TO_READ: Final = 500
"""So many rows of the long table are shown where people read: page and PDF. Files for machines have all."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Money is fen; `width` is a share of the page."""

    title: str
    kind: Kind = "text"
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class Table:
    """A title, columns, and rows of cells; dates are cells as ISO text."""

    title: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[Cell]]


@dataclass(frozen=True, slots=True)
class Sheet:
    """A whole report. `rest` is said under a long table that was cut: it has a place for the number."""

    title: str
    subtitle: str
    made: str
    made_at: datetime
    lang: str
    figures: Sequence[tuple[str, str]]
    pictures: Sequence[tuple[str, Drawing]]
    tables: Sequence[Table]
    lines: Table
    nothing: str
    rest: str
    page: str
    notes: Sequence[str] = ()
    words: Mapping[str, str] = field(default_factory=dict)


def written(cell: Cell, kind: Kind) -> str:
    """Write a cell as people read it."""
    if cell is None:
        return ""
    if kind == "money" and isinstance(cell, int):
        return f"{_yuan(cell)}"
    if kind == "count" and isinstance(cell, int):
        return f"{cell:,}"
    return str(cell)


def _yuan(fen: int) -> str:
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100:,}.{abs(fen) % 100:02}"
