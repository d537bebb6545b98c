"""What does this file say, row by row? The one door of intake.

Every fault of a row is told, not only the first; rows without fault are given in the order of the file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, BinaryIO, Literal

from server.intake.cells import CHINA, clean
from server.intake.delimited import DelimitedFile, Record
from server.intake.encoding import detect, lines
from server.intake.faults import CellFault, FileFault, RowFault
from server.intake.jsonlines import Document, documents, storable
from server.intake.kinds import BY_HEADING, COLUMNS, KINDS, ORDERED_DAYS, Column, folded

Form = Literal["csv", "jsonl"]


@dataclass(frozen=True, slots=True)
class Row:
    """A row without fault. `values` holds what it says, by column name of the table.

    What is left out or empty is absent; an explicit JSON null is None.
    """

    line: int
    kind: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that cannot be used, with every reason."""

    line: int
    faults: tuple[RowFault, ...]


@dataclass(slots=True)
class Reading:
    """A file being read. `ignored` fills with headings nobody knows while `rows` is consumed."""

    encoding: str
    rows: Iterator[Row | Rejected]
    ignored: set[str] = field(default_factory=set)


def read(stream: BinaryIO, *, form: Form, kind: str | None, today: date) -> Reading:
    """Begin to read a seekable stream. `today` is China's; days after it are faults where they must be past.

    Raises FileFault when no row can be read at all; the rows themselves never raise.
    """
    if kind is not None and kind not in KINDS:
        raise FileFault(f"The kind must be one of: {', '.join(KINDS)}.")
    reading = Reading(encoding=detect(stream), rows=iter(()))
    found = lines(stream, encoding=reading.encoding)
    if form == "jsonl":
        reading.rows = _from_documents(documents(found), kind=kind, today=today, ignored=reading.ignored)
        return reading
    if kind is None:
        raise FileFault(f"Say what the rows are: add ?kind= with one of {', '.join(KINDS)}.")
    by_heading = BY_HEADING[kind]
    file = DelimitedFile(found, is_known=lambda name: folded(name) in by_heading)
    columns = _header(file.header, kind=kind, ignored=reading.ignored)
    reading.rows = _from_records(file.records(), columns, kind=kind, today=today)
    return reading


def _header(header: list[str], *, kind: str, ignored: set[str]) -> list[Column | None]:
    """Name the column of each cell; FileFault when one is missing or stands twice."""
    columns = [BY_HEADING[kind].get(folded(name)) for name in header]
    ignored.update(
        storable(name) for name, column in zip(header, columns, strict=True) if name and column is None
    )
    known = [column.name for column in columns if column is not None]
    missing = tuple(column.name for column in COLUMNS[kind] if column.required and column.name not in known)
    if missing:
        raise FileFault(
            f"The header of {kind} lacks: {', '.join(missing)}. Add these columns.", columns=missing
        )
    twice = tuple(sorted({name for name in known if known.count(name) > 1}))
    if twice:
        raise FileFault(f"The header names a column twice: {', '.join(twice)}. Keep one.", columns=twice)
    return columns


def _from_records(
    records: Iterator[Record | RowFault], columns: list[Column | None], *, kind: str, today: date
) -> Iterator[Row | Rejected]:
    for record in records:
        if isinstance(record, RowFault):
            yield Rejected(record.line, (record,))
            continue
        surplus = record.cells[len(columns) :]
        if len(record.cells) < len(columns) or any(cell.strip() for cell in surplus):
            sizes = f"The row has {len(record.cells)} cells, the header {len(columns)}."
            reason = f"{sizes} Check delimiters and quotation marks."
            yield Rejected(record.line, (RowFault(record.line, None, reason),))
            continue
        cells = {
            column: cell for column, cell in zip(columns, record.cells, strict=False) if column is not None
        }
        yield _row(record.line, kind, cells, today=today)


def _from_documents(
    found: Iterator[Document | tuple[RowFault, ...]], *, kind: str | None, today: date, ignored: set[str]
) -> Iterator[Row | Rejected]:
    for document in found:
        if not isinstance(document, Document):
            yield Rejected(document[0].line, document)
            continue
        members = dict(document.members)
        own = members.pop("kind", None) or kind
        if own not in KINDS or (kind is not None and own != kind):
            reason = f"Must be {kind}." if kind else f"Must be one of: {', '.join(KINDS)}."
            yield Rejected(document.line, (RowFault(document.line, "kind", reason),))
            continue
        cells: dict[Column, str | None] = {}
        twice: list[RowFault] = []
        for key, member in members.items():
            column = BY_HEADING[own].get(folded(key))
            if column is None:
                if len(ignored) < 100:
                    ignored.add(storable(key))
            elif column in cells:
                twice.append(
                    RowFault(document.line, column.name, "Is given twice under two names. Keep one.")
                )
            else:
                cells[column] = member
        yield Rejected(document.line, tuple(twice)) if twice else _row(document.line, own, cells, today=today)


def _row(line: int, kind: str, cells: Mapping[Column, str | None], *, today: date) -> Row | Rejected:
    values: dict[str, Any] = {}
    faults: list[RowFault] = []
    for column, raw in cells.items():
        try:
            text = None if raw is None else clean(raw)
            if text:
                values[column.target] = value = column.read(text)
                if column.is_past:
                    _refuse_future(value, today)
            elif text is None and not column.required:
                values[column.target] = None
        except CellFault as fault:
            faults.append(RowFault(line, column.name, str(fault)))
    faulty = {fault.column for fault in faults}
    for column in COLUMNS[kind]:
        if column.required and column.target not in values and column.name not in faulty:
            faults.append(RowFault(line, column.name, "Is missing. Every row needs it."))
    faults += _contradictions(line, kind, values)
    return Rejected(line, tuple(faults)) if faults else Row(line, kind, values)


def _refuse_future(value: date | datetime, today: date) -> None:
    """Times have a day of grace: files are written in zones and by clocks of their own. Days are China's."""
    latest = today + timedelta(days=1) if isinstance(value, datetime) else today
    if (_as_day(value) or latest) > latest:
        raise CellFault("Lies in the future. Correct it.")


def _as_day(value: date | datetime | None) -> date | None:
    return value.astimezone(CHINA).date() if isinstance(value, datetime) else value


def _contradictions(line: int, kind: str, values: dict[str, Any]) -> Iterator[RowFault]:
    """Find what no single cell shows: days in an impossible order, halves of a point, a source left out."""
    if values.get("effective") and values.get("connected") is False:
        yield RowFault(line, "connected", "Nobody answered, and yet it was effective. Correct one of them.")
    for column, earlier, reason in ORDERED_DAYS.get(kind, ()):
        on, since = _as_day(values.get(column)), _as_day(values.get(earlier))
        if on is not None and since is not None and on < since:
            yield RowFault(line, column, reason)
    if kind != "addresses":
        return
    if (values.get("latitude") is None) != (values.get("longitude") is None):
        missing = "latitude" if values.get("latitude") is None else "longitude"
        yield RowFault(line, missing, "Is missing. Give both latitude and longitude, or neither.")
    if values.get("status") == "verified" and not values.get("source"):
        yield RowFault(line, "source", "Is missing. A verified address says who or what verified it.")
