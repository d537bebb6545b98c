"""Visits before a certain day count for nothing any more: whoever judges very many cases leaves them out."""

from dataclasses import replace
from datetime import date, time, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.rules.facts import CaseFacts, Interval, Reservation, WantedVisit
from server.rules.local_time import at_local, local_day
from server.rules.pack import RulePack
from server.rules.periods import counting_since
from server.rules.situations import on_day
from tests.rules.builders import HOUSE, Arrival, a_case, a_visit, arrived, some_facts
from tests.rules.test_allowed_from import A_MARK, a_pack, situations

BY_MONTH = a_pack(visits_per_calendar_month=1)
long_before = st.lists(
    st.integers(1, 60 * 24 * 60).map(lambda n: timedelta(minutes=n)), min_size=1, max_size=9
)


def said(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> Any:
    answer = on_day(wanted, facts, pack)
    reasons = [(one.rule, one.slug, one.severity, one.allowed_from) for one in answer.reasons]
    return answer.status, answer.first_start, answer.allowed_from, answer.budget_left, reasons


@settings(max_examples=100, deadline=None)
@given(situation=situations(A_MARK), plans=long_before, arrivals=long_before)
def test_what_was_before_changes_no_answer(situation: Any, plans: Any, arrivals: Any) -> None:
    wanted, facts, pack = situation
    first = counting_since(local_day(wanted.window_start, pack.zone), pack)
    begin = at_local(first, time.min, pack.zone)

    more = replace(
        facts,
        reservations=facts.reservations + tuple(Reservation(UUID(int=700), begin - ago) for ago in plans),
        arrivals=facts.arrivals
        + tuple(
            Arrival(UUID(int=800 + n), Interval(begin - ago, begin - ago)) for n, ago in enumerate(arrivals)
        ),
    )

    assert said(wanted, more, pack) == said(wanted, facts, pack)


@pytest.mark.parametrize(
    ("pack", "hardship", "first", "counts"),
    [
        (HOUSE, ("pregnancy",), date(2026, 11, 16), "2026-11-17 20:30"),
        (a_pack(hardship_period_days=1), ("pregnancy",), date(2026, 11, 22), "2026-11-23 10:30"),
        (BY_MONTH, (), date(2026, 11, 1), "2026-11-01 00:00"),
    ],
    ids=["rolling period", "calendar week", "calendar month"],
)
def test_what_was_on_the_first_days_counts(
    pack: RulePack, hardship: tuple[str, ...], first: date, counts: str
) -> None:
    facts = some_facts(case=a_case(hardship=hardship))

    assert counting_since(date(2026, 11, 24), pack) == first
    assert said(a_visit(), facts, pack)[0] == "may"
    assert said(a_visit(), replace(facts, arrivals=arrived(counts)), pack)[0] == "blocked"
