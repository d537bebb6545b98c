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
from typing import Literal
from uuid import UUID

from server.rules.calendar import Calendar
from server.rules.check import Check
from server.rules.checks import address, apart, balance, budget, days, ground, hardship, holds, review, window
from server.rules.engine import Spoken, conclude, judge_case
from server.rules.evidence import REQUEST_ONLY, REQUEST_OR_RETURN, usable
from server.rules.facts import CaseFacts, WantedVisit
from server.rules.local_time import at_local, local_day
from server.rules.pack import RulePack
from server.rules.situation import (
    SOME_ADDRESS,
    SOME_CASE,
    Situation,
    nothing_special,
    with_limits,
    with_looked_at,
    with_money,
    with_place,
    with_planned,
    with_stopped,
    with_tried,
    with_visits,
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
    budget_left = budget.left_on(day, facts, pack)
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


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """What one subject says of one text. `number` is the same for texts of which it says the same now.

    `facts` hold what the text says. `is_stuck`: it blocks, and time alone does not end it. `has_clock`: what
    it says later may be another thing, even where it says the same now. `spoken` remembers what it said at
    each start and with each evidence; what else a visit could be is the same for all of a day.
    """

    number: int
    checks: Checks
    facts: CaseFacts
    blocks: bool
    is_stuck: bool
    has_clock: bool
    spoken: dict[Hashable, Spoken]

    def of(self, wanted: WantedVisit, pack: RulePack) -> Spoken:
        """Say it of this visit."""
        key = (wanted.window_start, wanted.evidence_entry_id)
        spoken = self.spoken.get(key)
        if spoken is None:
            spoken = self.spoken[key] = _speak(self.checks, wanted, self.facts, pack)
        return spoken


@dataclass(frozen=True, slots=True, eq=False)
class _Planned:
    """What budget and calendar week say of a debtor's days, and what is left of the budget.

    `wanted` names the debtor's wish that is the evidence, if there is one.
    """

    budget: _Said
    week: _Said
    left: int
    wanted: WantedVisit


class _Asker:
    """Asks the subjects of the rules about texts, on one day. Knows none of what remembers their answers."""

    def __init__(
        self, day: date, *, now: datetime, duration: timedelta, pack: RulePack, calendar: Calendar
    ) -> None:
        self._day, self._pack = day, pack
        self._wanted = day_visit(
            day, now=now, duration=duration, pack=pack, case_id=SOME_CASE, address_id=SOME_ADDRESS
        )
        self._numbers: dict[Hashable, int] = {}
        self._limited: dict[str, CaseFacts] = {}
        self.nothing = nothing_special(now=now, calendar=calendar)

    def member(self, checks: Checks, put: Callable[..., CaseFacts]) -> Callable[..., _Said]:
        """Return what asks a subject about its member of a situation, nothing else being special."""
        return lambda *told: self.ask(checks, put(self.nothing, *told))

    def about_days(self, limits: str, by_day: str) -> _Planned:
        """Ask about the debtor's days."""
        facts = self._with_visits(limits, by_day)
        wanted = self._with_evidence(facts)
        return _Planned(
            budget=self.ask(budget.CHECKS, facts, wanted),
            week=self.ask(hardship.BY_DAY, facts, wanted),
            left=budget.left_on(self._day, facts, self._pack),
            wanted=wanted,
        )

    def about_hours(self, limits: str, by_hour: str) -> _Said:
        """Ask about the hours of the debtor's visits."""
        facts = self._with_visits(limits, by_hour)
        return self.ask(hardship.BY_HOUR, facts, self._with_evidence(facts))

    def ask(self, checks: Checks, facts: CaseFacts, wanted: WantedVisit | None = None) -> _Said:
        """Ask these checks about these facts."""
        wanted = wanted or self._wanted
        bound = tuple(_remembering(check, facts, self._pack) for check in checks)
        spoken = _speak(bound, wanted, facts, self._pack)
        words = [(one.rule, one.slug, one.severity, one.allowed_from) for _, said in spoken for one in said]
        blocking = [check for check, said in spoken if any(one.severity == "block" for one in said)]
        return _Said(
            number=self._numbers.setdefault((checks, *words), len(self._numbers)),
            checks=bound,
            facts=facts,
            blocks=bool(blocking),
            is_stuck=any(check.next_start is None for check in blocking),
            has_clock=any(check.next_start is not None for check in checks),
            spoken={(wanted.window_start, wanted.evidence_entry_id): spoken},
        )

    def _with_visits(self, limits: str, had: str) -> CaseFacts:
        limited = self._limited.get(limits)
        if limited is None:
            limited = self._limited[limits] = with_limits(self.nothing, limits)
        return with_visits(limited, had, self._pack.zone)

    def _with_evidence(self, facts: CaseFacts) -> WantedVisit:
        entry = _evidence(self._day, facts, self._pack)
        return self._wanted if entry is None else replace(self._wanted, evidence_entry_id=entry)


class DayJudge:
    """Judges many situations on one day; keeps what it said for as long as it lives.

    It goes with its last reference, however much it keeps: nothing in it refers back to it.
    """

    def __init__(
        self, day: date, *, now: datetime, duration: timedelta, pack: RulePack, calendar: Calendar
    ) -> None:
        asker = _Asker(day, now=now, duration=duration, pack=pack, calendar=calendar)
        self._pack, self._nothing = pack, asker.nothing
        self._answers: dict[Hashable, DayAnswer] = {}
        self._of_the_day = [asker.ask(checks, asker.nothing) for checks in (window.CHECKS, days.CHECKS)]
        self._stopped = cache(asker.member(holds.CHECKS, with_stopped))
        self._place = cache(asker.member(address.CHECKS, with_place))
        self._looked_at = cache(asker.member(review.CHECKS, with_looked_at))
        self._money = cache(asker.member(balance.CHECKS, with_money))
        self._tried = cache(asker.member(ground.CHECKS, with_tried))
        self._days = cache(asker.about_days)
        self._hours = cache(asker.about_hours)
        self._beside = cache(asker.member(apart.CHECKS, with_planned))

    def judge(self, situation: Situation) -> DayAnswer:
        """Return the answer for a case in this situation; its reasons carry no facts of a single case.

        The evidence is named by its number among the debtor's wishes.
        """
        money, looked_at, stopped, place, tried, limits, by_day, by_hour, beside, owes_account = situation
        planned = self._days(limits, by_day)
        said = (
            self._stopped(stopped), self._place(place), *self._of_the_day,
            planned.budget, self._beside(beside), self._hours(limits, by_hour), planned.week,
            self._looked_at(looked_at, owes_account), self._money(money), self._tried(tried),
        )  # fmt: skip
        key = (planned.left, planned.wanted.evidence_entry_id, *[one.number for one in said])
        answer = self._answers.get(key)
        return answer or self._find(key, said, planned)

    def _find(self, key: Hashable, said: Sequence[_Said], planned: _Planned) -> DayAnswer:
        """Judge what was not judged before; where time alone ends what blocks, what is said later counts."""
        if _ends_by_itself(said):
            key = (planned, *[one if one.has_clock else one.number for one in said])
        answer = self._answers.get(key)
        if answer is None:
            answer = self._answers[key] = self._judge(said, planned)
        return answer

    def _judge(self, said: Sequence[_Said], planned: _Planned) -> DayAnswer:
        """Conclude from what every subject says, at the day's first instant and where that leads."""

        def judge(wanted: WantedVisit) -> Verdict:
            spoken = [one for subject in said for one in subject.of(wanted, self._pack)]
            return conclude(spoken, wanted, self._nothing, self._pack)

        return _answer(planned.wanted, judge, self._pack, budget_left=planned.left)


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
