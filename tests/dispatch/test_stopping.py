"""Stopping: whatever stops a case, whoever says so, nobody stands at a door with a permit afterwards."""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Actor, Role
from server.database import db, transaction
from server.errors import Conflict
from server.models.cases import HOLD_SCOPE_OF_REASON, Case, Debtor, Hold
from server.models.casework import CaseworkEvent, Complaint
from server.models.dispatch import OPEN_STATES, Assignment, BudgetSlot
from server.models.people import Staff
from server.workflows import complaints, holds, incidents, third_parties
from server.workflows.complaint_handling import take_over
from server.workflows.complaints import Grievance
from server.workflows.dispatch import VisitRefused, assign, reassign
from server.workflows.exchange import inbox
from server.workflows.stopping import close_cases
from sync.bodies import HOLD_REASONS
from sync.client import Report
from sync.phone import Held, Phone
from sync.protocol import uuid7
from sync.wire import write_clock, write_pushed
from tests import phones
from tests.builders import a_contact, a_person, a_visitor
from tests.office import NOW, Door, Office, a_door, a_team, a_wish
from tests.phones import Watch, a_phone


@dataclass
class Outing:
    """Two visitors with a phone each, who are to visit one door tomorrow."""

    app: Flask
    door: Door
    assignment: Assignment
    lead: Phone
    mate: Phone

    def sync(self, phone: Phone) -> Report:
        with phones.office(self.app) as http:
            return phone.sync(http)

    def held(self) -> Held:
        (held,) = self.lead.today()
        return held


@pytest.fixture
def a_handset_of(app: Flask, tmp_path: Path) -> Iterator[Callable[[Staff], Phone]]:
    """Phones whose clocks show the office's time."""
    made: list[Phone] = []

    def make(staff: Staff) -> Phone:
        made.append(a_phone(staff, tmp_path / str(staff.id), watch=Watch(real=lambda: NOW)))
        return made[-1]

    yield make
    for phone in made:
        phone.close()


@pytest.fixture
def outing(app: Flask, office: Office, a_handset_of: Callable[[Staff], Phone]) -> Outing:
    door, team = a_door(), (a_visitor(), a_visitor())
    lead, mate = (a_handset_of(member) for member in team)
    assignment = assign(a_wish(door, *team), actor=office.actor(), now=NOW)
    outing = Outing(app, door, assignment, lead, mate)
    outing.sync(lead)
    return outing


def get_to(state: str, outing: Outing) -> None:
    """Let the lead's phone bring the assignment into this state."""
    match state:
        case "acknowledged":
            outing.lead.record("assignment.acknowledged", {"assignment_id": str(outing.assignment.id)})
        case "started":
            team = [outing.lead.staff_id, outing.mate.staff_id]
            outing.lead.start_visit(outing.held(), team=team, position=None)
    outing.sync(outing.lead)
    assert state_of(outing.assignment.id) == state


def state_of(assignment_id: UUID) -> str | None:
    db.session.rollback()
    return db.session.scalar(sa.select(Assignment.state).where(Assignment.id == assignment_id))


def slots() -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(BudgetSlot)) or 0


def stop(source: str, reason: str, outing: Outing, office: Office) -> None:
    """Hold the case from the office, or from the second visitor's phone."""
    if source == "office":
        answer = office.ask(f"/cases/{outing.door.case.id}/holds", {"reason": reason, "note": "said so"})
        assert answer.status_code == 201
    else:
        case_id = str(outing.door.case.id)
        outing.mate.record("hold.requested", {"case_id": case_id, "reason": reason, "text": "said so"})
        assert outing.sync(outing.mate).stuck == []


def test_phones_know_every_reason_that_the_office_knows() -> None:
    assert set(HOLD_REASONS) == set(HOLD_SCOPE_OF_REASON)


@pytest.mark.parametrize("state", ["issued", "acknowledged", "started"])
@pytest.mark.parametrize("source", ["office", "phone"])
@pytest.mark.parametrize("reason", sorted(HOLD_SCOPE_OF_REASON))
def test_every_stop_takes_the_permit_off_the_phones(
    outing: Outing, office: Office, reason: str, source: str, state: str
) -> None:
    get_to(state, outing)

    stop(source, reason, outing, office)
    outing.sync(outing.lead)

    assert state_of(outing.assignment.id) == "cancelled"
    assert outing.lead.today() == []
    assert slots() == (1 if state == "started" else 0)  # an arrival that took place stays counted
    with pytest.raises(VisitRefused) as refused:
        assign(a_wish(outing.door, *a_team(), start="2026-11-25 10:00"), actor=office.actor(), now=NOW)
    slugs = {reason.slug for reason in refused.value.verdict.blocking}
    assert "hold-" + reason.replace("_", "-") in slugs


def at_the_door(kind: str, outing: Outing) -> None:
    """Report something from the second visitor's phone, of the case only."""
    body = {"case_id": str(outing.door.case.id), "text": "当场所述"}
    match kind:
        case "complaint":
            outing.mate.record("complaint.raised", body)
        case _:
            outing.mate.record("incident.raised", body | {"kind": kind})
    assert outing.sync(outing.mate).stuck == []


@pytest.mark.parametrize(
    ("kind", "stands"),
    [
        ("complaint", "complaint"),
        ("self_defence", "other"),
        ("violence", "other"),
        ("threat", "other"),
        ("injury", "other"),
        ("property", None),
        ("accident", None),
        ("recorder_failure", None),
        ("other", None),
    ],
)
def test_what_happens_at_the_door_stops_the_case_where_it_must(
    outing: Outing, kind: str, stands: str | None
) -> None:
    at_the_door(kind, outing)
    outing.sync(outing.lead)

    reasons = db.session.scalars(sa.select(Hold.reason)).all()
    assert list(reasons) == ([] if stands is None else [stands])
    assert state_of(outing.assignment.id) == ("issued" if stands is None else "cancelled")
    assert len(outing.lead.today()) == (1 if stands is None else 0)


def test_closed_cases_have_no_visits_and_closing_again_closes_nothing(
    outing: Outing, office: Office, app: Flask
) -> None:
    other = a_door()
    elsewhere = assign(a_wish(other, *a_team()), actor=office.actor(), now=NOW)
    chosen = [outing.door.case.id]

    def close() -> list[UUID]:
        with transaction():
            return close_cases(chosen, because="paid", actor=office.actor(), now=NOW)

    first, again = close(), close()
    outing.sync(outing.lead)

    assert (first, again) == (chosen, [])
    assert (state_of(outing.assignment.id), state_of(elsewhere.id)) == ("cancelled", "issued")
    assert outing.lead.today() == []


# Many at once.


def at_once(app: Flask, deeds: Sequence[Callable[[], Any]]) -> None:
    """Do all deeds at the same time, each on a connection of its own. A deadlock is an error like others."""
    gate = Barrier(len(deeds))

    def run(deed: Callable[[], Any]) -> None:
        with app.app_context():
            gate.wait()
            with suppress(Conflict):  # refused: somebody else was first
                deed()

    with ThreadPoolExecutor(len(deeds)) as pool:
        list(pool.map(run, deeds))
    db.session.rollback()


def nothing_stopped_is_open() -> None:
    """No open assignment is under an open hold, on a closed case, or keeps a slot after it ended."""
    db.session.rollback()
    held = sa.exists().where(
        Hold.released_at.is_(None),
        Hold.debtor_id == Assignment.debtor_id,
        sa.or_(Hold.scope == "debtor", Hold.case_id == Assignment.case_id),
    )
    open_ones = sa.select(Assignment.id).where(Assignment.state.in_(OPEN_STATES))
    assert db.session.scalars(open_ones.where(held)).all() == []
    assert slots() == len(db.session.scalars(open_ones).all())


def raw_batch(phone: Phone) -> bytes:
    """What the phone would push now, as bytes that any thread may send."""
    batch = {
        "batch_id": str(uuid7()),
        "clock": write_clock(phone.read_clock()),
        "items": [write_pushed(item) for item in phone.outbox.next_batch(100)],
    }
    return json.dumps(batch).encode()


def a_push(phone: Phone) -> Callable[[], Any]:
    raw, device_id = raw_batch(phone), phone.device_id
    sender = Actor(staff_id=phone.staff_id, roles=frozenset({Role.VISITOR}), device_id=device_id)
    return lambda: inbox.push(raw, actor=sender, now=NOW)


@pytest.mark.parametrize("attempt", range(4))
def test_hold_assign_reassign_and_push_at_once_leave_nothing_open(
    app: Flask, outing: Outing, office: Office, attempt: int
) -> None:
    actor, door, old = office.actor(), outing.door, outing.assignment
    wishes = [a_wish(door, *a_team(), start=f"2026-11-25 {hour:02}:00") for hour in (9, 11, 14)]
    team = tuple(member.id for member in a_team())
    outing.lead.record("assignment.acknowledged", {"assignment_id": str(old.id)})
    outing.mate.record(
        "hold.requested", {"case_id": str(door.case.id), "reason": "stop_requested", "text": ""}
    )
    deeds: list[Callable[[], Any]] = [
        *[lambda wish=wish: assign(wish, actor=actor, now=NOW) for wish in wishes],
        lambda: reassign(old.id, team=team, lead=team[0], reason="x", actor=actor, now=NOW),
        a_push(outing.lead),
        a_push(outing.mate),
        lambda: holds.raise_on_case(door.case.id, reason="deceased", note="", actor=actor, now=NOW),
    ]

    at_once(app, deeds[attempt:] + deeds[:attempt])

    nothing_stopped_is_open()
    assert set(db.session.scalars(sa.select(Hold.reason))) == {"deceased", "stop_requested"}
    assert state_of(old.id) == "cancelled"


@pytest.mark.parametrize("attempt", range(4))
def test_phones_and_office_that_stop_the_same_debtors_in_any_order_never_wait_for_ever(
    app: Flask, office: Office, a_handset_of: Callable[[Staff], Phone], attempt: int
) -> None:
    doors = [a_door() for _ in range(4)]
    actor = office.actor(Role.SUPERVISOR)
    handsets = [a_handset_of(a_visitor()) for _ in range(3)]
    for turn, phone in enumerate(handsets):
        for door in doors[turn:] + doors[:turn]:
            body = {"case_id": str(door.case.id), "text": "x"}
            phone.record("complaint.raised", body)
            phone.record("incident.raised", body | {"kind": "threat"})
    visits = [a_wish(door, *a_team()) for door in doors]
    happening = incidents.Happening("injury", "x", NOW)
    deeds: list[Callable[[], Any]] = [
        *[a_push(phone) for phone in handsets],
        *[lambda wish=wish: assign(wish, actor=actor, now=NOW) for wish in visits],
        *[
            lambda case_id=door.case.id: complaints.raise_on_case(
                case_id, Grievance("x"), actor=actor, now=NOW
            )
            for door in reversed(doors)
        ],
        lambda: incidents.raise_from_office(doors[1].case.id, happening, actor=actor, now=NOW),
        lambda: close(doors[::-1], actor),
    ]

    at_once(app, deeds[attempt:] + deeds[:attempt])

    nothing_stopped_is_open()
    standing = db.session.execute(sa.select(Hold.case_id, Hold.reason)).all()
    expected = {(door.case.id, reason) for door in doors for reason in ("complaint", "other")}
    assert len(standing) == len(expected) and {tuple(row) for row in standing} == expected


def close(doors: Sequence[Door], actor: Actor) -> None:
    with transaction():
        close_cases([door.case.id for door in doors], because="paid", actor=actor, now=NOW)


@pytest.mark.parametrize("attempt", range(4))
def test_a_refusal_and_visits_to_the_person_at_once_leave_nobody_at_their_door(
    app: Flask, office: Office, attempt: int
) -> None:
    door = a_door()
    guarantor = a_contact(door.case, liable=True)
    with transaction() as session:
        session.get_one(type(door.address), door.address.id).contact_id = guarantor.id
    wishes = [a_wish(door, *a_team(), start=f"2026-11-25 {hour:02}:00") for hour in (9, 14)]
    actor = office.actor()
    first = assign(wishes[0], actor=actor, now=NOW)
    with transaction() as session:  # a correction: the person owes nothing
        session.get_one(type(guarantor), guarantor.id).liable = False
    refusal = third_parties.Refusal("refused")
    deeds: list[Callable[[], Any]] = [
        *[lambda wish=wish: assign(wish, actor=actor, now=NOW) for wish in wishes],
        lambda: third_parties.refuse_contact(guarantor.id, refusal, actor=actor, now=NOW),
        lambda: third_parties.refuse_contact(guarantor.id, refusal, actor=actor, now=NOW),
    ]

    at_once(app, deeds[attempt:] + deeds[:attempt])

    assert state_of(first.id) == "cancelled"
    assert slots() == 0


def test_an_incident_raised_while_the_hold_is_released_is_never_under_a_released_hold(
    app: Flask, office: Office
) -> None:
    door, supervisor = a_door(), office.actor(Role.SUPERVISOR)
    case = db.session.get_one(Case, door.case.id)
    sibling = a_door(debtor=db.session.get_one(Debtor, case.debtor_id))
    hold = holds.raise_on_case(case.id, reason="other", note="", actor=supervisor, now=NOW)
    words = [holds.Word(text=f"instruction {number}") for number in range(4)]
    threat = incidents.Happening("threat", "x", NOW)
    deeds: list[Callable[[], Any]] = [
        *[lambda word=word: holds.release(hold.id, word, actor=supervisor, now=NOW) for word in words],
        lambda: incidents.raise_from_office(case.id, threat, actor=supervisor, now=NOW),
        lambda: assign(a_wish(sibling, *a_team()), actor=supervisor, now=NOW),
    ]

    at_once(app, deeds)

    open_holds = sa.select(sa.func.count()).where(Hold.released_at.is_(None), Hold.case_id == case.id)
    assert db.session.scalar(open_holds) == 1
    nothing_stopped_is_open()


def test_of_many_supervisors_at_once_one_takes_the_complaint_over(app: Flask, office: Office) -> None:
    case = a_door().case
    raised = complaints.raise_on_case(case.id, Grievance("x"), actor=office.actor(), now=NOW)
    supervisors = [a_person(Role.SUPERVISOR).id for _ in range(6)]
    deeds: list[Callable[[], Any]] = [
        lambda one=one: take_over(raised.id, actor=Actor(one, frozenset({Role.SUPERVISOR})), now=NOW)
        for one in supervisors
    ]

    at_once(app, deeds)

    taken = sa.select(CaseworkEvent.by).where(CaseworkEvent.kind == "taken_over")
    (winner,) = db.session.scalars(taken).all()
    holder = sa.select(Complaint.supervisor_id).where(Complaint.id == raised.id)
    assert db.session.scalar(holder) == winner
