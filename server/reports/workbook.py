"""How does a report become an XLSX workbook, with flat memory and without anything that could be executed?

Cells are written as text, numbers or dates, never as formulas or links, whatever they begin with. Rows go out
as they come; what a sheet cannot hold goes on to the next one.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO, Final

import xlsxwriter

from server.reports.sheet import Cell, Column, Sheet, Table

MOST_ROWS: Final = 1_000_000
MOST_CHARACTERS: Final = 32_767
FORMATS: Final = {"count": "#,##0", "money": "#,##0.00", "date": "yyyy-mm-dd"}


def write_workbook(sheet: Sheet, target: BinaryIO, *, folder: Path) -> int:
    """Write a report into a file; return how many lines it has. Parts wait in `folder` meanwhile."""
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "tmpdir": str(folder),
    }
    with xlsxwriter.Workbook(target, options) as book:
        book.set_properties({"title": sheet.title, "created": sheet.made_at.replace(tzinfo=None)})
        writer = _Writer(book)
        writer.cover(sheet)
        for table in sheet.tables:
            writer.table(table)
        return writer.table(sheet.lines)


class _Writer:
    def __init__(self, book: Any) -> None:
        self._book = book
        self._bold = book.add_format({"bold": True, "bottom": 1, "bg_color": "#eef2f6"})
        self._title = book.add_format({"bold": True, "font_size": 14})
        self._formats = {kind: book.add_format({"num_format": pattern}) for kind, pattern in FORMATS.items()}
        self._names: set[str] = set()

    def cover(self, sheet: Sheet) -> None:
        page = self._page(sheet.words.get("cover", "Report"))
        page.set_column(0, 0, 34)
        page.set_column(1, 1, 24)
        page.write_string(0, 0, sheet.title, self._title)
        texts = [sheet.subtitle, sheet.made, *sheet.notes]
        for row, text in enumerate(texts, 1):
            page.write_string(row, 0, text)
        for row, (name, value) in enumerate(sheet.figures, len(texts) + 2):
            page.write_string(row, 0, name)
            page.write_string(row, 1, value)

    def table(self, table: Table) -> int:
        """Write a table over as many pages as it needs."""
        written, row = 0, 0
        page = self._opened(table)
        for cells in table.rows:
            if row == MOST_ROWS:
                page, row = self._opened(table), 0
            row += 1
            written += 1
            for place, (cell, column) in enumerate(zip(cells, table.columns, strict=True)):
                self._cell(page, row, place, cell, column)
        return written

    def _opened(self, table: Table) -> Any:
        page = self._page(table.title)
        page.freeze_panes(1, 0)
        for place, column in enumerate(table.columns):
            page.set_column(place, place, 8 + 8 * column.width)
        for place, column in enumerate(table.columns):
            page.write_string(0, place, column.title, self._bold)
        return page

    def _cell(self, page: Any, row: int, place: int, cell: Cell, column: Column) -> None:
        if cell is None:
            return
        if isinstance(cell, int):
            value = cell / 100 if column.kind == "money" else cell
            page.write_number(row, place, value, self._formats.get(column.kind))
        elif column.kind == "date":
            page.write_datetime(row, place, date.fromisoformat(cell), self._formats["date"])
        else:
            page.write_string(row, place, cell[:MOST_CHARACTERS])

    def _page(self, title: str) -> Any:
        """Open a page under a name that a workbook allows and that is not taken."""
        plain = "".join(" " if one in "[]:*?/\\'" else one for one in title)[:26].strip() or "Sheet"
        name = next(one for one in _numbered(plain) if one.casefold() not in self._names)
        self._names.add(name.casefold())
        return self._book.add_worksheet(name)


def _numbered(name: str) -> Sequence[str]:
    return [name, *(f"{name} {number}" for number in range(2, 1000))]
