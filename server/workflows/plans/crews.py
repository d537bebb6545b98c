"""Who of the asked teams may go, and when and where are they taken already?"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from server.bulk import any_of
from server.database import db
from server.models.cases import Address
from server.models.dispatch import Assignment
from server.planning.problem import Appointment, Member, Point, Stretch, Team
from server.planning.teams import fault_of
from server.rules.availability import visitor_day
from server.rules.facts import MemberFact, Span
from server.rules.local_time import ONE_DAY, at_local
from server.rules.pack import RulePack
from server.workflows.case_facts import load_members
from server.workflows.plans.asking import Asked, AskedTeam

FOR_EVER: Final = timedelta(days=3_650)
ONE_MINUTE: Final = timedelta(minutes=1)
Places = Mapping[UUID | None, Appointment]


def load_teams(
    asked: Asked, *, begins: datetime, now: datetime, packs: Sequence[RulePack]
) -> tuple[Team, ...]:
    """Return the teams as the planner sees them: five statements for any number of them.

    The first of `packs` says who is qualified; the others are the clients', some of which may ask for more.
    """
    base, *others = {pack.ident: pack for pack in packs}.values()
    ids = [staff_id for team in asked.teams for staff_id in team.members]
    people = {member.id: member for member in load_members(ids, since=begins - ONE_DAY)}
    places = _load_places(people.values(), after=max(begins, now), before=begins + ONE_DAY)
    teams: list[Team] = []
    for no, wanted in enumerate(asked.teams):
        facts = [people[staff_id] for staff_id in wanted.members if staff_id in people]
        team = _team(no, wanted, facts, places, asked=asked, zone=base.zone)
        as_seen = {
            pack.ident: replace(team, members=_members(facts, places, asked=asked, now=now, pack=pack))
            for pack in (base, *others)
        }
        barred = frozenset(ident for ident, seen in as_seen.items() if fault_of(seen) is not None)
        teams.append(replace(as_seen[base.ident], barred=barred))
    return tuple(teams)


def _load_places(people: Iterable[MemberFact], *, after: datetime, before: datetime) -> Places:
    """Return the visits of that day which they are assigned to, those without a point left out."""
    ids = {
        span.assignment_id
        for member in people
        for span in member.taken
        if span.assignment_id is not None and after <= span.start < before
    }
    rows = db.session.execute(
        sa.select(
            Assignment.id, Assignment.window_start, Assignment.window_end, Address.latitude, Address.longitude
        )
        .join(Address, Address.id == Assignment.address_id)
        .where(any_of(Assignment.id, "ids"), Address.latitude.is_not(None), Address.longitude.is_not(None)),
        {"ids": list(ids)},
    )
    return {row.id: Appointment(row[1], row[2], Point(row.latitude, row.longitude)) for row in rows}


def _team(
    no: int,
    wanted: AskedTeam,
    people: Sequence[MemberFact],
    places: Places,
    *,
    asked: Asked,
    zone: ZoneInfo,
) -> Team:
    """Return a team without its members."""

    def on_the_day(hours: tuple[time, time]) -> Stretch:
        return at_local(asked.day, hours[0], zone), at_local(asked.day, hours[1], zone)

    known = {span.assignment_id for member in people for span in member.taken} & set(places)
    return Team(
        no=no,
        members=(),
        lead=wanted.lead,
        works=on_the_day(wanted.works),
        start=wanted.start,
        end=wanted.end,
        breaks=tuple(map(on_the_day, wanted.breaks)),
        appointments=tuple(sorted((places[one] for one in known), key=lambda one: (one.start, one.end))),
        most_stops=wanted.most_stops,
    )


def _members(
    people: Sequence[MemberFact], places: Places, *, asked: Asked, now: datetime, pack: RulePack
) -> tuple[Member, ...]:
    days = (visitor_day(member, day=asked.day, now=now, pack=pack) for member in people)
    return tuple(
        Member(
            id=member.id,
            can_lead=day.can_lead,
            is_qualified=day.is_qualified,
            is_trainee=day.is_trainee,
            taken=tuple(_taken(member, places)),
        )
        for member, day in zip(people, days, strict=True)
    )


def _taken(member: MemberFact, places: Places) -> Iterator[Stretch]:
    """Leave, training, visits at a place nobody knows; and everything after the person left (G15)."""
    spans: Iterable[Span] = (span for span in member.taken if span.assignment_id not in places)
    yield from ((span.start, span.end) for span in spans)
    if member.left_at is not None:
        yield member.left_at - ONE_MINUTE, member.left_at + FOR_EVER
