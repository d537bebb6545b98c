"""After the fact: whatever order reports arrive in, what counts is when people knocked and what they knew."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db
from server.jobs import run_worker
from server.models.findings import Finding
from server.workflows.exchange.overdue import apply_overdue_items
from sync.client import Report
from sync.phone import Phone
from tests.builders import a_visitor, an_assignment
from tests.office import Door, Office, Stopped, a_door, china
from tests.phones import Watch, a_phone
from tests.phones import office as connection
from tests.pushing import begin, push, waiting

MORNING = china("2026-11-24 08:30")
KNOCKS = [china(f"2026-11-24 {hour}:00") for hour in (10, 12, 14)]
EVENING = china("2026-11-24 18:00")
ORDERS = list(permutations(range(3)))


class Day:
    """Three teams with a visit each to one debtor; every clock is turned by hand."""

    def __init__(self, app: Flask, office: Office, folder: Path, stack: ExitStack) -> None:
        self.app, self.office = app, office
        self.door: Door = a_door()
        self.at = MORNING
        people = [a_visitor() for _ in KNOCKS]
        watch = Watch(real=lambda: self.at)
        self.phones = [a_phone(one, folder / str(one.no), watch=watch) for one in people]
        for phone in self.phones:
            stack.callback(phone.close)
        self.assignments = [
            an_assignment(self.door.case, self.door.address, one, start=knock).id
            for one, knock in zip(people, KNOCKS, strict=True)
        ]
        self.turn_to(MORNING)
        for phone in self.phones:
            self.pull(phone)

    def turn_to(self, at: datetime) -> None:
        self.at = at
        self.app.extensions["clock"] = Stopped(at=at)

    def pull(self, phone: Phone) -> None:
        with connection(self.app) as http:
            phone.connect(http).pull(Report())

    def knock(self, which: int) -> UUID:
        self.turn_to(KNOCKS[which])
        return begin(self.phones[which], self.assignments[which])

    def report(self, order: Sequence[int]) -> Iterator[int]:
        """One phone after the other comes back and the worker catches up."""
        self.turn_to(EVENING)
        for which in order:
            with connection(self.app) as http:
                self.phones[which].connect(http).push(Report())
            catch_up(self.app)
            yield which


def catch_up(app: Flask) -> None:
    """Have the worker do all that is due."""
    while _is_work_due():
        run_worker(app, until_idle=True)


def _is_work_due() -> bool:
    """Whether jobs wait: one that is just finishing may have left others behind."""
    db.session.rollback()
    due = sa.text(
        "SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'"
        " AND (scheduled_at IS NULL OR scheduled_at <= now())"
    )
    return bool(db.session.scalar(due))


@pytest.fixture
def day(app: Flask, office: Office, tmp_path: Path) -> Iterator[Day]:
    with ExitStack() as stack:
        yield Day(app, office, tmp_path, stack)


def found(check: str) -> dict[UUID, tuple[str, dict[str, Any]]]:
    """The findings of one check that stand, by visit."""
    rows = db.session.scalars(sa.select(Finding).where(Finding.check == check, Finding.state != "superseded"))
    return {row.visit_id: (row.severity, row.observation) for row in rows}


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join("ABC"[n] for n in order))
def test_the_third_knock_of_the_day_is_the_one_too_many(day: Day, order: tuple[int, ...]) -> None:
    visits = [day.knock(which) for which in range(3)]

    counts = [len(found("daily-visit-budget")) for _ in day.report(order)]

    standing = found("daily-visit-budget")
    assert counts == [0, 0, 1]
    assert set(standing) == {visits[2]}
    severity, observation = standing[visits[2]]
    assert (severity, observation["certainty"], observation["earlier_visits"]) == ("severe", "certain", 2)


def test_a_visit_whose_check_in_comes_last_of_all_counts_among_the_others(day: Day) -> None:
    """It was shown without its check-in, and nobody knew whose debtor it was."""
    visits = [day.knock(which) for which in range(3)]
    day.phones[0].record("visit.ended", {"visit_id": str(visits[0]), "position": None})
    check_in, *others = waiting(day.phones[0])
    push(day.app, day.phones[0], others)
    list(day.report([1, 2]))
    day.turn_to(EVENING + timedelta(days=5, minutes=1))
    apply_overdue_items(now=day.at)
    catch_up(day.app)
    assert found("daily-visit-budget") == {}

    push(day.app, day.phones[0], [check_in])
    catch_up(day.app)

    assert set(found("daily-visit-budget")) == {visits[2]}


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: "".join("ABC"[n] for n in order))
def test_who_knew_of_a_hold_is_told_from_who_could_not(day: Day, order: tuple[int, ...]) -> None:
    """A knocked before the complaint, B after hearing of it at 11:30, C offline since the morning."""
    before = day.knock(0)
    day.turn_to(china("2026-11-24 11:00"))
    complaint = {"reason": "complaint", "note": "on the phone"}
    held = day.office.ask(f"/cases/{day.door.case.id}/holds", complaint, by=Role.SUPERVISOR)
    assert held.status_code == 201
    day.turn_to(china("2026-11-24 11:30"))
    day.pull(day.phones[1])
    assert day.phones[1].today() == []
    knowing, unaware = day.knock(1), day.knock(2)

    for _ in day.report(order):
        assert before not in found("visited-under-hold")

    standing = found("visited-under-hold")
    assert {visit: severity for visit, (severity, _) in standing.items()} == {
        knowing: "severe",
        unaware: "note",
    }
    assert standing[knowing][1]["known_before_arrival"] is True
    assert standing[unaware][1]["known_before_arrival"] is False
