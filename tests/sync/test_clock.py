"""Time: whatever a phone's clocks do, the derived interval contains the true instant."""

import math
from dataclasses import replace
from datetime import datetime, timedelta
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from sync.clock import BEGINNING, DRIFT_PPM, READING, WALL_DOUBT, Anchor, Interval, Method, locate
from sync.protocol import Clock
from tests.sync.made import NOON, a_clock

SKEWS = st.timedeltas(timedelta(days=-5 * 365), timedelta(days=5 * 365))
DRIFTS = st.integers(-DRIFT_PPM, DRIFT_PPM)
TRIPS = st.integers(0, 60_000)
WAITS = st.integers(0, 20 * 86_400_000)
BOOTED = NOON - timedelta(days=3)


def milliseconds(count: int) -> timedelta:
    return timedelta(milliseconds=count)


class Life:
    """A phone whose true history a test knows: an anchor made at NOON, readings `wait` after it arrived."""

    def __init__(self, *, skew: timedelta, drift: int, trip: int, share: float, wait: int) -> None:
        self.skew, self.drift = skew, drift
        arrived = NOON + milliseconds(trip) * share
        self.true = arrived + milliseconds(wait)
        self.anchored_at = self._monotonic(arrived)
        sent = self._monotonic(arrived - milliseconds(trip))
        self.clock = a_clock(
            wall=self.true + skew,
            monotonic_ms=self._monotonic(self.true),
            anchor="ours",
            anchor_monotonic_ms=self.anchored_at,
            anchor_boot_id="boot-1",
            rtt_ms=self.anchored_at - sent,
        )

    def _monotonic(self, at: datetime) -> int:
        return int((at - BOOTED) * (1_000_000 + self.drift) / timedelta(seconds=1) / 1000)


LIVES = st.builds(Life, skew=SKEWS, drift=DRIFTS, trip=TRIPS, share=st.floats(0, 1), wait=WAITS)


def contains(interval: Interval, instant: datetime) -> bool:
    return interval.earliest <= instant <= interval.latest


@given(LIVES, WAITS)
def test_with_an_anchor_of_this_boot_the_interval_contains_the_true_instant(life: Life, later: int) -> None:
    interval = locate(life.clock, anchor_time=NOON, received_at=life.true + milliseconds(later))

    assert contains(interval, life.true)
    assert interval.method == "anchored" and interval.is_trusted


@given(LIVES, WAITS)
def test_the_interval_is_no_wider_than_round_trip_and_drift_allow(life: Life, later: int) -> None:
    interval = locate(life.clock, anchor_time=NOON, received_at=life.true + milliseconds(later))

    elapsed = milliseconds(life.clock.monotonic_ms - life.anchored_at)
    trip = milliseconds(life.clock.rtt_ms or 0)
    allowed = 2 * elapsed * DRIFT_PPM / 999_000 + trip * 1.001 + 2 * READING + milliseconds(1)
    assert interval.latest - interval.earliest <= allowed


@given(LIVES, WAITS, st.floats(0, 1))
def test_a_browser_that_slept_still_gets_an_interval_that_contains_the_instant(
    life: Life, later: int, awake: float
) -> None:
    counted = int((life.clock.monotonic_ms - life.anchored_at) * awake)
    slept = replace(life.clock, native=False, monotonic_ms=life.anchored_at + counted)
    received = life.true + milliseconds(later)

    interval = locate(slept, anchor_time=NOON, received_at=received)

    assert contains(interval, life.true)
    assert (interval.method, interval.latest) == ("anchored-browser", received)


@given(LIVES, WAITS, st.timedeltas(-WALL_DOUBT, WALL_DOUBT))
def test_after_a_reboot_a_wall_clock_within_ten_minutes_is_enough(
    life: Life, later: int, skew: timedelta
) -> None:
    rebooted = replace(life.clock, boot_id="boot-2", monotonic_ms=5, wall=life.true + skew)
    received = life.true + min(milliseconds(later), timedelta(days=29))

    interval = locate(rebooted, anchor_time=NOON, received_at=received)

    assert contains(interval, life.true)
    assert interval.method == "wall" and not interval.is_trusted


def started_again(life: Life, *, skew: timedelta, since_boot: int) -> Clock:
    """The readings of the same moment by a phone that was started again and has met nobody since."""
    return replace(
        life.clock, boot_id="boot-2", monotonic_ms=since_boot, wall=life.true + skew, anchor_boot_id="boot-1"
    )


@given(LIVES, SKEWS, WAITS, WAITS, DRIFTS, TRIPS, st.floats(0, 1), WAITS)
def test_what_was_written_after_a_restart_is_counted_back_from_an_anchor_that_came_later(
    life: Life,
    skew: timedelta,
    since_boot: int,
    waited: int,
    drift: int,
    trip: int,
    share: float,
    on_the_way: int,
) -> None:
    written = started_again(life, skew=skew, since_boot=since_boot)
    made = life.true + milliseconds(waited)
    came = made + milliseconds(trip) * share
    counted = int((came - life.true) / milliseconds(1) * (1_000_000 + drift) / 1_000_000)
    later = Anchor(made, since_boot + counted, math.ceil(trip * (1_000_000 + drift) / 1_000_000))

    interval = locate(written, anchor_time=NOON, received_at=came + milliseconds(on_the_way), later=later)

    assert contains(interval, life.true)
    assert interval.method == "anchored-later" and interval.is_trusted
    allowed = milliseconds(trip + 2) * 1.001 + 2 * milliseconds(counted) * DRIFT_PPM / 999_000 + 2 * READING
    assert interval.latest - interval.earliest <= allowed


@given(LIVES, st.integers(-(2**53), 2**53))
def test_an_anchor_that_cannot_have_come_later_tells_nothing(life: Life, counted: int) -> None:
    written = started_again(life, skew=timedelta(0), since_boot=5)
    received = life.true + timedelta(hours=1)

    interval = locate(written, anchor_time=NOON, received_at=received, later=Anchor(life.true, counted, None))

    assert interval.earliest <= interval.latest <= received
    if counted < 5 or milliseconds(counted - 5) > life.true - BEGINNING:
        assert interval.method == "wall"


@given(LIVES, WAITS)
def test_a_browser_that_slept_since_cannot_count_back(life: Life, counted: int) -> None:
    written = replace(started_again(life, skew=timedelta(0), since_boot=0), native=False)

    received = life.true + milliseconds(counted)

    interval = locate(written, anchor_time=NOON, received_at=received, later=Anchor(received, counted, 0))

    assert not interval.is_trusted


def test_an_interval_that_was_stored_is_trusted_as_before() -> None:
    for method in get_args(Method):
        assert Interval.kept(NOON, NOON, method).method == method
    assert not Interval.kept(NOON, NOON, None).is_trusted


@given(LIVES, st.integers(31, 5 * 365))
def test_a_wall_clock_that_is_years_off_is_not_believed_at_all(life: Life, days: int) -> None:
    lost = replace(life.clock, boot_id="boot-2", wall=life.true + timedelta(days=days))

    interval = locate(lost, anchor_time=None, received_at=life.true)

    assert interval == Interval(earliest=BEGINNING, latest=life.true, method="received")


@given(LIVES, st.none() | st.just(NOON), SKEWS, st.none() | SKEWS)
def test_an_interval_is_never_upside_down_and_never_ends_after_receipt(
    life: Life, anchor: datetime | None, wait: timedelta, floor: timedelta | None
) -> None:
    received = NOON + wait
    not_before = None if floor is None else NOON + floor

    interval = locate(life.clock, anchor_time=anchor, received_at=received, not_before=not_before)

    assert interval.earliest <= interval.latest <= received


def test_what_came_before_in_the_chain_bounds_the_interval_below() -> None:
    before = NOON - timedelta(minutes=1)

    interval = locate(a_clock(wall=NOON), anchor_time=None, received_at=NOON, not_before=before)

    assert (interval.earliest, interval.latest) == (before, NOON)


def test_a_monotonic_clock_that_ran_backwards_is_not_believed() -> None:
    clock = a_clock(anchor="ours", anchor_monotonic_ms=2000, anchor_boot_id="boot-1", monotonic_ms=1000)

    assert locate(clock, anchor_time=NOON, received_at=NOON).method == "wall"


def test_a_monotonic_clock_that_outran_the_receipt_is_not_believed() -> None:
    clock = a_clock(anchor="ours", anchor_monotonic_ms=0, anchor_boot_id="boot-1", monotonic_ms=2**40)

    assert locate(clock, anchor_time=NOON, received_at=NOON).method == "wall"
