"""Until when does the debtor have to pay, and when is a promise confirmed? (F14, F15, F16, F20, D19, D20)

Reminded, persuaded, demanded: each stage gives the debtor three working days, and only the latest one runs.
A payment, or a dated promise instead (D19), ends it; otherwise the next stage is due when it has passed. A
broken promise leads straight to the last stage (F16). What these clocks wait for is the debtor's to do: caps
on calls do not close them.
"""

from collections.abc import Iterator
from datetime import date

from server.deadlines.facts import Clock
from server.deadlines.moment import Moment, earliest
from server.rules.calendar import ONE_DAY

RULE_OF_STAGE = {"reminded": "F14", "persuaded": "F15", "demanded": "F16"}


def repayment_clocks(moment: Moment) -> Iterator[Clock]:
    """The clock of the latest stage, and the confirmation of the next promised day."""
    stage = _latest_stage(moment)
    if stage is not None:
        yield _pay_within(moment, *stage)
    yield from _confirmation(moment)


def _latest_stage(moment: Moment) -> tuple[date, str, str] | None:
    stages = [
        (touch.day, RULE_OF_STAGE[touch.meaning], "contact")
        for touch in moment.case.touches
        if touch.meaning in RULE_OF_STAGE
    ]
    stages += [(one.due_on, "F16", "promise") for one in moment.case.promises if not one.is_open]
    return max(stages, default=None)


def _pay_within(moment: Moment, opened_on: date, rule: str, opened_by: str) -> Clock:
    within = {
        "F14": moment.table.reminded_days,
        "F15": moment.table.persuaded_days,
        "F16": moment.table.demanded_days,
    }[rule]
    since = opened_on + ONE_DAY if opened_by == "promise" else opened_on
    new_plans = (one.made_on for one in moment.case.promises if one.is_open and one.made_on >= since)
    return moment.close(
        rule,
        moment.working(opened_on, within),
        opened_on=opened_on,
        opened_by=opened_by,
        done_on=earliest([moment.first_paid(since=since), *new_plans]),
        needed=0,
    )


def _confirmation(moment: Moment) -> Iterator[Clock]:
    """F20: spoken to once more after the promise and before its day; no clock where no day lies between."""
    ahead = [one for one in moment.case.promises if one.is_open and one.due_on >= moment.days.today]
    if not ahead:
        return
    promised = min(ahead, key=lambda one: (one.due_on, one.made_at))
    due = moment.days.on(promised.due_on - ONE_DAY, not_before=promised.made_on)
    if due.day <= promised.made_on or due.day >= promised.due_on:
        return
    confirmed = (touch.day for touch in moment.effective(after=promised.made_on))
    yield moment.close(
        "F20", due, opened_on=promised.made_on, opened_by="promise", done_on=next(confirmed, None)
    )
