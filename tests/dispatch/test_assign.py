"""Granting assignments: what is judged, reserved, announced and stored, and what a refusal leaves."""

import base64
import json
from datetime import date
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from server.authority import Role
from server.config import DEFAULT_RULE_PACK
from server.database import db, transaction
from server.errors import Invalid
from server.models.cases import Debtor, Hold
from server.models.dispatch import Assignment, BudgetSlot, Decision
from server.signing import PERMIT, pae
from server.workflows import replay
from server.workflows.dispatch import VisitRefused, assign, check_assignment
from sync.protocol import uuid7
from tests.builders import a_ledger_entry
from tests.dispatch.reading import in_feed, refusal_of, slots_of
from tests.letters.standing import a_standing_template
from tests.office import NOW, Door, Office, a_door, a_team, a_wish, china

IDENT = "cn.house@2+cn.cba.2026@1+cn.gbt.45251@1+cn.law@1"


def permit_of(assignment: Assignment) -> dict[str, Any]:
    return json.loads(base64.b64decode(assignment.permit["payload"]))


def test_a_granted_visit_is_reserved_announced_and_explained(office: Office):
    door, team = a_door(), a_team()

    granted = assign(a_wish(door, *team), actor=office.actor(), now=NOW)

    assert granted.state == "issued"
    assert slots_of(door) == [(date(2026, 11, 24), 1)]
    assert [in_feed(member) for member in team] == [{granted.id: "put"}] * 2
    decision = db.session.get_one(Decision, granted.decision_id)
    assert (decision.allowed, decision.pack, decision.verdict["reasons"]) == (True, IDENT, [])


def test_the_permit_is_signed_and_says_all_a_phone_must_compare(office: Office, app: Any):
    door, team = (
        a_door(hardship=("pregnancy",), special_note="ring twice", note_acknowledged_at=NOW),
        a_team(),
    )
    wanted = a_wish(door, *team, start="2026-11-24 19:00", hours=2)
    a_standing_template(door.case, reference="reminder")
    letters = [{"template": "reminder", "recipient": "debtor", "pay_by": date(2026, 12, 1)}]

    granted = assign(wanted, actor=office.actor(), now=NOW, letters=letters)

    envelope = granted.permit
    payload = base64.b64decode(envelope["payload"])
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    app.extensions["signer"].key.public_key().verify(signature, pae(PERMIT, payload))
    permit = permit_of(granted)
    assert permit["allowed"] == [{"from": "2026-11-24T11:00:00Z", "until": "2026-11-24T13:00:00Z"}]
    assert permit["latest_start"] == "2026-11-24T12:00:00Z"
    assert permit["expires_at"] == "2026-11-24T13:00:00Z"
    assert permit["budget_left_today"] == 1
    assert permit["lead"] == str(team[0].id)
    assert [(one["template"], one["version"], one["recipient"]) for one in permit["letters"]] == [
        ("reminder", 1, "debtor")
    ]
    assert permit["debtor_id"] == str(door.case.debtor_id)
    assert [(one["slug"], one["left"]) for one in permit["limits"]] == [
        ("daily-visit-budget", 1),
        ("hardship-weekly-cap", 0),
        ("hardship-calendar-week", 0),
    ]
    assert "identity_badge_worn" in permit["checklist"]
    assert {"key": "identity_badge_worn", "rule": "B8", "also": [], "when": "before"} in permit["checks"]
    assert [item["key"] for item in permit["checks"]] == permit["checklist"]
    assert any("ring twice" in notice for notice in permit["notices"])
    assert any(notice.startswith("hardship") for notice in permit["notices"])
    assert "pregnancy" not in json.dumps(permit)


def test_a_refusal_is_stored_with_its_facts_and_nothing_is_reserved(office: Office):
    door, team = a_door(balance_as_of=None), a_team()

    assert refusal_of(a_wish(door, *team), office) == ["C4"]

    decision = db.session.scalars(sa.select(Decision)).one()
    assert not decision.allowed
    assert decision.facts["case"]["balance_as_of"] is None
    assert slots_of(door) == []
    assert in_feed(team[0]) == {}


def test_a_check_stores_nothing(office: Office):
    door, team = a_door(), a_team()

    assert check_assignment(a_wish(door, *team), now=NOW).allowed

    assert db.session.scalar(sa.select(sa.func.count()).select_from(Decision)) == 0


def test_the_third_visit_of_a_day_needs_evidence_that_serves_once(office: Office):
    door, other = a_door(), a_door()
    first, second = (a_ledger_entry(door.case, channel="inbound", at=NOW, asks_for_visit=True) for _ in "ab")
    for hour in (8, 10):
        assign(a_wish(door, *a_team(), start=f"2026-11-24 {hour:02}:00"), actor=office.actor(), now=NOW)
    third: dict[str, Any] = {"start": "2026-11-24 14:00"}

    assert refusal_of(a_wish(door, *a_team(), **third), office) == ["A3"]
    foreign = a_ledger_entry(other.case, channel="inbound", at=NOW, asks_for_visit=True)
    assert refusal_of(a_wish(door, *a_team(), **third, evidence=foreign.id), office) == ["A3"]
    assign(a_wish(door, *a_team(), **third, evidence=first.id), actor=office.actor(), now=NOW)
    assert refusal_of(a_wish(door, *a_team(), start="2026-11-24 16:00", evidence=second.id), office) == ["A3"]

    assert [slot for _, slot in slots_of(door)] == [1, 2, 3]
    tomorrow: dict[str, Any] = {"start": "2026-11-25 08:00", "evidence": first.id}
    assert assign(a_wish(door, *a_team(), **tomorrow), actor=office.actor(), now=NOW)
    assert assign(a_wish(door, *a_team(), start="2026-11-25 10:00"), actor=office.actor(), now=NOW)
    used: dict[str, Any] = {"start": "2026-11-25 12:00", "evidence": first.id}
    assert refusal_of(a_wish(door, *a_team(), **used), office) == ["A3"]


def test_hardship_once_in_seven_days_unless_the_debtor_asked(office: Office):
    door = a_door(hardship=("serious_illness",))
    assign(a_wish(door, *a_team(), start="2026-11-24 10:00"), actor=office.actor(), now=NOW)

    with pytest.raises(VisitRefused) as refused:
        assign(a_wish(door, *a_team(), start="2026-11-26 10:00"), actor=office.actor(), now=NOW)
    asked = a_ledger_entry(door.case, channel="inbound", at=NOW, asks_for_visit=True)
    wish = a_wish(door, *a_team(), start="2026-11-26 10:00", evidence=asked.id)
    granted = assign(wish, actor=office.actor(), now=NOW)

    assert refused.value.verdict.allowed_from == china("2026-12-01 10:00")
    slot = db.session.scalars(sa.select(BudgetSlot).where(BudgetSlot.assignment_id == granted.id)).one()
    assert (slot.slot, slot.evidence_entry_id) == (1, asked.id)


def test_another_case_of_the_same_debtor_shares_the_budget(office: Office):
    door = a_door()
    from_same = a_door(debtor=debtor_of(door.case.debtor_id))
    for hour in (8, 10):
        assign(a_wish(door, *a_team(), start=f"2026-11-24 {hour:02}:00"), actor=office.actor(), now=NOW)

    assert refusal_of(a_wish(from_same, *a_team(), start="2026-11-24 14:00"), office) == ["A3"]


def debtor_of(debtor_id: UUID) -> Debtor:
    return db.session.scalars(sa.select(Debtor).where(Debtor.id == debtor_id)).one()


def test_nobody_is_in_two_places_at_once(office: Office):
    team = a_team()
    assign(a_wish(a_door(), *team), actor=office.actor(), now=NOW)
    other = a_door()

    assert refusal_of(a_wish(other, *team, start="2026-11-24 10:59"), office) == ["X2"]
    assert assign(a_wish(other, *team, start="2026-11-24 11:00"), actor=office.actor(), now=NOW)


def test_what_needs_approval_is_assigned_by_a_supervisor_with_a_reason(office: Office):
    door = a_door(outstanding_fen=49_999)
    team = a_team()

    assert refusal_of(a_wish(door, *team), office) == ["B18"]
    assert refusal_of(a_wish(door, *team), office, approval_reason="I want it") == ["B18"]
    with pytest.raises(VisitRefused):
        assign(a_wish(door, *team), actor=office.actor(Role.SUPERVISOR), now=NOW, approval_reason="  ")
    granted = assign(
        a_wish(door, *team), actor=office.actor(Role.SUPERVISOR), now=NOW, approval_reason="debtor agreed"
    )

    decision = db.session.get_one(Decision, granted.decision_id)
    assert decision.approved_by == office.actor(Role.SUPERVISOR).staff_id
    assert decision.approval_reason == "debtor agreed"
    assert not decision.verdict["allowed"]
    assert any("B18" in notice for notice in permit_of(granted)["notices"])


def test_no_supervisor_may_override_a_block(office: Office):
    door, team = a_door(state="closed"), a_team()

    with pytest.raises(VisitRefused, match="D18"):
        assign(a_wish(door, *team), actor=office.actor(Role.SUPERVISOR), now=NOW, approval_reason="do it")


def test_a_hold_stops_the_debtor_or_the_case(office: Office):
    door = a_door()
    sibling = a_door(debtor=debtor_of(door.case.debtor_id))
    add_hold(door, reason="complaint", scope="debtor")

    assert refusal_of(a_wish(sibling, *a_team()), office) == ["D25"]
    other = a_door()
    other_sibling = a_door(debtor=debtor_of(other.case.debtor_id))
    add_hold(other, reason="amount_disputed", scope="case")
    assert refusal_of(a_wish(other, *a_team()), office) == ["D11"]
    assert assign(a_wish(other_sibling, *a_team()), actor=office.actor(), now=NOW)


def add_hold(door: Door, *, reason: str, scope: str) -> None:
    with transaction() as session:
        session.add(
            Hold(
                scope=scope, debtor_id=door.case.debtor_id, case_id=door.case.id, reason=reason, raised_at=NOW
            )
        )


def test_unknown_things_are_named_with_pointers(office: Office):
    door, team = a_door(), a_team()
    dispatcher = office.person(Role.DISPATCHER).staff
    wish = a_wish(door, *team, start="2026-11-22 10:00")
    wrong = type(wish)(
        case_id=uuid7(),
        address_id=uuid7(),
        window_start=wish.window_start,
        window_end=wish.window_end,
        team=(team[0].id, uuid7(), dispatcher.id),
        lead=team[0].id,
    )

    with pytest.raises(Invalid) as refused:
        check_assignment(wrong, now=NOW)

    pointers = {fault.pointer for fault in refused.value.faults}
    assert pointers == {"/window/end", "/case_id", "/address_id", "/team/1", "/team/2"}


def test_an_address_of_another_case_is_not_this_cases_address(office: Office):
    door, other = a_door(), a_door()

    assert refusal_of(a_wish(Door(door.case, other.address), *a_team()), office) == ["A18"]


def test_a_decision_can_be_replayed(office: Office):
    door, team = a_door(balance_as_of=None), a_team()
    with pytest.raises(VisitRefused):
        assign(a_wish(door, *team), actor=office.actor(), now=NOW)
    decision = db.session.scalars(sa.select(Decision)).one()

    replayed = replay.replay(decision.id, rules=replay.rules_named(DEFAULT_RULE_PACK))

    assert replayed.would_be.to_json() == decision.verdict
    assert not replayed.differs
