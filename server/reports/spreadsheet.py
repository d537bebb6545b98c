"""How does a list become a CSV file that a spreadsheet shows and never executes?

Excel and its kin take a cell that begins with one of a few characters for a formula, also when a client's own
reference begins so; such a cell gets an apostrophe in front, which imports take off again.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, Final

from server.reports.sheet import Table

MIME: Final = "text/csv; charset=utf-8"
BYTE_ORDER_MARK: Final = "\ufeff"
STARTS_A_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe(cell: object) -> str:
    """Return a cell's text so that it is shown as it stands."""
    text = "" if cell is None else str(cell)
    return f"'{text}" if text.lstrip(" \u3000\u00a0").startswith(STARTS_A_FORMULA) else text


def yuan(fen: int) -> str:
    """Write an amount as people read it."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100}.{abs(fen) % 100:02}"


def write(table: Table, target: BinaryIO) -> int:
    """Write a table into a file, amounts in yuan; return how many rows it has."""
    target.write((BYTE_ORDER_MARK + _line([column.title for column in table.columns])).encode())
    count = 0
    for row in table.rows:
        count += 1
        cells = [
            yuan(cell) if column.kind == "money" and isinstance(cell, int) else safe(cell)
            for cell, column in zip(row, table.columns, strict=True)
        ]
        target.write(_line(cells).encode())
    return count


def lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """Write a file line by line; the mark in front tells Excel that it is UTF-8."""
    yield BYTE_ORDER_MARK + _line(header)
    for row in rows:
        yield _line([safe(cell) for cell in row])


def _line(cells: Sequence[str]) -> str:
    target = io.StringIO()
    csv.writer(target).writerow(cells)
    return target.getvalue()
