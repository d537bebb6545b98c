"""What somebody promised at the door is a promise as soon as the account that says it has arrived."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db, transaction
from server.jobs import run_worker
from server.models.cases import Client
from server.models.deadlines import Promise, PromiseEvent
from server.models.people import Staff
from server.models.visits import Account, Item, Visit
from server.workflows.dispatch import assign
from server.workflows.exchange.overdue import apply_overdue_items
from server.workflows.exchange.promised import SUPERSEDED
from server.workflows.exchange.waiting import project_items
from server.workflows.settling import CASE_CLOSED
from server.workflows.stopping import close_cases
from sync.client import Report
from sync.phone import Phone, claims_of
from sync.protocol import uuid7
from tests import phones
from tests.api.test_promises import a_line, go_on, imported, of_case
from tests.builders import a_visitor, an_assignment
from tests.dispatch.test_stopping import a_push, at_once
from tests.office import NOW, Office, Stopped, a_door, a_wish
from tests.phones import Watch, a_phone

Phones = Callable[[Staff], Phone]


@pytest.fixture
def phone_of(app: Flask, tmp_path: Path) -> Iterator[Phones]:
    """Phones whose clocks show the office's time."""
    made: list[Phone] = []

    def make(staff: Staff) -> Phone:
        made.append(a_phone(staff, tmp_path / str(staff.id), watch=Watch(real=lambda: NOW)))
        return made[-1]

    yield make
    for phone in made:
        phone.close()


def sync(app: Flask, phone: Phone) -> Report:
    """One session of a phone."""
    with phones.office(app) as http:
        report = phone.sync(http)
    db.session.rollback()
    return report


class Outing:
    """Two visitors with a phone each who are at a door; the lead has checked in."""

    def __init__(self, app: Flask, office: Office, phone_of: Phones) -> None:
        self.app, self.door, team = app, a_door(), (a_visitor(), a_visitor())
        self.lead, self.mate = phone_of(team[0]), phone_of(team[1])
        wish = a_wish(self.door, *team, start="2026-11-23 10:00")
        self.assignment = assign(wish, actor=office.actor(), now=NOW)
        self.sync(self.lead)
        (held,) = self.lead.today()
        self.visit = self.lead.start_visit(held, team=[one.id for one in team], position=None)
        self.sync(self.lead)

    def sync(self, phone: Phone) -> Report:
        return sync(self.app, phone)

    def account(
        self,
        *,
        amount: int | None,
        due: str = "2026-11-27",
        amends: UUID | None = None,
        by: Phone | None = None,
    ) -> UUID:
        """Write an account that says a promise (or none) and send it."""
        phone = by or self.lead
        promise = None if amount is None else {"amount_fen": amount, "due_on": due}
        at_the_door = {"arrived_at": NOW, "left_at": NOW, "met": "debtor", "outcome": "promise"}
        claims = claims_of(team=[phone.staff_id], promise=promise, **at_the_door)
        account = phone.write_account(self.visit, claims=claims, narrative="他说周五还。", amends=amends)
        assert self.sync(phone).stuck == []
        return account


@pytest.fixture
def outing(app: Flask, office: Office, phone_of: Phones) -> Outing:
    return Outing(app, office, phone_of)


def on_file() -> list[tuple[int, str]]:
    """Every promise in the order of writing: amount and state."""
    rows = db.session.execute(sa.select(Promise.amount_fen, Promise.state).order_by(Promise.id))
    return [(row.amount_fen, row.state) for row in rows]


def test_an_account_makes_a_promise_of_the_debtor(outing: Outing, office: Office):
    account = outing.account(amount=30_000)

    stored = db.session.scalars(sa.select(Promise)).one()
    assert (stored.case_id, stored.debtor_id) == (outing.door.case.id, outing.door.case.debtor_id)
    assert (stored.amount_fen, stored.due_on.isoformat(), stored.source) == (30_000, "2026-11-27", "phone")
    assert (stored.visit_id, stored.account_id) == (outing.visit, account)
    assert (stored.recorded_by, stored.accepted_by_client_authorisation) == (outing.lead.staff_id, "")
    visit = db.session.get_one(Visit, outing.visit)
    assert stored.made_at == visit.arrived_latest
    (shown,) = of_case(office, outing.door.case)["promises"]
    assert (shown["source"], shown["state"], shown["reference"]) == ("phone", "open", f"account:{account}")


def test_applying_it_again_writes_nothing_more(outing: Outing):
    outing.account(amount=30_000)
    with transaction() as session:
        session.execute(sa.update(Item).where(Item.type == "visit.account").values(outcome="received"))

    project_items(now=NOW)

    assert on_file() == [(30_000, "open")]


@pytest.mark.parametrize(
    ("amount", "due", "after"),
    [
        (30_000, "2026-11-27", [(30_000, "open")]),
        (20_000, "2026-11-27", [(30_000, "withdrawn"), (20_000, "open")]),
        (30_000, "2026-11-30", [(30_000, "withdrawn"), (30_000, "open")]),
        (None, "", [(30_000, "withdrawn")]),
    ],
    ids=["says the same", "another amount", "another day", "no promise after all"],
)
def test_a_later_revision_replaces_what_it_changes_and_rewrites_nothing(
    outing: Outing, amount: int | None, due: str, after: list[tuple[int, str]]
):
    first = outing.account(amount=30_000)

    outing.account(amount=amount, due=due, amends=first)

    assert on_file() == after
    reasons = [event.reason for event in db.session.scalars(sa.select(PromiseEvent))]
    assert reasons == ["a later revision of the account says otherwise"] * (after[0][1] == "withdrawn")


def test_a_revision_back_to_the_first_word_is_a_promise_of_its_own(outing: Outing):
    first = outing.account(amount=30_000)
    second = outing.account(amount=20_000, amends=first)

    outing.account(amount=30_000, amends=second)

    assert on_file() == [(30_000, "withdrawn"), (20_000, "withdrawn"), (30_000, "open")]


def test_of_two_accounts_of_a_team_one_promise_stands(outing: Outing):
    outing.account(amount=30_000)
    outing.sync(outing.mate)

    outing.account(amount=40_000, by=outing.mate)

    assert on_file() == [(30_000, "withdrawn"), (40_000, "open")]


def test_what_the_office_withdrew_stays_withdrawn_while_the_account_says_the_same(
    outing: Outing, office: Office
):
    first = outing.account(amount=30_000)
    promise = db.session.scalars(sa.select(Promise.id)).one()
    office.ask(f"/promises/{promise}/withdraw", {"reason": "the brother said it"}, by=Role.SUPERVISOR)

    outing.account(amount=30_000, amends=first)

    assert on_file() == [(30_000, "withdrawn")]


@pytest.mark.parametrize("attempt", range(3))
def test_two_phones_that_tell_of_one_visit_at_once_leave_one_promise(
    app: Flask, outing: Outing, attempt: int
):
    for phone, amount in ((outing.lead, 30_000), (outing.mate, 40_000)):
        promise = {"amount_fen": amount, "due_on": "2026-11-27"}
        at_the_door = {"arrived_at": NOW, "left_at": NOW, "met": "debtor", "outcome": "promise"}
        claims = claims_of(team=[phone.staff_id], promise=promise, **at_the_door)
        phone.write_account(outing.visit, claims=claims, narrative="")

    at_once(app, [a_push(outing.lead), a_push(outing.mate)][:: 1 if attempt % 2 else -1])

    assert [state for _, state in on_file()].count("open") == 1
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Account)) == 2


@pytest.mark.parametrize("due", ["2026-11-22", "0001-01-01", "2201-01-01", "9999-12-31"])
def test_a_promise_for_an_impossible_day_is_flagged_and_the_account_kept(outing: Outing, due: str):
    account = outing.account(amount=30_000, due=due)

    assert on_file() == []
    assert db.session.get(Account, account) is not None
    item = db.session.scalars(sa.select(Item).where(Item.type == "visit.account")).one()
    assert (item.outcome, [flag for flag in item.flags if flag.startswith("promise")]) == (
        "applied",
        ["promise_impossible"],
    )


def test_money_that_came_before_the_account_counts(app: Flask, outing: Outing, office: Office):
    imported(app, office, a_line(outing.door.case, amount="300", paid_on="2026-11-23"))

    outing.account(amount=30_000)
    run_worker(app, until_idle=True)
    db.session.rollback()

    assert on_file() == [(30_000, "kept")]


def test_a_visit_whose_case_nobody_knows_promises_nothing_to_anybody(
    app: Flask, office: Office, phone_of: Phones
):
    phone = phone_of(a_visitor())
    visit = uuid7()
    started: dict[str, Any] = {"visit_id": str(visit), "assignment_id": str(visit), "permit_id": None}
    started |= {"position": None, "team": [str(phone.staff_id)], "checklist": {}}
    phone.record("visit.started", started)
    claims = claims_of(
        arrived_at=NOW,
        left_at=NOW,
        team=[phone.staff_id],
        met="debtor",
        outcome="promise",
        promise={"amount_fen": 1, "due_on": "2026-11-27"},
    )
    phone.write_account(visit, claims=claims, narrative="")

    sync(app, phone)

    flags = db.session.scalars(sa.select(Item.flags).where(Item.type == "visit.account")).one()
    assert "promise_without_case" in flags
    assert on_file() == []


def test_what_a_stranger_says_of_a_door_is_no_promise_and_takes_none_back(
    app: Flask, outing: Outing, phone_of: Phones
):
    outing.account(amount=30_000)
    stranger = phone_of(a_visitor())
    visit = uuid7()
    started: dict[str, Any] = {"visit_id": str(visit), "assignment_id": str(outing.assignment.id)}
    started |= {"permit_id": None, "position": None, "team": [str(stranger.staff_id)], "checklist": {}}
    stranger.record("visit.started", started)
    promise = {"amount_fen": 99_000, "due_on": "2026-11-30"}
    at_the_door = {"arrived_at": NOW, "left_at": NOW, "met": "debtor", "outcome": "promise"}
    claims = claims_of(team=[stranger.staff_id], promise=promise, **at_the_door)
    stranger.write_account(visit, claims=claims, narrative="")

    outing.sync(stranger)

    assert on_file() == [(30_000, "open")]


def test_an_account_whose_check_in_comes_days_later_promises_then(
    app: Flask, office: Office, phone_of: Phones
):
    door, member = a_door(), a_visitor()
    phone = phone_of(member)
    assignment = an_assignment(door.case, door.address, member, start=NOW)
    visit = uuid7()
    promise = {"amount_fen": 30_000, "due_on": "2026-12-24"}
    at_the_door = {"arrived_at": NOW, "left_at": NOW, "met": "debtor", "outcome": "promise"}
    claims = claims_of(team=[member.id], promise=promise, **at_the_door)
    phone.write_account(visit, claims=claims, narrative="")
    sync(app, phone)
    app.extensions["clock"] = Stopped(at=NOW + timedelta(days=6))
    apply_overdue_items(now=NOW + timedelta(days=6))
    before = on_file()

    started: dict[str, Any] = {"visit_id": str(visit), "assignment_id": str(assignment.id)}
    started |= {"permit_id": None, "position": None, "team": [str(member.id)], "checklist": {}}
    phone.record("visit.started", started)
    sync(app, phone)

    assert (before, on_file()) == ([], [(30_000, "open")])


def reported(office: Office, path: str) -> list[tuple[int, int]]:
    """How many promises a report counts for each team, and their sum; its days and lines say the same."""
    bank = db.session.scalars(sa.select(Client.reference)).one()
    told = office.person(Role.SUPERVISOR).get(f"/api/v1/{path.format(bank=bank)}").get_json()
    teams = told["teams" if "teams" in told else "totals"]
    for parts in {"days", "lines"} & told.keys():
        assert sum(one["promised_fen"] for one in told[parts]) == sum(one["promised_fen"] for one in teams)
    return [(one["promises_made"], one["promised_fen"]) for one in teams]


REPORTS = pytest.mark.parametrize(
    "path",
    [
        "reports/friday",
        "reports/client?client={bank}&first=2026-11-23&last=2026-11-29",
        "work/friday-report",
    ],
    ids=["friday", "client", "screen"],
)


@REPORTS
def test_a_promise_that_an_amendment_replaced_is_not_counted_again(outing: Outing, office: Office, path: str):
    first = outing.account(amount=30_000)

    outing.account(amount=20_000, amends=first)

    assert reported(office, path) == [(1, 20_000)]


@REPORTS
def test_what_was_never_promised_is_in_no_report(outing: Outing, office: Office, path: str):
    first = outing.account(amount=30_000)
    before = reported(office, path)

    outing.account(amount=None, amends=first)

    assert (before, reported(office, path)) == ([(1, 30_000)], [])


@REPORTS
def test_what_the_office_took_back_is_in_no_report(outing: Outing, office: Office, path: str):
    outing.account(amount=30_000)
    promise = db.session.scalars(sa.select(Promise.id)).one()

    office.ask(f"/promises/{promise}/withdraw", {"reason": "the brother said it"}, by=Role.SUPERVISOR)

    assert reported(office, path) == []


@REPORTS
@pytest.mark.parametrize("is_closed", [False, True])
def test_what_was_promised_stays_counted_when_its_day_has_passed_or_its_case_was_closed(
    app: Flask, outing: Outing, office: Office, path: str, is_closed: bool
):
    outing.account(amount=30_000)
    if is_closed:
        with transaction():
            close_cases([outing.door.case.id], because="taken back", actor=office.actor(), now=NOW)

    go_on(app, "2026-11-28 00:20")

    assert on_file() == [(30_000, "withdrawn" if is_closed else "broken")]
    assert reported(office, path) == [(1, 30_000)]


@REPORTS
@pytest.mark.parametrize(("amount", "counted"), [(20_000, [(1, 20_000)]), (None, [])])
def test_an_amendment_takes_back_what_ended_with_its_case_too(
    app: Flask, outing: Outing, office: Office, path: str, amount: int | None, counted: list[Any]
):
    first = outing.account(amount=30_000)
    with transaction():
        close_cases([outing.door.case.id], because="taken back", actor=office.actor(), now=NOW)
    go_on(app, "2026-11-28 00:20")

    last = outing.account(amount=amount, amends=first)
    outing.account(amount=amount, amends=last)

    assert reported(office, path) == counted
    reasons = db.session.scalars(sa.select(PromiseEvent.reason).order_by(PromiseEvent.id)).all()
    assert reasons[:2] == [CASE_CLOSED, SUPERSEDED]
    assert reasons.count(SUPERSEDED) == 1
