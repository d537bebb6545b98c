"""Who may go: how many, who leads, what a trainee may do."""

from datetime import date
from uuid import UUID

import pytest

from server.rules.engine import judge
from server.rules.facts import MemberFact, Span, Training
from tests.rules.builders import (
    HOUSE,
    LEAD,
    NOW,
    QUALIFIED,
    SECOND,
    THIRD,
    a_case,
    a_member,
    a_visit,
    china,
    rules_of,
    some_facts,
)

NDA = (Training("nda"),)


@pytest.mark.parametrize(
    ("team", "hardship", "rules", "severity"),
    [
        pytest.param((LEAD,), (), ["X4"], "warn", id="X4 alone"),
        pytest.param((LEAD, SECOND, THIRD), (), ["A10"], "approval", id="A10 three"),
        pytest.param((LEAD, SECOND), ("pregnancy",), [], "", id="A10 two at hardship"),
        pytest.param((LEAD, SECOND, THIRD), ("pregnancy",), ["A10"], "block", id="A10 three at hardship"),
        pytest.param((SECOND, THIRD), (), ["X1"], "block", id="X1 lead not in team"),
        pytest.param((), (), ["X1"], "block", id="X1 nobody"),
    ],
)
def test_team_size(team: tuple[UUID, ...], hardship: tuple[str, ...], rules: list[str], severity: str):
    verdict = judge(a_visit(team=team), some_facts(case=a_case(hardship=hardship)), HOUSE)

    assert sorted(verdict.rules) == rules
    assert {reason.severity for reason in verdict.reasons} == ({severity} if severity else set())
    assert verdict.allowed == (severity in ("", "warn"))
    assert verdict.needs_approval == (severity == "approval")


@pytest.mark.parametrize(
    ("member", "rules"),
    [
        pytest.param(a_member(has_device=False), ["X5"], id="X5 lead without phone"),
        pytest.param(a_member(left_at=NOW), ["G15"], id="G15 left"),
        pytest.param(
            a_member(taken=(Span("assignment", china("2026-11-24 10:59:59"), china("2026-11-24 12:00")),)),
            ["X2"],
            id="X2 overlaps by a second",
        ),
        pytest.param(
            a_member(taken=(Span("assignment", china("2026-11-24 11:00"), china("2026-11-24 12:00")),)),
            [],
            id="X2 begins when the other ends",
        ),
        pytest.param(
            a_member(taken=(Span("leave", china("2026-11-24 00:00"), china("2026-11-25 00:00")),)),
            ["X3"],
            id="X3 on leave",
        ),
        pytest.param(
            a_member(taken=(Span("training", china("2026-11-24 10:30"), china("2026-11-24 18:00")),)),
            ["G6"],
            id="G6 in training",
        ),
        pytest.param(a_member(training=QUALIFIED[1:]), ["G5"], id="G5 no exam"),
        pytest.param(
            a_member(training=(Training("onboarding_exam", 79), *QUALIFIED[1:])), ["G22"], id="G22 79 points"
        ),
        pytest.param(
            a_member(training=(Training("onboarding_exam", 80), *QUALIFIED[1:])), [], id="G22 80 points"
        ),
        pytest.param(
            a_member(
                training=(Training("onboarding_exam", 60), Training("onboarding_exam", 80, 2), *QUALIFIED[1:])
            ),
            [],
            id="G22 resit",
        ),
        pytest.param(
            a_member(training=(Training("onboarding_exam", 95, 3), *QUALIFIED[1:])),
            ["G22"],
            id="G22 no second resit",
        ),
        pytest.param(
            a_member(training=(QUALIFIED[0], *QUALIFIED[2:])), ["G10"], id="G10 law and conduct missing"
        ),
        pytest.param(
            a_member(training=(*QUALIFIED[:2], *QUALIFIED[3:])), ["G17"], id="G17 internship missing"
        ),
        pytest.param(a_member(training=QUALIFIED[:3]), ["G18"], id="G18 nda missing"),
        pytest.param(
            a_member(training=(*QUALIFIED[:3], Training("nda", obtained_on=date(2026, 11, 25)))),
            ["G18"],
            id="G18 nda dated after the visit",
        ),
    ],
)
def test_the_lead(member: MemberFact, rules: list[str]):
    assert rules_of(a_visit(), some_facts(team=(member, a_member(SECOND)))) == rules


@pytest.mark.parametrize(
    ("team", "rules"),
    [
        pytest.param((a_member(), a_member(SECOND, training=NDA)), [], id="G5 trainee as second"),
        pytest.param((a_member(), a_member(SECOND, has_device=False)), [], id="X5 second without phone"),
        pytest.param(
            (a_member(), a_member(SECOND, training=())),
            ["G10", "G17", "G18", "G5"],
            id="G18 trainee without nda",
        ),
        pytest.param(
            (a_member(training=NDA), a_member(SECOND, training=NDA)),
            ["G10", "G17", "G5"],
            id="G5 two trainees alone",
        ),
        pytest.param((a_member(training=NDA), a_member(SECOND)), ["G10", "G17", "G5"], id="G5 trainee leads"),
        pytest.param((a_member(),), ["G15"], id="G15 unknown member"),
    ],
)
def test_trainees(team: tuple[MemberFact, ...], rules: list[str]):
    assert rules_of(a_visit(), some_facts(team=team)) == rules


def test_two_trainees_beside_a_qualified_lead_are_one_too_many():
    team = (a_member(), a_member(SECOND, training=NDA), a_member(THIRD, training=NDA))

    verdict = judge(a_visit(team=(LEAD, SECOND, THIRD)), some_facts(team=team), HOUSE)

    assert {reason.facts["staff_id"] for reason in verdict.blocking} == {str(SECOND), str(THIRD)}
