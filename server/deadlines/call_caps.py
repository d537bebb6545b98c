"""How often was somebody called already, and when may the next call be made? (J5, J6, J8, J18, AMB3)

The product makes no calls: this is what the desk sees and what a missed minimum of contacts is excused by.
Counting is strict: calls to whomever on a debtor's cases count as calls to the debtor.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from uuid import UUID

from server.deadlines.ledger_values import COUNTED, Cap, Counted


@dataclass(frozen=True, slots=True)
class Call:
    """One outgoing call. `connected`: somebody answered; None: nobody wrote it down."""

    case_id: UUID
    day: date
    effective: bool
    connected: bool | None

    def is_a(self, sort: Counted) -> bool:
        """Whether the call counts as one of a sort; where it is unknown, an effective one was answered."""
        was_answered = self.effective if self.connected is None else self.connected
        match sort:
            case "effective":
                return self.effective
            case "connected":
                return was_answered
            case "unanswered":
                return not was_answered
            case "total":
                return True


@dataclass(frozen=True, slots=True)
class CapState:
    """One cap and how many calls count against it. `free_on`: the first day on which a call is below it."""

    cap: Cap
    made: int
    free_on: date

    @property
    def is_reached(self) -> bool:
        """Whether one more call would be too many."""
        return self.made >= self.cap.most


@dataclass(frozen=True, slots=True)
class CallCounts:
    """A case's calls of one day against every cap that applies."""

    day: date
    today: dict[Counted, int]
    caps: tuple[CapState, ...]

    @property
    def is_cap_reached(self) -> bool:
        """Whether no further call may be made today: the strictest cap decides."""
        return any(state.is_reached for state in self.caps)

    @property
    def calls_from(self) -> date:
        """The first day on which no cap stands in the way, as far as is known today."""
        return max((state.free_on for state in self.caps), default=self.day)


def count_calls(
    case_id: UUID, calls: Sequence[Call], *, is_hardship: bool, today: date, caps: Iterable[Cap]
) -> CallCounts:
    """Count the calls on a debtor's cases up to today. J8 applies to people in hardship only."""
    own = [call for call in calls if call.case_id == case_id]
    applied = [cap for cap in caps if is_hardship or not cap.only_in_hardship]
    states = [_state(cap, own if cap.of == "case" else calls, today=today) for cap in applied]
    of_today = [call for call in own if call.day == today]
    counted: dict[Counted, int] = {sort: sum(call.is_a(sort) for call in of_today) for sort in COUNTED}
    return CallCounts(today, counted, tuple(states))


def _state(cap: Cap, calls: Iterable[Call], *, today: date) -> CapState:
    days = sorted(call.day for call in calls if call.is_a(cap.counts) and call.day <= today)
    since = today - timedelta(days=cap.days - 1)
    made = [day for day in days if day >= since]
    free_on = today if len(made) < cap.most else made[-cap.most] + timedelta(days=cap.days)
    return CapState(cap, len(made), free_on)
