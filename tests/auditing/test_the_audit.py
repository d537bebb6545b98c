"""The whole story: evidence comes late, and is not enough; found, queued, decided, told, answered, looked at
again, a breach and its lessons; and everything of it leaves the house in a bundle that verifies."""

import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.authority import Role
from server.database import db, transaction
from server.ledger.bundle import verify
from server.models.access import AccessEntry
from server.models.breaches import Breach, BreachEnding
from server.models.dispatch import Assignment
from server.models.evidence import Evidence
from server.models.findings import (
    Finding,
    FindingComment,
    FindingReply,
    Hearing,
    HearingTelling,
    SecondLook,
)
from server.models.people import Staff
from server.signing import PERMIT, current_signer
from server.workflows.inspection.inspecting import inspect_evidence
from server.workflows.reconciliation import reconcile_visit
from server.workflows.transparency.checking import alterations
from server.workflows.transparency.sequencing import sequence
from sync.client import Report
from sync.phone import Phone, claims_of
from tests.auditing.builders import decide, look_again
from tests.builders import Cast, Person, a_case, a_person, an_address, an_assignment, now
from tests.bundles import Rows, bundle_of, rewritten
from tests.phones import office

PHOTO = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40
PLACE = {"lat": 31.2304, "lon": 121.4737, "accuracy_m": 10, "mock": False}  # the address is in Beijing
LESSONS = {"cause": "went to the wrong city", "education": "map drill", "prevention": "route is checked"}


@pytest.fixture
def assignment(app: Flask, visitor: Staff) -> Assignment:
    case = a_case()
    made = an_assignment(case, an_address(case), visitor)
    with transaction() as session:
        permit = current_signer().seal(PERMIT, {"v": 1, "permit_id": str(made.permit_id)})
        session.get_one(Assignment, made.id).permit = permit
    return made


def a_visit_with_late_evidence(app: Flask, phone: Phone) -> UUID:
    """Checked in elsewhere; the photo is only promised at first, found missing, and comes when it is late."""
    with office(app) as http:
        phone.sync(http)
        (held,) = phone.today()
        visit_id = phone.start_visit(held, team=[phone.staff_id], position=PLACE)
        phone.capture(PHOTO, visit_id=visit_id, kind="photo", purpose="badge", mime="image/jpeg")
        phone.end_visit(visit_id, position=PLACE)
        at = now()
        claims = claims_of(arrived_at=at, left_at=at, team=[phone.staff_id], met="debtor", outcome="refused")
        phone.write_account(visit_id, claims=claims, narrative="债务人拒绝还款。")
        phone.connect(http).push(Report())
        reconcile_visit(now=now() + timedelta(hours=30), visit_id=str(visit_id))
        assert states_of(visit_id)["evidence-missing"] == "open"
        phone.sync(http)
    for evidence in db.session.scalars(sa.select(Evidence.id)).all():
        inspect_evidence(now=now(), evidence_id=str(evidence))
    reconcile_visit(now=now() + timedelta(hours=31), visit_id=str(visit_id))
    return visit_id


def states_of(visit_id: UUID) -> dict[str, str]:
    db.session.rollback()
    rows = db.session.execute(sa.select(Finding.check, Finding.state).where(Finding.visit_id == visit_id))
    return {row.check: row.state for row in rows}


def tell_the_story(
    app: Flask, phone: Phone, visitor: Staff, auditor: Person, supervisor: Person, cast: Cast
) -> UUID:
    """From late evidence to the closed breach; the id of the visit."""
    visit_id = a_visit_with_late_evidence(app, phone)
    assert states_of(visit_id)["evidence-missing"] == "superseded"

    waiting = auditor.get("/api/v1/audit/queue?check=check-in-elsewhere").get_json()["visits"]
    assert [one["visit_id"] for one in waiting] == [str(visit_id)]
    file = auditor.get(f"/api/v1/visits/{visit_id}").get_json()
    finding = next(one["id"] for one in file["findings"] if one["check"] == "check-in-elsewhere")
    photo = file["evidence"][0]["id"]
    link = auditor.get(f"/api/v1/evidence/{photo}/link").get_json()
    assert auditor.get(link["content"]).data == PHOTO
    commented = auditor.post(f"/api/v1/findings/{finding}/comments", json={"text": "1,000 km apart"})
    assert commented.status_code == 201
    assert decide(auditor, finding, "confirmed", "Shanghai is not Beijing").status_code == 200

    with office(app) as http:
        phone.sync(http)
        (told,) = phone.findings()
        assert told["reason"] == "Shanghai is not Beijing"
        phone.reply(told, "地址当天改了。")
        phone.sync(http)

    assert look_again(supervisor, finding, "upheld", "no change of address on file").status_code == 200
    body = {"staff_id": str(visitor.id), "finding_ids": [finding], "summary": "never went there"}
    opened = auditor.post("/api/v1/breaches", json=body)
    assert (opened.status_code, opened.get_json()["measure"]) == (201, "coaching")
    closer = cast.sign_in(a_person(Role.SUPERVISOR))
    closed = closer.post(f"/api/v1/breaches/{opened.get_json()['id']}/close", json=LESSONS)
    assert (closed.status_code, closed.get_json()["state"]) == (200, "closed")
    for one in states_of(visit_id):
        other = db.session.scalar(sa.select(Finding.id).where(Finding.check == one, Finding.state == "open"))
        if other is not None:
            decide(auditor, other, "dismissed", "not worth more")
    conclusion = {"note": "looked at everything"}
    assert auditor.post(f"/api/v1/audit/visits/{visit_id}/conclusion", json=conclusion).status_code == 201
    assert auditor.get("/api/v1/audit/queue").get_json()["visits"] == []
    return visit_id


def saying_another(member: str) -> Callable[[Rows], None]:
    """Have the first logged row say another thing; a finding that nobody decided is not logged yet."""

    def change(rows: Rows) -> None:
        row = next(one for one in rows if one["text"] is not None)
        row["text"] = json.dumps(json.loads(row["text"]) | {member: "another"})

    return change


def test_the_whole_audit_of_a_visit_ends_in_a_bundle_that_verifies_and_names_what_was_altered(
    app: Flask, phone: Phone, visitor: Staff, assignment: Assignment, auditor: Person, supervisor: Person,
    cast: Cast, tmp_path: Path,
) -> None:  # fmt: skip
    visit_id = tell_the_story(app, phone, visitor, auditor, supervisor, cast)

    path = bundle_of(visit_id, auditor, tmp_path / "visit.zip")
    sound = verify(path)

    assert sound.faults == []
    for kind in ("audit", "comment", "second_look", "hearing", "telling", "reply", "breach", "breach_ending"):
        assert sound.checked[f"{kind} records"] == 1, kind
    with zipfile.ZipFile(path) as archive:
        looks = [json.loads(row["text"])["action"] for row in json.loads(archive.read("looks.json"))]
    assert {"visit.read", "evidence.content", "visit.bundle"} <= set(looks)
    logged = db.session.scalars(sa.select(AccessEntry.action).where(AccessEntry.staff_id == auditor.staff.id))
    assert {"audit.queue", "visit.read", "evidence.content", "visit.bundle"} <= set(logged)
    for part, kind, member in (
        ("findings.json", "finding", "reason"),
        ("second_looks.json", "second_look", "outcome"),
        ("replies.json", "reply", "text"),
        ("comments.json", "comment", "text"),
        ("breaches.json", "breach", "measure"),
        ("breach_endings.json", "breach_ending", "cause"),
        ("audits.json", "audit", "outcome"),
        ("hearings.json", "hearing", "due_at"),
        ("tellings.json", "telling", "told_at"),
    ):
        told = rewritten(path, part, saying_another(member))
        assert [fault.what for fault in told.faults if fault.part.startswith(f"{kind} ")] == [
            "is not what was logged"
        ], kind

    sequence(now=now())
    assert list(alterations()) == []
    for model, values, kind in (
        (SecondLook, {"outcome": "overturned"}, "second_look"),
        (FindingReply, {"text": "I never went"}, "reply"),
        (FindingComment, {"text": "x"}, "comment"),
        (Hearing, {"due_at": now() + timedelta(days=400)}, "hearing"),
        (HearingTelling, {"due_at": now() + timedelta(days=400)}, "telling"),
        (Breach, {"summary": "x"}, "breach"),
        (BreachEnding, {"cause": "x"}, "breach_ending"),
    ):
        with transaction() as session:
            session.execute(sa.update(model).values(values))
        assert [one.what for one in alterations() if one.where.startswith(f"{kind} ")] == [
            "the row is not what was logged"
        ], kind
