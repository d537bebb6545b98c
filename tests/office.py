"""A dispatch office on a known day: Monday 23 November 2026, 10:00 in China, with its calendar.

`an_office(app)` stops the app's clock there, so that these stories end the same on every day they are run.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from flask import Flask
from werkzeug.test import TestResponse

from server.authority import Actor, Role
from server.clock import Clock
from server.models.cases import Address, Case
from server.models.people import Staff
from server.workflows.calendar import Kind, publish_year
from server.workflows.dispatch import WantedVisit
from tests.builders import (
    Person,
    a_case,
    a_handset,
    a_ledger_entry,
    a_person,
    a_token,
    a_visitor,
    an_address,
)

CHINA = ZoneInfo("Asia/Shanghai")


def china(text: str) -> datetime:
    """Read a China time such as "2026-11-24 09:00" as an instant."""
    return datetime.fromisoformat(text).replace(tzinfo=CHINA).astimezone(UTC)


NOW = china("2026-11-23 10:00")


@dataclass(frozen=True, slots=True)
class Stopped(Clock):
    """A clock that shows one instant."""

    at: datetime = NOW

    def now(self) -> datetime:
        return self.at


@dataclass
class Office:
    """The office's people and its doors."""

    app: Flask
    people: dict[Role, Person] = field(default_factory=dict)

    def person(self, role: Role) -> Person:
        """The one person of this role, signed in for as long as any test asks."""
        if role not in self.people:
            staff = a_person(role)
            token = a_token(staff.id, lasts=timedelta(days=36_500))
            self.people[role] = Person(staff=staff, token=token, browser=self.app.test_client())
        return self.people[role]

    def actor(self, role: Role = Role.DISPATCHER) -> Actor:
        """The same person, for workflows."""
        return Actor(staff_id=self.person(role).staff.id, roles=frozenset({role}))

    def ask(self, path: str, body: dict[str, Any], *, by: Role = Role.DISPATCHER) -> TestResponse:
        """Post as somebody."""
        return self.person(by).post(f"/api/v1{path}", json=body)


def an_office(app: Flask) -> Office:
    """Stop the clock and publish the calendar of 2026."""
    app.extensions["clock"] = Stopped()
    days: dict[date, tuple[Kind, str]] = {date(2026, 10, 10): ("makeup", "")}
    for day in range(1, 8):
        days[date(2026, 10, day)] = ("holiday", "National Day")
    publish_year(2026, days=days, notice="a test", now=NOW)
    return Office(app)


@dataclass(frozen=True, slots=True)
class Door:
    """A case that may be visited, with its verified address."""

    case: Case
    address: Address


def a_door(**facts: Any) -> Door:
    """A case whose calls, letter and balance are in order on the office's day."""
    facts = {"balance_as_of": date(2026, 11, 20), **facts}
    case = a_case(**facts)
    for day in ("2026-10-12 10:00", "2026-10-14 10:00"):
        a_ledger_entry(case, channel="call", at=china(day))
    a_ledger_entry(case, channel="letter", at=china("2026-10-15 10:00"), received_on=date(2026, 10, 17))
    return Door(case, an_address(case))


def a_team(size: int = 2) -> tuple[Staff, ...]:
    """Qualified visitors; the first, who leads, carries a phone."""
    team = tuple(a_visitor() for _ in range(size))
    a_handset(team[0])
    return team


def a_wish(
    door: Door, *team: Staff, start: str = "2026-11-24 10:00", hours: float = 1, evidence: UUID | None = None
) -> WantedVisit:
    """A wanted visit, for workflows."""
    begins = china(start)
    ids = tuple(member.id for member in team)
    return WantedVisit(
        case_id=door.case.id,
        address_id=door.address.id,
        window_start=begins,
        window_end=begins + timedelta(hours=hours),
        team=ids,
        lead=ids[0],
        evidence_entry_id=evidence,
    )


def a_body(
    door: Door, *team: Staff, start: str = "2026-11-24 10:00", hours: float = 1, **more: Any
) -> dict[str, Any]:
    """The same as a request body."""
    begins = china(start)
    window = {"start": begins.isoformat(), "end": (begins + timedelta(hours=hours)).isoformat()}
    return {
        "case_id": str(door.case.id),
        "address_id": str(door.address.id),
        "window": window,
        "team": [str(member.id) for member in team],
        "lead": str(team[0].id),
        **more,
    }
