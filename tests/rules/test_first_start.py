"""Each rule's own end, and the first start of a day, are those that a minute-by-minute search finds."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from itertools import takewhile
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from server.rules.check import Check
from server.rules.checks.hardship import next_start_under_cap
from server.rules.checks.team import next_start_when_free
from server.rules.engine import CASE_CHECKS, CHECKS, judge_case
from server.rules.facts import CaseFacts, Reservation, Span, WantedVisit
from server.rules.local_time import at_local, local_day
from server.rules.pack import RulePack
from server.rules.situations import day_visit, on_day
from tests.rules.builders import (
    ADDRESS,
    CASE,
    HOUSE,
    LEAD,
    SECOND,
    a_case,
    a_member,
    a_visit,
    china,
    some_facts,
)
from tests.rules.test_allowed_from import A_MARK, A_MINUTE, BEGIN, HORIZON, is_blocked, moved, situations

CLOCKS = [check for check in CHECKS if check.next_start is not None]
ONE_HOUR = timedelta(hours=1)


def blocks(check: Check, wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> bool:
    return any(reason.severity == "block" for reason in check.judge(wanted, facts, pack))


def minutes_from(start: datetime) -> Iterator[datetime]:
    return (start + n * A_MINUTE for n in range(int(HORIZON / A_MINUTE)))


@settings(max_examples=25, deadline=None)
@given(situation=situations(A_MARK), check=st.sampled_from(CLOCKS))
def test_a_rule_with_a_clock_ends_when_it_says(situation: Any, check: Check) -> None:
    """Of several reasons of one rule (two people on leave) the last end counts."""
    wanted, facts, pack = situation
    said = [reason for reason in check.judge(wanted, facts, pack) if reason.severity == "block"]
    assert check.next_start is not None

    ends = check.next_start(wanted.window_start, wanted, facts, pack)

    found = next(
        (at for at in minutes_from(wanted.window_start) if not blocks(check, moved(wanted, at), facts, pack)),
        None,
    )
    if found is None:
        assert ends is None or ends >= wanted.window_start + HORIZON
    else:
        assert ends == found
        assert not said or ends > wanted.window_start
    if len(said) == 1:
        assert said[0].allowed_from == ends


hours_on = st.integers(0, 36).map(lambda n: BEGIN + n * ONE_HOUR)


@settings(max_examples=60, deadline=None)
@given(situation=situations(A_MARK), ahead=st.integers(0, 7), now=hours_on)
def test_the_first_start_of_a_day_is_the_first_minute_that_nothing_blocks(
    situation: Any, ahead: int, now: datetime
) -> None:
    _, facts, pack = situation
    facts = replace(facts, judged_at=now)
    day = local_day(now, pack.zone) + timedelta(days=ahead)
    asked = day_visit(day, now=now, duration=ONE_HOUR, pack=pack, case_id=CASE, address_id=ADDRESS)

    answer = on_day(asked, facts, pack)

    is_asked = is_blocked(facts, pack, of=CASE_CHECKS)
    wanted = replace(asked, evidence_entry_id=answer.evidence_entry_id)
    midnight = at_local(day + timedelta(days=1), time.min, pack.zone)
    minutes = takewhile(lambda at: at < midnight, minutes_from(wanted.window_start))
    starts = (replace(wanted, window_start=at, window_end=at + ONE_HOUR) for at in minutes)
    found = next((one.window_start for one in starts if not is_asked(one)), None)
    assert answer.first_start == found
    assert (answer.status == "blocked") == (found is None)


def test_a_ground_ripens_on_the_day_it_names() -> None:
    """Seven full working days after the letter, the day of receipt not counted; approval until then."""
    facts = some_facts(letters_received_on=(date(2026, 11, 16),))
    days = [date(2026, 11, 17) + timedelta(days=n) for n in range(20)]

    open_days = [day for day in days if not judge_case(a_visit(f"{day} 10:00"), facts, HOUSE).needs_approval]
    (reason,) = [
        one for one in judge_case(a_visit(), facts, HOUSE).reasons if one.slug == "ground-not-reached"
    ]

    assert open_days[0] == date(2026, 11, 26)
    assert reason.allowed_from == china("2026-11-26 00:00")


# Against readings of the rules written once more, in plain minutes.

minutes = st.integers(0, 4 * 1440)
rounded = st.integers(0, 8).map(lambda half: half * 720)


def after(minute: int) -> datetime:
    return BEGIN + minute * A_MINUTE


@settings(max_examples=200, deadline=None)
@given(
    visits=st.lists(minutes | rounded, max_size=4),
    start=minutes | rounded,
    cap=st.integers(1, 2),
    days=st.integers(1, 3),
)
def test_a_rolling_cap_ends_at_the_minute_at_which_it_has_room(
    visits: list[int], start: int, cap: int, days: int
) -> None:
    """No stretch of so many days, wherever it begins, holds more arrivals than the cap."""
    period = days * 1440
    pack = replace(HOUSE, hardship_visits=cap, hardship_period_days=days)
    planned = tuple(Reservation(UUID(int=100 + n), after(at)) for n, at in enumerate(visits))
    facts = some_facts(case=a_case(hardship=("illness",)), reservations=planned)

    ends = next_start_under_cap(after(start), a_visit(), facts, pack)

    def has_room(at: int) -> bool:
        all_of_them = [*visits, at]
        stretches = [[one for one in all_of_them if begin <= one < begin + period] for begin in all_of_them]
        return not any(at in stretch and len(stretch) > cap for stretch in stretches)

    first = next(at for at in range(start, 9 * 1440) if has_room(at))
    assert ends == after(first)


@settings(max_examples=200, deadline=None)
@given(
    spans=st.lists(st.tuples(minutes | rounded, st.integers(1, 900)), max_size=5),
    start=minutes | rounded,
    length=st.integers(1, 600),
)
def test_a_diary_is_free_at_the_first_minute_at_which_the_visit_fits(
    spans: list[tuple[int, int]], start: int, length: int
) -> None:
    """Two people's leave, in any order, overlapping or touching."""
    taken = [Span("leave", after(begin), after(begin + long)) for begin, long in spans]
    team = (a_member(LEAD, taken=tuple(taken[::2])), a_member(SECOND, taken=tuple(taken[1::2])))
    wanted = a_visit(window_start=after(start), window_end=after(start + length))

    ends = next_start_when_free(wanted.window_start, wanted, some_facts(team=team), HOUSE, kind="leave")

    def fits(at: int) -> bool:
        return not any(begin < at + length and at < begin + long for begin, long in spans)

    assert ends == after(next(at for at in range(start, 9 * 1440) if fits(at)))
