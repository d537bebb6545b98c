"""How many calls are left: the strictest cap decides, and what the debtor started is not counted."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest

from server.deadlines.call_caps import Call, CallCounts, count_calls
from server.deadlines.ledger_values import caps, statement_limits
from server.rules.catalogue import catalogue

TODAY = date(2026, 11, 23)
CASE, SISTER = UUID(int=1), UUID(int=2)


def called(times: int, *, case: UUID = CASE, days_ago: int = 0, answered: bool | None = True, **facts: Any):
    day = TODAY - timedelta(days=days_ago)
    return [Call(case, day, facts.get("effective", False), answered)] * times


def counted(*calls: list[Call], hardship: bool = False) -> CallCounts:
    together = [call for some in calls for call in some]
    return count_calls(CASE, together, is_hardship=hardship, today=TODAY, caps=caps())


def reached(counts: CallCounts) -> list[tuple[str, str]]:
    return [(state.cap.rule, state.cap.counts) for state in counts.caps if state.is_reached]


def test_every_value_names_a_rule_of_the_catalogue():
    assert {cap.rule for cap in caps()} == {"J5", "J6", "J8", "J18"} <= set(catalogue())
    assert statement_limits().rule in catalogue()
    values = {(cap.rule, cap.counts): (cap.of, cap.most, cap.days) for cap in caps()}
    assert values == {
        ("J5", "effective"): ("case", 3, 1),
        ("J6", "total"): ("case", 10, 1),
        ("J18", "connected"): ("debtor", 3, 1),
        ("J18", "unanswered"): ("debtor", 3, 1),
        ("J8", "total"): ("debtor", 1, 2),
    }


@pytest.mark.parametrize(
    ("calls", "which"),
    [
        (called(2), []),
        (called(3), [("J18", "connected")]),
        (called(3, effective=True), [("J5", "effective"), ("J18", "connected")]),
        (called(3, answered=False), [("J18", "unanswered")]),
        (called(3, answered=None), [("J18", "unanswered")]),
        (called(3, answered=None, effective=True), [("J5", "effective"), ("J18", "connected")]),
        (called(2) + called(2, answered=False), []),
        (called(3, days_ago=1), []),
        (called(3, case=SISTER), [("J18", "connected")]),
        (called(10, case=SISTER, answered=False), [("J18", "unanswered")]),
    ],
    ids=[
        *("two", "three answered", "three effective", "three unanswered", "unknown is unanswered"),
        *(
            "unknown and effective is answered",
            "two and two",
            "yesterday",
            "of another case",
            "J6 is a case's",
        ),
    ],
)
def test_a_cap_is_reached_by_the_calls_it_counts(calls: list[Call], which: list[tuple[str, str]]):
    counts = counted(calls)

    assert reached(counts) == which
    assert counts.is_cap_reached == bool(which)
    assert counts.calls_from == TODAY + timedelta(days=1 if which else 0)


@pytest.mark.parametrize(
    ("days_ago", "hardship", "free_in"), [(0, True, 2), (1, True, 1), (2, True, 0), (0, False, 0)]
)
def test_people_in_hardship_are_called_once_in_two_days(days_ago: int, hardship: bool, free_in: int):
    counts = counted(called(1, days_ago=days_ago), hardship=hardship)

    assert counts.is_cap_reached == (free_in > 0)
    assert counts.calls_from == TODAY + timedelta(days=free_in)


def test_the_day_shows_only_the_cases_own_calls():
    counts = counted(called(2), called(1, answered=False), called(5, case=SISTER), called(4, days_ago=1))

    assert counts.today == {"effective": 0, "connected": 2, "unanswered": 1, "total": 3}
