"""What becomes of a visit that was granted: cancelled, given to another team, begun, expired."""

from datetime import date

import pytest
import sqlalchemy as sa

from server.authority import Actor, Role
from server.database import db, transaction
from server.errors import Conflict
from server.models.dispatch import Assignment, AssignmentMember
from server.models.people import Staff
from server.models.visits import Visit
from server.workflows import assignments
from server.workflows.dispatch import VisitRefused, assign, reassign
from sync.protocol import uuid7
from tests.builders import a_handset, a_person, a_visitor
from tests.dispatch.reading import in_feed, refusal_of, slots_of
from tests.office import NOW, Office, a_door, a_team, a_wish, china


def test_cancelling_gives_back_budget_and_diary_and_takes_it_off_the_phones(office: Office):
    door, team = a_door(daily_visit_cap=1), a_team()
    granted = assign(a_wish(door, *team), actor=office.actor(), now=NOW)
    assert refusal_of(a_wish(door, *a_team(), start="2026-11-24 14:00"), office) == ["A2"]

    view = assignments.cancel(granted.id, reason="wrong day", actor=office.actor(), now=NOW)

    assert (view.assignment.state, view.assignment.ended_reason) == ("cancelled", "wrong day")
    assert slots_of(door) == []
    assert [in_feed(member) for member in team] == [{granted.id: "remove"}] * 2
    assert assign(a_wish(door, *team), actor=office.actor(), now=NOW)
    with pytest.raises(Conflict, match="already cancelled"):
        assignments.cancel(granted.id, reason="again", actor=office.actor(), now=NOW)


def test_reassigning_takes_from_one_team_and_gives_to_the_other(office: Office):
    door, team = a_door(hardship=("pregnancy",)), a_team()
    granted = assign(a_wish(door, *team), actor=office.actor(), now=NOW)
    newcomer = a_visitor()
    a_handset(newcomer)

    moved = reassign(
        granted.id,
        team=(newcomer.id, team[1].id),
        lead=newcomer.id,
        reason="ill",
        actor=office.actor(),
        now=NOW,
    )

    assert moved.replaces_id == granted.id
    assert db.session.get_one(Assignment, granted.id, populate_existing=True).state == "cancelled"
    assert in_feed(team[0]) == {granted.id: "remove"}
    assert in_feed(team[1]) == {granted.id: "remove", moved.id: "put"}
    assert in_feed(newcomer) == {moved.id: "put"}
    assert slots_of(door) == [(date(2026, 11, 24), 1)]


def test_a_refused_reassignment_leaves_everything_with_the_old_team(office: Office):
    door, team = a_door(), a_team()
    granted = assign(a_wish(door, *team), actor=office.actor(), now=NOW)
    unfit = a_visitor(qualified=False)
    a_handset(unfit)

    with pytest.raises(VisitRefused) as refused:
        reassign(granted.id, team=(unfit.id,), lead=unfit.id, reason="ill", actor=office.actor(), now=NOW)

    assert {"G5", "G10", "G17", "G18"} <= refused.value.verdict.rules
    assert db.session.get_one(Assignment, granted.id, populate_existing=True).state == "issued"
    assert in_feed(team[0]) == {granted.id: "put"}
    assert in_feed(unfit) == {}


def test_a_started_visit_cannot_be_reassigned(office: Office):
    door, team = a_door(), a_team()
    granted = assign(a_wish(door, *team), actor=office.actor(), now=NOW)
    with transaction() as session:
        session.execute(sa.update(Assignment).where(Assignment.id == granted.id).values(state="started"))

    with pytest.raises(Conflict, match="started"):
        reassign(granted.id, team=(team[1].id,), lead=team[1].id, reason="ill", actor=office.actor(), now=NOW)


def test_an_approved_visit_stays_approved_for_the_next_team(office: Office):
    door, team = a_door(outstanding_fen=1), a_team()
    granted = assign(
        a_wish(door, *team), actor=office.actor(Role.SUPERVISOR), now=NOW, approval_reason="agreed"
    )
    third = a_team(3)

    moved = reassign(
        granted.id,
        team=tuple(m.id for m in third[:2]),
        lead=third[0].id,
        reason="x",
        actor=office.actor(),
        now=NOW,
    )
    with pytest.raises(VisitRefused, match="A10"):
        reassign(
            moved.id,
            team=tuple(m.id for m in third),
            lead=third[0].id,
            reason="x",
            actor=office.actor(),
            now=NOW,
        )


def test_an_approved_team_of_three_may_be_replaced_by_three_others_and_not_by_eight(office: Office):
    granted = assign(
        a_wish(a_door(), *a_team(3)),
        actor=office.actor(Role.SUPERVISOR),
        now=NOW,
        approval_reason="interpreter",
    )
    many = tuple(member.id for member in a_team(8))

    with pytest.raises(VisitRefused, match="A10"):
        reassign(granted.id, team=many, lead=many[0], reason="x", actor=office.actor(), now=NOW)
    moved = reassign(granted.id, team=many[:3], lead=many[0], reason="x", actor=office.actor(), now=NOW)

    assert moved.replaces_id == granted.id


def test_a_reassigned_visit_still_says_which_supervisor_approved_it_and_why(office: Office):
    supervisor = office.actor(Role.SUPERVISOR)
    granted = assign(
        a_wish(a_door(outstanding_fen=1), *a_team()),
        actor=supervisor,
        now=NOW,
        approval_reason="he asked for us",
    )
    teams = [tuple(member.id for member in a_team()) for _ in "ab"]

    for team in teams:  # twice: what is carried on once is carried on again
        granted = reassign(
            granted.id,
            team=team,
            lead=team[0],
            reason="ill",
            actor=office.actor(),
            now=NOW,
            approval_reason="a dispatcher's words approve nothing",
        )

    (view,) = assignments.with_teams([granted])
    assert (view.approved_by, view.approval_reason) == (supervisor.staff_id, "he asked for us")
    assert view.assignment.issued_by == office.actor().staff_id


def test_a_supervisor_who_reassigns_with_a_reason_of_their_own_approves_it_anew(office: Office):
    granted = assign(
        a_wish(a_door(), *a_team(3)), actor=office.actor(Role.SUPERVISOR), now=NOW, approval_reason="three"
    )
    other = Actor(staff_id=a_person(Role.SUPERVISOR).id, roles=frozenset({Role.SUPERVISOR}))
    team = tuple(member.id for member in a_team(4))

    moved = reassign(
        granted.id, team=team, lead=team[0], reason="x", actor=other, now=NOW, approval_reason="four"
    )

    (view,) = assignments.with_teams([moved])
    assert (view.approved_by, view.approval_reason) == (other.staff_id, "four")


def a_begun_visit(granted: Assignment, *, arrived: str) -> None:
    member = db.session.scalars(sa.select(AssignmentMember).where(AssignmentMember.is_lead)).first()
    assert member is not None
    device = a_handset(db.session.get_one(Staff, member.staff_id)).device
    with transaction() as session:
        session.add(
            Visit(
                id=uuid7(),
                assignment_id=granted.id,
                debtor_id=granted.debtor_id,
                device_id=device.id,
                staff_id=member.staff_id,
                team=[member.staff_id],
                seen_seq=0,
                arrived_earliest=china(arrived),
                arrived_latest=china(arrived),
                arrived_method="test",
                started_item=uuid7(),
                first_received_at=china(arrived),
                evidence_due_at=china(arrived),
            )
        )


def test_the_budget_is_consumed_on_the_day_of_arrival(office: Office):
    door = a_door(daily_visit_cap=1)
    granted = assign(a_wish(door, *a_team(), start="2026-11-24 10:00"), actor=office.actor(), now=NOW)
    a_begun_visit(granted, arrived="2026-11-25 09:00")

    assert refusal_of(a_wish(door, *a_team(), start="2026-11-25 14:00"), office) == ["A2"]
    again = assign(a_wish(door, *a_team(), start="2026-11-24 14:00"), actor=office.actor(), now=NOW)

    assert slots_of(door) == [(date(2026, 11, 24), 1)]
    assert again.state == "issued"


def test_an_assignment_nobody_reported_expires_after_the_next_working_day(office: Office):
    door, team = a_door(), a_team()
    granted = assign(a_wish(door, *team, start="2026-11-27 10:00"), actor=office.actor(), now=NOW)

    assignments.expire_overdue(now=china("2026-11-30 23:59"))
    before = db.session.get_one(Assignment, granted.id, populate_existing=True).state
    assignments.expire_overdue(now=china("2026-12-01 00:00"))

    assert before == "issued"
    assert db.session.get_one(Assignment, granted.id, populate_existing=True).state == "expired"
    assert slots_of(door) == []
    assert in_feed(team[0]) == {granted.id: "remove"}
