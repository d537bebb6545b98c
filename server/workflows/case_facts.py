"""Which rows do the rules need to judge one visit?

Loads `server.rules.facts` with a fixed number of small indexed queries, whatever the length of the ledger.
Reads only; the caller decides about locks, and judges. Nothing that identifies a person is loaded.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.errors import NotFound
from server.models.calendar import CalendarDay, CalendarYear
from server.models.cases import Address, Case, Contact, Debtor, Hold
from server.models.dispatch import AssignmentMember
from server.models.escalations import Escalation
from server.models.people import Absence, Device, Qualification, Staff
from server.rules.calendar import Calendar
from server.rules.facts import (
    AddressFact,
    CaseFact,
    CaseFacts,
    ContactFact,
    HoldFact,
    MemberFact,
    Span,
    Training,
)
from server.workflows.contact_facts import (
    load_arrivals,
    load_call_days,
    load_letters,
    load_missing_accounts,
    load_requests,
    load_reservations,
    wishes_served,
)

LOOK_BACK: Final = timedelta(days=45)
"""Longer than any rolling period or life of evidence in a pack. What a wish names itself lives longer."""


def load_case_facts(
    *,
    case_id: UUID,
    address_id: UUID | None,
    team: Sequence[UUID],
    around: datetime,
    now: datetime,
    zone: str = "Asia/Shanghai",
    excluding: UUID | None = None,
) -> CaseFacts:
    """Return everything the rules may ask about a visit near the instant `around`.

    `excluding` names an assignment that is to be replaced: its place in budget and diaries counts as free.
    NotFound when there is no such case; unknown people are simply absent from the facts.
    """
    case = _load_case(case_id)
    since = around - LOOK_BACK
    requests = load_requests(case.debtor_id, since=since, now=now, excluding=excluding)
    wishes = wishes_served(requests)
    return CaseFacts(
        judged_at=now,
        case=case,
        address=_load_address(address_id),
        calendar=load_calendar(around.year - 1, around.year + 1),
        holds=_load_holds(case),
        team=load_members(team, since=around - timedelta(days=1), excluding=excluding),
        reservations=load_reservations(case.debtor_id, since=since, excluding=excluding, wishes=wishes),
        arrivals=load_arrivals(case.debtor_id, since=since, wishes=wishes),
        requests=requests,
        call_days=load_call_days(case_id, now=now, zone=zone),
        letters_received_on=load_letters(case_id),
        accounts_missing=load_missing_accounts(case.debtor_id, since=since, before=now),
        escalations=_load_escalations(case_id),
    )


def load_calendar(first_year: int, last_year: int) -> Calendar:
    """Return the newest version of each year's calendar, as far as years are known."""
    newest = (
        sa.select(CalendarYear.year, sa.func.max(CalendarYear.version).label("version"))
        .where(CalendarYear.year.between(first_year, last_year))
        .group_by(CalendarYear.year)
        .subquery()
    )
    rows = db.session.execute(
        sa.select(CalendarYear.year, CalendarYear.status, CalendarDay.day, CalendarDay.kind, CalendarDay.name)
        .join(newest, sa.and_(CalendarYear.year == newest.c.year, CalendarYear.version == newest.c.version))
        .outerjoin(
            CalendarDay,
            sa.and_(CalendarDay.year == CalendarYear.year, CalendarDay.version == CalendarYear.version),
        )
    ).all()
    return Calendar(
        published=frozenset(row.year for row in rows if row.status == "published"),
        holidays={row.day: row.name for row in rows if row.kind == "holiday"},
        makeup=frozenset(row.day for row in rows if row.kind == "makeup"),
    )


def _load_case(case_id: UUID) -> CaseFact:
    row = db.session.execute(
        sa.select(
            Case.debtor_id,
            Case.state,
            Case.outstanding_fen,
            Case.balance_as_of,
            Case.daily_visit_cap,
            Case.special_flags,
            Case.reviewed_at,
            (Case.special_note != "").label("has_note"),
            Case.note_acknowledged_at,
            Debtor.hardship,
        )
        .join(Debtor, Debtor.id == Case.debtor_id)
        .where(Case.id == case_id)
    ).first()
    if row is None:
        raise NotFound("case-unknown", "There is no case with this id.")
    return CaseFact(
        id=case_id,
        debtor_id=row.debtor_id,
        state=row.state,
        outstanding_fen=row.outstanding_fen,
        balance_as_of=row.balance_as_of,
        hardship=tuple(row.hardship),
        daily_visit_cap=row.daily_visit_cap,
        special_flags=tuple(row.special_flags),
        is_reviewed=row.reviewed_at is not None,
        has_special_note=row.has_note,
        is_note_acknowledged=row.note_acknowledged_at is not None,
        reviewed_at=row.reviewed_at,
        note_acknowledged_at=row.note_acknowledged_at,
    )


def _load_address(address_id: UUID | None) -> AddressFact | None:
    """Load the address, whose it is, and sensitive third parties recorded at the same point."""
    row = db.session.execute(
        sa.select(
            Address.case_id,
            Address.status,
            Address.latitude,
            Address.longitude,
            Contact.id.label("contact_id"),
            Contact.liable,
            Contact.stop_contact,
            Contact.sensitive_occupation,
        )
        .outerjoin(Contact, Contact.id == Address.contact_id)
        .where(Address.id == address_id)
    ).first()
    if address_id is None or row is None:
        return None
    neighbours = db.session.scalars(
        sa.select(Contact.id)
        .join(Address, Address.contact_id == Contact.id)
        .where(
            Address.case_id == row.case_id,
            Address.id != address_id,
            Address.latitude == row.latitude,
            Address.longitude == row.longitude,
            Contact.sensitive_occupation != "",
        )
        .order_by(Contact.id)
    )
    contact = None
    if row.contact_id is not None:
        contact = ContactFact(
            id=row.contact_id,
            liable=row.liable,
            stop_contact=row.stop_contact,
            sensitive_occupation=row.sensitive_occupation != "",
        )
    return AddressFact(address_id, row.case_id, row.status, contact, tuple(dict.fromkeys(neighbours)))


def _load_escalations(case_id: UUID) -> tuple[str, ...]:
    """Return the grounds on which the case stands in the field's list (D15, D17)."""
    standing = sa.select(Escalation.ground).where(
        Escalation.case_id == case_id, Escalation.withdrawn_at.is_(None)
    )
    return tuple(db.session.scalars(standing.order_by(Escalation.ground)))


def _load_holds(case: CaseFact) -> tuple[HoldFact, ...]:
    rows = db.session.execute(
        sa.select(Hold.id, Hold.reason, Hold.scope, Hold.raised_at, Hold.released_at)
        .where(Hold.debtor_id == case.debtor_id, sa.or_(Hold.scope == "debtor", Hold.case_id == case.id))
        .order_by(Hold.raised_at, Hold.id)
    )
    return tuple(HoldFact(*row) for row in rows)


def load_members(
    team: Sequence[UUID], *, since: datetime, excluding: UUID | None = None
) -> tuple[MemberFact, ...]:
    """Load people, training files, phones and diaries: four queries for any size of team."""
    has_device = sa.exists().where(Device.staff_id == Staff.id, Device.revoked_at.is_(None))
    people = db.session.execute(
        sa.select(Staff.id, Staff.left_at, has_device.label("has_device"))
        .where(Staff.id.in_(team))
        .order_by(Staff.id)
    ).all()
    training: dict[UUID, list[Training]] = defaultdict(list)
    lines = sa.select(
        Qualification.staff_id,
        Qualification.kind,
        Qualification.score,
        Qualification.attempt,
        Qualification.obtained_on,
    ).where(Qualification.staff_id.in_(team))
    for row in db.session.execute(lines.order_by(Qualification.id)):
        training[row.staff_id].append(Training(row.kind, row.score, row.attempt, row.obtained_on))
    taken: dict[UUID, list[Span]] = defaultdict(list)
    absences = sa.select(Absence.staff_id, Absence.kind, Absence.starts_at, Absence.ends_at).where(
        Absence.staff_id.in_(team), Absence.ends_at > since
    )
    for staff_id, kind, start, end in db.session.execute(absences.order_by(Absence.starts_at)):
        taken[staff_id].append(Span(kind, start, end))
    diaries = (
        sa.select(AssignmentMember.staff_id, AssignmentMember.period, AssignmentMember.assignment_id)
        .where(
            AssignmentMember.staff_id.in_(team),
            AssignmentMember.active,
            sa.func.upper(AssignmentMember.period) > since,
        )
        .order_by(AssignmentMember.period)
    )
    for staff_id, period, assignment_id in db.session.execute(diaries):
        if assignment_id != excluding and period.lower is not None and period.upper is not None:
            taken[staff_id].append(Span("assignment", period.lower, period.upper, assignment_id))
    return tuple(
        MemberFact(row.id, tuple(training[row.id]), row.has_device, row.left_at, tuple(taken[row.id]))
        for row in people
    )
