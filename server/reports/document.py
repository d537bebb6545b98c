"""How does a report become a PDF that shows its Chinese on every machine?

The font is shipped and embedded, cut down to what the report uses. A character that it lacks is shown as 〓,
never left out. A PDF is for reading: of a very long table it holds the beginning and says what is missing.
"""

from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from fontTools.ttLib import TTFont
from fpdf import FPDF
from fpdf.enums import WrapMode, XPos, YPos

from server.reports.charts import FAINT, INK, LINE
from server.reports.drawing import Bar, Drawing, Label, Rule
from server.reports.sheet import MOST_ROWS_TO_READ, Cell, Sheet, Table, written

FONT: Final = Path(__file__).parent / "fonts" / "NotoSansSC-GB2312.otf"
GETA: Final = "〓"
MARGIN: Final = 40.0
ROW: Final = 15.0
PADDING: Final = 4.0
SMALLEST: Final = 5.0
"""The size below which words are cut instead."""
ROUNDING: Final = 0.01
HEAD: Final = "#eef2f6"


@cache
def _known() -> frozenset[int]:
    """Return the characters that the font has."""
    with TTFont(FONT, lazy=True) as font:
        return frozenset(font.getBestCmap() or ())


def shown(text: str) -> str:
    """Put 〓 for every character that the font lacks, and a space for what is no character at all."""
    known = _known()
    return "".join(one if ord(one) in known else " " if one.isspace() else GETA for one in text)


def write_document(sheet: Sheet, target: BinaryIO) -> int:
    """Write a report as PDF; return how many lines it has, shown or not."""
    pdf = _Pages(sheet)
    pdf.opening()
    for title, drawing in sheet.pictures:
        pdf.picture(title, drawing)
    for table in sheet.tables:
        pdf.grid(table.title, table, list(table.rows))
    rows = iter(sheet.lines.rows)
    first = list(islice(rows, MOST_ROWS_TO_READ))
    pdf.grid(sheet.lines.title, sheet.lines, first)
    left_out = sum(1 for _ in rows)
    if left_out:
        pdf.words(sheet.rest.format(count=left_out))
    for note in sheet.notes:
        pdf.words(note)
    target.write(bytes(pdf.output()))
    return len(first) + left_out


class _Pages(FPDF):
    """A4 pages with our font, a line at the foot, and tables that repeat their heads."""

    def __init__(self, sheet: Sheet) -> None:
        super().__init__(unit="pt", format="A4")
        self._sheet = sheet
        self.add_font("sans", fname=FONT)
        self.set_title(shown(sheet.title))
        self.set_lang(sheet.lang)
        self.set_creation_date(sheet.made_at)
        self.set_margins(MARGIN, MARGIN, MARGIN)
        self.c_margin = 0
        self.set_auto_page_break(True, margin=MARGIN + 10)
        self.alias_nb_pages("{total}")
        self.add_page()

    def footer(self) -> None:
        """Say which page of which report this is."""
        self.set_y(-MARGIN)
        self._ink(FAINT, 8)
        self.c_margin = 0
        self.cell(self.epw - 60, 10, shown(self._sheet.made))
        self.cell(60, 10, self._sheet.page.format(page=self.page_no(), total="{total}"))

    def opening(self) -> None:
        """Write the heading and the figures."""
        sheet = self._sheet
        self._line(sheet.title, 17, INK)
        self._ink(FAINT, 10)
        self._paragraph(sheet.subtitle, 15)
        self.ln(8)
        wide = self.epw / 4
        for place, (name, value) in enumerate(sheet.figures):
            x, y = MARGIN + place % 4 * wide, self.get_y()
            self._put(Label(x, y + 9, name, 8, FAINT), 0, 0)
            self.set_font("sans", size=14)
            self._put(Label(x, y + 26, value, self._size_for(value, wide - PADDING), INK), 0, 0)
            if place % 4 == 3 or place == len(sheet.figures) - 1:
                self.set_y(y + 38)
        self.ln(4)

    def picture(self, title: str, drawing: Drawing) -> None:
        """Draw a picture under its title, both on one page."""
        scale = self.epw / drawing.width
        height = drawing.height * scale
        if self.get_y() + height + 30 > self.page_break_trigger:
            self.add_page()
        self._heading(title)
        top = self.get_y()
        for shape in drawing.shapes:
            self._put(shape, MARGIN, top, scale)
        self.set_y(top + height + 6)

    def grid(self, title: str, table: Table, rows: Sequence[Sequence[Cell]]) -> None:
        """Write a table; its head is repeated on every page."""
        shares = sum(column.width for column in table.columns)
        widths = [self.epw * column.width / shares for column in table.columns]
        if self.get_y() + 5 * ROW > self.page_break_trigger:
            self.add_page()
        self._heading(title)
        self._head(table, widths)
        if not rows:
            self.words(self._sheet.nothing)
        for row in rows:
            if self.get_y() + ROW > self.page_break_trigger:
                self.add_page()
                self._head(table, widths)
            self._ink(INK, 7.5)
            self.c_margin = PADDING
            for cell, column, width in zip(row, table.columns, widths, strict=True):
                self._cell(written(cell, column.kind), width, is_number=column.kind in ("count", "money"))
            self.ln(ROW)
        self.c_margin = 0
        self.ln(6)

    def words(self, text: str) -> None:
        """Write a paragraph."""
        self._ink(FAINT, 8)
        self._paragraph(text, 12)

    def _paragraph(self, text: str, height: float) -> None:
        self.multi_cell(
            self.epw, height, shown(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT, wrapmode=WrapMode.CHAR
        )

    def _head(self, table: Table, widths: Sequence[float]) -> None:
        self._ink(INK, 7.5)
        self.set_fill_color(HEAD)
        self.c_margin = PADDING
        for column, width in zip(table.columns, widths, strict=True):
            align = "R" if column.kind in ("count", "money") else "L"
            self.cell(width, ROW, self._fitting(column.title, width), "B", align=align, fill=True)
        self.ln(ROW)
        self.c_margin = 0

    def _heading(self, title: str) -> None:
        self.ln(4)
        self._line(title, 11, INK)
        self.ln(2)

    def _line(self, text: str, size: float, colour: str) -> None:
        self._ink(colour, size)
        self.cell(self.epw, size * 1.5, shown(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _ink(self, colour: str, size: float) -> None:
        self.set_font("sans", size=size)
        self.set_text_color(colour)
        self.set_draw_color(LINE)

    def _cell(self, text: str, width: float, *, is_number: bool) -> None:
        """Write what is wide smaller, a number as small as it needs: half a number is another number."""
        room = width - 2 * PADDING
        size = self._size_for(text, room)
        self.set_font("sans", size=size if is_number else max(size, SMALLEST))
        shortened = text if is_number else self._fitting(text, width)
        self.cell(width, ROW, shown(shortened), "B", align="R" if is_number else "L")

    def _size_for(self, text: str, room: float) -> float:
        """Return the size that the font must have for a text to need no more room, at most the one it has."""
        needed = self.get_string_width(shown(text))
        return self.font_size_pt if needed <= room else self.font_size_pt * room / needed

    def _fitting(self, text: str, width: float) -> str:
        """Shorten text that is wider than its cell, and show that it was."""
        text = shown(text)
        if self.get_string_width(text) <= width - 2 * PADDING + ROUNDING:
            return text
        while text and self.get_string_width(text + "…") > width - 2 * PADDING:
            text = text[:-1]
        return text + "…"

    def _put(self, shape: Bar | Rule | Label, left: float, top: float, scale: float = 1.0) -> None:
        match shape:
            case Bar(x, y, width, height, colour):
                self.set_fill_color(colour)
                self.rect(left + x * scale, top + y * scale, width * scale, height * scale, style="F")
            case Rule(x1, y1, x2, y2, colour):
                self.set_draw_color(colour)
                self.line(left + x1 * scale, top + y1 * scale, left + x2 * scale, top + y2 * scale)
            case Label(x, y, text, size, colour, anchor):
                self._ink(colour, size * scale)
                text = shown(text)
                back = {"start": 0.0, "middle": 0.5, "end": 1.0}[anchor]
                self.text(left + x * scale - back * self.get_string_width(text), top + y * scale, text)
