"""The score is a sum that says what each point is for."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from server.auditing.weighing import OpenFinding, Part, current_weights, score, weigh
from server.reconcile.finding import RANK

WEIGHTS = current_weights()
VISITED = date(2026, 11, 23)
LONG_AGO = date(2020, 1, 1)


def parts(*findings: OpenFinding, joined_on: date = LONG_AGO) -> tuple[Part, ...]:
    return weigh(findings, joined_on=joined_on, visited_on=VISITED, weights=WEIGHTS)


def test_every_severity_that_reconciliation_knows_has_a_weight_and_worse_weighs_more() -> None:
    ordered = [WEIGHTS.severity[name] for name in sorted(RANK, key=lambda name: -RANK[name])]

    assert set(WEIGHTS.severity) == set(RANK)
    assert ordered == sorted(ordered, reverse=True) and len(set(ordered)) == 4


def test_confidence_a_repeat_and_a_beginner_move_the_score_as_the_table_says() -> None:
    sure = OpenFinding("check-in-elsewhere", "severe", 1.0)
    doubtful = OpenFinding("check-in-elsewhere", "severe", 0.5)
    again = OpenFinding("check-in-elsewhere", "severe", 0.5, repeats=True)

    assert parts(sure) == (Part("severe: check-in-elsewhere", 100),)
    assert score(parts(doubtful)) == 50
    assert parts(again) == (Part("severe: check-in-elsewhere, repeated", 100),)
    assert score(parts()) == 0


def test_a_beginner_is_one_for_ninety_days_and_not_for_ninety_one() -> None:
    assert parts(joined_on=VISITED - timedelta(days=90)) == (Part("first-time staff", 15),)
    assert parts(joined_on=VISITED - timedelta(days=91)) == ()


FINDINGS = st.lists(
    st.builds(
        OpenFinding,
        check=st.sampled_from(["a", "b"]),
        severity=st.sampled_from(sorted(RANK)),
        confidence=st.floats(0, 1),
        repeats=st.booleans(),
    ),
    max_size=6,
)


@given(findings=FINDINGS, more=FINDINGS)
def test_more_findings_never_weigh_less_and_their_order_says_nothing(
    findings: list[OpenFinding], more: list[OpenFinding]
) -> None:
    assert parts(*findings) == parts(*reversed(findings))
    assert score(parts(*findings, *more)) >= score(parts(*findings))
