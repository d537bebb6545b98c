"""Was the debtor contacted often enough in this month of the case? (F10, AMB6, AMB17)

The cycle of the source is read as the month counted from the allocation; a case without one takes the
calendar month. A quota, so it never pushes past anything: a hold that stood in the month closes it, and
where the caps leave too few contacts until the month's last day it closes as capped.
"""

import calendar
from datetime import date

from server.deadlines.facts import Clock
from server.deadlines.moment import Moment
from server.rules.calendar import ONE_DAY


def quota_clock(moment: Moment) -> Clock:
    """F10: contacts of any kind in the case's current month."""
    since, opened_by = _month(moment)
    last = _add_month(since, moment.case.allocated_on) - ONE_DAY
    done = [touch.day for touch in moment.case.touches if since <= touch.day <= last]
    needed = moment.table.contacts_a_month
    is_met = len(done) >= needed
    clock = moment.close(
        "F10",
        moment.days.on(last, not_before=since),
        opened_on=since,
        opened_by=opened_by,
        done_on=done[needed - 1] if is_met else None,
        needed=max(1, needed - len(done)),
    )
    stood = next((held.reason for held in moment.ended_holds if (held.last or last) >= since), None)
    if is_met or clock.state == "suspended" or stood is None:
        return clock
    return clock._replace(state="suspended", because=f"hold this month: {stood}")


def _month(moment: Moment) -> tuple[date, str]:
    today, allocated = moment.days.today, moment.case.allocated_on
    if allocated is None:
        return today.replace(day=1), "month"
    since = _same_day(today.year, today.month, allocated.day)
    if since > today:
        before = today.replace(day=1) - ONE_DAY
        since = _same_day(before.year, before.month, allocated.day)
    return max(since, allocated), "allocation"


def _add_month(since: date, allocated: date | None) -> date:
    """Return the first day of the case's next month; one of the 31st begins short months at their end."""
    after = (since.replace(day=28) + 4 * ONE_DAY).replace(day=1)
    return _same_day(after.year, after.month, since.day if allocated is None else allocated.day)


def _same_day(year: int, month: int, day: int) -> date:
    return date(year, month, min(day, calendar.monthrange(year, month)[1]))
