"""What the office enters after a visit was granted: what that forbids is taken back, the rest stands."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from server.authority import Role
from server.database import db, transaction
from server.jobs import run_worker
from server.models.cases import Case, Debtor, LedgerEntry
from server.models.dispatch import Assignment
from server.models.escalations import Escalation
from server.models.people import Device, Staff
from server.workflows.dispatch import assign
from server.workflows.rejudging import rejudge, take_back_outdated
from tests.api.overlays import SOURCE, a_text, entered
from tests.api.test_imports_effects import imported, row
from tests.api.test_push_locks import wait_until_somebody_waits
from tests.builders import a_case, a_handset, a_visitor, an_address
from tests.dispatch.reading import in_feed, slots_of
from tests.dispatch.test_assign import permit_of
from tests.dispatch.test_concurrency import at_once
from tests.office import NOW, Door, Office, Stopped, a_door, a_team, a_wish, china
from tests.phones import Watch, a_phone
from tests.phones import office as connection

Deed = Callable[[Office, Door, Staff], TestResponse]


def absent(kind: str, first: str, last: str) -> Deed:
    def enter(office: Office, _: Door, lead: Staff) -> TestResponse:
        body = {"kind": kind, "starts_at": f"2026-11-{first}:00+08:00", "ends_at": f"2026-11-{last}:00+08:00"}
        return office.ask(f"/staff/{lead.id}/absences", body, by=Role.ADMIN)

    return enter


def address_is(status: str) -> Deed:
    def enter(office: Office, door: Door, _: Staff) -> TestResponse:
        body = {"status": status, "source": "the concierge"}
        return office.ask(f"/addresses/{door.address.id}/verification", body, by=Role.SUPERVISOR)

    return enter


def in_hardship(*reasons: str) -> Deed:
    def enter(office: Office, door: Door, _: Staff) -> TestResponse:
        path = f"/api/v1/debtors/{door.case.debtor_id}/hardship"
        return office.person(Role.SUPERVISOR).put(path, json={"hardship": list(reasons)})

    return enter


def contacted(channel: str, times: int) -> Deed:
    def enter(office: Office, door: Door, _: Staff) -> TestResponse:
        body = {"channel": channel, "at": "2026-11-23T09:00:00+08:00"}
        answers = [office.ask(f"/cases/{door.case.id}/ledger", body) for _ in range(times)]
        return answers[-1]

    return enter


def phone_revoked(office: Office, _: Door, lead: Staff) -> TestResponse:
    devices = sa.select(Device.id).where(Device.staff_id == lead.id, Device.revoked_at.is_(None))
    device = db.session.scalars(devices.order_by(Device.id)).first()
    return office.ask(f"/devices/{device}/revoke", {}, by=Role.ADMIN)


def no_longer_evasive(office: Office, door: Door, _: Staff) -> TestResponse:
    escalation = db.session.scalar(sa.select(Escalation.id).where(Escalation.case_id == door.case.id))
    return office.ask(f"/escalations/{escalation}/withdraw", {}, by=Role.SUPERVISOR)


def untried() -> Door:
    """A case that nobody has called or written to."""
    case = a_case(balance_as_of=NOW.date())
    with transaction() as session:
        session.execute(sa.delete(LedgerEntry).where(LedgerEntry.case_id == case.id))
    return Door(case, an_address(case))


def an_evasive_debtor(office: Office, door: Door) -> None:
    body = {"ground": "evasive", "words": "he hides"}
    assert office.ask(f"/cases/{door.case.id}/escalations", body).status_code == 201


def ending(assignment: Assignment) -> tuple[str, str]:
    db.session.rollback()
    stored = db.session.get_one(Assignment, assignment.id, populate_existing=True)
    return stored.state, stored.ended_reason


def do(app: Flask, office: Office, deed: Deed, door: Door, lead: Staff) -> None:
    answer = deed(office, door, lead)
    assert answer.status_code < 300, answer.get_data(as_text=True)
    run_worker(app, until_idle=True)


FORBIDDING = [
    pytest.param(absent("leave", "24T00:00", "26T00:00"), "25 10:00", "X3 on-leave", id="X3"),
    pytest.param(absent("training", "25T08:00", "25T10:01"), "25 10:00", "G6 in-training", id="G6"),
    pytest.param(address_is("invalid"), "25 10:00", "A18 address-invalid", id="A18"),
    pytest.param(address_is("unverified"), "25 10:00", "A5 address-unverified", id="A5"),
    pytest.param(contacted("visit", 2), "23 14:00", "A3 daily-visit-budget", id="A3"),
    pytest.param(phone_revoked, "25 10:00", "X5 lead-without-device", id="X5"),
]


@pytest.mark.parametrize(("deed", "start", "why"), FORBIDDING)
def test_what_the_office_enters_takes_back_what_it_forbids(
    app: Flask, office: Office, deed: Deed, start: str, why: str
) -> None:
    door, team = a_door(), a_team()
    granted = assign(a_wish(door, *team, start=f"2026-11-{start}"), actor=office.actor(), now=NOW)

    do(app, office, deed, door, team[0])

    assert ending(granted) == ("cancelled", f"no longer allowed: {why}")
    assert [in_feed(member) for member in team] == [{granted.id: "remove"}] * 2
    assert slots_of(door) == []


@pytest.mark.parametrize(
    ("deed", "start"),
    [
        pytest.param(absent("leave", "25T11:00", "26T00:00"), "25 10:00", id="leave after the visit"),
        pytest.param(absent("training", "25T08:00", "25T10:00"), "25 10:00", id="training before it"),
        pytest.param(address_is("verified"), "25 10:00", id="verified once more"),
        pytest.param(in_hardship("pregnancy"), "25 10:00", id="one visit a week is allowed"),
        pytest.param(contacted("visit", 1), "23 14:00", id="the second visit of the day"),
        pytest.param(contacted("visit", 2), "24 10:00", id="two visits on another day"),
        pytest.param(contacted("call", 2), "23 14:00", id="calls are no visits"),
    ],
)
def test_what_the_office_enters_without_forbidding_leaves_the_visit(
    app: Flask, office: Office, deed: Deed, start: str
) -> None:
    door, team = a_door(), a_team()
    granted = assign(a_wish(door, *team, start=f"2026-11-{start}"), actor=office.actor(), now=NOW)

    do(app, office, deed, door, team[0])

    assert ending(granted) == ("issued", "")
    assert [in_feed(member) for member in team] == [{granted.id: "put"}] * 2


@pytest.mark.parametrize(("deed", "start", "_why"), FORBIDDING)
def test_a_visit_that_began_is_not_taken_back(
    app: Flask, office: Office, deed: Deed, start: str, _why: str
) -> None:
    door, team = a_door(), a_team()
    granted = assign(a_wish(door, *team, start=f"2026-11-{start}"), actor=office.actor(), now=NOW)
    with transaction() as session:
        session.execute(sa.update(Assignment).values(state="started"))

    do(app, office, deed, door, team[0])

    assert ending(granted) == ("started", "")


@pytest.mark.parametrize(("at", "stands"), [("19:59", False), ("20:00", True)])
def test_a_visit_that_nobody_may_begin_any_more_is_not_taken_back(
    office: Office, at: str, stands: bool
) -> None:
    """Its team may have begun in time, and have no network to say so."""
    door, team = a_door(), a_team()
    wanted = a_wish(door, *team, start="2026-11-23 19:00", hours=2)
    granted = assign(wanted, actor=office.actor(), now=NOW)
    address_is("invalid")(office, door, team[0])

    assert rejudge(granted.id, now=china(f"2026-11-23 {at}")) is stands


def test_hardship_takes_back_the_visit_of_the_week_that_was_granted_last(app: Flask, office: Office) -> None:
    door = a_door()
    first, second = (
        assign(a_wish(door, *a_team(), start=f"2026-11-{day} 10:00"), actor=office.actor(), now=NOW)
        for day in (26, 25)
    )

    do(app, office, in_hardship("pregnancy"), door, a_visitor())

    assert ending(first) == ("issued", "")
    state, reason = ending(second)
    assert (state, "A9 hardship-weekly-cap" in reason) == ("cancelled", True)


def test_hardship_takes_back_the_approved_team_of_three_and_keeps_what_still_is_approved(
    app: Flask, office: Office
) -> None:
    three, small = a_door(), a_door(outstanding_fen=1)
    supervisor = office.actor(Role.SUPERVISOR)
    of_three, of_two = (
        assign(a_wish(door, *a_team(size)), actor=supervisor, now=NOW, approval_reason="agreed")
        for door, size in ((three, 3), (small, 2))
    )

    for door in (three, small):
        do(app, office, in_hardship("pregnancy"), door, a_visitor())

    assert ending(of_three) == ("cancelled", "no longer allowed: A10 hardship-team-size")
    assert ending(of_two) == ("issued", "")


def test_a_lead_with_another_phone_keeps_the_visit(app: Flask, office: Office) -> None:
    door, team = a_door(), a_team()
    a_handset(team[0])
    granted = assign(a_wish(door, *team), actor=office.actor(), now=NOW)

    do(app, office, phone_revoked, door, team[0])
    with_one = ending(granted)
    do(app, office, phone_revoked, door, team[0])

    assert with_one == ("issued", "")
    assert ending(granted) == ("cancelled", "no longer allowed: X5 lead-without-device")


@pytest.mark.parametrize(("ground", "state"), [("evasive", "cancelled"), ("parallel", "issued")])
def test_the_record_that_is_withdrawn_takes_the_visit_on_its_ground_along(
    app: Flask, office: Office, ground: str, state: str
) -> None:
    door = untried()
    an_evasive_debtor(office, door)
    granted = assign(
        replace(a_wish(door, *a_team()), ground=ground),
        actor=office.actor(Role.SUPERVISOR),
        now=NOW,
        approval_reason="he hides",
    )

    do(app, office, no_longer_evasive, door, a_visitor())

    assert ending(granted)[0] == state
    assert (state == "cancelled") is ("D15 escalation-not-recorded" in ending(granted)[1])


def test_a_visit_whose_calls_and_letter_had_their_time_outlives_the_record(
    app: Flask, office: Office
) -> None:
    door = a_door()
    an_evasive_debtor(office, door)
    wanted = replace(a_wish(door, *a_team()), ground="evasive")
    granted = assign(wanted, actor=office.actor(), now=NOW)

    do(app, office, no_longer_evasive, door, a_visitor())

    assert ending(granted) == ("issued", "")


# What stands says what is known now.


def hardship_imported(app: Flask, office: Office, door: Door) -> None:
    debtor = db.session.get_one(Debtor, door.case.debtor_id)
    imported(app, office, row(Debtor, debtor, name="王", hardship="pregnancy"))


def hardship_entered(app: Flask, office: Office, door: Door) -> None:
    do(app, office, in_hardship("pregnancy"), door, a_visitor())


@pytest.mark.parametrize("learn", [hardship_entered, hardship_imported])
def test_the_phone_of_a_visit_that_may_stand_learns_of_the_hardship(
    app: Flask, office: Office, tmp_path: Path, learn: Callable[[Flask, Office, Door], None]
) -> None:
    door, team = a_door(), (a_visitor(), a_visitor())
    phone = a_phone(team[0], tmp_path, watch=Watch(real=lambda: NOW))
    assign(a_wish(door, *team), actor=office.actor(), now=NOW)
    with connection(app) as http:
        phone.sync(http)
        (before,) = phone.today()

        learn(app, office, door)
        phone.sync(http)

    (after,) = phone.today()
    opened_before = phone.before_the_door(before, team=[member.id for member in team])
    phone.close()
    assert (before.permit["notices"], [one[:8] for one in after.permit["notices"]]) == ([], ["hardship"])
    assert {"A9"} <= {limit["rule"] for limit in after.permit["limits"]}
    assert after.permit["issued_at"] == before.permit["issued_at"]
    assert "permit-replaced" in [obstacle.slug for obstacle in opened_before]


def test_a_permit_that_would_say_the_same_is_left_alone(app: Flask, office: Office) -> None:
    door, team = a_door(), a_team()
    granted = assign(a_wish(door, *team), actor=office.actor(), now=NOW)
    before = permit_of(granted)

    imported(app, office, row(Case, door.case, outstanding="8000", balance_as_of="2026-11-22"))

    stored = db.session.get_one(Assignment, granted.id, populate_existing=True)
    assert (permit_of(stored), stored.permit_id) == (before, UUID(before["permit_id"]))


# Time alone.


@pytest.mark.parametrize(("start", "stands"), [("11:29", False), ("11:30", True)])
def test_the_hardship_week_runs_from_the_arrival_and_not_from_the_window(
    app: Flask, office: Office, tmp_path: Path, start: str, stands: bool
) -> None:
    door, team = a_door(hardship=("pregnancy",)), (a_visitor(), a_visitor())
    at = [NOW]
    phone = a_phone(team[0], tmp_path, watch=Watch(real=lambda: at[0]))
    actor = office.actor()
    first = assign(a_wish(door, *team, start="2026-11-24 10:00", hours=2), actor=actor, now=NOW)
    next_week = assign(a_wish(door, *a_team(), start=f"2026-12-01 {start}"), actor=actor, now=NOW)
    at[0] = china("2026-11-24 11:30")
    app.extensions["clock"] = Stopped(at=at[0])
    with connection(app) as http:
        phone.sync(http)
        (held,) = phone.today()
        phone.start_visit(held, team=[member.id for member in team], position=None)
        phone.sync(http)
    phone.close()
    run_worker(app, until_idle=True)

    state, reason = ending(next_week)
    assert first.id == held.id
    assert (state, "A9 hardship-weekly-cap" in reason) == ("issued" if stands else "cancelled", not stands)


@pytest.mark.parametrize(
    ("at", "stands"),
    [("27 12:00", True), ("28 06:59", True), ("28 07:00", False), ("28 20:30", True)],
    ids=[
        "old enough tomorrow",
        "before the client's morning file",
        "an hour before",
        "when nobody may begin",
    ],
)
def test_a_balance_that_grew_too_old_by_the_day_of_the_visit_takes_it_back(
    app: Flask, office: Office, at: str, stands: bool
) -> None:
    wanted = a_wish(a_door(), *a_team(), start="2026-11-28 18:00", hours=3)
    granted = assign(wanted, actor=office.actor(), now=NOW)

    for moment in (NOW, china(f"2026-11-{at}")):
        app.extensions["clock"] = Stopped(at=moment)
        take_back_outdated(now=moment)
        run_worker(app, until_idle=True)

    taken_back = ("cancelled", "no longer allowed: C4 balance-stale")
    assert ending(granted) == (("issued", "") if stands else taken_back)


def test_a_client_that_asks_for_newer_balances_has_its_visits_taken_back_earlier(
    app: Flask, office: Office
) -> None:
    door, other = a_door(), a_door()
    wishes = [a_wish(one, *a_team(), start="2026-11-26 18:00") for one in (door, other)]
    granted, left = (assign(wish, actor=office.actor(), now=NOW) for wish in wishes)
    entered(office, a_text(f"balance_max_age_days = {{ value = 5, {SOURCE} }}"), door=door)
    run_worker(app, until_idle=True)
    morning = china("2026-11-26 07:30")
    app.extensions["clock"] = Stopped(at=morning)

    take_back_outdated(now=morning)
    run_worker(app, until_idle=True)

    assert ending(granted) == ("cancelled", "no longer allowed: C4 balance-stale")
    assert ending(left) == ("issued", "")


# At the same moment.


@dataclass
class Meanwhile:
    """Somebody at the desk whose entry begins while a visit is granted, after it was judged."""

    app: Flask
    deed: Callable[[], TestResponse]
    pool: ThreadPoolExecutor
    done: Future[TestResponse] | None = None

    def served_by(self) -> None:
        return None

    def serve(self, assignment: Assignment) -> None:
        self.done = self.pool.submit(self._enter)
        with db.engine.connect() as watcher:
            wait_until_somebody_waits(watcher)

    def _enter(self) -> TestResponse:
        with self.app.app_context():
            return self.deed()


AT_ONCE = [*FORBIDDING, pytest.param(no_longer_evasive, "25 10:00", "D15", id="D15")]


@pytest.mark.parametrize(("deed", "start", "why"), AT_ONCE)
def test_a_visit_granted_while_the_office_enters_what_forbids_it_is_taken_back(
    app: Flask, office: Office, deed: Deed, start: str, why: str
) -> None:
    """The entry waits until the visit stands, and then sees it."""
    door, team = untried() if why == "D15" else a_door(), a_team()
    wanted = a_wish(door, *team, start=f"2026-11-{start}")
    if why == "D15":
        an_evasive_debtor(office, door)
        wanted = replace(wanted, ground="evasive")
    actor = office.actor(Role.SUPERVISOR)
    for role in (Role.ADMIN, Role.DISPATCHER):
        office.person(role)

    with ThreadPoolExecutor(1) as pool:
        desk = Meanwhile(app, lambda: deed(office, door, team[0]), pool)
        granted = assign(wanted, actor=actor, now=NOW, approval_reason="he hides", claim=desk)
        assert desk.done is not None and desk.done.result().status_code < 300
    run_worker(app, until_idle=True)

    state, reason = ending(granted)
    assert (state, why in reason) == ("cancelled", True)


@pytest.mark.parametrize(("deed", "start", "_why"), FORBIDDING)
def test_entries_and_visits_at_once_leave_no_visit_that_would_be_refused(
    app: Flask, office: Office, deed: Deed, start: str, _why: str
) -> None:
    doors, team, others = [a_door() for _ in range(2)], a_team(), a_team()
    actor = office.actor()
    for role in (Role.ADMIN, Role.SUPERVISOR):
        office.person(role)
    wishes = [a_wish(door, *team, start=f"2026-11-{start}") for door in (*doors, *doors[::-1])]
    wishes += [a_wish(door, others[0], team[0], start="2026-11-26 10:00") for door in doors]

    at_once(
        app,
        [
            *[lambda wish=wish: assign(wish, actor=actor, now=NOW) for wish in wishes],
            *[lambda door=door: deed(office, door, team[0]) for door in doors],
        ],
    )
    run_worker(app, until_idle=True)

    for one in db.session.scalars(sa.select(Assignment).where(Assignment.state == "issued")).all():
        assert rejudge(one.id, now=NOW)
