"""How is a whole file imported with flat memory, and what is reported of it?"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Final
from uuid import UUID

import sqlalchemy as sa

from server.authority import Actor
from server.database import db, transaction
from server.errors import Fault, Invalid, NotFound
from server.intake.cells import CHINA
from server.intake.faults import FileFault, RowFault
from server.intake.kinds import COLUMNS
from server.intake.reading import Form, Reading, Rejected, Row, read
from server.models.cases import ImportRun
from server.workflows.imports.loading import load
from sync.protocol import uuid7

CHUNK_ROWS: Final = 4000
FAULTS_REPORTED: Final = 1000


@dataclass(slots=True)
class Report:
    """What an import did so far. `error_count` counts faults, `rejected` rows; one row may have several."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    error_count: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    note_count: int = 0
    notes: list[dict[str, Any]] = field(default_factory=list)

    def reject(self, rejected: Rejected) -> None:
        """Count a row that was given back; the first thousand faults are told one by one."""
        self.rejected += 1
        self.error_count += len(rejected.faults)
        for fault in rejected.faults[: max(0, FAULTS_REPORTED - len(self.errors))]:
            self.errors.append(_told(fault))

    def note(self, notes: Sequence[RowFault]) -> None:
        """Count what was kept otherwise than the file says; the first thousand are told one by one."""
        self.note_count += len(notes)
        self.notes += map(_told, notes[: max(0, FAULTS_REPORTED - len(self.notes))])

    def as_json(self, reading: Reading) -> dict[str, Any]:
        """Return the report as it is stored and answered, faults in the order of the file."""
        return {
            "created": self.created,
            "updated": self.updated,
            "unchanged": self.unchanged,
            "rejected": self.rejected,
            "error_count": self.error_count,
            "errors": sorted(self.errors, key=lambda error: error["line"]),
            "note_count": self.note_count,
            "notes": sorted(self.notes, key=lambda note: note["line"]),
            "encoding": reading.encoding,
            "ignored_columns": sorted(reading.ignored),
        }


def _told(fault: RowFault) -> dict[str, Any]:
    return {"line": fault.line, "column": fault.column, "reason": fault.reason}


def run_import(file: BinaryIO, *, form: Form, kind: str | None, actor: Actor, now: datetime) -> ImportRun:
    """Import a seekable file; every few thousand rows are committed, so a broken run is simply repeated.

    Raises Invalid when no row can be read at all; faults of single rows are in the run's report.
    """
    assert actor.staff_id is not None
    try:
        reading = read(file, form=form, kind=kind, today=now.astimezone(CHINA).date())
    except FileFault as fault:
        faults = [Fault(f"/{column}", "Add or correct this column.") for column in fault.columns]
        raise Invalid("import-unreadable", fault.reason, faults=faults) from None
    run_id = uuid7()
    with transaction() as session:
        session.add(ImportRun(id=run_id, started_at=now, by=actor.staff_id, report={}))
    report = Report()
    while chunk := list(itertools.islice(reading.rows, CHUNK_ROWS)):
        _take(chunk, report, now=now)
    with transaction() as session:
        run = session.get_one(ImportRun, run_id)
        run.finished_at, run.report = now, report.as_json(reading)
    return run


def _take(chunk: list[Row | Rejected], report: Report, *, now: datetime) -> None:
    rows: Iterator[Row] = (row for row in chunk if isinstance(row, Row))
    with transaction() as session:
        outcome = load(session, rows, now=now)
    report.created += outcome.counts["created"]
    report.updated += outcome.counts["updated"]
    report.unchanged += outcome.counts["unchanged"]
    report.note(outcome.notes)
    for rejected in (*(row for row in chunk if isinstance(row, Rejected)), *outcome.rejected):
        report.reject(rejected)


def describe_format() -> dict[str, list[dict[str, Any]]]:
    """Say which columns each kind of row has, and under which headings they are known."""
    return {
        kind: [
            {"name": column.name, "required": column.required, "headings": list(column.headings)}
            for column in columns
        ]
        for kind, columns in COLUMNS.items()
    }


def find_run(run_id: UUID) -> ImportRun:
    """Return one import or raise NotFound."""
    run = db.session.get(ImportRun, run_id)
    if run is None:
        raise NotFound("import-unknown", "There is no import with this id.")
    return run


def list_runs(*, after: UUID | None, limit: int) -> list[ImportRun]:
    """Return one page of imports, newest first."""
    query = sa.select(ImportRun).order_by(ImportRun.id.desc()).limit(limit)
    return list(db.session.scalars(query.where(ImportRun.id < after) if after else query))
