"""What is due on a case that is new, or counts as new this month? (F1, F2, F3, F4, F8, F9)

Day 1 is the next working day after the allocation (AMB6). These clocks belong to the month their last
deadline falls in; afterwards the case is an old one. F3: in a month in which its client allocates no new
batch an old case takes the same clocks, counted from the first of the month; a batch that comes later ends
that.
"""

from collections.abc import Iterator
from datetime import date
from itertools import islice
from typing import NamedTuple

from server.deadlines.days import month_of
from server.deadlines.facts import Clock
from server.deadlines.moment import Moment, earliest
from server.rules.calendar import ONE_DAY


class Opening(NamedTuple):
    """From which day contacts count, which day is day 0, and what opened the clocks."""

    since: date
    day_zero: date
    by: str


def new_case_clocks(moment: Moment) -> Iterator[Clock]:
    """F1, F2, F4 and the first coverage of F8 or F9, if the case is new or counts as new by F3."""
    opening = _opening(moment)
    if opening is None:
        return
    yield _contact_check(moment, opening)
    yield _two_follow_ups(moment, opening)
    yield _first_contact(moment, opening, "F4", moment.table.first_day)
    if moment.case.hand == "first":
        yield _first_contact(moment, opening, "F8", moment.table.first_hand_days)
    else:
        yield _first_contact(moment, opening, "F9", moment.table.other_hand_days)


def _opening(moment: Moment) -> Opening | None:
    """Tell a case that is new from one that F3 treats as new, and from all others."""
    today = moment.days.today
    allocated = moment.case.allocated_on
    if allocated is not None:
        last = moment.working(allocated, moment.table.follow_up_days)
        if month_of(last.day) >= month_of(today):
            return Opening(allocated, allocated, "allocation")
    if moment.case.client_has_batch:
        return None
    first = today.replace(day=1)
    return Opening(first, first - ONE_DAY, "month")


def _contact_check(moment: Moment, opening: Opening) -> Clock:
    """F1: all ways of reaching the debtor were checked; not needed once they are known and willing to pay."""
    checked = (
        touch.day
        for touch in moment.case.touches
        if touch.day >= opening.since and touch.meaning in ("contact_check", "willing")
    )
    promised = (one.made_on for one in moment.case.promises if one.made_on >= opening.since)
    return moment.close(
        "F1",
        moment.working(opening.day_zero, moment.table.contact_check_days),
        opened_on=opening.since,
        opened_by=opening.by,
        done_on=earliest([next(checked, None), *promised]),
    )


def _two_follow_ups(moment: Moment, opening: Opening) -> Clock:
    """F2: as many effective follow-ups as asked for."""
    needed = moment.table.follow_ups_needed
    done = [touch.day for touch in islice(moment.effective(after=opening.since - ONE_DAY), needed)]
    return moment.close(
        "F2",
        moment.working(opening.day_zero, moment.table.follow_up_days),
        opened_on=opening.since,
        opened_by=opening.by,
        done_on=done[-1] if len(done) == needed else None,
        needed=needed - len(done),
    )


def _first_contact(moment: Moment, opening: Opening, rule: str, within: int) -> Clock:
    """F4 (a warning at the end of day 1), F8, F9: anything at all was done on the case."""
    done = (touch.day for touch in moment.case.touches if touch.day >= opening.since)
    return moment.close(
        rule,
        moment.working(opening.day_zero, within),
        opened_on=opening.since,
        opened_by=opening.by,
        done_on=next(done, None),
    )
