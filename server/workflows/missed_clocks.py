"""Which deadlines of new cases were missed in a month, and whose were they? (E1)

Clocks are a projection and vanish with their case or at the month's end, so an evening job writes down what
has passed by then. What a later import proves to have been done in time goes again as long as its clock
stands; a hold or a cap that comes after the deadline excuses nothing. No case names who works it: a missed
clock is nobody's until a supervisor puts it down to somebody.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from server.authority import Actor
from server.database import db, transaction
from server.errors import Conflict, NotFound
from server.jobs import task
from server.models.assessments import ClockRecord, ClosedMonth, MissedClock, hold_closings
from server.models.cases import Case, Client
from server.models.people import Staff
from server.rules.local_time import local_day
from server.workflows.assessment_facts import Month, month_of
from server.workflows.standing_packs import local_zone

RULES: Final = ("F1", "F2", "F4")
"""The clocks of rule 1; F3 opens the same ones on old cases."""
LATE_IN_THE_EVENING_IN_CHINA: Final = "50 15 * * *"


@task("missed_clocks.write_down", every=LATE_IN_THE_EVENING_IN_CHINA)
def write_down(*, now: datetime) -> None:
    """Write down the deadlines that have passed, and take back what turned out to be met in time."""
    zone = local_zone()
    about = {"rules": list(RULES), "zone": zone.key, "today": local_day(now, zone), "now": now}
    with transaction() as session:
        session.execute(_PUT, about)
        session.execute(_TAKE_BACK, about)
        session.execute(_LOOKED, about)


_PUT: Final = sa.text(
    """
    INSERT INTO missed_clocks (case_id, rule, opened_on, client_id, due_on, because, recorded_on)
    SELECT case_id, rule, opened_on, client_id, (due_at AT TIME ZONE :zone)::date, because, :today
    FROM case_clocks
    WHERE rule = ANY(:rules) AND NOT is_provisional
      AND (state = 'missed' OR state = 'running' AND due_at < :now OR state = 'met' AND because = 'late')
    ON CONFLICT (case_id, rule, opened_on) DO UPDATE
    SET due_on = excluded.due_on, because = excluded.because
    WHERE (missed_clocks.due_on, missed_clocks.because)
          IS DISTINCT FROM (excluded.due_on, excluded.because)
    """
)
_TAKE_BACK: Final = sa.text(
    """
    DELETE FROM missed_clocks USING case_clocks
    WHERE case_clocks.case_id = missed_clocks.case_id AND case_clocks.rule = missed_clocks.rule
      AND case_clocks.opened_on = missed_clocks.opened_on
      AND (case_clocks.is_provisional
           OR case_clocks.state = 'met' AND case_clocks.because <> 'late'
           OR case_clocks.state IN ('running', 'capped', 'suspended') AND case_clocks.due_at >= :now)
    """
)
_LOOKED: Final = sa.text("INSERT INTO clock_records VALUES (:today, :now) ON CONFLICT (day) DO NOTHING")


def of_month(
    day: date, *, after: tuple[date, UUID, str, date] | None, limit: int, unattributed: bool
) -> Sequence[Any]:
    """Return one page of the clocks missed in a month, in the order of their days."""
    month = month_of(day, local_zone())
    order = (MissedClock.due_on, MissedClock.case_id, MissedClock.rule, MissedClock.opened_on)
    query = (
        sa.select(MissedClock, Case.reference, Client.reference.label("client"))
        .join(Case, Case.id == MissedClock.case_id)
        .join(Client, Client.id == MissedClock.client_id)
        .where(MissedClock.due_on >= month.first, MissedClock.due_on < month.following)
        .order_by(*order)
        .limit(limit)
    )
    if unattributed:
        query = query.where(MissedClock.staff_id.is_(None))
    return db.session.execute(query if after is None else query.where(sa.tuple_(*order) > after)).all()


def attribute(
    case_id: UUID, rule: str, *, opened_on: date, staff_id: UUID | None, actor: Actor
) -> MissedClock:
    """Put a missed clock down to a person, or to nobody again, while its month is open.

    Conflict when the person did not work here then: no month would show it any more.
    """
    with transaction() as session:
        hold_closings(session)
        person = None if staff_id is None else session.get(Staff, staff_id, populate_existing=True)
        if staff_id is not None and person is None:
            raise NotFound("staff-unknown", "There is nobody with this id.")
        key = {"case_id": case_id, "rule": rule, "opened_on": opened_on}
        clock = session.get(MissedClock, key, with_for_update=True, populate_existing=True)
        if clock is None:
            raise NotFound("missed-clock-unknown", "No missed clock of this case, rule and day is on record.")
        month = month_of(clock.due_on, local_zone())
        if _is_closed(session, month):
            raise Conflict("month-closed", "Its month is closed; what was put down there stands.")
        if person is not None and not _was_here(person, clock, month):
            raise Conflict("not-here-then", "This person did not work here when the deadline passed.")
        clock.staff_id = staff_id
        clock.attributed_by = None if staff_id is None else actor.staff_id
    return clock


def _was_here(person: Staff, clock: MissedClock, month: Month) -> bool:
    return person.joined_on <= clock.due_on and (person.left_at is None or person.left_at >= month.since)


def _is_closed(session: Session, month: Month) -> bool:
    return bool(session.scalar(sa.select(sa.exists().where(ClosedMonth.month == month.first))))


def unattributed(session: Session, month: Month) -> list[dict[str, Any]]:
    """Count the missed clocks that are nobody's, per client and rule."""
    query = (
        sa.select(Client.reference, MissedClock.rule, sa.func.count())
        .join(Client, Client.id == MissedClock.client_id)
        .where(MissedClock.staff_id.is_(None))
        .where(MissedClock.due_on >= month.first, MissedClock.due_on < month.following)
        .group_by(Client.reference, MissedClock.rule)
        .order_by(Client.reference, MissedClock.rule)
    )
    return [
        {"client": client, "rule": rule, "count": count} for client, rule, count in session.execute(query)
    ]


def days_looked(session: Session, month: Month) -> int:
    """Count the days of a month on which missed clocks were written down."""
    of_month = sa.and_(ClockRecord.day >= month.first, ClockRecord.day < month.following)
    return session.scalar(sa.select(sa.func.count()).where(of_month)) or 0
