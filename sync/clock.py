"""When did something on a phone really happen, given clocks that cannot be trusted?

From raw readings, the anchor the server once handed out, and the moment of receipt we derive an interval
that contains the instant, and say how we know. Skew never rejects and device time never orders anything;
rules that depend on time get three answers (certainly inside, certainly outside, undecidable).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, get_args

from sync.protocol import Clock

Method = Literal["anchored", "anchored-browser", "anchored-later", "wall", "received"]
_METHODS: Final[dict[str, Method]] = {one: one for one in get_args(Method)}

# Crystal clocks of phones drift by well under 100 ppm; monotonic readings are whole milliseconds.
DRIFT_PPM: Final = 200
READING: Final = timedelta(milliseconds=5)
# How far a wall clock is believed when nothing else tells the time of its boot.
WALL_DOUBT: Final = timedelta(minutes=10)
BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Anchor:
    """The server's time, and what the phone had counted when it came, `rtt_ms` after it was asked for."""

    server_time: datetime
    monotonic_ms: int
    rtt_ms: int | None


@dataclass(frozen=True, slots=True)
class Interval:
    """The instant lies in [earliest, latest]; `method` says how we know."""

    earliest: datetime
    latest: datetime
    method: Method

    @property
    def is_trusted(self) -> bool:
        """Whether the interval rests on the server's time, not on the phone's wall clock."""
        return self.method not in ("wall", "received")

    @classmethod
    def kept(cls, earliest: datetime, latest: datetime, method: str | None) -> "Interval":
        """Return an interval that was stored; one whose method nobody wrote down is not trusted."""
        return cls(earliest, latest, _METHODS.get(method or "", "wall"))


def locate(
    clock: Clock,
    *,
    anchor_time: datetime | None,
    received_at: datetime,
    later: Anchor | None = None,
    not_before: datetime | None = None,
) -> Interval:
    """Return the interval in which the readings were taken.

    `anchor_time` is the server time inside the anchor the readings name, once its authenticity was
    checked (None: no or a foreign anchor). `later` is one that the phone got after it took them, in the
    same boot. The result never ends after `received_at` and never begins before the
    anchor or `not_before`, the earliest time of the item before it in the chain.
    """
    found = _from_readings(clock, anchor_time=anchor_time, received_at=received_at, later=later)
    floor = max(bound for bound in (anchor_time, not_before, BEGINNING) if bound is not None)
    floor = min(floor, received_at)
    earliest = min(max(found.earliest, floor), received_at)
    latest = max(min(found.latest, received_at), earliest)
    return Interval(earliest=earliest, latest=latest, method=found.method)


def _from_readings(
    clock: Clock, *, anchor_time: datetime | None, received_at: datetime, later: Anchor | None
) -> Interval:
    same_boot = clock.anchor_boot_id == clock.boot_id and clock.anchor_monotonic_ms is not None
    if anchor_time is not None and same_boot and clock.anchor_monotonic_ms is not None:
        elapsed = timedelta(milliseconds=clock.monotonic_ms - clock.anchor_monotonic_ms)
        # Compared as a difference: a phone may claim to have run for longer than there are dates.
        if timedelta(0) <= elapsed <= received_at + WALL_DOUBT - anchor_time:
            return _anchored(clock, anchor_time=anchor_time, elapsed=elapsed, received_at=received_at)
    if later is not None and clock.native:
        since = timedelta(milliseconds=later.monotonic_ms - clock.monotonic_ms)
        if timedelta(0) <= since <= later.server_time - BEGINNING:
            return _anchored_later(since, later, received_at=received_at)
    if abs(received_at - clock.wall) > timedelta(days=30):
        return Interval(earliest=BEGINNING, latest=received_at, method="received")
    return Interval(earliest=clock.wall - WALL_DOUBT, latest=clock.wall + WALL_DOUBT, method="wall")


def _anchored(clock: Clock, *, anchor_time: datetime, elapsed: timedelta, received_at: datetime) -> Interval:
    drift = _drift(elapsed)
    earliest = anchor_time + elapsed - drift - READING
    if not clock.native:
        return Interval(earliest=earliest, latest=received_at, method="anchored-browser")
    trip = _trip(clock.rtt_ms, anchor_time, received_at=received_at)
    return Interval(
        earliest=earliest, latest=anchor_time + elapsed + drift + trip + READING, method="anchored"
    )


def _anchored_later(since: timedelta, later: Anchor, *, received_at: datetime) -> Interval:
    """Count back from an anchor: a phone that was started again offline had none, but it counted."""
    at, doubt = later.server_time - since, _drift(since) + READING
    trip = _trip(later.rtt_ms, later.server_time, received_at=received_at)
    return Interval(earliest=at - doubt, latest=at + trip + doubt, method="anchored-later")


def _trip(rtt_ms: int | None, anchor_time: datetime, *, received_at: datetime) -> timedelta:
    """The anchor was read on the server at some point of the round trip, at most rtt before it arrived."""
    longest = max(received_at - anchor_time, timedelta(0))
    return min(timedelta(milliseconds=rtt_ms or 0), longest) * 1_000_000 / (1_000_000 - DRIFT_PPM)


def _drift(counted: timedelta) -> timedelta:
    """A clock that counts DRIFT_PPM too slowly has seen less than passed: divide by what it counted."""
    return counted * DRIFT_PPM / (1_000_000 - DRIFT_PPM)
