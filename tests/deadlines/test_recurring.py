"""The next follow-up: exactly one clock, by precedence (F5, F6, F7, F11, F19, AMB6)."""

from typing import Any

import pytest

from server.deadlines.facts import CaseSituation
from tests.deadlines.builders import a_case, a_hold, a_promise, all_clocks, day, said, touches

RECURRING = {"F5", "F6", "F7", "F11", "F19"}
SPOKEN = touches("10-12 10:00 call +")
IN_VAIN = touches("10-12 10:00 call")
PROMISE = (a_promise("10-12 10:05", "10-20"),)


@pytest.mark.parametrize(
    ("facts", "rule", "due"),
    [
        pytest.param({"touches": IN_VAIN}, "F6", "10-16 21:00", id="F6 other: four working days"),
        pytest.param({"touches": SPOKEN}, "F11", "10-15 21:00", id="F11 reachable: three"),
        pytest.param({"touches": SPOKEN, "status_code": "FOUND1"}, "F11", "10-21 21:00", id="F11 lost"),
        pytest.param({"touches": SPOKEN, "outstanding_fen": 49_999}, "F7", "10-22 21:00", id="F7 ten days"),
        pytest.param({"touches": SPOKEN, "outstanding_fen": 50_000}, "F11", "10-15 21:00", id="500.00"),
        pytest.param({"touches": SPOKEN, "flags": ("资金周转",)}, "F19", "10-12 16:00", id="F19 cash flow"),
        pytest.param({"touches": SPOKEN, "status_code": "PTP"}, "F5", "10-13 21:00", id="F5 every day"),
        pytest.param({"touches": SPOKEN, "status_code": "ptp2"}, "F5", "10-13 21:00", id="F5 PTP2"),
        pytest.param({"touches": SPOKEN, "code_meaning": "promise"}, "F5", "10-13 21:00", id="F5 client"),
        pytest.param({"touches": SPOKEN, "code_meaning": "tracing"}, "F11", "10-21 21:00", id="F11 client's"),
        pytest.param({"touches": SPOKEN, "code_meaning": "other"}, "F11", "10-15 21:00", id="another code"),
        pytest.param({"touches": SPOKEN, "promises": PROMISE}, "F5", "10-20 21:00", id="F5 dated"),
    ],
)  # fmt: skip
def test_one_clock_asks_for_the_next_follow_up(facts: dict[str, Any], rule: str, due: str):
    clocks = all_clocks(a_case(**facts), "10-12 12:00")

    assert RECURRING & set(clocks) == {rule}
    assert said(clocks[rule]) == (due, "running")


@pytest.mark.parametrize(
    ("above", "below", "rule"),
    [
        pytest.param({"promises": PROMISE}, {"outstanding_fen": 100}, "F5", id="promised before small"),
        pytest.param({"outstanding_fen": 100}, {"status_code": "FOUND1"}, "F7", id="small before lost"),
        pytest.param({"status_code": "FOUND1"}, {"flags": ("cash_flow",)}, "F11", id="lost before cash flow"),
        pytest.param(
            {"flags": ("cash_flow",)}, {"is_reachable": True}, "F19", id="cash flow before reachable"
        ),
        pytest.param({"is_reachable": True}, {}, "F11", id="reachable before other"),
    ],
)
def test_the_precedence_of_amb6(above: dict[str, Any], below: dict[str, Any], rule: str):
    clocks = all_clocks(a_case(touches=SPOKEN, **below, **above), "10-12 12:00")

    assert RECURRING & set(clocks) == {rule}


@pytest.mark.parametrize(
    ("stop", "because"),
    [
        pytest.param({"status_code": "死亡"}, "stopped: 死亡", id="stopped"),
        pytest.param({"holds": (a_hold("10-12", reason="paid"),)}, "hold: paid", id="suspended"),
        pytest.param({"status_code": "STOP", "holds": (a_hold("10-12"),)}, "hold: complaint", id="both"),
    ],
)
def test_stopped_and_suspended_come_before_everything(stop: dict[str, Any], because: str):
    case = a_case(touches=SPOKEN, promises=PROMISE, outstanding_fen=100, **stop)

    clocks = all_clocks(case, "10-12 12:00")

    assert {(clock.state, clock.because) for clock in clocks.values()} == {("suspended", because)}
    assert RECURRING & set(clocks) == {"F5"}


@pytest.mark.parametrize(
    ("last", "facts", "rule", "due"),
    [
        # Wednesday 30 September is the last working day before the holiday; the 8th, 9th and 10th are worked.
        pytest.param("09-30", {"is_reachable": True}, "F11", "10-10 21:00", id="F11 over the holiday"),
        pytest.param("09-30", {}, "F6", "10-12 21:00", id="F6 over holiday and Sunday"),
        pytest.param("10-08", {}, "F6", "10-13 21:00", id="F6 the make-up Saturday counts"),
        pytest.param("09-22", {"outstanding_fen": 1}, "F7", "09-30 21:00", id="F7 banned: the day before"),
        pytest.param("09-28", {"outstanding_fen": 1}, "F7", "10-08 21:00", id="F7 the first day after"),
        pytest.param("09-30", {"status_code": "PTP"}, "F5", "10-08 21:00", id="F5 pauses on the holiday"),
        pytest.param("10-16", {"status_code": "PTP"}, "F5", "10-17 21:00", id="F5 weekends are days"),
    ],
)
def test_holidays_and_make_up_days(last: str, facts: dict[str, Any], rule: str, due: str):
    case = a_case(touches=touches(f"{last} 10:00 call"), **facts)

    clock = all_clocks(case, f"{last} 12:00")[rule]

    assert said(clock) == (due, "running")


def test_every_follow_up_starts_it_again_and_a_letter_does_not():
    called = a_case(touches=touches("10-12 10:00 call", "10-14 10:00 inbound"))
    written = a_case(touches=touches("10-12 10:00 call", "10-14 10:00 letter"))

    assert said(all_clocks(called, "10-14 12:00")["F6"]) == ("10-20 21:00", "running")
    assert said(all_clocks(written, "10-14 12:00")["F6"]) == ("10-16 21:00", "running")


def test_without_a_follow_up_it_counts_from_the_allocation():
    case = a_case(allocated_on=day("10-12"))

    clock = all_clocks(case, "10-12 12:00")["F6"]

    assert (said(clock), clock.opened_by) == (("10-16 21:00", "running"), "allocation")


def test_contacts_of_an_earlier_allocation_do_not_count():
    case = a_case(allocated_on=day("10-12"), touches=touches("09-08 10:00 call"))

    assert all_clocks(case, "10-12 12:00")["F6"].opened_on == day("10-12")


@pytest.mark.parametrize(
    ("promise", "calls", "now", "due"),
    [
        pytest.param(("10-20", "10-15"), [], "10-13 12:00", "10-15 21:00", id="the agreed day comes first"),
        pytest.param(
            ("10-20", "10-15"), ["10-15 09:00 call"], "10-15 12:00", "10-20 21:00", id="then its own"
        ),
        pytest.param(
            ("10-20", None), ["10-20 09:00 call"], "10-20 12:00", "10-21 21:00", id="then every day"
        ),
        pytest.param(("10-20", None), ["10-19 09:00 call"], "10-19 12:00", "10-20 21:00", id="not before it"),
        pytest.param(("10-20", "10-15"), [], "10-17 12:00", "10-15 21:00", id="overdue since the agreed day"),
    ],
)
def test_a_dated_promise_is_followed_up_on_its_days(
    promise: tuple[str, str | None], calls: list[str], now: str, due: str
):
    due_on, follow_up = promise
    case = a_case(
        touches=touches("10-12 10:00 call +", *calls),
        promises=(a_promise("10-12 10:00", due_on, follow_up=follow_up),),
    )

    assert said(all_clocks(case, now)["F5"])[0] == due  # type: ignore[index]


def test_an_agreed_day_on_a_banned_day_moves_to_the_day_before():
    case = a_case(
        touches=touches("09-28 10:00 call +"),
        promises=(a_promise("09-28 10:00", "10-12", follow_up="10-04"),),
    )

    assert said(all_clocks(case, "09-29 12:00")["F5"]) == ("09-30 21:00", "running")


@pytest.mark.parametrize(
    ("agreed", "call", "now", "then"),
    [
        pytest.param(("10-12", "10-04"), "09-29", "09-29 21:30", ("09-30 21:00", "running"), id="too early"),
        pytest.param(("10-12", "10-04"), "09-29", "09-30 21:30", ("09-30 21:00", "missed"), id="not again"),
        pytest.param(("10-12", "10-04"), "09-30", "09-30 21:30", ("10-12 21:00", "running"), id="moved"),
        pytest.param(("10-12", "10-04"), "09-30", "10-06 12:00", ("10-12 21:00", "running"), id="in it"),
        pytest.param(("10-12", "10-04"), "10-08", "10-08 12:00", ("10-12 21:00", "running"), id="made up"),
        pytest.param(("10-05", None), "09-30", "09-30 21:30", ("10-08 21:00", "running"), id="promised day"),
        pytest.param(("10-05", None), "09-29", "09-30 21:30", ("09-30 21:00", "missed"), id="before it"),
    ],
)
def test_who_follows_up_on_the_day_it_was_moved_to_has_done_it(
    agreed: tuple[str, str | None], call: str, now: str, then: tuple[str, str]
):
    due_on, follow_up = agreed
    case = a_case(
        touches=touches("09-28 10:00 call +", f"{call} 10:30 call +"),
        promises=(a_promise("09-28 10:00", due_on, follow_up=follow_up),),
    )

    assert said(all_clocks(case, now)["F5"]) == then


def test_an_agreed_day_that_moved_behind_the_holiday_is_followed_up_from_itself_on():
    promises = (a_promise("10-02 10:00", "10-20", follow_up="10-04"),)
    early, in_time = (
        a_case(touches=touches("10-02 10:00 inbound +", f"{day} 10:00 inbound"), promises=promises)
        for day in ("10-03", "10-05")
    )

    assert said(all_clocks(early, "10-05 12:00")["F5"]) == ("10-08 21:00", "running")
    assert said(all_clocks(in_time, "10-05 12:00")["F5"]) == ("10-20 21:00", "running")


def test_of_two_agreed_days_the_one_that_is_due_first_is_waited_for():
    # The earlier of them moves behind the holiday, for it was agreed within it.
    case = a_case(
        touches=touches("09-28 10:00 call +"),
        promises=(
            a_promise("10-02 10:00", "10-20", follow_up="10-03"),
            a_promise("09-28 10:00", "10-20", follow_up="10-04"),
        ),
    )

    assert said(all_clocks(case, "10-02 12:00")["F5"]) == ("09-30 21:00", "missed")


def test_a_day_agreed_in_the_holiday_itself_moves_behind_it():
    case = a_case(
        touches=touches("10-02 10:00 inbound +"),
        promises=(a_promise("10-02 10:00", "10-20", follow_up="10-04"),),
    )

    assert said(all_clocks(case, "10-02 12:00")["F5"]) == ("10-08 21:00", "running")


@pytest.mark.parametrize(
    ("last", "due"),
    [
        pytest.param("10-12 09:59", "10-12 16:00", id="the first slot was kept"),
        pytest.param("10-12 10:00", "10-12 16:00", id="to the minute"),
        pytest.param("10-12 10:01", "10-13 10:00", id="the second slot was kept"),
        pytest.param("10-12 16:01", "10-13 10:00", id="after both"),
        pytest.param("09-30 15:00", "10-08 10:00", id="over the holiday"),
        pytest.param("10-16 15:00", "10-17 10:00", id="weekends are days"),
    ],
)
def test_cash_flow_debtors_by_ten_and_by_four(last: str, due: str):
    case = a_case(touches=touches(f"{last} call"), flags=("cash_flow",))

    assert said(all_clocks(case, last[:5] + " 16:30")["F19"])[0] == due  # type: ignore[index]


def test_a_new_cash_flow_debtor_is_called_on_the_morning_after_the_allocation():
    case = a_case(allocated_on=day("10-12"), flags=("待发工资",))

    assert said(all_clocks(case, "10-12 12:00")["F19"]) == ("10-13 10:00", "running")


def test_it_is_missed_once_the_day_is_over_and_stays_where_it_was():
    case = a_case(touches=IN_VAIN)

    states = [said(all_clocks(case, now)["F6"]) for now in ("10-16 21:00", "10-16 21:01", "10-23 09:00")]

    assert states == [("10-16 21:00", "running"), ("10-16 21:00", "missed"), ("10-16 21:00", "missed")]


def test_after_a_release_the_days_that_were_left_run_on():
    # Four working days after Monday 12: two of them before the hold, two after it.
    case = a_case(touches=IN_VAIN, holds=(a_hold("10-15", "10-21"),))

    assert said(all_clocks(case, "10-22 09:00")["F6"]) == ("10-23 21:00", "running")


def test_days_of_a_hold_are_no_calendar_days_either():
    case = a_case(touches=IN_VAIN, outstanding_fen=100, holds=(a_hold("10-15", "10-17"),))

    assert said(all_clocks(case, "10-18 09:00")["F7"]) == ("10-25 21:00", "running")


def test_a_hold_that_stands_leaves_the_deadline_where_it_was():
    held: CaseSituation = a_case(touches=IN_VAIN, holds=(a_hold("10-15"),))

    assert said(all_clocks(held, "10-30 09:00")["F6"]) == ("10-16 21:00", "suspended")
