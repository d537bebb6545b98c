"""`allowed_from` is the earliest instant at which nothing blocks: held against a minute-by-minute search."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from server.rules.calendar import Calendar
from server.rules.engine import judge
from server.rules.facts import CaseFacts, Reservation, Span, VisitRequest, WantedVisit
from tests.rules.builders import HOUSE, LEAD, SECOND, UUID, a_case, a_member, a_visit, china, some_facts

STEP = timedelta(minutes=30)
HORIZON = timedelta(days=12)
BEGIN = china("2026-12-20 00:00")
half_hours = st.integers(0, 12 * 48).map(lambda n: BEGIN + n * STEP)


def calendars() -> st.SearchStrategy[Calendar]:
    days = st.sets(st.integers(0, 13).map(lambda n: date(2026, 12, 20) + timedelta(days=n)), max_size=5)
    years = st.sampled_from([{2026}, {2026, 2027}])
    return st.builds(
        lambda holidays, published: Calendar(
            frozenset(published), {day: "a break" for day in holidays}, frozenset()
        ),
        days,
        years,
    )


@st.composite
def situations(draw: st.DrawFn) -> tuple[WantedVisit, CaseFacts]:
    """A debtor with visits, requests, holidays and a busy team."""
    start = draw(half_hours)
    length = draw(st.integers(1, 28)) * STEP
    plans = draw(st.lists(half_hours, max_size=6))
    spans = draw(st.lists(st.tuples(half_hours, st.integers(1, 60)), max_size=3))
    request_at = draw(half_hours)
    request = VisitRequest(
        entry_id=UUID(int=300),
        channel=draw(st.sampled_from(["inbound", "visit"])),
        at=request_at,
        visit_on=draw(st.none() | st.just((request_at + timedelta(days=2)).date())),
    )
    taken = tuple(
        Span(kind, at, at + n * STEP)
        for (at, n), kind in zip(spans, ["assignment", "leave", "training"], strict=False)
    )
    facts = some_facts(
        judged_at=BEGIN,
        calendar=draw(calendars()),
        case=a_case(
            balance_as_of=date(2026, 12, 19),
            hardship=draw(st.sampled_from([(), ("pregnancy",)])),
            daily_visit_cap=draw(st.sampled_from([None, 1, 2])),
        ),
        reservations=tuple(Reservation(UUID(int=100 + n), plan) for n, plan in enumerate(plans)),
        requests=(request,),
        team=(a_member(LEAD, taken=taken), a_member(SECOND)),
    )
    evidence = draw(st.sampled_from([None, request.entry_id]))
    wanted = a_visit(window_start=start, window_end=start + length, evidence_entry_id=evidence)
    return wanted, facts


def moved(wanted: WantedVisit, start: datetime) -> WantedVisit:
    return a_visit(
        window_start=start,
        window_end=start + (wanted.window_end - wanted.window_start),
        evidence_entry_id=wanted.evidence_entry_id,
    )


@settings(max_examples=60, deadline=None)
@given(situations())
def test_allowed_from_is_the_first_start_that_a_search_finds(situation: tuple[WantedVisit, CaseFacts]):
    wanted, facts = situation

    found = judge(wanted, facts, HOUSE).allowed_from

    until = wanted.window_start + HORIZON
    start = wanted.window_start
    while start <= until and judge(moved(wanted, start), facts, HOUSE).blocking:
        start += STEP
    if start > until:
        assert found is None or found > until
    else:
        assert found == start


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
