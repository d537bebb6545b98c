"""Before the door: the permit's conditions as data, against now, who is here, and what this phone did."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from server.models.cases import HOLD_SCOPE_OF_REASON
from sync.bodies import HOLD_REASONS
from sync.door import (
    NOTHING,
    RULE_OF_STOP,
    STOPS_THE_DEBTOR,
    AtTheDoor,
    Memory,
    Obstacle,
    obstacles,
    remember,
    settle,
    turning_back,
)
from sync.phone import Phone
from sync.protocol import Change
from sync.wire import read_item
from tests.sync.fake_office import FakeOffice
from tests.sync.made import NOON, VISITOR
from tests.sync.test_phone import BOTH, OFFICE, PARTNER, Hands, a_permit, at, deliver, hands, phone, the_one

__all__ = ["hands", "phone"]

HOUR = timedelta(hours=1)
DEBTOR, CASE, MINE, PERMIT_ID = (str(UUID(int=n)) for n in (21, 22, 23, 24))


def the_permit(**facts: Any) -> dict[str, Any]:
    """A permit as the office writes it today; two of a day, the other one counted."""
    day = {"rule": "A3", "slug": "daily-visit-budget", "from": at(-12), "until": at(12)}
    return a_permit(
        permit_id=PERMIT_ID,
        assignment_id=MINE,
        case_id=CASE,
        debtor_id=DEBTOR,
        lead=str(VISITOR),
        issued_at=at(-20),
        limits=[{**day, "left": 0, "counted": []}],
        checks=[
            {"key": "identity_badge_worn", "rule": "B8", "when": "before"},
            {"key": "no_cash_accepted", "rule": "B29", "when": "inside"},
        ],
    ) | dict(facts)


def here(
    hours: float = 0, *, team: list[UUID] = BOTH, carried: str | None = PERMIT_ID, **more: Any
) -> AtTheDoor:
    return AtTheDoor(NOON + hours * HOUR, team, carried, **more)


def an_arrival(
    hours: float = -2, *, debtor: str = DEBTOR, assignment: str = "other", **more: Any
) -> dict[str, Any]:
    when = at(hours)
    return {
        "visit_id": "v",
        "assignment_id": assignment,
        "case_id": CASE,
        "debtor_id": debtor,
        "at": when,
        **more,
    }


def a_memory(*arrivals: dict[str, Any]) -> Memory:
    return {"arrivals": list(arrivals), "stops": []}


def said(found: tuple[Obstacle, ...]) -> list[tuple[str, str]]:
    return [(one.rule, one.slug) for one in found]


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        pytest.param(here(-1), [], id="the first instant"),
        pytest.param(here(1), [], id="the latest start itself"),
        pytest.param(here(-1.01), [("T1", "visit-window")], id="too early"),
        pytest.param(here(1.01), [("T2", "latest-start")], id="too late to begin"),
        pytest.param(
            here(3.01),
            [("T1", "visit-window"), ("T2", "latest-start"), ("T1", "permit-expired")],
            id="over",
        ),
        pytest.param(here(team=[PARTNER]), [("X1", "team-differs"), ("X1", "lead-missing")], id="no lead"),
        pytest.param(here(team=[*BOTH, UUID(int=9)]), [("X1", "team-differs")], id="one too many"),
        pytest.param(here(carried=None), [("A7", "assignment-taken-back")], id="a hold reached the phone"),
        pytest.param(here(carried="newer"), [("A7", "permit-replaced")], id="another permit came"),
        pytest.param(
            here(checklist={"identity_badge_worn": False}), [("B8", "checklist-identity-badge-worn")], id="B8"
        ),
        pytest.param(here(checklist={}), [("B8", "checklist-identity-badge-worn")], id="not answered"),
        pytest.param(
            here(checklist={"identity_badge_worn": True}), [], id="in order; the rest is for inside"
        ),
    ],
)
def test_each_condition_names_its_rule(now: AtTheDoor, expected: list[tuple[str, str]]) -> None:
    found = obstacles(the_permit(), now, memory=NOTHING)

    assert said(found) == expected
    assert all(one.why and one.advice for one in found)


def test_who_comes_too_early_is_told_until_when_to_wait() -> None:
    spans = [{"from": at(0), "until": at(1)}, {"from": at(-3), "until": at(-2.5)}]

    (early,) = obstacles(the_permit(allowed=spans), here(-1), memory=NOTHING)

    assert early.until == NOON
    assert turning_back(the_permit(), [early]) is None


ROLLING = {"rule": "A9", "slug": "hardship-weekly-cap", "within_hours": 168, "left": 0, "counted": []}
OWN_CAP = {"rule": "A2", "slug": "case-daily-cap", "from": at(-12), "until": at(12), "left": 1, "counted": []}
OF_DAY = {**OWN_CAP, "rule": "A3", "slug": "daily-visit-budget", "spares": ["inbound", "visit"], "in_all": 2}
ASKED = an_arrival(wish="inbound")
AGREED = an_arrival(-3, assignment="third", wish="visit")
UNASKED = an_arrival(-4, assignment="fourth", wish=None)
BEFORE_WISHES = an_arrival(-5, assignment="fifth")


@pytest.mark.parametrize(
    ("permit", "arrivals", "expected"),
    [
        pytest.param({}, [], [], id="nobody was there"),
        pytest.param({}, [an_arrival()], [("A3", "daily-visit-budget")], id="the office did not know"),
        pytest.param({}, [an_arrival(debtor="else")], [], id="another debtor"),
        pytest.param({}, [an_arrival(-13)], [], id="yesterday"),
        pytest.param({}, [an_arrival(assignment=MINE)], [("A3", "permit-used")], id="this permit was used"),
        pytest.param(
            {"limits": [{**ROLLING, "counted": ["other"]}]}, [an_arrival()], [], id="the office counted it"
        ),
        pytest.param(
            {"limits": [ROLLING]},
            [an_arrival(-167.99)],
            [("A9", "hardship-weekly-cap")],
            id="within the week",
        ),
        pytest.param({"limits": [ROLLING]}, [an_arrival(-168)], [], id="equal to the week is allowed"),
        pytest.param({"limits": [OWN_CAP]}, [an_arrival()], [], id="one is left"),
        pytest.param(
            {"limits": [OWN_CAP]},
            [an_arrival(), an_arrival(-3, assignment="third")],
            [("A2", "case-daily-cap")],
            id="two are too many",
        ),
        pytest.param({"limits": None, "debtor_id": None}, [an_arrival()], [], id="an older permit"),
        pytest.param({"limits": [OF_DAY]}, [ASKED, UNASKED], [], id="one left, and one they asked for"),
        pytest.param(
            {"limits": [OF_DAY]},
            [BEFORE_WISHES, UNASKED],
            [("A3", "daily-visit-budget")],
            id="two that nobody asked for",
        ),
        pytest.param(
            {"limits": [OF_DAY]},
            [ASKED, AGREED, UNASKED],
            [("A3", "daily-visit-budget")],
            id="never a fourth, whoever asked",
        ),
        pytest.param(
            {"limits": [{**ROLLING, "spares": ["inbound"]}]}, [ASKED], [], id="a week spares what they asked"
        ),
        pytest.param(
            {"limits": [{**ROLLING, "spares": ["inbound"]}]},
            [AGREED],
            [("A9", "hardship-weekly-cap")],
            id="but no agreed return",
        ),
        pytest.param(
            {"limits": [OWN_CAP]},
            [ASKED, AGREED],
            [("A2", "case-daily-cap")],
            id="a limit that says nothing of wishes, or an older permit, counts all",
        ),
    ],
)
def test_the_phone_counts_what_it_did_itself(
    permit: dict[str, Any], arrivals: list[dict[str, Any]], expected: list[tuple[str, str]]
) -> None:
    found = obstacles(the_permit(**permit), here(), memory=a_memory(*arrivals))

    assert said(found) == expected


@pytest.mark.parametrize(("permit", "expected"), [({"wish": "inbound"}, []), ({}, ["daily-visit-budget"])])
def test_the_phone_remembers_which_of_its_visits_served_a_wish(
    permit: dict[str, Any], expected: list[str]
) -> None:
    body = {"visit_id": "v", "assignment_id": MINE}
    memory = remember(
        NOTHING, type_="visit.started", body=body, permits=[the_permit(**permit)], at=NOON - HOUR
    )

    next_one = the_permit(assignment_id="next", limits=[{**OF_DAY, "left": 0}])
    found = obstacles(next_one, here(), memory=memory)

    assert [one.slug for one in found] == expected


def remembered(memory: Memory, type_: str, *, at: datetime = NOON, **body: Any) -> Memory:
    return remember(memory, type_=type_, body=body, permits=[the_permit()], at=at)


@pytest.mark.parametrize(
    ("reason", "case", "expected"),
    [
        ("complaint", CASE, [("D25", "stopped-by-own-report")]),
        ("identity_disputed", "another case", [("D4", "stopped-by-own-report")]),
        ("amount_disputed", CASE, [("D11", "stopped-by-own-report")]),
        ("amount_disputed", "another case", []),
    ],
)
def test_a_stop_that_was_reported_at_the_door_counts_before_the_office_knows(
    reason: str, case: str, expected: list[tuple[str, str]]
) -> None:
    memory = remembered(NOTHING, "hold.requested", case_id=CASE, reason=reason, text="x")

    found = obstacles(the_permit(case_id=case), here(), memory=memory)

    assert said(found) == expected


def test_a_complaint_on_a_visit_stops_its_debtor() -> None:
    memory = remembered(NOTHING, "visit.started", visit_id="v1", assignment_id=MINE, at=NOON - HOUR)
    memory = remembered(memory, "complaint.raised", visit_id="v1", text="x")

    found = obstacles(the_permit(assignment_id="next", case_id="another", limits=[]), here(), memory=memory)

    assert said(found) == [("D25", "stopped-by-own-report")]


def test_a_permit_that_was_issued_after_the_stop_is_the_offices_own_decision() -> None:
    memory = remembered(NOTHING, "hold.requested", case_id=CASE, reason="complaint", at=NOON - 3 * HOUR)

    assert obstacles(the_permit(issued_at=at(-2)), here(), memory=memory) == ()


def test_what_was_long_ago_is_forgotten() -> None:
    later = NOON + 46 * 24 * HOUR
    memory = remembered(NOTHING, "visit.started", visit_id="v", assignment_id=MINE)
    memory = remembered(memory, "visit.started", visit_id="w", assignment_id="x", at=later)

    settled = settle(memory, by=later)

    assert [one["visit_id"] for one in settled["arrivals"]] == ["w"]


def test_phone_and_office_know_the_same_stops_and_scopes() -> None:
    assert set(RULE_OF_STOP) == set(HOLD_REASONS)
    assert {reason for reason, scope in HOLD_SCOPE_OF_REASON.items() if scope == "debtor"} == STOPS_THE_DEBTOR


# The same on a phone.


def test_an_arrival_outlives_the_assignment_it_was_made_under(phone: Phone, hands: Hands) -> None:
    deliver(phone, the_permit())
    first = the_one(phone)
    phone.start_visit(first, team=BOTH, position=None)
    phone.outbox.apply([Change("staff:1", "assignment", first.id, "remove", 2, None)], cursor="d", seen={})
    deliver(phone, the_permit(permit_id="next"))
    hands.pass_by(timedelta(minutes=30))

    found = phone.before_the_door(the_one(phone), team=BOTH)

    assert said(found) == [("A3", "daily-visit-budget")]


def test_a_visit_that_the_feed_removed_is_no_longer_entered(phone: Phone) -> None:
    deliver(phone, the_permit())
    held = the_one(phone)
    phone.outbox.apply([Change("staff:1", "assignment", held.id, "remove", 2, None)], cursor="d", seen={})

    found = phone.before_the_door(held, team=BOTH)

    assert said(found) == [("A7", "assignment-taken-back")]
    assert phone.may_enter_now(held, team=BOTH) == ["the office took the visit back"]


def test_turning_back_is_recorded_with_its_rules(phone: Phone) -> None:
    deliver(phone, the_permit())
    held = the_one(phone)

    phone.turn_back(held, phone.before_the_door(held, team=[PARTNER]))

    item = read_item(phone.outbox.next_batch(1)[0].envelope.payload)
    assert item.type == "assignment.declined"
    assert item.body["assignment_id"] == str(held.id)
    assert item.body["reason"] == "turned back at the door: X1 team-differs, X1 lead-missing"
    assert item.body["obstacles"][0] == {"rule": "X1", "slug": "team-differs"}


def test_what_a_phone_knew_it_still_knows_after_a_restart(phone: Phone, hands: Hands, tmp_path: Path) -> None:
    deliver(phone, the_permit())
    phone.record("hold.requested", {"case_id": CASE, "reason": "complaint", "text": "x"})
    phone.close()

    again = Phone(tmp_path, clocks=hands.clocks())

    assert said(again.before_the_door(the_one(again), team=BOTH)) == [("D25", "stopped-by-own-report")]
    again.close()


def test_a_wall_clock_that_was_years_ahead_makes_a_phone_forget_nothing_and_bars_no_door_for_years(
    phone: Phone, hands: Hands
) -> None:
    deliver(phone, the_permit())
    phone.record("hold.requested", {"case_id": CASE, "reason": "complaint", "text": "x"})
    hands.wall += timedelta(days=5 * 365)
    phone.record("hold.requested", {"case_id": "another", "reason": "amount_disputed", "text": "x"})
    hands.wall = NOON
    assert said(phone.before_the_door(the_one(phone), team=BOTH)) == [("D25", "stopped-by-own-report")]

    office = FakeOffice(key=OFFICE)
    office.time = NOON + HOUR / 2
    with office.client() as http:
        phone.sync(http)  # it brings the time
    memory = phone.outbox.fact("door")
    later = the_permit(case_id="another", debtor_id="d2", issued_at=at(0.6))

    assert said(obstacles(later, here(), memory=memory)) == []  # the office knew when it sealed this
