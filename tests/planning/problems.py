"""Days to plan: builders that say the fact that matters, and strategies that say anything."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from server.planning.problem import (
    Appointment,
    Candidate,
    Member,
    Point,
    Problem,
    Stopped,
    Stretch,
    Team,
    TravelModel,
)

BEGINS = datetime(2026, 11, 23, 16, tzinfo=UTC)
"""Midnight of 24 November 2026 in China."""
CENTRE = Point(39.9, 116.4)
KM_NORTH = 0.009


def at(clock: str) -> datetime:
    """An instant of the day, by its local clock."""
    hours, minutes = map(int, clock.split(":"))
    return BEGINS + timedelta(hours=hours, minutes=minutes)


def between(begin: str, end: str) -> Stretch:
    """A stretch of the day."""
    return at(begin), at(end)


def north(km: float) -> Point:
    """A place some (nearly exact) kilometres north of the centre."""
    return Point(CENTRE.latitude + km * KM_NORTH, CENTRE.longitude)


def a_member(number: int, **facts: Any) -> Member:
    return Member(**({"id": UUID(int=number), "can_lead": True, "is_qualified": True} | facts))


def a_team(no: int = 0, *, size: int = 2, **facts: Any) -> Team:
    """A qualified team that works from 9 to 18, starting in the centre; its first member leads."""
    members = tuple(a_member(1000 * (no + 1) + number) for number in range(size))
    defaults = {
        "members": members,
        "lead": members[0].id if members else UUID(int=0),
        "works": between("9:00", "18:00"),
        "start": CENTRE,
    }
    return Team(no=no, **(defaults | facts))


def a_candidate(number: int, **facts: Any) -> Candidate:
    """A case of a debtor of its own, in the centre, that may be visited for 30 minutes from 8 to 21."""
    defaults = {
        "case_id": UUID(int=number),
        "debtor_id": UUID(int=10_000 + number),
        "point": CENTRE,
        "opens": at("8:00"),
        "latest_start": at("20:00"),
        "closes": at("21:00"),
        "minutes": 30,
        "budget_left": 2,
    }
    return Candidate(**(defaults | facts))


def a_day(*candidates: Candidate, teams: tuple[Team, ...] | None = None, **facts: Any) -> Problem:
    """A day on which one team may visit these; asked about the evening before."""
    teams = (a_team(),) if teams is None else teams
    defaults: dict[str, Any] = {
        "begins": BEGINS,
        "ends": BEGINS + timedelta(days=1),
        "now": BEGINS - timedelta(hours=4),
    }
    return Problem(teams=teams, candidates=candidates, **(defaults | facts))


minutes_of_day = st.integers(0, 24 * 60).map(lambda minute: BEGINS + timedelta(minutes=minute))
points = st.builds(
    lambda east, northward: Point(39.9 + northward / 100, 116.4 + east / 100),
    st.integers(-12, 12),
    st.integers(-12, 12),
)


@st.composite
def stretches(draw: st.DrawFn, *, longest: int = 600) -> Stretch:
    begin = draw(minutes_of_day)
    return begin, begin + timedelta(minutes=draw(st.integers(1, longest)), seconds=draw(st.integers(0, 59)))


@st.composite
def teams(draw: st.DrawFn, no: int) -> Team:
    lead = Member(UUID(int=1000 * (no + 1)), draw(st.booleans()) or draw(st.booleans()), True)
    others = tuple(
        Member(
            UUID(int=1000 * (no + 1) + number),
            can_lead=False,
            is_qualified=draw(st.integers(0, 4)) > 0,
            is_trainee=draw(st.booleans()),
            taken=tuple(draw(st.lists(stretches(longest=200), max_size=2))),
        )
        for number in range(1, draw(st.integers(1, 3)))
    )
    appointments = (
        Appointment(start, start + timedelta(minutes=draw(st.integers(10, 90))), draw(points))
        for start in draw(st.lists(minutes_of_day, max_size=2))
    )
    return Team(
        no=no,
        members=(lead, *others),
        lead=lead.id,
        works=draw(stretches(longest=900)),
        start=draw(points),
        end=draw(st.none() | points),
        breaks=tuple(draw(st.lists(stretches(longest=90), max_size=2))),
        appointments=tuple(appointments),
        most_stops=draw(st.none() | st.integers(1, 4)),
        barred=draw(st.sampled_from([frozenset[str](), frozenset[str](), frozenset({"strict"})])),
    )


@st.composite
def candidates(draw: st.DrawFn, number: int) -> Candidate:
    opens, closes = draw(stretches(longest=900))
    a_rule = st.builds(Stopped, st.sampled_from(["A3", "D18"]), st.just("x"))
    return Candidate(
        case_id=UUID(int=number),
        debtor_id=UUID(int=10_000 + draw(st.integers(0, number))),
        point=draw(points | points | points | st.none()),
        opens=opens,
        latest_start=draw(st.just(closes) | minutes_of_day),
        closes=closes,
        minutes=draw(st.sampled_from([5, 30, 45, 90])),
        due_at=draw(st.none() | st.integers(-20, 500).map(lambda hours: BEGINS + timedelta(hours=hours))),
        blocked=draw(st.none() | st.none() | st.none() | a_rule),
        approval=draw(st.none() | st.none() | st.none() | a_rule),
        is_hardship=draw(st.integers(0, 4)) == 0,
        budget_left=draw(st.sampled_from([0, 1, 1, 2, 2])),
        team_min=draw(st.sampled_from([1, 1, 1, 2])),
        team_max=draw(st.sampled_from([1, 2, 2, 2])),
        pack=draw(st.sampled_from(["", "", "strict"])),
    )


@st.composite
def problems(draw: st.DrawFn, *, most_candidates: int = 14) -> Problem:
    return a_day(
        *(draw(candidates(number)) for number in range(draw(st.integers(0, most_candidates)))),
        teams=tuple(draw(teams(no)) for no in range(draw(st.integers(0, 3)))),
        travel=TravelModel(draw(st.sampled_from([5.0, 15.0, 40.0])), draw(st.integers(0, 10))),
        now=draw(st.just(BEGINS - timedelta(hours=1)) | minutes_of_day),
        with_approval=draw(st.booleans()),
    )
