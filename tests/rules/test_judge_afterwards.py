"""After the fact: each rule on intervals. certain: whatever the true time was; possible: for some of them."""

from datetime import date
from typing import Any
from uuid import UUID

import pytest

from server.rules.engine import judge_afterwards
from server.rules.facts import HoldFact, Training
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
    arrived,
    china,
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
    assert said(what_happened(arrival, None), some_facts()) == expected


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
    ("last", "expected"),
    [
        pytest.param("2026-11-17 10:00:00", [], id="A9 exactly 7x24 h"),
        pytest.param("2026-11-17 10:00:01", [CERTAIN], id="A9 one second less"),
        pytest.param(("2026-11-17 09:00", "2026-11-17 10:30"), [POSSIBLE], id="A9 perhaps less"),
        pytest.param("2026-11-25 10:00", [], id="A9 the later one breaks it, not this"),
    ],
)
def test_hardship(last: Any, expected: list[str]):
    facts = some_facts(case=a_case(hardship=("pregnancy",)), arrivals=arrived(last))

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
