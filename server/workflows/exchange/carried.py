"""What does a row of the feed carry to a phone, kind by kind?

One function a kind: ids in, bodies out, in a fixed number of statements that read columns, not entities: a
first sync asks for thousands. What is not found is not there any more.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from server.bulk import any_of
from server.models.calendar import CalendarDay, CalendarYear
from server.models.cases import Address, Case, Client, Debtor
from server.models.dispatch import Assignment, AssignmentMember
from server.models.findings import Finding, FindingReply, Hearing
from server.models.people import Staff
from sync.wire import write_instant

Body = dict[str, Any]
Load = Callable[[Session, Sequence[UUID]], dict[UUID, Body]]


def _calendars(session: Session, ids: Sequence[UUID]) -> dict[UUID, Body]:
    """Return the newest version of published years; the id's integer is the year."""
    years = [entity_id.int for entity_id in ids]
    newest: dict[int, Any] = {}
    for row in session.execute(_YEARS, {"years": years}):
        newest[row.year] = row
    days: dict[int, list[dict[str, str]]] = defaultdict(list)
    for day in session.execute(_DAYS, {"years": years}):
        if day.version == newest[day.year].version:
            days[day.year].append({"day": day.day.isoformat(), "kind": day.kind, "name": day.name})
    return {
        UUID(int=year): {"year": year, "version": row.version, "status": row.status, "days": days[year]}
        for year, row in newest.items()
    }


_YEARS: Final = (
    sa.select(CalendarYear.year, CalendarYear.version, CalendarYear.status)
    .where(any_of(CalendarYear.year, "years"))
    .order_by(CalendarYear.version)
)
_DAYS: Final = (
    sa.select(CalendarDay.year, CalendarDay.version, CalendarDay.day, CalendarDay.kind, CalendarDay.name)
    .where(any_of(CalendarDay.year, "years"))
    .order_by(CalendarDay.day)
)


def _assignments(session: Session, ids: Sequence[UUID]) -> dict[UUID, Body]:
    """Return all a team needs for these visits, names and address in clear: it must find the door."""
    rows = session.execute(_ASSIGNMENTS, {"ids": list(ids)})
    return {row.id: _assignment_body(row) for row in rows}


_TEAM: Final = (
    sa.select(
        sa.func.jsonb_agg(
            aggregate_order_by(
                sa.func.jsonb_build_array(AssignmentMember.staff_id, Staff.name, AssignmentMember.is_lead),
                AssignmentMember.staff_id,
            )
        )
    )
    .join(Staff, Staff.id == AssignmentMember.staff_id)
    .where(AssignmentMember.assignment_id == Assignment.id)
    .correlate(Assignment)
    .scalar_subquery()
)
_ASSIGNMENTS: Final = (
    sa.select(
        Assignment.id,
        Assignment.state,
        Assignment.window_start,
        Assignment.window_end,
        Assignment.permit,
        _TEAM.label("team"),
        Case.id.label("case_id"),
        Case.reference,
        Client.name.label("client_name"),
        Case.outstanding_fen,
        Case.special_note,
        Debtor.name.label("debtor_name"),
        Address.text.label("address_text"),
        Address.latitude,
        Address.longitude,
    )
    .join(Case, Case.id == Assignment.case_id)
    .join(Debtor, Debtor.id == Assignment.debtor_id)
    .join(Address, Address.id == Assignment.address_id)
    .join(Client, Client.id == Case.client_id)
    .where(any_of(Assignment.id, "ids"))
)


def _assignment_body(row: Any) -> Body:
    return {
        "id": str(row.id),
        "state": row.state,
        "window": {"from": write_instant(row.window_start), "until": write_instant(row.window_end)},
        "permit": row.permit,
        "team": [
            {"staff_id": staff_id, "name": name, "is_lead": is_lead}
            for staff_id, name, is_lead in row.team or ()
        ],
        "case": {
            "id": str(row.case_id),
            "reference": row.reference,
            "client": row.client_name,
            "outstanding_fen": row.outstanding_fen,
            "special_note": row.special_note,
        },
        "debtor": {"name": row.debtor_name},
        "address": {"text": row.address_text, "lat": row.latitude, "lon": row.longitude},
    }


def _findings(session: Session, ids: Sequence[UUID]) -> dict[UUID, Body]:
    """Return what the visitor must know to reply to a finding: what is said of the visit, why, until when."""
    rows = session.execute(_FINDINGS, {"ids": list(ids)})
    return {row.id: _finding_body(row) for row in rows}


_FINDINGS: Final = (
    sa.select(
        Finding.id,
        Finding.visit_id,
        Finding.check,
        Finding.rule,
        Finding.severity,
        Finding.claim,
        Finding.observation,
        Finding.citation,
        Finding.reason,
        Finding.stands,
        Finding.decided_at,
        Hearing.due_at,
        sa.exists().where(FindingReply.finding_id == Finding.id).label("has_reply"),
    )
    .join(Hearing, Hearing.finding_id == Finding.id)
    .where(any_of(Finding.id, "ids"))
)


def _finding_body(row: Any) -> Body:
    return {
        "id": str(row.id),
        "visit_id": str(row.visit_id),
        "check": row.check,
        "rule": row.rule,
        "severity": row.severity,
        "claim": row.claim,
        "observation": row.observation,
        "citation": row.citation,
        "reason": row.reason,
        "state": "stands" if row.stands else "overturned",
        "decided_at": write_instant(row.decided_at),
        "reply_due_at": write_instant(row.due_at),
        "has_reply": row.has_reply,
    }


BODIES: Final[Mapping[str, Load]] = {
    "assignment": _assignments,
    "calendar": _calendars,
    "finding": _findings,
}
