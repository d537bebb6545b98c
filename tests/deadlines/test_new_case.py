"""New cases, and old ones in a month without a new batch (F1, F2, F3, F4, F8, F9)."""

from typing import Any

import pytest

from tests.deadlines.builders import a_case, a_hold, a_promise, all_clocks, day, said, touches

# Allocated on Monday 28 September: day 1 is the 29th, day 2 the 30th, then the holiday; day 3 is Thursday
# 8 October, day 4 the 9th, day 5 Saturday the 10th, which is worked.
BEFORE_THE_HOLIDAY = "09-28"


@pytest.mark.parametrize(
    ("allocated", "rule", "hand", "due"),
    [
        pytest.param("09-28", "F4", "first", "09-29 21:00", id="F4 day 1"),
        pytest.param("09-28", "F8", "first", "09-30 21:00", id="F8 day 2"),
        pytest.param("09-28", "F9", "second", "10-09 21:00", id="F9 day 4 over the holiday"),
        pytest.param("09-28", "F9", "third", "10-09 21:00", id="F9 third hand"),
        pytest.param("09-28", "F1", "first", "10-08 21:00", id="F1 day 3 over the holiday"),
        pytest.param("09-28", "F2", "first", "10-10 21:00", id="F2 day 5 on the make-up Saturday"),
        pytest.param("10-03", "F4", "first", "10-08 21:00", id="F4 allocated in the holiday"),
        pytest.param("10-03", "F1", "first", "10-10 21:00", id="F1 allocated in the holiday"),
        pytest.param("10-09", "F4", "first", "10-10 21:00", id="F4 on the make-up Saturday"),
        pytest.param("10-16", "F4", "first", "10-19 21:00", id="F4 over an ordinary weekend"),
    ],
)
def test_day_one_is_the_next_working_day_after_the_allocation(allocated: str, rule: str, hand: str, due: str):
    case = a_case(allocated_on=day(allocated), hand=hand)

    clock = all_clocks(case, f"{allocated} 12:00")[rule]

    assert said(clock) == (due, "running")
    assert (clock.opened_on, clock.opened_by) == (day(allocated), "allocation")


def test_coverage_is_asked_for_once_by_the_hand():
    first, second = (all_clocks(a_case(allocated_on=day("10-12"), hand=hand), "10-12 12:00")
                     for hand in ("first", "second"))  # fmt: skip

    assert {"F8", "F9"} & set(first) == {"F8"}
    assert {"F8", "F9"} & set(second) == {"F9"}


# Allocated on Monday 12 October: day 1 Tuesday 13, day 2 the 14th, day 3 the 15th, day 5 Monday 19.
@pytest.mark.parametrize(
    ("rule", "done", "now", "state"),
    [
        pytest.param("F1", ["10-15 20:00 call contact_check"], "10-15 20:30", "met", id="F1 checked"),
        pytest.param("F1", ["10-15 20:00 call + willing"], "10-15 20:30", "met", id="F1 willing to pay"),
        pytest.param("F1", ["10-15 20:00 call +"], "10-15 20:30", "running", id="F1 a call is no check"),
        pytest.param("F1", ["10-16 09:00 call contact_check"], "10-16 10:00", "late", id="F1 a day late"),
        pytest.param("F1", [], "10-15 21:00", "running", id="F1 to the minute"),
        pytest.param("F1", [], "10-15 21:01", "missed", id="F1 over"),
        pytest.param("F1", ["10-09 09:00 call contact_check"], "10-12 12:00", "running", id="F1 before it"),
        pytest.param("F2", ["10-13 09:00 call +"], "10-19 12:00", "running", id="F2 one of two"),
        pytest.param("F2", ["10-13 09:00 call +", "10-19 20:00 inbound +"], "10-19 20:01", "met", id="two"),
        pytest.param("F2", ["10-13 09:00 call +", "10-20 08:30 call +"], "10-20 09:00", "late", id="F2 late"),
        pytest.param("F2", ["10-13 09:00 call", "10-14 09:00 call"], "10-19 12:00", "running", id="in vain"),
        pytest.param("F2", ["10-13 09:00 letter +", "10-14 09:00 letter +"], "10-19 12:00", "running",
                     id="F2 letters follow nothing up"),
        pytest.param("F4", ["10-13 20:59 call"], "10-13 21:30", "met", id="F4 an attempt will do"),
        pytest.param("F4", [], "10-13 21:01", "missed", id="F4 nothing logged"),
        pytest.param("F4", ["10-12 16:00 letter"], "10-12 17:00", "met", id="F4 on the day itself"),
        pytest.param("F8", ["10-15 09:00 call"], "10-15 10:00", "late", id="F8 a day late"),
    ],
)  # fmt: skip
def test_what_was_done_closes_the_clock_in_time_or_late(rule: str, done: list[str], now: str, state: str):
    case = a_case(allocated_on=day("10-12"), touches=touches(*done))

    clock = all_clocks(case, now)[rule]

    assert (clock.state, clock.because) == (("met", "late") if state == "late" else (state, ""))


def test_a_promise_shows_that_they_are_known_and_willing():
    case = a_case(allocated_on=day("10-12"), promises=(a_promise("10-14 10:00", "10-30"),))

    assert all_clocks(case, "10-14 12:00")["F1"].state == "met"


@pytest.mark.parametrize(
    ("allocated", "now", "has_batch", "opened"),
    [
        pytest.param("10-12", "10-31 12:00", True, "10-12", id="new until its month is over"),
        pytest.param("10-12", "11-02 12:00", True, None, id="old in the next month, a batch came"),
        pytest.param("10-12", "11-02 12:00", False, "11-01", id="F3 old, and no batch came"),
        pytest.param("10-29", "11-02 12:00", False, "10-29", id="its own clocks run into the month"),
        pytest.param("10-29", "11-30 12:00", False, "10-29", id="and belong to the month they end in"),
        pytest.param("10-29", "12-01 12:00", False, "12-01", id="F3 the month after that"),
    ],
)
def test_an_old_case_counts_as_new_only_in_a_month_without_a_batch(
    allocated: str, now: str, has_batch: bool, opened: str | None
):
    case = a_case(allocated_on=day(allocated), client_has_batch=has_batch)

    clocks = all_clocks(case, now)

    new = {rule: clocks[rule].opened_on for rule in ("F1", "F2", "F4", "F8") if rule in clocks}
    assert new == ({} if opened is None else dict.fromkeys(("F1", "F2", "F4", "F8"), day(opened)))


def test_by_f3_day_one_is_the_first_working_day_of_the_month():
    # Sunday 1 November: day 1 is Monday the 2nd, day 3 Wednesday the 4th, day 5 Friday the 6th.
    case = a_case(client_has_batch=False, touches=touches("10-31 10:00 call + contact_check"))

    clocks = all_clocks(case, "11-01 10:00")

    assert {rule: said(clocks[rule]) for rule in ("F4", "F8", "F1", "F2")} == {
        "F4": ("11-02 21:00", "running"),
        "F8": ("11-03 21:00", "running"),
        "F1": ("11-04 21:00", "running"),
        "F2": ("11-06 21:00", "running"),
    }
    assert {clocks[rule].opened_by for rule in ("F1", "F2", "F4", "F8")} == {"month"}


def test_in_october_the_month_begins_after_the_holiday():
    clocks = all_clocks(a_case(client_has_batch=False), "10-05 10:00")

    assert said(clocks["F4"]) == ("10-08 21:00", "running")


def test_a_case_without_a_day_of_allocation_is_an_old_one():
    clocks = all_clocks(a_case(allocated_on=None, client_has_batch=False), "11-02 12:00")

    assert clocks["F1"].opened_by == "month"


@pytest.mark.parametrize(
    ("facts", "state", "because"),
    [
        pytest.param({"holds": (a_hold("10-13"),)}, "suspended", "hold: complaint", id="a hold stands"),
        pytest.param({"status_code": "停催"}, "suspended", "stopped: 停催", id="stopped"),
        pytest.param({"status_code": " jail "}, "suspended", "stopped: jail", id="in whatever case"),
        pytest.param({"holds": (a_hold("10-13", "10-13"),)}, "running", "", id="released again"),
    ],
)
def test_a_hold_or_a_stop_suspends_and_says_why(facts: dict[str, Any], state: str, because: str):
    clocks = all_clocks(a_case(allocated_on=day("10-12"), **facts), "10-14 12:00")

    assert {(clocks[rule].state, clocks[rule].because) for rule in ("F1", "F2")} == {(state, because)}


def test_what_was_missed_before_a_hold_does_not_push_while_it_stands():
    case = a_case(allocated_on=day("10-12"), holds=(a_hold("10-20"),))

    assert all_clocks(case, "10-21 12:00")["F1"].state == "suspended"


def test_days_on_which_a_hold_stood_do_not_count():
    # Day 3 would be Thursday 15; a hold from Tuesday to Thursday leaves Friday, Monday, Tuesday 20.
    case = a_case(allocated_on=day("10-12"), holds=(a_hold("10-13", "10-15"),))

    assert said(all_clocks(case, "10-16 12:00")["F1"]) == ("10-20 21:00", "running")
