"""How does a report become a file that can be proven to be ours?

It is written to a temporary file of this machine, so that a slow reader holds no connection; its digest is
recorded before the first byte goes out, with who took it (I7).
"""

import hashlib
import tempfile
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import IO, Any, Final, Literal
from uuid import UUID

from server.authority import Actor
from server.database import transaction
from server.models.access import AccessEntry
from server.models.assessments import ReportFile
from server.reports import spreadsheet
from server.reports.page import write_page
from server.reports.sheet import Sheet
from server.reports.workbook import write_workbook

Format = Literal["html", "xlsx", "pdf", "csv"]
IN_MEMORY: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Days:
    """Which report it is, and of which days and client."""

    kind: str
    first: date
    last: date
    client_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A report's bytes, and how many rows its long table has."""

    file: IO[bytes]
    format: Format
    rows: int


@dataclass(frozen=True, slots=True)
class Made:
    """A report's file, open at its beginning, and its record."""

    record: ReportFile
    file: IO[bytes]
    name: str


def write(sheet: Sheet, format: Format) -> Written:
    """Write a report into a temporary file; its lines are read while it is written."""
    target = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - whoever sends it closes it
    return Written(target, format, _write(sheet, target, format))


def keep(written: Written, days: Days, *, actor: Actor, now: datetime) -> Made:
    """Record a file's digest and who took it."""
    assert actor.staff_id is not None
    record = ReportFile(
        kind=days.kind,
        format=written.format,
        first=days.first,
        last=days.last,
        client_id=days.client_id,
        sha256=_digest(written.file),
        size_bytes=written.file.tell(),
        rows=written.rows,
        made_at=now,
        made_by=actor.staff_id,
    )
    with transaction() as session:
        session.add(record)
        session.flush()
        asked = {"kind": days.kind, "format": written.format, "sha256": record.sha256.hex()}
        entry = {"at": now, "staff_id": actor.staff_id, "action": "export", "entity_kind": "report"}
        session.add(AccessEntry(entity_id=record.id, request=asked, **entry))
    written.file.seek(0)
    return Made(record, written.file, f"{days.kind}_{days.first}_{days.last}.{written.format}")


def _write(sheet: Sheet, target: Any, format: Format) -> int:
    match format:
        case "html":
            return write_page(sheet, target)
        case "pdf":
            from server.reports.document import write_document  # noqa: PLC0415 - 15 MB that few processes need

            return write_document(sheet, target)
        case "csv":
            return spreadsheet.write(sheet.lines, target)
        case "xlsx":
            with tempfile.TemporaryDirectory() as folder:
                return write_workbook(sheet, target, folder=Path(folder))


def _digest(file: IO[bytes]) -> bytes:
    """Hash a file from its beginning; it ends at its end."""
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(1 << 16):
        digest.update(piece)
    return digest.digest()
