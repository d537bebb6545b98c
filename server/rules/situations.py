"""How are a hundred thousand cases judged without judging each of them?

Most cases are in the same situation as thousands of others. Each subject of the rules judges each distinct
value of what it looks at once; cases of which every subject says the same share one conclusion. Where time
alone would end what blocks, the engine judges with checks that remember what they said of the same value. Of
a debtor who is not in hardship only the days of visits and wishes count, so that many are alike. No rule
is repeated here: the answers are those of judging one by one (`on_day`), without the facts of a single case.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from types import ModuleType
from typing import Literal
from uuid import UUID

from server.rules.calendar import Calendar
from server.rules.check import Check
from server.rules.checks import address, balance, budget, days, ground, hardship, holds, review, window
from server.rules.engine import Spoken, conclude, judge_by, judge_case
from server.rules.evidence import REQUEST_ONLY, REQUEST_OR_RETURN, usable
from server.rules.facts import CaseFacts, WantedVisit
from server.rules.local_time import at_local, local_day
from server.rules.pack import RulePack
from server.rules.periods import visits_on
from server.rules.situation import (
    NO_VISITS,
    NOTHING_SPECIAL,
    SOME_ADDRESS,
    SOME_CASE,
    Situation,
    by_day,
    facts_of,
)
from server.rules.verdict import Reason, Verdict

Status = Literal["may", "approval", "blocked"]


@dataclass(frozen=True, slots=True)
class DayAnswer:
    """Whether a case may be visited on a day. `first_start`: the first start on that day, None when blocked.

    `reasons` hold at `first_start`, or at the day's first instant when blocked; `allowed_from` is then the
    first start on any later day (None: never without a person's action).
    """

    status: Status
    first_start: datetime | None
    allowed_from: datetime | None
    reasons: tuple[Reason, ...]
    budget_left: int
    evidence_entry_id: UUID | None = None


def day_visit(
    day: date, *, now: datetime, duration: timedelta, pack: RulePack, case_id: UUID, address_id: UUID
) -> WantedVisit:
    """Return the earliest visit of a day, by nobody yet: from when the window opens, or from now on."""
    opens = max(at_local(day, pack.window_opens, pack.zone), now)
    return WantedVisit(
        case_id=case_id,
        address_id=address_id,
        window_start=opens,
        window_end=opens + duration,
        team=(),
        lead=None,
    )


def on_day(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> DayAnswer:
    """Say whether a case may be visited on the day on which `wanted` starts, at that time or later.

    The debtor's own wish is used as evidence where there is one for this day.
    """
    day = local_day(wanted.window_start, pack.zone)
    wanted = replace(wanted, evidence_entry_id=_evidence(day, facts, pack))
    budget_left = _budget_left(day, facts, pack)
    return _answer(wanted, lambda one: judge_case(one, facts, pack), pack, budget_left=budget_left)


def _answer(
    wanted: WantedVisit, judge: Callable[[WantedVisit], Verdict], pack: RulePack, *, budget_left: int
) -> DayAnswer:
    """Judge a visit, and once more at the first start on its day at which nothing blocks, if there is one."""
    verdict = judge(wanted)
    first, day = verdict.allowed_from, local_day(wanted.window_start, pack.zone)
    if verdict.blocking and first is not None and local_day(first, pack.zone) == day:
        length = wanted.window_end - wanted.window_start
        wanted = replace(wanted, window_start=first, window_end=first + length)
        verdict = judge(wanted)
    return DayAnswer(
        status=_status(verdict),
        first_start=None if verdict.blocking else wanted.window_start,
        allowed_from=verdict.allowed_from,
        reasons=verdict.reasons,
        budget_left=budget_left,
        evidence_entry_id=wanted.evidence_entry_id,
    )


def _evidence(day: date, facts: CaseFacts, pack: RulePack) -> UUID | None:
    """Choose the debtor's wish for this day; a request also serves hardship, an agreed return does not."""
    if not facts.requests:
        return None
    for channels in (REQUEST_ONLY, REQUEST_OR_RETURN):
        entries = usable(day=day, facts=facts, pack=pack, channels=channels)
        if entries:
            return entries[0]
    return None


def _status(verdict: Verdict) -> Status:
    if verdict.blocking:
        return "blocked"
    return "approval" if verdict.needs_approval else "may"


def _budget_left(day: date, facts: CaseFacts, pack: RulePack) -> int:
    own = facts.case.daily_visit_cap
    cap = pack.visits_per_day if own is None else min(own, pack.visits_per_day)
    return max(0, cap - visits_on(day, facts, pack))


@dataclass(frozen=True, slots=True)
class _Said:
    """What one subject says of one value. `number` is the same for values of which it says the same.

    `checks` are its checks bound to the value. `is_stuck`: it blocks, and time alone does not end it.
    """

    number: int
    checks: tuple[Check, ...]
    spoken: Spoken
    blocks: bool
    is_stuck: bool


_Planned = tuple[_Said, _Said, int, UUID | None]


class DayJudge:
    """Judges many situations on one day; keeps what it said for as long as it lives."""

    def __init__(
        self, day: date, *, now: datetime, duration: timedelta, pack: RulePack, calendar: Calendar
    ) -> None:
        self._day, self._now, self._pack, self._calendar = day, now, pack, calendar
        self._wanted = day_visit(
            day, now=now, duration=duration, pack=pack, case_id=SOME_CASE, address_id=SOME_ADDRESS
        )
        self._numbers: dict[Hashable, int] = {}
        self._said: dict[str, dict[Hashable, _Said]] = defaultdict(dict)
        self._planned: dict[Hashable, _Planned] = {}
        self._answers: dict[Hashable, DayAnswer] = {}
        self._nothing = self._facts(NOTHING_SPECIAL)
        self._of_the_day = [self._ask(subject, self._nothing) for subject in (window, days)]

    def judge(self, situation: Situation) -> DayAnswer:
        """Return the answer for a case in this situation; its reasons carry no facts of a single case."""
        if situation.visits is NO_VISITS or situation.limits[0]:
            return self._answer(situation)
        answer = self._answer(situation._replace(visits=by_day(situation.visits, self._pack.zone)))
        if answer.evidence_entry_id is None:
            return answer
        wish = situation.visits.requests[answer.evidence_entry_id.int - 1]
        return replace(answer, evidence_entry_id=wish.entry_id)

    def _answer(self, situation: Situation) -> DayAnswer:
        of_budget, of_hardship, budget_left, entry = self._ask_about_visits(situation)
        stopped = self._say(holds, "stopped", situation.stopped)
        place = self._say(address, "place", situation.place)
        looked_at = self._say(review, "looked_at", situation.looked_at)
        money = self._say(balance, "money", situation.money)
        tried = self._say(ground, "tried", situation.tried)
        key = (
            stopped.number, place.number, of_budget.number, of_hardship.number,
            looked_at.number, money.number, tried.number, budget_left,
        )  # fmt: skip
        if entry is None and (known := self._answers.get(key)) is not None:
            return known
        said = (stopped, place, *self._of_the_day, of_budget, of_hardship, looked_at, money, tried)
        if entry is not None or _ends_by_itself(said):
            return self._judge(said, budget_left, entry)
        answer = self._answers[key] = self._sum_up(said, budget_left)
        return answer

    def _say(self, subject: ModuleType, member: str, value: Hashable) -> _Said:
        """Return what a subject says of its member of the situation, the others being nothing special."""
        said = self._said[member].get(value)
        if said is None:
            facts = self._facts(NOTHING_SPECIAL._replace(**{member: value}))
            said = self._said[member][value] = self._ask(subject, facts)
        return said

    def _ask_about_visits(self, situation: Situation) -> _Planned:
        """Return what budget and hardship say, what is left of the budget, and the evidence there is."""
        key = (situation.limits, situation.visits)
        planned = self._planned.get(key)
        if planned is None:
            planned = self._planned[key] = self._plan(situation)
        return planned

    def _plan(self, situation: Situation) -> _Planned:
        facts = self._facts(NOTHING_SPECIAL._replace(limits=situation.limits, visits=situation.visits))
        return (
            self._ask(budget, facts),
            self._ask(hardship, facts),
            _budget_left(self._day, facts, self._pack),
            _evidence(self._day, facts, self._pack),
        )

    def _ask(self, subject: ModuleType, facts: CaseFacts) -> _Said:
        checks = tuple(_bound(check, facts, self._pack) for check in subject.CHECKS)
        spoken = tuple((check, tuple(check.judge(self._wanted, facts, self._pack))) for check in checks)
        words = [(one.rule, one.slug, one.severity, one.allowed_from) for _, said in spoken for one in said]
        blocking = [check for check, said in spoken if any(one.severity == "block" for one in said)]
        return _Said(
            number=self._numbers.setdefault((subject, *words), len(self._numbers)),
            checks=checks,
            spoken=spoken,
            blocks=bool(blocking),
            is_stuck=any(check.next_start is None for check in blocking),
        )

    def _sum_up(self, said: Sequence[_Said], budget_left: int) -> DayAnswer:
        """Conclude from what every subject said; for what time alone does not change."""
        spoken = [one for subject in said for one in subject.spoken]
        verdict = conclude(spoken, self._wanted, self._nothing, self._pack)
        return DayAnswer(
            status=_status(verdict),
            first_start=None if verdict.blocking else self._wanted.window_start,
            allowed_from=verdict.allowed_from,
            reasons=verdict.reasons,
            budget_left=budget_left,
        )

    def _judge(self, said: Sequence[_Said], budget_left: int, entry: UUID | None) -> DayAnswer:
        """Judge in full, by checks that remember what they said of the same value at the same time."""
        checks = [check for subject in said for check in subject.checks]
        return _answer(
            replace(self._wanted, evidence_entry_id=entry),
            lambda wanted: judge_by(checks, wanted, self._nothing, self._pack),
            self._pack,
            budget_left=budget_left,
        )

    def _facts(self, situation: Situation) -> CaseFacts:
        return facts_of(situation, now=self._now, calendar=self._calendar)


def _ends_by_itself(said: Sequence[_Said]) -> bool:
    """Whether something blocks that time alone ends, and nothing that it does not."""
    return any(one.blocks for one in said) and not any(one.is_stuck for one in said)


def _bound(check: Check, facts: CaseFacts, pack: RulePack) -> Check:
    """Bind a check to what it looks at; what it is asked again it does not work out again.

    What else it could be told of a visit is the same for all visits of a day: nobody's, and as long.
    """
    said: dict[Hashable, tuple[Reason, ...]] = {}
    starts: dict[Hashable, datetime | None] = {}
    next_start = check.next_start

    def judge(wanted: WantedVisit, _facts: CaseFacts, _pack: RulePack) -> Iterator[Reason]:
        key = (wanted.window_start, wanted.evidence_entry_id)
        if key not in said:
            said[key] = _without_facts(check.judge(wanted, facts, pack))
        return iter(said[key])

    def start_after(
        start: datetime, wanted: WantedVisit, _facts: CaseFacts, _pack: RulePack
    ) -> datetime | None:
        assert next_start is not None
        key = (start, wanted.evidence_entry_id)
        if key not in starts:
            starts[key] = next_start(start, wanted, facts, pack)
        return starts[key]

    return Check(check.rules, judge, None if next_start is None else start_after)


def _without_facts(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    return tuple(
        Reason(one.rule, one.slug, one.severity, one.quotation, {}, one.allowed_from) for one in reasons
    )
