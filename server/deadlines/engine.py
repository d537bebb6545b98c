"""Which clocks run on a case? Facts in, deadlines out; total and pure.

| rule | clock | module |
|---|---|---|
| F1, F2, F4, F8, F9 | contact check, follow-ups, first day, first coverage | new_case |
| F3 | the same on old cases, in a month without a new batch | new_case |
| F5, F6, F7, F11, F19 | the next follow-up: one of them | recurring |
| F10 | contacts in the month of the case | quota |
| F14, F15, F16, F20 | three days to pay; confirmation of a promise | repayment |
| F17, F18 | answer to a letter | letters |
| F12 | the week's report, of no single case | report |

F13, the table of promises, is no clock. A closed case has none (D18).
"""

from typing import Final

from server.deadlines.days import Days
from server.deadlines.facts import CaseSituation, Clock
from server.deadlines.letters import letter_clocks
from server.deadlines.moment import Moment
from server.deadlines.new_case import new_case_clocks
from server.deadlines.quota import quota_clock
from server.deadlines.recurring import recurring_clock
from server.deadlines.repayment import repayment_clocks
from server.deadlines.timetable import Timetable

CASE_RULES: Final = (
    "F1", "F2", "F4", "F5", "F6", "F7", "F8", "F9", "F10", "F11",
    "F14", "F15", "F16", "F17", "F18", "F19", "F20",
)  # fmt: skip
"""Rules whose clocks stand on cases. F3 opens some of them; F12 is due once a week for everybody."""


def clocks_of(case: CaseSituation, days: Days, table: Timetable) -> list[Clock]:
    """Return every clock of an open case, each rule at most once."""
    moment = Moment(case, days, table)
    return [
        *new_case_clocks(moment),
        recurring_clock(moment),
        quota_clock(moment),
        *repayment_clocks(moment),
        *letter_clocks(moment),
    ]
