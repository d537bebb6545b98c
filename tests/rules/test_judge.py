"""May this visit be assigned: hours, days, budget and hardship, each on both sides of its limit."""

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from server.rules.calendar import Calendar
from server.rules.engine import judge
from server.rules.facts import HoldFact, Reservation
from tests.rules.builders import (
    CALENDAR,
    HOUSE,
    NOW,
    SECOND,
    a_case,
    a_member,
    a_request,
    a_visit,
    an_address,
    arrived,
    china,
    reserved,
    rules_of,
    serving,
    some_facts,
)

ENTRY = UUID(int=300)


def test_an_ordinary_visit_is_allowed_without_any_reason():
    verdict = judge(a_visit(), some_facts(), HOUSE)

    assert verdict.allowed
    assert verdict.reasons == ()
    assert verdict.allowed_from == china("2026-11-24 10:00")
    assert verdict.pack == "cn.house@2"


def a_window(begin: str, end: str) -> tuple[Reservation, ...]:
    """Another visit of the debtor's on that day, with its window."""
    (visit,) = reserved(f"2026-11-24 {begin}")
    return (replace(visit, end=china(f"2026-11-24 {end}")),)


@pytest.mark.parametrize(
    ("start", "end", "rules"),
    [
        pytest.param("2026-11-24 08:00:00", "2026-11-24 09:00:00", [], id="T1 opens on the second"),
        pytest.param("2026-11-24 07:59:59", "2026-11-24 09:00:00", ["T1"], id="T1 one second early"),
        pytest.param("2026-11-24 19:00:00", "2026-11-24 21:00:00", [], id="T1 closes on the second"),
        pytest.param("2026-11-24 19:00:00", "2026-11-24 21:00:01", ["T1"], id="T1 one second late"),
        pytest.param("2026-11-24 20:00:00", "2026-11-24 20:30:00", [], id="T2 latest start"),
        pytest.param("2026-11-24 20:00:01", "2026-11-24 20:30:00", ["T2"], id="T2 one second later"),
        pytest.param("2026-11-24 22:00:00", "2026-11-24 23:00:00", ["T1", "T2"], id="T1 T2 at night"),
        pytest.param("2026-11-24 08:00:00", "2026-11-25 09:00:00", ["T1"], id="T1 through the night"),
        pytest.param("2026-11-28 10:00:00", "2026-11-28 11:00:00", [], id="A12 ordinary Saturday"),
        pytest.param("2026-09-30 20:00:00", "2026-09-30 21:00:00", [], id="A12 the evening before"),
        pytest.param("2026-10-01 08:00:00", "2026-10-01 09:00:00", ["A12"], id="A12 first day"),
        pytest.param("2026-10-04 10:00:00", "2026-10-04 11:00:00", ["A12"], id="A12 a Sunday of the break"),
        pytest.param("2026-10-07 20:00:00", "2026-10-07 21:00:00", ["A12"], id="A12 last evening"),
        pytest.param("2026-10-08 08:00:00", "2026-10-08 09:00:00", [], id="A12 the day after"),
        pytest.param("2026-10-10 10:00:00", "2026-10-10 11:00:00", [], id="A12 make-up Saturday"),
        pytest.param("2026-12-31 20:00:00", "2026-12-31 21:00:00", [], id="X6 last published evening"),
        pytest.param("2027-01-04 10:00:00", "2027-01-04 11:00:00", ["X6"], id="X6 unpublished year"),
    ],
)
def test_hours_and_days(start: str, end: str, rules: list[str]):
    facts = some_facts(
        judged_at=china("2026-09-01 10:00"),
        case=a_case(balance_as_of=date(2026, 9, 1)),
        call_days=(date(2026, 3, 2), date(2026, 3, 3)),
        letters_received_on=(date(2026, 3, 4),),
    )

    assert rules_of(a_visit(start, end=end), facts) == rules


@pytest.mark.parametrize(
    ("judged_at", "rules"),
    [
        pytest.param("2026-11-24 20:00:00", [], id="T2 they may still begin"),
        pytest.param("2026-11-24 20:00:01", ["T2"], id="T2 nobody may begin any more"),
    ],
)
def test_a_window_that_is_open_already_is_begun_now_at_the_earliest(judged_at: str, rules: list[str]):
    verdict = judge(a_visit("2026-11-24 08:00", hours=13), some_facts(judged_at=china(judged_at)), HOUSE)

    assert sorted(verdict.rules) == rules
    assert [reason.allowed_from for reason in verdict.reasons] == [china("2026-11-25 00:00") for _ in rules]


@pytest.mark.parametrize(
    ("start", "allowed_from"),
    [
        pytest.param("2026-11-24 06:00", "2026-11-24 08:00", id="T1 waits for the morning"),
        pytest.param("2026-11-24 20:30", "2026-11-25 08:00", id="T1 T2 wait for the next morning"),
        pytest.param("2026-10-01 10:00", "2026-10-08 08:00", id="A12 waits for the whole break"),
        pytest.param("2027-02-01 10:00", None, id="X6 waits for a person"),
    ],
)
def test_the_verdict_says_when_hours_and_days_would_allow_it(start: str, allowed_from: str | None):
    facts = some_facts(judged_at=china("2026-09-01 10:00"), case=a_case(balance_as_of=date(2026, 9, 1)))

    verdict = judge(a_visit(start), facts, HOUSE)

    assert not verdict.allowed
    assert verdict.allowed_from == (allowed_from and china(allowed_from))


def test_a_provisional_holiday_bans_and_a_provisional_workday_permits_nothing():
    provisional = Calendar(
        published=CALENDAR.published,
        holidays={**CALENDAR.holidays, date(2027, 2, 6): "Spring Festival"},
        makeup=CALENDAR.makeup,
    )

    assert "A12" in rules_of(a_visit("2027-02-06 10:00"), some_facts(calendar=provisional))
    assert "X6" in rules_of(a_visit("2027-02-05 10:00"), some_facts(calendar=provisional))


@pytest.mark.parametrize(
    ("facts", "wanted", "rules"),
    [
        pytest.param({"reservations": reserved("2026-11-24 08:00")}, {}, [], id="A3 second of a day"),
        pytest.param(
            {"reservations": reserved("2026-11-24 08:00", "2026-11-24 14:00")}, {}, ["A3"], id="A3 third"
        ),
        pytest.param(
            {"reservations": reserved("2026-11-24 08:00"), "arrivals": arrived("2026-11-24 00:00:00")},
            {},
            ["A3"],
            id="A3 an arrival at local midnight belongs to the day",
        ),
        pytest.param(
            {"reservations": reserved("2026-11-24 08:00"), "arrivals": arrived("2026-11-23 23:59:59")},
            {},
            [],
            id="A3 yesterday does not count",
        ),
        pytest.param(
            {
                "arrivals": arrived("2026-11-24 08:00", "2026-11-24 09:00"),
                "requests": (a_request("2026-11-23 09:00"),),
            },
            {},
            ["A3"],
            id="A3 evidence must be named",
        ),
        pytest.param(
            {
                "arrivals": arrived("2026-11-24 08:00", "2026-11-24 09:00"),
                "requests": (a_request("2026-11-23 09:00"),),
            },
            {"evidence_entry_id": ENTRY},
            [],
            id="A3 third with the debtor's request",
        ),
        pytest.param(
            {
                "arrivals": arrived("2026-11-24 08:00", "2026-11-24 09:00"),
                "requests": (a_request("2026-11-24 09:10", channel="visit", visit_on=date(2026, 11, 24)),),
            },
            {"evidence_entry_id": ENTRY},
            [],
            id="A3 third as agreed return",
        ),
        pytest.param(
            {
                "arrivals": arrived("2026-11-24 08:00", "2026-11-24 09:00"),
                "requests": (a_request("2026-11-23 09:00", used_by=UUID(int=1)),),
            },
            {"evidence_entry_id": ENTRY},
            ["A3"],
            id="A3 evidence serves once",
        ),
        pytest.param(
            {
                "arrivals": arrived("2026-11-24 08:00", "2026-11-24 09:00"),
                "requests": (a_request("2026-11-23 09:00", visit_on=date(2026, 11, 25)),),
            },
            {"evidence_entry_id": ENTRY},
            ["A3"],
            id="A3 evidence names another day",
        ),
        pytest.param(
            {
                "arrivals": arrived("2026-11-24 08:00", "2026-11-24 09:00"),
                "requests": (a_request("2026-11-17 23:59"),),
            },
            {"evidence_entry_id": ENTRY},
            [],
            id="A3 evidence of seven days ago",
        ),
        pytest.param(
            {
                "arrivals": arrived("2026-11-24 08:00", "2026-11-24 09:00"),
                "requests": (a_request("2026-11-16 23:59"),),
            },
            {"evidence_entry_id": ENTRY},
            ["A3"],
            id="A3 evidence of eight days ago",
        ),
        pytest.param(
            {
                "arrivals": arrived("2026-11-24 08:00", "2026-11-24 08:30", "2026-11-24 09:00"),
                "requests": (a_request("2026-11-23 09:00"),),
            },
            {"evidence_entry_id": ENTRY},
            ["A3"],
            id="A3 never a fourth",
        ),
        pytest.param(
            {"case": a_case(daily_visit_cap=1), "reservations": reserved("2026-11-24 08:00")},
            {},
            ["A2"],
            id="A2 own cap of one",
        ),
        pytest.param({"case": a_case(daily_visit_cap=0)}, {}, ["A2"], id="A2 own cap of none"),
        pytest.param({"reservations": a_window("09:00", "10:00")}, {}, [], id="X7 one ends as it begins"),
        pytest.param({"reservations": a_window("09:00", "10:00:01")}, {}, ["X7"], id="X7 a second too long"),
        pytest.param({"reservations": a_window("10:59:59", "12:00")}, {}, ["X7"], id="X7 a second too early"),
        pytest.param({"reservations": a_window("11:00", "12:00")}, {}, [], id="X7 one begins as it ends"),
        pytest.param({"reservations": a_window("08:00", "20:00")}, {}, ["X7"], id="X7 inside a longer one"),
        pytest.param(
            {
                "reservations": reserved("2026-11-24 08:00"),
                "arrivals": serving(arrived("2026-11-24 09:00"), "inbound"),
            },
            {},
            [],
            id="A3 second beside one that was asked for",
        ),
        pytest.param(
            {"reservations": serving(reserved("2026-11-24 08:00", "2026-11-24 09:00"), "visit")},
            {},
            [],
            id="A3 first beside two agreed returns",
        ),
        pytest.param(
            {
                "reservations": serving(
                    reserved("2026-11-24 08:00", "2026-11-24 09:00", "2026-11-24 14:00"), "inbound"
                ),
            },
            {},
            ["A3"],
            id="A3 never a fourth, whoever asked",
        ),
        pytest.param(
            {
                "reservations": reserved("2026-11-24 08:00", "2026-11-24 14:00"),
                "requests": (a_request("2026-11-23 09:00", used_by=UUID(int=100)),),
            },
            {},
            ["A3"],
            id="A3 a decision stored before does not say what a visit served",
        ),
        pytest.param(
            {
                "case": a_case(daily_visit_cap=1),
                "reservations": serving(reserved("2026-11-24 08:00"), "inbound"),
            },
            {},
            ["A2"],
            id="A2 no wish lifts the case's own cap",
        ),
    ],
)
def test_daily_budget(facts: dict[str, Any], wanted: dict[str, Any], rules: list[str]):
    assert rules_of(a_visit(**wanted), some_facts(**facts)) == rules


def test_a_reservation_whose_visit_began_is_counted_once():
    begun = arrived("2026-11-24 08:10")[0]
    plan = reserved("2026-11-24 08:00")[0]
    facts = some_facts(
        reservations=(plan,), arrivals=(type(begun)(begun.visit_id, begun.at, plan.assignment_id),)
    )

    assert judge(a_visit(), facts, HOUSE).allowed


def test_the_budget_says_the_next_day_and_the_evidence_that_would_serve():
    facts = some_facts(
        reservations=reserved("2026-11-24 08:00", "2026-11-24 14:00", "2026-11-25 09:00", "2026-11-25 15:00"),
        requests=(a_request("2026-11-23 09:00"),),
    )

    verdict = judge(a_visit(), facts, HOUSE)

    assert verdict.reasons[0].facts["usable_evidence"] == [str(ENTRY)]
    assert (
        verdict.reasons[0].quotation
        == "每日外访次数不宜超过2次,但如遇客户主动请求或回访情况,此限制可酌情调整"
    )
    assert verdict.allowed_from == china("2026-11-26 08:00")


@pytest.mark.parametrize(("wish", "rules"), [("inbound", []), ("visit", ["A9", "A9"])])
@pytest.mark.parametrize("day", ["2026-11-23", "2026-11-27"])
def test_in_hardship_a_visit_the_debtor_asked_for_leaves_the_week_to_another(
    day: str, wish: str, rules: list[str]
):
    planned = serving(reserved(f"{day} 10:00"), wish)

    found = judge(a_visit(), some_facts(case=a_case(hardship=("pregnancy",)), reservations=planned), HOUSE)

    assert [reason.rule for reason in found.reasons] == rules


@pytest.mark.parametrize(
    ("last", "wanted", "more", "rules"),
    [
        pytest.param("2026-11-17 10:00:00", "2026-11-24 10:00:00", {}, [], id="A9 exactly 7x24 h"),
        pytest.param("2026-11-17 10:00:01", "2026-11-24 10:00:00", {}, ["A9"], id="A9 one second less"),
        pytest.param("2026-11-30 10:00:00", "2026-11-24 10:00:00", {}, ["A9"], id="A9 before a planned one"),
        pytest.param("2026-12-01 10:00:00", "2026-11-24 10:00:00", {}, [], id="A9 7x24 h ahead"),
        pytest.param(
            "2026-11-23 10:00:00",
            "2026-11-24 10:00:00",
            {"requests": (a_request("2026-11-23 18:00"),)},
            [],
            id="A9 the debtor asked",
        ),
        pytest.param(
            "2026-11-23 10:00:00",
            "2026-11-24 10:00:00",
            {"requests": (a_request("2026-11-23 10:30", channel="visit"),)},
            ["A9"],
            id="A9 an agreed return is not the debtor's own request",
        ),
    ],
)
def test_hardship_weekly_cap(last: str, wanted: str, more: dict[str, Any], rules: list[str]):
    facts = some_facts(case=a_case(hardship=("pregnancy",)), reservations=reserved(last), **more)

    assert rules_of(a_visit(wanted, evidence_entry_id=ENTRY), facts) == rules


def test_hardship_is_allowed_again_seven_times_24_hours_after_the_last_arrival():
    facts = some_facts(case=a_case(hardship=("serious_illness",)), arrivals=arrived("2026-11-23 09:30:15"))

    verdict = judge(a_visit(), facts, HOUSE)

    assert verdict.allowed_from == china("2026-11-30 09:30:15")
    assert verdict.reasons[0].to_json()["allowed_from"] == "2026-11-30T01:30:15Z"
    assert verdict.reasons[0].facts["last_arrival"] == "2026-11-23T01:30:15Z"
    assert verdict.reasons[0].quotation == "外访次数应限制在每周不超过一次"


def test_every_reason_is_given_at_once():
    facts = some_facts(
        case=a_case(hardship=("pregnancy",), balance_as_of=None),
        address=an_address(status="unverified"),
        holds=(HoldFact(UUID(int=6), "do_not_collect", "debtor", NOW),),
        arrivals=arrived("2026-09-30 09:00", "2026-10-01 09:00", "2026-10-01 09:30"),
        team=(a_member(has_device=False), a_member(SECOND)),
    )

    verdict = judge(a_visit("2026-10-01 22:00"), facts, HOUSE)

    assert verdict.rules >= {"A3", "A5", "A7", "A9", "A12", "C4", "T1", "T2", "X5"}
    assert verdict.reasons[: len(verdict.blocking)] == verdict.blocking
    assert not verdict.needs_approval
