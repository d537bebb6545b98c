"""One decides, another looks again, nobody who had a part does either, and nothing is forgotten."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import IntegrityError

from server.authority import Role
from server.database import db, transaction
from server.models.access import AccessEntry
from server.models.auditing import Audit, QueuedVisit
from server.models.dispatch import Assignment, Decision
from server.models.evidence import Evidence
from server.models.findings import Finding, SecondLook
from server.models.people import Staff
from server.models.visits import Visit
from server.workflows.auditing.scoring import weigh_repeats
from server.workflows.reconciliation import reconcile_visit
from sync.protocol import uuid7
from tests.auditing.builders import a_judged_visit, decide, look_again, slug_of, the_finding
from tests.builders import Cast, Person, a_case, a_person, a_visitor, add, an_address, an_assignment, now

SERIOUS = ("evidence-missing", "serious", 1.0)


@pytest.fixture
def finding(app: Flask, visitor: Staff) -> UUID:
    return the_finding(a_judged_visit(visitor, SERIOUS))


def file_of(person: Person, finding_id: UUID) -> dict[str, Any]:
    answer = person.get(f"/api/v1/findings/{finding_id}")
    assert answer.status_code == 200, answer.json
    return answer.get_json()


def test_a_second_look_overturns_and_both_stay_on_record(
    auditor: Person, supervisor: Person, finding: UUID
) -> None:
    decide(auditor, finding, "confirmed", "no photo came")

    answer = look_again(supervisor, finding, "overturned", "the photo is in the rescue bundle")

    told = file_of(auditor, finding)
    assert answer.status_code == 200
    assert (told["finding"]["state"], told["finding"]["reason"]) == ("confirmed", "no photo came")
    assert told["finding"]["stands"] is False
    assert told["second_look"]["outcome"] == "overturned"
    assert told["second_look"]["reviewer_id"] == str(supervisor.staff.id)


def test_an_overturned_dismissal_stands_and_the_visitor_may_reply(
    auditor: Person, supervisor: Person, finding: UUID, visitor: Staff
) -> None:
    decide(auditor, finding, "dismissed", "looks fine")
    assert file_of(auditor, finding)["hearing"] is None

    look_again(supervisor, finding, "overturned", "it is not fine")

    told = file_of(auditor, finding)
    assert told["finding"]["stands"] is True
    assert told["hearing"]["people"] == [str(visitor.id)]


@pytest.mark.parametrize("outcome", ["upheld", "overturned"])
def test_a_second_look_is_had_once_and_repeating_it_changes_nothing(
    auditor: Person, supervisor: Person, cast: Cast, finding: UUID, outcome: str
) -> None:
    assert slug_of(look_again(supervisor, finding, outcome)) == "not-decided"
    decide(auditor, finding)

    answers = [look_again(supervisor, finding, outcome) for _ in range(2)]
    third = look_again(cast.sign_in(a_person(Role.SUPERVISOR)), finding, "upheld", "me too")

    assert [answer.status_code for answer in answers] == [200, 200]
    assert (third.status_code, slug_of(third)) == (409, "already-looked-at")
    assert db.session.scalar(sa.select(sa.func.count()).select_from(SecondLook)) == 1


def test_nobody_looks_again_at_their_own_decision(app: Flask, cast: Cast, finding: UUID) -> None:
    both = cast.sign_in(a_person(Role.AUDITOR, Role.SUPERVISOR))
    decide(both, finding)

    answer = look_again(both, finding, "upheld")

    assert (answer.status_code, slug_of(answer)) == (403, "same-person")


Part = Callable[[Assignment, Staff], Any]
PARTS: dict[str, tuple[str, Part]] = {
    "team": ("were in the visit's team", lambda one, who: None),
    "dispatcher": (
        "assigned the visit",
        lambda one, who: sa.update(Assignment).where(Assignment.id == one.id).values(issued_by=who.id),
    ),
    "supervisor": (
        "approved the visit",
        lambda one, who: sa.update(Decision).where(Decision.id == one.decision_id).values(approved_by=who.id),
    ),
}


def an_involved_person(part: str) -> tuple[UUID, Staff]:
    """A visit's finding, and somebody with every role who had this part in the visit."""
    person = a_person(*Role)
    visitor = person if part == "team" else a_visitor()
    case = a_case()
    assignment = an_assignment(case, an_address(case), visitor)
    visit_id = a_judged_visit(visitor, SERIOUS, case=case, assignment=assignment)
    statement = PARTS[part][1](assignment, person)
    if statement is not None:
        with transaction() as session:
            session.execute(statement)
    return the_finding(visit_id), person


@pytest.mark.parametrize("part", PARTS)
def test_whoever_had_a_part_neither_decides_nor_looks_again_nor_concludes(
    app: Flask, cast: Cast, auditor: Person, part: str
) -> None:
    finding, staff = an_involved_person(part)
    involved = cast.sign_in(staff)
    visit_id = db.session.get_one(Finding, finding).visit_id

    first = decide(involved, finding)
    decide(auditor, finding)
    second = look_again(involved, finding, "upheld")
    third = involved.post(f"/api/v1/audit/visits/{visit_id}/conclusion", json={"note": "all well"})
    fourth = involved.post(
        f"/api/v1/audit/visits/{visit_id}/findings",
        json={"rule": "C7", "severity": "note", "words": "I was there"},
    )

    for answer in (first, second, third, fourth):
        assert (answer.status_code, slug_of(answer)) == (403, "auditor-involved")
        assert answer.get_json()["part"] == PARTS[part][0]


@pytest.mark.parametrize("part", PARTS)
def test_the_database_refuses_it_too(app: Flask, auditor: Person, part: str) -> None:
    finding, staff = an_involved_person(part)
    visit_id = db.session.get_one(Finding, finding).visit_id
    involved = {"state": "confirmed", "decided_by": staff.id, "decided_at": now(), "reason": "x"}

    with pytest.raises(IntegrityError, match="no part in what is decided"), transaction() as session:
        session.execute(sa.update(Finding).where(Finding.id == finding).values(involved))
    with pytest.raises(IntegrityError, match="no part in what is decided"), transaction() as session:
        audit = {"visit_id": visit_id, "auditor_id": staff.id, "outcome": "sound", "note": "x"}
        session.add(Audit(**audit, concluded_at=now()))
    decide(auditor, finding)
    for reviewer in (staff.id, auditor.staff.id):
        with pytest.raises(IntegrityError, match="no part in what is decided"), transaction() as session:
            look = {"finding_id": finding, "reviewer_id": reviewer, "outcome": "upheld", "reason": "x"}
            session.add(SecondLook(**look, looked_at=now()))
    uninvolved = a_person(Role.SUPERVISOR).id
    with transaction() as session:
        look = {"finding_id": finding, "reviewer_id": uninvolved, "outcome": "upheld", "reason": "x"}
        session.add(SecondLook(**look, looked_at=now()))
    with pytest.raises(IntegrityError, match="no part in what is decided"), transaction() as session:
        session.execute(sa.update(SecondLook).values(reviewer_id=staff.id))


def test_comments_stay_in_their_order_and_opening_a_finding_is_logged(
    auditor: Person, supervisor: Person, finding: UUID
) -> None:
    for person, text in ((auditor, "called the phone: off"), (supervisor, "ask again tomorrow")):
        answer = person.post(f"/api/v1/findings/{finding}/comments", json={"text": text})
        assert answer.status_code == 201

    told = file_of(auditor, finding)["comments"]

    assert [(one["author_id"], one["text"]) for one in told] == [
        (str(auditor.staff.id), "called the phone: off"),
        (str(supervisor.staff.id), "ask again tomorrow"),
    ]
    (look,) = db.session.scalars(sa.select(AccessEntry).where(AccessEntry.action == "finding.read"))
    assert (look.staff_id, look.entity_id) == (auditor.staff.id, finding)


def test_a_visit_leaves_the_queue_when_it_was_concluded_and_comes_back_with_a_new_finding(
    auditor: Person, finding: UUID
) -> None:
    visit_id = db.session.get_one(Finding, finding).visit_id
    conclusion = f"/api/v1/audit/visits/{visit_id}/conclusion"
    refused = auditor.post(conclusion, json={"note": "heard the recording"})
    decide(auditor, finding)

    concluded = auditor.post(conclusion, json={"note": "heard the recording"})
    away = auditor.get("/api/v1/audit/queue").get_json()["visits"]
    auditor.post(
        f"/api/v1/audit/visits/{visit_id}/findings",
        json={"rule": "C7", "severity": "severe", "words": "took money", "citation": {"second": 12.5}},
    )
    back = auditor.get("/api/v1/audit/queue").get_json()["visits"]

    assert (refused.status_code, slug_of(refused)) == (409, "findings-undecided")
    assert (concluded.status_code, concluded.get_json()["outcome"]) == (201, "not_sound")
    assert away == []
    assert [(one["visit_id"], one["score"], one["checks"]) for one in back] == [
        (str(visit_id), 100, ["auditor-C7"])
    ]


def test_what_an_auditor_says_twice_is_one_finding_and_one_conclusion(auditor: Person, finding: UUID) -> None:
    visit_id = db.session.get_one(Finding, finding).visit_id
    path = f"/api/v1/audit/visits/{visit_id}"
    decide(auditor, finding)
    seen = {"rule": "C7", "severity": "severe", "words": "took money", "citation": {"second": 12.5}}

    raised = [auditor.post(f"{path}/findings", json=seen).get_json()["id"] for _ in range(2)]
    other = auditor.post(f"{path}/findings", json=seen | {"words": "took more"}).get_json()["id"]
    decide(auditor, raised[0])
    decide(auditor, other)
    concluded = [auditor.post(f"{path}/conclusion", json={"note": "heard it"}).get_json() for _ in range(2)]
    anew = auditor.post(f"{path}/findings", json=seen).get_json()["id"]
    decide(auditor, anew)
    later = auditor.post(f"{path}/conclusion", json={"note": "heard it"}).get_json()

    assert raised[0] == raised[1]
    assert len({raised[0], other, anew}) == 3
    assert concluded[0] == concluded[1]
    assert later["id"] != concluded[0]["id"]


def test_a_finding_cites_evidence_of_its_own_visit_only(auditor: Person, finding: UUID) -> None:
    visit_id = db.session.get_one(Finding, finding).visit_id
    own, foreign = (
        add(Evidence(id=uuid7(), visit_id=visit.id, device_id=visit.device_id, state="expected")).id
        for visit in (db.session.get_one(Visit, one) for one in (visit_id, a_judged_visit(a_visitor())))
    )
    path = f"/api/v1/audit/visits/{visit_id}/findings"
    seen = {"rule": "C7", "severity": "severe", "words": "took money"}

    cited, *refused = (
        auditor.post(path, json={**seen, "citation": {"evidence_id": str(one)}})
        for one in (own, foreign, uuid7())
    )

    assert (cited.status_code, cited.get_json()["citation"]) == (201, {"evidence_id": str(own)})
    assert [
        (answer.status_code, slug_of(answer), answer.get_json()["errors"][0]["pointer"]) for answer in refused
    ] == [(422, "evidence-unknown", "/citation/evidence_id")] * 2


def test_what_an_auditor_raised_survives_reconciliation(auditor: Person, finding: UUID) -> None:
    visit_id = db.session.get_one(Finding, finding).visit_id
    raised = auditor.post(
        f"/api/v1/audit/visits/{visit_id}/findings",
        json={"rule": "C7", "severity": "serious", "words": "they split the money"},
    )
    assert raised.status_code == 201, raised.json

    reconcile_visit(now=now(), visit_id=str(visit_id))

    db.session.rollback()
    states = db.session.execute(sa.select(Finding.check, Finding.state).where(Finding.visit_id == visit_id))
    assert dict(states.all()) == {"auditor-C7": "open", "evidence-missing": "superseded"}
    unknown = auditor.post(
        f"/api/v1/audit/visits/{visit_id}/findings", json={"rule": "Z9", "severity": "note", "words": "x"}
    )
    assert (unknown.status_code, unknown.get_json()["errors"][0]["pointer"]) == (422, "/rule")


def test_a_confirmed_finding_makes_the_visitors_waiting_visits_repeats(
    auditor: Person, supervisor: Person, visitor: Staff, finding: UUID
) -> None:
    waiting = a_judged_visit(visitor, SERIOUS)

    def score() -> int:
        weigh_repeats(now=now(), staff_id=str(visitor.id), check="evidence-missing")
        db.session.rollback()
        db.session.expire_all()
        return db.session.get_one(QueuedVisit, waiting).score

    before = score()
    decide(auditor, finding)
    repeated = score()
    look_again(supervisor, finding, "overturned")

    assert (before, repeated, score()) == (40, 80, 40)
