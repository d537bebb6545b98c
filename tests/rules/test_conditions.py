"""What a permit lets a phone compare is what the engine says: never more, and no less than it must be."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from server.rules.calendar import Calendar
from server.rules.conditions import Limit, allowed_intervals, is_evidence_needed, latest_start, limits
from server.rules.engine import judge, judge_afterwards
from server.rules.facts import ActualVisit, Arrival, CaseFacts, Interval, WantedVisit
from server.rules.json_form import stamp
from server.rules.local_time import local_day
from server.rules.pack import RulePack
from sync.door import AtTheDoor, obstacles
from tests.rules.builders import (
    HOUSE,
    LEAD,
    NOW,
    SECOND,
    a_case,
    a_request,
    a_visit,
    arrived,
    china,
    reserved,
    serving,
    some_facts,
)
from tests.rules.test_allowed_from import A_MARK, PACKS, a_pack, served, situations

MINE = UUID(int=999)
A_MINUTE = timedelta(minutes=1)
CAPS = {
    "daily-visit-budget",
    "case-daily-cap",
    "monthly-visit-cap",
    "hardship-weekly-cap",
    "hardship-calendar-week",
}


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        pytest.param("2026-11-24 10:00", "2026-11-24 12:00", [("10:00", "12:00")], id="as wanted"),
        pytest.param("2026-11-24 07:00", "2026-11-24 22:00", [("08:00", "21:00")], id="within the hours"),
        pytest.param("2026-11-24 21:00", "2026-11-25 08:00", [], id="only the night"),
        pytest.param("2026-09-30 20:00", "2026-10-01 21:00", [("20:00", "21:00")], id="no break"),
        pytest.param("2026-10-07 10:00", "2026-10-08 09:00", [("08:00", "09:00")], id="after a break"),
        pytest.param("2026-10-10 10:00", "2026-10-10 11:00", [("10:00", "11:00")], id="a make-up Saturday"),
    ],
)
def test_intervals_are_the_window_without_banned_times(start: str, end: str, expected: list[Any]) -> None:
    found = allowed_intervals(a_visit(start, end=end), some_facts(), HOUSE)

    clocks = [tuple(f"{at.astimezone(HOUSE.zone):%H:%M}" for at in stretch) for stretch in found]
    assert clocks == expected


def test_the_latest_start_is_the_pack_s_or_the_window_s_end() -> None:
    assert latest_start(a_visit("2026-11-24 19:00", hours=2), HOUSE) == china("2026-11-24 20:00")
    assert latest_start(a_visit("2026-11-24 10:00", hours=2), HOUSE) == china("2026-11-24 12:00")


def left(found: tuple[Limit, ...]) -> dict[str, int]:
    return {limit.slug: limit.left for limit in found}


@pytest.mark.parametrize(
    ("facts", "visit", "expected"),
    [
        pytest.param({}, {}, {"daily-visit-budget": 1}, id="the first of the day"),
        pytest.param(
            {"reservations": reserved("2026-11-24 15:00")}, {}, {"daily-visit-budget": 0}, id="the second"
        ),
        pytest.param(
            {
                "reservations": reserved("2026-11-24 15:00", "2026-11-24 17:00"),
                "requests": (a_request("2026-11-23 09:00"),),
            },
            {"evidence_entry_id": UUID(int=300)},
            {"daily-visit-budget": 0},
            id="the third, by the debtor's wish",
        ),
        pytest.param(
            {"requests": (a_request("2026-11-23 09:00"),)},
            {"evidence_entry_id": UUID(int=300)},
            {"daily-visit-budget": 1},
            id="a wish that is not needed leaves no third",
        ),
        pytest.param(
            {"case": a_case(daily_visit_cap=1)},
            {},
            {"daily-visit-budget": 1, "case-daily-cap": 0},
            id="own cap",
        ),
        pytest.param(
            {"case": a_case(hardship=("illness",))},
            {},
            {"daily-visit-budget": 1, "hardship-weekly-cap": 0, "hardship-calendar-week": 0},
            id="hardship",
        ),
        pytest.param(
            {
                "case": a_case(hardship=("illness",)),
                "requests": (a_request("2026-11-23 09:00"),),
                "arrivals": arrived("2026-11-20 10:00"),
            },
            {"evidence_entry_id": UUID(int=300)},
            {"daily-visit-budget": 2},
            id="hardship, asked for: the wish also serves the day",
        ),
        pytest.param(
            {"reservations": serving(reserved("2026-11-24 15:00"), "inbound")},
            {},
            {"daily-visit-budget": 1},
            id="beside one that was asked for",
        ),
        pytest.param(
            {"reservations": serving(reserved("2026-11-24 15:00", "2026-11-24 17:00"), "inbound")},
            {},
            {"daily-visit-budget": 0},
            id="beside two that were asked for: never a fourth",
        ),
        pytest.param(
            {
                "case": a_case(hardship=("illness",), daily_visit_cap=2),
                "reservations": serving(reserved("2026-11-24 15:00"), "inbound"),
            },
            {},
            {
                "daily-visit-budget": 1,
                "case-daily-cap": 0,
                "hardship-weekly-cap": 0,
                "hardship-calendar-week": 0,
            },
            id="hardship, beside one that was asked for",
        ),
    ],
)
def test_what_each_cap_leaves(facts: dict[str, Any], visit: dict[str, Any], expected: dict[str, int]) -> None:
    assert left(limits(a_visit(**visit), some_facts(**facts), HOUSE)) == expected


def test_a_month_s_cap_and_whom_it_counted() -> None:
    facts = some_facts(reservations=reserved("2026-11-02 10:00"), arrivals=arrived("2026-11-30 20:00"))

    (_, of_month) = limits(a_visit(), facts, a_pack(visits_per_calendar_month=3))

    assert (of_month.slug, of_month.left, of_month.counted) == ("monthly-visit-cap", 0, (UUID(int=100),))
    assert of_month.to_json() == {
        "rule": "A3",
        "slug": "monthly-visit-cap",
        "left": 0,
        "from": "2026-10-31T16:00:00Z",
        "until": "2026-11-30T16:00:00Z",
        "counted": [str(UUID(int=100))],
    }


def test_what_was_asked_for_uses_up_only_the_ceiling() -> None:
    facts = some_facts(
        case=a_case(hardship=("illness",)), reservations=serving(reserved("2026-11-24 15:00"), "inbound")
    )

    of_day, rolling, of_week = limits(a_visit(), facts, HOUSE)

    assert (of_day.left, of_day.in_all, of_day.spares) == (1, 1, ("inbound", "visit"))
    assert {key: of_day.to_json()[key] for key in ("left", "in_all", "spares")} == {
        "left": 1,
        "in_all": 1,
        "spares": ["inbound", "visit"],
    }
    assert [(one.spares, one.in_all) for one in (rolling, of_week)] == [(("inbound",), None)] * 2
    assert "in_all" not in rolling.to_json()


def test_a_plan_exactly_a_week_away_is_not_of_the_same_rolling_week() -> None:
    plans = reserved("2026-11-17 10:00", "2026-11-30 10:00")
    facts = some_facts(case=a_case(hardship=("illness",)), reservations=plans)

    (_, rolling, _) = limits(a_visit("2026-11-24 10:00"), facts, HOUSE)

    assert (rolling.left, rolling.counted, rolling.within_hours) == (0, (UUID(int=101),), 168)


def a_permit(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> dict[str, Any]:
    """The conditions of a permit, as the workflow writes them."""
    intervals = allowed_intervals(wanted, facts, pack)
    return {
        "permit_id": "p",
        "assignment_id": str(MINE),
        "debtor_id": str(facts.case.debtor_id),
        "case_id": str(wanted.case_id),
        "issued_at": stamp(facts.judged_at),
        "allowed": [{"from": stamp(begin), "until": stamp(end)} for begin, end in intervals],
        "latest_start": stamp(latest_start(wanted, pack)),
        "expires_at": stamp(wanted.window_end),
        "team": [str(LEAD), str(SECOND)],
        "lead": str(LEAD),
        "limits": [limit.to_json() for limit in limits(wanted, facts, pack)],
    }


def an_own_arrival(facts: CaseFacts, one: Arrival) -> dict[str, Any]:
    debtor = str(facts.case.debtor_id)
    return {
        "visit_id": "v",
        "assignment_id": str(one.assignment_id),
        "case_id": "c",
        "debtor_id": debtor,
        "wish": one.wish,
        "at": stamp(one.at.earliest),
    }


def granted(wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> tuple[WantedVisit, CaseFacts]:
    """The visit moved to where the rules permit it, before anything else is planned later."""
    first = judge(wanted, facts, pack).allowed_from
    assume(first is not None)
    assert first is not None
    length = wanted.window_end - wanted.window_start
    return replace(wanted, window_start=first, window_end=first + length), facts


# Two of three situations permit no visit at all: a few unlucky ones at the beginning are no fault.
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(situation=situations(A_MARK), data=st.data())
def test_phone_and_engine_agree_on_what_the_phone_did(situation: Any, data: st.DataObject) -> None:
    """Whoever the phone lets in breaks no cap afterwards; whoever it stops for a cap would be refused.

    But for a planned visit that was made on another day: what the office counted the phone takes as used.
    """
    wanted, facts, pack = situation
    wanted, facts = granted(wanted, facts, pack)
    planned = {one.assignment_id: one for one in facts.reservations}
    own: list[Arrival] = []
    for n, hours in enumerate(data.draw(st.lists(st.integers(1, 24 * 9), max_size=3, unique=True))):
        at = wanted.window_start - hours * timedelta(hours=1)
        which = data.draw(st.sampled_from([UUID(int=800 + n), *planned]))
        wish = planned[which].wish if which in planned else data.draw(served)
        own.append(Arrival(UUID(int=700 + n), Interval(at, at), which, wish))
    assume(len({one.assignment_id for one in own}) == len(own))
    now = wanted.window_start + data.draw(st.integers(0, 60)) * A_MINUTE
    memory = {
        "arrivals": [an_own_arrival(facts, one) for one in own],
        "stops": [],
    }

    here = AtTheDoor(now, (LEAD, SECOND), "p")
    stopped = {one.slug for one in obstacles(a_permit(wanted, facts, pack), here, memory=memory)}

    then = with_evidence(replace(facts, arrivals=(*facts.arrivals, *own)), wanted, facts, pack)
    if not stopped:
        actual = ActualVisit(UUID(int=900), Interval(now, now), None, (LEAD, SECOND), assignment_id=MINE)
        broken = {reason.slug for reason in judge_afterwards(actual, then, pack).reasons}
        assert not broken & CAPS
    planned_on = {one.assignment_id: local_day(one.start, pack.zone) for one in facts.reservations}
    moved = [
        one
        for one in own
        if one.assignment_id is not None
        and planned_on.get(one.assignment_id) not in (None, local_day(one.at.latest, pack.zone))
    ]
    if stopped & CAPS and pack.hardship_visits <= 1 and not moved:
        wish = wanted.evidence_entry_id if is_evidence_needed(wanted, facts, pack) else None
        again = replace(wanted, window_start=now, window_end=now + A_MINUTE, evidence_entry_id=wish)
        asked = replace(facts, arrivals=(*facts.arrivals, *own))
        refused = {reason.slug for reason in judge(again, asked, pack).blocking}
        assert refused & CAPS, (stopped, refused)


def with_evidence(then: CaseFacts, wanted: WantedVisit, facts: CaseFacts, pack: RulePack) -> CaseFacts:
    """Spend the named wish where the visit would fall without it, as the reservation does."""
    if not is_evidence_needed(wanted, facts, pack):
        return then
    spent = tuple(
        replace(one, used_by=MINE if one.entry_id == wanted.evidence_entry_id else one.used_by)
        for one in then.requests
    )
    return replace(then, requests=spent)


def test_on_an_ordinary_day_the_phone_lets_everybody_in() -> None:
    facts = some_facts(
        judged_at=NOW,
        calendar=Calendar(frozenset({2026}), {}, frozenset({date(2026, 11, 28)})),
        reservations=reserved("2026-11-24 15:00"),
    )

    for pack in (PACKS[0], PACKS[2]):
        found = obstacles(
            a_permit(a_visit(), facts, pack),
            AtTheDoor(china("2026-11-24 10:20"), (SECOND, LEAD), "p"),
            memory={"arrivals": [], "stops": []},
        )
        assert found == ()
