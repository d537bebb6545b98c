"""Quota, repayment, promises, letters, caps, provisional years (F10, F14-F18, F20, J5, J8, J18, AMB17)."""

from datetime import date
from typing import Any

import pytest

from server.deadlines.facts import Calls
from server.deadlines.report import week_of
from server.deadlines.timetable import timetable
from server.rules.calendar import Calendar
from tests.deadlines.builders import (
    CALENDAR,
    a_case,
    a_hold,
    a_promise,
    all_clocks,
    day,
    days_at,
    due_of,
    said,
    touches,
)

SIX = [
    "10-12 09:00 call",
    "10-13 09:00 call",
    "10-14 09:00 letter",
    "10-15 09:00 call +",
    "10-16 09:00 visit",
]


@pytest.mark.parametrize(
    ("allocated", "now", "opened", "due"),
    [
        pytest.param("09-12", "10-12 09:00", "10-12", "11-11 21:00", id="a month is counted from its day"),
        pytest.param("09-12", "10-11 09:00", "09-12", "10-11 21:00", id="the day before"),
        pytest.param("01-31", "03-01 09:00", "02-28", "03-30 21:00", id="the 31st in a short month"),
        pytest.param("09-06", "10-05 09:00", "09-06", "09-30 21:00", id="banned: the permitted day before"),
        pytest.param(None, "10-12 09:00", "10-01", "10-31 21:00", id="no allocation: the calendar month"),
    ],
)
def test_the_quota_runs_in_the_month_of_the_case(allocated: str | None, now: str, opened: str, due: str):
    case = a_case(allocated_on=allocated and day(allocated))

    clock = all_clocks(case, now)["F10"]

    assert (clock.opened_on, due_of(clock)) == (day(opened), due)


@pytest.mark.parametrize(
    ("done", "state"),
    [
        pytest.param(SIX, "running", id="five"),
        pytest.param([*SIX, "10-19 09:00 inbound"], "met", id="six of any kind"),
        pytest.param(["10-11 09:00 call", *SIX], "running", id="one of them in the month before"),
    ],
)
def test_six_contacts_meet_the_quota(done: list[str], state: str):
    case = a_case(allocated_on=day("09-12"), touches=touches(*done))

    assert all_clocks(case, "10-19 10:00")["F10"].state == state


def test_a_quota_does_not_catch_up_after_a_hold():
    case = a_case(allocated_on=day("09-12"), holds=(a_hold("10-13", "10-15", "amount_disputed"),))

    clock = all_clocks(case, "10-20 10:00")["F10"]

    assert (clock.state, clock.because) == ("suspended", "hold this month: amount_disputed")
    assert all_clocks(case, "11-12 10:00")["F10"].state == "running"


@pytest.mark.parametrize(
    ("facts", "now", "state", "because"),
    [
        # The quota's last day is Wednesday 11 November; nothing was done so far.
        pytest.param({}, "11-10 09:00", "running", "", id="three today and three tomorrow"),
        pytest.param({}, "11-11 09:00", "capped", "J5: 3 of 6 calls left", id="only today is left"),
        pytest.param({"calls": Calls(1, 0, day("11-10"))}, "11-10 09:00", "capped", "J5: 5 of 6 calls left",
                     id="one was answered today"),
        pytest.param({"calls": Calls(0, 3, day("11-10"))}, "11-10 09:00", "capped", "J18: 3 of 6 calls left",
                     id="three in vain today"),
        pytest.param({"is_hardship": True}, "11-01 09:00", "running", "", id="hardship: 1, 3, 5, 7, 9, 11"),
        pytest.param({"is_hardship": True}, "11-02 09:00", "capped", "J8: 5 of 6 calls left", id="later"),
        pytest.param({"is_hardship": True, "calls": Calls(0, 0, day("10-31"))}, "11-01 09:00", "capped",
                     "J8: 5 of 6 calls left", id="hardship: called yesterday"),
    ],
)  # fmt: skip
def test_a_quota_that_meets_a_cap_closes(facts: dict[str, Any], now: str, state: str, because: str):
    clock = all_clocks(a_case(allocated_on=day("09-12"), **facts), now)["F10"]

    assert (clock.state, clock.because) == (state, because)


@pytest.mark.parametrize(
    ("calls", "is_hardship", "because"),
    [
        pytest.param(Calls(2, 2, day("10-16")), False, "", id="below both"),
        pytest.param(Calls(3, 0, day("10-16")), False, "J5: 0 of 1 calls left", id="answered three times"),
        pytest.param(Calls(0, 3, day("10-16")), False, "J18: 0 of 1 calls left", id="three in vain"),
        pytest.param(Calls(0, 0, day("10-15")), True, "J8: 0 of 1 calls left", id="hardship, yesterday"),
        pytest.param(Calls(0, 0, day("10-14")), True, "", id="hardship, the day before"),
    ],
)
def test_what_is_due_today_closes_at_todays_cap(calls: Calls, is_hardship: bool, because: str):
    # F6 is due on Friday 16 October, today.
    case = a_case(touches=touches("10-12 10:00 call"), calls=calls, is_hardship=is_hardship)

    clock = all_clocks(case, "10-16 12:00")["F6"]

    assert (clock.state, clock.because) == ("capped" if because else "running", because)


def test_a_cap_of_today_does_not_close_what_tomorrow_allows():
    case = a_case(touches=touches("10-12 10:00 call"), calls=Calls(3, 3, day("10-15")))

    assert all_clocks(case, "10-15 12:00")["F6"].state == "running"


def test_a_holiday_is_no_cap():
    case = a_case(touches=touches("09-21 10:00 call"))

    assert all_clocks(case, "10-03 12:00")["F6"].state == "missed"


@pytest.mark.parametrize(
    ("stages", "rule", "due"),
    [
        pytest.param(["09-29 10:00 call + reminded"], "F14", "10-09 21:00", id="F14 over the holiday"),
        pytest.param(["10-12 10:00 call + reminded"], "F14", "10-15 21:00", id="F14"),
        pytest.param(["10-08 10:00 call + reminded", "10-12 10:00 call + persuaded"], "F15", "10-15 21:00",
                     id="F15 takes its place"),
        pytest.param(["10-08 10:00 call + persuaded", "10-12 10:00 call + demanded"], "F16", "10-15 21:00",
                     id="F16 takes its place"),
    ],
)  # fmt: skip
def test_only_the_latest_stage_waits_three_working_days(stages: list[str], rule: str, due: str):
    case = a_case(touches=touches(*stages))

    clocks = all_clocks(case, f"{stages[-1][:5]} 12:00")

    assert {"F14", "F15", "F16"} & set(clocks) == {rule}
    assert said(clocks[rule]) == (due, "running")


@pytest.mark.parametrize(
    ("facts", "now", "said_of_it"),
    [
        pytest.param({}, "10-15 21:01", ("missed", ""), id="nothing came"),
        pytest.param({"paid_on": (day("10-15"),)}, "10-16 09:00", ("met", ""), id="paid on the last day"),
        pytest.param({"paid_on": (day("10-16"),)}, "10-16 09:00", ("met", "late"), id="paid a day late"),
        pytest.param({"paid_on": (day("10-11"),)}, "10-16 09:00", ("missed", ""), id="paid before"),
        pytest.param({"promises": (a_promise("10-14 10:00", "10-30"),)}, "10-16 09:00", ("met", ""),
                     id="D19 a dated plan instead"),
        pytest.param({"calls": Calls(3, 3, day("10-14"))}, "10-14 12:00", ("running", ""),
                     id="no cap closes what the debtor has to do"),
    ],
)  # fmt: skip
def test_money_or_a_plan_ends_the_stage(facts: dict[str, Any], now: str, said_of_it: tuple[str, str]):
    case = a_case(touches=touches("10-12 10:00 call + reminded"), **facts)

    clock = all_clocks(case, now)["F14"]

    assert (clock.state, clock.because) == said_of_it


def test_a_broken_promise_leads_to_the_last_stage():
    case = a_case(
        touches=touches("10-08 10:00 call + reminded"),
        promises=(a_promise("10-09 10:00", "10-12", is_open=False),),
    )

    clocks = all_clocks(case, "10-13 12:00")

    assert {"F14", "F15", "F16"} & set(clocks) == {"F16"}
    assert (said(clocks["F16"]), clocks["F16"].opened_by) == (("10-15 21:00", "running"), "promise")


def test_what_came_on_the_promised_day_was_too_little_and_ends_nothing():
    broken = (a_promise("10-09 10:00", "10-12", is_open=False),)

    on_the_day, after = (
        all_clocks(a_case(promises=broken, paid_on=(day(paid),)), "10-14 12:00")["F16"].state
        for paid in ("10-12", "10-13")
    )

    assert (on_the_day, after) == ("running", "met")


@pytest.mark.parametrize(
    ("calls", "due_on", "now", "expected"),
    [
        pytest.param([], "10-20", "10-13 12:00", ("10-19 21:00", "running"), id="the day before"),
        pytest.param([], "10-05", "09-29 12:00", ("09-30 21:00", "running"), id="before the holiday"),
        pytest.param([], "10-20", "10-20 08:00", ("10-19 21:00", "missed"), id="on the day it is too late"),
        pytest.param(["10-16 10:00 call +"], "10-20", "10-19 12:00", ("10-19 21:00", "met"), id="confirmed"),
        pytest.param(["10-16 10:00 call"], "10-20", "10-19 12:00", ("10-19 21:00", "running"), id="in vain"),
        pytest.param([], "10-20", "10-21 08:00", None, id="the day has passed"),
    ],
)
def test_a_promise_is_confirmed_before_its_day(
    calls: list[str], due_on: str, now: str, expected: tuple[str, str] | None
):
    made = "09-28 10:00" if due_on == "10-05" else "10-12 10:00"
    case = a_case(touches=touches(f"{made} call +", *calls), promises=(a_promise(made, due_on),))

    assert said(all_clocks(case, now).get("F20")) == expected


def test_a_promise_for_tomorrow_needs_no_confirmation():
    case = a_case(promises=(a_promise("10-12 10:00", "10-13"),))

    assert "F20" not in all_clocks(case, "10-12 12:00")


# Sent on Friday 9 October: seven working days are the 10th (a make-up Saturday), 12-16, and Monday 19.
@pytest.mark.parametrize(
    ("more", "facts", "now", "state"),
    [
        pytest.param([], {}, "10-19 21:00", "running", id="to the minute"),
        pytest.param([], {}, "10-19 21:01", "missed", id="nobody answered"),
        pytest.param(["10-19 10:00 inbound +"], {}, "10-20 09:00", "met", id="in contact"),
        pytest.param(["10-19 10:00 call"], {}, "10-20 09:00", "missed", id="a call in vain is no contact"),
        pytest.param(["10-09 15:00 call +"], {}, "10-20 09:00", "missed", id="the day itself is not counted"),
        pytest.param([], {"paid_on": (day("10-12"),)}, "10-20 09:00", "met", id="paid"),
        pytest.param(["10-22 10:00 inbound +"], {}, "10-22 12:00", "late", id="in contact, but late"),
    ],
)
def test_a_letter_is_answered_within_seven_working_days_of_sending(
    more: list[str], facts: dict[str, Any], now: str, state: str
):
    case = a_case(touches=touches("10-09 10:00 letter", *more), **facts)

    clock = all_clocks(case, now)["F17"]

    assert due_of(clock) == "10-19 21:00"
    assert (clock.state, clock.because) == (("met", "late") if state == "late" else (state, ""))


def test_the_clock_of_receipt_is_another_one():
    case = a_case(touches=touches("10-09 10:00 letter"), received_on=(day("10-12"),))

    clocks = all_clocks(case, "10-12 12:00")

    assert [said(clocks[rule]) for rule in ("F17", "F18")] == [
        ("10-19 21:00", "running"),
        ("10-21 21:00", "running"),
    ]


def test_a_letter_that_was_not_received_starts_no_clock_of_receipt():
    assert "F18" not in all_clocks(a_case(touches=touches("10-09 10:00 letter")), "10-30 12:00")


def test_the_visit_that_follows_closes_it_late():
    before = a_case(touches=touches("10-09 10:00 letter"), received_on=(day("10-12"),))
    after = a_case(touches=touches("10-09 10:00 letter", "10-22 10:00 visit"), received_on=(day("10-12"),))

    assert all_clocks(before, "10-22 12:00")["F18"].state == "missed"
    assert all_clocks(after, "10-22 12:00")["F18"][4:6] == ("met", "late")


def test_the_last_letter_counts():
    case = a_case(touches=touches("09-08 10:00 letter", "10-09 10:00 letter"))

    assert all_clocks(case, "10-10 12:00")["F17"].opened_on == day("10-09")


@pytest.mark.parametrize(
    ("last", "due", "is_provisional"),
    [
        pytest.param("12-25 10:00", "12-31 21:00", False, id="still within the published year"),
        pytest.param("12-28 10:00", "2027-01-04 21:00", True, id="by the foreseen New Year"),
    ],
)
def test_a_deadline_in_an_unpublished_year_is_provisional(last: str, due: str, is_provisional: bool):
    clock = all_clocks(a_case(touches=touches(f"{last} call")), last)["F6"]

    assert (due_of(clock), clock.is_provisional) == (due, is_provisional)


def test_what_certainly_passed_is_not_provisional_however_little_is_published():
    case = a_case(allocated_on=date(2024, 5, 6))

    clock = all_clocks(case, "10-12 12:00")["F6"]

    assert (due_of(clock), clock.state, clock.is_provisional) == ("01-06 21:00", "missed", False)


def test_without_any_calendar_every_deadline_ahead_is_provisional():
    nothing = Calendar(frozenset(), {}, frozenset())
    case = a_case(allocated_on=day("10-12"), outstanding_fen=100)

    clocks = all_clocks(case, "10-12 12:00", nothing)

    assert {clock.is_provisional for clock in clocks.values()} == {True}


@pytest.mark.parametrize(
    ("asked", "due"),
    [
        pytest.param("10-14", "10-16", id="a Friday"),
        pytest.param("09-30", "09-30", id="a Friday in the holiday: the permitted day before"),
        pytest.param("10-11", "10-09", id="seen from its Sunday"),
    ],
)
def test_the_weeks_report_is_due_on_friday(asked: str, due: str):
    # Thursday 1 October begins the holiday, Friday 2 is banned; of the week of 5 October Friday 9 is worked.
    week = week_of(day(asked), days_at("10-12 09:00"), timetable())

    assert week.due_on == day(due)
    assert week.first.weekday() == 0


def test_a_week_that_is_wholly_banned_reports_after_it():
    banned = Calendar(CALENDAR.published, {date(2026, 10, n): "" for n in range(12, 19)}, frozenset())

    assert week_of(day("10-14"), days_at("10-12 09:00", banned), timetable()).due_on == day("10-19")
