"""How are a hundred thousand cases judged without judging each of them?

Most cases are in the same situation as thousands of others. Each subject of the rules judges each distinct
value of what it looks at once; cases of which every subject says the same share one conclusion, unless time
alone would end what blocks: then it is looked for with clocks that remember. Of a debtor's visits only the
days count, and the hours only to hardship, so that many are alike. No rule is repeated here: the answers are
those of judging one by one (`on_day`), without the facts of a single case.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from types import ModuleType
from typing import Any, Literal, NamedTuple
from uuid import UUID

from server.rules.calendar import Calendar
from server.rules.check import Check
from server.rules.checks import address, balance, budget, days, ground, hardship, holds, review, window
from server.rules.engine import Spoken, conclude, judge_case
from server.rules.evidence import REQUEST_ONLY, REQUEST_OR_RETURN, usable
from server.rules.facts import CaseFacts, WantedVisit
from server.rules.local_time import at_local, local_day
from server.rules.pack import RulePack
from server.rules.periods import visits_on
from server.rules.situation import (
    NOTHING_SPECIAL,
    SOME_ADDRESS,
    SOME_CASE,
    Had,
    Limits,
    Situation,
    facts_of,
)
from server.rules.verdict import Reason, Verdict

Status = Literal["may", "approval", "blocked"]
Checks = tuple[Check, ...]


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

    `facts` hold the value. `is_stuck`: it blocks, and time alone does not end it. `spoken` remembers what it
    said at each start and with each evidence; what else a visit could be is the same for all of a day.
    """

    number: int
    checks: Checks
    facts: CaseFacts
    blocks: bool
    is_stuck: bool
    spoken: dict[Hashable, Spoken]

    def of(self, wanted: WantedVisit, pack: RulePack) -> Spoken:
        """Say it of this visit."""
        key = (wanted.window_start, wanted.evidence_entry_id)
        spoken = self.spoken.get(key)
        if spoken is None:
            spoken = self.spoken[key] = _speak(self.checks, wanted, self.facts, pack)
        return spoken


class _Planned(NamedTuple):
    """What budget and calendar week say of a debtor's days, what is left, and which wish is the evidence."""

    budget: _Said
    week: _Said
    left: int
    entry: UUID | None


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
        self._answers: dict[Hashable, DayAnswer] = {}
        self._nothing = self._facts(NOTHING_SPECIAL)
        self._of_the_day = [self._ask(checks, self._nothing) for checks in (window.CHECKS, days.CHECKS)]
        self._stopped = self._asking(holds, "stopped")
        self._place = self._asking(address, "place")
        self._looked_at = self._asking(review, "looked_at")
        self._money = self._asking(balance, "money")
        self._tried = self._asking(ground, "tried")
        self._days = cache(self._ask_about_days)
        self._hours = cache(self._ask_about_hours)

    def judge(self, situation: Situation) -> DayAnswer:
        """Return the answer for a case in this situation; its reasons carry no facts of a single case.

        The evidence is named by its number among the debtor's wishes.
        """
        stopped, place = self._stopped(situation.stopped), self._place(situation.place)
        looked_at, money = self._looked_at(situation.looked_at), self._money(situation.money)
        tried = self._tried(situation.tried)
        planned = self._days(situation.limits, situation.by_day)
        rolling = self._hours(situation.limits, situation.by_hour)
        key = (
            stopped.number, place.number, planned.budget.number, rolling.number, planned.week.number,
            looked_at.number, money.number, tried.number, planned.left,
        )  # fmt: skip
        if planned.entry is None and (known := self._answers.get(key)) is not None:
            return known
        said = (
            stopped, place, *self._of_the_day, planned.budget, rolling, planned.week, looked_at, money, tried
        )  # fmt: skip
        answer = self._judge(said, planned)
        if planned.entry is None and not _ends_by_itself(said):
            self._answers[key] = answer
        return answer

    def _judge(self, said: Sequence[_Said], planned: _Planned) -> DayAnswer:
        """Conclude from what every subject says, at the day's first instant and where that leads."""

        def judge(wanted: WantedVisit) -> Verdict:
            spoken = [one for subject in said for one in subject.of(wanted, self._pack)]
            return conclude(spoken, wanted, self._nothing, self._pack)

        wanted = self._wanted
        if planned.entry is not None:
            wanted = replace(wanted, evidence_entry_id=planned.entry)
        return _answer(wanted, judge, self._pack, budget_left=planned.left)

    def _asking(self, subject: ModuleType, member: str) -> Callable[[Any], _Said]:
        """Return what asks a subject about its member of a situation, the others being nothing special."""
        return cache(
            lambda value: self._ask(subject.CHECKS, self._facts(NOTHING_SPECIAL._replace(**{member: value})))
        )

    def _ask_about_days(self, limits: Limits, by_day: Had) -> _Planned:
        facts = self._facts(NOTHING_SPECIAL._replace(limits=limits, by_day=by_day))
        return _Planned(
            budget=self._ask(budget.CHECKS, facts),
            week=self._ask(hardship.BY_DAY, facts),
            left=_budget_left(self._day, facts, self._pack),
            entry=_evidence(self._day, facts, self._pack),
        )

    def _ask_about_hours(self, limits: Limits, by_hour: Had) -> _Said:
        return self._ask(
            hardship.BY_HOUR, self._facts(NOTHING_SPECIAL._replace(limits=limits, by_day=by_hour))
        )

    def _ask(self, checks: Checks, facts: CaseFacts) -> _Said:
        bound = tuple(_remembering(check, facts, self._pack) for check in checks)
        spoken = _speak(bound, self._wanted, facts, self._pack)
        words = [(one.rule, one.slug, one.severity, one.allowed_from) for _, said in spoken for one in said]
        blocking = [check for check, said in spoken if any(one.severity == "block" for one in said)]
        return _Said(
            number=self._numbers.setdefault((checks, *words), len(self._numbers)),
            checks=bound,
            facts=facts,
            blocks=bool(blocking),
            is_stuck=any(check.next_start is None for check in blocking),
            spoken={(self._wanted.window_start, None): spoken},
        )

    def _facts(self, situation: Situation) -> CaseFacts:
        return facts_of(situation, now=self._now, calendar=self._calendar, zone=self._pack.zone)


def _ends_by_itself(said: Sequence[_Said]) -> bool:
    """Whether something blocks that time alone ends, and nothing that it does not."""
    return any(one.blocks for one in said) and not any(one.is_stuck for one in said)


def _speak(checks: Checks, wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Spoken:
    """Ask checks, without the facts of a single case. One that is silent is of use only for its clock."""
    spoken = (
        (
            check,
            tuple(
                Reason(one.rule, one.slug, one.severity, one.quotation, {}, one.allowed_from)
                for one in check.judge(wanted, facts, pack)
            ),
        )
        for check in checks
    )
    return tuple((check, said) for check, said in spoken if said or check.next_start is not None)


def _remembering(check: Check, facts: CaseFacts, pack: RulePack) -> Check:
    """Bind a check's clock to these facts; the next start it has found it does not look for again."""
    next_start = check.next_start
    if next_start is None:
        return check
    starts: dict[Hashable, datetime | None] = {}

    def start_after(
        start: datetime, wanted: WantedVisit, _facts: CaseFacts, _pack: RulePack
    ) -> datetime | None:
        key = (start, wanted.evidence_entry_id)
        if key not in starts:
            starts[key] = next_start(start, wanted, facts, pack)
        return starts[key]

    return Check(check.rules, check.judge, start_after)
