"""A correction stands in place of what could not be applied, which itself stays as it came."""

import base64
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from flask import Flask

from server.database import db
from server.models.casework import Complaint
from server.models.dispatch import Assignment
from server.models.people import Staff
from server.models.quarantine import Correction
from server.models.visits import Account, Visit
from server.signing import current_signer
from sync.envelope import PublicKey, digest, pae
from sync.phone import Phone
from sync.protocol import ITEM, PushedItem, uuid7
from tests.builders import Cast, Person, Role, now
from tests.desk import a_faulty_account, correct, desk, the, told
from tests.phones import Watch, a_phone
from tests.pushing import account_body, begin, pull, push, push_raw, waiting


@pytest.fixture
def supervisor(cast: Cast) -> Person:
    return cast.person(Role.SUPERVISOR)


def test_a_correction_stands_in_place_of_the_item_and_the_item_stays_as_it_is(
    app: Flask, phone: Phone, visitor: Staff, assignment: Assignment, supervisor: Person, cast: Cast
) -> None:
    visit_id, faulty = a_faulty_account(app, phone, assignment)
    before = the(faulty)
    kept = (before.payload, before.sha256, before.receipt, before.problem)
    (entry,) = desk(supervisor)
    body = account_body(phone, visit_id, narrative="他不在家。")

    ruling = told(correct(supervisor, entry, "visit.account", body))
    again = told(correct(supervisor, entry, "visit.account", body))

    assert (ruling["outcome"], ruling["id"]) == ("corrected", again["id"])
    after = the(faulty)
    assert (after.payload, after.sha256, after.receipt, after.problem) == kept
    assert after.outcome == "corrected" and "office_corrected" in after.flags
    account = db.session.get_one(Account, UUID(body["account_id"]))
    assert (account.author_id, account.narrative) == (supervisor.staff.id, "他不在家。")
    assert db.session.get_one(Visit, visit_id).state == "reported"
    (shown,) = told(cast.person(Role.AUDITOR).get(f"/api/v1/visits/{visit_id}"))["corrections"]
    assert (shown["author_id"], shown["reason"], shown["corrects_sha256"]) == (
        str(supervisor.staff.id), "the date was a typo", digest(ITEM, faulty.envelope.payload).hex(),
    )  # fmt: skip
    answer = push(app, phone, [faulty])[0]
    assert (answer["outcome"], answer["problem"], answer["receipt"]) == ("duplicate", None, kept[2])


def test_a_correction_is_signed_and_names_what_it_corrects(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person
) -> None:
    visit_id, faulty = a_faulty_account(app, phone, assignment)
    told(correct(supervisor, desk(supervisor)[0], "visit.account", account_body(phone, visit_id)))

    db.session.rollback()
    correction = db.session.scalars(sa.select(Correction)).one()
    said = json.loads(correction.payload)

    key = PublicKey.from_spki(current_signer().public_spki, algorithm="ed25519")
    signature = base64.b64decode(correction.signatures[0]["sig"])
    assert key.has_signed(pae(correction.payload_type, correction.payload), signature)
    assert correction.sha256 == digest(correction.payload_type, correction.payload)
    assert said["corrects"]["sha256"] == digest(ITEM, faulty.envelope.payload).hex()
    assert (said["author_id"], said["reason"]) == (str(supervisor.staff.id), "the date was a typo")


def test_a_corrected_check_in_wakes_what_waited_for_it(
    app: Flask, phone: Phone, visitor: Staff, assignment: Assignment, supervisor: Person
) -> None:
    visit_id = begin(phone, assignment.id, team="nobody")
    phone.record("visit.account", account_body(phone, visit_id))
    push(app, phone)
    (entry,) = desk(supervisor, "kind=item")
    begun = {
        "visit_id": str(visit_id), "assignment_id": str(assignment.id), "permit_id": None,
        "position": None, "team": [str(visitor.id)], "checklist": {},
    }  # fmt: skip
    earliest = now() - timedelta(hours=3)
    happened = {"earliest": earliest.isoformat(), "latest": (earliest + timedelta(minutes=5)).isoformat()}

    told(correct(supervisor, entry, "visit.started", begun, happened=happened))

    db.session.rollback()
    visit = db.session.get_one(Visit, visit_id)
    assert (visit.arrived_earliest, visit.staff_id, visit.state) == (earliest, visitor.id, "reported")
    assert "office_correction" in visit.flags
    assert desk(supervisor) == []


def test_a_correction_happened_when_what_it_corrects_did_also_after_a_restart_offline(
    app: Flask, visitor: Staff, assignment: Assignment, supervisor: Person, tmp_path: Path
) -> None:
    watch = Watch(skew=timedelta(hours=7))
    phone = a_phone(visitor, tmp_path / "phone", watch=watch)
    pull(app, phone)
    watch.boot, watch.booted = "boot-2", now()
    before = now()
    visit_id = begin(phone, assignment.id, team="nobody")
    after = now()
    pull(app, phone)
    push(app, phone)
    (entry,) = desk(supervisor, "kind=item")
    begun = {
        "visit_id": str(visit_id), "assignment_id": str(assignment.id), "permit_id": None,
        "position": None, "team": [str(visitor.id)], "checklist": {},
    }  # fmt: skip

    told(correct(supervisor, entry, "visit.started", begun))

    db.session.rollback()
    visit = db.session.get_one(Visit, visit_id)
    assert visit.arrived_method == "anchored-later"
    assert visit.arrived_earliest <= after and before <= visit.arrived_latest
    phone.close()


@pytest.mark.parametrize(
    ("type_", "changes", "pointer"),
    [
        ("visit.account", {"claims": {}}, "/body/claims/arrived_at"),
        ("visit.account", {"visit_id": "x"}, "/body/visit_id"),
        ("no.such.type", {}, "/type"),
    ],
)
def test_a_correction_with_faults_is_refused_and_changes_nothing(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person,
    type_: str, changes: dict[str, Any], pointer: str,
) -> None:  # fmt: skip
    visit_id, faulty = a_faulty_account(app, phone, assignment)
    (entry,) = desk(supervisor)

    refused = told(correct(supervisor, entry, type_, account_body(phone, visit_id, **changes)), 422)

    assert [fault["pointer"] for fault in refused["errors"]] == [pointer]
    assert the(faulty).outcome == "quarantined"


def test_a_correction_is_applied_at_once_or_not_at_all(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person
) -> None:
    visit_id, faulty = a_faulty_account(app, phone, assignment)
    (entry,) = desk(supervisor)
    good = account_body(phone, visit_id)
    phone.record("visit.account", good)
    push(app, phone, waiting(phone)[-1:])

    refused = [
        correct(supervisor, entry, "visit.account", account_body(phone, visit_id, parent=str(uuid7()))),
        correct(supervisor, entry, "visit.account", account_body(phone, uuid7())),
        correct(supervisor, entry, "visit.account", good),
        correct(supervisor, entry, "complaint.raised", {"case_id": str(uuid7()), "text": "x"}),
    ]

    slugs = [told(one, 409)["type"].removeprefix("/problems/") for one in refused]
    assert slugs == ["parent-unknown", "parent-unknown", "stands-already", "case-unknown"]
    assert the(faulty).outcome == "quarantined"
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Correction)) == 0
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Account)) == 1


@pytest.mark.parametrize("kind", ["raw", "conflict"])
def test_what_is_no_item_is_corrected_by_one(
    app: Flask, phone: Phone, assignment: Assignment, supervisor: Person, kind: str
) -> None:
    visit_id = begin(phone, assignment.id)
    push(app, phone)
    (item,) = waiting(phone)
    if kind == "raw":
        push_raw(app, phone, b"\x00garbage", path="/api/v1/sync/quarantine")
    else:
        payload = item.envelope.payload + b" "
        push(app, phone, [PushedItem(item.id, item.seq, item.prev, phone.key.seal(ITEM, payload))])
    (entry,) = desk(supervisor)

    complaint = {"visit_id": str(visit_id), "text": "要投诉"}
    told(correct(supervisor, entry, "complaint.raised", complaint))

    assert entry["kind"] == kind
    db.session.rollback()
    assert db.session.scalars(sa.select(Complaint.case_id)).all() == [assignment.case_id]
    assert desk(supervisor) == []
