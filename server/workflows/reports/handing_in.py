"""Who handed in which report, when, and which file exactly? (F12)

A hand-in names a file by its digest; only a file that was made here can be handed in, so what lies at the
recipient's can be held against what was recorded. Reports of two quiet weeks can be the same bytes: then the
one is meant that was taken last, unless a taking is named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from server.authority import Actor
from server.database import db, transaction
from server.errors import NotFound
from server.models.assessments import ReportFile, ReportHandIn
from server.workflows.friday_report import week_and_due


@dataclass(frozen=True, slots=True)
class HandedIn:
    """A hand-in and its file. `is_late` None: it was not due at any time."""

    hand_in: ReportHandIn
    file: ReportFile

    @property
    def is_late(self) -> bool | None:
        """Whether it came after it was due."""
        due = self.hand_in.due_at
        return None if due is None else self.hand_in.handed_in_at > due


def reports_of(sha256: bytes) -> list[ReportFile]:
    """Return the reports that were these bytes, the one taken last first, each as it was first taken.

    NotFound where there are none.
    """
    takings = sa.select(ReportFile).where(ReportFile.sha256 == sha256).order_by(ReportFile.id.desc())
    first_of = {_report(one): one for one in db.session.scalars(takings)}
    if not first_of:
        raise NotFound("file-unknown", "No report with this digest was made here; it may have been altered.")
    return list(first_of.values())


def _report(file: ReportFile) -> tuple[str, date, date, UUID | None]:
    """Say which report a file is of."""
    return file.kind, file.first, file.last, file.client_id


def _find(sha256: bytes, taking: UUID | None) -> ReportFile:
    found = reports_of(sha256)
    if taking is None:
        return found[0]
    named = db.session.get(ReportFile, taking)
    if named is None or named.sha256 != sha256:
        raise NotFound("file-unknown", "No file of this id with this digest was taken here.")
    return next(one for one in found if _report(one) == _report(named))


def hand_in(
    sha256: bytes, *, recipient: str, actor: Actor, now: datetime, file_id: UUID | None = None
) -> HandedIn:
    """Record that a report was handed in, once a recipient; saying it again changes nothing.

    `file_id` names one taking of the file, where several reports were the same bytes.
    """
    file = _find(sha256, file_id)
    due_at = week_and_due(file.first, now=now)[1] if file.kind == "friday" else None
    with transaction() as session:
        row = {
            "file_id": file.id,
            "recipient": recipient,
            "handed_in_at": now,
            "handed_in_by": actor.staff_id,
            "due_at": due_at,
        }
        session.execute(insert(ReportHandIn).values(row).on_conflict_do_nothing())
        named = ReportHandIn.file_id == file.id, ReportHandIn.recipient == recipient
        stored = session.scalars(sa.select(ReportHandIn).where(*named)).one()
    return HandedIn(stored, file)


def page(*, kind: str | None, after: UUID | None, limit: int) -> Sequence[HandedIn]:
    """Return one page of what was handed in, newest first."""
    query = sa.select(ReportHandIn, ReportFile).join(ReportFile, ReportFile.id == ReportHandIn.file_id)
    if kind is not None:
        query = query.where(ReportFile.kind == kind)
    if after is not None:
        query = query.where(ReportHandIn.id < after)
    rows = db.session.execute(query.order_by(ReportHandIn.id.desc()).limit(limit))
    return [HandedIn(*row) for row in rows]
