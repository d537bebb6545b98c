"""Working time with breaks: the tables say what counting minute by minute says."""

from hypothesis import given, settings
from hypothesis import strategies as st

from server.planning.workday import HORIZON, NEVER, WorkClock

DAY = 24 * 60
instants = st.integers(0, HORIZON)
lengths = st.integers(0, 400)


@st.composite
def workdays(draw: st.DrawFn) -> WorkClock:
    marks = sorted(draw(st.sets(st.integers(0, DAY), min_size=2, max_size=8)))
    pairs = list(zip(marks[::2], marks[1::2], strict=False))
    return WorkClock(pairs)


def is_at_work(clock: WorkClock, minute: int) -> bool:
    return any(begin <= minute < end for begin, end in clock.stretches)


@settings(max_examples=60, deadline=None)
@given(workdays(), instants, lengths)
def test_a_way_takes_its_minutes_of_working_time(clock: WorkClock, leaves: int, minutes: int):
    at, left = leaves, minutes
    while left and at < HORIZON:
        left -= is_at_work(clock, at)
        at += 1

    assert clock.after(leaves, minutes) == (at if not left else NEVER)


@settings(max_examples=60, deadline=None)
@given(workdays(), instants, lengths)
def test_the_latest_leave_is_the_last_one_in_time(clock: WorkClock, arrives: int, minutes: int):
    in_time = [leave for leave in range(arrives + 1) if clock.after(leave, minutes) <= arrives]

    assert clock.latest_leave(arrives, minutes) == max(in_time, default=-1)


@settings(max_examples=60, deadline=None)
@given(workdays(), instants, st.integers(1, 400))
def test_a_visit_begins_where_it_fits_into_one_stretch(clock: WorkClock, at: int, minutes: int):
    fits = [
        begin
        for begin in range(HORIZON - minutes)
        if any(start <= begin and begin + minutes <= end for start, end in clock.stretches)
    ]

    assert clock.begin(at, minutes) == min((begin for begin in fits if begin >= at), default=NEVER)
    assert clock.latest_begin(at, minutes) == max((begin for begin in fits if begin <= at), default=-1)


def test_a_way_that_leads_into_a_break_goes_on_after_it():
    clock = WorkClock([(540, 720), (780, 1080)])

    assert clock.after(710, 15) == 785
    assert clock.begin(715, 30) == 780
    assert clock.after(1075, 10) == NEVER
