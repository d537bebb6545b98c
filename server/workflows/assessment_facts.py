"""What is known of people's months? The one place where assessments and reports read the audit's results.

A loader: reads only, a fixed number of queries for any number of people. A breach is a finding that stands
(confirmed, and not overturned by a second look) of a visit whose record the person signed: nobody answers for
what a colleague wrote. It belongs to the local month of the visit. A complaint counts when it is serious
and was upheld; whether somebody was calmed is no measure (D3). A fraud counts while it is proven (E6).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.auditing.repeating import Failure, ToldBefore, repeats_of
from server.models.assessments import MissedClock, ProvenFraud, Wage
from server.models.casework import Complaint
from server.models.findings import Finding
from server.models.people import Staff
from server.models.visits import Visit
from server.reports import facts
from server.reports.tariff import Tariff
from server.rules.local_time import at_local, local_day, months_later
from server.workflows.breach_history import counted_since, measures_of, told_before

PEOPLE_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Month:
    """A local month, by its days and by its instants."""

    first: date
    following: date
    zone: ZoneInfo

    @property
    def since(self) -> datetime:
        """Return its first instant."""
        return at_local(self.first, time.min, self.zone)

    @property
    def until(self) -> datetime:
        """Return the first instant after it."""
        return at_local(self.following, time.min, self.zone)


def month_of(day: date, zone: ZoneInfo) -> Month:
    """Return the month that holds a day."""
    return Month(day.replace(day=1), months_later(day, 1), zone)


def load_people(
    session: Session, month: Month, tariff: Tariff, *, after: UUID | None = None
) -> Iterator[facts.PersonMonth]:
    """Give everybody against whom something is held in a month, in the order of their ids."""
    while ids := next_people(session, month, after=after):
        yield from (one for one in load_some(session, ids, month, tariff) if not one.is_blank)
        after = ids[-1]


def next_people(session: Session, month: Month, *, after: UUID | None) -> Sequence[UUID]:
    """Return the ids of the next people who worked here in a month, or left in or after it."""
    query = sa.select(Staff.id).where(sa.or_(Staff.left_at.is_(None), Staff.left_at >= month.since))
    if after is not None:
        query = query.where(Staff.id > after)
    return session.scalars(query.order_by(Staff.id).limit(PEOPLE_AT_ONCE)).all()


def load_some(
    session: Session, ids: Sequence[UUID], month: Month, tariff: Tariff
) -> Iterator[facts.PersonMonth]:
    """Give the month of each of these people."""
    breaches, failures = _breaches(session, ids, month)
    complaints = _complaints(session, ids, month)
    frauds = _frauds(session, ids, month, breaches)
    missed = _missed(session, ids, month)
    earlier = told_before(session, ids)
    since = counted_since(month.until, months=tariff.repeat_months, zone=month.zone)
    wages = {row.staff_id: facts.Wage(row.wage_fen, row.minimum_fen) for row in _wages(session, ids, month)}
    of_balances = [one for one in ids if any(b.rule in tariff.balance_rules for b in breaches[one])]
    handled = _handled(session, of_balances, month)
    people = sa.select(Staff.id, Staff.branch).where(Staff.id.in_(ids)).order_by(Staff.id)
    for staff_id, branch in session.execute(people):
        yield facts.PersonMonth(
            staff_id=staff_id,
            branch=branch,
            month=month.first,
            breaches=tuple(breaches[staff_id]),
            complaints=tuple(complaints[staff_id]),
            frauds=tuple(frauds[staff_id]),
            missed=tuple(missed[staff_id]),
            records_handled=handled.get(staff_id, 0),
            told_of=_told_of(failures[staff_id], earlier[staff_id], since=since),
            wage=wages.get(staff_id),
        )


def confirmed_findings(
    since: datetime, until: datetime
) -> sa.Select[UUID, UUID, str, str, str, UUID, datetime]:
    """Select the confirmed findings of the visits of some days."""
    return (
        sa.select(
            Finding.id, Finding.visit_id, Finding.rule, Finding.check, Finding.severity, Visit.staff_id,
            Visit.visited_at,
        )
        .join(Visit, Visit.id == Finding.visit_id)
        .where(Finding.stands == sa.true(), Visit.visited_at >= since, Visit.visited_at < until)
    )  # fmt: skip


def _breaches(
    session: Session, ids: Sequence[UUID], month: Month
) -> tuple[dict[UUID, list[facts.Breach]], dict[UUID, list[Failure]]]:
    """Return the breaches of each person, and what of them may be a repeat: check and instant."""
    found: dict[UUID, list[facts.Breach]] = defaultdict(list)
    failures: dict[UUID, list[Failure]] = defaultdict(list)
    query = confirmed_findings(month.since, month.until).where(Visit.staff_id.in_(ids)).order_by(Finding.id)
    for row in session.execute(query):
        on = local_day(row.visited_at, month.zone)
        breach = facts.Breach(row.id, row.visit_id, row.rule, row.check, row.severity, on)
        found[row.staff_id].append(breach)
        failures[row.staff_id].append(Failure(row.check, row.visited_at))
    measures = measures_of(session, [one.finding_id for breaches in found.values() for one in breaches])
    measured = {
        staff_id: [replace(one, measure=measures.get((one.finding_id, staff_id))) for one in breaches]
        for staff_id, breaches in found.items()
    }
    return defaultdict(list, measured), failures


def _told_of(
    failures: Sequence[Failure], earlier: Sequence[ToldBefore], *, since: datetime
) -> frozenset[str]:
    """Return the checks of which a failure was a repeat (E8)."""
    return frozenset(one.check for one in failures if repeats_of([one], earlier, since=since))


def _complaints(session: Session, ids: Sequence[UUID], month: Month) -> dict[UUID, list[facts.Complained]]:
    found: dict[UUID, list[facts.Complained]] = defaultdict(list)
    wanted = set(ids)
    query = sa.select(Complaint.id, Complaint.raised_at, Complaint.visit_id, Complaint.about_staff).where(
        Complaint.level == "serious",
        Complaint.merits == "upheld",
        Complaint.about_staff.overlap(list(ids)),
        Complaint.raised_at >= month.since,
        Complaint.raised_at < month.until,
    )
    for row in session.execute(query.order_by(Complaint.id)):
        on = local_day(row.raised_at, month.zone)
        for staff_id in wanted.intersection(row.about_staff):
            found[staff_id].append(facts.Complained(row.id, on, row.visit_id is not None))
    return found


def _frauds(
    session: Session, ids: Sequence[UUID], month: Month, breaches: Mapping[UUID, Sequence[facts.Breach]]
) -> dict[UUID, list[facts.Fraud]]:
    """Return the frauds of a month, and those of other months that one of its breaches proved."""
    shown = [one.finding_id for of_one in breaches.values() for one in of_one]
    of_month = sa.and_(ProvenFraud.committed_on >= month.first, ProvenFraud.committed_on < month.following)
    found: dict[UUID, list[facts.Fraud]] = defaultdict(list)
    query = sa.select(
        ProvenFraud.id, ProvenFraud.staff_id, ProvenFraud.committed_on, ProvenFraud.finding_ids
    ).where(
        ProvenFraud.staff_id.in_(ids),
        sa.or_(of_month, ProvenFraud.finding_ids.overlap(shown)),
        is_proven(),
    )
    for row in session.execute(query.order_by(ProvenFraud.id)):
        found[row.staff_id].append(facts.Fraud(row.id, row.committed_on, tuple(row.finding_ids)))
    return found


def is_proven() -> sa.ColumnElement[bool]:
    """Whether all findings stand that a fraud was proved by. One that was overturned never stands again."""
    of_it = Finding.id == sa.any_(ProvenFraud.finding_ids)
    return ~sa.exists().where(of_it, Finding.stands.is_not(sa.true()))


def _missed(session: Session, ids: Sequence[UUID], month: Month) -> dict[UUID, list[facts.MissedClock]]:
    found: dict[UUID, list[facts.MissedClock]] = defaultdict(list)
    query = sa.select(MissedClock).where(
        MissedClock.staff_id.in_(ids),
        MissedClock.due_on >= month.first,
        MissedClock.due_on < month.following,
    )
    order = (MissedClock.due_on, MissedClock.case_id, MissedClock.rule)
    for row in session.scalars(query.order_by(*order)):
        if row.staff_id is not None:
            clock = facts.MissedClock(row.case_id, row.rule, row.opened_on, row.due_on)
            found[row.staff_id].append(clock)
    return found


def _wages(session: Session, ids: Sequence[UUID], month: Month) -> Sequence[Wage]:
    query = sa.select(Wage).where(Wage.staff_id.in_(ids), Wage.month == month.first)
    return session.scalars(query.execution_options(populate_existing=True)).all()


_HANDLED: Final = sa.text(
    """
    SELECT recorded_by, count(*) FROM (
        SELECT recorded_by FROM payments
        WHERE recorded_by = ANY(:ids) AND recorded_at >= :since AND recorded_at < :until
        UNION ALL SELECT recorded_by FROM promises
        WHERE recorded_by = ANY(:ids) AND made_at >= :since AND made_at < :until
        UNION ALL SELECT recorded_by FROM ledger_entries
        WHERE recorded_by = ANY(:ids) AND at >= :since AND at < :until
    ) handled GROUP BY recorded_by
    """
).columns(recorded_by=sa.Uuid())


def _handled(session: Session, ids: Sequence[UUID], month: Month) -> dict[UUID, int]:
    """Count what these people wrote down in a month: the denominator of E5 (AMB9)."""
    if not ids:
        return {}
    about = {"ids": list(ids), "since": month.since, "until": month.until}
    return {staff_id: count for staff_id, count in session.execute(_HANDLED, about)}
