"""`allowed_from` is the earliest instant at which nothing blocks: held against a search.

Minute by minute for a few situations in which anything happens at any minute. For many more all happens at
marks ten minutes apart, so that a search over the marks finds where it ended; the minutes between the last
blocked mark and the first free one are searched, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.rules import pack as packs
from server.rules.calendar import Calendar
from server.rules.check import Check
from server.rules.engine import CHECKS, judge
from server.rules.facts import (
    CaseFacts,
    HoldFact,
    Interval,
    Reservation,
    Span,
    Training,
    VisitRequest,
    WantedVisit,
)
from server.rules.pack import RulePack, combine
from server.rules.pack_file import read_pack
from tests.rules.builders import (
    HOUSE,
    LEAD,
    QUALIFIED,
    SECOND,
    UUID,
    Arrival,
    a_case,
    a_member,
    a_request,
    a_visit,
    china,
    reserved,
    some_facts,
)

A_MINUTE = timedelta(minutes=1)
A_MARK = 10 * A_MINUTE
HORIZON = timedelta(days=8)
FIRST = date(2026, 12, 24)
BEGIN = china("2026-12-24 00:00")
rounds = st.integers(0, 8 * 24).map(lambda n: BEGIN + n * timedelta(hours=1))
A_HOLD = HoldFact(UUID(int=50), "complaint", "debtor", BEGIN - timedelta(days=1))
served = st.sampled_from([None, None, None, "inbound", "visit"])
near = st.integers(0, 11).map(lambda n: FIRST + timedelta(days=n))


def a_pack(**values: Any) -> RulePack:
    """The house pack with other values."""
    path = Path(packs.__file__).parent / "packs" / "cn.house.toml"
    lines = path.read_text("utf-8").splitlines()
    for name, value in values.items():
        lines = [line for line in lines if not line.startswith(f"{name} =")]
        place = lines.index("[parameters]") + 1
        lines.insert(place, f'{name} = {{ value = {value}, rule = "A3", article = "test", grade = "own" }}')
    return combine([read_pack("\n".join(lines), origin="test.toml")], on=date(2026, 12, 1))


PACKS = (
    HOUSE,
    a_pack(banned_weekdays="[5, 6]", visits_per_calendar_month=3, latest_start="18:30:00"),
    a_pack(hardship_visits=2, hardship_period_days=3, hardship_visits_per_calendar_week=1),
    a_pack(hardship_visits=0, visits_per_day=1, visits_per_day_ceiling=1, visits_per_calendar_month=1),
    a_pack(visits_per_day=0, visits_per_day_ceiling=2, window_opens="09:10:00", window_closes="20:40:00"),
)
AT_ODD_MINUTES = a_pack(
    visits_per_day=0, visits_per_day_ceiling=2, window_opens="09:17:00", window_closes="20:43:00"
)


@st.composite
def situations(draw: st.DrawFn, mark: timedelta) -> tuple[WantedVisit, CaseFacts, RulePack]:
    """A debtor with visits, wishes and holidays, and a busy team, part of it still being trained.

    Whatever happens, happens at a whole number of marks.
    """
    moments = st.integers(0, HORIZON // mark).map(lambda n: BEGIN + n * mark)
    start = draw(moments)
    plans = draw(st.lists(rounds | moments, max_size=5))
    spans = draw(st.lists(st.tuples(moments, st.integers(1, 2500 * A_MINUTE // mark)), max_size=3))
    asked = [
        VisitRequest(
            UUID(int=300 + n), draw(st.sampled_from(["inbound", "visit"])), at, draw(st.none() | near)
        )
        for n, at in enumerate(draw(st.lists(rounds, max_size=2)))
    ]
    taken = tuple(
        Span(kind, at, at + n * mark)
        for (at, n), kind in zip(spans, ["assignment", "leave", "training"], strict=False)
    )
    trained = tuple(Training(line.kind, line.score, 1, draw(st.none() | near)) for line in QUALIFIED)
    facts = some_facts(
        judged_at=BEGIN,
        calendar=Calendar(
            published=draw(st.sampled_from([frozenset({2026}), frozenset({2026, 2027})])),
            holidays=dict.fromkeys(draw(st.sets(near, max_size=4)), "a break"),
            makeup=frozenset(draw(st.sets(near, max_size=2))),
        ),
        case=a_case(
            balance_as_of=draw(st.sampled_from([FIRST, FIRST, FIRST, FIRST - timedelta(days=8)])),
            hardship=draw(st.sampled_from([(), ("pregnancy",)])),
            daily_visit_cap=draw(st.sampled_from([None, None, 1, 0])),
        ),
        reservations=tuple(
            Reservation(UUID(int=100 + n), at, draw(served), draw(st.none() | st.just(at + 9 * mark)))
            for n, at in enumerate(plans[:3])
        ),
        arrivals=tuple(
            Arrival(UUID(int=200 + n), Interval(at, at), wish=draw(served)) for n, at in enumerate(plans[3:])
        ),
        requests=tuple(asked),
        holds=draw(st.sampled_from([(), (), (), (A_HOLD,), (replace(A_HOLD, released_at=BEGIN),)])),
        letters_received_on=(draw(st.sampled_from([date(2026, 10, 22), FIRST])),),
        team=(a_member(LEAD, taken=taken), a_member(SECOND, training=trained)),
    )
    wanted = a_visit(
        window_start=start,
        window_end=start + draw(st.integers(10 * A_MINUTE // mark, 800 * A_MINUTE // mark)) * mark,
        evidence_entry_id=draw(st.sampled_from([None, *(one.entry_id for one in asked)])),
    )
    return wanted, facts, draw(st.sampled_from(PACKS if mark == A_MARK else (*PACKS, AT_ODD_MINUTES)))


def moved(wanted: WantedVisit, start: datetime) -> WantedVisit:
    return a_visit(
        window_start=start,
        window_end=start + (wanted.window_end - wanted.window_start),
        evidence_entry_id=wanted.evidence_entry_id,
    )


def minutes(since: datetime, until: datetime) -> list[datetime]:
    """Every minute from `since` until before `until`."""
    return [since + n * A_MINUTE for n in range((until - since) // A_MINUTE)]


def is_blocked(
    facts: CaseFacts, pack: RulePack, *, of: Sequence[Check] = CHECKS
) -> Callable[[WantedVisit], bool]:
    """Ask every check, beginning with the one that blocked the mark before: most marks need only that."""
    checks = list(of)

    def ask(wanted: WantedVisit) -> bool:
        for place, check in enumerate(checks):
            if any(reason.severity == "block" for reason in check.judge(wanted, facts, pack)):
                checks.insert(0, checks.pop(place))
                return True
        return False

    return ask


@settings(max_examples=60, deadline=None)
@given(situations(A_MARK))
def test_allowed_from_is_where_a_search_over_the_marks_ends(
    situation: tuple[WantedVisit, CaseFacts, RulePack],
):
    search(*situation, step=A_MARK)


@settings(max_examples=8, deadline=None)
@given(situations(A_MINUTE))
def test_allowed_from_is_the_first_minute_that_a_search_finds(
    situation: tuple[WantedVisit, CaseFacts, RulePack],
):
    search(*situation, step=A_MINUTE)


def search(wanted: WantedVisit, facts: CaseFacts, pack: RulePack, *, step: timedelta) -> None:
    """Hold the engine's answer against walking on, step by step."""
    found = judge(wanted, facts, pack).allowed_from

    blocks = is_blocked(facts, pack)
    start, until = wanted.window_start, wanted.window_start + HORIZON
    while start <= until and blocks(moved(wanted, start)):
        start += step
    assert found == start if start <= until else found is None or found > until
    since = max(wanted.window_start, start - step)
    assert all(blocks(moved(wanted, at)) for at in minutes(since, start))


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        pytest.param("2026-11-29 20:00", "2026-11-30 08:00", id="Sunday: the new week begins on Monday"),
        pytest.param("2026-11-30 08:00", "2026-11-30 08:00", id="Monday: another week"),
    ],
)
def test_a_calendar_week_ends_on_sunday(start: str, expected: str):
    pack = a_pack(hardship_visits=9, hardship_visits_per_calendar_week=1)
    facts = some_facts(case=a_case(hardship=("illness",)), reservations=reserved("2026-11-25 10:00"))

    verdict = judge(a_visit(start), facts, pack)

    assert verdict.allowed_from == china(expected)
    assert bool(verdict.blocking) == (start != expected)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        pytest.param("2026-11-30 19:00", "2026-12-01 08:00", id="last day of the month"),
        pytest.param("2026-12-01 08:00", "2026-12-01 08:00", id="first day of the next"),
    ],
)
def test_a_calendar_month_ends_on_its_last_day(start: str, expected: str):
    pack = a_pack(visits_per_calendar_month=1)
    asked = a_request("2026-11-23 09:00", visit_on=date(2026, 11, 30))
    facts = some_facts(reservations=reserved("2026-11-01 10:00"), requests=(asked,))

    verdict = judge(a_visit(start, evidence_entry_id=asked.entry_id), facts, pack)

    assert verdict.allowed_from == china(expected)
    assert {reason.slug for reason in verdict.blocking} <= {"monthly-visit-cap"}


def test_a_cap_of_nothing_ends_never():
    facts = some_facts(case=a_case(hardship=("illness",)))

    verdict = judge(a_visit(), facts, a_pack(hardship_visits=0, visits_per_calendar_month=0))

    assert verdict.allowed_from is None
    assert {reason.slug for reason in verdict.blocking} == {"hardship-weekly-cap", "monthly-visit-cap"}


def test_a_long_break_of_working_days_and_banned_weekends_is_passed():
    """Six weeks of it: more banned days than the break itself has."""
    monday = date(2026, 3, 2)
    holidays = {monday + timedelta(days=n): "a break" for n in range(42) if n % 7 < 5}
    facts = some_facts(calendar=Calendar(frozenset({2026}), holidays, frozenset()))

    verdict = judge(a_visit("2026-03-02 10:00"), facts, a_pack(banned_weekdays="[5, 6]"))

    assert [reason.allowed_from for reason in verdict.reasons if reason.rule == "A12"] == [
        china("2026-04-13 00:00")
    ]


def test_somebody_in_training_may_go_once_it_is_done():
    later = tuple(Training(line.kind, line.score, 1, date(2026, 11, 26)) for line in QUALIFIED)

    verdict = judge(a_visit(), some_facts(team=(a_member(), a_member(SECOND, training=later))), HOUSE)

    assert verdict.allowed_from == china("2026-11-26 08:00")


def test_it_joins_window_holidays_budget_hardship_and_leave():
    """Hardship ends on the last holiday, then the day is full, then the lead is on leave until noon."""
    facts = some_facts(
        judged_at=china("2026-09-28 10:00"),
        case=a_case(hardship=("pregnancy",), balance_as_of=date(2026, 9, 28), daily_visit_cap=1),
        reservations=(Reservation(UUID(int=100), china("2026-09-30 10:00")),),
        team=(
            a_member(taken=(Span("leave", china("2026-10-08 00:00"), china("2026-10-09 12:00")),)),
            a_member(SECOND),
        ),
    )

    verdict = judge(a_visit("2026-09-30 14:00", hours=2), facts, HOUSE)

    assert verdict.allowed_from == china("2026-10-09 12:00")
    assert verdict.allowed_from is not None and verdict.allowed_from.tzinfo is UTC
