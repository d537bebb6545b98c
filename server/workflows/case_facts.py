"""Which rows do the rules need to judge one visit?

Loads `server.rules.facts` with a fixed number of small indexed queries, whatever the length of the ledger.
Reads only; the caller decides about locks, and judges. Nothing that identifies a person is loaded.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa

from server.database import db
from server.errors import NotFound
from server.models.calendar import CalendarDay, CalendarYear
from server.models.cases import Address, Case, Contact, Debtor, Hold, LedgerEntry
from server.models.dispatch import ENDED_EARLY, Assignment, AssignmentMember, BudgetSlot
from server.models.people import Absence, Device, Qualification, Staff
from server.models.visits import Account, Visit
from server.rules.calendar import Calendar
from server.rules.facts import (
    AddressFact,
    Arrival,
    CaseFact,
    CaseFacts,
    ContactFact,
    HoldFact,
    Interval,
    MemberFact,
    Reservation,
    Span,
    Training,
    VisitRequest,
)

LOOK_BACK: Final = timedelta(days=45)
"""Longer than any rolling period or life of evidence in a pack."""


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
    return CaseFacts(
        judged_at=now,
        case=case,
        address=_load_address(address_id),
        calendar=load_calendar(around.year - 1, around.year + 1),
        holds=_load_holds(case),
        team=_load_team(team, since=around - timedelta(days=1), excluding=excluding),
        reservations=_load_reservations(case.debtor_id, since=since, excluding=excluding),
        arrivals=load_arrivals(case.debtor_id, since=since),
        requests=_load_requests(case.debtor_id, since=since, now=now, excluding=excluding),
        call_days=_load_call_days(case_id, now=now, zone=zone),
        letters_received_on=_load_letters(case_id),
        accounts_missing=_load_missing_accounts(case.debtor_id, since=since, before=now),
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


def _load_holds(case: CaseFact) -> tuple[HoldFact, ...]:
    rows = db.session.execute(
        sa.select(Hold.id, Hold.reason, Hold.scope, Hold.raised_at, Hold.released_at)
        .where(Hold.debtor_id == case.debtor_id, sa.or_(Hold.scope == "debtor", Hold.case_id == case.id))
        .order_by(Hold.raised_at, Hold.id)
    )
    return tuple(HoldFact(*row) for row in rows)


def _load_team(team: Sequence[UUID], *, since: datetime, excluding: UUID | None) -> tuple[MemberFact, ...]:
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


def _load_reservations(
    debtor_id: UUID, *, since: datetime, excluding: UUID | None
) -> tuple[Reservation, ...]:
    rows = db.session.execute(
        sa.select(Assignment.id, Assignment.window_start)
        .where(
            Assignment.debtor_id == debtor_id,
            Assignment.window_start >= since,
            Assignment.state.not_in(ENDED_EARLY),
        )
        .order_by(Assignment.window_start, Assignment.id)
    )
    return tuple(Reservation(*row) for row in rows if row.id != excluding)


def load_arrivals(debtor_id: UUID, *, since: datetime) -> tuple[Arrival, ...]:
    """Return the debtor's visits that took place: reported by phones, or imported into the ledger."""
    reported = db.session.execute(
        sa.select(Visit.id, Visit.arrived_earliest, Visit.arrived_latest, Visit.assignment_id)
        .where(Visit.debtor_id == debtor_id, Visit.arrived_latest >= since)
        .order_by(Visit.arrived_earliest, Visit.id)
    )
    imported = db.session.execute(
        sa.select(LedgerEntry.id, LedgerEntry.at)
        .where(
            LedgerEntry.debtor_id == debtor_id,
            LedgerEntry.channel == "visit",
            LedgerEntry.visit_id.is_(None),
            LedgerEntry.at >= since,
        )
        .order_by(LedgerEntry.at, LedgerEntry.id)
    )
    return tuple(
        [Arrival(row[0], Interval(row[1], row[2]), row[3]) for row in reported]
        + [Arrival(row.id, Interval(row.at, row.at)) for row in imported]
    )


def _load_requests(
    debtor_id: UUID, *, since: datetime, now: datetime, excluding: UUID | None
) -> tuple[VisitRequest, ...]:
    rows = db.session.execute(
        sa.select(
            LedgerEntry.id,
            LedgerEntry.channel,
            LedgerEntry.at,
            LedgerEntry.visit_on,
            BudgetSlot.assignment_id,
        )
        .outerjoin(BudgetSlot, BudgetSlot.evidence_entry_id == LedgerEntry.id)
        .where(
            LedgerEntry.debtor_id == debtor_id,
            LedgerEntry.asks_for_visit,
            LedgerEntry.channel.in_(("inbound", "visit")),
            LedgerEntry.at.between(since, now),
        )
        .order_by(LedgerEntry.at, LedgerEntry.id)
    )
    return tuple(
        VisitRequest(row.id, row.channel, row.at, row.visit_on, _unless(row.assignment_id, excluding))
        for row in rows
    )


def _unless(assignment_id: UUID | None, excluding: UUID | None) -> UUID | None:
    return None if assignment_id == excluding else assignment_id


# Jumps from one day with a call to the next, so that a million calls cost as much as ten.
_CALL_DAYS = sa.text(
    """
    WITH RECURSIVE called(at, n) AS (
        (SELECT at, 1 FROM ledger_entries
          WHERE case_id = :case AND channel = 'call' AND at <= :now ORDER BY at LIMIT 1)
        UNION ALL
        SELECT (SELECT later.at FROM ledger_entries later
                 WHERE later.case_id = :case AND later.channel = 'call' AND later.at <= :now
                   AND later.at >= (date_trunc('day', called.at AT TIME ZONE :zone) + interval '1 day')
                                   AT TIME ZONE :zone
                 ORDER BY later.at LIMIT 1), n + 1
          FROM called WHERE called.at IS NOT NULL AND n < 8)
    SELECT (at AT TIME ZONE :zone)::date FROM called WHERE at IS NOT NULL
    """
)


def _load_call_days(case_id: UUID, *, now: datetime, zone: str) -> tuple[date, ...]:
    """The first days on which the case was called; eight are more than any pack asks for."""
    found: dict[str, Any] = {"case": case_id, "now": now, "zone": zone}
    return tuple(db.session.scalars(_CALL_DAYS, found))


def _load_letters(case_id: UUID) -> tuple[date, ...]:
    """The first letters that were received: the earliest ripens first."""
    received = (
        sa.select(LedgerEntry.received_on)
        .where(
            LedgerEntry.case_id == case_id,
            LedgerEntry.channel == "letter",
            LedgerEntry.received_on.is_not(None),
        )
        .order_by(LedgerEntry.received_on)
        .limit(3)
    )
    return tuple(day for day in db.session.scalars(received) if day is not None)


def _load_missing_accounts(debtor_id: UUID, *, since: datetime, before: datetime) -> tuple[UUID, ...]:
    has_account = sa.exists().where(Account.visit_id == Visit.id)
    missing = (
        sa.select(Visit.id)
        .where(
            Visit.debtor_id == debtor_id,
            Visit.arrived_latest.between(since, before),
            ~has_account,
        )
        .order_by(Visit.arrived_earliest)
        .limit(10)
    )
    return tuple(db.session.scalars(missing))
