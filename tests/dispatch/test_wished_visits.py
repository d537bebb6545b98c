"""A visit the debtor asked for stands beside the others, in whatever order anybody hears of them."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db, transaction
from server.models.cases import Case, Debtor
from server.models.dispatch import Assignment
from server.models.visits import Visit
from server.rules import pack as packs
from server.workflows import assignments
from server.workflows.dispatch import VisitRefused, assign, reassign
from server.workflows.eligibility import which_cases
from tests.api.test_imports_effects import imported, row
from tests.audit.test_out_of_order import catch_up, found
from tests.builders import a_ledger_entry, a_visitor
from tests.dispatch.reading import slots_of
from tests.office import NOW, Door, Office, Stopped, a_door, a_team, a_wish, china
from tests.phones import Watch, a_phone
from tests.phones import office as connection

HOUSE = packs.load("cn.house", NOW.date())
PREGNANT = ("pregnancy",)


def a_word(door: Door, **more: Any) -> UUID:
    """The debtor called and asked for a visit."""
    said = {"channel": "inbound", "at": NOW, "asks_for_visit": True} | more
    return a_ledger_entry(door.case, **said).id


def ending(one: Assignment) -> tuple[str, str]:
    db.session.rollback()
    stored = db.session.get_one(Assignment, one.id, populate_existing=True)
    return stored.state, stored.ended_reason


def grant(office: Office, door: Door, *starts: str, evidence: UUID | None = None) -> list[Assignment]:
    """Grant visits, each to a team of its own."""
    wishes = [a_wish(door, *a_team(), start=start, evidence=evidence) for start in starts]
    return [assign(wish, actor=office.actor(), now=NOW) for wish in wishes]


class Field:
    """An office whose clock is turned, and a team with its phone."""

    def __init__(self, app: Flask, office: Office, folder: Path) -> None:
        self.app, self.office, self.at = app, office, NOW
        self.team = (a_visitor(), a_visitor())
        self.phone = a_phone(self.team[0], folder, watch=Watch(real=lambda: self.at))

    def turn(self, at: str) -> datetime:
        self.at = china(at)
        self.app.extensions["clock"] = Stopped(at=self.at)
        return self.at

    def grant(self, door: Door, start: str, *, evidence: UUID | None = None) -> Assignment:
        wish = a_wish(door, *self.team, start=start, evidence=evidence)
        return assign(wish, actor=self.office.actor(), now=self.at)

    def sync(self) -> None:
        with connection(self.app) as http:
            self.phone.sync(http)

    def visit(self, one: Assignment) -> list[str]:
        """Ask the phone whether to knock, and knock whatever it says; return what it said."""
        ids = [member.id for member in self.team]
        (held,) = [held for held in self.phone.today() if held.id == one.id]
        said = [obstacle.slug for obstacle in self.phone.before_the_door(held, team=ids)]
        self.phone.start_visit(held, team=ids, position=None)
        return said


@pytest.fixture
def field(app: Flask, office: Office, tmp_path: Path) -> Iterator[Field]:
    field = Field(app, office, tmp_path)
    yield field
    field.phone.close()


# The wish makes room for its own visit, and takes none from the others.


@pytest.mark.parametrize(
    ("hardship", "unasked"),
    [((), ["2026-11-25 18:00", "2026-11-25 10:00"]), (PREGNANT, ["2026-11-27 10:00"])],
    ids=["a third of the day", "a second of the week"],
)
def test_a_balance_file_leaves_what_the_debtors_wish_made_room_for(
    app: Flask, office: Office, hardship: tuple[str, ...], unasked: Sequence[str]
) -> None:
    door = a_door(hardship=hardship)
    granted = grant(office, door, *unasked)
    granted += grant(office, door, "2026-11-25 14:00", evidence=a_word(door))

    imported(app, office, row(Case, door.case, outstanding="8000", balance_as_of="2026-11-22"))

    assert [ending(one) for one in granted] == [("issued", "")] * len(granted)


def test_a_day_holds_two_visits_beside_the_wished_one_also_when_that_was_granted_first(
    office: Office,
) -> None:
    """It took the first slot, which needs no evidence; it moves to the one that does."""
    door = a_door(hardship=PREGNANT)
    a_ledger_entry(door.case, channel="visit", at=china("2026-11-19 09:00"))
    grant(office, door, "2026-11-24 10:00", evidence=a_word(door))
    with transaction() as session:
        session.get_one(Debtor, door.case.debtor_id).hardship = []

    grant(office, door, "2026-11-24 12:00", "2026-11-24 14:00")

    assert [slot for _, slot in slots_of(door)] == [1, 2, 3]
    with pytest.raises(VisitRefused, match="A3"):
        grant(office, door, "2026-11-24 16:00", evidence=a_word(door))


def test_a_return_that_was_agreed_makes_no_room_in_a_week_of_hardship(office: Office) -> None:
    """A9 knows only the debtor's own call; A3 also what was agreed at the door."""
    door = a_door(hardship=PREGNANT)
    grant(office, door, "2026-11-24 10:00")
    agreed = a_word(door, channel="visit", at=china("2026-11-16 09:00"), visit_on=date(2026, 11, 24))

    with pytest.raises(VisitRefused, match="A9"):
        grant(office, door, "2026-11-24 14:00", evidence=agreed)


def test_the_list_of_cases_counts_the_wished_visit_apart(office: Office) -> None:
    door = a_door()
    grant(office, door, "2026-11-24 18:00", "2026-11-24 10:00")
    (third,) = grant(office, door, "2026-11-24 14:00", evidence=a_word(door))
    (first, *_) = db.session.scalars(sa.select(Assignment).order_by(Assignment.id))
    assignments.cancel(first.id, reason="x", actor=office.actor(), now=NOW)
    day = date(2026, 11, 24)

    (answer,) = which_cases(day=day, now=NOW, pack=HOUSE, case_ids=[door.case.id])

    assert (answer.status, answer.budget_left) == ("may", 1)
    assert assignments.budget_of(door.case.id, day=day, now=NOW).left == 1
    assert third.evidence_entry_id is not None


def test_the_visit_after_the_wished_one_is_within_the_budget_at_the_door_and_afterwards(
    app: Flask, field: Field
) -> None:
    """The evening's permit was issued before anybody knew of the wish."""
    door = a_door()
    evening = field.grant(door, "2026-11-24 18:00")
    morning = field.grant(door, "2026-11-24 10:00")
    wished = field.grant(door, "2026-11-24 14:00", evidence=a_word(door))
    said: list[str] = []
    for hour, one in ((8, None), (10, morning), (14, wished), (18, evening)):
        field.turn(f"2026-11-24 {hour:02}:10")
        said += [] if one is None else field.visit(one)
        field.sync()
    catch_up(app)

    assert said == []
    assert found("daily-visit-budget") == {}


# The wish stays with its visit.


def test_a_visit_the_debtor_asked_for_stays_when_it_comes_to_need_the_wish(
    app: Flask, office: Office
) -> None:
    door = a_door(hardship=PREGNANT)
    wish = a_word(door)
    (granted,) = grant(office, door, "2026-11-24 10:00", evidence=wish)
    assert granted.evidence_entry_id is None
    a_ledger_entry(door.case, channel="visit", at=NOW)  # another agency's, learned of later

    imported(app, office, row(Case, door.case, outstanding="8000", balance_as_of="2026-11-22"))

    assert ending(granted) == ("issued", "")
    assert db.session.get_one(Assignment, granted.id).evidence_entry_id == wish
    with pytest.raises(VisitRefused, match="A9"):
        grant(office, door, "2026-11-25 10:00", evidence=wish)


def test_of_two_visits_that_one_wish_was_named_for_only_one_can_come_to_need_it(
    app: Flask, office: Office
) -> None:
    door = a_door()
    wish = a_word(door)
    granted = grant(office, door, "2026-11-23 14:00", "2026-11-23 16:00", evidence=wish)
    for hour in ("08:10", "08:40"):
        a_ledger_entry(door.case, channel="visit", at=china(f"2026-11-23 {hour}"))

    imported(app, office, row(Case, door.case, outstanding="8000", balance_as_of="2026-11-22"))

    assert sorted(ending(one) for one in granted) == [
        ("cancelled", "no longer allowed: A3 daily-visit-budget"),
        ("issued", ""),
    ]


def test_a_wish_whose_visit_was_taken_back_in_time_is_free_again(office: Office) -> None:
    door = a_door()
    wish = a_word(door)
    grant(office, door, "2026-11-24 10:00", "2026-11-24 12:00", "2026-11-25 10:00", "2026-11-25 12:00")
    (third,) = grant(office, door, "2026-11-24 14:00", evidence=wish)

    assignments.cancel(third.id, reason="x", actor=office.actor(), now=NOW)

    (again,) = grant(office, door, "2026-11-25 14:00", evidence=wish)
    assert again.evidence_entry_id == wish


@pytest.fixture
def taken_back(app: Flask, field: Field) -> tuple[Door, UUID]:
    """Two visits and a wished third took place; the phone had not heard that the third was cancelled."""
    door = a_door()
    wish = a_word(door)
    one, two = (field.grant(door, f"2026-11-24 {hour}:00") for hour in (10, 12))
    wished = field.grant(door, "2026-11-24 14:00", evidence=wish)
    for hour, visit in ((8, None), (10, one), (12, two), (14, wished)):
        at = field.turn(f"2026-11-24 {hour:02}:10")
        if visit is wished:
            assignments.cancel(wished.id, reason="x", actor=field.office.actor(), now=at)
        said = [] if visit is None else field.visit(visit)
        assert said == []
        field.sync()
    catch_up(app)
    return door, wish


def test_who_could_not_know_that_a_wished_visit_was_taken_back_is_not_blamed(
    taken_back: tuple[Door, UUID],
) -> None:
    assert found("daily-visit-budget") == {}


def test_a_wish_served_although_its_visit_was_taken_back_is_spent(
    office: Office, field: Field, taken_back: tuple[Door, UUID]
) -> None:
    door, wish = taken_back
    for hour in (10, 12):
        field.grant(door, f"2026-11-25 {hour}:00")

    with pytest.raises(VisitRefused, match="A3"):
        field.grant(door, "2026-11-25 14:00", evidence=wish)
    (answer,) = which_cases(day=date(2026, 11, 25), now=field.at, pack=HOUSE, case_ids=[door.case.id])
    assert answer.status == "blocked"


def test_when_the_old_team_served_the_wish_the_new_one_is_not_sent(app: Flask, field: Field) -> None:
    door = a_door()
    one, two = (field.grant(door, f"2026-11-24 {hour}:00") for hour in (10, 12))
    wished = field.grant(door, "2026-11-24 14:00", evidence=a_word(door))
    field.turn("2026-11-24 08:10")
    field.sync()
    ids = tuple(member.id for member in a_team())
    moved = reassign(wished.id, team=ids, lead=ids[0], reason="x", actor=field.office.actor(), now=field.at)
    assert moved.evidence_entry_id == wished.evidence_entry_id

    for hour, visit in ((10, one), (12, two), (14, wished)):
        field.turn(f"2026-11-24 {hour}:10")
        field.visit(visit)
    field.sync()
    catch_up(app)

    assert ending(moved) == ("cancelled", "no longer allowed: A3 daily-visit-budget")
    assert found("daily-visit-budget") == {}


def test_a_wish_that_comes_to_be_needed_after_its_visit_serves_it_and_no_second_one(
    app: Flask, field: Field
) -> None:
    door = a_door()
    wish = a_word(door)
    first, second = (field.grant(door, f"2026-11-24 {hour}:00", evidence=wish) for hour in (12, 14))
    field.turn("2026-11-24 08:10")
    field.sync()
    for hour, visit in ((12, first), (14, second)):
        field.turn(f"2026-11-24 {hour}:10")
        field.visit(visit)
    for hour in ("09:00", "10:00"):
        a_ledger_entry(door.case, channel="visit", at=china(f"2026-11-24 {hour}"))  # another agency's

    field.sync()
    catch_up(app)

    of = {row.id: row.assignment_id for row in db.session.scalars(sa.select(Visit))}
    assert [of[visit_id] for visit_id in found("daily-visit-budget")] == [second.id]


def test_a_wish_for_a_day_far_ahead_is_found_on_that_day(office: Office) -> None:
    door = a_door(balance_as_of=date(2026, 11, 20))
    said = china("2026-11-04 10:00")
    named = a_word(door, at=said, visit_on=date(2026, 12, 30))
    unnamed = a_word(door, at=said)
    grant(office, door, "2026-12-30 08:00", "2026-12-30 10:00")
    day = date(2026, 12, 30)

    (answer,) = which_cases(day=day, now=NOW, pack=HOUSE, case_ids=[door.case.id])

    assert answer.evidence_entry_id == named
    with pytest.raises(VisitRefused, match="A3"):
        grant(office, door, "2026-12-30 14:00", evidence=unnamed)
    (third,) = grant(office, door, "2026-12-30 14:00", evidence=named)
    assert third.evidence_entry_id == named
