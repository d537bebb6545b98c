"""After the fact: each rule on intervals. certain: whatever the true time was; possible: for some of them."""

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from server.rules.engine import judge_afterwards
from server.rules.facts import Elsewhere, HoldFact, Span, Training
from tests.rules.builders import (
    HOUSE,
    LEAD,
    QUALIFIED,
    SECOND,
    THIRD,
    a_case,
    a_member,
    a_request,
    an_address,
    an_interval,
    arrived,
    china,
    serving,
    some_facts,
    what_happened,
)

CERTAIN, POSSIBLE = "certain", "possible"


def said(actual: Any, facts: Any) -> list[tuple[str, Any]]:
    """Return (rule, certainty) of every reason."""
    reasons = judge_afterwards(actual, facts, HOUSE).reasons
    return [(reason.rule, reason.facts["certainty"]) for reason in reasons]


@pytest.mark.parametrize(
    ("arrival", "departure", "expected"),
    [
        pytest.param("2026-11-24 08:00:00", "2026-11-24 21:00:00", [], id="T1 edges are inside"),
        pytest.param("2026-11-24 07:59:59", "2026-11-24 09:00", [CERTAIN], id="T1 early"),
        pytest.param(("2026-11-24 07:50", "2026-11-24 08:10"), None, [POSSIBLE], id="T1 perhaps early"),
        pytest.param(("2026-11-24 07:00", "2026-11-24 07:59"), None, [CERTAIN], id="T1 early in any case"),
        pytest.param("2026-11-24 20:30", "2026-11-24 21:00:01", [CERTAIN], id="T1 left late"),
        pytest.param(
            "2026-11-24 20:30",
            ("2026-11-24 20:50", "2026-11-24 21:30"),
            [POSSIBLE],
            id="T1 late?",
        ),
        pytest.param(
            ("2026-11-24 20:30", "2026-11-25 08:30"), None, [POSSIBLE], id="T1 an interval over the night"
        ),
        pytest.param(("2026-11-24 21:30", "2026-11-25 07:30"), None, [CERTAIN], id="T1 some time at night"),
    ],
)
def test_hours(arrival: Any, departure: Any, expected: list[str]):
    found = said(what_happened(arrival, departure), some_facts())

    assert found == [("T1", certainty) for certainty in expected]


@pytest.mark.parametrize(
    ("arrival", "expected"),
    [
        pytest.param("2026-10-01 10:00", [("A12", CERTAIN)], id="A12 on a holiday"),
        pytest.param("2026-10-10 10:00", [], id="A12 on a make-up day"),
    ],
)
def test_days(arrival: str, expected: list[tuple[str, str]]):
    tried = {"call_days": (date(2026, 9, 1), date(2026, 9, 2)), "letters_received_on": (date(2026, 9, 3),)}

    assert said(what_happened(arrival, None), some_facts(**tried)) == expected


def test_an_arrival_around_midnight_is_possibly_on_the_holiday():
    actual = what_happened(("2026-09-30 20:00", "2026-10-01 09:00"), None)

    assert ("A12", POSSIBLE) in said(actual, some_facts())


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param(("2026-11-24 08:00", "2026-11-24 09:00"), [CERTAIN], id="A3 third of the day"),
        pytest.param(("2026-11-24 08:00", "2026-11-24 11:00"), [], id="A3 the later one is not mine"),
        pytest.param(
            ("2026-11-24 08:00", ("2026-11-24 09:00", "2026-11-24 10:30")), [POSSIBLE], id="A3 perhaps third"
        ),
        pytest.param(
            ("2026-11-24 08:00", ("2026-11-23 20:00", "2026-11-24 09:00")),
            [POSSIBLE],
            id="A3 yesterday?",
        ),
    ],
)
def test_budget_counts_in_the_order_of_actual_time(others: Any, expected: list[str]):
    found = said(what_happened(), some_facts(arrivals=arrived(*others)))

    assert found == [("A3", certainty) for certainty in expected]


def test_a_third_visit_with_its_evidence_is_within_the_budget():
    mine = UUID(int=77)
    facts = some_facts(
        arrivals=arrived("2026-11-24 08:00", "2026-11-24 09:00"),
        requests=(a_request("2026-11-23 10:00", used_by=mine),),
    )

    assert said(what_happened(assignment_id=mine), facts) == []
    assert said(what_happened(), facts) == [("A3", CERTAIN)]


@pytest.mark.parametrize(
    ("unasked", "asked", "expected"),
    [
        pytest.param(("08:00",), ("09:00",), [], id="A3 second beside the wished one"),
        pytest.param(("08:00", "08:30"), ("09:00",), [CERTAIN], id="A3 third beside the wished one"),
        pytest.param(("08:00",), ("08:30", "09:00"), [CERTAIN], id="A3 never a fourth"),
        pytest.param((), ("08:00", "09:00"), [], id="A3 third, of two wished ones"),
    ],
)
def test_what_was_asked_for_uses_up_only_the_ceiling(unasked: Any, asked: Any, expected: list[str]):
    had = arrived(*(f"2026-11-24 {hour}" for hour in unasked))
    wished = serving(arrived(*(f"2026-11-24 {hour}" for hour in asked)), "visit")

    found = said(what_happened(), some_facts(arrivals=(*had, *wished)))

    assert found == [("A3", certainty) for certainty in expected]


def test_of_two_caps_that_a_visit_may_have_broken_the_certain_one_is_named():
    """Perhaps two unasked ones before it, but three in all for certain."""
    perhaps = arrived("2026-11-24 08:00", ("2026-11-24 09:00", "2026-11-24 10:30"))
    wished = serving(arrived("2026-11-24 08:10", "2026-11-24 08:20"), "inbound")

    (reason,) = judge_afterwards(what_happened(), some_facts(arrivals=(*perhaps, *wished)), HOUSE).reasons

    assert (reason.facts["certainty"], reason.facts["cap"]) == (CERTAIN, 3)


@pytest.mark.parametrize(("wish", "expected"), [("inbound", []), ("visit", [("A9", CERTAIN)] * 2)])
def test_in_hardship_a_visit_the_debtor_asked_for_does_not_count(wish: str, expected: Any):
    known = {"hardship": ("pregnancy",), "hardship_since": china("2026-11-01 10:00")}
    facts = some_facts(case=a_case(**known), arrivals=serving(arrived("2026-11-23 10:00"), wish))

    assert said(what_happened(), facts) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param("2026-11-17 10:00:00", [], id="A9 exactly 7x24 h"),
        pytest.param("2026-11-17 10:00:01", [CERTAIN], id="A9 one second less"),
        pytest.param(("2026-11-17 09:00", "2026-11-17 10:30"), [POSSIBLE], id="A9 perhaps less"),
        pytest.param("2026-11-25 10:00", [], id="A9 the later one breaks it, not this"),
    ],
)
def test_hardship(last: Any, expected: list[str]):
    known = {"hardship": ("pregnancy",), "hardship_since": china("2026-11-01 10:00")}
    facts = some_facts(case=a_case(**known), arrivals=arrived(last))

    assert said(what_happened(), facts) == [("A9", certainty) for certainty in expected]


@pytest.mark.parametrize(
    ("raised", "released", "expected"),
    [
        pytest.param("2026-11-24 09:59", None, [CERTAIN], id="D25 before arrival"),
        pytest.param("2026-11-24 10:05", None, [POSSIBLE], id="D25 within the arrival's interval"),
        pytest.param("2026-11-24 10:10", None, [], id="D25 after arrival"),
        pytest.param("2026-11-20 10:00", "2026-11-23 10:00", [], id="D25 released before"),
        pytest.param("2026-11-20 10:00", "2026-11-24 10:05", [POSSIBLE], id="D25 released meanwhile"),
        pytest.param("2026-11-20 10:00", "2026-11-24 18:00", [CERTAIN], id="D25 released after"),
    ],
)
def test_holds(raised: str, released: str | None, expected: list[str]):
    hold = HoldFact(UUID(int=6), "complaint", "debtor", china(raised), (released and china(released)) or None)
    actual = what_happened(("2026-11-24 10:00", "2026-11-24 10:10"))

    assert said(actual, some_facts(holds=(hold,))) == [("D25", certainty) for certainty in expected]


@pytest.mark.parametrize(
    ("team", "more", "rules"),
    [
        pytest.param(
            (LEAD, SECOND, THIRD), {"case": a_case(hardship=("pregnancy",))}, ["A10"], id="A10 three"
        ),
        pytest.param((LEAD,), {}, ["X4"], id="X4 alone"),
        pytest.param(
            (LEAD, SECOND),
            {"team": (a_member(), a_member(SECOND, training=()))},
            ["G10", "G17", "G18", "G5"],
            id="G18",
        ),
        pytest.param((LEAD, SECOND), {"address": an_address(status="unverified")}, ["A5"], id="A5"),
    ],
)
def test_team_and_address(team: tuple[UUID, ...], more: dict[str, Any], rules: list[str]):
    verdict = judge_afterwards(what_happened(team=team), some_facts(**more), HOUSE)

    assert sorted(verdict.rules) == rules
    certainty = POSSIBLE if rules == ["A5"] else CERTAIN
    assert {reason.facts["certainty"] for reason in verdict.reasons} == {certainty}


def test_a_clean_visit_has_no_reasons():
    verdict = judge_afterwards(what_happened(), some_facts(letters_received_on=(date(2026, 11, 1),)), HOUSE)

    assert verdict.allowed
    assert verdict.reasons == ()


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        pytest.param(None, POSSIBLE, id="A9 nothing tells since when"),
        pytest.param("2026-11-24 10:00:01", POSSIBLE, id="A9 learned at the door"),
        pytest.param("2026-11-24 10:00:00", CERTAIN, id="A9 known at the arrival"),
    ],
)
def test_hardship_learned_at_the_door_is_only_possibly_broken(since: str | None, expected: str):
    case = a_case(hardship=("pregnancy",), hardship_since=since and china(since))
    earlier = arrived("2026-11-23 10:00")

    found = said(what_happened(team=(LEAD, SECOND, THIRD)), some_facts(case=case, arrivals=earlier))

    assert found == [("A9", expected), ("A9", expected), ("A10", CERTAIN)]


@pytest.mark.parametrize(
    ("others", "rule", "cap", "expected"),
    [
        pytest.param(("2026-11-24 09:00",), "A2", 1, [CERTAIN], id="A2 second of the day"),
        pytest.param(("2026-11-24 11:00",), "A2", 1, [], id="A2 the later one breaks it"),
        pytest.param((("2026-11-23 23:00", "2026-11-24 09:00"),), "A2", 1, [POSSIBLE], id="A2 yesterday?"),
        pytest.param(("2026-11-23 09:00",), "A2", 1, [], id="A2 the day before"),
        pytest.param((), "A2", 0, [CERTAIN], id="A2 none at all"),
    ],
)
def test_the_case_s_own_cap(others: Any, rule: str, cap: int, expected: list[str]):
    facts = some_facts(case=a_case(daily_visit_cap=cap), arrivals=arrived(*others))

    assert said(what_happened(), facts) == [(rule, certainty) for certainty in expected]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param(("2026-11-23 00:00",), [CERTAIN], id="A9 since Monday"),
        pytest.param(("2026-11-22 23:59",), [], id="A9 on Sunday"),
        pytest.param((("2026-11-22 23:00", "2026-11-23 01:00"),), [POSSIBLE], id="A9 Sunday or Monday"),
        pytest.param(("2026-11-29 23:59",), [], id="A9 the later one of the week breaks it"),
    ],
)
def test_a_calendar_week_in_the_order_of_actual_time(others: Any, expected: list[str]):
    pack = replace(HOUSE, hardship_visits=9)
    case = a_case(hardship=("pregnancy",), hardship_since=china("2026-11-01 10:00"))
    reasons = judge_afterwards(
        what_happened(), some_facts(case=case, arrivals=arrived(*others)), pack
    ).reasons

    assert [(reason.slug, reason.facts["certainty"]) for reason in reasons] == [
        ("hardship-calendar-week", certainty) for certainty in expected
    ]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        pytest.param(("2026-11-01 00:00",), [CERTAIN], id="A3 the first of the month"),
        pytest.param(("2026-10-31 23:59",), [], id="A3 the month before"),
        pytest.param(("2026-11-30 10:00",), [], id="A3 the later one breaks it"),
    ],
)
def test_a_calendar_month_in_the_order_of_actual_time(others: Any, expected: list[str]):
    sources = {**HOUSE.sources, "visits_per_calendar_month": HOUSE.sources["visits_per_day"]}
    pack = replace(HOUSE, visits_per_calendar_month=1, sources=sources)
    reasons = judge_afterwards(what_happened(), some_facts(arrivals=arrived(*others)), pack).reasons

    assert [(reason.slug, reason.facts["certainty"]) for reason in reasons] == [
        ("monthly-visit-cap", certainty) for certainty in expected
    ]


@pytest.mark.parametrize(
    ("as_of", "arrival", "expected"),
    [
        pytest.param(date(2026, 11, 17), "2026-11-24 10:00", [], id="C4 seven days"),
        pytest.param(date(2026, 11, 16), "2026-11-24 10:00", [CERTAIN], id="C4 eight days"),
        pytest.param(
            date(2026, 11, 16), ("2026-11-23 23:00", "2026-11-24 08:00"), [POSSIBLE], id="C4 around midnight"
        ),
        pytest.param(date(2026, 11, 25), "2026-11-24 10:00", [], id="C4 synchronised since"),
        pytest.param(None, "2026-11-24 10:00", [CERTAIN], id="C4 never"),
    ],
)
def test_the_balance_ages_until_the_actual_day(as_of: date | None, arrival: Any, expected: list[str]):
    found = said(what_happened(arrival, None), some_facts(case=a_case(balance_as_of=as_of)))

    assert [one for one in found if one[0] == "C4"] == [("C4", certainty) for certainty in expected]


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        pytest.param({"case": a_case(outstanding_fen=49_999)}, "B18", id="B18"),
        pytest.param({"case": a_case(state="closed")}, "D18", id="D18"),
        pytest.param({"call_days": ()}, "A15", id="A15"),
        pytest.param({"address": an_address(sensitive_neighbours=(UUID(int=9),))}, "A4", id="A4"),
    ],
)
def test_only_what_nobody_assigned_is_judged_on_what_a_visit_itself_may_change(
    more: dict[str, Any], rule: str
):
    facts = some_facts(**more)

    assert said(what_happened(), facts) == [(rule, POSSIBLE)]
    assert said(what_happened(assignment_id=UUID(int=77)), facts) == []


@pytest.mark.parametrize(
    ("more", "rules"),
    [
        pytest.param({"special_flags": ("vip",)}, ["A1"], id="A1 never"),
        pytest.param(
            {"special_flags": ("vip",), "is_reviewed": True, "reviewed_at": china("2026-11-24 10:00:00")},
            [],
            id="A1 in time",
        ),
        pytest.param(
            {"special_flags": ("vip",), "is_reviewed": True, "reviewed_at": china("2026-11-24 10:00:01")},
            ["A1"],
            id="A1 after the arrival",
        ),
        pytest.param({"has_special_note": True}, ["A6"], id="A6 never"),
        pytest.param(
            {
                "has_special_note": True,
                "is_note_acknowledged": True,
                "note_acknowledged_at": china("2026-11-24 10:00:01"),
            },
            ["A6"],
            id="A6 after the arrival",
        ),
    ],
)
def test_reviews_count_as_of_the_arrival(more: dict[str, Any], rules: list[str]):
    found = said(what_happened(), some_facts(case=a_case(**more)))

    assert found == [(rule, POSSIBLE) for rule in rules]


@pytest.mark.parametrize(
    ("taken", "expected"),
    [
        pytest.param(("2026-11-24 00:00", "2026-11-25 00:00"), [CERTAIN], id="all day"),
        pytest.param(("2026-11-24 09:00", "2026-11-24 10:00"), [], id="until the earliest arrival"),
        pytest.param(("2026-11-24 09:00", "2026-11-24 10:05"), [POSSIBLE], id="until perhaps after it"),
        pytest.param(("2026-11-24 09:00", "2026-11-24 10:20"), [CERTAIN], id="until certainly after it"),
        pytest.param(("2026-11-24 10:30", "2026-11-24 18:00"), [], id="from the departure on"),
    ],
)
@pytest.mark.parametrize(("kind", "rule"), [("leave", "X3"), ("training", "G6")])
def test_who_was_away(kind: str, rule: str, taken: tuple[str, str], expected: list[str]):
    span = Span(kind, china(taken[0]), china(taken[1]))
    actual = what_happened(("2026-11-24 10:00", "2026-11-24 10:10"))

    found = said(actual, some_facts(team=(a_member(taken=(span,)), a_member(SECOND))))

    assert found == [(rule, certainty) for certainty in expected]


@pytest.mark.parametrize(
    ("arrival", "departure", "expected"),
    [
        pytest.param("2026-11-24 10:10", "2026-11-24 10:20", [CERTAIN], id="X2 at both doors"),
        pytest.param("2026-11-24 10:30", "2026-11-24 11:00", [], id="X2 one after the other"),
        pytest.param(
            ("2026-11-24 10:20", "2026-11-24 10:40"), "2026-11-24 11:00", [POSSIBLE], id="X2 perhaps"
        ),
        pytest.param("2026-11-24 09:00", None, [], id="X2 nobody knows until when"),
    ],
)
def test_nobody_was_at_two_doors(arrival: Any, departure: Any, expected: list[str]):
    stay = an_interval(arrival), departure and an_interval(departure)
    other = Elsewhere(SECOND, UUID(int=401), *stay)

    assert said(what_happened(), some_facts(elsewhere=(other,))) == [("X2", one) for one in expected]
    assert said(what_happened(team=(LEAD, THIRD)), some_facts(elsewhere=(other,))) == []


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        pytest.param({"left_at": china("2026-11-24 10:00:00")}, [("G15", CERTAIN)], id="G15 had left"),
        pytest.param({"left_at": china("2026-11-24 10:05:00")}, [("G15", POSSIBLE)], id="G15 perhaps"),
        pytest.param({"left_at": china("2026-11-24 10:10:01")}, [], id="G15 left after it"),
        pytest.param({"has_device": False}, [("X5", POSSIBLE)], id="X5 no phone"),
    ],
)
def test_who_went(member: dict[str, Any], expected: list[tuple[str, str]]):
    actual = what_happened(("2026-11-24 10:00", "2026-11-24 10:10"))
    facts = some_facts(team=(a_member(**member), a_member(SECOND, has_device=False)))

    assert said(actual, facts) == expected


@pytest.mark.parametrize(
    ("arrival", "expected"),
    [
        pytest.param("2026-12-31 20:00", [], id="X6 last day of a published year"),
        pytest.param("2027-01-01 10:00", [CERTAIN], id="X6 a year nobody published"),
        pytest.param(("2026-12-31 20:00", "2027-01-01 09:00"), [POSSIBLE], id="X6 around New Year"),
    ],
)
def test_unpublished_years(arrival: Any, expected: list[str]):
    found = said(what_happened(arrival, None), some_facts(case=a_case(balance_as_of=date(2026, 12, 30))))

    assert [one for one in found if one[0] == "X6"] == [("X6", certainty) for certainty in expected]


def test_an_assigned_visit_is_not_blamed_for_what_was_judged_before_it():
    mine = UUID(int=77)
    facts = some_facts(address=an_address(status="invalid"))

    alone = what_happened(team=(LEAD,), assignment_id=mine)
    approved = what_happened(team=(LEAD, SECOND, THIRD), assignment_id=mine)

    assert said(alone, facts) == []
    assert said(approved, facts) == []
    assert said(approved, some_facts(case=a_case(hardship=("pregnancy",)))) == [("A10", CERTAIN)]


def test_training_counts_from_its_day():
    later = tuple(Training(line.kind, line.score, 1, date(2026, 11, 25)) for line in QUALIFIED)
    facts = some_facts(team=(a_member(), a_member(SECOND, training=later)))

    assert {rule for rule, _ in said(what_happened(), facts)} == {"G5", "G10", "G17", "G18"}
