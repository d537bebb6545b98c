"""What the house rules propose for a person's month: amounts, tolerance, limits (E1-E8, AMB8, AMB9)."""

import random
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import server.reports
from server.auditing.repeating import Failure, ToldBefore, measure_for, repeats_of
from server.reports.assessment import Assessment, assess, limit_of
from server.reports.facts import Breach, Complained, Fraud, MissedClock, PersonMonth, Wage
from server.reports.tariff import read_tariff, tariff
from server.rules.catalogue import catalogue
from server.rules.json_form import from_json, to_json

NOVEMBER = date(2026, 11, 1)


def an_id(number: int) -> UUID:
    return UUID(int=number)


def a_breach(number: int, **facts: Any) -> Breach:
    """A minor breach of B8 on a visit of its own."""
    defaults = {
        "finding_id": an_id(number),
        "visit_id": an_id(1000 + number),
        "rule": "B8",
        "check": "evidence-not-taken",
        "severity": "minor",
        "on": NOVEMBER + timedelta(days=number % 28),
    }
    return Breach(**(defaults | facts))


def a_month(**facts: Any) -> PersonMonth:
    return PersonMonth(staff_id=an_id(1), branch="East", month=NOVEMBER, **facts)


def assessed(**facts: Any) -> Assessment:
    return assess(a_month(**facts), tariff())


def amounts(found: Assessment) -> list[tuple[str, int | None, int | None]]:
    return [(one.rule, one.least_fen, one.most_fen) for one in found.proposals]


@pytest.mark.parametrize(("breaches", "fen"), [(0, 0), (1, 0), (10, 0), (11, 500), (13, 1_500)])
def test_the_eleventh_breach_of_a_month_is_the_first_that_costs(breaches: int, fen: int) -> None:
    found = assessed(breaches=tuple(a_breach(number) for number in range(breaches)))

    assert (found.counted, found.least_fen, found.most_fen) == (breaches, fen, fen)
    assert len(found.proposals) == max(0, breaches - 10)
    assert {one.rule for one in found.proposals} <= {"E2"}


def test_each_excess_charge_names_its_own_finding() -> None:
    found = assessed(breaches=tuple(a_breach(number, on=NOVEMBER) for number in range(12)))

    cited = [[one.id for one in proposal.evidence] for proposal in found.proposals]
    assert cited == [[an_id(10)], [an_id(11)]]


def test_one_rule_broken_on_one_visit_counts_once_however_many_findings_say_so() -> None:
    of_one_visit = tuple(a_breach(number, visit_id=an_id(7)) for number in range(30))

    found = assessed(breaches=of_one_visit)

    assert (found.counted, found.proposals) == (1, ())


def test_a_missed_clock_fills_the_same_tolerance_and_is_charged_as_E1() -> None:
    ten = tuple(a_breach(number, on=NOVEMBER) for number in range(10))
    clock = MissedClock(case_id=an_id(77), rule="F1", opened_on=NOVEMBER, on=date(2026, 11, 30))

    found = assessed(breaches=ten, missed=(clock,))

    [proposal] = found.proposals
    assert (proposal.rule, proposal.least_fen) == ("E1", 500)
    assert [(one.kind, one.id, one.rule) for one in proposal.evidence] == [("clock", an_id(77), "F1")]


@pytest.mark.parametrize("rule", ["C1", "C14", "C17"])
@pytest.mark.parametrize(
    ("severity", "proposed", "counted"),
    [
        ("severe", [("E3", 20_000, 20_000)], 0),
        ("serious", [("E3", 20_000, 20_000)], 0),
        ("minor", [], 1),
        ("note", [], 0),
    ],
)
def test_only_a_grave_inconsistency_is_a_forged_record(
    rule: str, severity: str, proposed: list[Any], counted: int
) -> None:
    found = assessed(breaches=(a_breach(1, rule=rule, severity=severity),))

    assert (amounts(found), found.counted) == (proposed, counted)


def test_an_inconsistent_visit_is_charged_once_with_everything_that_shows_it_and_a_warning() -> None:
    signs = tuple(
        a_breach(number, visit_id=an_id(7), rule=rule, severity="severe")
        for number, rule in ((1, "C14"), (2, "C17"), (3, "C14"))
    )
    other = a_breach(4, rule="C17", severity="serious")

    found = assessed(breaches=(*signs, other))

    assert amounts(found) == [("E3", 20_000, 20_000)] * 2
    assert all(one.with_warning for one in found.proposals)
    of_visit = next(one for one in found.proposals if one.key == f"E3:{an_id(7)}")
    assert {one.id for one in of_visit.evidence} == {an_id(1), an_id(2), an_id(3)}


def test_a_serious_complaint_costs_five_hundred_and_one_of_a_visit_says_that_its_reference_dangles() -> None:
    by_phone = Complained(complaint_id=an_id(1), on=NOVEMBER, on_visit=False)
    at_the_door = Complained(complaint_id=an_id(2), on=NOVEMBER, on_visit=True)

    found = assessed(complaints=(at_the_door, by_phone))

    assert amounts(found) == [("E4", 50_000, 50_000), ("E7", 50_000, 50_000)]
    assert found.proposals[1].notes == ("reference-dangles-read-as-E4",)


def test_a_proven_fraud_stays_a_range_and_its_findings_cost_nothing_beside_it() -> None:
    sign = a_breach(1, rule="C17", severity="severe")
    fraud = Fraud(fraud_id=an_id(9), on=NOVEMBER, finding_ids=(sign.finding_id,))

    found = assessed(breaches=(sign,), frauds=(fraud,))

    assert amounts(found) == [("E6", 50_000, 100_000)]
    assert (found.least_fen, found.most_fen) == (50_000, 100_000)
    assert found.proposals[0].notes == ("choose-an-amount",)
    assert {one.id for one in found.proposals[0].evidence} == {an_id(9), an_id(1)}


def test_what_proves_a_fraud_of_another_month_costs_nothing_in_its_own() -> None:
    sign = a_breach(1, rule="C17", severity="severe")
    before = Fraud(fraud_id=an_id(9), on=date(2026, 10, 31), finding_ids=(an_id(2), sign.finding_id))

    assert amounts(assessed(breaches=(sign,), frauds=(before,))) == []


@pytest.mark.parametrize(
    ("differing", "handled", "is_proposed"),
    [(1, 1000, False), (1, 999, True), (2, 2000, False), (1, 0, True)],
)
def test_too_many_wrong_balances_are_proposed_without_an_amount(
    differing: int, handled: int, is_proposed: bool
) -> None:
    wrong = tuple(a_breach(number, rule="C4", severity="serious") for number in range(differing))

    found = assessed(breaches=wrong, records_handled=handled)

    assert amounts(found) == ([("E5", None, None)] if is_proposed else [])
    assert found.is_open_ended is is_proposed
    if is_proposed:
        assert "amount-missing-in-source" in found.proposals[0].notes


def test_what_the_breach_desk_wrote_down_stands_and_the_rest_is_what_it_would_write() -> None:
    breaches = (
        a_breach(1, check="new"),
        a_breach(2, check="told before"),
        a_breach(3, check="twice before anybody was told"),
        a_breach(4, check="twice before anybody was told"),
        a_breach(5, check="written down", measure="coaching"),
        a_breach(6, check="written down", measure="discipline"),
        a_breach(7, check="the breach that told", measure="coaching"),
        a_breach(8, check="only noted", severity="note"),
    )

    found = assessed(breaches=breaches, told_of=frozenset({"told before", "the breach that told"}))

    assert {one.check: one.measure for one in found.measures} == {
        "new": "coaching",
        "told before": "discipline",
        "twice before anybody was told": "coaching",
        "written down": "discipline",
        "the breach that told": "coaching",
    }


@pytest.mark.parametrize(
    ("checks", "opened", "is_repeat"),
    [
        ({"same"}, date(2025, 11, 1), True),
        ({"same"}, date(2025, 10, 31), False),
        ({"same"}, date(2026, 10, 21), False),  # told only after it
        ({"same"}, date(2026, 10, 20), True),
        ({"other"}, date(2026, 10, 1), False),
        ({"other", "same"}, date(2026, 10, 1), True),
    ],
)
def test_a_repeat_has_a_check_in_common_with_a_breach_of_the_year_before(
    checks: set[str], opened: date, is_repeat: bool
) -> None:
    def at(day: date) -> datetime:
        return datetime.combine(day, time.min, UTC)

    earlier = [ToldBefore(an_id(7), frozenset({"same", "more"}), at(opened))]

    failures = [Failure(check, at(date(2026, 10, 20))) for check in checks]
    repeats = repeats_of(failures, earlier, since=at(date(2025, 11, 1)))

    assert repeats == ([an_id(7)] if is_repeat else [])
    assert measure_for(repeats) == ("discipline" if is_repeat else "coaching")


@pytest.mark.parametrize(
    ("wage", "most", "because"),
    [
        (None, None, "no-wage-on-record"),
        (Wage(600_000, 242_000), 120_000, "share-of-wage"),
        (Wage(600_004, 242_000), 120_000, "share-of-wage"),
        (Wage(302_500, 242_000), 60_500, "share-of-wage"),
        (Wage(302_499, 242_000), 60_499, "share-of-wage"),
        (Wage(250_000, 242_000), 8_000, "minimum-wage"),
        (Wage(242_000, 242_000), 0, "minimum-wage"),
        (Wage(200_000, 242_000), 0, "minimum-wage"),
    ],
)
def test_the_limit_is_a_fifth_of_the_wage_and_never_below_the_minimum(
    wage: Wage | None, most: int | None, because: str
) -> None:
    limit = limit_of(wage, tariff())

    assert (limit.most_fen, limit.because) == (most, because)


def test_what_is_lawful_is_told_beside_what_is_proposed_and_changes_no_proposal() -> None:
    frauds = tuple(Fraud(an_id(number), NOVEMBER, (an_id(number),)) for number in (1, 2))

    poor = assessed(frauds=frauds, wage=Wage(300_000, 242_000))
    rich = assessed(frauds=frauds, wage=Wage(750_000, 242_000))
    unknown = assessed(frauds=frauds)

    assert {(one.least_fen, one.most_fen) for one in (poor, rich, unknown)} == {(100_000, 200_000)}
    assert [one.lawful_fen for one in (poor, rich, unknown)] == [(58_000, 58_000), (100_000, 150_000), None]


RULES = st.sampled_from(["B8", "C13", "C14", "C17", "C4"])
BREACHES = st.builds(
    a_breach,
    st.integers(0, 60),
    visit_id=st.integers(0, 12).map(an_id),
    rule=RULES,
    severity=st.sampled_from(["severe", "serious", "minor", "note"]),
)
MONTHS = st.builds(
    a_month,
    breaches=st.lists(BREACHES, max_size=40, unique_by=lambda one: one.finding_id).map(tuple),
    frauds=st.lists(st.integers(0, 60), max_size=3, unique=True).map(
        lambda ids: tuple(Fraud(an_id(500 + one), NOVEMBER, (an_id(one),)) for one in ids)
    ),
    complaints=st.lists(st.integers(0, 9), max_size=3, unique=True).map(
        lambda ids: tuple(Complained(an_id(one), NOVEMBER, bool(one % 2)) for one in ids)
    ),
    records_handled=st.integers(0, 5000),
    wage=st.none() | st.builds(Wage, st.integers(0, 10**6), st.integers(1, 10**6)),
)


@given(month=MONTHS, seed=st.integers(0, 2**32))
def test_a_month_is_assessed_the_same_in_any_order_and_from_what_was_kept(
    month: PersonMonth, seed: int
) -> None:
    shuffled = replace(
        month,
        breaches=tuple(random.Random(seed).sample(month.breaches, len(month.breaches))),
        frauds=month.frauds[::-1],
        complaints=month.complaints[::-1],
    )
    kept = from_json(PersonMonth, to_json(month))

    found = assess(month, tariff())

    assert assess(shuffled, tariff()) == found
    assert assess(kept, from_json(type(tariff()), to_json(tariff()))) == found


@given(month=MONTHS)
def test_no_finding_costs_twice_and_no_limit_is_passed(month: PersonMonth) -> None:
    found = assess(month, tariff())

    cited = [one.id for proposal in found.proposals for one in proposal.evidence if one.kind == "finding"]
    keys = [one.key for one in found.proposals]
    assert len(cited) == len(set(cited))
    assert len(keys) == len(set(keys))
    if month.wage is not None and found.lawful_fen is not None:
        least, most = found.lawful_fen
        assert least <= most <= month.wage.wage_fen // 5
        assert most == 0 or month.wage.wage_fen - most >= month.wage.minimum_fen


def test_every_rule_of_the_tariff_is_in_the_catalogue_and_its_source_is_named() -> None:
    used = (
        tariff().inconsistent_rules
        | tariff().balance_rules
        | {"E1", "E2", "E3", "E4", "E5", "E6", "E7", "E8"}
    )

    assert used <= set(catalogue())


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("most_percent_of_wage = 20", "most_percent_of_wage = 21", "20 percent"),
        ("least_fen = 50000", "least_fen = 100001", "range"),
    ],
)
def test_a_tariff_beyond_the_law_is_refused(old: str, new: str, word: str) -> None:
    text = (Path(server.reports.__file__).parent / "tariff.toml").read_text("utf-8")

    with pytest.raises(ValueError, match=word):
        read_tariff(text.replace(old, new))
