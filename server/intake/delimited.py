"""Which records does a delimited file hold?

Comma, semicolon or tab, whichever makes most headings known; quoted line breaks; Excel's `sep=` line. A
quote that is never closed costs the line it stands in, not the rest of the file.
"""

import csv
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from server.intake.encoding import Line
from server.intake.faults import FileFault, RowFault

DELIMITERS: Final = (",", ";", "\t")
MOST_LINES_PER_RECORD: Final = 50
_SEPARATOR_LINE = re.compile(r"^sep=([,;\t])$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """The cells of one record and the line where it begins."""

    line: int
    cells: list[str]


class DelimitedFile:
    """A file with a header. `header` is read at once; `records` streams the rest."""

    def __init__(self, lines: Iterator[Line], *, is_known: Callable[[str], bool]) -> None:
        self._lines = lines
        self._put_back: deque[Line] = deque()
        first = self._next_filled()
        if first is None:
            raise FileFault("The file is empty. Send a header line and at least one row.")
        forced = _SEPARATOR_LINE.match(first.text or "")
        if forced:
            first = self._next_filled()
        if first is None or first.text is None:
            raise FileFault("The first line must be the header, shorter than 64 KiB.")
        choices = forced.groups() if forced else DELIMITERS
        try:
            headers = {one: _split(first.text, one) for one in choices}
        except csv.Error:
            raise FileFault("The header cannot be read. Check its quotation marks and line breaks.") from None
        self._delimiter: str = max(choices, key=lambda one: sum(map(is_known, headers[one])))
        self.header = [name.strip() for name in headers[self._delimiter]]

    def _next(self) -> Line | None:
        return self._put_back.popleft() if self._put_back else next(self._lines, None)

    def _next_filled(self) -> Line | None:
        line = self._next()
        while line is not None and line.text is not None and not line.text.strip():
            line = self._next()
        return line

    def records(self) -> Iterator[Record | RowFault]:
        """Yield every record that is not blank, or the fault of the line it begins in."""
        while (line := self._next()) is not None:
            if line.text is None:
                yield RowFault(line.number, None, "The line is longer than 64 KiB. Is a line break missing?")
                continue
            found = self._record(line.number, line.text)
            if isinstance(found, RowFault) or any(cell.strip() for cell in found.cells):
                yield found

    def _record(self, number: int, text: str) -> Record | RowFault:
        if '"' not in text and "\r" not in text:
            return Record(number, text.split(self._delimiter))
        taken: list[Line] = []
        while _is_open(text, self._delimiter):
            more = self._next()
            if more is not None:
                taken.append(more)
            if more is None or more.text is None or len(taken) >= MOST_LINES_PER_RECORD:
                self._put_back.extendleft(reversed(taken))
                return RowFault(number, None, "A quotation mark opens here and is never closed. Close it.")
            text += "\n" + more.text
        try:
            return Record(number, _split(text, self._delimiter))
        except csv.Error:
            return RowFault(number, None, "Cannot be read. Check quotation marks and line breaks.")


def _split(text: str, delimiter: str) -> list[str]:
    return next(csv.reader([text], delimiter=delimiter), [])


def _is_open(text: str, delimiter: str) -> bool:
    """Whether a quoted cell is still open at the end. csv says so in its strict mode only, in these words."""
    try:
        next(csv.reader([text], delimiter=delimiter, strict=True), None)
    except csv.Error as error:
        return "unexpected end of data" in str(error)
    return False
