"""How long does the debtor have after a letter? (F17, F18, AMB12)

Seven working days from the day it was sent to get in contact, and seven from its receipt to pay or get in
contact; the day itself is not counted. When the second has passed a visit follows (A15 lets it from then on),
and the visit is what closes it late.
"""

from collections.abc import Iterator
from datetime import date

from server.deadlines.facts import Clock
from server.deadlines.moment import Moment, earliest


def letter_clocks(moment: Moment) -> Iterator[Clock]:
    """F17 of the letter sent last, F18 of the letter received last."""
    sent_on = max((touch.day for touch in moment.case.touches if touch.channel == "letter"), default=None)
    if sent_on is not None:
        yield _answer(moment, "F17", sent_on, within=moment.table.letter_sent_days)
    received_on = max(moment.case.received_on, default=None)
    if received_on is not None:
        within = moment.table.letter_received_days
        due = moment.working(received_on, within).day
        visits = (touch.day for touch in moment.follow_ups(since=due) if touch.channel == "visit")
        yield _answer(moment, "F18", received_on, within=within, visited_on=next(visits, None))


def _answer(
    moment: Moment, rule: str, letter_on: date, *, within: int, visited_on: date | None = None
) -> Clock:
    spoken = next((touch.day for touch in moment.effective(after=letter_on)), None)
    return moment.close(
        rule,
        moment.working(letter_on, within),
        opened_on=letter_on,
        opened_by="letter",
        done_on=earliest([spoken, moment.first_paid(since=letter_on), visited_on]),
        needed=0,
    )
